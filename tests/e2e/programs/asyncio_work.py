"""asyncio: 1,000 TCP connections to itself, all open at once, and timers and pipes of the event loop."""
import asyncio
import resource

CONNECTIONS = 1000
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line[::-1].strip() + b"\n")
        await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=CONNECTIONS)
    port = server.sockets[0].getsockname()[1]
    gate = asyncio.Semaphore(100)

    async def connect():
        async with gate:
            return await asyncio.open_connection("127.0.0.1", port)

    pairs = await asyncio.gather(*(connect() for _ in range(CONNECTIONS)))
    print(len(pairs), "connections")

    async def talk(i, reader, writer):
        for turn in range(3):
            writer.write(f"message {i} {turn}\n".encode())
            answer = await reader.readline()
            assert answer == f"message {i} {turn}".encode()[::-1] + b"\n", answer
        return i

    print(sum(await asyncio.gather(*(talk(i, *pair) for i, pair in enumerate(pairs)))))
    for _, writer in pairs:
        writer.close()
    server.close()
    await asyncio.sleep(0.05)
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.05)
    except asyncio.TimeoutError:
        print("timed out")
    print(await asyncio.get_running_loop().run_in_executor(None, sum, range(1000)))


asyncio.run(main())

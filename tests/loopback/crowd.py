"""A thousand connections by asyncio: "server PORT", "client PORT". Every client sends lines of its own size and gets each back
in reverse, all at once."""
import asyncio
import sys

CLIENTS, ROUNDS = 1000, 5
port = int(sys.argv[2])


async def serve():
    done = asyncio.Event()
    count = 0

    async def one(reader, writer):
        nonlocal count
        while line := await reader.readline():
            writer.write(line[-2::-1] + b"\n")
            await writer.drain()
        writer.close()
        count += 1
        if count == CLIENTS:
            done.set()

    server = await asyncio.start_server(one, "127.0.0.1", port, backlog=CLIENTS)
    async with server:
        await done.wait()
    print("s served", count)


async def client(number, start):
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
    start["open"] += 1
    if start["open"] == CLIENTS:
        start["all"].set()
    await start["all"].wait()
    good = 0
    for i in range(ROUNDS):
        text = b"%d:%d:" % (number, i) + b"x" * (number * 7 % 3000)
        writer.write(text + b"\n")
        await writer.drain()
        good += await reader.readline() == text[::-1] + b"\n"
    writer.close()
    await writer.wait_closed()
    return good


async def crowd():
    start = {"open": 0, "all": asyncio.Event()}
    good = await asyncio.gather(*(client(i, start) for i in range(CLIENTS)))
    print("c right answers", sum(good), "of", CLIENTS * ROUNDS)

asyncio.run(serve() if sys.argv[1] == "server" else crowd())

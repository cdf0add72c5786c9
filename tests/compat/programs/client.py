"""Clients of servers that bring none. usage: client.py lines|beanstalkd|nats|nats-load|fastcgi PORT [LINE...]"""
import socket
import struct
import sys
import time

SECONDS = 1
stream = socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=60).makefile("rwb")


def say(*lines):
    stream.write(b"".join(line.encode() + b"\r\n" for line in lines))
    stream.flush()


def hear(count):
    return [stream.readline().decode().strip() for _ in range(count)]


def rate(batch):
    """How much a second: `batch` does a hundred."""
    start, count = time.monotonic(), 0
    while time.monotonic() - start < SECONDS:
        batch()
        count += 100
    print(f"rate: {count / (time.monotonic() - start):.0f}")


def lines():
    """Says all, to a server that then closes."""
    say(*sys.argv[3:])
    print(stream.read().decode())


def beanstalkd():
    def jobs():
        say(*["put 1 0 60 5", "hello"] * 100)
        hear(100)
        say(*["reserve"] * 100)
        say(*[f"delete {line.split()[1]}" for line in hear(200)[::2]])
        hear(100)
    rate(jobs)


def nats():
    hear(1)
    say('CONNECT {"verbose":false}', "SUB a.* 1", "SUB b.> 2", "PUB a.x 5", "hello", "PUB c.y 2", "no", "PUB b.1.2 reply 3", "abc", "UNSUB 1",
        "PUB a.x 1", "z", "PING")
    print(hear(5))


def nats_load():
    def messages():
        say(*["PUB l 5", "hello"] * 100, "PING")
        while hear(1) != ["PONG"]:
            pass
    hear(1)
    say('CONNECT {"verbose":false}', "SUB l 1")
    rate(messages)


def fastcgi():
    """Asks for a script, with its query; prints what it prints."""
    script, query = sys.argv[3:5]
    variables = {"SCRIPT_FILENAME": script, "SCRIPT_NAME": "/app.php", "REQUEST_METHOD": "GET", "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1"}
    words = b"".join(bytes([len(name), len(value)]) + (name + value).encode() for name, value in variables.items())
    for kind, content in (1, struct.pack(">HB5x", 1, 0)), (4, words), (4, b""), (5, b""):  # begin, parameters, standard input
        stream.write(struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content)
    stream.flush()
    while header := stream.read(8):
        kind, size, padding = struct.unpack(">xB2xHBx", header)
        content = stream.read(size + padding)[:size]
        if kind in (6, 7):  # output, errors
            print(content.decode(), end="")


globals()[sys.argv[1].replace("-", "_")]()

"""The fault storm's programs in Python, which know nothing of capabilities: "web PORT" and "client WHERE REDIS WEB".

Web answers GET /NUMBER/SIZE with bytes that follow from the number. The client checks them, and what it reads from redis; its
counts (of two channels) are in WHERE/py, as those of storm_client.c; it waits while WHERE/hold exists.
"""
import hashlib
import http.client
import http.server
import os
import random
import socket
import struct
import sys
import time


def content(number, size):
    return (hashlib.sha256(b"%d" % number).digest() * (size // 32 + 1))[:size]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number, size = map(int, self.path.split("/")[1:3])
        body = bytearray(content(number, size))
        if "CORRUPT" in os.environ:
            body[size // 2] ^= 1
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def not_itself(connected):
    """TCP may connect a socket with itself when nobody listens on a port that the host gives to clients."""
    if connected.getsockname() == connected.getpeername():
        connected.close()
        raise EOFError


class Redis:
    """SET and GET of values that follow from their keys; a nil is right too: redis forgets when it dies."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        not_itself(self.socket)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def bulk(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words))
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        if line[:1] != b"$":
            return line
        data = self.file.read(int(line[1:]) + 2) if int(line[1:]) >= 0 else None
        if data is not None and len(data) != int(line[1:]) + 2:
            raise EOFError
        return data and data[:-2]

    def round(self, number):
        key, size = number % 1000, number % 1000 * 37 % 30000 + 1
        answer = self.bulk(b"SET", b"%d" % key, content(key, size))
        if answer[:1] == b"-":
            raise EOFError  # -LOADING and the like
        got = self.bulk(b"GET", b"%d" % key)
        if "CORRUPT" in os.environ:
            got = got and b"?" + got[1:]
        return answer == b"+OK\r\n" and (got is None or got == content(key, size))


class Web:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.connect()
        not_itself(self.connection.sock)

    def close(self):
        self.connection.close()

    def round(self, number):
        size = number % 977 * 101 + 1
        self.connection.request("GET", f"/{number}/{size}")
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status >= 500:
            raise EOFError
        return answer.status == 200 and body == content(number, size)


ERRORS = (OSError, EOFError, http.client.HTTPException)


class Channel:
    """One round at a time, over connections that are made again when they end."""

    def __init__(self, name, make, seed):
        self.name, self.make, self.random, self.connection = name, make, random.Random(seed), None
        self.ok = self.errors = self.wrong = 0

    def round(self):
        try:
            if not self.connection:
                self.connection = self.make()
            if self.connection.round(self.random.randrange(1 << 30)):
                self.ok += 1
            else:
                self.wrong += 1
        except ERRORS:
            self.errors += 1
            self.close()
            time.sleep(0.005)
        if self.random.random() < 0.05:
            self.close()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def client(where, redis, web):
    channels = [Channel("redis from Python", lambda: Redis(redis), 1), Channel("web from Python", lambda: Web(web), 2)]
    counts = os.open(f"{where}/py", os.O_RDWR | os.O_CREAT, 0o644)
    while True:
        for i, channel in enumerate(channels):
            channel.round()
            if channel.wrong:
                print(f"WRONG {channel.name}: other bytes", flush=True)
            os.pwrite(counts, struct.pack("3Q", channel.ok, channel.errors, channel.wrong), 24 * i)
        if not os.path.exists(f"{where}/hold"):
            continue
        for channel in channels:
            channel.close()
        os.close(os.open(f"{where}/py.held", os.O_WRONLY | os.O_CREAT, 0o644))
        while os.path.exists(f"{where}/hold"):
            time.sleep(0.02)
        os.unlink(f"{where}/py.held")


if __name__ == "__main__":
    if sys.argv[1] == "web":
        http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
    client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

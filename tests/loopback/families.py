"""Several listeners at one port, "server PORT": which addresses exclude one another (each line says what bind or listen says), and
connections to those of IPv4 and IPv6 together, by "client PORT", also once the first of them is closed."""
import os
import selectors
import socket
import sys
import time

FOUR, SIX = socket.AF_INET, socket.AF_INET6
port = int(sys.argv[2])


def listener(family, address, only_six=0, reuse_port=False):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == SIX:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_six)
    if reuse_port:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((address, port))
    s.listen(5)
    return s


def together(*those):
    open_, said = [], []
    for one in those:
        try:
            open_.append(listener(*one))
            said.append("ok")
        except OSError as error:
            said.append(os.strerror(error.errno))
    print("s", [one[1:] for one in those], said)
    for s in open_:
        s.close()


def answer(listeners, connections):
    """Each connection's family by what accepted it would depend on who came first; what it says does not."""
    with selectors.DefaultSelector() as selector:
        for s in listeners:
            s.setblocking(False)
            selector.register(s, selectors.EVENT_READ)
        while connections:
            for key, _ in selector.select():
                if not connections:
                    break  # what comes now is for the next listeners
                try:
                    c, _ = key.fileobj.accept()
                except BlockingIOError:
                    continue
                with c:
                    c.setblocking(True)
                    c.sendall(c.recv(100)[::-1])
                    connections -= 1


def ask(address, text):
    for _ in range(600):
        try:
            with socket.create_connection((address, port)) as c:
                c.sendall(text)
                said = c.recv(100)
                if said:  # or it was one of those that only bind
                    return said
        except ConnectionError:
            pass
        time.sleep(0.05)
    return b"nobody"


if sys.argv[1] == "client":
    print("c", [ask(address, address.encode()) for address in ("127.0.0.1", "::1") * 10], ask("::1", b"later"))
    sys.exit()
for backwards in False, True:
    for those in [((FOUR, "0.0.0.0"), (SIX, "::", 1)), ((FOUR, "0.0.0.0"), (SIX, "::")), ((FOUR, "127.0.0.1"), (SIX, "::1")),
                  ((FOUR, "127.0.0.1"), (SIX, "::")), ((FOUR, "127.0.0.1"), (SIX, "::ffff:127.0.0.1")),
                  ((FOUR, "127.0.0.1"), (FOUR, "127.0.0.2")), ((FOUR, "127.0.0.1"), (FOUR, "127.0.0.1")),
                  ((FOUR, "127.0.0.1"), (FOUR, "0.0.0.0")), ((SIX, "::1"), (SIX, "::", 1)),
                  ((FOUR, "127.0.0.1", 0, True), (FOUR, "127.0.0.1", 0, True)), ((FOUR, "127.0.0.1", 0, True), (FOUR, "127.0.0.1")),
                  ((SIX, "::", 0, True), (FOUR, "127.0.0.1", 0, True)),
                  ((SIX, "::1"), (SIX, "::1"), (FOUR, "0.0.0.0"), (FOUR, "127.0.0.1"))]:
        together(*(those[::-1] if backwards else those))
four, six = listener(FOUR, "0.0.0.0"), listener(SIX, "::", 1)
answer([four, six], 20)
four.close()
answer([six], 1)
print("s served")

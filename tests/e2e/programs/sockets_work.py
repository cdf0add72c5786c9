"""Sockets and waiting: TCP and UDP over IPv4, Unix socket pairs, select, poll and epoll over mixed descriptors."""
import os
import select
import socket
import threading

with socket.create_server(("127.0.0.1", 0)) as listener:
    client = socket.create_connection(listener.getsockname())
    server, peer = listener.accept()
    print(peer == client.getsockname(), server.getsockname() == client.getpeername())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0, server.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))
    sender = threading.Thread(target=lambda: (client.sendall(b"z" * 3_000_000), client.shutdown(socket.SHUT_WR)))
    sender.start()
    total = 0
    while data := server.recv(100_000):
        total += len(data)
    sender.join()
    print(total)
    client.close()
    server.close()

a, b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a.bind(("127.0.0.1", 0))
b.bind(("127.0.0.1", 0))
a.sendto(b"datagram", b.getsockname())
print(b.recvfrom(100)[0], b.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

left, right = socket.socketpair()
r, w = os.pipe()
epoll = select.epoll()
epoll.register(left, select.EPOLLIN)
epoll.register(r, select.EPOLLIN | select.EPOLLET)
epoll.register(b, select.EPOLLIN)
print(epoll.poll(0.01))
os.write(w, b"1")
right.sendall(b"2")
a.sendto(b"3", b.getsockname())
ready = set()
while len(ready) < 3:
    ready |= {fd for fd, _ in epoll.poll(10)}
print(ready == {left.fileno(), r, b.fileno()})
print(len(select.select([left, r, b], [right, w], [], 10)[0]), len(select.select([], [right, w], [], 10)[1]))
poll = select.poll()
poll.register(r, select.POLLIN)
poll.register(w, select.POLLOUT)
print(sorted(e for _, e in poll.poll(1000)))
os.close(w)
os.read(r, 10)
print(poll.poll(0)[0][1] & select.POLLHUP != 0, os.read(r, 10))
right.close()
print(left.recv(10), left.recv(10))
with socket.create_server(("127.0.0.1", 0)) as listener:
    address = listener.getsockname()
try:
    socket.create_connection(address)
except ConnectionRefusedError as error:
    print(error)

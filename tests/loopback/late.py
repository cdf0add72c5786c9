"""A server that takes its time before it listens, on a port or a path; it answers one client and says what that sent. For who is to be started when
it listens and not before (suite_loopback.py)."""
import socket
import sys
import time

name, address = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
time.sleep(0.7)
unix = name.startswith("/")
listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(name if unix else (address, int(name)))
listener.listen()
client, _ = listener.accept()
print("server got", client.recv(100).decode(), flush=True)
client.sendall(b"well")

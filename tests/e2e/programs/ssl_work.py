"""ssl: a TLS server and client over a loopback connection, with a throw-away certificate."""
import os
import socket
import ssl
import tempfile
import threading

KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgG8Xs1XKj9y/RQIaC
d0UH4c3wOH001wYdhpvqet1QTjyhRANCAASypSa5vYEz2DJh6tw3AvTxZyIAMYTC
qEZRERLEYs0J99UCbMM0HduNxABE9tGuYj95Iow5huHbx7nnMfrDZBEL
-----END PRIVATE KEY-----
"""
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUOBxOn3gSE2ydAAvKvaO7SQA/3P8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTAzNTgyMloYDzIxMjYxMDI4
MDM1ODIyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASypSa5vYEz2DJh6tw3AvTxZyIAMYTCqEZRERLEYs0J99UCbMM0HduN
xABE9tGuYj95Iow5huHbx7nnMfrDZBELo2kwZzAdBgNVHQ4EFgQURASPZv0PGoug
p8mPsUHohcSC5wMwHwYDVR0jBBgwFoAURASPZv0PGougp8mPsUHohcSC5wMwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhAJmSFZMUrlo1gecdWoCJcxFELLYuvUpZhHokid58k/wyAiAToSDPFrEV
bRmOeIOamQ2Rz20U/UwmZ+RNkvVaTTXuzQ==
-----END CERTIFICATE-----
"""


def serve(listener, context):
    connection, _ = listener.accept()
    with context.wrap_socket(connection, server_side=True) as tls:
        while data := tls.recv(65536):
            tls.sendall(data.upper())


with tempfile.NamedTemporaryFile("w", suffix=".pem") as pem:
    pem.write(KEY + CERTIFICATE)
    pem.flush()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem.name)
    client = ssl.create_default_context(cafile=pem.name)
with socket.create_server(("127.0.0.1", 0)) as listener:
    thread = threading.Thread(target=serve, args=(listener, server))
    thread.start()
    with client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname="localhost") as tls:
        print(tls.version(), dict(x[0] for x in tls.getpeercert()["subject"]))
        total = 0
        for i in range(50):
            block = bytes([97 + i % 26]) * 10000
            tls.sendall(block)
            got = b""
            while len(got) < len(block):
                got += tls.recv(65536)
            assert got == block.upper()
            total += len(got)
        print(total, "bytes there and back")
    thread.join()
print(len(os.urandom(32)), ssl.RAND_status())

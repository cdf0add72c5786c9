"""hashlib: every guaranteed algorithm over the same megabytes, and key derivation."""
import hashlib

data = bytes(i * 7 & 255 for i in range(1 << 16)) * 32
for name in sorted(hashlib.algorithms_guaranteed):
    h = hashlib.new(name, data)
    print(name, h.hexdigest(16) if name.startswith("shake") else h.hexdigest())
print(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 20000).hex())
print(hashlib.scrypt(b"password", salt=b"salt", n=4096, r=8, p=1).hex())

"""zlib, bz2 and lzma: compressed and decompressed, streaming."""
import bz2
import lzma
import zlib

data = b"".join(f"record {i}: {i * i % 7919}\n".encode() for i in range(60000))
for level in (1, 6, 9):
    packed = zlib.compress(data, level)
    assert zlib.decompress(packed) == data
    print("zlib", level, len(packed), zlib.crc32(packed))
packer = zlib.compressobj()
packed = b"".join(packer.compress(data[i:i + 1000]) for i in range(0, len(data), 1000)) + packer.flush()
print("stream", len(packed), zlib.adler32(data))
for module in (bz2, lzma):
    packed = module.compress(data)
    assert module.decompress(packed) == data
    print(module.__name__, len(packed), zlib.crc32(packed))

"""Interpreter, containers, JSON and hashing; prints its own seconds."""
import hashlib
import json
import time

start = time.perf_counter()
total = 0
for i in range(2_000_000):
    total += i * i % 7
words = {}
for i in range(400_000):
    words[f"word{i % 5000}"] = words.get(f"word{i % 5000}", 0) + i
text = json.dumps([{"id": i, "name": f"row {i}"} for i in range(60_000)])
rows = json.loads(text)
rows.sort(key=lambda row: row["name"])
digest = hashlib.sha256(text.encode() * 20).hexdigest()
print(f"{time.perf_counter() - start:.4f}")

"""json: a large document there and back, exact text."""
import hashlib
import json

document = {"rows": [{"id": i, "name": f"row {i}", "value": i * 0.25, "tags": ["a", "ü", None, True]} for i in range(20000)]}
text = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1)
assert json.loads(text) == document
print(len(text), hashlib.sha256(text.encode()).hexdigest())

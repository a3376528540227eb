"""Writes the bundled token vocabularies from tiktoken's own files.

    TIKTOKEN_CACHE_DIR=folder python scripts/build_vocabularies.py

The folder holds tiktoken's vocabulary files under the names that tiktoken gives them (sha1 of their address); tiktoken
checks their hashes. Each vocabulary becomes one file: xz over a line of JSON (name, pattern, special tokens), one byte
for the length of each token, and the tokens themselves, in rank order. The digests go into `vocabularies.json`.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from pathlib import Path

import tiktoken

NAMES = ("o200k_base", "cl100k_base")
TARGET = Path(__file__).parent.parent / "src" / "spend_middleware" / "pricing" / "data"


def packed(encoding: tiktoken.Encoding) -> bytes:
    """Return an encoding in our columnar form."""
    ranks = sorted((rank, token) for token, rank in encoding._mergeable_ranks.items())
    if [rank for rank, _ in ranks] != list(range(len(ranks))):
        raise SystemExit(f"{encoding.name}: ranks are not 0..n, the form cannot hold them")
    head = {
        "name": encoding.name,
        "pattern": encoding._pat_str,
        "special": encoding._special_tokens,
        "tokens": len(ranks),
    }
    lengths = bytes(len(token) for _, token in ranks)
    return json.dumps(head).encode() + b"\n" + lengths + b"".join(token for _, token in ranks)


def main() -> None:
    """Write the files."""
    digests = {}
    for name in NAMES:
        content = packed(tiktoken.get_encoding(name))
        digests[name] = hashlib.sha256(content).hexdigest()
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]
        path = TARGET / f"{name}.xz"
        path.write_bytes(lzma.compress(content, filters=filters))
        print(f"{path.name}: {path.stat().st_size:,} bytes, {digests[name]}")
    (TARGET / "vocabularies.json").write_text(json.dumps(digests, indent=2) + "\n")


if __name__ == "__main__":
    main()

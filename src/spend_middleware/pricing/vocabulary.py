"""The bundled token vocabularies, read and verified; no file is written and nothing is fetched."""

from __future__ import annotations

import hashlib
import json
import lzma
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

DEFAULT = "o200k_base"

# tiktoken's own map of models to vocabularies (tiktoken/model.py): these families use the older one, everything newer
# the default, which is also the nearest that there is for other vendors' models.
_OLDER = "cl100k_base"
_OLDER_FAMILIES = ("gpt-4", "gpt-3.5", "gpt-35", "text-embedding", "davinci-002", "babbage-002")
_NEWER_FAMILIES = ("gpt-4o", "gpt-4.1", "gpt-4.5")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One vocabulary: its tokens by rank, the pattern that splits text, and the special tokens."""

    name: str
    pattern: str
    special: dict[str, int]
    ranks: dict[bytes, int]


def vocabulary_of(model: str) -> str:
    """Return the name of the vocabulary that a model counts by."""
    name = model.rpartition("/")[2].lower()
    if name.startswith(_OLDER_FAMILIES) and not name.startswith(_NEWER_FAMILIES):
        return _OLDER
    return DEFAULT


def load(name: str, folder: Traversable | None = None) -> Vocabulary:
    """Return a vocabulary.

    Args:
        name: Such as "o200k_base".
        folder: Where its file and the list of digests are; those of the package when None.

    Raises:
        ValueError: The file is not what was built.
        OSError: There is no such file.
    """
    folder = folder or resources.files("spend_middleware.pricing") / "data"
    try:
        content = lzma.decompress((folder / f"{name}.xz").read_bytes())
    except lzma.LZMAError:
        content = b""
    digests = json.loads((folder / "vocabularies.json").read_text())
    if hashlib.sha256(content).hexdigest() != digests[name]:
        raise ValueError(f"the bundled vocabulary {name} is damaged: reinstall spend-middleware")
    line, _, rest = content.partition(b"\n")
    head = json.loads(line)
    lengths, at, ranks = rest[: head["tokens"]], head["tokens"], {}
    for rank, length in enumerate(lengths):
        ranks[rest[at : at + length]] = rank
        at += length
    return Vocabulary(head["name"], head["pattern"], head["special"], ranks)

"""Builds what the package knows of models besides prices: how long a prompt and an answer may be, and what they can do.

    python scripts/build_limits.py --cache ~/.cache/price-wheels

It comes from the price maps inside litellm's two releases that `build_prices.py` names as reference and newest; nothing
is imported from litellm. Two runs write the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

from build_prices import MAP_NAME, NOT_MODELS, OUT, REFERENCE, RELEASES, fetch

NAMES = ("max_input_tokens", "max_output_tokens", "max_tokens")
ABLE = "supports_"


def models_in(wheel: Path) -> dict[str, dict[str, Any]]:
    """Return the models of the map inside a litellm wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(MAP_NAME))
        models = json.loads(archive.read(name))
    return {key: row for key, row in models.items() if key not in NOT_MODELS and isinstance(row, dict)}


def whole(value: Any) -> int | None:
    """Return a number of tokens; maps also hold it as a float or as text."""
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number > 0 else None


def packed(older: dict[str, Any], newest: dict[str, Any]) -> dict[str, Any]:
    """Return the three numbers of each model, and its abilities as bits."""
    rows = {**older, **newest}
    abilities = sorted({name for row in rows.values() for name in row if name.startswith(ABLE)})
    models = {}
    for key in sorted(rows):
        row = rows[key]
        numbers = [whole(row.get(name)) for name in NAMES[:2]]
        # The newest map has no max_tokens of its own any more: it was the longest answer, or prompt where none is given.
        both = whole(row.get("max_tokens")) or whole(older.get(key, {}).get("max_tokens"))
        bits = sum(1 << place for place, name in enumerate(abilities) if row.get(name) is True)
        line = [*numbers, both or numbers[1] or numbers[0], bits]
        if any(line):
            models[key] = line
    return {"numbers": NAMES, "abilities": abilities, "models": models}


def main() -> None:
    """Build the file and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder where wheels are kept")
    parser.add_argument("--out", type=Path, default=OUT.with_name("limits.json.gz"), help="the file to write")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    older, newest = (
        models_in(fetch("litellm", version, options.cache)) for version in (REFERENCE, RELEASES[-1][0])
    )
    text = json.dumps(packed(older, newest), separators=(",", ":"))
    options.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(json.loads(text)['models'])} models, {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""Builds the price table that the package ships, from the price maps inside litellm's and genai-prices' releases.

    python scripts/build_prices.py --cache ~/.cache/price-wheels

Nothing is imported from litellm: its wheels are only opened for their JSON map. The table is a function of the
releases named below, so two runs write the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import price_sources
from spend_middleware.pricing.maps import with_aliases

Row = dict[str, Any]

OUT = Path(__file__).parents[1] / "src" / "spend_middleware" / "pricing" / "data" / "prices.json.gz"
CACHE = Path.home() / ".cache" / "price-wheels"
MAP_NAME = "model_prices_and_context_window_backup.json"

# (version, day on PyPI): about one release in two weeks for a year, and two older ones for models that are retired now.
RELEASES = (
    ("1.61.0", "2025-02-11"), ("1.72.0", "2025-06-01"),
    ("1.79.1", "2025-11-01"), ("1.80.0", "2025-11-16"), ("1.80.8", "2025-12-07"), ("1.80.15", "2026-01-11"),
    ("1.81.3", "2026-01-25"), ("1.81.14", "2026-02-22"), ("1.82.0", "2026-03-01"), ("1.82.2", "2026-03-13"),
    ("1.83.0", "2026-03-31"), ("1.83.7", "2026-04-13"), ("1.83.14", "2026-04-26"), ("1.84.0", "2026-05-14"),
    ("1.86.0", "2026-05-24"), ("1.88.0", "2026-06-06"), ("1.90.2", "2026-07-01"), ("1.92.0", "2026-07-12"),
    ("1.94.0", "2026-07-28"), ("1.96.0", "2026-08-09"), ("1.98.0", "2026-08-22"), ("1.99.0", "2026-09-01"),
    ("1.101.0", "2026-09-14"), ("1.103.0", "2026-09-27"), ("1.104.2", "2026-10-08"), ("1.105.1", "2026-10-14"),
    ("1.106.2", "2026-10-21"), ("1.109.1", "2026-11-12"), ("1.110.2", "2026-11-20"),
)  # fmt: skip
GENAI_PRICES = "0.2.3"

# Prices of known models follow this release. What a later one changes is taken only when genai-prices says the same
# (LiteLLM's own issue 39501: 41 of 85 rows of one provider were wrong by -89 % to +3025 %); what it adds is taken.
REFERENCE = "1.106.2"

MAIN_PROVIDERS = {"openai", "anthropic", "gemini", "azure", "mistral", "xai", "cohere", "groq", "deepseek"}
MOST_MOVED = 0.05
"""The share of the main providers' prices that may differ from the table that is replaced."""

# Shipped by litellm but used by no rule: units of Databricks' own currency, quotas that only its proxy counts,
# and a field that repeats the cache-read price.
UNUSED = {
    "input_dbu_cost_per_token", "output_dbu_cost_per_token", "input_cost_per_token_cache_hit", "search_free_requests",
}  # fmt: skip
NOT_MODELS = {"sample_spec", "fallback_generalizations"}


@dataclass
class Timeline:
    """The price rows of one model, each with the day from which it counts, in order; the first counts backwards too."""

    rows: list[tuple[int, Row]] = field(default_factory=list)
    removed: int | None = None

    def at(self, day: int) -> Row:
        """Return the row that counts on a day."""
        return next((row for start, row in reversed(self.rows) if start <= day), self.rows[0][1])

    def change(self, day: int, row: Row) -> None:
        """Let a row count from a day on, until the next one that is known."""
        self.rows = sorted([r for r in self.rows if r[0] != day] + [(day, row)], key=lambda r: r[0])

    def squeezed(self) -> list[tuple[int, Row]]:
        """Return the rows without those that repeat the one before."""
        out: list[tuple[int, Row]] = []
        for start, row in self.rows:
            if not out or out[-1][1] != row:
                out.append((start, row))
        return out


def day_of(text: str) -> int:
    """Return an ISO date as days since 1970."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def fetch(name: str, version: str, cache: Path) -> Path:
    """Return the wheel of a release, downloaded into the cache once."""
    stem = f"{name.replace('-', '_')}-{version}-"
    found = sorted(cache.glob(f"{stem}*.whl"))
    if not found:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "-d", str(cache), f"{name}=={version}"], check=True)
        found = sorted(cache.glob(f"{stem}*.whl"))
    return found[0]


def read_map(wheel: Path) -> dict[str, Row]:
    """Return the price map inside a litellm wheel, cut down to what prices are made of."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(MAP_NAME))
        models = json.loads(archive.read(name))
    return {key: kept(row) for key, row in with_aliases(models).items() if key not in NOT_MODELS}


def kept(row: Mapping[str, Any]) -> Row:
    """Return the price fields, provider and mode of one row, its numbers free of float artefacts."""
    out = {"litellm_provider": row.get("litellm_provider"), "mode": row.get("mode")}
    for name, value in sorted(row.items()):
        if name in UNUSED or value is None:
            continue
        if name == "provider_specific_entry":
            value = {k: v for k, v in value.items() if isinstance(v, int | float)}
            if not value:
                continue
        elif not (
            "cost" in name or "pricing" in name or "multiplier" in name or name == "web_search_billing_unit"
        ):
            continue
        out[name] = tidy(value)
    return out


def tidy(value: Any) -> Any:
    """Return a price without float artefacts: 15 digits, or the fraction that a vendor quotes ("2/7000000")."""
    if isinstance(value, dict):
        return {k: tidy(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [tidy(v) for v in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    cleaned = float(f"{value:.15g}")
    if len(f"{cleaned:.15e}".split("e")[0].replace(".", "").rstrip("0")) >= 14:
        guess = Fraction(cleaned * 1e6).limit_denominator(999)
        if guess.denominator % 7 == 0 and abs(float(guess) / 1e6 - cleaned) <= 1e-14 * abs(cleaned):
            return f"{guess.numerator}/{guess.denominator * 10**6}"
    return int(cleaned) if cleaned == int(cleaned) else cleaned


def histories(maps: Mapping[str, dict[str, Row]]) -> dict[str, Timeline]:
    """Return the timeline of every model that any release up to the reference knows."""
    lines: dict[str, Timeline] = {}
    for version, released in RELEASES:
        day, models = day_of(released), maps[version]
        for key, row in models.items():
            line = lines.setdefault(key, Timeline())
            line.removed = None
            if not line.rows or line.rows[-1][1] != row:
                line.rows.append((day, row))
        for key, line in lines.items():
            if key not in models and line.removed is None:
                line.removed = day
        if version == REFERENCE:
            break
    return lines


def later_releases(lines: dict[str, Timeline], maps: Mapping[str, dict[str, Row]], confirmed: Any) -> int:
    """Add what releases after the reference add, and those changed prices that a second source confirms.

    New are models, and kinds of prices that no row of the reference has (such as that of a longer cache lifetime).
    """
    after = False
    taken = 0
    known = {name for row in maps[REFERENCE].values() for name in row}
    for version, released in RELEASES:
        if after:
            for key, row in maps[version].items():
                line = lines.setdefault(key, Timeline())
                if not line.rows:
                    line.rows.append((day_of(released), row))
                    continue
                before = line.rows[-1][1]
                if before != row and confirmed(key, before, row):
                    line.change(day_of(released), row)
                    taken += 1
                elif new := {name: price for name, price in row.items() if name not in known}:
                    line.change(day_of(released), {**before, **new})
        after = after or version == REFERENCE
    return taken


def packed(
    lines: Mapping[str, Timeline], version: str, sources: Mapping[str, Any], listed: int
) -> dict[str, Any]:
    """Return the table as it is shipped: distinct rows once, field names as numbers, intervals by model."""
    fields: dict[str, int] = {}
    rows: dict[str, int] = {}
    models: dict[str, Any] = {}
    removed: dict[str, int] = {}
    stored: list[list[Any]] = []
    for key in sorted(lines):
        intervals: list[int] = []
        for start, row in lines[key].squeezed():
            flat: list[Any] = []
            for name, value in sorted(row.items()):
                if value is not None:
                    flat += [fields.setdefault(name, len(fields)), value]
            number = rows.setdefault(json.dumps(flat), len(rows))
            if number == len(stored):
                stored.append(flat)
            intervals += [start, number] if intervals else [number]
        models[key] = intervals if len(intervals) > 1 else intervals[0]
        day = lines[key].removed
        if day is not None:
            removed[key] = day
    return {"version": version, "sources": sources, "fields": list(fields), "rows": stored, "models": models, "removed": removed, "listed": listed}  # fmt: skip


def moved(lines: Mapping[str, Timeline], old: Mapping[str, Any] | None) -> tuple[int, int]:
    """Return how many current prices of the main providers differ from the table that is replaced, and of how many."""
    changed = compared = 0
    for key, numbers in (old or {}).get("models", {}).items():
        flat = old["rows"][numbers if isinstance(numbers, int) else numbers[-1]] if old else []
        before = {old["fields"][flat[i]]: flat[i + 1] for i in range(0, len(flat), 2)} if old else {}
        if before.get("litellm_provider") not in MAIN_PROVIDERS or key not in lines:
            continue
        after = lines[key].rows[-1][1]
        compared += 1
        changed += any(
            before.get(f) != after.get(f) for f in ("input_cost_per_token", "output_cost_per_token")
        )
    return changed, compared


def check(lines: Mapping[str, Timeline], out: Path, allow: bool) -> None:
    """Stop the build when the new table has fewer models than the old one or moves too many prices."""
    old = json.loads(gzip.decompress(out.read_bytes())) if out.exists() else None
    changed, compared = moved(lines, old)
    shrunk = old is not None and len(lines) < len(old["models"])
    print(f"{len(lines)} models; {changed} of {compared} main prices differ from the table before")
    if (shrunk or changed > MOST_MOVED * max(compared, 1)) and not allow:
        raise SystemExit(
            "refused: rows are gone or more than 5 % of the main prices moved (--allow-moves to accept)"
        )


def numbers(value: Any) -> Iterator[Any]:
    """Give every leaf of a row that should be a price."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    else:
        yield value


def main() -> None:
    """Build the table and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder where wheels are kept")
    parser.add_argument("--out", type=Path, default=OUT, help="the table to write")
    parser.add_argument("--allow-moves", action="store_true", help="accept a table that differs a lot")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    wheels = {version: fetch("litellm", version, options.cache) for version, _ in RELEASES}
    maps = {version: read_map(wheel) for version, wheel in wheels.items()}
    book = price_sources.read_genai(fetch("genai-prices", GENAI_PRICES, options.cache))
    lines = histories(maps)
    taken = later_releases(lines, maps, book.confirms)
    dated, added = book.overlay(lines, Timeline)
    for key, line in lines.items():
        for _, row in line.rows:
            if any(
                isinstance(v, bool) or (not isinstance(v, str) and v < 0)
                for v in numbers(row)
                if v is not None
            ):
                raise SystemExit(f"refused: {key} holds a price below zero or a truth value")
    check(lines, options.out, options.allow_moves)
    sources = {"litellm": [v for v, _ in RELEASES], "reference": REFERENCE, "genai-prices": GENAI_PRICES}
    listed = len(maps[RELEASES[-1][0]])
    body = json.dumps(packed(lines, "", sources, listed), separators=(",", ":"))
    version = f"{RELEASES[-1][1]}.{hashlib.sha256(body.encode()).hexdigest()[:12]}"
    text = json.dumps(packed(lines, version, sources, listed), separators=(",", ":"))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{taken} later changes confirmed, {dated} exact dates, {added} models from genai-prices")
    print(f"version {version}: {len(text)} bytes, {options.out.stat().st_size} compressed")


if __name__ == "__main__":
    main()

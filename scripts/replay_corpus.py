"""Replay a folder of recorded LLM traffic through `spend.transport` and hold the rows against what is expected.

    python scripts/replay_corpus.py FOLDER [--lib httpx2] [--async] [--chunk event|whole|N|random:SEED]

FOLDER holds recorded interactions and a `replay.py` with `load`, `replay` and `compare`. Each interaction goes through
the public transport into a database of its own; the rows are then read back. Prints one line for each provider and
endpoint, then the totals; exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import sqlite3
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from spend_middleware import Settings, Spend

Row = Mapping[str, Any]
NAMES = {
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_creation_tokens": "cache_creation_input_tokens",
}
COLUMNS = ("transparent", "rows", "tokens", "cost_high", "cost_medium")


def load_replay(folder: Path) -> ModuleType:
    """Import the folder's own `replay.py` by its path."""
    spec = importlib.util.spec_from_file_location("replay", folder / "replay.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder} holds no replay.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["replay"] = module
    spec.loader.exec_module(module)
    return module


def replay_all(replay: ModuleType, spend: Spend, options: argparse.Namespace) -> list[Any]:
    """Send every interaction through the transport, each in a scope with its own tag."""
    results = []
    chunk = int(options.chunk) if options.chunk.isdigit() else options.chunk
    wanted = {
        name: getattr(options, name) for name in ("provider", "endpoint", "id") if getattr(options, name)
    }
    for interaction in replay.load(options.part, **wanted):
        with spend.tag(interaction["id"]):
            results += replay.replay(
                spend.transport,
                interactions=[interaction],
                lib=options.lib,
                asynchronous=options.asynchronous,
                chunk=chunk,
            )
    return results


def rows_by_tag(database: Path) -> dict[str, list[Row]]:
    """Read the rows back, in the names that the expectations use, by the interaction that they were made for."""
    found: dict[str, list[Row]] = defaultdict(list)
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    for stored in connection.execute("SELECT * FROM spend_logs"):
        row = dict(stored)
        row.update({name: row[column] for name, column in NAMES.items()})
        row["cost"] = None if row["spend"] is None else row["spend"] / 10**12
        row["model_requested"], row["model_responded"] = row["model_group"], row["model"]
        for tag in json.loads(row["request_tags"] or "[]"):
            found[tag].append(row)
    connection.close()
    return found


def judge(replay: ModuleType, result: Any, rows: Sequence[Row]) -> tuple[Counter[str], list[str]]:
    """Return what was asked of one interaction and what was met, and the sentences about what was not."""
    expected = result.interaction["expected"]
    count: Counter[str] = Counter({"n": 1, "transparent": int(result.transparent), "of transparent": 1})
    problems = [f"transparency: {why}" for why in result.why]
    row = rows[0] if rows else None
    if expected["row_expected"] == "no":
        count["false rows"] = len(rows)
        return count, problems + [f"a row for no LLM call: {row['call_type']}" for row in rows]
    if expected["row_expected"] == "yes":
        count["of rows"], count["rows"] = 1, int(bool(rows))
    if row is None:
        return count, problems + (["no row"] if count["of rows"] else [])
    if expected["usage_reported"]:
        wrong = replay.compare(row, {**expected, "truth": {"cost": None}})
        count["of tokens"], count["tokens"] = 1, int(not wrong)
        problems += wrong
    truth = expected["truth"]
    if truth["cost"] is not None and truth["confidence"] in ("high", "medium"):
        wrong = replay.compare(row, expected, fields=(), min_confidence="medium")
        level = f"cost_{truth['confidence']}"
        count[f"of {level}"], count[level] = 1, int(not wrong)
        problems += [
            f"{truth['confidence']} {why} [{row['pricing_status']}, {row['price_key']}]" for why in wrong
        ]
    return count, problems


def share(count: Counter[str], name: str) -> str:
    """Return `met/asked`, or a dash when nothing was asked."""
    return f"{count[name]}/{count[f'of {name}']}" if count[f"of {name}"] else "-"


def print_table(counts: Mapping[tuple[str, str], Counter[str]]) -> Counter[str]:
    """Print a line for each provider and endpoint, and return the totals."""
    total: Counter[str] = Counter()
    layout = "{:<46} {:>5} {:>12} {:>10} {:>10} {:>10} {:>12} {:>10}"
    print(layout.format("provider endpoint", "n", *COLUMNS, "false rows"))
    for (provider, endpoint), count in sorted(counts.items()):
        total.update(count)
        cells = [share(count, name) for name in COLUMNS]
        print(layout.format(f"{provider} {endpoint}", count["n"], *cells, count["false rows"]))
    print(layout.format("all", total["n"], *(share(total, name) for name in COLUMNS), total["false rows"]))
    return total


def missed_bars(total: Counter[str], options: argparse.Namespace) -> list[str]:
    """Return the bars that the totals do not reach."""
    bars = {
        "transparent": 100.0,
        "rows": options.presence,
        "tokens": options.tokens,
        "cost_high": options.high,
        "cost_medium": options.medium,
    }
    missed = [f"{total['false rows']} rows for calls that are none"] if total["false rows"] else []
    for name, bar in bars.items():
        asked = total[f"of {name}"]
        reached = 100 * total[name] / asked if asked else 100.0
        print(f"{name}: {reached:.2f} % (bar {bar} %)")
        if reached < bar:
            missed.append(f"{name} {reached:.2f} % < {bar} %")
    return missed


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", default="dev")
    parser.add_argument("--lib", default="httpx2", choices=("httpx", "httpx2"))
    parser.add_argument("--async", dest="asynchronous", action="store_true")
    parser.add_argument("--chunk", default="event", help="event, whole, a number of bytes, or random:SEED")
    parser.add_argument("--provider")
    parser.add_argument("--endpoint")
    parser.add_argument("--id")
    parser.add_argument("--tokens", type=float, default=99.0)
    parser.add_argument("--presence", type=float, default=99.0)
    parser.add_argument("--high", type=float, default=98.0)
    parser.add_argument("--medium", type=float, default=93.0)
    parser.add_argument("--quiet", action="store_true", help="no line for each problem")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parse(arguments)
    replay = load_replay(options.folder)
    with tempfile.TemporaryDirectory() as scratch:
        database = Path(scratch) / "spend.db"
        with Spend(
            settings=Settings(database_url=f"sqlite:///{database}", journal_dir=Path(scratch))
        ) as spend:
            results = replay_all(replay, spend, options)
            if not spend.flush(timeout=120):
                raise SystemExit("some rows never reached the database")
        rows = rows_by_tag(database)
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for result in results:
        known = result.interaction
        count, problems = judge(replay, result, rows.get(known["id"], ()))
        counts[known["provider"], known["endpoint"]].update(count)
        if problems and not options.quiet:
            print(known["id"], known["provider"], known["endpoint"], "; ".join(problems))
    missed = missed_bars(print_table(counts), options)
    print("missed: " + ", ".join(missed) if missed else "all bars are met")
    return 1 if missed else 0


if __name__ == "__main__":
    # Recorded traffic has hundreds of models without a price; the table says so better than a warning for each.
    logging.getLogger("spend_middleware").setLevel(logging.ERROR)
    raise SystemExit(main())

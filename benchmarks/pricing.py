"""What a price costs: microseconds a call beside other calculators, and what the table takes to load and to keep.

    python benchmarks/pricing.py [--python PATH] [--rounds 5] [--strict]

`--python` is an interpreter that has litellm and genai-prices (`pip install litellm genai-prices` in an environment
of its own); without one, or without one of the two, their columns stay empty. Each calculator runs in processes of
its own, in turns; shown is the median of the rounds. Absolute times move with the load of the machine, so the ratios
are what to compare; the bars are for a machine that does nothing else. With `--strict` a missed bar is a failure.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
UV = ROOT / ".venv" / "bin" / "uv"
Figures = dict[str, float]

# The calls that are priced: (name, model, tokens in, cached, tokens out, reasoning).
SIMPLE = ("gpt-4o-mini", 1000, 0, 100, 0)
RICH = ("gpt-5.4", 300_000, 100_000, 900, 400)


class Line(NamedTuple):
    """One line of what is printed: a figure of ours, its bar, and the figures of others that it is held against."""

    name: str
    key: str
    bar: float
    unit: str
    others: tuple[str, ...] = ()


NO_BAR = float("inf")
LINES = (
    Line("a price: simple", "simple", 2.0, "us", ("litellm simple", "genai simple")),
    Line("a price: cached, reasoning, above a tier", "rich", 5.0, "us", ("litellm rich", "genai rich")),
    Line("a price: 99th percentile, mixed", "p99", 20.0, "us"),
    Line("the first price of a model: median", "cold", 20.0, "us"),
    Line("an unknown model", "unknown", 2.0, "us", ("litellm unknown", "genai unknown")),
    Line("cost_per_token()", "cost_per_token", NO_BAR, "us", ("litellm simple",)),
    Line("completion_cost() of an answer", "completion_cost", NO_BAR, "us", ("litellm completion_cost",)),
    Line("the table: load", "load", 30.0, "ms"),
    Line("the table: memory", "memory", 8.0, "MiB"),
    Line("the table: packed", "table", 200.0, "kB"),
    Line("the vocabularies: packed", "vocabularies", 1300.0, "kB"),
    Line("the wheel", "wheel", 2048.0, "kB"),
    Line("import of the package", "import", NO_BAR, "ms", ("litellm import", "genai import")),
    Line("heavy modules that it imports", "heavy", 0.0, ""),
    Line("import of Spend, the database's too", "import of Spend", NO_BAR, "ms", ("litellm import",)),
    Line("tokenizer or web framework with it", "tokenizer", 0.0, ""),
    Line("sockets that it or a price opens", "sockets", 0.0, ""),
    Line("counting 1 MB of one letter", "letters", 500.0, "ms"),
    Line("counting 1 MB of blanks", "blanks", 500.0, "ms"),
)


def median_us(work: Callable[[], object], seconds: float = 0.25) -> float:
    """Return the median microseconds of one call of some work, in batches, within about so many seconds."""
    work()
    begin = time.perf_counter()
    work()
    batch = max(1, int(0.002 / max(time.perf_counter() - begin, 1e-7)))
    taken, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        for _ in range(batch):
            work()
        taken.append((time.perf_counter() - begin) / batch)
    return statistics.median(taken) * 1e6


def memory_kib() -> int:
    """Return the resident memory of this process in KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def answer_of(model: str, given: int, cached: int, said: int, thought: int) -> dict[str, Any]:
    """Return a chat completion with such a usage."""
    usage = {
        "prompt_tokens": given,
        "completion_tokens": said,
        "total_tokens": given + said,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    message = {"role": "assistant", "content": "Fine."}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": model}
    return {**head, "choices": choices, "usage": usage}


# -- ours


def watch_sockets(seen: list[str]) -> None:
    """Note each socket that this process opens from now on."""
    sys.addaudithook(lambda event, args: seen.append(event) if event.startswith("socket.") else None)


def measure_ours() -> Figures:
    """Return our figures."""
    sockets: list[str] = []
    watch_sockets(sockets)
    # What every service that calls an LLM has loaded already.
    import httpx2  # noqa: F401
    import pydantic  # noqa: F401

    begin = time.perf_counter()
    import spend_middleware

    found: Figures = {"import": (time.perf_counter() - begin) * 1e3}
    heavy = {"tiktoken", "sqlalchemy", "sqlmodel", "fastapi", "litellm", "genai_prices"}
    found["heavy"] = len(heavy & set(sys.modules))
    begin = time.perf_counter()
    _ = spend_middleware.Spend
    found["import of Spend"] = (time.perf_counter() - begin) * 1e3
    found["tokenizer"] = "tiktoken" in sys.modules or "fastapi" in sys.modules
    from spend_middleware.call import Usage
    from spend_middleware.pricing.book import PriceBook

    gc.collect()
    before, begin = memory_kib(), time.perf_counter()
    book = PriceBook()
    found["load"] = (time.perf_counter() - begin) * 1e3
    gc.collect()
    found["memory"] = (memory_kib() - before) / 1024
    found |= prices_of(book, Usage)
    asked, answered = SIMPLE, answer_of(*SIMPLE)
    found["cost_per_token"] = median_us(
        lambda: spend_middleware.cost_per_token(asked[0], prompt_tokens=asked[1], completion_tokens=asked[3])
    )
    found["completion_cost"] = median_us(lambda: spend_middleware.completion_cost(answered))
    found["sockets"] = len(sockets)
    return found | counting()


def prices_of(book: Any, usage_of: Any) -> Figures:
    """Return the microseconds of lookup and calculation for questions that are there already."""
    from spend_middleware.pricing.query import PriceQuery

    def ask(model: str, given: int, cached: int, said: int, thought: int, provider: str = "openai") -> Any:
        usage = usage_of(
            input_tokens=given, cache_read_tokens=cached, output_tokens=said, reasoning_tokens=thought
        )
        return PriceQuery(provider=provider, models=(model,), usage=usage, at=now)

    now = time.time()
    questions = {"simple": ask(*SIMPLE), "rich": ask(*RICH), "unknown": ask("gpt-99", *SIMPLE[1:])}
    found = {name: median_us(partial(book.price, asked)) for name, asked in questions.items()}
    models = [(key, provider) for key, provider, mode in book.models(now) if mode == "chat"][:1500]
    firsts = [ask(key, *RICH[1:], provider=provider) for key, provider in models]
    found["cold"] = statistics.median(each_us(book, firsts))
    mixed = [*questions.values()] * 2000 + firsts
    found["p99"] = statistics.quantiles(each_us(book, mixed), n=100)[98]
    return found


def each_us(book: Any, questions: list[Any]) -> list[float]:
    """Return the microseconds of each of many prices, one by one."""
    clock, taken = time.perf_counter, []
    for asked in questions:
        begin = clock()
        book.price(asked)
        taken.append((clock() - begin) * 1e6)
    return taken


def counting() -> Figures:
    """Return the milliseconds of counting what other tokenizers choke on, the vocabulary loaded."""
    from spend_middleware.pricing.estimate import count_text

    found = {}
    for name, letter in (("letters", "a"), ("blanks", " ")):
        count_text("warm", "gpt-4o")
        begin = time.perf_counter()
        count_text(letter * 1_000_000, "gpt-4o")
        found[name] = (time.perf_counter() - begin) * 1e3
    return found


def sizes() -> Figures:
    """Return the sizes of what is shipped, kB."""
    folder = ROOT / "src" / "spend_middleware" / "pricing" / "data"
    found = {
        "table": (folder / "prices.json.gz").stat().st_size / 1000,
        "vocabularies": sum(path.stat().st_size for path in folder.glob("*.xz")) / 1000,
    }
    with tempfile.TemporaryDirectory() as target:
        build = [str(UV), "build", "--quiet", "--wheel", "--out-dir", target, str(ROOT)]
        done = subprocess.run(build, check=False, capture_output=True) if UV.exists() else None
        wheels = list(Path(target).glob("*.whl"))
        if done is not None and done.returncode == 0 and wheels:
            found["wheel"] = wheels[0].stat().st_size / 1000
    return found


# -- the others


def measure_litellm() -> Figures:
    """Return litellm's figures, with its bundled map."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import pydantic  # noqa: F401

    begin = time.perf_counter()
    litellm: Any = importlib.import_module("litellm")
    found = {"litellm import": (time.perf_counter() - begin) * 1e3}
    litellm.suppress_debug_info = True
    for name, asked in (("simple", SIMPLE), ("rich", RICH)):
        model, given, cached, said, _ = asked
        counts = {"prompt_tokens": given, "completion_tokens": said, "cache_read_input_tokens": cached}
        found[f"litellm {name}"] = median_us(partial(litellm.cost_per_token, model=model, **counts))
    response = litellm.ModelResponse(**answer_of(*SIMPLE))
    found["litellm completion_cost"] = median_us(lambda: litellm.completion_cost(response))
    found["litellm unknown"] = median_us(
        lambda: raising(lambda: litellm.cost_per_token(model="gpt-99", prompt_tokens=9, completion_tokens=9))
    )
    return found


def measure_genai() -> Figures:
    """Return the figures of genai-prices."""
    import pydantic  # noqa: F401

    begin = time.perf_counter()
    genai_prices: Any = importlib.import_module("genai_prices")
    found = {"genai import": (time.perf_counter() - begin) * 1e3}
    for name, asked in (("simple", SIMPLE), ("rich", RICH)):
        model, given, cached, said, _ = asked
        usage = genai_prices.Usage(input_tokens=given, output_tokens=said, cache_read_tokens=cached)
        found[f"genai {name}"] = median_us(
            partial(genai_prices.calc_price, usage, model, provider_id="openai")
        )
    found["genai unknown"] = median_us(
        lambda: raising(lambda: genai_prices.calc_price(usage, "gpt-99", provider_id="openai"))
    )
    return found


def raising(work: Callable[[], object]) -> None:
    """Do some work whose answer may be an error."""
    try:
        work()
    except Exception:
        return


MEASURES: Mapping[str, Callable[[], Figures]] = {
    "ours": measure_ours,
    "litellm": measure_litellm,
    "genai": measure_genai,
}


# -- the run


def has(python: str, module: str) -> bool:
    """Return whether an interpreter can import a module."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", look], check=False, capture_output=True).returncode == 0


def measured(python: str, name: str) -> Figures:
    """Run one measurement in a process of its own."""
    command = [python, str(Path(__file__).resolve()), "--measure", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def run(python: str, rounds: int) -> Figures:
    """Return the median of each figure over rounds in which everybody has a turn."""
    turns = [(sys.executable, "ours")]
    for name, module, package in (
        ("litellm", "litellm", "litellm"),
        ("genai", "genai_prices", "genai-prices"),
    ):
        if has(python, module):
            turns.append((python, name))
        else:
            print(f"{package} is not in {python}: give --python an interpreter that has it.")
    seen: dict[str, list[float]] = {}
    for _ in range(rounds):
        for interpreter, name in turns:
            for key, value in measured(interpreter, name).items():
                seen.setdefault(key, []).append(value)
    return {key: statistics.median(values) for key, values in seen.items()} | sizes()


def shown(line: Line, figures: Figures) -> tuple[str, bool]:
    """Return a line as text, and whether its bar is held."""
    value = figures.get(line.key)
    if value is None:
        return f"{line.name:42} not measured", True
    held = value <= line.bar
    text = f"{line.name:42} {value:9.2f} {line.unit:3}"
    text += f"  bar {line.bar:7.0f} {'held' if held else 'MISSED'}" if line.bar < NO_BAR else " " * 18
    for key in line.others:
        if key in figures:
            text += f"   {key} {figures[key]:.1f} {line.unit} = {figures[key] / value:.1f}x"
    return text, held


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter with litellm and genai-prices")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--strict", action="store_true", help="fail when a bar is missed")
    parser.add_argument("--measure", choices=MEASURES, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(MEASURES[chosen.measure]()))
        return 0
    figures = run(chosen.python, chosen.rounds)
    missed = 0
    for line in LINES:
        text, held = shown(line, figures)
        missed += not held
        print(text)
    for name in ("simple", "rich"):
        others = [figures[f"{who} {name}"] for who in ("litellm", "genai") if f"{who} {name}" in figures]
        if others:
            factor = min(others) / figures[name]
            missed += factor < 10
            print(f"{name}: {factor:.0f}x faster than the faster of the two, bar 10x")
    return int(chosen.strict and missed > 0)


if __name__ == "__main__":
    sys.exit(main())

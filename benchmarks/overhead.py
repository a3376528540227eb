"""What a metered call costs beside a bare one: CPU microseconds a call, with the row in SQLite.

A bare client and ours run in turn, in rounds, in shuffled order; CPU is that of all threads, with the rows flushed
inside the block. Through the SDK each runs in live processes of its own, three of each: where a process happens to have
its memory makes one of a kind dearer than the next by some hundredths. A few calls that do not count come first in each
block. Shown are medians over the rounds. Absolute times move with the load of the machine, so the ratios are what to
compare; "noise" is how far bare clients are from each other.

On a machine whose neighbours are loud that noise is larger than what is looked for. Two more lines therefore toss for each
single call whether it is metered, in one process, and compare the medians of its CPU on the calling thread; what our
other threads took, by metered call, is added.

    python benchmarks/overhead.py [--rounds 15] [--only whole]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2
import openai

from spend_middleware import Spend
from spend_middleware.guard import faults

TESTS = Path(__file__).parent.parent / "tests"
CHUNKS = 200
ASK: Any = [{"role": "user", "content": "Say what spend is, in the words of an accountant. " * 12}]
Run = Callable[[int], Awaitable[None]]
Cost = Callable[[int], Awaitable[float]]
"""Makes so many calls, and returns the CPU microseconds of one, of all threads."""

PROCESSES = 3
"""Live processes of a kind through the SDK."""


@dataclass
class Case:
    """One thing to measure: the same calls bare and with us, and the limit on what we add.

    Args:
        calls: So many in a block.
        bare: Bare clients, two or more: they tell how much of a difference is noise.
    """

    name: str
    calls: int
    bare: list[Cost]
    ours: list[Cost]
    limit: float
    limit_ratio: float | None = None


def cost_of(run: Run, flush: Callable[[], object] = lambda: None) -> Cost:
    """Return what measures a run in this process, with what `flush` makes of it."""

    async def cost(calls: int) -> float:
        await run(max(3, calls // 10))
        flush()
        start = time.process_time_ns()
        await run(calls)
        # The loop is blocked meanwhile, as nothing else is to be measured.
        flush()
        return (time.process_time_ns() - start) / 1000 / calls

    return cost


# -- in-process transport


def answer_of(size: int) -> bytes:
    """Return a chat completion of about `size` bytes."""
    message = {"role": "assistant", "content": "x" * (size - 400)}
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 80, "total_tokens": 200},
    }
    return json.dumps(answer).encode()


def events() -> list[bytes]:
    """Return the events of a stream of `CHUNKS` chunks, with usage."""
    event = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "gpt-4o-2024-08-06",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": {"content": " word"}, "logprobs": None, "finish_reason": None}],
        "usage": None,
    }
    usage = {"prompt_tokens": 120, "completion_tokens": 200, "total_tokens": 320}
    last = {**event, "choices": [], "usage": usage}
    told = [b"data: " + json.dumps(part).encode() + b"\n\n" for part in [event] * CHUNKS + [last]]
    return [*told, b"data: [DONE]\n\n"]


class Canned(httpx2.AsyncBaseTransport):
    """Answers at once, with the headers that OpenAI sends."""

    def __init__(self, kind: str, chunks: list[bytes]) -> None:
        self.headers = [
            ("date", "Sat, 21 Nov 2026 12:00:00 GMT"),
            ("content-type", kind),
            ("openai-organization", "acme"),
            ("openai-processing-ms", "312"),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-request-id", "req_0123456789abcdef"),
            ("set-cookie", "__cf_bm=1; path=/; HttpOnly"),
            ("set-cookie", "_cfuvid=2; path=/; HttpOnly"),
            ("server", "cloudflare"),
        ]
        self.chunks = chunks

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=self.headers, stream=Body(self.chunks), request=request)


class Body(httpx2.AsyncByteStream):
    """Chunks that are there already."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br, zstd",
    "authorization": "Bearer sk-bench",
    "content-type": "application/json",
    "user-agent": "AsyncOpenAI/Python 3.54.0",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "3.54.0",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-retry-count": "0",
}


def body_of(stream: bool = False, times: int = 1, **more: object) -> bytes:
    """Return a request whose prompt is `times` as long as the usual one."""
    asked = {"model": "gpt-4o", "messages": ASK * times, "stream": stream, "user": "palantir", **more}
    return json.dumps(asked).encode()


def through(transport: Any, content: bytes) -> Run:
    """Send requests straight through a transport and read their answers."""
    url = "https://api.openai.com/v1/chat/completions"

    async def run(calls: int) -> None:
        for _ in range(calls):
            request = httpx2.Request("POST", url, headers=HEADERS, content=content)
            response = await transport.handle_async_request(request)
            await response.aread()

    return run


def transport_cases(spend: Spend) -> Iterator[Case]:
    """Give the cases without a network and without an SDK."""
    json_, sse, small = "application/json", "text/event-stream", [answer_of(1500)]
    tagged = body_of(
        times=90, metadata={"tags": ["jobID:214590dsff09fds", "taskName:run_page_classification"]}
    )
    for name, calls, asked, kind, chunks, limit, ratio in (
        ("transport, whole 1.5 KB", 300, body_of(), json_, small, 20.0, 2.5),
        ("transport, whole 60 KB", 200, body_of(), json_, [answer_of(60_000)], 35.0, None),
        # The first line's, and what a parse and a dump of 53 KB take.
        ("transport, tags and 60 KB of prompt", 200, tagged, json_, small, 55.0, None),
        ("transport, stream", 100, body_of(stream=True), sse, events(), 25 + 0.15 * (CHUNKS + 2), None),
    ):
        inner = Canned(kind, chunks)
        bare = cost_of(through(inner, asked))
        ours = cost_of(through(spend.transport(inner), asked), partial(spend.flush, 60))
        yield Case(name, calls, [bare, bare], [ours], limit, ratio)


# -- the openai SDK over loopback


def serve(pipe: Connection, text: str) -> None:
    """Run the stand-in in a process of its own, whose CPU is not counted."""
    sys.path.insert(0, str(TESTS))
    from standin import Standin

    with Standin(text=text, words=CHUNKS) as standin:
        pipe.send(standin.port)
        pipe.recv()


@contextmanager
def standing_in(text: str) -> Iterator[str]:
    """Give the URL of a stand-in whose whole answers have this text."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, text), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/openai/v1"
    finally:
        here.send("enough")
        process.join()


def spoken(url: str, asynchronous: bool, stream: bool, through: Any = None) -> Run:
    """Send chat completions through the openai SDK, and through a client of its HTTP library if one is given."""
    kept: list[Any] = []
    options: Any = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}

    async def run_async(calls: int) -> None:
        client = kept[0] if kept else openai.AsyncOpenAI(api_key="k", base_url=url, http_client=through)
        kept[:] = [client]
        for _ in range(calls):
            answer: Any = await client.chat.completions.create(
                model="gpt-4o", messages=ASK, user="palantir", **options
            )
            if stream:
                async for _ in answer:
                    pass

    async def run_sync(calls: int) -> None:
        client = kept[0] if kept else openai.OpenAI(api_key="k", base_url=url, http_client=through)
        kept[:] = [client]
        for _ in range(calls):
            answer: Any = client.chat.completions.create(
                model="gpt-4o", messages=ASK, user="palantir", **options
            )
            if stream:
                for _ in answer:
                    pass

    return run_async if asynchronous else run_sync


def ask_sdk(pipe: Connection, small: str, large: str, folder: str | None) -> None:
    """Measure, in a process of its own, the calls that come through the pipe; metered where there is a folder."""
    flush: Callable[[], object] = lambda: None  # noqa: E731 - a flush of nothing
    if folder is not None:
        spend = Spend(f"sqlite:///{folder}/spend.db", providers={"127.0.0.1": "openai"})
        spend.instrument()
        flush = partial(spend.flush, 60)
    costs = [
        cost_of(spoken(large if big else small, asynchronous, stream), flush)
        for _, _, big, asynchronous, stream, _, _ in SDK_CASES
    ]
    with asyncio.Runner() as runner:
        while (asked := pipe.recv()) is not None:
            case, calls = asked
            pipe.send(runner.run(costs[case](calls)))
    pipe.send({} if folder is None else told(spend))
    if folder is not None:
        spend.close()


def told(spend: Spend) -> dict[str, object]:
    """Return what shows that a process recorded all its calls."""
    health = spend.health()
    return {
        **{name: health[name] for name in ("written", "pending", "refused", "unjournaled", "degraded")},
        "faults": dict(faults),
    }


@contextmanager
def live(small: str, large: str, folder: str | None) -> Iterator[Connection]:
    """Give the pipe to a process that calls through the SDK."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=ask_sdk, args=(there, small, large, folder), daemon=True)
    process.start()
    try:
        yield here
    finally:
        here.send(None)
        health = here.recv()
        if health:
            print(health)
        process.join()


def asked_of(pipe: Connection, case: int) -> Cost:
    """Return what has a live process measure a case."""

    async def cost(calls: int) -> float:
        pipe.send((case, calls))
        found: float = pipe.recv()
        return found

    return cost


SDK_CASES = (
    ("openai SDK, async, whole 1.5 KB", 300, False, True, False, 50.0, 1.08),
    ("openai SDK, sync, whole 1.5 KB", 300, False, False, False, 50.0, 1.08),
    ("openai SDK, async, whole 60 KB", 200, True, True, False, 65.0, 1.08),
    ("openai SDK, async, stream", 10, False, True, True, 50 + 0.15 * (CHUNKS + 4), None),
)
"""Name, calls in a block, whether the answer is large, whether the client is asynchronous, whether it streams, limits."""


def sdk_cases(bare: Sequence[Connection], ours: Sequence[Connection]) -> Iterator[Case]:
    """Give the cases through the openai SDK."""
    for at, (name, calls, _, _, _, limit, ratio) in enumerate(SDK_CASES):
        costs, own = ([asked_of(pipe, at) for pipe in pipes] for pipes in (bare, ours))
        yield Case(name, calls, costs, own, limit, ratio)


# -- measuring


async def measure(case: Case, rounds: int) -> bool:
    """Run one case and print its line; True when it is within its limit."""
    contenders = [("bare", at, cost) for at, cost in enumerate(case.bare)]
    contenders += [("ours", at, cost) for at, cost in enumerate(case.ours)]
    seen: dict[str, list[float]] = {"bare": [], "ours": [], "noise": []}
    for _ in range(rounds):
        now: dict[str, list[float]] = {"bare": [], "ours": []}
        for kind, _, cost in random.sample(contenders, len(contenders)):
            now[kind].append(await cost(case.calls))
        seen["noise"].append(max(now["bare"]) - min(now["bare"]))
        for kind, costs in now.items():
            seen[kind].append(statistics.median(costs))
    bare = statistics.median(seen["bare"])
    noise = statistics.median(seen["noise"])
    added = statistics.median(o - b for o, b in zip(seen["ours"], seen["bare"], strict=True))
    ratio = statistics.median(o / b for o, b in zip(seen["ours"], seen["bare"], strict=True))
    least = min(seen["ours"]) - min(seen["bare"])
    return told_of(case.name, bare, added, least, ratio, noise, case.limit, case.limit_ratio)


def told_of(
    name: str,
    bare: float,
    added: float,
    least: float | None,
    ratio: float,
    noise: float,
    limit: float,
    limit_ratio: float | None,
) -> bool:
    """Print a line; True when it is within its limit."""
    allowed = f"{limit:6.0f}" + (f"  x{limit_ratio:.2f}" if limit_ratio else "       ")
    within = added <= limit and (limit_ratio is None or ratio <= limit_ratio)
    least_of_all = " " * 9 if least is None else f"{least:+9.1f}"
    print(
        f"{name:36}{bare:9.1f}{bare + added:9.1f}{added:+9.1f}{least_of_all}  x{ratio:5.2f}{noise:9.1f}"
        f"  {allowed:14}{'within' if within else 'OVER'}",
        flush=True,
    )
    return within


BY_CALL = (
    ("openai SDK, async, call by call", True, 50.0, 1.08),
    ("openai SDK, sync, call by call", False, 50.0, 1.08),
)
"""Name, whether the client is asynchronous, limits."""

CALLS_A_ROUND = 450
"""Two thirds of them are metered, as many as are in a block above: in a service all are, and what seldom runs is cold."""


def clients(asynchronous: bool) -> dict[str, Any]:
    """Give clients that are metered once `Spend.instrument` was called, and such as are not; call it before."""
    own: Any = openai.DefaultAsyncHttpxClient if asynchronous else openai.DefaultHttpxClient
    # A method of its own hides the one of its parent, whatever becomes of that.
    bare: Any = type("Bare", (own,), {"send": own.send})
    return {"ours": type("Ours", (own,), {})(), "bare": bare(), "again": bare()}


async def measure_by_call(case: tuple[str, bool, float, float], folder: str, url: str, rounds: int) -> bool:
    """Toss for each call whether it is metered, and print the line; True when it is within its limit."""
    name, asynchronous, limit, limit_ratio = case
    runs = {kind: spoken(url, asynchronous, False, client) for kind, client in clients(asynchronous).items()}
    with Spend(f"sqlite:///{folder}/spend.db", providers={"127.0.0.1": "openai"}) as spend:
        spend.instrument()
        for at in range(rounds + 1):
            if at < 2:  # the first round is to get warm
                seen: dict[str, list[int]] = {kind: [] for kind in runs}
                others = 0
            began = time.process_time_ns() - time.thread_time_ns()
            for kind in random.choices(
                list(runs), weights=[4 if kind == "ours" else 1 for kind in runs], k=CALLS_A_ROUND
            ):
                start = time.thread_time_ns()
                await runs[kind](1)
                seen[kind].append(time.thread_time_ns() - start)
            spend.flush(60)
            others += time.process_time_ns() - time.thread_time_ns() - began
        spend.uninstrument()
        print(told(spend))
    bare, again, ours = (statistics.median(seen[kind]) / 1000 for kind in ("bare", "again", "ours"))
    noise, bare = abs(bare - again), (bare + again) / 2
    added = ours - bare + others / 1000 / len(seen["ours"])
    return told_of(name, bare, added, None, 1 + added / bare, noise, limit, limit_ratio)


HEAD = f"{'CPU microseconds a call':34}{'bare':>9}{'ours':>9}{'added':>9}{'least':>9}{'ratio':>8}{'noise':>9}  {'limit':14}"


async def measure_all(rounds: int, only: str) -> bool:
    """Measure every case whose name holds `only`."""
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        with Spend(f"sqlite:///{folder}/spend.db") as spend:
            results = [await measure(case, rounds) for case in transport_cases(spend) if only in case.name]
            print(told(spend))
        if any(only in name for name, *_ in SDK_CASES):
            results += await measure_sdk(folder, rounds, only)
        by_call = [case for case in BY_CALL if only in case[0]]
        if by_call:
            with standing_in("x" * 1100) as url:
                for case in by_call:
                    own = tempfile.mkdtemp(dir=folder)
                    results.append(await measure_by_call(case, own, url, rounds))
    print(f"Python {sys.version.split()[0]}")
    return all(results) and not faults


async def measure_sdk(folder: str, rounds: int, only: str) -> list[bool]:
    """Measure the cases through the SDK, in live processes."""
    with ExitStack() as stack:
        small, large = (stack.enter_context(standing_in("x" * size)) for size in (1100, 59_600))
        places = [tempfile.mkdtemp(dir=folder) for _ in range(PROCESSES)]
        bare = [stack.enter_context(live(small, large, None)) for _ in places]
        ours = [stack.enter_context(live(small, large, place)) for place in places]
        return [await measure(case, rounds) for case in sdk_cases(bare, ours) if only in case.name]


def main() -> None:
    """Measure, and leave with 1 when a limit is broken and `--strict` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--strict", action="store_true", help="leave with 1 when a limit is broken")
    asked = parser.parse_args()
    within = asyncio.run(measure_all(asked.rounds, asked.only))
    raise SystemExit(0 if within or not asked.strict else 1)


if __name__ == "__main__":
    main()

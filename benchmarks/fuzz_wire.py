"""Feed every reader of wire formats made-up answers by the hundred thousand, and price what they read.

None may raise, count nonsense, or cost what its charge lines do not add up to.

    python benchmarks/fuzz_wire.py                        # 100,000 bodies for each format
    python benchmarks/fuzz_wire.py --bodies 2000 bedrock  # fewer, and only the formats whose name has the word

Every body is made from a seed and its number, so that a failure names the one command that shows it again.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from spend_middleware import wire
from spend_middleware.call import USAGE_COUNTS, Usage, to_pico
from spend_middleware.costs import exact
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.wire import READERS, Reading, Received, Route, Sent

WIRE = Path(__file__).parents[1] / "src" / "spend_middleware" / "wire"
ODD = (
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    10**6,
    2**63,
    2**70,
    -(2**70),
    0.5,
    -2.5,
    1e308,
    float("inf"),
    float("nan"),
)
TEXTS = (
    "",
    "x",
    "12",
    "-3",
    "1e999",
    "completed",
    "succeeded",
    "done",
    "1h",
    "5m",
    "auto",
    "tokens",
    "TEXT",
    "\u0000",
    "é",
)
# Where readers look first; without them hardly a made-up answer would reach the rules behind.
DOORS = (
    "usage",
    "usageMetadata",
    "meta",
    "metadata",
    "message",
    "response",
    "results",
    "result",
    "delta",
    "type",
    "status",
    "id",
)
KINDS = (
    "application/json",
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
    "",
)

# What is billed in as many ways as there are: provider, model, operation.
MODELS = (
    ("openai", "gpt-6.1-sol", "responses"),
    ("anthropic", "claude-opus-4-6", "completion"),
    ("gemini", "gemini-2.5-pro", "completion"),
    ("vertex_ai", "text-embedding-004", "embedding"),
    ("bedrock", "amazon.nova-pro-v1:0", "completion"),
    ("dashscope", "qwen3-max", "completion"),
    ("deepseek", "deepseek-v4-pro", "completion"),
    ("openai", "whisper-1", "transcription"),
    ("openai", "tts-1", "speech"),
    ("openai", "gpt-image-1.5", "image_generation"),
    ("openai", "dall-e-3", "image_generation"),
    ("openai", "sora-2", "video_generation"),
    ("cohere", "rerank-v3.5", "rerank"),
    ("mistral", "mistral-ocr-latest", "ocr"),
    ("bedrock", "guardrails", "guardrail"),
    ("nobody", "no such model", "completion"),
)
AT = 1_795_000_000.0


def words() -> list[str]:
    """Return every quoted word of the readers' source: the keys and values that they look for."""
    found: set[str] = set()
    for file in WIRE.glob("*.py"):
        for line in file.read_text().split("\n"):
            found.update(part for part in line.split('"')[1::2] if 0 < len(part) < 40 and " " not in part)
    return sorted(found)


def value_of(rng: random.Random, keys: list[str], depth: int) -> Any:
    """Return any JSON value, mostly an object as long as there is depth."""
    roll = rng.random()
    if depth <= 0 or roll < 0.25:
        return rng.choice(ODD) if rng.random() < 0.7 else rng.choice(TEXTS + tuple(keys[:50]))
    if roll < 0.4:
        return [value_of(rng, keys, depth - 1) for _ in range(rng.randrange(3))]
    return {
        rng.choice(DOORS if rng.random() < 0.4 else keys): value_of(rng, keys, depth - 1)
        for _ in range(rng.randrange(1, 7))
    }


def frame_of(kind: str, body: bytes) -> bytes:
    """Return one sound frame of an AWS event stream."""
    headers = b"\x0b:event-type\x07" + len(kind).to_bytes(2) + kind.encode()
    prelude = (16 + len(headers) + len(body)).to_bytes(4) + len(headers).to_bytes(4)
    whole = prelude + crc32(prelude).to_bytes(4) + headers + body
    return whole + crc32(whole).to_bytes(4)


def body_of(rng: random.Random, value: Any) -> bytes:
    """Return a value as one of the bodies that providers send, now and then cut or damaged."""
    text = json.dumps(value).encode()
    wrapped = json.dumps({"bytes": base64.b64encode(text).decode()}).encode()
    body = rng.choice(
        (
            text,
            text,
            b"data: " + text + b"\n\ndata: [DONE]\n\n",
            b"event: x\r\ndata: " + text + b"\r\n\r\n",
            text + b"\n" + text + b"\n",
            frame_of("metadata", text) + frame_of("chunk", wrapped) + frame_of("trace", text),
        )
    )
    if rng.random() < 0.2:
        body = body[: rng.randrange(len(body) + 1)]
    if body and rng.random() < 0.1:
        at = rng.randrange(len(body))
        body = body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]
    return body


def problems(reading: Reading) -> Iterator[str]:
    """Yield what no reading may say."""
    for one in (reading, *reading.more):
        if one.usage is not None:
            yield from _nonsense(one.usage)
        if one.visible_text is not None and not isinstance(one.visible_text(), str):
            yield "visible_text gives no text"
        if one.reported_cost is not None and not (one.reported_cost.is_finite() and one.reported_cost >= 0):
            yield f"reported_cost {one.reported_cost}"


def _nonsense(usage: Usage) -> Iterator[str]:
    counts = {
        name: count for name, count in zip(USAGE_COUNTS, usage.counts(), strict=True) if count is not None
    }
    yield from (f"{name} {count}" for name, count in counts.items() if type(count) is not int or count < 0)
    yield from (f"unit {name} {count}" for name, count in usage.units.items() if not 0 <= count <= 10**21)
    for _, inner in usage.passes:
        yield from _nonsense(inner)


def mispriced(rng: random.Random, reading: Reading) -> Iterator[str]:
    """Yield what is wrong with the price of what was read, for a model of any kind."""
    provider, model, operation = rng.choice(MODELS)
    for one in (reading, *reading.more):
        if one.usage is None:
            continue
        query = PriceQuery(
            provider=provider,
            models=(model,),
            usage=one.usage,
            operation=operation,
            at=AT,
            service_tier=one.service_tier,
            batch=one.batch,
            reported_cost=one.reported_cost if rng.random() < 0.5 else None,
        )
        cost = PriceBook.bundled().price(query)
        if cost.amount is None:
            if not cost.reason:
                yield "unpriced without a reason"
        elif not (cost.amount.is_finite() and cost.amount >= 0):
            yield f"costs {cost.amount}"
        elif to_pico(exact(list(cost.charges))) != to_pico(cost.amount):
            yield f"{cost.amount} is not the sum of its lines"


def one_body(wire_format: str, number: int, seed: int, keys: list[str]) -> str | None:
    """Read the numbered body of a format; return what is wrong, None when nothing is."""
    rng = random.Random(f"{seed}/{wire_format}/{number}")
    route = Route(
        provider="openai", operation="completion", wire_format=wire_format, follow_up=rng.random() < 0.3
    )
    asked = value_of(rng, keys, 3)
    sent = Sent(url="https://x/v1/y?model=a", content=asked if isinstance(asked, dict) else None)
    received = Received(
        status=rng.choice((200, 200, 200, 200, 404)),
        headers={"content-type": rng.choice(KINDS)},
        body=body_of(rng, value_of(rng, keys, 5)),
    )
    try:
        READERS[wire_format](route, sent, received)
        reading = wire.read(route, sent, received)
        wire.is_no_answer(route, received)
        return next(problems(reading), None) or next(mispriced(rng, reading), None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main() -> int:
    """Run the formats that were asked for; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("word", nargs="?", default="", help="only the formats whose name has this word")
    parser.add_argument("--bodies", type=int, default=100_000, help="how many bodies for each format")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other bodies")
    options = parser.parse_args()
    keys, bad = words(), 0
    for wire_format in sorted(name for name in READERS if options.word in name):
        began, failed = time.perf_counter(), 0
        for number in range(options.bodies):
            wrong = one_body(wire_format, number, options.seed, keys)
            if wrong is not None:
                failed += 1
                if failed <= 3:
                    print(f"  {wire_format} body {number}: {wrong}")
        bad += failed
        took = time.perf_counter() - began
        print(f"{wire_format:28} {options.bodies:>8} bodies {failed:>6} failed {took:8.1f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

"""Prices cases from a file through the public path (wire body, then usage, then units) and compares the totals.

    python scripts/check_prices.py CASES.jsonl [...]

One JSON object a line: `provider`, `model` (as asked of that provider), `call_type`, `at` (completion time), and the
answer as `wire` {format, body, path_model?}, as `usage` in OpenAI's shape, or as `units`; `options` such as
custom_pricing, base_model, service_tier, batch, vertex_location, api_base, cost_discount_config, cost_margin_config;
`expected.total` or `expected_total` in USD, null for unpriced.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from spend_middleware.call import NO_USAGE, Unit, Usage
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.wire import Reading, Received, Route, Sent, read

_UNITS = {
    "images": Unit.OUTPUT_IMAGES,
    "video_count": Unit.OUTPUT_VIDEOS,
    "characters": Unit.INPUT_CHARACTERS,
    "pages": Unit.PAGES,
    "annotated_pages": Unit.ANNOTATED_PAGES,
    "credits": Unit.OCR_CREDITS,
    "queries": Unit.QUERIES,
    "max_results": Unit.SEARCH_RESULTS,
    "search_units": Unit.SEARCH_UNITS,
}
_TRAITS = ("size", "quality", "steps", "resolution", "mode")
_GROQ_TOOLS = {"browser.search": Unit.WEB_SEARCHES, "browser.open": Unit.WEB_PAGES_OPENED}


@cache
def _book(discounts: str, margins: str) -> PriceBook:
    return PriceBook(discounts=json.loads(discounts), margins=json.loads(margins))


def price(case: Mapping[str, Any]) -> float | None:
    """Return what a case costs in USD; None when it is unpriced."""
    options = case.get("options") or {}
    book = _book(
        json.dumps(options.get("cost_discount_config") or {}, sort_keys=True),
        json.dumps(options.get("cost_margin_config") or {}, sort_keys=True),
    )
    amount = book.price(query_of(case)).amount
    return None if amount is None else float(amount)


def query_of(case: Mapping[str, Any]) -> PriceQuery:
    """Return what the price book is asked for a case."""
    options = case.get("options") or {}
    reading = _reading(case)
    usage = reading.usage or NO_USAGE
    units = case.get("units") or {}
    if reading.usage is None or case.get("wire") is None:
        usage = _with_units(usage, units, str(case.get("call_type")))
    usage = _with_options(usage, options)
    path_model = (case.get("wire") or {}).get("path_model")
    residency = options.get("data_residency")
    return PriceQuery(
        provider=case.get("provider"),
        models=tuple(dict.fromkeys(m for m in (path_model, case["model"]) if m)),
        usage=usage,
        operation=str(case.get("call_type") or "completion"),
        at=datetime.fromisoformat(case["at"]).timestamp(),
        service_tier=reading.service_tier or options.get("service_tier"),
        batch=bool(options.get("batch")),
        region=options.get("vertex_location") or options.get("region_name") or options.get("aws_region_name"),
        api_base=options.get("api_base") or (f"https://{residency}.api.openai.com/v1" if residency else None),
        base_model=options.get("base_model"),
        reported_cost=reading.reported_cost,
        response_seconds=units.get("response_seconds"),
        custom_pricing=options.get("custom_pricing"),
    )


def _reading(case: Mapping[str, Any]) -> Reading:
    """Return what the wire body says; a usage in OpenAI's shape is read as the body that would carry it."""
    wire = case.get("wire")
    if wire is None and case.get("usage"):
        wire = {"format": "openai.chat", "body": {"object": "chat.completion", "usage": case["usage"]}}
    if wire is None:
        return Reading()
    route = Route(
        provider=case.get("provider") or "openai",
        operation=str(case.get("call_type") or "completion"),
        wire_format=wire["format"],
        model=wire.get("path_model") or case["model"],
    )
    sent = Sent(url="https://provider.example/v1", content={"model": case["model"]})
    body = json.dumps(wire["body"]).encode()
    return read(route, sent, Received(status=200, headers={"content-type": "application/json"}, body=body))


def _with_units(usage: Usage, units: Mapping[str, Any], call_type: str) -> Usage:
    counted = dict(usage.units)
    for name, unit in _UNITS.items():
        if units.get(name) is not None:
            counted[unit] = Decimal(str(units[name]))
    if units.get("seconds") is not None:
        unit = Unit.OUTPUT_VIDEO_SECONDS if "video" in call_type else Unit.INPUT_AUDIO_SECONDS
        counted[unit] = Decimal(str(units["seconds"]))
    traits = {name: str(units[name]) for name in _TRAITS if units.get(name) is not None}
    tokens = usage.input_tokens or int(units.get("total_tokens") or 0)
    return replace(usage, units=counted, traits={**usage.traits, **traits}, input_tokens=tokens)


def _with_options(usage: Usage, options: Mapping[str, Any]) -> Usage:
    counted = dict(usage.units)
    for tool, times in (options.get("groq_executed_tools") or {}).items():
        if tool in _GROQ_TOOLS:
            counted[_GROQ_TOOLS[tool]] = Decimal(times)
    size = (options.get("web_search_options") or options).get("search_context_size")
    traits = {**usage.traits, **({"search_context_size": size} if size else {})}
    return replace(usage, units=counted, traits=traits)


def same(got: float | None, expected: float | None) -> bool:
    """Return whether two totals agree to one part in a thousand million and half a pico-dollar."""
    if got is None or expected is None:
        return got is expected
    return abs(got - expected) <= 1e-9 * max(abs(got), abs(expected)) + 5.1e-13


def main() -> None:
    """Price every case of the files and say how many totals agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--show", type=int, default=20, help="how many differences to print")
    options = parser.parse_args()
    scores: Counter[tuple[str, bool]] = Counter()
    different: list[str] = []
    for path in options.files:
        for line in path.read_text().splitlines():
            case = json.loads(line)
            if case.get("lenient"):
                continue
            expected = case["expected"]["total"] if "expected" in case else case["expected_total"]
            got = price(case)
            scores[str(case.get("klass") or case.get("kind") or "names"), same(got, expected)] += 1
            if not same(got, expected):
                different.append(
                    f"{case['id']} {case.get('provider')} {case['model']}: {got}, expected {expected}"
                )
    for klass in sorted({klass for klass, _ in scores}):
        right, wrong = scores[klass, True], scores[klass, False]
        print(f"{klass}: {right} of {right + wrong} ({right / (right + wrong):.2%})")
    print("\n".join(different[: options.show]))


if __name__ == "__main__":
    main()

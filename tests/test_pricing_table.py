"""The packaged table: known prices on known days, its size, and that nothing is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import files

import pytest

from spend_middleware.call import Usage
from spend_middleware.pricing.book import PriceBook, packaged_table
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import check_fields

# Prices as the vendors' own pages had them, and as announced.
KNOWN: list[tuple[str, str, str, str]] = [
    ("openai", "gpt-4o", "2026-11-20", "0.0125"),
    ("anthropic", "claude-sonnet-4-5", "2026-11-20", "0.018"),
    ("vertex_ai", "gemini-2.5-pro", "2026-11-20", "0.01125"),
    ("gemini", "gemini-4-argon", "2026-11-30", "0.012"),
    ("gemini", "gemini-4-argon", "2026-12-01", "0.024"),
    ("mistral", "mistral-large-4", "2026-10-19", "0.00277"),
    ("mistral", "mistral-large-4", "2026-10-20", "0.00554"),
    ("mistral", "mistral-large-4", "2026-10-29", "0.0028"),
    ("openrouter", "openai/gpt-4o", "2026-11-20", "0.0125"),
    # A trial that was free, and what its family costs since the trial ended.
    ("gemini", "gemini-2.0-flash-exp", "2026-03-12", "0"),
    ("gemini", "gemini-2.0-flash-exp", "2026-11-20", "0.0005"),
]


@pytest.mark.parametrize(("provider", "model", "day", "expected"), KNOWN)
def test_a_thousand_tokens_in_and_out_cost_what_they_did_on_that_day(
    provider: str, model: str, day: str, expected: str
) -> None:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    usage = Usage(input_tokens=1000, output_tokens=1000)
    found = PriceBook.bundled().price(PriceQuery(provider=provider, models=(model,), usage=usage, at=at))
    assert found.amount == Decimal(expected)
    assert found.price_version == packaged_table().version


def test_every_row_of_the_table_is_usable() -> None:
    book = PriceBook.bundled()
    now = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
    usage = Usage(input_tokens=300_000, output_tokens=10, cache_read_tokens=5, cache_write_tokens=5)
    priced = 0
    for key, provider, _ in book.models(now):
        rates = book.rates(provider, key, now)
        assert rates is not None
        check_fields(key, rates)
        found = book.price(PriceQuery(provider=None, models=(key,), usage=usage, at=now))
        priced += found.amount is not None
        assert found.amount is not None or found.reason
    assert priced > 4000


def test_the_table_is_small() -> None:
    stored = files("spend_middleware.pricing").joinpath("data/prices.json.gz").read_bytes()
    assert len(stored) <= 200_000


def test_the_bundled_book_is_one() -> None:
    assert PriceBook.bundled() is PriceBook.bundled()
    assert len(PriceBook.bundled()) > 4000
    assert PriceBook.bundled().version == packaged_table().version


def test_pricing_opens_no_socket_and_loads_no_table_before_it_is_asked() -> None:
    program = (
        "import socket, sys\n"
        "def no_socket(*a, **k): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = no_socket\n"
        "from spend_middleware.pricing import book\n"
        "assert book.packaged_table.cache_info().currsize == 0\n"
        "from spend_middleware.pricing.query import PriceQuery\n"
        "from spend_middleware.call import Usage\n"
        "cost = book.PriceBook.bundled().price(PriceQuery(provider='openai', models=('gpt-4o',), usage=Usage(input_tokens=1)))\n"
        "assert cost.amount, cost\n"
        "assert not {'tiktoken', 'genai_prices', 'httpx', 'httpx2'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

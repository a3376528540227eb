"""Price maps of your own: what is taken, what is refused, and that a refused one changes nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from spend_middleware.call import Usage
from spend_middleware.errors import PriceError
from spend_middleware.pricing import maps
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.table import PriceTable

TABLE: dict[str, Any] = {
    "version": "v1",
    "listed": 60,
    "fields": ["litellm_provider", "mode", "input_cost_per_token"],
    "rows": [[0, "openai", 1, "chat", 2, 1e-6]],
    "models": {"gpt": 0, "old": 0},
}
GOOD: dict[str, dict[str, Any]] = {
    "sample_spec": {"input_cost_per_token": "a number"},
    "gpt": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-6, "max_tokens": 5},
    **{f"model-{n}": {"litellm_provider": "openai", "input_cost_per_token": "3e-6"} for n in range(60)},
}


def cost(book: PriceBook, model: str = "gpt", at: float | None = None) -> Decimal | None:
    """Return what a million tokens cost, now if no time is given."""
    when = time.time() if at is None else at
    return book.price(
        PriceQuery(provider="openai", models=(model,), usage=Usage(input_tokens=10**6), at=when)
    ).amount


@pytest.fixture
def book() -> PriceBook:
    return PriceBook(PriceTable(TABLE))


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Serve what the test puts into `server.answers` by path: (status, headers, body)."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = self.server.answers[self.path]  # type: ignore[attr-defined]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    running.answers = {}  # type: ignore[attr-defined]
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def serve(server: ThreadingHTTPServer, body: bytes, status: int = 200, **headers: str) -> str:
    """Let the server answer so, and return the URL."""
    path = f"/{len(server.answers)}"  # type: ignore[attr-defined]
    server.answers[path] = (status, headers, body)  # type: ignore[attr-defined]
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_map_from_a_server_counts_from_now_on(book: PriceBook, server: ThreadingHTTPServer) -> None:
    before = time.time() - 60
    book.load_map(serve(server, json.dumps(GOOD).encode()))
    assert cost(book) == 2
    assert cost(book, "model-7") == 3
    assert cost(book, at=before) == 1
    assert cost(book, "old") == 1
    assert book.version.startswith("map.")


def test_a_map_from_a_file(book: PriceBook, tmp_path: Path) -> None:
    path = tmp_path / "my prices.json"
    path.write_text(json.dumps(GOOD))
    book.load_map(path)
    assert cost(book) == 2
    book.load_map(path.as_uri())
    assert cost(book) == 2


def test_prices_of_your_own_survive_a_map(book: PriceBook, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(GOOD))
    book.register({"gpt": {"input_cost_per_token": 9e-6}})
    book.load_map(path)
    assert cost(book) == 9


def test_an_alias_in_a_map_has_the_price_of_what_it_stands_for(book: PriceBook, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    more = {
        "gpt-latest": {"alias_of": "gpt"},
        "of-nothing": {"alias_of": "no such model"},
        "of-an-alias": {"alias_of": "gpt-latest"},
        "named": {**GOOD["model-7"], "aliases": ["also-named", "gpt", 7]},
    }
    path.write_text(json.dumps({**GOOD, **more}))
    book.load_map(path)
    assert cost(book, "gpt-latest") == cost(book, "gpt") == 2
    assert cost(book, "also-named") == cost(book, "named") == 3
    assert cost(book, "of-nothing") is None


def bad(**changes: Any) -> bytes:
    return json.dumps({**GOOD, "gpt": {**GOOD["gpt"], **changes}}).encode()


REFUSED: list[tuple[str, bytes, str]] = [
    ("not JSON", b"<html>", "not JSON"),
    ("nested beyond reason", b"[" * 100_000, "not JSON"),
    ("not an object", b"[]", "not an object"),
    ("too few models", json.dumps(dict(list(GOOD.items())[:40])).encode(), "fewer than 50"),
    ("rows without prices", json.dumps({f"m{n}": {"mode": "chat"} for n in range(90)}).encode(), "0 models"),
    ("a price below zero", bad(input_cost_per_token=-1e-6), "input_cost_per_token of 'gpt'"),
    ("a truth value", bad(output_cost_per_token=True), "output_cost_per_token of 'gpt'"),
    ("not a number", bad(output_cost_per_token="cheap"), "output_cost_per_token of 'gpt'"),
    ("NaN", bad(input_cost_per_token=float("nan")), "input_cost_per_token of 'gpt'"),
    ("dollars a token", bad(input_cost_per_token=2.5), "more than 1 USD a token"),
    ("a bad price inside a tier", bad(tiered_pricing=[{"range": [0, 1], "input_cost_per_token": -1}]), "tiered_pricing"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_a_bad_map_is_refused_and_the_last_good_one_stays(
    book: PriceBook, server: ThreadingHTTPServer, body: bytes, reason: str
) -> None:
    book.load_map(serve(server, json.dumps(GOOD).encode()))
    with pytest.raises(PriceError, match=reason):
        book.load_map(serve(server, body))
    assert cost(book) == 2


def test_a_map_that_shrank_is_refused(server: ThreadingHTTPServer) -> None:
    big = PriceBook(PriceTable({**TABLE, "listed": 1000}))
    with pytest.raises(PriceError, match="fewer than 500"):
        big.load_map(serve(server, json.dumps(GOOD).encode()))


def test_a_map_beyond_the_size_limit_is_refused(book: PriceBook, tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    with path.open("wb") as file:
        file.truncate(maps.MOST_BYTES + 1)
    with pytest.raises(PriceError, match="larger than"):
        book.load_map(path)


def test_a_server_that_fails_or_sends_elsewhere_is_refused(
    book: PriceBook, server: ThreadingHTTPServer
) -> None:
    with pytest.raises(PriceError, match="500"):
        book.load_map(serve(server, b"", 500))
    with pytest.raises(PriceError, match="only a path, file:// and https://"):
        book.load_map(serve(server, b"", 302, Location="http://prices.example/map.json"))


@pytest.mark.parametrize(
    "location", ["http://prices.example/map.json", "/nowhere/at/all.json", "file:///nowhere"]
)
def test_a_place_that_cannot_be_read_is_refused(book: PriceBook, location: str) -> None:
    with pytest.raises(PriceError):
        book.load_map(location)


def test_a_followed_map_is_loaded_in_a_thread_and_a_failure_keeps_the_prices(
    book: PriceBook, tmp_path: Path
) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(GOOD))
    following = book.follow_map(path)
    assert following.first_done.wait(30)
    following.stop()
    assert cost(book) == 2
    path.write_text("{}")
    failing = book.follow_map(path)
    assert failing.first_done.wait(30)
    failing.stop()
    assert "fewer than 50" in (failing.error or "")
    assert cost(book) == 2

"""Our headers are made when somebody looks for them, and nobody can tell that they were not there before."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import httpx2
import pytest

from spend_middleware.guard import faults
from spend_middleware.interception import heads

COST = "x-litellm-response-cost"
THEIRS = [
    ("Content-Type", "application/json"),
    ("set-cookie", "a=1"),
    ("set-cookie", "b=2"),
    ("x-request-id", "r"),
]
OURS = {b"x-litellm-response-cost": b"0.5", b"x-request-id": b"not ours"}
ALL = [*THEIRS, (COST, "0.5")]


class Maker:
    """Makes headers, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Mapping[bytes, bytes]:
        self.asked += 1
        return OURS


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """Each of the two libraries."""
    return request.param


def answer(library: Any, maker: Any) -> Any:
    """Return an answer to which headers were added."""
    response = library.Response(200, headers=THEIRS, content=b"{}")
    del response.headers["content-length"]
    heads.decode_headers(response.headers)
    heads.glance(response.headers)
    heads.append(response, maker)
    return response


LOOKS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "by name": (lambda headers: headers[COST], "0.5"),
    "by name in capitals": (lambda headers: headers["X-LiteLLM-Response-Cost"], "0.5"),
    "by get": (lambda headers: headers.get(COST), "0.5"),
    "by in": (lambda headers: COST in headers, True),
    "by raw": (lambda headers: headers.raw[-1], (COST.encode(), b"0.5")),
    "by multi_items": (
        lambda headers: [k.lower() for k, _ in headers.multi_items()],
        [k.lower() for k, _ in ALL],
    ),
    "by length": (len, 5),
    "by iteration": (lambda headers: list(headers)[-1], COST),
    "by get_list": (lambda headers: headers.get_list(COST), ["0.5"]),
    "by equality": (lambda headers: headers == type(headers)(ALL), True),
    "by a copy": (lambda headers: headers.copy()[COST], "0.5"),
    "by copy.copy": (lambda headers: copy.copy(headers)[COST], "0.5"),
    "by copy.deepcopy": (lambda headers: copy.deepcopy(headers)[COST], "0.5"),
    "by pickle": (lambda headers: pickle.loads(pickle.dumps(headers))[COST], "0.5"),
    "by another header's change": (lambda headers: (headers.update({"a": "b"}), headers[COST])[1], "0.5"),
    "by its words": (lambda headers: COST in repr(headers), True),
}


@pytest.mark.parametrize("look", LOOKS)
def test_whoever_looks_finds_them(library: Any, look: str) -> None:
    maker = Maker()
    headers = answer(library, maker).headers
    ask, expected = LOOKS[look]
    assert ask(headers) == expected
    assert maker.asked == 1
    assert type(headers) is library.Headers
    assert headers.multi_items()[: len(ALL)] == [(name.lower(), value) for name, value in ALL]
    assert maker.asked == 1


def test_the_providers_own_headers_do_not_make_ours(library: Any) -> None:
    maker = Maker()
    headers = answer(library, maker).headers
    assert headers["content-type"] == headers.get("CONTENT-TYPE") == "application/json"
    assert headers["set-cookie"] == "a=1, b=2"
    assert headers["x-request-id"] == "r"
    assert headers.get("x-none", "none") == "none"
    with pytest.raises(KeyError, match="x-none"):
        headers["x-none"]
    assert isinstance(headers, library.Headers)
    assert maker.asked == 0


def test_headers_that_are_not_ascii_are_read_as_ever(library: Any) -> None:
    response = library.Response(200, headers=[(b"x-name", "Zoë".encode())])
    heads.decode_headers(response.headers)
    heads.glance(response.headers)
    heads.append(response, Maker())
    assert response.headers["x-name"] == "Zoë"
    assert response.headers[COST] == "0.5"


def test_a_second_observers_headers_come_behind_the_firsts(library: Any) -> None:
    response = answer(library, lambda: {b"x-litellm-call-id": b"1"})
    heads.append(response, lambda: {b"x-litellm-call-id": b"2", COST.encode(): b"0.5"})
    assert response.headers.get_list("x-litellm-call-id") == ["1"]
    assert response.headers[COST] == "0.5"


def test_a_fault_in_making_them_leaves_the_providers_own(library: Any) -> None:
    def faulty() -> Mapping[bytes, bytes]:
        raise ZeroDivisionError

    before = faults["adding headers to an answer: ZeroDivisionError"]
    headers = answer(library, faulty).headers
    assert headers.multi_items() == [(name.lower(), value) for name, value in THEIRS]
    assert faults["adding headers to an answer: ZeroDivisionError"] == before + 1
    del faults["adding headers to an answer: ZeroDivisionError"]


def test_a_whole_response_can_be_pickled_before_anybody_looked(library: Any) -> None:
    response = answer(library, Maker())
    response.request = library.Request("GET", "https://api.openai.com/")
    assert pickle.loads(pickle.dumps(response)).headers[COST] == "0.5"

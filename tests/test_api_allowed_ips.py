"""From where the routes may be called: validated, normalised, felt at once, and never a lockout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, spending
from spend_middleware import Spend
from spend_middleware.api.addresses import address_of, client_address, network_of, within, written

HEADERS = bearer("master")


@pytest.fixture
def house(tmp_path: Any) -> Iterator[Spend]:
    with spending(tmp_path, [], trusted_proxies=("10.0.0.1", "fd00::/8")) as spend:
        yield spend


def at(house: Spend, address: str) -> TestClient:
    return TestClient(house.app, client=(address, 4000), headers=HEADERS)


def add(http: TestClient, ip: str) -> Any:
    return http.post("/add/allowed_ip", json={"ip": ip})


def delete(http: TestClient, ip: str) -> Any:
    return http.post("/delete/allowed_ip", json={"ip": ip})


def test_the_list_is_off_while_it_is_empty(house: Spend) -> None:
    assert at(house, "203.0.113.9").get("/get/allowed_ips").json() == {"data": None}


def test_an_address_is_added_and_deleted_in_litellms_words(house: Spend) -> None:
    http = at(house, "127.0.0.1")
    assert add(http, "127.0.0.1").json() == {
        "message": "IP 127.0.0.1 address added successfully",
        "status": "success",
    }
    again = add(http, "127.0.0.1")
    assert (again.status_code, again.json()) == (400, {"detail": "IP address already exists"})
    assert http.get("/get/allowed_ips").json() == {"data": ["127.0.0.1"]}
    unknown = delete(http, "127.0.0.2")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "IP address not found"})
    assert delete(http, "127.0.0.1").json() == {
        "message": "IP 127.0.0.1 deleted successfully",
        "status": "success",
    }
    assert http.get("/get/allowed_ips").json() == {"data": None}


def test_everybody_else_is_refused_before_the_key_is_looked_at(house: Spend) -> None:
    assert add(at(house, "192.0.2.7"), "192.0.2.0/24").status_code == 200
    assert at(house, "192.0.2.200").get("/spend/tags").status_code == 200
    answer = TestClient(house.app, client=("198.51.100.1", 4000)).get("/spend/tags")
    assert answer.status_code == 403
    assert answer.json()["error"] == {
        "message": "Access forbidden: IP address 198.51.100.1 not allowed.",
        "type": "auth_error",
        "param": "None",
        "code": "403",
    }
    assert TestClient(house.app, client=("198.51.100.1", 4000)).get("/health/liveliness").status_code == 200


def test_the_last_entry_deleted_lets_everybody_in_again(house: Spend) -> None:
    http = at(house, "192.0.2.7")
    assert add(http, "192.0.2.7").status_code == 200
    assert delete(http, "192.0.2.7").status_code == 200
    assert at(house, "198.51.100.1").get("/spend/tags").status_code == 200


def test_a_list_that_would_lock_its_maker_out_is_refused_with_the_remedy(house: Spend) -> None:
    http = at(house, "192.0.2.7")
    answer = add(http, "198.51.100.1")
    assert answer.status_code == 400
    assert "your address 192.0.2.7 is not in it" in answer.json()["detail"]
    assert http.get("/get/allowed_ips").json() == {"data": None}
    assert add(http, "192.0.2.7").status_code == 200
    assert add(http, "198.51.100.1").status_code == 200
    assert delete(http, "192.0.2.7").status_code == 400
    assert http.get("/get/allowed_ips").json() == {"data": ["192.0.2.7", "198.51.100.1"]}


@pytest.mark.parametrize(
    "ip", ["not an ip", "", "300.1.1.1", "10.0.0.0/33", "localhost", "127.0.0.1:80", "::1/129", "1" * 500]
)
def test_what_is_no_address_is_refused_by_name(house: Spend, ip: str) -> None:
    answer = add(at(house, "127.0.0.1"), ip)
    assert answer.status_code == 400
    assert f"Invalid IP address '{ip[:64]}'" in answer.json()["detail"]


def test_a_missing_field_is_a_422(house: Spend) -> None:
    assert at(house, "127.0.0.1").post("/add/allowed_ip", json={}).status_code == 422


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("127.0.0.1", "127.0.0.1"),
        (" 10.1.2.3/8 ", "10.0.0.0/8"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001:db8::5/32", "2001:db8::/32"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_is_kept_in_one_spelling(text: str, kept: str) -> None:
    network = network_of(text)
    assert network is not None
    assert written(network) == kept


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("198.51.100.1", None, "198.51.100.1"),
        # Nobody but a trusted proxy is believed.
        ("198.51.100.1", "192.0.2.7", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("fd00::5", "192.0.2.7", "192.0.2.7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        # What the client itself wrote stands to the left of what the proxy saw.
        ("10.0.0.1", "127.0.0.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, 10.0.0.1", "192.0.2.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "rubbish", None),
        ("10.0.0.1", "192.0.2.7, rubbish", None),
        (None, "192.0.2.7", None),
        ("a-socket", None, None),
    ],
)
def test_the_client_is_found_behind_trusted_proxies_only(
    peer: str | None, forwarded: str | None, seen: str | None
) -> None:
    expected = address_of(seen) if seen else None
    assert client_address(peer, forwarded, ("10.0.0.1", "fd00::/8")) == expected


def test_a_forwarded_client_is_held_against_the_list(house: Spend) -> None:
    assert add(at(house, "192.0.2.7"), "192.0.2.7").status_code == 200
    proxied = {"X-Forwarded-For": "192.0.2.7"}
    assert at(house, "10.0.0.1").get("/spend/tags", headers=proxied).status_code == 200
    assert at(house, "10.0.0.1").get("/spend/tags").status_code == 403
    assert at(house, "198.51.100.1").get("/spend/tags", headers=proxied).status_code == 403


def test_an_unknown_address_is_in_no_network() -> None:
    assert not within(None, ["0.0.0.0/0", "::/0"])

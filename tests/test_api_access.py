"""Who may call which route, and what the refusals look like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from api_house import KEYS, MASTER, bearer, call, client, raw, sha, spending
from spend_middleware import Spend
from spend_middleware.api.access import Gate
from spend_middleware.api.app import check_routes, guarded_routes
from spend_middleware.api.routing import Declared, GuardedRoute, Permission
from spend_middleware.errors import ConfigurationError

CALLS = [
    call("2026-05-01T10:00:00", "0.001", tags=["of-ishaan"], user_id="ishaan", api_key=sha(raw("internal"))),
    call("2026-05-01T11:00:00", "0.002", tags=["of-prod"], team_id="t-prod", api_key=sha(raw("team"))),
    call("2026-05-01T12:00:00", "0.004", tags=["of-test"], team_id="t-test", api_key=sha(raw("other_team"))),
    call("2026-05-01T13:00:00", "0.008", tags=["of-nobody"]),
]
EVERY_TAG = ["of-nobody", "of-test", "of-prod", "of-ishaan"]
MAY = "start_date=2026-05-01&end_date=2026-05-31"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spend]:
    with spending(tmp_path_factory.mktemp("access"), CALLS) as spend:
        yield spend


@pytest.fixture
def http(house: Spend) -> TestClient:
    return client(house.app)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {MASTER}"},
        {"Authorization": f"bearer {MASTER}"},
        {"x-litellm-api-key": MASTER},
        {"x-litellm-api-key": f"Bearer {MASTER}"},
        {"x-api-key": MASTER},
        {"api-key": MASTER},
        {"x-goog-api-key": MASTER},
        {"Ocp-Apim-Subscription-Key": MASTER},
        {"x-litellm-api-key": MASTER, "Authorization": "Bearer sk-something-else-entirely"},
        {"Authorization": f"Bearer {MASTER}", "x-api-key": "sk-something-else-entirely"},
    ],
    ids=str,
)
def test_a_key_is_found_in_every_header_that_litellm_reads(http: TestClient, headers: dict[str, str]) -> None:
    assert http.get("/spend/tags", headers=headers).status_code == 200


UNKNOWN = "sk-nobody-ever-made-this"


@pytest.mark.parametrize(
    ("headers", "route", "status", "kind", "param", "begin"),
    [
        ({}, "GET /spend/tags", 401, "auth_error", "None", "Authentication Error, No api key passed in."),
        ({"Authorization": MASTER}, "GET /spend/tags", 401, "auth_error", "None", "Authentication Error, Malformed API Key"),
        ({"Authorization": "Basic c2stMTIzNDo="}, "GET /spend/tags", 401, "auth_error", "None", "Authentication Error, Malformed API Key"),
        ({"Authorization": "Bearer "}, "GET /spend/tags", 401, "auth_error", "None", "Authentication Error, No api key passed in."),
        ({"Authorization": "Bearer pk-12345678"}, "GET /spend/tags", 401, "auth_error", "None", "LiteLLM Virtual Key expected. Received="),
        ({"x-api-key": UNKNOWN}, "GET /spend/tags", 401, "token_not_found_in_db", "key", "Authentication Error, Invalid proxy server token passed."),
        (bearer("expired"), "GET /spend/tags", 401, "expired_key", "sk-...0001", "Authentication Error - Expired Key. Key Expiry time"),
        (bearer("blocked"), "GET /spend/tags", 401, "auth_error", "None", "Authentication Error, Key is blocked."),
        (bearer("blocked_team"), "GET /v1/models", 401, "auth_error", "None", "Authentication Error, Team=t-blocked is blocked."),
        (bearer("nobody"), "GET /spend/tags", 401, "auth_error", "None", "Authentication Error, Only proxy admin can be used to generate"),
        (bearer("internal"), f"GET /global/spend/report?{MAY}", 401, "auth_error", "None", "Authentication Error, Only proxy admin can be used to generate"),
        (bearer("viewer"), "POST /add/allowed_ip", 403, "auth_error", "None", "user not allowed to access this route, role= proxy_admin_viewer. Trying to access: /add/allowed_ip"),
        (bearer("admin"), "POST /global/spend/reset", 401, "auth_error", "None", "Authentication Error, Tried to access route=/global/spend/reset, which is only for MASTER KEY"),
        (bearer("team"), f"GET /user/daily/activity?{MAY}", 403, "auth_error", "None", "Service-account keys cannot query user analytics"),
        (bearer("routed"), "GET /spend/calculate", 401, "auth_error", "None", "Authentication Error, Virtual key is not allowed to call this route."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_refusal_reads_as_litellms(
    http: TestClient, headers: dict[str, str], route: str, status: int, kind: str, param: str, begin: str
) -> None:
    method, path = route.split(" ")
    answer = http.request(method, path, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"], error["code"]) == (
        status,
        kind,
        param,
        str(status),
    )
    assert list(error) == ["message", "type", "param", "code"]
    assert error["message"].startswith(begin)


def test_a_refusal_never_repeats_the_key(http: TestClient) -> None:
    for key in (UNKNOWN, "pk-not-even-a-virtual-key", raw("expired")):
        assert key not in http.get("/spend/tags", headers={"x-api-key": key}).text


def test_an_unknown_key_is_named_by_its_hash(http: TestClient) -> None:
    message = http.get("/spend/tags", headers={"x-api-key": UNKNOWN}).json()["error"]["message"]
    assert f"Key Hash (Token) ={sha(UNKNOWN)}" in message


# -- every route and every caller

ADMINS = {"master", "admin"}
VIEWERS = ADMINS | {"viewer"}
VALID = {"master", *KEYS} - {"blocked", "expired", "blocked_team"}
ALLOWED: dict[Permission, set[str]] = {
    Permission.PUBLIC: {"no key", "unknown", "master", *KEYS},
    Permission.DOCS: {"no key", "unknown", "master", *KEYS},
    Permission.MASTER: {"master"},
    Permission.ADMIN: ADMINS,
    Permission.READ_ALL: VIEWERS,
    Permission.GLOBAL_SPEND: VIEWERS | {"opened"},
    Permission.SPEND: VIEWERS | {"internal", "internal_viewer", "roleless", "opened"},
    Permission.ANALYTICS: VIEWERS | {"internal", "internal_viewer", "roleless"},
    Permission.OWN_KEYS: ADMINS | {"internal"},
    Permission.ANY_KEY: VALID - {"routed", "routed_team"},
}
# Keys whose maker named single routes reach these, and where their role would let them, no others.
NAMED = {
    "routed": {"/spend/tags", "/spend/logs", "/global/spend/report"},
    "routed_team": {"/spend/"},
}


def expected(route: GuardedRoute) -> set[str]:
    allowed = set(ALLOWED[route.permission])
    if route.permission in (Permission.SPEND, Permission.GLOBAL_SPEND):
        if route.path in NAMED["routed"]:
            allowed.add("routed")
        if route.path.startswith("/spend/"):
            allowed.add("routed_team")
    if route.permission is Permission.ANY_KEY and route.path.startswith("/spend/"):
        allowed.add("routed_team")
    return allowed


def headers_of(caller: str) -> dict[str, str]:
    if caller == "no key":
        return {}
    return {"x-api-key": UNKNOWN} if caller == "unknown" else bearer(caller)


def gate_refuses(answer: Any) -> bool:
    """Return whether the gate refused, and not the route itself."""
    if answer.status_code not in (401, 403):
        return False
    body = answer.json()
    message = str(body.get("error", {}).get("message", "")) if isinstance(body.get("error"), dict) else ""
    return answer.status_code == 401 or message.startswith(("user not allowed", "Service-account keys"))


def test_every_route_lets_in_exactly_those_whom_its_permission_names(tmp_path: Any) -> None:
    with spending(tmp_path, CALLS) as spend:
        http = client(spend.app)
        wrong = []
        for route in guarded_routes(spend.app):
            if route.path == "/global/spend/reset":  # last, since it changes things
                continue
            path = route.path.replace("{", "").replace("}", "") + "?litellm_model_id=x"
            for caller in ("no key", "unknown", "master", *KEYS):
                for method in sorted(route.methods or ()):
                    # An empty body changes nothing: what gets past the gate is refused by the route.
                    answer = http.request(method, path, headers=headers_of(caller), content=b"[")
                    assert answer.status_code < 500, (method, path, caller, answer.text)
                    if gate_refuses(answer) == (caller in expected(route)):
                        wrong.append((method, path, caller, answer.status_code, answer.text[:80]))
        assert not wrong


def test_a_route_without_a_permission_fails_when_the_app_is_built(house: Spend) -> None:
    async def open_to_all() -> str:
        return "all of it"

    bare = Declared(method="GET", path="/bare", endpoint=open_to_all, permission=None, options={})  # type: ignore[arg-type]
    for route in (GuardedRoute(bare, Gate(house)), Route("/bare", open_to_all)):
        with pytest.raises(ConfigurationError, match="/bare declares no permission"):
            check_routes([route])


# -- what each caller sees


def tags_seen(http: TestClient, caller: str) -> list[str]:
    return [tag["individual_request_tag"] for tag in http.get("/spend/tags", headers=bearer(caller)).json()]


@pytest.mark.parametrize(
    ("caller", "tags"),
    [
        ("master", EVERY_TAG),
        ("admin", EVERY_TAG),
        ("viewer", EVERY_TAG),
        ("internal", ["of-ishaan"]),
        ("internal_viewer", []),
        ("roleless", []),
        ("opened", EVERY_TAG),
        ("routed", EVERY_TAG),
        ("routed_team", ["of-test"]),
    ],
)
def test_tags_are_those_of_the_callers_own_calls(http: TestClient, caller: str, tags: list[str]) -> None:
    assert tags_seen(http, caller) == tags


OF_OTHERS = ("of-prod", "of-test", "of-nobody", sha(raw("team")), sha(raw("other_team")), "t-prod", "t-test")


@pytest.mark.parametrize(
    "narrowing", ["", "team_id=t-prod", "user_id=root", "tags=of-prod", f"api_key={raw('team')}"]
)
def test_no_row_of_another_owner_comes_back_whatever_is_asked_for(house: Spend, narrowing: str) -> None:
    http = client(house.app)
    for route in guarded_routes(house.app):
        if (
            "GET" not in (route.methods or ())
            or "models" in route.path
            or route.permission is Permission.DOCS
        ):
            continue
        for caller in ("internal", "internal_viewer", "roleless"):
            answer = http.get(f"{route.path}?{MAY}&{narrowing}&litellm_model_id=x", headers=bearer(caller))
            if answer.status_code == 200:
                assert not [word for word in OF_OTHERS if word in answer.text], (route.path, caller)


def test_a_team_key_reads_its_own_teams_report_and_no_other(http: TestClient) -> None:
    own = http.get(f"/team/spend/report?{MAY}", headers=bearer("team"))
    assert [key["api_key"] for key in own.json()] == [sha(raw("team"))]
    other = http.get(f"/team/spend/report?{MAY}&team_id=t-test", headers=bearer("team"))
    assert (other.status_code, other.json()) == (403, {"detail": "This key may only see spend of its own."})


def test_an_internal_user_who_asks_for_another_user_sees_its_own_rows(http: TestClient) -> None:
    rows = http.get("/spend/logs?user_id=root", headers=bearer("internal")).json()
    assert [row["user"] for row in rows] == ["ishaan"]


def test_daily_activity_of_another_user_is_refused(http: TestClient) -> None:
    answer = http.get(f"/user/daily/activity?{MAY}&user_id=root", headers=bearer("internal"))
    assert answer.status_code == 403
    assert "own spend data" in answer.json()["detail"]["error"]


# -- closed by default


def test_without_a_master_key_everything_but_the_probes_is_closed(tmp_path: Any) -> None:
    with spending(tmp_path, [], master_key=None) as spend:
        http = client(spend.app)
        for route in guarded_routes(spend.app):
            for method in sorted(route.methods or ()):
                answer = http.request(method, route.path, headers={"Authorization": "Bearer "})
                assert (answer.status_code == 200) == (route.permission is Permission.PUBLIC), route.path
        assert "SPEND_MASTER_KEY" in http.get("/spend/tags").json()["error"]["message"]


def test_the_wrong_method_and_an_unknown_path_answer_as_the_framework_does(http: TestClient) -> None:
    wrong = http.delete("/spend/tags")
    assert (wrong.status_code, wrong.json()) == (405, {"detail": "Method Not Allowed"})
    unknown = http.get("/spend/nothing/here")
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not Found"})

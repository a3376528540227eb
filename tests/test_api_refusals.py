"""Refusals come in the body that LiteLLM's route has for them: an envelope with type and param, or a detail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api_house import bearer, raw
from entity_house import served

HANDLED = ("internal_server_error", None)
AUTH = ("auth_error", "None")
NESTED, TEXT = "detail.error", "detail"
NO_KEY = "f" * 64

# Who asks, for what, and what is answered: the status, and the type and param of the envelope or the kind of detail.
REFUSED: list[tuple[str, str, str, Any, int, Any]] = [
    ("master", "POST", "/key/generate", {"budget_duration": "soon"}, 400, HANDLED),
    ("master", "POST", "/key/generate", {"max_budget": -1}, 400, HANDLED),
    ("master", "POST", "/key/generate", {"key": "pk-of-another-kind-1"}, 400, HANDLED),
    ("master", "POST", "/key/generate", {"key_alias": "alias-nobody"}, 400, ("bad_request_error", "key_alias")),
    ("internal", "POST", "/key/generate", {"user_id": "krrish"}, 403, HANDLED),
    ("master", "POST", "/key/service-account/generate", {}, 400, HANDLED),
    ("master", "GET", f"/key/info?key={NO_KEY}", None, 404, ("not_found_error", "key")),
    ("internal", "GET", f"/key/info?key={raw('nobody')}", None, 403, HANDLED),
    ("master", "POST", "/key/update", {"key": NO_KEY}, 404, ("not_found_error", "key")),
    ("master", "POST", "/key/update", {"key_alias": "nowhere"}, 404, ("not_found_error", "key_alias")),
    ("master", "POST", "/key/update", {"key": raw("nobody"), "max_budget": -1}, 400, AUTH),
    ("internal", "POST", "/key/update", {"key": raw("nobody")}, 403, AUTH),
    ("master", "POST", "/key/delete", {"keys": [NO_KEY]}, 404, HANDLED),
    ("internal", "POST", "/key/delete", {"keys": [raw("nobody")]}, 403, HANDLED),
    ("master", "POST", "/key/block", {"key": NO_KEY}, 404, ("not_found_error", "key")),
    ("master", "POST", "/key/block", {"key": "neither key nor hash"}, 400, ("bad_request_error", "key")),
    ("master", "POST", f"/key/{NO_KEY}/regenerate", {}, 404, HANDLED),
    ("master", "POST", f"/key/{NO_KEY}/reset_spend", {"reset_to": 0}, 404, NESTED),
    ("master", "GET", "/key/list?status=odd", None, 400, ("internal_server_error", "None")),
    ("internal", "GET", "/key/list?user_id=krrish", None, 403, ("bad_request_error", "user_id")),
    ("master", "POST", "/team/new", {"team_id": "t-prod"}, 400, HANDLED),
    ("master", "POST", "/team/update", {"team_id": "nowhere"}, 404, HANDLED),
    ("master", "PATCH", "/team/t-prod", {"team_id": "t-test"}, 400, HANDLED),
    ("master", "POST", "/team/delete", {"team_ids": ["nowhere"]}, 404, NESTED),
    ("master", "POST", "/team/block", {"team_id": "nowhere"}, 404, NESTED),
    ("master", "GET", "/team/info?team_id=nowhere", None, 404, AUTH),
    ("master", "GET", "/team/info", None, 422, AUTH),
    ("internal", "GET", "/team/info?team_id=t-test", None, 403, AUTH),
    ("internal", "GET", "/team/list?user_id=krrish", None, 401, NESTED),
    ("master", "POST", "/team/member_update", {"team_id": "t-prod", "user_id": "nobody"}, 400, NESTED),
    ("internal", "POST", "/team/member_add", {"team_id": "t-prod", "member": {"user_id": "u"}}, 403, NESTED),
    ("master", "GET", "/team/spend/by_user", None, 400, NESTED),
    ("internal", "GET", "/team/spend/by_user?team_ids=t-test&start_date=2026-05-01&end_date=2026-05-02", None, 403, NESTED),
    ("master", "POST", "/user/new", {"user_id": "ishaan"}, 409, HANDLED),
    ("master", "GET", "/user/info?user_id=nowhere", None, 404, HANDLED),
    ("internal", "GET", "/user/info?user_id=krrish", None, 403, AUTH),
    ("nobody", "GET", "/v2/user/info", None, 400, HANDLED),
    ("master", "POST", "/user/update", {"user_id": "nowhere"}, 404, AUTH),
    ("master", "POST", "/user/delete", {"user_ids": ["nowhere"]}, 404, NESTED),
    ("master", "POST", "/user/bulk_update", {}, 400, NESTED),
    ("master", "POST", "/customer/new", {"user_id": "c", "max_budget": -1}, 400, HANDLED),
    ("master", "GET", "/customer/info?end_user_id=nowhere", None, 404, ("not_found", "end_user_id")),
    ("master", "POST", "/customer/update", {"user_id": "nowhere"}, 404, ("not_found", "user_id")),
    ("master", "POST", "/customer/delete", {"user_ids": ["nowhere"]}, 404, ("not_found", "user_ids")),
    ("master", "POST", "/budget/update", {}, 400, NESTED),
    ("master", "POST", "/budget/new", {"budget_duration": "soon"}, 400, NESTED),
    ("master", "POST", "/tag/info", {"names": ["nowhere"]}, 404, TEXT),
    ("master", "POST", "/tag/update", {"name": "nowhere"}, 404, TEXT),
    ("master", "POST", "/tag/delete", {"name": "nowhere"}, 404, TEXT),
    ("master", "GET", "/organization/info?organization_id=nowhere", None, 404, NESTED),
    ("internal", "GET", "/organization/info?organization_id=nowhere", None, 403, NESTED),
    ("master", "POST", "/organization/info", {"organizations": []}, 400, NESTED),
    ("master", "GET", "/spend/logs/v2", None, 400, ("bad_request", "None")),
    ("master", "GET", "/spend/logs/v2?start_date=2026-05-01&end_date=2026-05-02&sort_by=odd", None, 400, ("bad_request", "sort_by")),
    ("master", "GET", "/global/spend/tags", None, 400, ("bad_request", None)),
    ("master", "GET", "/global/spend/report", None, 400, NESTED),
    ("master", "GET", "/user/daily/activity", None, 400, NESTED),
    ("nobody", "GET", "/spend/tags", None, 401, AUTH),
    ("viewer", "POST", "/team/new", {}, 403, ("auth_error", "None")),
]  # fmt: skip


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder: Path = tmp_path_factory.mktemp("refusals")
    with served(folder, f"sqlite:///{folder}/spend.db") as http:
        yield http


@pytest.mark.parametrize(("who", "method", "path", "body", "status", "form"), REFUSED)
def test_a_refusal_has_the_body_that_the_route_has_for_it(
    http: TestClient, who: str, method: str, path: str, body: Any, status: int, form: Any
) -> None:
    answer = http.request(method, path, json=body, headers=bearer(who))
    assert answer.status_code == status, answer.text
    found = answer.json()
    if isinstance(form, tuple):
        kind, param = form
        assert found["error"] | {"message": ""} == {
            "message": "", "type": kind, "param": param, "code": str(status),
        }  # fmt: skip
        assert found["error"]["message"]
    else:
        said = found["detail"]["error"] if form == NESTED else found["detail"]
        assert list(found) == ["detail"]
        assert isinstance(said, str)

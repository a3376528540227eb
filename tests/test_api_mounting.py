"""The sub-application answers the same under every host, mount, slash and proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from api_house import CLIENT, bearer, call, spending
from spend_middleware import Spend
from spend_middleware.api.door import Door

HEADERS = bearer("master")
Build = Callable[[Any, str], Any]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spend]:
    rows = [call("2026-05-01T10:00:00", "0.001", tags=["job"], request_id="chatcmpl-mounted")]
    with spending(tmp_path_factory.mktemp("mounting"), rows) as spend:
        yield spend


def under_starlette(app: Any, prefix: str) -> Any:
    return Starlette(routes=[Mount(prefix, app=app)])


def under_fastapi(app: Any, prefix: str) -> Any:
    host = FastAPI(openapi_url=None)  # a host's own document would stand before ours
    host.mount(prefix, app)
    return host


def under_fastapi_inside_another(app: Any, prefix: str) -> Any:
    inner = Starlette(routes=[Mount(prefix, app=app)])
    host = FastAPI(openapi_url=None)  # a host's own document would stand before ours
    host.mount("/outer", inner)
    return host


def under_litestar(app: Any, prefix: str) -> Any:
    @asgi(prefix, is_mount=True, copy_scope=True)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return Litestar([mounted])


def alone(app: Any, prefix: str) -> Any:
    return app


HOSTS: list[tuple[str, Build, str, str]] = [
    # name, host, mounted at, what stands before the paths of a request
    ("starlette /spend", under_starlette, "/spend", "/spend"),
    ("starlette /", under_starlette, "/", ""),
    ("starlette /a/b", under_starlette, "/a/b", "/a/b"),
    ("fastapi /spend", under_fastapi, "/spend", "/spend"),
    ("fastapi /", under_fastapi, "/", ""),
    ("fastapi /a/b", under_fastapi, "/a/b", "/a/b"),
    ("fastapi in starlette", under_fastapi_inside_another, "/spend", "/outer/spend"),
    ("litestar /spend", under_litestar, "/spend", "/spend"),
    ("litestar /", under_litestar, "/", ""),
    ("litestar /a/b", under_litestar, "/a/b", "/a/b"),
    ("alone", alone, "", ""),
]
PATHS = [
    "/spend/tags",
    "/spend/tags/",
    "/tags",
    "/tags/",
    "/spend/logs?request_id=chatcmpl-mounted",
    "/logs?request_id=chatcmpl-mounted",
    "/global/spend/tags?start_date=2026-05-01&end_date=2026-05-01",
    "/global/spend/report/?start_date=2026-05-01&end_date=2026-05-01",
    "/health/liveliness",
    "/health/readiness/",
    "/openapi.json",
    "/docs",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host[0])
def test_every_path_answers_under_every_host(
    house: Spend, host: tuple[str, Build, str, str], path: str
) -> None:
    _, build, prefix, before = host
    expected = TestClient(house.app, client=CLIENT).get(path, headers=HEADERS)
    with TestClient(build(house.app, prefix), client=CLIENT) as http:
        answer = http.get(before + path, headers=HEADERS, follow_redirects=False)
    assert (answer.status_code, answer.content) == (200, expected.content)


@pytest.mark.parametrize(("build", "prefix"), [(under_starlette, "/spend"), (under_litestar, "/spend")])
def test_a_litellm_client_whose_base_url_is_the_mount_works(house: Spend, build: Build, prefix: str) -> None:
    http = TestClient(build(house.app, prefix), base_url=f"http://host{prefix}/", client=CLIENT)
    assert http.get("spend/tags", headers=HEADERS).json() == http.get("tags", headers=HEADERS).json() != []
    assert http.post("spend/calculate", headers=HEADERS, json={}).status_code == 400
    assert http.post("calculate", headers=HEADERS, json={}).status_code == 400


@pytest.mark.parametrize(
    ("host_options", "path"),
    [
        ({"root_path": "/api"}, "/spend/tags"),
        ({"root_path": "/api"}, "/spend/spend/tags"),
        ({"root_path": "/api"}, "/api/spend/tags"),
        ({"root_path": "/api"}, "/api/spend/spend/tags"),
        ({"root_path": "/spend"}, "/spend/spend/tags"),
    ],
)
def test_a_root_path_of_a_proxy_is_no_part_of_the_route(
    house: Spend, host_options: dict[str, str], path: str
) -> None:
    host = under_fastapi(house.app, "/spend")
    with TestClient(host, base_url="https://public.example", client=CLIENT, **host_options) as http:  # type: ignore[arg-type]
        assert http.get(path, headers=HEADERS).json()[0]["individual_request_tag"] == "job"


KNOWN = {"/spend/tags", "/spend/logs", "/key/generate", "/tag/list", "/"}


@pytest.mark.parametrize(
    ("path", "root_path", "inner"),
    [
        ("/spend/tags", "/spend", "/spend/tags"),
        ("/spend/spend/tags", "/spend", "/spend/tags"),
        ("/spend/key/generate", "/spend", "/key/generate"),
        ("/api/spend/tags", "/api/spend", "/spend/tags"),
        ("/spend/tags", "/api/spend", "/spend/tags"),
        ("/spend/key/generate", "/api/spend", "/key/generate"),
        ("/tags/", "", "/spend/tags"),
        ("//tags", "", "/spend/tags"),
        ("/spend/tags/", "/", "/spend/tags"),
        ("/spend/tag/list", "/spend", "/tag/list"),
        ("/spend", "/spend", "/"),
        ("/spend/", "/spend", "/"),
        ("/spend/ui/app.js", "/spend", "/ui/app.js"),
        ("/spend/ui/", "/spend", "/ui/"),
        ("/spendthrift/tags", "/spend", "/spendthrift/tags"),
    ],
)
def test_the_door_finds_the_route_behind_a_path(path: str, root_path: str, inner: str) -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

    assert Door(nothing, KNOWN.__contains__).inner_path(path, root_path) == inner


def test_the_pages_link_to_the_document_beside_them(house: Spend) -> None:
    page = TestClient(under_starlette(house.app, "/a/b"), client=CLIENT).get("/a/b/docs")
    assert "url: 'openapi.json'" in page.text
    document = TestClient(under_starlette(house.app, "/a/b"), client=CLIENT).get("/a/b/openapi.json").json()
    assert document["servers"] == [{"url": "."}]

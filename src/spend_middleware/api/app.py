"""The FastAPI application of all routes, built when it is first asked for."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from spend_middleware.api.access import Gate
from spend_middleware.api.document import describe
from spend_middleware.api.door import Door
from spend_middleware.api.errors import (
    ProxyError,
    answer_http_error,
    answer_invalid_request,
    answer_proxy_error,
)
from spend_middleware.api.house import House
from spend_middleware.api.pulse import Pulse
from spend_middleware.api.routing import GuardedRoute, Permission, Routes
from spend_middleware.errors import ConfigurationError, NotFoundError
from spend_middleware.store.directory import ALLOWED_IPS

# One file per family; the order is the order of the document, and of matching where patterns overlap.
FAMILIES = (
    "health",
    "pages",
    "spend",
    "spend_pages",
    "spend_entities",
    "unpriced",
    "calculate",
    "report",
    "global_spend",
    "global_activity",
    "cache_activity",
    "activity",
    "activity_keys",
    "activity_export",
    "allowed_ips",
    "models",
    "costs",
    "key_lists",
    "key_bulk",
    "key_rotation",
    "keys",
    "team_lists",
    "team_members",
    "teams",
    "users",
    "customers",
    "budgets",
    "tags",
    "tag_users",
    "organizations",
    "cost_config",
)


def families() -> list[Routes]:
    """Return every route family."""
    return [importlib.import_module(f"spend_middleware.api.{name}").routes for name in FAMILIES]


def build_app(house: House) -> ASGIApp:
    """Return the application of a house, ready to be mounted anywhere."""
    app = FastAPI(
        title="spend-middleware",
        version=_version(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.house = house
    app.state.pulse = Pulse(lambda: house.directory.config(ALLOWED_IPS))
    gate = Gate(house)
    app.router.routes.extend(
        GuardedRoute(declared, gate) for family in families() for declared in family.declared
    )
    check_routes(app.router.routes)
    describe(app)
    app.add_exception_handler(ProxyError, answer_proxy_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(RequestValidationError, answer_invalid_request)
    app.add_exception_handler(ConfigurationError, _answer_configuration_error)
    app.add_exception_handler(NotFoundError, _answer_not_found)
    return Door(app, known_paths(app.router.routes))


def check_routes(routes: list[BaseRoute]) -> None:
    """Refuse a route that nobody guards: it would be open to everybody."""
    for route in routes:
        if not isinstance(route, GuardedRoute) or not isinstance(route.permission, Permission):
            raise ConfigurationError(f"the route {getattr(route, 'path', route)} declares no permission")


def known_paths(routes: list[BaseRoute]) -> Callable[[str], bool]:
    """Return a test for the paths of the routes."""
    guarded = [route for route in routes if isinstance(route, GuardedRoute)]
    fixed = {route.path for route in guarded if "{" not in route.path}
    patterns: list[re.Pattern[str]] = [route.path_regex for route in guarded if "{" in route.path]

    def knows(path: str) -> bool:
        return path in fixed or any(pattern.match(path) for pattern in patterns)

    return knows


def guarded_routes(app: ASGIApp) -> Iterator[GuardedRoute]:
    """Yield the routes of a built application, for documents and tests."""
    inner: FastAPI = app.app  # type: ignore[attr-defined]
    for route in inner.router.routes:
        if isinstance(route, GuardedRoute):
            yield route


async def _answer_configuration_error(request: Request, error: Exception) -> JSONResponse:
    return await answer_proxy_error(request, ProxyError(400, str(error)))


async def _answer_not_found(request: Request, error: Exception) -> JSONResponse:
    return await answer_proxy_error(request, ProxyError(404, str(error), "not_found_error"))


def _version() -> str:
    try:
        return version("spend-middleware")
    except PackageNotFoundError:
        return "0"

"""How routes are declared: each with the one permission that it needs."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from spend_middleware.api.errors import ProxyError
from spend_middleware.api.threads import threaded
from spend_middleware.errors import ConfigurationError, NotFoundError, StoreError

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Gate = Callable[[Request, "Permission"], Awaitable[None]]

_EXPECTED = (ProxyError, HTTPException, RequestValidationError, ConfigurationError, NotFoundError)
_log = logging.getLogger("spend_middleware.api")


class Permission(StrEnum):
    """Who may call a route; `api.access` decides by it, nothing else does."""

    PUBLIC = "public"
    """Anybody, without a key: the health probes."""
    DOCS = "docs"
    """Anybody, once a master key is set: the OpenAPI document and its pages."""
    MASTER = "master"
    """The master key itself."""
    ADMIN = "admin"
    """The master key and users with the role proxy_admin: whatever changes what belongs to others."""
    READ_ALL = "read_all"
    """Administrators and their viewers: lists of everybody's entities."""
    GLOBAL_SPEND = "global_spend"
    """Administrators, viewers, and keys whose maker opened spend routes or this route: everybody's spend."""
    SPEND = "spend"
    """As GLOBAL_SPEND, and internal users, who see their own."""
    ANALYTICS = "analytics"
    """Daily activity: administrators and viewers see all, owners of a key their own."""
    OWN_KEYS = "own_keys"
    """Administrators, and internal users for keys of their own; the route checks whose key it is."""
    ANY_KEY = "any_key"
    """Every valid key; the route shows no more than what is its caller's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One route as declared in its file."""

    method: str
    path: str
    endpoint: Callable[..., Any]
    permission: Permission
    options: dict[str, Any]


class Routes:
    """The routes of one family.

    Args:
        tag: The heading that they stand under in the OpenAPI document.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.declared: list[Declared] = []

    def get(self, path: str, *, permission: Permission, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a GET route; the options are FastAPI's."""
        return self.add("GET", path, permission=permission, **options)

    def post(self, path: str, *, permission: Permission, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a POST route; the options are FastAPI's."""
        return self.add("POST", path, permission=permission, **options)

    def patch(self, path: str, *, permission: Permission, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a PATCH route; the options are FastAPI's."""
        return self.add("PATCH", path, permission=permission, **options)

    def delete(self, path: str, *, permission: Permission, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a DELETE route; the options are FastAPI's."""
        return self.add("DELETE", path, permission=permission, **options)

    def add(
        self, method: str, path: str, *, permission: Permission, **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route; decorate a function twice to answer under two paths."""

        def declare(endpoint: Endpoint) -> Endpoint:
            settled = {"tags": [self.tag], **options}
            # LiteLLM's operationIds are FastAPI's default: function name, path and method.
            settled.setdefault("operation_id", operation_id(endpoint.__name__, path, method))
            self.declared.append(
                Declared(method=method, path=path, endpoint=endpoint, permission=permission, options=settled)
            )
            return endpoint

        return declare


def operation_id(name: str, path: str, method: str) -> str:
    """Return FastAPI's default operationId."""
    return re.sub(r"\W", "_", f"{name}{path}") + f"_{method.lower()}"


class GuardedRoute(APIRoute):
    """A route that asks the gate before anything of the request but its headers is read."""

    def __init__(self, declared: Declared, gate: Gate) -> None:
        self.permission = declared.permission
        self.gate = gate
        super().__init__(
            declared.path, threaded(declared.endpoint), methods=[declared.method], **declared.options
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's own way of answering, behind the gate."""
        answer = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                await self.gate(request, self.permission)
                await refuse_unwritable_text(request)
                return await answer(request)
            except _EXPECTED:
                raise
            except StoreError as error:
                _log.warning("%s %s: %s", request.method, self.path, error)
                raise ProxyError(503, str(error), "service_unavailable") from None
            except Exception:
                # No traceback leaves the house; the host's log has it.
                _log.exception("%s %s could not be answered", request.method, self.path)
                raise ProxyError(
                    500, "Internal Server Error. The service's log says more.", "internal_server_error"
                ) from None

        return guarded


# Escapes of NUL and of halves of surrogate pairs that stand alone: JSON allows them, PostgreSQL and UTF-8 do not.
_UNWRITABLE = re.compile(
    rb"\\u0000|\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]"
)


async def refuse_unwritable_text(request: Request) -> None:
    """Refuse text that no database can hold, before any of it is stored."""
    for name, value in request.query_params.multi_items():
        if "\x00" in value:
            raise ProxyError(400, f"Invalid {name}: it holds a NUL character.", "bad_request_error", name)
    if any("\x00" in str(value) for value in request.path_params.values()):
        raise ProxyError(400, "Invalid path: it holds a NUL character.", "bad_request_error")
    if request.method != "GET" and _UNWRITABLE.search(await request.body()):
        raise ProxyError(
            400, "Invalid body: it holds a NUL character or half a surrogate pair.", "bad_request_error"
        )

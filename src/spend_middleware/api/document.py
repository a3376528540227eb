"""The OpenAPI document: LiteLLM's names, the true shapes, and who may call."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from spend_middleware.api.errors import ERROR_SCHEMA
from spend_middleware.api.routing import GuardedRoute, Permission

_SECURITY_SCHEMES = {
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "x-litellm-api-key"},
    "HTTPBearer": {"type": "http", "scheme": "bearer"},
}
_SECURITY: list[dict[str, list[str]]] = [{"APIKeyHeader": []}, {"HTTPBearer": []}]
_REFUSALS = {
    "400": "A value cannot be used; the message names it.",
    "401": "No valid key, or its role does not reach here.",
    "403": "This address, or this caller, is not allowed here.",
    "404": "What was asked for by name is not known.",
}
_TAKEN = "Something of this name exists already."
_OPEN = (Permission.PUBLIC, Permission.DOCS)


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` return our document, built on first use."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    schema: dict[str, Any] = get_openapi(
        title=app.title,
        version=app.version,
        summary="LiteLLM's spend API over the calls of your own service.",
        routes=app.router.routes,
        # Relative to the document itself, so that it is right under every mount.
        servers=[{"url": "."}],
    )
    components = schema.setdefault("components", {})
    components["securitySchemes"] = _SECURITY_SCHEMES
    schemas = components.setdefault("schemas", {})
    schemas["ProxyError"] = ERROR_SCHEMA
    schemas["HTTPError"] = {
        "title": "HTTPError",
        "type": "object",
        "required": ["detail"],
        "properties": {"detail": {}},
    }
    for component in schemas.values():
        for field in component.get("properties", {}).values():
            # Generators of clients know no default that is an object, and leave out the routes that take one.
            if field.get("default") == {}:
                del field["default"]
    for route in app.router.routes:
        if isinstance(route, GuardedRoute) and route.include_in_schema:
            for method in route.methods or ():
                _complete(schema["paths"][route.path_format][method.lower()], route.permission)
    return schema


def _complete(operation: dict[str, Any], permission: Permission) -> None:
    operation["x-permission"] = permission.value
    if permission in _OPEN:
        return
    operation["security"] = _SECURITY
    refusals = _REFUSALS if "requestBody" not in operation else {**_REFUSALS, "409": _TAKEN}
    for status, description in refusals.items():
        operation["responses"].setdefault(status, _refusal(description))


def _refusal(description: str) -> dict[str, Any]:
    bodies = [{"$ref": "#/components/schemas/ProxyError"}, {"$ref": "#/components/schemas/HTTPError"}]
    return {"description": description, "content": {"application/json": {"schema": {"anyOf": bodies}}}}

"""The OpenAPI document and the pages that show it; their links are relative, so that they work under any mount."""

from __future__ import annotations

from fastapi import Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import Response

from spend_middleware.api.answers import answer
from spend_middleware.api.routing import Permission, Routes

routes = Routes("docs")


@routes.get("/openapi.json", permission=Permission.DOCS, include_in_schema=False)
def openapi_document(request: Request) -> Response:
    """The document of all routes."""
    # Not a coroutine: its first making takes seconds, in which the host's loop must go on.
    return answer(request.app.openapi())


@routes.get("/", permission=Permission.DOCS, include_in_schema=False)
@routes.get("/docs", permission=Permission.DOCS, include_in_schema=False)
async def swagger_page() -> Response:
    """The document as a page that can be tried out."""
    return get_swagger_ui_html(openapi_url="openapi.json", title="spend-middleware")


@routes.get("/redoc", permission=Permission.DOCS, include_in_schema=False)
async def redoc_page() -> Response:
    """The document as a page to read."""
    return get_redoc_html(openapi_url="openapi.json", title="spend-middleware")

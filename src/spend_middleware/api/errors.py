"""LiteLLM's error bodies: what a client of its proxy reads when a request is refused."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

ERROR_SCHEMA: dict[str, Any] = {
    "title": "ProxyError",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string", "description": "The HTTP status, as a string."},
            },
        }
    },
}


class ProxyError(Exception):
    """A refusal with the body `{"error": {message, type, param, code}}`.

    Args:
        status: The HTTP status; the body repeats it as a string.
        message: What is wrong and how to mend it.
        kind: LiteLLM's machine-readable word, such as "auth_error".
        param: The parameter at fault; LiteLLM writes the text "None" where there is none.
    """

    def __init__(
        self, status: int, message: str, kind: str = "bad_request_error", param: str | None = "None"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param

    def body(self) -> dict[str, Any]:
        """Return the JSON body."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": str(self.status),
            }
        }


async def answer_proxy_error(_request: Request, error: Any) -> JSONResponse:
    """Answer a `ProxyError`."""
    return JSONResponse(error.body(), status_code=error.status)


async def answer_http_error(_request: Request, error: Any) -> JSONResponse:
    """Answer the framework's own refusals, such as 404 and 405, as `{"detail": ...}`."""
    return JSONResponse({"detail": error.detail}, status_code=error.status_code, headers=error.headers)


async def answer_invalid_request(_request: Request, error: Any) -> JSONResponse:
    """Answer 422 with type, place and message of each fault; what was sent is not repeated."""
    faults = [
        {"type": fault["type"], "loc": list(fault["loc"]), "msg": fault["msg"]} for fault in error.errors()
    ]
    return JSONResponse({"detail": faults}, status_code=422)

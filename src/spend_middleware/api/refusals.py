"""How refusals are worded: LiteLLM's routes have four bodies for them, and each client reads the one that it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from fastapi import HTTPException

from spend_middleware.api.errors import ProxyError
from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError

Wording = Callable[[int, str], Exception]
"""Makes the exception for a status and a message."""


def enveloped(kind: str, param: str | None) -> Wording:
    """Return the body `{"error": {message, type, param, code}}`."""
    return lambda status, message: ProxyError(status, message, kind, param)


def detailed(status: int, message: str) -> HTTPException:
    """Return the body `{"detail": {"error": message}}`."""
    return HTTPException(status, {"error": message})


def plain(status: int, message: str) -> HTTPException:
    """Return the body `{"detail": message}`."""
    return HTTPException(status, message)


HANDLED = enveloped("internal_server_error", None)
"""What most of LiteLLM's handlers make of a refusal, whatever its status."""

AUTH = enveloped("auth_error", "None")
"""What its older handlers make of it."""

NO_SUCH_KEY = enveloped("not_found_error", "key")


@contextmanager
def refusing(
    bad: Wording = HANDLED,
    *,
    missing: Wording | None = None,
    taken: Wording | None = None,
    missing_status: int = 404,
    taken_status: int = 400,
) -> Iterator[None]:
    """Word what the directory refuses.

    Args:
        bad: For a value that cannot work; also for the other two where they have no wording of their own.
        missing: For something that does not exist.
        taken: For a name that is taken.
    """
    try:
        yield
    except TakenError as error:
        raise (taken or bad)(taken_status, str(error)) from None
    except ConfigurationError as error:
        raise bad(400, str(error)) from None
    except NotFoundError as error:
        raise (missing or bad)(missing_status, str(error)) from None


@contextmanager
def refusing_aliases() -> Iterator[None]:
    """Word a key or an alias that exists already; everything else is left to others."""
    try:
        yield
    except TakenError as error:
        raise ProxyError(400, str(error), "bad_request_error", error.field or "key_alias") from None


def forbid(message: str, wording: Wording = AUTH) -> NoReturn:
    """Refuse a caller who is known, but not entitled."""
    raise wording(403, message)

"""What the routes of entities share: the directory, who acts, and whose entity it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn, cast

from fastapi import Depends, Query, Request

from spend_middleware.api.access import Caller
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.rights import INTERNAL_USER
from spend_middleware.api.schemas_entities import Part
from spend_middleware.errors import ConfigurationError, NotFoundError, TakenError
from spend_middleware.store.directory import Directory


# A coroutine, so that it costs no visit to a thread.
async def _directory(request: Request) -> Directory:
    return cast("Directory", request.app.state.house.directory)


TheDirectory = Annotated[Directory, Depends(_directory)]

QueryPage = Annotated[int, Query(ge=1, le=1_000_000, description="Page, from 1.")]
Search = Annotated[Part | None, Query(description="A piece of text to look for.")]


def actor(caller: Caller) -> str:
    """Return the user in whose name a caller writes."""
    return caller.user_id or ""


def own_teams(caller: Caller) -> frozenset[str]:
    """Return the teams whose facts a caller may read: its key's, and those that its user is a member of."""
    teams: frozenset[str] = frozenset(getattr(caller.record, "teams", ()))
    return teams | {caller.team_id} if caller.team_id else teams


def led_teams(caller: Caller) -> frozenset[str]:
    """Return the teams that a caller may manage as their admin."""
    teams = frozenset(getattr(caller.record, "admin_teams", ()))
    return teams if caller.role == INTERNAL_USER else frozenset()


def forbid(message: str) -> NoReturn:
    """Refuse a caller who is known, but not entitled."""
    raise ProxyError(403, message, "auth_error")


@contextmanager
def refusing(
    param: str | None = "None",
    kind: str = "bad_request_error",
    *,
    missing: str = "not_found_error",
    taken: int = 400,
) -> Iterator[None]:
    """Turn what the directory refuses into LiteLLM's error bodies.

    Args:
        param: The parameter at fault.
        kind: LiteLLM's word for a bad value; `missing` is the one for something that does not exist.
        taken: The status of a name that is taken.
    """
    try:
        yield
    except TakenError as error:
        raise ProxyError(taken, str(error), kind, param) from None
    except ConfigurationError as error:
        raise ProxyError(400, str(error), kind, param) from None
    except NotFoundError as error:
        raise ProxyError(404, str(error), missing, param) from None


def pages(total: int, size: int) -> int:
    """Return how many pages of a size hold so many entries."""
    return -(-total // size)


def sorted_by(sort_by: str | None, allowed: tuple[str, ...], default: str) -> str:
    """Return the column to sort by, or refuse one that cannot be sorted by."""
    if sort_by is None:
        return default
    if sort_by not in allowed:
        raise ProxyError(
            400, f"Invalid sort_by '{sort_by[:100]}'. Expected one of {', '.join(allowed)}.", param="sort_by"
        )
    return sort_by

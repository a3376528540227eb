"""What the routes of entities share: the directory, who acts, and whose entity it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Query, Request
from fastapi.responses import Response

from spend_middleware.api.access import Caller
from spend_middleware.api.answers import answer
from spend_middleware.api.errors import ProxyError
from spend_middleware.api.rights import INTERNAL_USER
from spend_middleware.api.schemas_entities import Part
from spend_middleware.store.directory import Directory


# A coroutine, so that it costs no visit to a thread.
async def _directory(request: Request) -> Directory:
    return cast("Directory", request.app.state.house.directory)


TheDirectory = Annotated[Directory, Depends(_directory)]

QueryPage = Annotated[int, Query(ge=1, le=1_000_000, description="Page, from 1.")]
Search = Annotated[Part | None, Query(description="A piece of text to look for.")]


async def _changed_by(
    _name: Annotated[
        str | None,
        Header(
            alias="litellm-changed-by",
            description="Taken for LiteLLM's sake: the caller's user stands in the row.",
        ),
    ] = None,
) -> None:
    """Take LiteLLM's word on who asked for a change; it goes into its audit log, which is not kept here."""


CHANGED_BY = [Depends(_changed_by)]
"""The header that LiteLLM's routes of changes take."""


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


def pages(total: int, size: int) -> int:
    """Return how many pages of a size hold so many entries."""
    return -(-total // size)


def paged(name: str, rows: Sequence[Any], total: int, page: int, size: int) -> Response:
    """Return a page as LiteLLM's newer lists write it, its rows under a name."""
    counts = {"total": total, "page": page, "page_size": size, "total_pages": pages(total, size)}
    return answer({name: rows, **counts})


def sorted_by(sort_by: str | None, allowed: tuple[str, ...], default: str) -> str:
    """Return the column to sort by, or refuse one that cannot be sorted by."""
    if sort_by is None:
        return default
    if sort_by not in allowed:
        raise ProxyError(
            400, f"Invalid sort_by '{sort_by[:100]}'. Expected one of {', '.join(allowed)}.", param="sort_by"
        )
    return sort_by

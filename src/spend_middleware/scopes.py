"""`spend.tag(...)`: a block, an async block or a decorator that says who the calls inside are for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from spend_middleware.attribution import (
    Scope,
    clean_metadata,
    clean_name,
    clean_tags,
    current_scope,
    hash_key,
    merge,
)
from spend_middleware.call import Attribution
from spend_middleware.tally import Tally

F = TypeVar("F", bound=Callable[..., Any])


class _Block(Scope):
    """A scope that knows which tag made it."""

    __slots__ = ("maker",)

    def __init__(self, attribution: Attribution, parent: Scope | None, maker: Tag) -> None:
        super().__init__(attribution, parent)
        self.maker = maker


class Tag:
    """Says who the calls of a block are for; made by `Spend.tag`.

    Entering gives a `Tally` whose `cost` and `calls` are filled as calls finish, also those whose streams are closed
    after the block. May be entered again and again, nested, and from several tasks at once.
    """

    def __init__(self, attribution: Attribution, max_tags: int) -> None:
        self._attribution = attribution
        self._max_tags = max_tags

    def __enter__(self) -> Tally:
        parent = current_scope.get()
        said = self._attribution
        if parent is not None:
            around = parent.attribution
            # Outer tags come first, so that rows read from the general to the particular.
            tags = tuple(dict.fromkeys((*around.tags, *said.tags)))[: self._max_tags]
            said = merge(Attribution(tags=tags), merge(said, around, max_tags=self._max_tags))
        scope = _Block(said, parent, self)
        current_scope.set(scope)
        return scope.tally

    def __exit__(self, *exc_info: object) -> None:
        # What was entered is kept in the context itself: tasks and threads that share a tag leave each their own block,
        # and a generator that is closed in another context finds nothing there to take away.
        scope = current_scope.get()
        if isinstance(scope, _Block) and scope.maker is self:
            current_scope.set(scope.parent)

    async def __aenter__(self) -> Tally:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__()

    def _fresh(self) -> Tag:
        return Tag(self._attribution, self._max_tags)

    def __call__(self, function: F) -> F:
        """Decorate a function, a coroutine function or an (async) generator function."""
        wrapped: Callable[..., Any]
        if inspect.isasyncgenfunction(function):

            async def wrapped(*args: Any, **kwargs: Any) -> Any:
                with self._fresh():
                    async for item in function(*args, **kwargs):
                        yield item

        elif inspect.iscoroutinefunction(function):

            async def wrapped(*args: Any, **kwargs: Any) -> Any:
                with self._fresh():
                    return await function(*args, **kwargs)

        elif inspect.isgeneratorfunction(function):

            def wrapped(*args: Any, **kwargs: Any) -> Any:
                with self._fresh():
                    return (yield from function(*args, **kwargs))

        else:

            def wrapped(*args: Any, **kwargs: Any) -> Any:
                with self._fresh():
                    return function(*args, **kwargs)

        return functools.wraps(function)(wrapped)  # type: ignore[return-value]


def said_by(
    tags: tuple[object, ...],
    *,
    end_user: str | None,
    user: str | None,
    team_id: str | None,
    organization_id: str | None,
    session_id: str | None,
    api_key: str | None,
    metadata: Mapping[str, Any] | None,
    max_tags: int,
    max_tag_length: int,
) -> Attribution:
    """Return the attribution that the arguments of `Spend.tag` and `Spend.record` spell out.

    What is of no use, such as metadata that is no mapping, is left out: a block of the host's must run all the same.
    """
    return Attribution(
        tags=clean_tags(tags, max_tags, max_tag_length),
        end_user=clean_name(end_user),
        user_id=clean_name(user),
        team_id=clean_name(team_id),
        organization_id=clean_name(organization_id),
        session_id=clean_name(session_id),
        key_hash=hash_key(api_key) if isinstance(api_key, str) and api_key else None,
        metadata=clean_metadata(metadata) if isinstance(metadata, Mapping) else {},
    )

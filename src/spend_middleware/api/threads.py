"""Threads of our own for what waits on the database, so that the host's thread pool is never full of our questions."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from typing import Any, TypeVar

from anyio import CancelScope, CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from spend_middleware.api.errors import ProxyError

Result = TypeVar("Result")

THREADS = 40
"""Questions that may wait on the database at a time, in each event loop."""

WAITING = 400
"""Questions that may wait for a thread; further ones are told to come again."""

_limiter: RunVar[CapacityLimiter] = RunVar("spend_middleware_threads")


def _threads() -> CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(THREADS)
        _limiter.set(limiter)
        return limiter


async def in_thread(function: Callable[..., Result], *args: Any) -> Result:
    """Call a function that blocks, in one of our threads.

    Raises:
        ProxyError: So many are waiting already that the database cannot be keeping up.
    """
    threads = _threads()
    if threads.statistics().tasks_waiting >= WAITING:
        raise ProxyError(
            503, "Too many questions are waiting for the database. Try again later.", "service_unavailable"
        )
    return await to_thread.run_sync(function, *args, limiter=threads)


def threaded(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return an endpoint that blocks as one that does not; the framework would give it a thread of the host's."""
    if inspect.iscoroutinefunction(endpoint):
        return endpoint

    @wraps(endpoint)
    async def answered(**arguments: Any) -> Any:
        return await in_thread(partial(endpoint, **arguments))

    # With annotations as objects: the framework would look their names up in this module.
    answered.__signature__ = inspect.signature(endpoint, eval_str=True)  # type: ignore[attr-defined]
    return answered


async def sent(first: str, chunks: Iterator[str], close: Callable[[], None]) -> AsyncIterator[str]:
    """Yield the pieces of an answer, each made in one of our threads; close what makes them, whatever happens."""
    try:
        yield first
        while (chunk := await to_thread.run_sync(next, chunks, None, limiter=_threads())) is not None:
            yield chunk
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(close, limiter=_threads())

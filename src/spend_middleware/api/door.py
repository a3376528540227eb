"""The door of the mounted application: whatever the host did to the path, the routes see it in one form."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

SHORT = "/spend"


class Door:
    """An ASGI adapter that undoes the differences between hosts' mounts.

    Starlette keeps the whole path and names the mount in `root_path`; Litestar strips the prefix, adds a slash and
    leaves `root_path` empty (or "/"); a server behind a proxy puts the proxy's prefix into `root_path`. Inside, the
    path always stands as LiteLLM knows it and `root_path` is empty. Under a mount at `/spend` the short forms
    (`/tags` for `/spend/tags`) answer too.

    Args:
        app: The application inside.
        knows: Whether a path, without a trailing slash, is one of the routes.
    """

    def __init__(self, app: ASGIApp, knows: Callable[[str], bool]) -> None:
        self.app = app
        self.knows = knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on the request with its path mended."""
        if scope["type"] in ("http", "websocket"):
            path = self.inner_path(scope["path"], scope.get("root_path", ""))
            scope = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self.app(scope, receive, send)

    def inner_path(self, path: str, root_path: str) -> str:
        """Return the path as the routes know it; an unknown one as it stands under the mount."""
        candidates = _under(path, root_path)
        for candidate in candidates:
            bare = candidate.rstrip("/") or "/"
            if self.knows(bare):
                return bare
            if self.knows(SHORT + bare):
                return SHORT + bare
        return candidates[0]


def _under(path: str, root_path: str) -> list[str]:
    """Return what may be meant by a path, likeliest first: without the mount, or as it is.

    A host with a `root_path` of its own passes on paths that hold only the mount's part of it, so each tail of
    the root path counts, the longest first.
    """
    path = "/" + path.lstrip("/")
    tail = "/" + root_path.strip("/")
    found: list[str] = []
    while tail != "/":
        if path == tail or path.startswith(tail + "/"):
            found.append(path[len(tail) :] or "/")
        tail = "/" + tail[1:].partition("/")[2]
    return [*found, path]

"""Price maps of your own in LiteLLM's format: read from a file or over https, checked, and refused when they look wrong."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from spend_middleware.errors import PriceError
from spend_middleware.pricing.rates import check_fields, is_price_field, leaves, parse_price

MOST_BYTES = 32 << 20
TIMEOUT = 5.0
FEWEST_MODELS = 50
LEAST_SHARE = 0.5
"""A map with fewer models than this share of the packaged table's is taken for a broken one."""

_MOST_A_TOKEN = 1
_NOT_MODELS = frozenset({"sample_spec", "fallback_generalizations"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_logger = logging.getLogger("spend_middleware.pricing")

PriceMap = dict[str, dict[str, Any]]


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where a map may come from at all."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def load(location: str | Path, packaged_models: int) -> tuple[PriceMap, str]:
    """Return the prices of a map and its version; nothing is returned of a map that looks wrong.

    Args:
        location: A path, file:// or https:// (http:// for this machine alone).
        packaged_models: How many models the packaged table lists.

    Raises:
        PriceError: The map cannot be read, is too large, has too few models, or holds a value that is no price.
    """
    body = _read(str(location))
    try:
        stored = json.loads(body)
    except (ValueError, RecursionError):
        raise PriceError(f"price map {location}: not JSON") from None
    if not isinstance(stored, dict):
        raise PriceError(f"price map {location}: not an object of models")
    prices = {
        str(model): _checked(str(model), row)
        for model, row in with_aliases(stored).items()
        if model not in _NOT_MODELS
    }
    priced = sum(1 for row in prices.values() if any(map(is_price_field, row)))
    least = max(FEWEST_MODELS, int(packaged_models * LEAST_SHARE))
    if priced < least:
        raise PriceError(f"price map {location}: {priced} models with prices, fewer than {least}")
    return prices, f"map.{hashlib.sha256(body).hexdigest()[:12]}"


def with_aliases(stored: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the rows of a map with those for its aliases: a row may name further names, or be `alias_of` another.

    An alias of nothing is left out; a model's own row comes before an alias of the same name.
    """
    rows = {name: row for name, row in stored.items() if isinstance(row, Mapping)}
    whole = {name: row for name, row in rows.items() if not isinstance(row.get("alias_of"), str)}
    out = dict(whole)
    for row in whole.values():
        names = row.get("aliases")
        for name in names if isinstance(names, list) else ():
            if isinstance(name, str):
                out.setdefault(name, row)
    for name, row in rows.items():
        target = row.get("alias_of")
        if isinstance(target, str) and target in whole:
            out.setdefault(name, whole[target])
    return out


def _checked(model: str, row: Mapping[str, Any]) -> dict[str, Any]:
    fields = check_fields(model, row)
    for name, value in fields.items():
        if name.startswith(("input_cost_per_token", "output_cost_per_token")):
            for dotted, leaf in leaves(value, name):
                if leaf is not None and parse_price(leaf, model, dotted) > _MOST_A_TOKEN:
                    raise PriceError(f"price {dotted} of {model!r} is {leaf!r}: more than 1 USD a token")
    return fields


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise PriceError(f"price map {url}: only a path, file:// and https:// are read")


def _read(location: str) -> bytes:
    scheme = urlsplit(location).scheme
    if scheme in ("http", "https"):
        return _fetch(location)
    path = unquote(urlsplit(location).path) if scheme == "file" else location
    try:
        with Path(path).open("rb") as file:
            return _bounded(location, file.read, None)
    except OSError as error:
        raise PriceError(f"price map {location}: {error.strerror or type(error).__name__}") from None


def _fetch(url: str) -> bytes:
    _check_url(url)
    opener = urllib.request.build_opener(_SafeRedirects())
    try:
        with opener.open(url, timeout=TIMEOUT) as answer:
            return _bounded(url, answer.read, time.monotonic() + TIMEOUT)
    except (OSError, urllib.error.URLError, ValueError) as error:
        if isinstance(error, PriceError):
            raise
        raise PriceError(f"price map {url}: {type(error).__name__}: {error}") from None


def _bounded(location: str, read: Callable[[int], bytes], deadline: float | None) -> bytes:
    """Return everything that `read` gives, within a size and a time."""
    parts: list[bytes] = []
    size = 0
    while part := read(1 << 16):
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise PriceError(f"price map {location}: larger than {MOST_BYTES >> 20} MiB")
        if deadline is not None and time.monotonic() > deadline:
            raise PriceError(f"price map {location}: took longer than {TIMEOUT:g} s")
    return b"".join(parts)


class Follower:
    """Loads a map in a thread of its own, now and then again; what fails leaves the last good prices in place.

    Args:
        refresh: Loads the map and puts it in place; raises PriceError when it is refused.
        every: Seconds between two loads.
    """

    def __init__(self, refresh: Callable[[], None], every: float) -> None:
        self._refresh = refresh
        self._every = every
        self._stopped = threading.Event()
        self.first_done = threading.Event()
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name="spend-price-map", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._refresh()
                self.error = None
            except Exception as error:
                if str(error) != self.error:
                    _logger.warning("%s; the prices stay as they were", error)
                self.error = str(error)
            self.first_done.set()
            self._stopped.wait(self._every)

    def stop(self, timeout: float = 1.0) -> None:
        """Load no more; a load that is under way is left to end by itself."""
        self._stopped.set()
        self._thread.join(timeout)

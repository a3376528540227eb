"""What a `Spend` is opened with: settings from arguments and environment, its price book, a word on weak keys."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spend_middleware.errors import ConfigurationError
from spend_middleware.pricing.book import PriceBook
from spend_middleware.settings import Settings
from spend_middleware.store.places import check_url

log = logging.getLogger("spend_middleware")

WELL_KNOWN_KEY = "sk-1234"
SHORTEST_SAFE_KEY = 16


def settings_from(knobs: dict[str, Any]) -> Settings:
    """Return the settings that arguments and environment make.

    Raises:
        ConfigurationError: One of them cannot work; the message names it.
    """
    try:
        return Settings(**knobs)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"Setting {name!r}: {first['msg'].removeprefix('Value error, ')}.") from None


def check_urls(settings: Settings) -> None:
    """Refuse database URLs that can never work, before the first call waits for one.

    Raises:
        ConfigurationError: One cannot be read, or names a database that is not supported.
    """
    check_url(settings.database_url)
    if settings.reports_url is not None:
        check_url(settings.reports_url, "reports_url")


def book_of(settings: Settings) -> PriceBook:
    """Return the bundled prices with what the settings add to them."""
    book = PriceBook(
        discounts=settings.cost_discount_config,
        margins=settings.cost_margin_config,
        base_models=settings.base_models,
    )
    if settings.model_prices:
        book.register(settings.model_prices)
    return book


def prices_in(path: str | Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the prices in a JSON file of your own.

    Raises:
        ConfigurationError: The file cannot be read or is not an object of models.
    """
    try:
        stored = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Prices in {str(path)!r}: {error}.") from None
    if not isinstance(stored, dict) or not all(isinstance(row, dict) for row in stored.values()):
        raise ConfigurationError(
            f"Prices in {str(path)!r}: not an object of models, each with its price fields."
        )
    return stored


def warn_of_weak_key(key: str | None) -> None:
    """Say so, once at start, when the administrator's key is no secret."""
    if key == WELL_KNOWN_KEY:
        log.warning("The master key is %s, which everybody knows: set SPEND_MASTER_KEY to a secret one.", key)
    elif key is not None and len(key) < SHORTEST_SAFE_KEY:
        log.warning("The master key is shorter than %d characters: set a longer one.", SHORTEST_SAFE_KEY)

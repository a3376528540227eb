"""What a `Spend` is opened with: settings from arguments and environment, its price book, a word on weak keys."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from spend_middleware.errors import ConfigurationError
from spend_middleware.pricing.book import PriceBook
from spend_middleware.settings import Settings

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
        raise ConfigurationError(f"Setting {name!r}: {first['msg']}.") from None


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


def warn_of_weak_key(key: str | None) -> None:
    """Say so, once at start, when the administrator's key is no secret."""
    if key == WELL_KNOWN_KEY:
        log.warning("The master key is %s, which everybody knows: set SPEND_MASTER_KEY to a secret one.", key)
    elif key is not None and len(key) < SHORTEST_SAFE_KEY:
        log.warning("The master key is shorter than %d characters: set a longer one.", SHORTEST_SAFE_KEY)

"""Pictures: by the token where the answer counts those, else by quality, size and steps."""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec.structs import replace

from spend_middleware.call import Charge, Unit, Usage
from spend_middleware.pricing.names import fits
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import Rates
from spend_middleware.pricing.related import Related
from spend_middleware.pricing.tokens import TokenCard, add, quantity, token_charges

_SIZE = re.compile(r"^(\d{1,5})\s*(?:x|-x-|\*|:)\s*(\d{1,5})$")
_USUAL_SIZE = (1024, 1024)
_MEGAPIXEL = 1_048_576

# Providers whose rows state the price of a picture as such; the other rows' first price counts.
_FLAT = frozenset(
    {"vertex_ai", "gemini", "recraft", "aiml", "cometapi", "runwayml", "azure_ai", "fal_ai", "bedrock"}
)

# fal.ai's names of sizes (https://docs.fal.ai/model-apis, "image_size").
_FAL_SIZES = {
    "square_hd": (1024, 1024), "square": (512, 512), "portrait_4_3": (768, 1024), "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768), "landscape_16_9": (1024, 576),
}  # fmt: skip
_FAL_USUAL = (1024, 768)

_TOKEN_FIELDS = (
    "input_cost_per_token", "output_cost_per_token", "input_cost_per_image_token", "output_cost_per_image_token",
)  # fmt: skip


def charges(
    rates: Rates, card: TokenCard | None, query: PriceQuery, related: Related
) -> tuple[list[Charge], str | None]:
    """Return the lines of a call that made or edited pictures, and why it cannot be priced where it cannot."""
    usage = query.usage
    if (
        card is not None
        and (usage.input_tokens or usage.output_tokens)
        and rates.first(*_TOKEN_FIELDS) is not None
    ):
        if not (
            usage.output_image_tokens or usage.output_audio_tokens or usage.output_text_tokens is not None
        ):
            # What comes out of a picture model without further detail is the picture.
            usage = replace(usage, output_image_tokens=max(usage.output_tokens - usage.reasoning_tokens, 0))
        return token_charges(usage, card.at(usage.input_tokens, query.at)), None
    pictures = _pictures(usage)
    size = _size(usage)
    price = _keyed_price(rates, query, related, size)
    if price is None:
        price = _row_price(rates, query.provider or rates.provider, size or _USUAL_SIZE)
    if price is None:
        return [], f"the price of {rates.key} has no rate for a picture of this kind"
    uplift = _uplift(rates, query)
    lines: list[Charge] = []
    add(lines, Unit.OUTPUT_IMAGES.value, pictures, price * uplift)
    return lines, None


def flat(rates: Rates, usage: Usage) -> list[Charge]:
    """Return one line at the price of a picture, also for other things that are billed by the piece."""
    lines: list[Charge] = []
    add(lines, Unit.OUTPUT_IMAGES.value, _pictures(usage), rates.get("output_cost_per_image") or Decimal(0))
    return lines


def _pictures(usage: Usage) -> Decimal:
    return quantity(usage, Unit.OUTPUT_IMAGES) or Decimal(1)


def _size(usage: Usage) -> tuple[int, int] | None:
    stated = usage.traits.get("size", "")
    found = _SIZE.match(stated.lower())
    if found:
        return int(found[1]), int(found[2])
    return _FAL_SIZES.get(stated)


def _uplift(rates: Rates, query: PriceQuery) -> Decimal:
    if rates.provider.startswith("vertex_ai") and query.region and query.region.lower() != "global":
        return rates.get("regional_endpoint_uplift_multiplier") or Decimal(1)
    return Decimal(1)


def _row_price(rates: Rates, provider: str, size: tuple[int, int]) -> Decimal | None:
    """Return the price of one picture that a row states: as such, or by the pixel."""
    names = ("input_cost_per_image", "output_cost_per_image")
    price = rates.first(*(names[::-1] if provider in _FLAT else names))
    per_pixel = rates.get("input_cost_per_pixel")
    if price is None and per_pixel is not None:
        return per_pixel * size[0] * size[1]
    return price


def _keyed_price(
    rates: Rates, query: PriceQuery, related: Related, size: tuple[int, int] | None
) -> Decimal | None:
    """Return the price of a row for exactly this quality, size and number of steps, where there is one."""
    provider = query.provider or rates.provider
    model = rates.key.removeprefix(f"{provider}/")
    if provider == "fal_ai":
        return _fal(rates, query, related, model, size)
    width, height = size or _USUAL_SIZE
    dimensions = f"{width}-x-{height}"
    quality = query.usage.traits.get("quality") or ("high" if "gpt-image" in model else "standard")
    for key in _keys(provider, model, dimensions, quality, query.usage.traits.get("steps")):
        row = related.row(key)
        if row is not None and fits(row.provider, provider):
            price = _row_price(row, provider, (width, height))
            if price is not None:
                return price
    return None


def _keys(provider: str, model: str, dimensions: str, quality: str, steps: str | None) -> list[str]:
    if provider == "bedrock":
        count = int(steps) if steps and steps.isdigit() else 50
        step = "max-steps" if count > 50 else "50-steps"
        return [f"{dimensions}/{step}/{model}", f"max-x-max/{step}/{model}"]
    plain = [f"{quality}/{dimensions}/{model}", f"{dimensions}/{model}"]
    if "gpt-image" in model or quality == "standard":
        plain.append(f"high/{dimensions}/{model}")
    return [key for name in plain for key in (f"{provider}/{name}", name)]


def _fal(
    rates: Rates, query: PriceQuery, related: Related, model: str, size: tuple[int, int] | None
) -> Decimal | None:
    """Return fal.ai's price: of the resolution, else of the nearest size in this quality, else by the megapixel."""
    traits = query.usage.traits
    resolution = traits.get("resolution")
    price = rates.get(f"output_cost_per_image_{resolution}") if resolution else None
    if price is not None:
        return price
    quality = traits.get("quality") or "high"
    width, height = size or _FAL_USUAL
    nearest: tuple[int, int, Decimal] | None = None
    prefix, suffix = f"fal_ai/{quality}/", f"/{model}"
    for key in related.ending(model):
        found = _SIZE.match(key[len(prefix) : -len(suffix)]) if key.startswith(prefix) else None
        row = related.row(key) if found else None
        each = row.get("output_cost_per_image") if row else None
        if found and each is not None:
            pixels = int(found[1]) * int(found[2])
            rank = (abs(pixels - width * height), pixels, each)
            nearest = rank if nearest is None or rank < nearest else nearest
    if nearest is not None:
        return nearest[2]
    per_pixel = rates.get("output_cost_per_pixel")
    if size and per_pixel:
        return per_pixel * _MEGAPIXEL * -(-width * height // _MEGAPIXEL)
    return None

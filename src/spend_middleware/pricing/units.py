"""Everything that is billed by another unit than the token: seconds, characters, pages, queries, and so on."""

from __future__ import annotations

from decimal import Decimal

from spend_middleware.call import Charge, Unit, Usage
from spend_middleware.pricing import images
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.rates import ZERO, Rates
from spend_middleware.pricing.related import Related
from spend_middleware.pricing.tokens import TokenCard, add, quantity, token_charges

Answer = tuple[list[Charge], str | None]
"""Charge lines, and why the call cannot be priced where it cannot."""

# Modes whose rows may be billed by the duration of the call (Bedrock commitments, hosted models).
_CLOCK_MODES = frozenset({"", "chat", "completion", "responses", "text_completion"})

# Groq bills at least ten seconds of audio a request (https://groq.com/pricing, "Automatic Speech Recognition").
_GROQ_LEAST = Decimal(10)

# Parallel: ten results are in the price of a request, each further one costs this (https://docs.parallel.ai/pricing).
_PARALLEL_FURTHER = Decimal("0.001")
_PARALLEL_INCLUDED = 10
_PARALLEL_USUAL = "parallel_ai/search"
_PARALLEL_MODES = {"fast": "parallel_ai/search-fast", "turbo": "parallel_ai/search-turbo"}

_SEARCH_RESULTS = 10
"""What a search gives when nobody says how many results it should."""


def clock_price(rates: Rates) -> Decimal | None:
    """Return the price of a second of the call's own duration, for rows that are billed so."""
    if rates.mode not in _CLOCK_MODES or rates.fields.get("tiered_pricing"):
        return None
    if rates.get("input_cost_per_token") or rates.get("output_cost_per_token"):
        return None
    return rates.first("cost_per_second", "input_cost_per_second", "output_cost_per_second")


def clock_charges(price: Decimal, query: PriceQuery) -> Answer:
    """Return the line of a call that is billed by its duration."""
    seconds = quantity(query.usage, Unit.WALL_SECONDS) or Decimal(repr(float(query.response_seconds or 0.0)))
    if not seconds.is_finite() or seconds < 0:
        return [], "how long the call took is not known"
    lines: list[Charge] = []
    add(lines, Unit.WALL_SECONDS.value, seconds, price)
    return lines, None


def charges(rates: Rates, card: TokenCard | None, query: PriceQuery, related: Related) -> Answer:
    """Return the lines of a call, tools left out, by the kind of call."""
    usage, kind = query.usage, query.operation.removeprefix("a")
    if kind.startswith(("image", "passthrough_image")) or _made_images(rates, usage):
        return images.charges(rates, card, query, related)
    if "video" in kind or (quantity(usage, Unit.OUTPUT_VIDEO_SECONDS) and rates.mode == "video_generation"):
        return _video(rates, card, query)
    if kind == "speech":
        return _speech(rates, card, query)
    if "transcri" in kind or "translation" in kind or rates.mode == "audio_transcription":
        return _transcription(rates, card, query)
    if kind == "rerank" or rates.mode == "rerank":
        return _rerank(rates, card, query)
    if kind == "search" or rates.mode == "search":
        return _search(rates, query, related)
    if kind == "ocr" or rates.mode == "ocr":
        return _ocr(rates, query)
    if rates.fields.get("guardrail_cost_per_unit"):
        return _guardrail(rates, usage), None
    return _tokens(rates, card, query)


def _made_images(rates: Rates, usage: Usage) -> bool:
    return Unit.OUTPUT_IMAGES in usage.units and rates.mode in ("image_generation", "image_edit")


def _missing(rates: Rates, what: str) -> Answer:
    return [], f"the price of {rates.key} has no rate for {what}"


def _used_tokens(usage: Usage) -> bool:
    return bool(usage.input_tokens or usage.output_tokens)


def _tokens(rates: Rates, card: TokenCard | None, query: PriceQuery) -> Answer:
    """Return token lines; what the row prices by another unit (characters, pictures, seconds) is not billed twice."""
    usage = query.usage
    lines: list[Charge] = []
    free: set[str] = set()
    for unit, field, replaced in _COUNTED:
        counted = quantity(usage, unit)
        price = rates.get(field) if counted else None
        if price is not None:
            add(lines, unit.value, counted, price)
            free.update(replaced)
            if unit is Unit.INPUT_IMAGES and usage.input_text_tokens is None:
                free.add("input_tokens")
    if card is not None:
        tokens = token_charges(usage, card.at(usage.input_tokens, query.at))
        return [line for line in tokens if line.meter not in free] + lines, None
    if _used_tokens(usage) and not lines:
        return _missing(rates, "tokens")
    return lines, None


_COUNTED = (
    (Unit.INPUT_CHARACTERS, "input_cost_per_character", ("input_tokens",)),
    (Unit.INPUT_IMAGES, "input_cost_per_image", ("input_image_tokens",)),
    (Unit.INPUT_VIDEO_SECONDS, "input_cost_per_video_per_second", ("input_video_tokens",)),
    (Unit.INPUT_AUDIO_SECONDS, "input_cost_per_audio_per_second", ("input_audio_tokens",)),
    (Unit.QUERIES, "input_cost_per_query", ()),
    (Unit.REQUESTS, "input_cost_per_request", ()),
)


def _video(rates: Rates, card: TokenCard | None, query: PriceQuery) -> Answer:
    """Return seconds times the price of the resolution, else tokens where the provider counts those."""
    usage = query.usage
    seconds = quantity(usage, Unit.OUTPUT_VIDEO_SECONDS)
    resolution = "".join(c for c in usage.traits.get("resolution", "").lower() if c.isalnum() or c == "_")
    price = rates.get("output_cost_per_video_per_second")
    if price is None and resolution:
        price = rates.get(f"output_cost_per_second_{resolution}")
    if price is None:
        price = rates.get("output_cost_per_second")
    if seconds and price is not None:
        videos = max(quantity(usage, Unit.OUTPUT_VIDEOS), Decimal(1))
        lines: list[Charge] = []
        add(lines, Unit.OUTPUT_VIDEO_SECONDS.value, seconds * videos, price)
        return lines, None
    if card is not None and _used_tokens(usage):
        return token_charges(usage, card.at(usage.input_tokens, query.at)), None
    if rates.get("output_cost_per_image") is not None and not seconds:
        return images.flat(rates, usage), None
    return ([], "how long the video is, is not known") if not seconds else _missing(rates, "seconds of video")


def _speech(rates: Rates, card: TokenCard | None, query: PriceQuery) -> Answer:
    usage = query.usage
    price = rates.get("input_cost_per_character")
    characters = quantity(usage, Unit.INPUT_CHARACTERS)
    if price and characters:
        lines: list[Charge] = []
        add(lines, Unit.INPUT_CHARACTERS.value, characters, price)
        return lines, None
    if rates.get("output_cost_per_image") is not None:
        return images.flat(rates, usage), None  # a piece of music is billed as one generation
    if card is not None and _used_tokens(usage):
        return token_charges(usage, card.at(usage.input_tokens, query.at)), None
    seconds = quantity(usage, Unit.OUTPUT_AUDIO_SECONDS)
    per_second = rates.get("output_cost_per_second")
    if seconds and per_second is not None:
        lines = []
        add(lines, Unit.OUTPUT_AUDIO_SECONDS.value, seconds, per_second)
        return lines, None
    if price is not None and not price:
        return [], None
    return _missing(rates, "characters" if characters else "what was used")


def _transcription(rates: Rates, card: TokenCard | None, query: PriceQuery) -> Answer:
    """Return token lines where the provider counted tokens and the row prices them, else seconds of audio."""
    usage = query.usage
    seconds = quantity(usage, Unit.INPUT_AUDIO_SECONDS)
    prices_tokens = bool(rates.get("input_cost_per_token") or rates.get("input_cost_per_audio_token"))
    if card is not None and _used_tokens(usage) and (prices_tokens or not seconds):
        return _tokens(rates, card, query)
    price = rates.get("output_cost_per_second") or rates.first(
        "input_cost_per_second", "input_cost_per_audio_per_second"
    )
    if price is None:
        return _missing(rates, "seconds of audio")
    if not seconds:
        return [], "how long the audio is, is not known"
    if (query.provider or rates.provider) == "groq":
        seconds = max(seconds, _GROQ_LEAST)
    lines: list[Charge] = []
    add(lines, Unit.INPUT_AUDIO_SECONDS.value, seconds, price)
    return lines, None


def _rerank(rates: Rates, card: TokenCard | None, query: PriceQuery) -> Answer:
    """Return search units where the row prices those, else tokens."""
    usage = query.usage
    searched = quantity(usage, Unit.SEARCH_UNITS)
    price = rates.get("input_cost_per_query")
    if searched and price is not None:
        lines: list[Charge] = []
        add(lines, Unit.SEARCH_UNITS.value, searched, price)
        return lines, None
    if card is not None and (_used_tokens(usage) or not searched):
        return token_charges(usage, card.at(usage.input_tokens, query.at)), None
    return _missing(rates, "search units" if searched else "tokens")


def _search(rates: Rates, query: PriceQuery, related: Related) -> Answer:
    """Return queries times their price, which may depend on how many results were asked for."""
    usage = query.usage
    queries = quantity(usage, Unit.QUERIES) or Decimal(1)
    results = quantity(usage, Unit.SEARCH_RESULTS) or Decimal(_SEARCH_RESULTS)
    lines: list[Charge] = []
    if (query.provider or rates.provider) == "parallel_ai":
        mode = usage.traits.get("mode")
        chosen = (related.row(_PARALLEL_MODES.get(mode, _PARALLEL_USUAL)) if mode else None) or rates
        price = chosen.get("input_cost_per_query")
        if price is None:
            return _missing(rates, "queries")
        add(lines, Unit.REQUESTS.value, quantity(usage, Unit.REQUESTS) or Decimal(1), price)
        add(lines, Unit.SEARCH_RESULTS.value, max(results - _PARALLEL_INCLUDED, ZERO), _PARALLEL_FURTHER)
        return lines, None
    price = _by_results(rates, results)
    if price is None:
        return _missing(rates, "queries")
    add(lines, Unit.QUERIES.value, queries, price)
    return lines, None


def _by_results(rates: Rates, results: Decimal) -> Decimal | None:
    tiers = rates.fields.get("tiered_pricing")
    if not isinstance(tiers, list) or not tiers:
        return rates.get("input_cost_per_query")
    for tier in tiers:
        low, high = tier.get("max_results_range") or (0, 0)
        if low <= results <= high:
            return Decimal(repr(tier["input_cost_per_query"]))
    return Decimal(repr(tiers[-1]["input_cost_per_query"]))


def _ocr(rates: Rates, query: PriceQuery) -> Answer:
    """Return credits where the provider counts those, else pages and annotated pages."""
    usage = query.usage
    lines: list[Charge] = []
    counted, per_credit = quantity(usage, Unit.OCR_CREDITS), rates.get("ocr_cost_per_credit")
    if counted and per_credit is not None:
        add(lines, Unit.OCR_CREDITS.value, counted, per_credit)
        return lines, None
    page = rates.get("ocr_cost_per_page")
    annotated = rates.get("annotation_cost_per_page")
    if query.batch:
        page = rates.first("ocr_cost_per_page_batches", "ocr_cost_per_page")
        annotated = rates.first("annotation_cost_per_page_batches", "annotation_cost_per_page")
    if page is None and annotated is None:
        return _missing(rates, "pages")
    add(lines, Unit.PAGES.value, quantity(usage, Unit.PAGES), page or ZERO)
    extra = page if annotated is None else annotated
    add(lines, Unit.ANNOTATED_PAGES.value, quantity(usage, Unit.ANNOTATED_PAGES), extra or ZERO)
    return lines, None


def _guardrail(rates: Rates, usage: Usage) -> list[Charge]:
    lines: list[Charge] = []
    for unit in usage.units:
        price = rates.nested("guardrail_cost_per_unit", unit)
        if price is not None:
            add(lines, str(unit), quantity(usage, unit), price)
    return lines

"""The names that price fields can have, and which of them somebody meant who wrote another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from spend_middleware.errors import PriceError

# LiteLLM's names of prices, without what may follow; those that no rule of ours uses are there too, because its maps
# have them.
_BASES = frozenset(
    re.findall(
        r"\S+",
        """
    annotation_cost_per_page cache_creation_cost cache_creation_input_audio_token_cost
    cache_creation_input_token_cost cache_read_cost cache_read_input_audio_token_cost
    cache_read_input_image_token_cost cache_read_input_token_cost cache_read_input_token_cost_per_audio_token
    citation_cost_per_token code_interpreter_cost_per_session computer_use_input_cost_per_1k_tokens
    computer_use_output_cost_per_1k_tokens cost_per_second explicit_cache_read_input_token_cost
    fedramp_uplift_multiplier file_search_cost_per_1k_calls file_search_cost_per_gb_per_day
    google_maps_grounding_cost_per_query guardrail_cost_per_unit input_cost_per_audio_per_second
    input_cost_per_audio_token input_cost_per_character input_cost_per_image input_cost_per_image_token
    input_cost_per_pixel input_cost_per_query input_cost_per_request input_cost_per_second
    input_cost_per_text_message input_cost_per_token input_cost_per_token_batch_requests
    input_cost_per_token_cache_hit input_cost_per_video_per_second input_cost_per_video_token
    input_dbu_cost_per_token ocr_cost_per_credit ocr_cost_per_page off_peak_pricing
    output_cost_per_audio_per_second output_cost_per_audio_token output_cost_per_character output_cost_per_image
    output_cost_per_image_premium_image output_cost_per_image_token output_cost_per_pixel
    output_cost_per_reasoning_token output_cost_per_second output_cost_per_token output_cost_per_video_per_second
    output_cost_per_video_token output_db_cost_per_token output_dbu_cost_per_token provider_specific_entry
    regional_endpoint_uplift_multiplier regional_processing_uplift_multiplier search_context_cost_per_query
    tiered_pricing vector_store_cost_per_gb_per_day web_search_billing_unit
    """,
    )
)

# Length of the prompt or of a cache's life, size, resolution, region, service tier; any number of them.
_ENDING = re.compile(
    r"(?:_above_[0-9a-z]+(?:_and_[0-9a-z]+)*(?:_tokens|_interval|_pixels)?(?:_and_premium_image)?"
    r"|_batches|_batch|_flex|_balanced|_priority|_fast|_ultrafast|_decisions|_eu|_us|_[0-9][0-9.]*[kKp]?)+$"
)

# Other fields of LiteLLM's maps, which would be taken for prices.
_NO_PRICES = re.compile(
    r"^(?:max_(?:input_|output_)?tokens|litellm_provider|mode|source|metadata|supports_\w+|supported_\w+)$"
)
_ALIKE = 0.84


def refuse_misspelled(model: str, names: Iterable[str]) -> list[str]:
    """Return the names that look like prices and are none that count for anything.

    Raises:
        PriceError: One is a slip of a known one, which would otherwise count for nothing without a word.
    """
    unknown = []
    for name in names:
        meant = misspelled(name)
        if meant is not None:
            raise PriceError(f"{name!r} of {model!r} is no price field: {meant!r} is meant?")
        if "cost" in name and name not in _BASES and _ENDING.sub("", name) not in _BASES:
            unknown.append(name)
    return unknown


def misspelled(name: str) -> str | None:
    """Return the price field that a name is a slip of; None for a known one and for one that is like none."""
    base = _ENDING.sub("", name)
    if name in _BASES or base in _BASES or _NO_PRICES.match(name):
        return None
    squeezed = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_").replace("price", "cost")
    plain = _ENDING.sub("", squeezed)
    if plain in _BASES:
        return plain
    close = difflib.get_close_matches(plain, sorted(_BASES), n=1, cutoff=_ALIKE)
    return close[0] if close else None

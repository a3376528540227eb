"""What is billed by other units than tokens, and the tools beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware.call import Cost, PricingStatus, Unit, Usage
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.pricing.table import PriceTable

ROWS: dict[str, dict[str, Any]] = {
    "openai/high/1024-x-1024/gpt-image": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.25},
    "low/1024-x-1024/gpt-image": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.02},
    "gpt-image": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 5e-6, "output_cost_per_image_token": 4e-5},
    "standard/1024-x-1024/dall": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 1e-8},
    "azure/standard/1024-x-1024/dall": {"litellm_provider": "azure", "mode": "image_generation", "input_cost_per_pixel": 2e-8},
    "512-x-512/50-steps/stability.sd": {"litellm_provider": "bedrock", "mode": "image_generation", "output_cost_per_image": 0.02},
    "512-x-512/max-steps/stability.sd": {"litellm_provider": "bedrock", "mode": "image_generation", "output_cost_per_image": 0.04},
    "fal_ai/high/1024-x-768/flux": {"litellm_provider": "fal_ai", "mode": "image_generation", "output_cost_per_image": 0.03},
    "fal_ai/high/2048-x-2048/flux": {"litellm_provider": "fal_ai", "mode": "image_generation", "output_cost_per_image": 0.09},
    "fal_ai/flux": {"litellm_provider": "fal_ai", "mode": "image_generation", "output_cost_per_image": 0.05},
    "fal_ai/nano": {"litellm_provider": "fal_ai", "mode": "image_generation", "output_cost_per_image": 0.05, "output_cost_per_image_4K": 0.2},
    "fal_ai/mega": {"litellm_provider": "fal_ai", "mode": "image_generation", "output_cost_per_image": 0.05, "output_cost_per_pixel": 1e-8},
    "gemini/pic": {"litellm_provider": "gemini", "mode": "image_generation", "input_cost_per_image": 0.001, "output_cost_per_image": 0.1},
    "tts": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_character": 1.5e-5},
    "voice": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_token": 1e-6, "output_cost_per_audio_token": 1e-5},
    "vertex_ai/song": {"litellm_provider": "vertex_ai", "mode": "audio_speech", "output_cost_per_image": 0.04, "input_cost_per_token": 0, "output_cost_per_token": 0},
    "whisper": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 1e-4, "output_cost_per_second": 0},
    "groq/whisper": {"litellm_provider": "groq", "mode": "audio_transcription", "input_cost_per_second": 1e-4},
    "scribe": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 1, "input_cost_per_audio_token": 1e-5, "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
    "sora": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_second": 0.1, "output_cost_per_second_1080p": 0.3},
    "sora-flat": {"litellm_provider": "openai", "mode": "video_generation", "output_cost_per_video_per_second": 0.5, "output_cost_per_second_1080p": 0.3},
    "ranker": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.002, "input_cost_per_token": 0, "output_cost_per_token": 0},
    "novita/ranker": {"litellm_provider": "novita", "mode": "rerank", "input_cost_per_token": 1e-6},
    "exa_ai/search": {"litellm_provider": "exa_ai", "mode": "search", "tiered_pricing": [{"max_results_range": [0, 25], "input_cost_per_query": 0.005}, {"max_results_range": [26, 100], "input_cost_per_query": 0.025}]},
    "parallel_ai/search": {"litellm_provider": "parallel_ai", "mode": "search", "input_cost_per_query": 0.005},
    "parallel_ai/search-turbo": {"litellm_provider": "parallel_ai", "mode": "search", "input_cost_per_query": 0.001},
    "mistral/ocr": {"litellm_provider": "mistral", "mode": "ocr", "ocr_cost_per_page": 0.002, "annotation_cost_per_page": 0.003, "ocr_cost_per_page_batches": 0.001},
    "reducto/ocr": {"litellm_provider": "reducto", "mode": "ocr", "ocr_cost_per_credit": 0.015},
    "bedrock/guardrails": {"litellm_provider": "bedrock", "mode": "guardrail", "guardrail_cost_per_unit": {"topicPolicyUnits": 0.00015}},
    "bedrock/clock": {"litellm_provider": "bedrock", "mode": "chat", "cost_per_second": 0.01},
    "multi": {"litellm_provider": "vertex_ai-embedding-models", "mode": "embedding", "input_cost_per_character": 2e-7, "input_cost_per_image": 0.0001, "input_cost_per_video_per_second": 0.0005, "input_cost_per_token": 8e-7},
    "chat": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 0, "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.02, "search_context_size_high": 0.03}},
    "openai/container": {"litellm_provider": "openai", "mode": "chat", "code_interpreter_cost_per_session": 0.03},
    "anthropic/chat": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 1e-6},
    "gemini/prompt": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1e-6},
    "gemini/query": {"litellm_provider": "gemini", "mode": "chat", "input_cost_per_token": 1e-6, "web_search_billing_unit": "per_query", "search_context_cost_per_query": {"search_context_size_medium": 0.014}},
    "xai/chat": {"litellm_provider": "xai", "mode": "chat", "input_cost_per_token": 1e-6},
    "groq/chat": {"litellm_provider": "groq", "mode": "chat", "input_cost_per_token": 1e-6, "search_context_cost_per_query": {"search_context_size_medium": 0.005}},
    "perplexity/chat": {"litellm_provider": "perplexity", "mode": "chat", "input_cost_per_token": 1e-6, "citation_cost_per_token": 2e-6, "search_context_cost_per_query": {"search_context_size_low": 0.005, "search_context_size_medium": 0.008}},
    "azure_ai/model_router": {"litellm_provider": "azure_ai", "mode": "chat", "input_cost_per_token": 1e-7},
    "azure_ai/chat": {"litellm_provider": "azure_ai", "mode": "chat", "input_cost_per_token": 1e-6},
}  # fmt: skip


def table_of(models: dict[str, dict[str, Any]]) -> PriceTable:
    """Return a table that knows these rows, each at all times."""
    fields = sorted({name for row in models.values() for name in row})
    rows = [
        [part for name, value in row.items() for part in (fields.index(name), value)]
        for row in models.values()
    ]
    return PriceTable(
        {"version": "test", "fields": fields, "rows": rows, "models": {k: i for i, k in enumerate(models)}}
    )


BOOK = PriceBook(table_of(ROWS))


def cost(provider: str, model: str, operation: str, usage: Usage, **more: Any) -> Cost:
    """Return what one call costs."""
    models = more.pop("models", (model,))
    return BOOK.price(PriceQuery(provider=provider, models=models, operation=operation, usage=usage, **more))


def used(traits: dict[str, str] | None = None, **units: Any) -> Usage:
    """Return a usage of units by their names in capitals."""
    return Usage(
        units={Unit[name.upper()]: Decimal(str(value)) for name, value in units.items()}, traits=traits or {}
    )


IMAGE, SPEECH, HEAR, VIDEO, SEARCH, OCR, CHAT = (
    "image_generation", "speech", "transcription", "create_video", "search", "ocr", "completion",
)  # fmt: skip

CASES: list[tuple[str, str, str, str, Usage, dict[str, Any], str]] = [
    ("a picture by quality and size", "openai", "gpt-image", IMAGE, used({"quality": "low", "size": "1024x1024"}, output_images=2), {}, "0.04"),
    ("high where nobody says", "openai", "gpt-image", IMAGE, used(output_images=1), {}, "0.25"),
    ("a picture by tokens", "openai", "gpt-image", IMAGE, Usage(input_tokens=10, output_tokens=100, units={Unit.OUTPUT_IMAGES: 1}), {}, "0.00405"),
    ("a picture by pixels", "openai", "dall", IMAGE, used(output_images=1), {}, "0.01048576"),
    ("each cloud's own pixels", "azure", "dall", IMAGE, used(output_images=1), {}, "0.02097152"),
    ("few steps", "bedrock", "stability.sd", IMAGE, used({"size": "512x512", "steps": "50"}, output_images=1), {}, "0.02"),
    ("many steps", "bedrock", "stability.sd", IMAGE, used({"size": "512x512", "steps": "51"}, output_images=1), {}, "0.04"),
    ("the nearest size", "fal_ai", "flux", IMAGE, used({"size": "1900x1900"}, output_images=1), {}, "0.09"),
    ("fal's usual size", "fal_ai", "flux", IMAGE, used(output_images=3), {}, "0.09"),
    ("a quality without sizes", "fal_ai", "flux", IMAGE, used({"quality": "draft"}, output_images=1), {}, "0.05"),
    ("a resolution", "fal_ai", "nano", IMAGE, used({"resolution": "4K"}, output_images=1), {}, "0.2"),
    ("whole megapixels", "fal_ai", "mega", IMAGE, used({"size": "1024x1025"}, output_images=1), {}, "0.02097152"),
    ("made, not given", "gemini", "pic", IMAGE, used(output_images=2), {}, "0.2"),
    ("an edit", "gemini", "pic", "image_edit", used(output_images=1), {}, "0.1"),
    ("characters spoken", "openai", "tts", SPEECH, used(input_characters=100), {}, "0.0015"),
    ("tokens spoken", "openai", "voice", SPEECH, Usage(input_tokens=10, output_tokens=100, output_audio_tokens=100), {}, "0.00101"),
    ("a song", "vertex_ai", "song", SPEECH, Usage(input_tokens=10, output_tokens=100), {}, "0.04"),
    ("seconds heard", "openai", "whisper", HEAR, used(input_audio_seconds="2.5"), {}, "0.00025"),
    ("Groq's ten seconds", "groq", "whisper", HEAR, used(input_audio_seconds=2), {}, "0.001"),
    ("more than ten", "groq", "whisper", HEAR, used(input_audio_seconds=20), {}, "0.002"),
    ("tokens before seconds", "openai", "scribe", HEAR, Usage(input_tokens=10, input_audio_tokens=8, output_tokens=5, units={Unit.INPUT_AUDIO_SECONDS: 7}), {}, "0.000092"),
    ("seconds of video", "openai", "sora", VIDEO, used(output_video_seconds=4), {}, "0.4"),
    ("by resolution, twice", "openai", "sora", VIDEO, used({"resolution": "1080p"}, output_video_seconds=4, output_videos=2), {}, "2.4"),
    ("an unknown resolution", "openai", "sora", VIDEO, used({"resolution": "8k"}, output_video_seconds=4), {}, "0.4"),
    ("one price for all resolutions", "openai", "sora-flat", VIDEO, used({"resolution": "1080p"}, output_video_seconds=4), {}, "2.0"),
    ("search units", "cohere", "ranker", "rerank", used(search_units=3), {}, "0.006"),
    ("reranking by tokens", "novita", "ranker", "rerank", Usage(input_tokens=1000), {}, "0.001"),
    ("few results", "exa_ai", "search", SEARCH, used(queries=2, search_results=25), {}, "0.01"),
    ("many results", "exa_ai", "search", SEARCH, used(queries=2, search_results=26), {}, "0.05"),
    ("more than all results", "exa_ai", "search", SEARCH, used(queries=1, search_results=1000), {}, "0.025"),
    ("further results", "parallel_ai", "search", SEARCH, used(queries=1, search_results=15), {}, "0.01"),
    ("a faster mode", "parallel_ai", "search", SEARCH, used({"mode": "turbo"}, queries=1), {}, "0.001"),
    ("pages", "mistral", "ocr", OCR, used(pages=10), {}, "0.02"),
    ("annotated pages", "mistral", "ocr", OCR, used(pages=10, annotated_pages=2), {}, "0.026"),
    ("pages in a batch", "mistral", "ocr", OCR, used(pages=10), {"batch": True}, "0.01"),
    ("credits", "reducto", "ocr", OCR, used(pages=10, ocr_credits="1.5"), {}, "0.0225"),
    ("guardrails", "bedrock", "guardrails", "apply_guardrail", Usage(units={"topicPolicyUnits": 4}), {}, "0.0006"),
    ("by the clock", "bedrock", "clock", CHAT, Usage(input_tokens=5), {"response_seconds": 1.5}, "0.015"),
    ("characters in place of tokens", "vertex_ai", "multi", "embedding", Usage(input_tokens=1000, units={Unit.INPUT_CHARACTERS: 10}), {}, "0.000002"),
    ("a picture in place of tokens", "vertex_ai", "multi", "embedding", used(input_images=2), {}, "0.0002"),
    ("a web search", "openai", "chat", CHAT, used(web_searches=2), {}, "0.04"),
    ("a small web search", "openai", "chat", CHAT, used({"search_context_size": "low"}, web_searches=2), {}, "0.02"),
    ("every tool is added", "openai", "chat", CHAT,
     Usage(input_tokens=1000, units={Unit.WEB_SEARCHES: 1, Unit.FILE_SEARCHES: 4, Unit.CODE_SESSIONS: 2}), {}, "0.091"),
    ("Anthropic's searches", "anthropic", "chat", CHAT, used(web_searches=3), {}, "0.03"),
    ("a grounded prompt", "gemini", "prompt", CHAT, used(web_searches=3), {}, "0.035"),
    ("grounding queries", "gemini", "query", CHAT, used(web_searches=3), {}, "0.042"),
    ("maps for a prompt", "gemini", "prompt", CHAT, used(maps_queries=3), {}, "0.025"),
    ("maps by the query", "gemini", "query", CHAT, used(maps_queries=3), {}, "0.042"),
    ("xAI's searches", "xai", "chat", CHAT, used(web_searches=2, x_searches=1), {}, "0.015"),
    ("Groq's browser", "groq", "chat", CHAT, used(web_searches=3, web_pages_opened=2), {}, "0.017"),
    ("Perplexity's searches and citations", "perplexity", "chat", CHAT, used(web_searches=3, citation_tokens=100), {}, "0.0152"),
    ("Azure's router", "azure_ai", "chat", CHAT, Usage(input_tokens=1000), {"models": ("chat", "model-router")}, "0.0011"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "operation", "usage", "more", "expected"),
    [c[1:] for c in CASES],
    ids=[c[0] for c in CASES],
)
def test_units_cost_what_the_row_says(
    provider: str, model: str, operation: str, usage: Usage, more: dict[str, Any], expected: str
) -> None:
    found = cost(provider, model, operation, usage, **more)
    assert (found.amount, found.reason) == (Decimal(expected), None)
    assert found.status is PricingStatus.PRICED


UNKNOWN: list[tuple[str, str, str, str, Usage, str]] = [
    ("tokens of a voice by characters", "openai", "tts", SPEECH, Usage(input_tokens=10), "no rate for what was used"),
    ("no length of the audio", "openai", "whisper", HEAR, Usage(), "how long the audio is"),
    ("no length of the video", "openai", "sora", VIDEO, Usage(), "how long the video is"),
    ("search units of a row by tokens", "novita", "ranker", "rerank", used(search_units=2), "no rate for search units"),
    ("tokens of a row by pages", "mistral", "ocr", CHAT, Usage(input_tokens=5), ""),
    ("a picture of an unknown size", "bedrock", "stability.sd", IMAGE, used({"size": "9x9"}, output_images=1), "no rate for a picture"),
    ("a pass of an unknown model", "anthropic", "chat", CHAT, Usage(passes=(("other", Usage(input_tokens=1)),)), "no price for anthropic/other"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "operation", "usage", "reason"),
    [c[1:] for c in UNKNOWN],
    ids=[c[0] for c in UNKNOWN],
)
def test_what_the_row_does_not_price_is_unpriced_with_a_reason(
    provider: str, model: str, operation: str, usage: Usage, reason: str
) -> None:
    found = cost(provider, model, operation, usage)
    if not reason:
        assert found.amount == 0  # an answer of an OCR model without pages made nothing to bill
        return
    assert found.amount is None
    assert found.status is PricingStatus.UNPRICED
    assert reason in (found.reason or "")


def test_a_further_pass_is_priced_at_its_own_model() -> None:
    passes = (("chat", Usage(input_tokens=2000)),)
    assert cost("anthropic", "chat", CHAT, Usage(input_tokens=1000, passes=passes)).amount == Decimal("0.003")


quantities = st.dictionaries(
    st.sampled_from([*Unit, "unheard_of"]),
    st.one_of(st.integers(-3, 10_000), st.decimals(allow_nan=True, allow_infinity=True)),
    max_size=6,
)
odd = st.text(max_size=8)


@given(
    st.sampled_from([(str(row["litellm_provider"]).split("-")[0], key) for key, row in ROWS.items()]),
    st.sampled_from(
        [IMAGE, "image_edit", SPEECH, HEAR, VIDEO, SEARCH, OCR, CHAT, "rerank", "embedding", "batch"]
    ),
    quantities,
    st.dictionaries(
        st.sampled_from(["size", "quality", "steps", "resolution", "mode", "search_context_size"]), odd
    ),
    st.integers(-5, 10_000),
)
def test_no_quantity_whatever_raises_or_gives_a_number_that_is_none(
    model: tuple[str, str], operation: str, units: dict[str, Any], traits: dict[str, str], tokens: int
) -> None:
    usage = Usage(input_tokens=tokens, output_tokens=tokens, units=units, traits=traits)
    found = cost(*model, operation, usage)
    if found.amount is None:
        assert found.reason
    else:
        assert found.amount.is_finite()
        assert found.amount >= 0

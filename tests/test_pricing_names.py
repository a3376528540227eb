"""From names to rows, on the packaged table: what is known by another spelling, and what is not known at all."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spend_middleware.call import Usage
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery

AT = datetime(2026, 11, 20, tzinfo=UTC).timestamp()
ARN = "arn:aws:bedrock:us-east-1:123456789012:"
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"

KNOWN: list[tuple[str | None, str, str]] = [
    ("openai", "gpt-4o", "gpt-4o"),
    ("openai", "GPT-4o", "gpt-4o"),
    ("openai", "openai/openai/gpt-4o", "gpt-4o"),
    (None, "openai/gpt-4o", "gpt-4o"),
    (None, "gpt-4o", "gpt-4o"),
    ("openai", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-20240806", "gpt-4o"),
    ("openai", "gpt-5.6-sol-20260501", "gpt-5.6-sol"),
    ("openai", "ft:gpt-4o-2024-08-06:my-org::AbC123", "ft:gpt-4o-2024-08-06"),
    ("anthropic", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
    ("azure", "eu/gpt-5.4-nano", "azure/eu/gpt-5.4-nano"),
    ("azure_ai", "gpt-4o", "gpt-4o"),
    ("bedrock", SONNET, SONNET),
    ("bedrock", f"us.{SONNET}", f"us.{SONNET}"),
    ("bedrock", f"converse/us.{SONNET}", f"us.{SONNET}"),
    ("bedrock", f"bedrock/invoke/eu.{SONNET}", f"eu.{SONNET}"),
    ("bedrock", f"{ARN}inference-profile/us.{SONNET}", f"us.{SONNET}"),
    ("bedrock", f"arn:aws:bedrock:us-east-1::foundation-model/{SONNET}", SONNET),
    (None, f"bedrock/{ARN}inference-profile/us.{SONNET}", f"us.{SONNET}"),
    ("vertex_ai", "gemini-2.5-pro", "gemini-2.5-pro"),
    ("vertex_ai", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
    ("vertex_ai", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro-001", "gemini-2.5-pro"),
    (
        "vertex_ai",
        "publishers/anthropic/models/claude-sonnet-4-5@20250929",
        "vertex_ai/claude-sonnet-4-5@20250929",
    ),
    ("gemini", "models/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
    ("cohere", "command-r7b-12-2024", "command-r7b-12-2024"),
    (
        "together_ai",
        "meta-llama/llama-3.3-70b-instruct-turbo",
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ),
    ("fireworks_ai", "accounts/acme/models/custom-7b", "fireworks-ai-4.1b-to-16b"),
    ("fireworks_ai", "accounts/acme/models/custom-8x7b", "fireworks-ai-moe-up-to-56b"),
    ("openrouter", "anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-sonnet-4.5"),
    ("perplexity", "perplexity/search", "perplexity/search"),
]

UNKNOWN: list[tuple[str | None, str]] = [
    ("openai", "gpt-9"),
    ("openai", "o9"),
    ("openai", "gpt-4"[:4]),
    ("openai", "ft:gpt-9-2029:org::id"),
    ("openai", "claude-sonnet-4-5"),
    ("anthropic", "claude-newfamily-9"),
    ("anthropic", "claude-opus-9-1-20290101"),
    ("gemini", "gemini-9-pro"),
    ("bedrock", "anthropic.claude-newfamily-9-v1:0"),
    ("bedrock", f"{ARN}application-inference-profile/abc123"),
    ("bedrock", f"{ARN}provisioned-model/abc123"),
    ("azure", "my-deployment"),
    ("custom_openai", "foo"),
    ("custom_openai", "gpt-4o"),
    ("huggingface", "meta-llama/Llama-3.1-8B-Instruct"),
    (None, "huggingface/gpt-4o"),
    ("fireworks_ai", "accounts/acme/models/nameless"),
    ("openai", ""),
    ("openai", "/"),
    ("openai", "../../etc/passwd"),
    ("bedrock", "arn:"),
    ("openai", "ft:"),
]


def key_of(provider: str | None, model: str) -> str | None:
    """Return the row that prices a call."""
    query = PriceQuery(
        provider=provider, models=(model,), usage=Usage(input_tokens=10, output_tokens=1), at=AT
    )
    found = PriceBook.bundled().price(query)
    assert (found.amount is None) == (found.price_key is None)
    return found.price_key


@pytest.mark.parametrize(("provider", "model", "key"), KNOWN)
def test_a_name_finds_its_row(provider: str | None, model: str, key: str) -> None:
    assert key_of(provider, model) == key


@pytest.mark.parametrize(("provider", "model"), UNKNOWN)
def test_an_unknown_name_finds_none(provider: str | None, model: str) -> None:
    assert key_of(provider, model) is None


def test_a_geography_costs_more_than_the_bare_model() -> None:
    book = PriceBook.bundled()
    usage = Usage(input_tokens=1000, output_tokens=500)
    bare, us = (
        book.price(PriceQuery(provider="bedrock", models=(name,), usage=usage, at=AT)).amount
        for name in (SONNET, f"{ARN}inference-profile/us.{SONNET}")
    )
    assert bare is not None
    assert us == bare * 11 / 10


@pytest.mark.parametrize(
    ("voice", "key"), [("aura-2-thalia-en", "deepgram/aura-2"), ("aura-asteria-en", "deepgram/aura")]
)
def test_a_voice_has_the_price_of_its_family(voice: str, key: str) -> None:
    rates = PriceBook.bundled().rates("deepgram", voice, AT)
    assert rates is not None
    assert rates["key"] == key
    assert PriceBook.bundled().rates("deepgram", "aura-9-thalia-en", AT) is None

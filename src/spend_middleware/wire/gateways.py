"""Who stands behind a gateway: told by an answer's headers, else by the name of the model."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from spend_middleware.wire.compatible import UPSTREAMS
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.reading import Reading, Received, Route
from spend_middleware.wire.values import amount

# Families of model names that one vendor alone gives, as its own model list writes them.
_VENDORS: tuple[tuple[str, str], ...] = (
    ("gpt-oss", ""),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("dall-e", "openai"),
    ("whisper-1", "openai"),
    ("tts-1", "openai"),
    ("davinci-002", "openai"),
    ("babbage-002", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gemini"),
    ("grok-", "xai"),
    ("mistral-", "mistral"),
    ("magistral-", "mistral"),
    ("codestral-", "mistral"),
    ("command-", "cohere"),
    ("sonar", "perplexity"),
    ("deepseek-chat", "deepseek"),
    ("deepseek-reasoner", "deepseek"),
)


def vendor_of(model: str | None) -> str | None:
    """Return the provider whose model a name is, as far as the name alone tells."""
    if not model:
        return None
    name = model.lower().lstrip("@")
    head, slash, _ = name.partition("/")
    if slash:
        return UPSTREAMS.get(head)
    return next((vendor or None for start, vendor in _VENDORS if name.startswith(start)), None)


# A LiteLLM proxy names its version or its deployment in every answer.
_LITELLM = frozenset(("x-litellm-version", "x-litellm-model-id", "x-litellm-call-id"))
OF_LITELLM = b"x-litellm-"
"""What an answer's head holds somewhere if it is one of a LiteLLM proxy."""


def names_litellm(headers: Mapping[str, str]) -> bool:
    """Say whether an answer's headers are those of a LiteLLM proxy."""
    return not _LITELLM.isdisjoint(headers)


def _stated_by_litellm(headers: Mapping[str, str]) -> Decimal | None:
    # A zero there may mean that the proxy knows no price: https://github.com/BerriAI/litellm/pull/35913
    return amount(headers.get("x-litellm-response-cost")) or None


# Words that answers of LLM APIs have, whichever family they are of.
_LLM_WORDS = (
    b'"choices"',
    b'"usage',
    b'"embedding',
    b'"output"',
    b'"object"',
    b'"results"',
    b'"eval_count"',
    b'"message"',
)


def looks_like_one(received: Received) -> bool:
    """Return whether an answer reads like one of an LLM API, for paths that other services have as well."""
    if received.status >= 400:
        return False
    head = received.body[:4096]
    return any(word in head for word in _LLM_WORDS) or b'"usage' in received.body[-4096:]


# What gateways say of an answer from their own cache, for which they called and paid nobody:
# developers.cloudflare.com/ai-gateway/configuration/caching, docs.helicone.ai/features/advanced-usage/caching,
# portkey.ai/docs/product/ai-gateway/cache-simple-and-semantic
_CACHE_STATUS = ("cf-aig-cache-status", "helicone-cache", "x-portkey-cache-status")


def _from_cache(headers: Mapping[str, str]) -> bool:
    return any(headers.get(name, "").upper().endswith("HIT") for name in _CACHE_STATUS)


def told_by_headers(route: Route, received: Received, reading: Reading) -> Reading:
    """Return the reading with what the headers of gateways and routers say; most answers are returned as they are."""
    headers = received.headers
    raw = reading.raw_usage
    if route.plain and not names_litellm(headers) and (not raw or "pydantic_ai_gateway" not in raw):
        return reading
    # Pydantic's gateway writes its estimate into the usage of every format that it passes on.
    if reading.reported_cost is None and raw and "pydantic_ai_gateway" in raw:
        reading.reported_cost = stated_cost(route.provider, raw)
    if route.gateway and _from_cache(headers):
        reading.reported_cost = Decimal(0)
    model = reading.response_model or reading.request_model
    if names_litellm(headers):
        reading.provider = "litellm_proxy"
        reading.price_provider = vendor_of(model)
        if reading.reported_cost is None:
            reading.reported_cost = _stated_by_litellm(headers)
    elif route.provider == "huggingface":
        # https://huggingface.co/docs/inference-providers : the router says who answered.
        reading.price_provider = (
            UPSTREAMS.get(headers.get("x-inference-provider", "")) or route.price_provider
        )
    elif route.price_provider:
        reading.price_provider = route.price_provider
    elif route.gateway or (route.provider.startswith("custom_") and not route.local):
        named = headers.get("x-portkey-provider") or headers.get("x-gateway-provider") or ""
        reading.price_provider = UPSTREAMS.get(named) or vendor_of(model)
    return reading

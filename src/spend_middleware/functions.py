"""The pricing functions that LiteLLM's users know, with its signatures; they need no `Spend`.

They answer in USD as floats, as LiteLLM's do: the exact numbers are in the ledger. A model without a known price
raises `NotFoundError`, where LiteLLM may answer 0.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic_core import to_json

from spend_middleware import wire
from spend_middleware.call import NO_USAGE, Cost, Unit, Usage
from spend_middleware.errors import NotFoundError
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.wire.reading import Received, Route, Sent

Prices = Mapping[str, Any]


def cost_per_token(
    model: str = "",
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    response_time_ms: float | None = 0.0,
    custom_llm_provider: str | None = None,
    region_name: str | None = None,
    prompt_characters: int | None = None,
    completion_characters: int | None = None,
    cache_creation_input_tokens: int | None = 0,
    cache_read_input_tokens: int | None = 0,
    custom_cost_per_token: Prices | None = None,
    custom_cost_per_second: float | None = None,
    number_of_queries: int | None = None,
    call_type: str = "completion",
    service_tier: str | None = None,
) -> tuple[float, float]:
    """Return what the prompt and what the completion of a call cost, USD.

    Args:
        model: The model, with or without its provider before it.
        prompt_tokens: All tokens in, cached ones too.
        completion_tokens: All tokens out.
        response_time_ms: Milliseconds that the call took, for models billed by the clock.

    Raises:
        NotFoundError: No price is known for the model.
    """
    reads, writes = cache_read_input_tokens or 0, cache_creation_input_tokens or 0
    units = {Unit.INPUT_CHARACTERS: prompt_characters, Unit.OUTPUT_CHARACTERS: completion_characters}
    units |= {Unit.QUERIES: number_of_queries}
    sides = [
        Usage(
            input_tokens=prompt_tokens,
            output_tokens=output,
            cache_read_tokens=reads,
            cache_write_tokens=writes,
            units={str(unit): count for unit, count in units.items() if count},
        )
        for output in (completion_tokens, 0)
    ]
    whole, prompt_only = (
        _amount(
            _query(
                model,
                usage,
                call_type,
                custom_llm_provider,
                region=region_name,
                service_tier=service_tier,
                response_seconds=(response_time_ms or 0.0) / 1000,
                custom_pricing=_custom(custom_cost_per_token, custom_cost_per_second),
            )
        )
        for usage in sides
    )
    return float(prompt_only), float(whole - prompt_only)


def completion_cost(
    completion_response: Any = None,
    model: str | None = None,
    prompt: str = "",
    messages: Sequence[Mapping[str, Any]] = (),
    completion: str = "",
    total_time: float | None = 0.0,
    call_type: str | None = None,
    custom_llm_provider: str | None = None,
    region_name: str | None = None,
    size: str | None = None,
    quality: str | None = None,
    n: int | None = None,
    custom_cost_per_token: Prices | None = None,
    custom_cost_per_second: float | None = None,
    optional_params: Mapping[str, Any] | None = None,
) -> float:
    """Return what a call cost, or would cost, USD.

    Args:
        completion_response: An answer of any supported shape: a mapping, or an SDK's object.
        model: The model; needed with `prompt`, `messages` and `completion`, whose tokens are counted.
        total_time: Milliseconds that the call took.
        size: Of an image, such as "1024x1024"; with quality and the number n.

    Raises:
        NotFoundError: No price is known for the model.
    """
    custom = _custom(custom_cost_per_token, custom_cost_per_second)
    if completion_response is not None and custom is None:
        response = dict(as_mapping(completion_response))
        if custom_llm_provider:
            response["custom_llm_provider"] = custom_llm_provider
        return float(
            _known(price_response(response, PriceBook.bundled(), model), model or response.get("model"))
        )
    usage = _told_usage(model or "", prompt, messages, completion, completion_response, size, quality, n)
    return float(
        _amount(
            _query(
                model or str(as_mapping(completion_response or {}).get("model") or ""),
                usage,
                call_type or ("image_generation" if size else "completion"),
                custom_llm_provider,
                region=region_name,
                service_tier=(optional_params or {}).get("service_tier"),
                response_seconds=(total_time or 0.0) / 1000,
                custom_pricing=custom,
            )
        )
    )


def token_counter(
    model: str = "",
    custom_tokenizer: Any = None,
    text: str | Sequence[str] | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    count_response_tokens: bool | None = False,
    tools: Sequence[Any] | None = None,
    tool_choice: Any = None,
) -> int:
    """Return the tokens of a text or of chat messages for a model, counted locally; nothing is fetched.

    Args:
        custom_tokenizer: Anything with `encode(text)` whose answer has a length, in place of the bundled ones.
        count_response_tokens: True for the text of an answer, which has no message frame around it.
    """
    from spend_middleware.pricing.estimate import count_messages, count_text

    if text is not None:
        whole = text if isinstance(text, str) else "".join(text)
        return count_text(whole, model) if custom_tokenizer is None else len(custom_tokenizer.encode(whole))
    if count_response_tokens:
        return sum(count_text(str(m.get("content") or ""), model) for m in messages or ())
    return count_messages(messages or (), model, tools, tool_choice)


def response_cost(response: Any) -> Decimal | None:
    """Return what an answer cost, exact USD; None when no price is known.

    Args:
        response: An SDK's parsed answer, a mapping, or a raw response that carries our header.
    """
    headers = getattr(response, "headers", None)
    stated = headers.get("x-litellm-response-cost") if headers is not None else None
    if stated is not None:
        return Decimal(stated)
    return price_response(dict(as_mapping(response)), PriceBook.bundled()).amount


def as_mapping(response: Any) -> Mapping[str, Any]:
    """Return an SDK's answer as a mapping.

    Raises:
        TypeError: It is neither a mapping nor a model with `model_dump`.
    """
    if isinstance(response, Mapping):
        return response
    if hasattr(response, "model_dump"):
        dumped: Mapping[str, Any] = response.model_dump(mode="json", by_alias=True)
        return dumped
    raise TypeError(f"{type(response).__name__} is no answer of an LLM: give a mapping or an SDK's object.")


def _told_usage(
    model: str,
    prompt: str,
    messages: Sequence[Mapping[str, Any]],
    completion: str,
    response: Any,
    size: str | None,
    quality: str | None,
    n: int | None,
) -> Usage:
    if size or quality or n:
        traits = {name: value for name, value in (("size", size), ("quality", quality)) if value}
        return Usage(units={Unit.OUTPUT_IMAGES: n or 1}, traits=traits)
    stated = as_mapping(response).get("usage") if response is not None else None
    if isinstance(stated, Mapping):
        counts = (stated.get("prompt_tokens"), stated.get("completion_tokens"))
        return Usage(input_tokens=int(counts[0] or 0), output_tokens=int(counts[1] or 0))
    count_in = token_counter(model, messages=messages) if messages else token_counter(model, text=prompt)
    return Usage(input_tokens=count_in, output_tokens=token_counter(model, text=completion))


def _custom(per_token: Prices | None, per_second: float | None) -> Prices | None:
    if per_token is not None:
        return per_token
    return None if per_second is None else {"input_cost_per_second": per_second}


def _query(model: str, usage: Usage, operation: str, provider: str | None, **more: Any) -> PriceQuery:
    return PriceQuery(
        provider=provider or "", models=(model,), usage=usage, operation=operation, at=time.time(), **more
    )


def _amount(query: PriceQuery) -> Decimal:
    return _known(PriceBook.bundled().price(query), query.models[0])


def _known(cost: Cost, model: object) -> Decimal:
    if cost.amount is None:
        raise NotFoundError(f"No price is known for {model!r}: {cost.reason}.")
    return cost.amount


# The shapes of answers that `price_response` tells apart: (key that must be there, wire format, operation).
SHAPES = (
    ("candidates", "gemini.generateContent", "generate_content"),
    ("usageMetadata", "gemini.generateContent", "generate_content"),
    ("choices", "openai.chat", "completion"),
    ("output", "openai.responses", "responses"),
    ("stop_reason", "anthropic.messages", "completion"),
    ("data", "openai.embeddings", "embedding"),
    ("usage", "openai.chat", "completion"),
)
PROVIDER_OF_FORMAT = {"gemini": "gemini", "anthropic": "anthropic", "openai": ""}


def price_response(response: Mapping[str, Any], book: PriceBook, model: str | None = None) -> Cost:
    """Price an answer of any supported shape as a live call would be, now."""
    name = str(response.get("model") or response.get("modelVersion") or model or "")
    wire_format, operation = next(
        ((fmt, op) for key, fmt, op in SHAPES if key in response), ("openai.chat", "completion")
    )
    provider = (
        str(response.get("custom_llm_provider") or "") or PROVIDER_OF_FORMAT[wire_format.partition(".")[0]]
    )
    route = Route(provider=provider or "openai", operation=operation, wire_format=wire_format)
    body = to_json(dict(response), serialize_unknown=True)
    reading = wire.read(route, Sent(content={"model": name}), Received(status=200, body=body))
    return book.price(
        PriceQuery(
            provider=provider,
            models=tuple(dict.fromkeys(m for m in (reading.response_model, name, model) if m)),
            usage=reading.usage or NO_USAGE,
            operation=operation,
            at=time.time(),
            service_tier=reading.service_tier,
            reported_cost=reading.reported_cost,
        )
    )

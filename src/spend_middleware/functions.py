"""The pricing functions that LiteLLM's users know, with its signatures; they need no `Spend`.

They answer in USD as floats, as LiteLLM's do: the exact numbers are in the ledger. A model without a known price
raises `NotFoundError`, where LiteLLM may answer 0.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace
from pydantic_core import to_json

from spend_middleware import wire
from spend_middleware.call import NO_USAGE, UNPRICED, Cost, Unit, Usage
from spend_middleware.errors import NotFoundError
from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.query import PriceQuery
from spend_middleware.wire.answer_shapes import shape_of_answer
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
    audio_transcription_file_duration: float = 0.0,
    service_tier: str | None = None,
) -> tuple[float, float]:
    """Return what the prompt and what the completion of a call cost, USD.

    Args:
        model: The model, with or without its provider before it.
        prompt_tokens: All tokens in, cached ones too.
        completion_tokens: All tokens out.
        response_time_ms: Milliseconds that the call took, for models billed by the clock.
        number_of_queries: Searches, or search units of a rerank.
        audio_transcription_file_duration: Seconds.

    Raises:
        NotFoundError: No price is known for the model.
    """
    asked = Unit.SEARCH_UNITS if "rerank" in call_type else Unit.QUERIES
    units = {
        Unit.INPUT_CHARACTERS: prompt_characters,
        Unit.OUTPUT_CHARACTERS: completion_characters,
        Unit.INPUT_AUDIO_SECONDS: Decimal(str(audio_transcription_file_duration)),
        asked: number_of_queries,
    }
    usage = Usage(
        input_tokens=prompt_tokens,
        output_tokens=completion_tokens,
        cache_read_tokens=cache_read_input_tokens or 0,
        cache_write_tokens=cache_creation_input_tokens or 0,
        units={str(unit): count for unit, count in units.items() if count},
    )
    circumstances = {
        "region": region_name,
        "service_tier": service_tier,
        "response_seconds": (response_time_ms or 0.0) / 1000,
        "custom_pricing": _custom(custom_cost_per_token, custom_cost_per_second),
    }
    query = _query(model, usage, call_type, custom_llm_provider, **circumstances)
    whole, prompt_only = _amount(query), _amount(replace(query, usage=replace(usage, output_tokens=0)))
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
    base_model: str | None = None,
    service_tier: str | None = None,
) -> float:
    """Return what a call cost, or would cost, USD.

    Args:
        completion_response: An answer of any supported shape: a mapping, or an SDK's object.
        model: The model; needed with `prompt`, `messages` and `completion`, whose tokens are counted.
        total_time: Milliseconds that the call took.
        size: Of an image, such as "1024x1024"; with quality and the number n.
        base_model: The model whose price counts, whatever the answer names.

    Raises:
        NotFoundError: No price is known for the model.
    """
    circumstances: dict[str, Any] = {
        "region": region_name,
        "service_tier": service_tier or (optional_params or {}).get("service_tier"),
        "response_seconds": (total_time or 0.0) / 1000,
        "custom_pricing": _custom(custom_cost_per_token, custom_cost_per_second),
        "base_model": base_model,
    }
    if completion_response is not None and not (size or quality or n):
        response = dict(as_mapping(completion_response))
        if custom_llm_provider:
            response["custom_llm_provider"] = custom_llm_provider
        cost = price_response(response, PriceBook.bundled(), model, **circumstances)
        return float(_known(cost, model or response.get("model")))
    usage = _told_usage(model or "", prompt, messages, completion, call_type, size, quality, n)
    operation = call_type or ("image_generation" if size or quality or n else "completion")
    return float(_amount(_query(model or "", usage, operation, custom_llm_provider, **circumstances)))


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
        response: An SDK's parsed answer, a mapping, or a raw response; one that carries our header is taken at its
            word.
    """
    headers = getattr(response, "headers", None)
    stated = headers.get("x-litellm-response-cost") if isinstance(headers, Mapping) else None
    if stated is not None:
        return Decimal(stated)
    return price_response(dict(as_mapping(response)), PriceBook.bundled()).amount


def as_mapping(response: Any) -> Mapping[str, Any]:
    """Return an SDK's answer, parsed or raw, as a mapping.

    Raises:
        TypeError: It is none.
    """
    if isinstance(response, Mapping):
        return response
    if hasattr(response, "model_dump"):
        dumped: Mapping[str, Any] = response.model_dump(mode="json", by_alias=True, warnings=False)
        return dumped
    for name in ("parse", "json"):
        if hasattr(response, name):
            return as_mapping(getattr(response, name)())
    raise TypeError(f"{type(response).__name__} is no answer of an LLM: give a mapping or an SDK's object.")


def _told_usage(
    model: str,
    prompt: str,
    messages: Sequence[Mapping[str, Any]],
    completion: str,
    call_type: str | None,
    size: str | None,
    quality: str | None,
    n: int | None,
) -> Usage:
    if size or quality or n:
        traits = {name: value for name, value in (("size", size), ("quality", quality)) if value}
        return Usage(units={Unit.OUTPUT_IMAGES: n or 1}, traits=traits)
    count_in = token_counter(model, messages=messages) if messages else token_counter(model, text=prompt)
    characters = {str(Unit.INPUT_CHARACTERS): len(prompt)} if "speech" in (call_type or "") else {}
    count_out = token_counter(model, text=completion)
    return Usage(input_tokens=count_in, output_tokens=count_out, units=characters)


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


def price_response(
    response: Mapping[str, Any], book: PriceBook, model: str | None = None, **circumstances: Any
) -> Cost:
    """Price an answer of any supported shape as a live call would be, now.

    An answer that says nothing of what it used has no price, unless its model is billed by the clock.

    Args:
        response: The answer; `model` and `custom_llm_provider` may be added to it where it does not name them.
        book: The prices.
        model: The model as asked for.
        circumstances: Further fields of the `PriceQuery`.
    """
    name = str(response.get("model") or response.get("modelVersion") or model or "")
    stated = str(response.get("custom_llm_provider") or "")
    prefix = name.partition("/")[0] if "/" in name else ""
    shape = shape_of_answer(response, stated or prefix)
    # A provider before the model's name is the one that is meant, whoever else answers in this shape.
    listed = stated or ("" if prefix else shape.provider)
    route = Route(
        provider=stated or prefix or shape.provider or "openai",
        operation=shape.operation,
        wire_format=shape.wire_format,
    )
    body = _bytes_of(response)
    reading = wire.read(route, Sent(content={"model": name}), Received(status=200, body=body))
    if reading.doubt is not None and reading.reported_cost is None:
        return UNPRICED._replace(reason=reading.doubt)
    told = {key: value for key, value in circumstances.items() if value is not None}
    cost = book.price(
        PriceQuery(
            provider=listed,
            models=tuple(dict.fromkeys(m for m in (reading.response_model, name, model) if m)),
            usage=reading.usage or NO_USAGE,
            operation=reading.operation or shape.operation,
            at=time.time(),
            batch=reading.batch,
            reported_cost=reading.reported_cost,
            **{"service_tier": reading.service_tier, **told},
        )
    )
    return UNPRICED if reading.usage is None and cost.amount is not None and not cost.charges else cost


def _bytes_of(response: Mapping[str, Any]) -> bytes:
    try:
        return to_json(dict(response), serialize_unknown=True)
    except ValueError:
        # Half a surrogate pair has no UTF-8 form.
        return json.dumps(dict(response), default=str).encode()

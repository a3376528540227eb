"""What the readers of wire formats are given, and what they give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from msgspec import Struct

from spend_middleware.call import Usage

# LiteLLM's words for the endpoint column. Few and fixed: the column is part of a rollup's key, and a path may hold
# model names and ids.
ENDPOINTS = {
    "completion": "/chat/completions",
    "text_completion": "/completions",
    "responses": "/responses",
    "embedding": "/embeddings",
    "image_generation": "/images/generations",
    "image_edit": "/images/edits",
    "transcription": "/audio/transcriptions",
    "speech": "/audio/speech",
    "moderation": "/moderations",
    "rerank": "/rerank",
    "ocr": "/ocr",
    "batch": "/batches",
    "video_generation": "/videos",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What method, host and path alone say about a request to a provider.

    Args:
        provider: LiteLLM's provider name, such as "openai", "azure", "vertex_ai"; "custom_openai" for unknown hosts.
        operation: LiteLLM's call type, such as "completion", "responses", "embedding", "transcription".
        wire_format: The key of the reader, such as "openai.chat" or "anthropic.messages".
        model: The model or deployment in the path, unquoted; None when it is in the body.
        region: The cloud region or location that host or path names.
        accepts: Our fields that this provider takes in the request body and that therefore stay in it: any of
            "user", "metadata" (string map), "metadata.user_id", "litellm" (a LiteLLM proxy: all stays untouched).
        usage_on_request: True where `stream_options.include_usage` may safely be asked for.
        upload: True for multipart and binary requests, whose body is never buffered.
        follow_up: True for a request that reads a result made earlier (GET of a background response, of a batch):
            it is billed only when its reading has a `once_key`.
        price_provider: The provider whose price list counts, where it is not the one that was called: what stands
            behind a gateway or a router.
        gateway: True where the path does not say who stands behind: the model's name decides the price list.
        local: True for a host of this machine or of a private network.
        certain: False when host and path only look like an LLM call: recorded only if the answer looks so too.
        plain: True where nothing but the answer itself decides who is billed for it and at whose prices, and how often.
    """

    provider: str
    operation: str
    wire_format: str
    model: str | None = None
    region: str | None = None
    accepts: frozenset[str] = frozenset()
    usage_on_request: bool = False
    upload: bool = False
    follow_up: bool = False
    price_provider: str | None = None
    gateway: bool = False
    local: bool = False
    certain: bool = True
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        told_elsewhere = self.region or self.price_provider or self.gateway or self.local or self.follow_up
        unknown = not self.certain or self.provider == "huggingface" or self.provider.startswith("custom_")
        object.__setattr__(self, "plain", not (told_elsewhere or unknown))


class Sent(Struct, kw_only=True, gc=False):
    """The request of one call, as it left.

    Args:
        url: The whole URL, or what `str` makes one of.
        headers: By name in lower case.
        content: The parsed JSON body, if it was one.
    """

    url: object = ""
    headers: Mapping[str, str] = {}
    content: Mapping[str, Any] | None = None


class Received(Struct, kw_only=True, gc=False):
    """The answer of one call: status, headers in lower case, and the body with its content encoding taken off.

    `complete` is False when the body broke off (caller walked away, upstream broke) or its middle was not kept.
    """

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    complete: bool = True


class Reading(Struct, kw_only=True, gc=False):
    """What one answer says, in our words.

    Args:
        usage: The counts; None when the provider sent none (a reported zero is a Usage).
        raw_usage: The provider's usage object as it stood in the answer.
        usage_note: What does not add up, such as "total_tokens 12 != 10".
        reported_cost: What the provider says that the call cost, USD.
        stream: True when the answer was streamed.
        pending: True when the answer only acknowledges work that is billed later.
        once_key: Names the provider's object when it can be read again and must be billed once, such as
            "openai/response/resp_123"; `created_at` (seconds UTC) then goes with it.
        billable: False when there is nothing to record (a poll that is not terminal, a listing).
        provider: Who answered, when the answer says otherwise than the host (a LiteLLM proxy by its headers).
        price_provider: The provider whose price list counts, when the answer shows it.
        operation: LiteLLM's call type, where the answer shows what the path does not (a picture from InvokeModel).
        error_type: A short machine-readable word when the answer is an error, also inside a 200.
        input_missing: True when the answer counts its output and not its input, which is still to be counted.
        output_missing: True when an answer counts its input and not its output, as a stream does that broke off:
            `usage` then holds what was reported, and the output is still to be counted from `visible_text`.
        doubt: Why `usage` is not all that the call used, where the answer states what cannot be: until somebody has
            counted what is missing, the call has no price.
        visible_text: Gives the text that the answer shows, for counting tokens that it does not count.
    """

    usage: Usage | None = None
    raw_usage: Mapping[str, Any] | None = None
    usage_note: str | None = None
    reported_cost: Decimal | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None
    provider: str | None = None
    price_provider: str | None = None
    operation: str | None = None
    batch: bool = False
    stream: bool = False
    pending: bool = False
    once_key: str | None = None
    created_at: float | None = None
    billable: bool = True
    error_type: str | None = None
    input_missing: bool = False
    output_missing: bool = False
    doubt: str | None = None
    visible_text: Callable[[], str] | None = None
    more: Sequence[Reading] = ()
    """Further calls that the same answer bills, such as the lines of a batch result."""


Reader = Callable[[Route, Sent, Received], Reading]
"""A reader of one wire format: pure, and never raises for any bytes whatever."""

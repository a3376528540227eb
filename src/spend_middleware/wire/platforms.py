"""Inference platforms with an API of their own: watsonx, Replicate, Aleph Alpha, Cloudflare, SageMaker, TGI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spend_middleware.call import Unit, Usage
from spend_middleware.wire.answers import (
    asked_model,
    error_word,
    moment,
    once,
    reported,
    streamed,
    unless_failed,
)
from spend_middleware.wire.eventstream import Frames
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sse import objects
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import (
    amount,
    count,
    documents,
    listing,
    mapping,
    parsed,
    string,
    units_of,
    within,
)


def _parts(received: Received) -> list[Mapping[str, Any]]:
    """Return the objects of an answer, however it was sent: events, JSON lines or one object."""
    return list(objects(received.body)) if streamed(received) else documents(received.body)


@unless_failed
def read_watsonx(route: Route, sent: Sent, received: Received) -> Reading:
    """Read watsonx.ai text generation, whole and streamed."""
    parts = _parts(received)
    results = [mapping(result) for part in parts for result in listing(part.get("results"))]
    # An error inside a stream is an event of its own: {errors: [{code, message}]}.
    errors = [error for part in parts for error in listing(part.get("errors"))]
    # cloud.ibm.com/apidocs/watsonx-ai, "Infer text": in a stream the input is counted in the first event and the
    # output in each, cumulated.
    raw = {
        name: max(count(result.get(name)) for result in results)
        for name in ("input_token_count", "generated_token_count")
        if any(result.get(name) is not None for result in results)
    }
    return Reading(
        usage=_counted(raw, "input_token_count", "generated_token_count"),
        raw_usage=raw or None,
        request_model=asked_model(route, sent),
        response_model=_first(parts, "model_id"),
        finish_reason=string(results[-1].get("stop_reason")) if results else None,
        stream=streamed(received),
        error_type=(error_word(errors[0]) or "error") if errors else None,
        visible_text=lambda: "".join(str(result.get("generated_text") or "") for result in results),
    )


@unless_failed
def read_watsonx_vectors(route: Route, sent: Sent, received: Received) -> Reading:
    """Read watsonx.ai embeddings and rerank, which count the input at top level."""
    content = mapping(parsed(received.body))
    raw = {name: content[name] for name in ("input_token_count",) if content.get(name) is not None}
    return Reading(
        usage=_counted(raw, "input_token_count", ""),
        raw_usage=raw or None,
        request_model=asked_model(route, sent),
        response_model=string(content.get("model_id")),
    )


def _counted(raw: Mapping[str, Any], inputs: str, outputs: str) -> Usage | None:
    return Usage(input_tokens=count(raw.get(inputs)), output_tokens=count(raw.get(outputs))) if raw else None


def _first(parts: Sequence[Mapping[str, Any]], name: str) -> str | None:
    return next((found for part in parts if (found := string(part.get(name)))), None)


# replicate.com/docs/reference/http, "Prediction": the states that a prediction does not leave again. One that failed
# or was cancelled after it had started is billed for the time it ran.
_ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})


@unless_failed
def read_replicate(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a prediction: billed once it has ended, whoever polls."""
    parts = _parts(received)
    content = parts[-1] if parts else {}
    metrics = within(content, "metrics")
    status = string(content.get("status"))
    reading = Reading(
        request_model=asked_model(route, sent) or string((sent.content or {}).get("version")),
        response_model=string(content.get("model")),
        response_id=string(content.get("id")),
        created_at=moment(content.get("created_at")),
        finish_reason=status if status in _ENDED else None,
        error_type=status if status in ("failed", "aborted") else None,
    )
    if status not in _ENDED:
        reading.pending = not route.follow_up
        reading.billable = not route.follow_up
        return reading
    reading.once_key = once(route.provider, "prediction", content.get("id"))
    reading.raw_usage = reported(metrics)
    reading.usage = _replicate_usage(metrics) if metrics else None
    return reading


def _replicate_usage(metrics: Mapping[str, Any]) -> Usage:
    # replicate.com/docs/topics/billing: public models by the second of predict_time, official ones by their own
    # measure, which stands beside it.
    seconds = metrics.get("predict_time")
    return Usage(
        input_tokens=count(metrics.get("input_token_count")),
        output_tokens=count(metrics.get("output_token_count")),
        units=units_of(
            **{
                Unit.WALL_SECONDS: seconds,
                Unit.OUTPUT_IMAGES: metrics.get("image_count") or metrics.get("image_output_count"),
                Unit.OUTPUT_VIDEO_SECONDS: metrics.get("video_output_duration_seconds"),
                Unit.OUTPUT_AUDIO_SECONDS: metrics.get("audio_output_duration_seconds"),
                Unit.INPUT_CHARACTERS: metrics.get("character_input_count"),
            }
        ),
    )


@unless_failed
def read_aleph_alpha(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Aleph Alpha's complete, embed and their like, which count tokens at top level."""
    parts = _parts(received)
    # docs.aleph-alpha.com/api/complete: a stream's last event, the completion summary, has both counts.
    names = ("num_tokens_prompt_total", "num_tokens_generated")
    raw = {name: part[name] for part in parts for name in names if part.get(name) is not None}
    completions = [mapping(entry) for part in parts for entry in listing(part.get("completions"))]
    return Reading(
        usage=_counted(raw, *names),
        raw_usage=raw or None,
        request_model=asked_model(route, sent),  # `model_version` is the version of that model, a date
        finish_reason=string(completions[-1].get("finish_reason")) if completions else None,
        stream=streamed(received),
        visible_text=lambda: "".join(str(entry.get("completion") or "") for entry in completions),
    )


@unless_failed
def read_tgi(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Hugging Face's text-generation-inference: details in the body, counts in the headers."""
    body = parsed(received.body)
    parts = [mapping(part) for part in listing(body)] or _parts(received)
    return _generated(route, sent, received, parts)


def _generated(route: Route, sent: Sent, received: Received, parts: Sequence[Mapping[str, Any]]) -> Reading:
    # huggingface.github.io/text-generation-inference: details {generated_tokens, prefill, input_length, finish_reason}
    # in a whole answer and in a stream's last event; the server also sets x-prompt-tokens and x-generated-tokens.
    details = next((found for part in reversed(parts) if (found := within(part, "details"))), {})
    headers = received.headers
    raw = {
        name: value
        for name, value in (
            ("input", headers.get("x-prompt-tokens", details.get("input_length"))),
            ("generated", headers.get("x-generated-tokens", details.get("generated_tokens"))),
        )
        if value is not None
    }
    if "input" not in raw and listing(details.get("prefill")):
        raw["input"] = len(listing(details["prefill"]))
    usage = next((found for part in reversed(parts) if has_tokens(found := within(part, "usage"))), {})
    return Reading(
        usage=token_usage(usage) if usage else _counted(raw, "input", "generated"),
        raw_usage=reported(usage or raw),
        request_model=asked_model(route, sent),
        response_model=_first(parts, "model"),
        finish_reason=string(details.get("finish_reason")),
        stream=streamed(received),
        error_type=error_word(parts[-1]) if parts and "error" in parts[-1] else None,
        visible_text=lambda: _generated_text(parts),
    )


def _generated_text(parts: Sequence[Mapping[str, Any]]) -> str:
    whole = [part["generated_text"] for part in parts if isinstance(part.get("generated_text"), str)]
    return "".join(whole) or "".join(str(within(part, "token").get("text") or "") for part in parts)


@unless_failed
def read_sagemaker(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a SageMaker endpoint, whose body is that of the server inside, mostly TGI's or OpenAI's."""
    if "eventstream" in received.headers.get("content-type", "") or received.body[:1] == b"\0":
        # SageMaker API reference, "InvokeEndpointWithResponseStream": the parts of the inner body, one a frame.
        inner = b"".join(frame.body for frame in Frames(received.body) if frame.kind == "PayloadPart")
        received = Received(status=received.status, body=inner, complete=received.complete)
    return read_tgi(route, sent, received)


@unless_failed
def read_vectors(route: Route, sent: Sent, _received: Received) -> Reading:
    """Read Hugging Face's feature extraction: bare numbers, and no usage."""
    return Reading(request_model=asked_model(route, sent))


@unless_failed
def read_cloudflare(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Workers AI's own run endpoint, which wraps the answer in `result`."""
    # developers.cloudflare.com/workers-ai: usage stands in the result, or in a stream's last event.
    parts = _parts(received)
    usage = next(
        (
            found
            for part in reversed(parts)
            for found in (within(part, "result", "usage"), within(part, "usage"))
            if found
        ),
        {},
    )
    return Reading(
        usage=token_usage(usage) if has_tokens(usage) else None,
        raw_usage=reported(usage),
        request_model=asked_model(route, sent),
        stream=streamed(received),
        visible_text=lambda: "".join(
            str(within(part, "result").get("response") or part.get("response") or "") for part in parts
        ),
    )


@unless_failed
def read_search(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a search that is billed by the query."""
    asked, content = sent.content or {}, mapping(parsed(received.body))
    # docs.perplexity.ai/api-reference/search-post: `query` is one text or several; each is billed.
    queries = len(listing(asked.get("query"))) or 1
    results = amount(asked.get("max_results"))
    return Reading(
        usage=Usage(units=units_of(**{Unit.QUERIES: queries, Unit.SEARCH_RESULTS: results})),
        request_model=asked_model(route, sent) or f"{route.provider}/search",
        response_id=string(content.get("id")),
    )


READERS: dict[str, Reader] = {
    "watsonx.generate": read_watsonx,
    "watsonx.embeddings": read_watsonx_vectors,
    "replicate.predictions": read_replicate,
    "alephalpha.complete": read_aleph_alpha,
    "tgi.generate": read_tgi,
    "sagemaker.invoke": read_sagemaker,
    "huggingface.features": read_vectors,
    "cloudflare.run": read_cloudflare,
    "perplexity.search": read_search,
}

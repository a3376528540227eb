"""Batches: the job object, which is billed once it has ended, and the results, one call a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import structs

from spend_middleware.call import Usage
from spend_middleware.wire.answers import asked_model, moment, once, reported, unless_failed
from spend_middleware.wire.anthropic import message_usage
from spend_middleware.wire.costs import stated_cost
from spend_middleware.wire.google import generate_usage
from spend_middleware.wire.google_words import search_units
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.tokens import has_tokens, token_usage
from spend_middleware.wire.values import documents, listing, mapping, parsed, string, within

# platform.openai.com/docs/api-reference/batch/object: requests that had ended before a batch was cancelled or expired
# are billed as well.
_ENDED = frozenset({"completed", "cancelled", "expired", "failed"})
_NOTHING_YET = Reading(billable=False)


@unless_failed
def read_openai(route: Route, sent: Sent, received: Received) -> Reading:
    """Read OpenAI's batch object, and xAI's results of a batch."""
    content = mapping(parsed(received.body))
    if content.get("results") is not None:
        return _together([_xai_line(route, mapping(line)) for line in listing(content["results"])])
    usage, identity = within(content, "usage"), content.get("id") or content.get("batch_id")
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(content.get("model")),
        response_id=string(identity),
        created_at=moment(content.get("created_at")),
        batch=True,
    )
    if string(content.get("status")) in _ENDED and has_tokens(usage):
        reading.usage = token_usage(usage)
        reading.raw_usage = reported(usage)
        reading.once_key = once(route.provider, "batch", identity)
        return reading
    return _waiting(route, reading)


def _waiting(route: Route, reading: Reading) -> Reading:
    reading.pending = not route.follow_up
    reading.billable = not route.follow_up
    return reading


def _xai_line(route: Route, line: Mapping[str, Any]) -> Reading | None:
    # docs.x.ai/docs/guides/batch-api: each result wraps the answer of the endpoint that it was sent to.
    wrapped = within(line, "batch_result", "response")
    answer = next((mapping(value) for value in wrapped.values() if isinstance(value, dict)), {})
    return _line(route, line.get("batch_request_id"), answer, token_usage)


def _line(
    route: Route, name: Any, answer: Mapping[str, Any], counter: Callable[[Mapping[str, Any]], Usage]
) -> Reading | None:
    """Return the reading of one result in a batch, None for one that used nothing."""
    usage, identity = within(answer, "usage"), string(answer.get("id"))
    if not usage:
        return None
    return Reading(
        usage=counter(usage),
        raw_usage=reported(usage),
        reported_cost=stated_cost(route.provider, usage),
        request_model=route.model or string(answer.get("model")),
        response_model=string(answer.get("model")),
        response_id=identity,
        finish_reason=string(answer.get("stop_reason")),
        service_tier=string(usage.get("service_tier")),
        batch=True,
        once_key=once(route.provider, "batch_result", identity or name),
        created_at=moment(answer.get("created")),
    )


def _together(readings: Sequence[Reading | None], received: Received | None = None) -> Reading:
    """Return the first reading with all others behind it; nothing to record when there is none."""
    found = [reading for reading in readings if reading is not None and reading.once_key]
    if not found:
        return structs.replace(_NOTHING_YET)
    if received is not None and not received.complete:
        found[0].usage_note = "some results of this batch were not kept and are not counted"
    return structs.replace(found[0], more=tuple(found[1:]))


@unless_failed
def read_mistral(route: Route, sent: Sent, received: Received) -> Reading:
    """Read Mistral's batch job; one that was asked to answer inline has its results in it."""
    content = mapping(parsed(received.body))
    outputs = [mapping(line) for line in listing(content.get("outputs"))]
    if outputs:
        # docs.mistral.ai/capabilities/batch: a line has custom_id and response {status_code, body}.
        lines = [
            _line(route, line.get("custom_id"), within(line, "response", "body"), token_usage)
            for line in outputs
        ]
        return _together(lines)
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(content.get("model")),
        response_id=string(content.get("id")),
        created_at=moment(content.get("created_at")),
        batch=True,
    )
    return _waiting(route, reading)


@unless_failed
def read_lines(route: Route, _sent: Sent, received: Received) -> Reading:
    """Read the results of a batch as they are downloaded, of providers whose job object states no usage.

    https://docs.mistral.ai/capabilities/batch and https://console.groq.com/docs/batch : JSON lines of custom_id and
    response {status_code, body}. Any other file is no result.
    """
    lines = documents(received.body)
    return _together(
        [
            _line(route, line.get("custom_id"), within(line, "response", "body"), token_usage)
            for line in lines
        ],
        received,
    )


@unless_failed
def read_gemini_lines(route: Route, sent: Sent, received: Received) -> Reading:
    """Read the results of a Gemini batch as they are downloaded.

    https://ai.google.dev/gemini-api/docs/batch-api : JSON lines of key and response.
    """
    name = str(sent.url).partition("?")[0].rpartition("/")[2].partition(":")[0]
    readings = [
        _gemini_line(route, {"name": name}, line.get("key") or at, line, None)
        for at, line in enumerate(documents(received.body))
    ]
    return _together(readings, received)


@unless_failed
def read_anthropic(route: Route, _sent: Sent, received: Received) -> Reading:
    """Read Anthropic's message batch: the results are billed, one call a line; the job object states no usage."""
    lines = documents(received.body)
    # docs.anthropic.com/en/api/retrieving-message-batch-results: JSON lines of custom_id and result {type, message};
    # what was errored, canceled or expired is not billed.
    messages = [within(line, "result", "message") for line in lines]
    readings = [_line(route, None, message, message_usage) for message in messages if message]
    if readings or not lines or "result" in lines[0]:
        return _together(readings, received)
    job = lines[0]
    reading = Reading(response_id=string(job.get("id")), created_at=moment(job.get("created_at")), batch=True)
    return _waiting(route, reading)


@unless_failed
def read_gemini(route: Route, _sent: Sent, received: Received) -> Reading:
    """Read Gemini's batch operation: once it is done its inline answers are billed, one call each."""
    content = mapping(parsed(received.body))
    job = within(content, "metadata")
    # ai.google.dev/api/batch-api: the answers stand in the operation's response, and in the metadata's output.
    for place in (within(content, "response"), within(job, "output")):
        for name in ("inlinedResponses", "inlinedEmbedContentResponses"):
            lines = [mapping(line) for line in listing(within(place, name).get(name))]
            if lines:
                model = string(job.get("model"))
                return _together(
                    [_gemini_line(route, content, at, line, model) for at, line in enumerate(lines)]
                )
    reading = Reading(
        request_model=route.model or string(job.get("model")),
        response_id=string(content.get("name")),
        created_at=moment(job.get("createTime")),
        batch=True,
    )
    return _waiting(route, reading)


def _gemini_line(
    route: Route, job: Mapping[str, Any], at: int | str, line: Mapping[str, Any], model: str | None
) -> Reading | None:
    answer = within(line, "response")
    usage = within(answer, "usageMetadata")
    if not usage:
        return None
    return Reading(
        usage=generate_usage(usage, search_units([answer])),
        raw_usage=reported(usage),
        request_model=model or string(answer.get("modelVersion")),
        response_model=string(answer.get("modelVersion")),
        response_id=string(answer.get("responseId")),
        batch=True,
        once_key=once(route.provider, "batch_result", f"{job.get('name')}/{at}"),
        created_at=moment(within(job, "metadata").get("createTime")),
    )


READERS: dict[str, Reader] = {
    "openai.batches": read_openai,
    "anthropic.batches": read_anthropic,
    "mistral.batches": read_mistral,
    "gemini.batches": read_gemini,
    "openai.batch_lines": read_lines,
    "gemini.batch_lines": read_gemini_lines,
}

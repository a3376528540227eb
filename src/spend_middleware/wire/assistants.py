"""Runs of OpenAI's assistants, and the events of its realtime API."""

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
    total_note,
    unless_failed,
)
from spend_middleware.wire.audio import transcription_usage
from spend_middleware.wire.reading import Reader, Reading, Received, Route, Sent
from spend_middleware.wire.sse import objects
from spend_middleware.wire.tokens import token_usage
from spend_middleware.wire.values import documents, listing, mapping, parsed, string, within

# platform.openai.com/docs/api-reference/runs/object: the states that a run does not leave again. Its usage is null
# before, and what a run used is billed however it ended.
_ENDED = frozenset({"completed", "failed", "cancelled", "expired", "incomplete"})


@unless_failed
def read_run(route: Route, sent: Sent, received: Received) -> Reading:
    """Read a run object, whole or at the end of a stream: it is billed once, whoever polls."""
    stream = streamed(received)
    events = list(objects(received.body)) if stream else [mapping(parsed(received.body))]
    runs = [event for event in events if event.get("object") == "thread.run"]
    run: Mapping[str, Any] = runs[-1] if runs else {}
    usage = within(run, "usage")
    ended = string(run.get("status")) in _ENDED
    reading = Reading(
        request_model=asked_model(route, sent),
        response_model=string(run.get("model")),
        response_id=string(run.get("id")),
        finish_reason=string(run.get("status")) if ended else None,
        created_at=moment(run.get("created_at")),
        stream=stream,
        error_type=error_word({"error": run.get("last_error")}),
    )
    if ended and usage:
        reading.usage = token_usage(usage, _tools(events))
        reading.raw_usage = reported(usage)
        reading.usage_note = total_note(reading.usage)
        reading.once_key = once(route.provider, "run", run.get("id"))
    elif not ended:
        reading.pending = not route.follow_up
        reading.billable = not route.follow_up
    return reading


def _tools(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the tools that the finished steps of a streamed run used; a run object alone does not tell."""
    # platform.openai.com/docs/pricing, "Built-in tools": code interpreter by the session, file search by the call.
    kinds = [
        mapping(call).get("type")
        for event in events
        if event.get("object") == "thread.run.step" and event.get("status") == "completed"
        for call in listing(within(event, "step_details").get("tool_calls"))
    ]
    units: dict[str, Any] = {}
    if "code_interpreter" in kinds:
        units[Unit.CODE_SESSIONS] = 1
    if "file_search" in kinds:
        units[Unit.FILE_SEARCHES] = kinds.count("file_search")
    return units


@unless_failed
def read_realtime(route: Route, sent: Sent, received: Received) -> Reading:
    """Read realtime events: one `response.done`, or several as JSON lines, which are billed together."""
    done = [event for event in documents(received.body) if mapping(event.get("response")).get("usage")]
    heard = [event for event in documents(received.body) if event.get("usage") and event not in done]
    responses = [mapping(event.get("response")) for event in done]
    usages = [within(response, "usage") for response in responses]
    # platform.openai.com/docs/guides/realtime-costs: each response is billed for all that stood before it, so the
    # usages of a session add up. The transcription of what was heard is another model's and has its own usage.
    counts = summed([token_usage(usage) for usage in usages])
    if counts is None and heard:
        counts = transcription_usage(within(heard[-1], "usage"))
    return Reading(
        usage=counts,
        raw_usage=reported(usages[-1] if usages else within(heard[-1], "usage")) if usages or heard else None,
        usage_note=total_note(counts) if counts else None,
        request_model=asked_model(route, sent),
        response_model=next((name for r in reversed(responses) if (name := string(r.get("model")))), None),
        response_id=string(responses[-1].get("id")) if responses else None,
        stream=True,
    )


_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "cache_read_audio_tokens",
    "cache_read_image_tokens",
    "output_audio_tokens",
)
_SPLITS = ("input_text_tokens", "cache_read_text_tokens", "output_text_tokens", "total_tokens")


def summed(usages: Sequence[Usage]) -> Usage | None:
    """Return several usages of one model as one, None for none; a split that one of them lacks is unknown."""
    if len(usages) < 2:
        return usages[0] if usages else None
    sums: dict[str, Any] = {name: sum(getattr(usage, name) for usage in usages) for name in _COUNTS}
    for name in _SPLITS:
        parts = [getattr(usage, name) for usage in usages]
        sums[name] = None if None in parts else sum(parts)
    return Usage(**sums)


READERS: dict[str, Reader] = {
    "openai.runs": read_run,
    "openai.realtime": read_realtime,
}

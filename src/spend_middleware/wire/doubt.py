"""What an answer says that cannot be so: counts that are no numbers, and bodies that are no answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from spend_middleware.call import USAGE_COUNTS, Usage
from spend_middleware.wire import sse
from spend_middleware.wire.bedrock import is_eventstream
from spend_middleware.wire.eventstream import Frames
from spend_middleware.wire.reading import Reading, Received, Route
from spend_middleware.wire.values import NoCount, json_of

UNREADABLE = "unreadable_answer"
"""The error type of an answer whose status says success and which holds no answer."""

# Kinds of calls whose output is not made of tokens.
_WITHOUT_OUTPUT = frozenset(("embedding", "rerank", "moderation", "ocr"))

# Kinds of calls that are answered in words, and how providers name the count of these.
_IN_WORDS = frozenset(("completion", "text_completion", "responses", "generate_content"))
_OUTPUT = re.compile("completion|output|candidate|response|generat|^eval_count")

# Formats whose answers may be anything: sound, pictures, plain text, bare numbers, a customer's own words.
_ANY_BYTES = frozenset(
    (
        *("openai.speech", "xai.tts", "elevenlabs.speech", "deepgram.speak", "azure_speech.synthesis"),
        *("openai.transcription", "stability.images", "cloudflare.run", "sagemaker.invoke"),
        *("huggingface.features", "tgi.generate"),
    )
)

# Protobuf writes no field that is zero: https://protobuf.dev/programming-guides/json
_SILENT_ZEROS = frozenset(
    (
        "gemini.generateContent",
        "gemini.embedContent",
        "gemini.batches",
        "gemini.batch_lines",
        "vertex.predict",
    )
)

# What stands in an answer in words, whichever family it is of.
_PARTS = frozenset(
    (
        *("choices", "output", "outputs", "content", "candidates", "completion", "completions", "generations"),
        *("result", "results", "response", "text", "generated_text", "generation", "outputText", "suggestion"),
        *("embedding", "embeddings", "data", "images", "artifacts", "predictions", "done", "stats"),
        *("usage", "usageMetadata", "promptFeedback", "metadata", "id", "object", "name", "type"),
    )
)  # fmt: skip
# What stands in one that only says what is wrong.
_COMPLAINTS = frozenset(("error", "errors", "detail", "message", "msg", "code", "fault"))


def settle(route: Route, reading: Reading) -> None:
    """Take out of a usage what is no count, and say what is therefore not known."""
    raw, usage = reading.raw_usage, reading.usage
    if raw and NoCount in map(type, raw.values()):
        reading.raw_usage = {name: None if type(value) is NoCount else value for name, value in raw.items()}
    if usage is None:
        return
    odd = [name for name in USAGE_COUNTS if type(getattr(usage, name)) is NoCount]
    odd += [str(unit) for unit, quantity in usage.units.items() if type(quantity) is NoCount]
    passes = any(type(number) is NoCount for _, own in usage.passes for number in own.counts())
    if not odd and not passes:
        return
    reading.usage = _without(usage)
    names = ", ".join([*odd, *(["further passes"] if passes else [])])
    reading.usage_note = f"no number: {names}"
    silent = (reading.operation or route.operation) in _WITHOUT_OUTPUT
    if passes or not usage.units.keys().isdisjoint(odd):
        # Nobody can count these from the words of a call.
        reading.input_missing = reading.output_missing = False
        reading.doubt = f"what the provider states is no number: {names}"
        return
    reading.input_missing = "input_tokens" in odd
    reading.output_missing = reading.output_missing or ("output_tokens" in odd and not silent)
    if not {"input_tokens", "output_tokens"}.isdisjoint(odd) and (
        reading.input_missing or reading.output_missing
    ):
        reading.doubt = f"what the provider states is no number: {names}"


def _without(usage: Usage) -> Usage:
    """Return a usage without what is no count."""
    counts: dict[str, Any] = {}
    for name in USAGE_COUNTS:
        number = getattr(usage, name)
        if type(number) is NoCount:
            optional = name.endswith("text_tokens") or name == "total_tokens"
            number = None if optional else int(number)
        counts[name] = number
    units = {unit: number for unit, number in usage.units.items() if type(number) is not NoCount}
    passes = tuple((model, _without(own)) for model, own in usage.passes)
    return structs.replace(usage, **counts, units=units, passes=passes)


def disbelieve(route: Route, reading: Reading) -> None:
    """Tell what was not counted from a reported zero: a usage that states nothing, an output that nobody states."""
    usage, stated = reading.usage, reading.raw_usage
    if usage is None or usage.output_tokens or not stated or reading.doubt:
        return
    numbers = _numbers(stated)
    if usage.input_tokens:
        text = reading.visible_text if (reading.operation or route.operation) in _IN_WORDS else None
        if text is not None and not any(_OUTPUT.search(name) for name, _ in numbers) and text():
            reading.output_missing = True
            reading.doubt = "the provider states no count of the output"
    elif not (usage.units or usage.passes or route.wire_format in _SILENT_ZEROS):
        tokens = any("token" in name for name, number in numbers if number)
        if tokens or not any(number == 0 for _, number in numbers):
            reading.usage = None


def _numbers(stated: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(stated, dict):
        return [found for key, value in stated.items() for found in _numbers(value, str(key).lower())]
    if isinstance(stated, list):
        return [found for value in stated for found in _numbers(value, name)]
    if stated is None or isinstance(stated, bool | str):
        return []
    return [(name, stated)]


def is_no_answer(route: Route, received: Received) -> bool:
    """Tell a body that is no answer of its format at all: no JSON, no events, or JSON that says something else."""
    body = received.body
    if route.wire_format in _ANY_BYTES:
        return False
    if is_eventstream(received):
        return next(iter(Frames(body)), None) is None
    if sse.looks_like_events(received.headers.get("content-type", ""), body):
        return b"[DONE]" not in body and next(sse.objects(body), None) is None
    try:
        found = json_of(body)
    except ValueError:
        return not any(_is_object(line) for line in body.splitlines() if line[:1] == b"{")
    parts = found if isinstance(found, list) else [found]
    words = route.operation in _IN_WORDS
    return not any(isinstance(part, dict) and _says_something(part, words) for part in parts)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json_of(line), dict)
    except ValueError:
        return False


def _says_something(part: Mapping[str, Any], words: bool) -> bool:
    # A message that is a text belongs to an error; a message of an assistant is an object.
    if not _PARTS.isdisjoint(part) or isinstance(part.get("message"), dict):
        return True
    # What vendors of pictures and sound answer has as many shapes as there are of them.
    return bool(part) and not words and _COMPLAINTS.isdisjoint(part)

"""Which API's answer a parsed answer is, by its shape alone: for those who have it without its request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from spend_middleware.wire.hosts import HOSTS
from spend_middleware.wire.values import listing, mapping, within

Test = Callable[[Mapping[str, Any]], bool]


class AnswerShape(NamedTuple):
    """The shape of one API's answers.

    Args:
        keys: Names that must all be there.
        wire_format: The reader.
        operation: LiteLLM's call type.
        provider: Whose answers look so, as far as one vendor's alone do.
        test: What must hold as well.
    """

    keys: tuple[str, ...]
    wire_format: str
    operation: str
    provider: str = ""
    test: Test | None = None


def _first(name: str, *keys: str) -> Test:
    """Return a test for one of the keys in the first element of a list."""

    def test(answer: Mapping[str, Any]) -> bool:
        items = listing(answer.get(name))
        return bool(items) and any(key in mapping(items[0]) for key in keys)

    return test


def _object(kind: str) -> Test:
    return lambda answer: answer.get("object") == kind


def _is_list(name: str) -> Test:
    return lambda answer: isinstance(answer.get(name), list)


def _usage_has(name: str) -> Test:
    return lambda answer: name in within(answer, "usage")


def _transcribed(answer: Mapping[str, Any]) -> bool:
    return within(answer, "usage").get("type") in ("tokens", "duration") or "duration" in answer


# The first that fits counts. Documents as in `shapes` and in the readers.
_SHAPES = (
    AnswerShape(("object",), "openai.batches", "batch", test=_object("batch")),
    AnswerShape(("object",), "openai.runs", "assistants", test=_object("thread.run")),
    AnswerShape(("object",), "openai.videos", "video_generation", test=_object("video")),
    AnswerShape(("candidates",), "gemini.generateContent", "generate_content", "gemini"),
    AnswerShape(("embedding", "usageMetadata"), "gemini.embedContent", "embedding", "gemini"),
    AnswerShape(("embeddings", "usageMetadata"), "gemini.embedContent", "embedding", "gemini"),
    AnswerShape(("usageMetadata",), "gemini.generateContent", "generate_content", "gemini"),
    AnswerShape(("usage",), "gemini.interactions", "completion", "gemini", _usage_has("total_input_tokens")),
    AnswerShape(("predictions",), "vertex.predict", "embedding", "vertex_ai"),
    AnswerShape(("usage_info",), "mistral.ocr", "ocr", "mistral"),
    AnswerShape(("stopReason",), "bedrock.converse", "completion", "bedrock"),
    AnswerShape(("choices",), "openai.chat", "completion"),
    AnswerShape(("output",), "openai.responses", "responses", test=_is_list("output")),
    AnswerShape(("output", "request_id"), "dashscope.native", "completion", "dashscope"),
    AnswerShape(("stop_reason",), "anthropic.messages", "completion", "anthropic"),
    AnswerShape(("text",), "openai.transcription", "transcription", test=_transcribed),
    AnswerShape(
        ("data",), "openai.images", "image_generation", test=_first("data", "b64_json", "url", "revised_prompt")
    ),
    AnswerShape(("data",), "openai.embeddings", "embedding"),
    AnswerShape(("results",), "openai.moderations", "moderation", test=_first("results", "categories", "flagged")),
    AnswerShape(
        ("results",), "watsonx.generate", "completion", "watsonx", _first("results", "generated_token_count")
    ),
    AnswerShape(("results",), "cohere.rerank", "rerank", "cohere"),
    AnswerShape(("embeddings", "meta"), "cohere.embed", "embedding", "cohere"),
    AnswerShape(("meta",), "cohere.chat", "completion", "cohere"),
    AnswerShape(("done",), "ollama.native", "completion", "ollama"),
    AnswerShape(("message",), "cohere.chat", "completion", "cohere"),
)  # fmt: skip
_OTHERWISE = AnswerShape((), "openai.chat", "completion")

_FORMATS = {host.provider: host.formats for host in HOSTS if host.formats}


def shape_of_answer(answer: Mapping[str, Any], provider: str = "") -> AnswerShape:
    """Return the shape of a parsed answer.

    Args:
        answer: The answer.
        provider: Whose it is, where that is known: some count otherwise in a format that many share.
    """
    found = next(
        (
            shape
            for shape in _SHAPES
            if all(key in answer for key in shape.keys) and (shape.test is None or shape.test(answer))
        ),
        _OTHERWISE,
    )
    own = _FORMATS.get(provider, {}).get(found.wire_format)
    return found._replace(wire_format=own) if own else found

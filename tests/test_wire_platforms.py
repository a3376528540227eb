"""APIs of their own: Mistral beside chat, Ollama, watsonx, Replicate, TGI and others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aws_frames import frame_of
from wire_reads import events, lines, read, tokens

SSE = {"content-type": "text/event-stream"}

CONVERSATIONS: dict[str, tuple[dict[str, Any], tuple[int, int], int, dict[str, int]]] = {
    "plain": ({"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}, (20, 5), 0, {}),
    "connectors beside the prompt": (
        {
            "prompt_tokens": 20,
            "completion_tokens": 5,
            "total_tokens": 125,
            "connector_tokens": 100,
            "connectors": {"web_search": 2, "code_interpreter": 1, "unheard_of": 9},
        },
        (120, 5),
        100,
        {"web_searches": 2, "code_sessions": 1},
    ),
    "connectors inside the prompt": (
        {"prompt_tokens": 120, "completion_tokens": 5, "total_tokens": 125, "connector_tokens": 100},
        (120, 5),
        0,
        {},
    ),
    "no connectors": (
        {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "connectors": None,
            "connector_tokens": None,
        },
        (1, 2),
        0,
        {},
    ),
}


@pytest.mark.parametrize(
    ("usage", "counts", "tools", "units"), CONVERSATIONS.values(), ids=list(CONVERSATIONS)
)
def test_mistral_conversations(
    usage: Any, counts: tuple[int, int], tools: int, units: dict[str, int]
) -> None:
    output = {"type": "message.output", "model": "mistral-x", "content": "hi"}
    whole = read("mistral.conversations", {"conversation_id": "c", "outputs": [output], "usage": usage})
    stream = read(
        "mistral.conversations",
        events(
            {"type": "conversation.response.started", "conversation_id": "c"},
            {"type": "message.output.delta", "model": "mistral-x", "content": "hi"},
            {"type": "conversation.response.done", "usage": usage},
        ),
        headers=SSE,
    )
    for reading in (whole, stream):
        assert tokens(reading) == counts
        assert reading.usage is not None
        assert (reading.usage.tool_input_tokens, dict(reading.usage.units)) == (tools, units)
        assert (reading.response_model, reading.response_id, reading.usage_note) == ("mistral-x", "c", None)
        assert reading.visible_text is not None
        assert reading.visible_text() == "hi"


OCR = {
    "pages": ({"pages_processed": 3, "doc_size_bytes": 9}, {"pages": 3}),
    "annotated pages": (
        {"pages_processed": 3, "pages_processed_annotation": 2},
        {"pages": 3, "annotated_pages": 2},
    ),
    "credits": ({"num_pages": 3, "credits": 4.5}, {"pages": 3, "ocr_credits": Decimal("4.5")}),
}


@pytest.mark.parametrize(("usage", "units"), OCR.values(), ids=list(OCR))
def test_ocr_is_billed_by_the_page(usage: Any, units: dict[str, Any]) -> None:
    found = read("mistral.ocr", {"model": "m", "pages": [], "usage_info": usage}).usage
    assert found is not None
    assert dict(found.units) == units


def test_moderation_counts_requests_and_what_tokens_it_states() -> None:
    free = read("openai.moderations", {"id": "m", "model": "omni", "results": []})
    paid = read(
        "openai.moderations", {"usage": {"prompt_tokens": 13, "completion_tokens": 0, "total_tokens": 74}}
    )
    assert free.usage is not None
    assert (tokens(free), dict(free.usage.units)) == ((0, 0), {"requests": 1})
    assert (tokens(paid), paid.usage_note) == ((13, 0), None)


OLLAMA: dict[str, tuple[Any, tuple[int, int] | None, bool]] = {
    "chat": ({"model": "m", "message": {"content": "hi"}, "done": True, "prompt_eval_count": 21, "eval_count": 9}, (21, 9), False),
    "generate as lines": (
        lines({"model": "m", "response": "h", "done": False}, {"done": True, "prompt_eval_count": 3, "eval_count": 2}),
        (3, 2),
        True,
    ),
    "a prompt from the cache is not counted": (lines({"response": "h", "done": False}, {"done": True, "eval_count": 2}), (0, 2), True),
    "embed": ({"model": "m", "embeddings": [[0.1]], "prompt_eval_count": 5}, (5, 0), False),
    "embeddings of old": ({"embedding": [0.1]}, None, False),
    "a stream that broke off": (lines({"response": "h", "done": False}) + b'{"response": "i', None, True),
    "written over several lines": (b'{\n  "done": true,\n  "prompt_eval_count": 4,\n  "eval_count": 1\n}\n', (4, 1), False),
}  # fmt: skip


@pytest.mark.parametrize(("body", "counts", "stream"), OLLAMA.values(), ids=list(OLLAMA))
def test_ollama_counts_in_its_last_object(body: Any, counts: tuple[int, int] | None, stream: bool) -> None:
    reading = read("ollama.native", body)
    assert (None if reading.usage is None else tokens(reading)) == counts
    assert reading.stream == stream


def test_ollamas_visible_text_is_what_its_lines_show() -> None:
    reading = read("ollama.native", lines({"message": {"content": "a"}}, {"message": {"thinking": "b"}}))
    assert reading.visible_text is not None
    assert reading.visible_text() == "ab"


def test_watsonx_counts_cumulate_in_a_stream() -> None:
    parts = [
        {"model_id": "m", "results": [{"generated_token_count": 0, "input_token_count": 8}]},
        {
            "model_id": "m",
            "results": [{"generated_text": "x", "generated_token_count": 1, "input_token_count": 0}],
        },
        {
            "model_id": "m",
            "results": [{"generated_token_count": 2, "input_token_count": 0, "stop_reason": "eos_token"}],
        },
    ]
    stream = read("watsonx.generate", events(*parts), headers=SSE)
    whole = read(
        "watsonx.generate",
        {"model_id": "m", "results": [{"input_token_count": 8, "generated_token_count": 2}]},
    )
    assert tokens(stream) == tokens(whole) == (8, 2)
    assert (stream.response_model, stream.finish_reason) == ("m", "eos_token")


def test_an_error_inside_a_watsonx_stream_is_its_error() -> None:
    started = {"results": [{"generated_token_count": 3, "input_token_count": 8}]}
    body = events(started, {"errors": [{"code": "model_overloaded", "message": "secret"}]})
    reading = read("watsonx.generate", body, headers=SSE)
    assert (reading.error_type, tokens(reading)) == ("model_overloaded", (8, 3))


def test_watsonx_vectors_count_their_input() -> None:
    assert tokens(read("watsonx.embeddings", {"model_id": "m", "results": [], "input_token_count": 12})) == (
        12,
        0,
    )


REPLICATE: dict[str, tuple[dict[str, Any], tuple[int, int], dict[str, Any]]] = {
    "seconds": ({"predict_time": 1.5, "total_time": 9}, (0, 0), {"wall_seconds": Decimal("1.5")}),
    "tokens": (
        {"predict_time": 2, "input_token_count": 7, "output_token_count": 8},
        (7, 8),
        {"wall_seconds": 2},
    ),
    "pictures": ({"predict_time": 2, "image_count": 3}, (0, 0), {"wall_seconds": 2, "output_images": 3}),
}


@pytest.mark.parametrize(("metrics", "counts", "units"), REPLICATE.values(), ids=list(REPLICATE))
def test_a_prediction_is_billed_by_its_metrics_once(
    metrics: Any, counts: tuple[int, int], units: dict[str, Any]
) -> None:
    body = {
        "id": "p1",
        "status": "succeeded",
        "model": "a/b",
        "metrics": metrics,
        "created_at": "2024-02-12T16:44:47.04927Z",
    }
    for follow_up in (False, True):
        reading = read("replicate.predictions", body, provider="replicate", follow_up=follow_up)
        assert tokens(reading) == counts
        assert reading.usage is not None
        assert dict(reading.usage.units) == units
        assert reading.once_key == "replicate/prediction/p1"
        assert reading.created_at == pytest.approx(1707756287.04927)


def test_a_prediction_that_runs_is_pending_once_and_then_nothing() -> None:
    body = {"id": "p1", "status": "processing"}
    assert read("replicate.predictions", body).pending
    assert not read("replicate.predictions", body, follow_up=True).billable


TGI: dict[str, tuple[Any, dict[str, str], tuple[int, int] | None]] = {
    "details": (
        [
            {
                "generated_text": "x",
                "details": {"generated_tokens": 3, "prefill": [{}, {}], "finish_reason": "length"},
            }
        ],
        {},
        (2, 3),
    ),
    "headers": ({"generated_text": "x"}, {"x-prompt-tokens": "6", "x-generated-tokens": "4"}, (6, 4)),
    "nothing": ([{"generated_text": "x"}], {}, None),
    "a stream": (
        events(
            {"token": {"text": "a"}},
            {"token": {"text": "b"}, "details": {"generated_tokens": 2, "input_length": 5}},
        ),
        SSE,
        (5, 2),
    ),
    "OpenAI's usage inside": ({"usage": {"prompt_tokens": 1, "completion_tokens": 2}}, {}, (1, 2)),
}


@pytest.mark.parametrize(("body", "headers", "counts"), TGI.values(), ids=list(TGI))
@pytest.mark.parametrize("wire_format", ["tgi.generate", "sagemaker.invoke"])
def test_text_generation_inference(wire_format: str, body: Any, headers: dict[str, str], counts: Any) -> None:
    reading = read(wire_format, body, headers=headers, model="endpoint")
    assert (None if reading.usage is None else tokens(reading)) == counts
    assert reading.request_model == "endpoint"


def test_a_sagemaker_stream_is_put_together_first() -> None:
    inner = events({"token": {"text": "a"}}, {"details": {"generated_tokens": 2, "input_length": 5}})
    body = frame_of("PayloadPart", inner[:30]) + frame_of("PayloadPart", inner[30:])
    assert tokens(read("sagemaker.invoke", body)) == (5, 2)


def test_aleph_alpha_counts_at_top_level_and_names_no_model() -> None:
    body = {
        "model_version": "2022-04",
        "completions": [{"completion": "x"}],
        "num_tokens_prompt_total": 9,
        "num_tokens_generated": 3,
    }
    reading = read("alephalpha.complete", body)
    assert tokens(reading) == (9, 3)
    assert reading.response_model is None


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (
            {
                "result": {"response": "x", "usage": {"prompt_tokens": 9, "completion_tokens": 3}},
                "success": True,
            },
            {},
        ),
        (
            events(
                {"response": "x"}, {"response": "", "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
            ),
            SSE,
        ),
    ],
    ids=["whole", "streamed"],
)
def test_workers_ai_wraps_its_usage(body: Any, headers: dict[str, str]) -> None:
    assert tokens(read("cloudflare.run", body, headers=headers)) == (9, 3)


@pytest.mark.parametrize(("query", "queries"), [("one", 1), (["one", "two"], 2)])
def test_a_search_is_billed_by_the_query(query: Any, queries: int) -> None:
    reading = read(
        "perplexity.search", {"id": "s"}, sent={"query": query, "max_results": 5}, provider="perplexity"
    )
    assert reading.usage is not None
    assert dict(reading.usage.units) == {"queries": queries, "search_results": 5}
    assert reading.request_model == "perplexity/search"


def test_feature_extraction_states_nothing() -> None:
    assert read("huggingface.features", [[0.1, 0.2]], model="a/b").usage is None

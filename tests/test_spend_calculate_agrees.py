"""`/spend/calculate` and the functions give an answer of each kind the cost that its live call had, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from spend_middleware import NotFoundError, Spend, completion_cost, response_cost

KEY = "sk-the-master-key-0001"
TRANSCRIBED = {
    "type": "tokens", "input_tokens": 113, "output_tokens": 19, "total_tokens": 132,
    "input_token_details": {"audio_tokens": 103, "text_tokens": 10},
}  # fmt: skip
DRAWN = {
    "input_tokens": 17, "output_tokens": 4163, "total_tokens": 4180,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 7},
}  # fmt: skip
IMAGE_GEN = {
    "input_tokens": 53, "output_tokens": 1057, "total_tokens": 1110,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 3},
}  # fmt: skip
SEARCH = {"type": "web_search_call", "action": {"type": "search"}}
INTERACTION = {
    "total_input_tokens": 101, "total_output_tokens": 13, "total_thought_tokens": 7, "total_cached_tokens": 11,
    "total_tool_use_tokens": 3, "total_tokens": 124, "grounding_tool_count": [{"type": "google_search", "count": 1}],
}  # fmt: skip
GOOGLE = "https://generativelanguage.googleapis.com/v1beta"

# What was asked where, with what, and the answer; the model that is asked stands in the body or in the path.
CALLS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "chat": (
        "https://api.openai.com/v1/chat/completions",
        {"model": "gpt-5.4"},
        {"model": "gpt-5.4", "choices": [], "service_tier": "flex", "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
    ),
    "a response that searched and drew": (
        "https://api.openai.com/v1/responses",
        {"model": "gpt-5"},
        {
            "model": "gpt-5", "status": "completed", "output": [SEARCH],
            "usage": {"input_tokens": 1001, "output_tokens": 37, "total_tokens": 1038},
            "tool_usage": {"image_gen": IMAGE_GEN, "web_search": {"num_requests": 1}},
            "tools": [{"type": "image_generation", "model": "gpt-image-1.5"}],
        },
    ),
    "tokens of a transcription": (
        "https://api.openai.com/v1/audio/transcriptions", {"model": "gpt-4o-transcribe"}, {"text": "x", "usage": TRANSCRIBED},
    ),
    "seconds of a transcription": (
        "https://api.openai.com/v1/audio/transcriptions", {"model": "whisper-1"},
        {"text": "x", "usage": {"type": "duration", "seconds": 31}},
    ),
    "pictures by the token": (
        "https://api.openai.com/v1/images/generations", {"model": "gpt-image-1.5"},
        {"created": 1, "data": [{"b64_json": "x"}], "usage": DRAWN},
    ),
    "pictures by the piece": (
        "https://api.openai.com/v1/images/generations", {"model": "dall-e-3"},
        {"created": 1, "data": [{"url": "x"}, {"url": "y"}]},
    ),
    "embeddings": (
        "https://api.openai.com/v1/embeddings", {"model": "text-embedding-3-small"},
        {"object": "list", "model": "text-embedding-3-small", "data": [{}], "usage": {"prompt_tokens": 9, "total_tokens": 9}},
    ),
    "a batch": (
        "https://api.openai.com/v1/batches", {},
        {
            "id": "batch_1", "object": "batch", "status": "completed", "model": "gpt-4o-mini",
            "usage": {"input_tokens": 1003, "output_tokens": 101, "total_tokens": 1104},
        },
    ),
    "a run": (
        "https://api.openai.com/v1/threads/runs", {},
        {
            "id": "run_1", "object": "thread.run", "status": "completed", "model": "gpt-4o",
            "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        },
    ),
    "a message": (
        "https://api.anthropic.com/v1/messages", {"model": "claude-opus-4-6"},
        {
            "type": "message", "model": "claude-opus-4-6", "stop_reason": "end_turn", "content": [],
            "usage": {"input_tokens": 7, "output_tokens": 3, "server_tool_use": {"web_search_requests": 2}},
        },
    ),
    "Gemini in OpenAI's words": (
        f"{GOOGLE}/openai/chat/completions", {"model": "gemini-2.5-flash"},
        {
            "model": "gemini-2.5-flash", "choices": [], "custom_llm_provider": "gemini",
            "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 117},
        },
    ),
    "an interaction": (
        f"{GOOGLE}/interactions", {"model": "gemini-2.5-flash"},
        {"id": "i", "model": "gemini-2.5-flash", "status": "completed", "usage": INTERACTION},
    ),
    "a page": (
        "https://api.mistral.ai/v1/ocr", {"model": "mistral-ocr-latest"},
        {"model": "mistral-ocr-latest", "pages": [{}], "usage_info": {"pages_processed": 3}},
    ),
    "Mistral's reused tokens": (
        "https://api.mistral.ai/v1/chat/completions", {"model": "mistral-small-latest"},
        {
            "model": "mistral-small-latest", "choices": [], "custom_llm_provider": "mistral",
            "usage": {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103, "num_cached_tokens": 99},
        },
    ),
    "a reranking": (
        "https://api.cohere.com/v2/rerank", {"model": "rerank-v3.5"},
        {"id": "r", "results": [{"index": 0}], "meta": {"billed_units": {"search_units": 2}}},
    ),
    "a compound of Groq's": (
        "https://api.groq.com/openai/v1/chat/completions", {"model": "groq/compound"},
        {
            "model": "groq/compound", "choices": [], "custom_llm_provider": "groq",
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
            "usage_breakdown": {
                "models": [{"model": "openai/gpt-oss-120b", "usage": {"prompt_tokens": 10, "completion_tokens": 5}}]
            },
        },
    ),
    "a stated cost": (
        "https://openrouter.ai/api/v1/chat/completions", {"model": "openai/gpt-4o"},
        {
            "model": "openai/gpt-4o", "choices": [], "custom_llm_provider": "openrouter",
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.00012345},
        },
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def spend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spend]:
    folder = tmp_path_factory.mktemp("calculate")
    with Spend(f"sqlite:///{folder}/spend.db", master_key=KEY, batch_seconds=0.01) as made:
        yield made


@pytest.mark.parametrize(("url", "asked", "answer"), CALLS.values(), ids=list(CALLS))
def test_an_answer_costs_what_its_call_cost(
    spend: Spend, url: str, asked: dict[str, Any], answer: dict[str, Any]
) -> None:
    transport = spend.transport(httpx2.MockTransport(lambda request: httpx2.Response(200, json=answer)))
    with spend.tag() as tally, httpx2.Client(transport=transport) as client:
        client.post(url, json=asked)
    (call,) = tally.calls
    cost = call.cost.amount
    assert cost
    told = {**answer, "model": answer.get("model") or asked["model"]}
    calculated = TestClient(spend.app, headers={"authorization": f"Bearer {KEY}"}).post(
        "/spend/calculate", json={"completion_response": told}
    )
    assert calculated.json() == {"cost": float(cost)}
    assert Decimal(json.loads(calculated.text, parse_float=Decimal)["cost"]) == cost
    assert response_cost(told) == cost
    assert completion_cost(told) == float(cost)


@pytest.mark.parametrize(
    "answer",
    [
        {"model": "gpt-4o", "choices": [{"message": {"content": "Hi"}}]},
        {"model": "tts-1"},
        {"model": "gpt-4o", "output": [], "usage": None},
        {"model": "gpt-4o-mini", "object": "batch", "status": "in_progress"},
    ],
)
def test_an_answer_without_usage_has_no_price_and_costs_not_nothing(
    spend: Spend, answer: dict[str, Any]
) -> None:
    assert response_cost(answer) is None
    with pytest.raises(NotFoundError, match="no usage was reported"):
        completion_cost(answer)
    refused = TestClient(spend.app, headers={"authorization": f"Bearer {KEY}"}).post(
        "/spend/calculate", json={"completion_response": answer}
    )
    assert refused.status_code == 400

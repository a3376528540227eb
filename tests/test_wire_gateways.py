"""Who stands behind a gateway, as far as a model's name or an answer's headers tell."""

from __future__ import annotations

import json

import pytest

from spend_middleware import wire
from spend_middleware.wire import Received, Sent, recognise
from spend_middleware.wire.gateways import vendor_of


@pytest.mark.parametrize(
    ("model", "vendor"),
    [
        ("gpt-4o-mini-2024-07-18", "openai"),
        ("o3-mini", "openai"),
        ("text-embedding-3-small", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-pro", "gemini"),
        ("anthropic/claude-x", "anthropic"),
        ("@openai/gpt-x", "openai"),
        ("grok-4", "xai"),
        ("gpt-oss-120b", None),
        ("my-alias", None),
        ("somebody/model", None),
        ("", None),
        (None, None),
    ],
)
def test_a_models_name_tells_its_vendor_where_one_vendor_alone_gives_it(
    model: str | None, vendor: str | None
) -> None:
    assert vendor_of(model) == vendor


@pytest.mark.parametrize(
    ("host", "path", "model", "headers", "listed"),
    [
        ("api.portkey.ai", "/v1/chat/completions", "gpt-4o-mini", {}, "openai"),
        ("api.portkey.ai", "/v1/chat/completions", "x", {"x-portkey-provider": "azure-openai"}, "azure"),
        ("router.huggingface.co", "/v1/chat/completions", "org/m", {"x-inference-provider": "groq"}, "groq"),
        ("router.huggingface.co", "/together/v1/chat/completions", "org/m", {}, "together_ai"),
        ("llm.example.com", "/v1/chat/completions", "gpt-4o-mini", {}, "openai"),
        ("localhost:8000", "/v1/chat/completions", "gpt-4o-mini", {}, None),
        ("api.groq.com", "/openai/v1/chat/completions", "openai/gpt-oss-120b", {}, None),
    ],
)
def test_the_price_list_is_that_of_who_stands_behind(
    host: str, path: str, model: str, headers: dict[str, str], listed: str | None
) -> None:
    route = recognise("POST", host, path)
    assert route is not None
    body = json.dumps({"model": model, "choices": [], "usage": {"prompt_tokens": 1}}).encode()
    reading = wire.read(route, Sent(), Received(status=200, headers=headers, body=body))
    assert reading.price_provider == listed

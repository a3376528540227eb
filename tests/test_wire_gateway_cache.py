"""What a gateway answers from its own cache costs nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from spend_middleware.wire import Received, Sent, read, recognise

BODY = (
    b'{"object": "chat.completion", "model": "gpt-x", "usage": {"prompt_tokens": 9, "completion_tokens": 1}}'
)

STATES = {
    "Cloudflare, hit": ("gateway.ai.cloudflare.com", "/v1/a/g/openai/chat/completions", {"cf-aig-cache-status": "HIT"}, Decimal(0)),
    "Cloudflare, miss": ("gateway.ai.cloudflare.com", "/v1/a/g/openai/chat/completions", {"cf-aig-cache-status": "MISS"}, None),
    "Portkey, semantic hit": ("api.portkey.ai", "/v1/chat/completions", {"x-portkey-cache-status": "SEMANTIC HIT"}, Decimal(0)),
    "Portkey, semantic miss": ("api.portkey.ai", "/v1/chat/completions", {"x-portkey-cache-status": "SEMANTIC MISS"}, None),
    "Helicone, hit": ("oai.helicone.ai", "/v1/chat/completions", {"helicone-cache": "HIT"}, Decimal(0)),
    "a vendor's host is no gateway": ("api.openai.com", "/v1/chat/completions", {"helicone-cache": "HIT"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("host", "path", "headers", "cost"), STATES.values(), ids=list(STATES))
def test_an_answer_from_a_gateways_cache_is_free(
    host: str, path: str, headers: dict[str, str], cost: Decimal | None
) -> None:
    route = recognise("POST", host, path)
    assert route is not None
    reading = read(route, Sent(content={"model": "gpt-x"}), Received(status=200, headers=headers, body=BODY))
    assert reading.reported_cost == cost
    assert reading.usage is not None

"""Our fields in a request: read in LiteLLM's order, and taken out where the provider refuses them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend_middleware.wire import Route, recognise
from spend_middleware.wire.request import fields_of, usual_in
from spend_middleware.wire.rewriting import headers_to_drop, without_our_fields
from spend_middleware.wire.stream_usage import usage_chunk_filter, want_stream_usage
from spend_middleware.wire.written import encode, read_object

HOSTS = {
    "openai": ("api.openai.com", "/v1/chat/completions"),
    "azure": ("x.openai.azure.com", "/openai/deployments/d/chat/completions"),
    "anthropic": ("api.anthropic.com", "/v1/messages"),
    "gemini": ("generativelanguage.googleapis.com", "/v1beta/models/m:generateContent"),
    "mistral": ("api.mistral.ai", "/v1/chat/completions"),
    "groq": ("api.groq.com", "/openai/v1/chat/completions"),
    "cohere": ("api.cohere.com", "/v2/chat"),
    "xai": ("api.x.ai", "/v1/responses"),
    "azure responses": ("x.openai.azure.com", "/openai/v1/responses"),
    "foundry": ("x.services.ai.azure.com", "/models/chat/completions"),
    "gemini as openai": ("generativelanguage.googleapis.com", "/v1beta/openai/chat/completions"),
    "vertex": (
        "eu-aiplatform.googleapis.com",
        "/v1/projects/p/locations/eu/publishers/google/models/m:generateContent",
    ),
    "claude on vertex": (
        "eu-aiplatform.googleapis.com",
        "/v1/projects/p/locations/eu/publishers/anthropic/models/c:rawPredict",
    ),
    "bedrock": ("bedrock-runtime.us-east-1.amazonaws.com", "/model/m/converse"),
    "cohere v1": ("api.cohere.com", "/v1/chat"),
    "openrouter": ("openrouter.ai", "/api/v1/chat/completions"),
    "deepseek": ("api.deepseek.com", "/chat/completions"),
    "together": ("api.together.xyz", "/v1/chat/completions"),
    "ollama": ("localhost:11434", "/v1/chat/completions"),
    "unknown": ("llm.example.com", "/v1/chat/completions"),
}
PROXY = Route(
    provider="litellm_proxy",
    operation="completion",
    wire_format="openai.chat",
    accepts=frozenset({"litellm"}),
)


def route_to(provider: str) -> Route:
    route = recognise("POST", *HOSTS[provider])
    assert route is not None
    return route


TAGS = {"tags": ["jobID:1", "task"]}

# provider, metadata and user as the documents send them, what is left of them; None: the bytes stay as they are.
LEFT = [
    ("openai", {"metadata": TAGS, "user": "palantir"}, {"user": "palantir"}),
    ("openai", {"metadata": {**TAGS, "topic": "a"}}, {"metadata": {"topic": "a"}}),
    ("openai", {"metadata": {"topic": "a"}, "user": "palantir"}, None),
    ("openai", {"metadata": {"spend_logs_metadata": {"a": 1}}}, {}),
    ("openai", {"tags": ["a"], "litellm_metadata": {"tags": ["b"]}}, {}),
    ("openai", {"metadata": None}, None),
    ("openai", {}, None),
    ("azure", {"metadata": TAGS}, {}),
    ("anthropic", {"metadata": TAGS, "user": "palantir"}, {"metadata": {"user_id": "palantir"}}),
    (
        "anthropic",
        {"metadata": {**TAGS, "user_id": "u1"}, "user": "palantir"},
        {"metadata": {"user_id": "u1"}},
    ),
    ("anthropic", {"metadata": {"user_id": "u1"}}, None),
    ("anthropic", {"user": "jane@example.com"}, {}),
    ("anthropic", {"user": "+49 170 1234567"}, {}),
    ("anthropic", {"user": {"a": 1}}, {}),
    ("anthropic", {"user": 12345}, {"metadata": {"user_id": "12345"}}),
    ("anthropic", {"user": "ana", "metadata": {"other": 1}}, {"metadata": {"other": 1, "user_id": "ana"}}),
    ("anthropic", {"metadata": {"other": 1, "user_id": "u1"}}, None),
    ("gemini", {"metadata": TAGS, "user": "palantir"}, {}),
    ("mistral", {"metadata": TAGS, "user": "palantir"}, {}),
    ("groq", {"metadata": {**TAGS, "topic": "a"}, "user": "palantir"}, {"user": "palantir"}),
    ("cohere", {"metadata": TAGS, "user": "palantir"}, {}),
    ("xai", {"metadata": TAGS}, {}),
    (
        "azure responses",
        {"metadata": {**TAGS, "topic": "a"}, "user": "u"},
        {"metadata": {"topic": "a"}, "user": "u"},
    ),
    ("foundry", {"metadata": TAGS, "user": "palantir"}, {"user": "palantir"}),
    ("gemini as openai", {"metadata": {**TAGS, "topic": "a"}, "user": "palantir"}, {}),
    ("vertex", {"metadata": TAGS, "user": "palantir"}, {}),
    ("vertex", {"labels": {"team": "a"}}, None),
    ("claude on vertex", {"metadata": TAGS, "user": "palantir"}, {"metadata": {"user_id": "palantir"}}),
    ("bedrock", {"metadata": TAGS, "user": "palantir"}, {}),
    ("bedrock", {"requestMetadata": {"team": "a"}}, None),
    ("cohere v1", {"metadata": TAGS, "user": "palantir"}, {}),
    (
        "openrouter",
        {"metadata": {**TAGS, "topic": "a"}, "user": "u"},
        {"metadata": {"topic": "a"}, "user": "u"},
    ),
    ("deepseek", {"metadata": TAGS, "user": "palantir"}, {"user": "palantir"}),
    ("together", {"metadata": TAGS, "user": "palantir"}, {"user": "palantir"}),
    ("ollama", {"metadata": TAGS, "user": "palantir"}, {"user": "palantir"}),
    ("unknown", {"metadata": TAGS, "user": "palantir"}, {"user": "palantir"}),
]


@pytest.mark.parametrize(("provider", "ours", "left"), LEFT)
def test_what_a_provider_refuses_is_taken_out(
    provider: str, ours: dict[str, Any], left: dict[str, Any] | None
) -> None:
    body = {"model": "m", **ours, "messages": []}
    changed = without_our_fields(body, route_to(provider))
    assert changed == (None if left is None else {"model": "m", "messages": [], **left})
    assert body == {"model": "m", **ours, "messages": []}


def test_a_litellm_proxy_gets_everything() -> None:
    assert without_our_fields({"metadata": TAGS, "user": "u", "tags": ["a"]}, PROXY) is None
    assert headers_to_drop({"x-litellm-tags": "a"}, PROXY) == ()


def test_our_headers_are_dropped_and_no_others() -> None:
    headers = {
        "authorization": "Bearer k",
        "x-litellm-tags": "a",
        "x-litellm-call-id": "c",
        "x-request-id": "r",
    }
    assert headers_to_drop(headers, route_to("openai")) == ("x-litellm-tags", "x-litellm-call-id")


def test_what_a_signature_covers_is_left_alone() -> None:
    signed = "AWS4-HMAC-SHA256 Credential=c, SignedHeaders=host;x-amz-date;x-litellm-tags, Signature=s"
    headers = {"authorization": signed, "x-litellm-tags": "a", "x-litellm-call-id": "c"}
    assert headers_to_drop(headers, route_to("openai")) == ("x-litellm-call-id",)
    assert without_our_fields({"metadata": TAGS}, route_to("openai"), headers) is None


SOURCES = [
    ({"metadata": {"tags": ["a", "b"]}}, {}, ["a", "b"]),
    ({"metadata": {"tags": ["a"]}}, {"x-litellm-tags": "h1, h2"}, ["a", "h1", " h2"]),
    ({"tags": ["root"], "litellm_metadata": {"tags": ["own"]}}, {}, ["own", "root"]),
    ({"metadata": {"tags": "alone"}}, {}, ["alone"]),
    ({"metadata": '{"tags": ["in text"]}'}, {}, ["in text"]),
    ({"metadata": {"tags": {"no": "list"}}}, {}, []),
    ({"metadata": ["no object"]}, {}, []),
    (None, {}, []),
]


@pytest.mark.parametrize(("body", "headers", "tags"), SOURCES)
def test_tags_are_read_from_body_and_headers(
    body: dict[str, Any] | None, headers: dict[str, str], tags: list[Any]
) -> None:
    assert list(fields_of(body, headers, route_to("openai")).tags) == tags


END_USERS: list[tuple[dict[str, Any], dict[str, str], Any]] = [
    ({"user": "palantir"}, {}, "palantir"),
    ({"user": 12345}, {}, 12345),
    ({"user": "palantir"}, {"x-litellm-end-user-id": "h"}, "h"),
    ({"user": "palantir"}, {"x-litellm-end-user-id": "h", "x-litellm-customer-id": "c"}, "c"),
    ({"user": True, "metadata": {"user_id": "u1"}}, {}, "u1"),
    ({"user": " ", "safety_identifier": "s"}, {}, "s"),
    ({"litellm_metadata": {"user": "l"}, "metadata": {"user_id": "u1"}}, {}, "l"),
    ({"user": {"a": 1}}, {}, None),
    ({}, {}, None),
]


@pytest.mark.parametrize(("body", "headers", "end_user"), END_USERS)
def test_the_end_user_is_found_in_litellms_order(
    body: dict[str, Any], headers: dict[str, str], end_user: Any
) -> None:
    assert fields_of(body, headers, route_to("openai")).end_user == end_user


def test_the_header_takes_the_place_of_the_bodys_metadata() -> None:
    body = {"metadata": {"spend_logs_metadata": {"a": 1}}}
    assert fields_of(body, {}, PROXY).metadata == {"a": 1}
    headers = {"x-litellm-spend-logs-metadata": '{"b": 2}'}
    assert fields_of(body, headers, PROXY).metadata == {"b": 2}
    assert fields_of(body, {"x-litellm-spend-logs-metadata": "nonsense"}, PROXY).metadata == {"a": 1}


@pytest.mark.parametrize(
    ("body", "headers", "session"),
    [
        ({}, {"x-litellm-trace-id": "t", "x-litellm-session-id": "s"}, "t"),
        ({}, {"x-vendor-session-id": "abcdefgh"}, "abcdefgh"),
        ({}, {"x-vendor-session-id": "short"}, None),
        ({"metadata": {"user_id": "user_1_account_2_session_abcdefgh"}}, {}, "abcdefgh"),
        ({"litellm_session_id": "b"}, {}, "b"),
        ({"litellm_session_id": 7}, {}, None),
    ],
)
def test_the_session_is_found_in_litellms_order(
    body: dict[str, Any], headers: dict[str, str], session: str | None
) -> None:
    assert fields_of(body, headers, PROXY).session_id == session


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["user", "metadata", "tags", "litellm_metadata", "stream", "stream_options", "model"])


@given(st.dictionaries(NAMES, JSON, max_size=6), st.sampled_from(sorted(HOSTS)))
def test_no_body_is_too_strange(body: dict[str, Any], provider: str) -> None:
    route = route_to(provider)
    fields_of(body, {}, route)
    changed = without_our_fields(body, route)
    want_stream_usage(body, route)
    if changed is not None:
        assert without_our_fields(changed, route) is None
        assert json.loads(encode(changed)) == changed


def is_strict(body: dict[str, Any]) -> bool:
    """Whether a body is JSON by its standard, which knows no infinity."""
    return "Infinity" not in json.dumps(body)


@given(
    st.dictionaries(NAMES | st.text(max_size=8), JSON, max_size=8).filter(is_strict),
    st.sampled_from(sorted(HOSTS)),
    st.booleans(),
)
def test_a_body_whose_prompt_stays_as_it_is_written_says_and_becomes_what_the_whole_one_does(
    body: dict[str, Any], provider: str, compact: bool
) -> None:
    route = route_to(provider)
    written = json.dumps(body, separators=(",", ":") if compact else None).encode()
    top = read_object(written)
    assert top is not None
    assert fields_of(top, {}, route) == fields_of(body, {}, route)
    assert usual_in(top) == usual_in(body)
    for change in (without_our_fields, want_stream_usage):
        changed, expected = change(top, route), change(body, route)
        assert (changed is None) == (expected is None)
        if changed is not None and expected is not None:
            assert json.loads(encode(changed)) == expected
            assert list(json.loads(encode(changed))) == list(expected)


def test_a_prompt_leaves_byte_for_byte_where_our_fields_are_taken_out() -> None:
    prompt = (
        rb'[ {"content": "caf\u00e9 \ud83d\ude00 \/", "n": [1.0e-7, 1E5, 123456789012345678901234567890] } ]'
    )
    body = rb'{ "model": "m", "messages": ' + prompt + rb', "metadata": {"tags": ["a"], "topic": "b"}}'
    top = read_object(body)
    assert top is not None
    changed = without_our_fields(top, route_to("openai"))
    assert changed is not None
    assert encode(changed) == rb'{"model":"m","messages":' + prompt + rb',"metadata":{"topic":"b"}}'


def test_a_field_that_is_kept_goes_out_as_it_came_however_large_its_numbers_are() -> None:
    body = {"messages": ["caf\u00e9", 2**70], "tags": ["a"], "metadata": {"topic": 2**70}}
    top = read_object(json.dumps(body).encode())
    assert top is not None
    changed = without_our_fields(top, route_to("openai"))
    assert changed is not None
    assert json.loads(encode(changed)) == {"messages": ["caf\u00e9", 2**70], "metadata": {"topic": 2**70}}


@pytest.mark.parametrize("body", [None, b"", b"[]", b"{", b"3", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_json_object_is_not_read(body: bytes | None) -> None:
    assert read_object(body) is None


@pytest.mark.parametrize("text", [r'{"a": "\ud800"}', '{"a": Infinity, "b": 1}', '{"a": "\ufeff"}'])
def test_an_object_that_is_not_strictly_json_is_read_all_the_same(text: str) -> None:
    found = read_object(text.encode())
    assert found is not None
    assert dict(found) == json.loads(text)


DEEP = b"[" * 300 + b"]" * 300


@pytest.mark.parametrize(
    ("provider", "body", "left"),
    [
        ("openai", b'{"user":"Andr\xe9","tags":["a"],"messages":[]}', b'{"user":"Andr\xe9","messages":[]}'),
        ("openai", b'{"tags":["a"],"metadata":{"k":"\xff"}}', b'{"metadata":{"k":"\xff"}}'),
        ("openai", b'{"tags":["a"],"metadata":{"k":%s}}' % DEEP, b'{"metadata":{"k":%s}}' % DEEP),
        ("openai", b'{"tags":["a"],"n":%s}' % (b"9" * 5000), b'{"n":%s}' % (b"9" * 5000)),
        (
            "anthropic",
            b'{"user":"ana","metadata":{"k":%s}}' % DEEP,
            b'{"metadata":{"k":%s,"user_id":"ana"}}' % DEEP,
        ),
        ("anthropic", b'{"user":"ana","metadata":{"k":"\xff"}}', b'{"metadata":{"k":"\xff"}}'),
    ],
)
def test_what_cannot_be_read_leaves_as_it_came_and_hides_nothing_else(
    provider: str, body: bytes, left: bytes
) -> None:
    content = read_object(body)
    assert content is not None
    changed = without_our_fields(content, route_to(provider))
    assert changed is not None
    assert encode(changed) == left


def test_stream_options_that_cannot_be_read_are_left_alone() -> None:
    content = read_object(b'{"stream":true,"stream_options":{"k":"\xff"}}')
    assert content is not None
    assert want_stream_usage(content, route_to("openai")) is None


@pytest.mark.parametrize(
    ("provider", "body", "options"),
    [
        ("openai", {"stream": True}, {"include_usage": True}),
        ("openai", {"stream": True, "stream_options": {"a": 1}}, {"a": 1, "include_usage": True}),
        ("openai", {"stream": True, "stream_options": {"include_usage": False}}, None),
        ("openai", {"stream": True, "stream_options": "odd"}, None),
        ("openai", {"stream": False}, None),
        ("openai", {}, None),
        ("mistral", {"stream": True}, None),
        ("azure", {"stream": True}, None),
    ],
)
def test_stream_usage_is_asked_for_only_where_it_is_safe(
    provider: str, body: dict[str, Any], options: dict[str, Any] | None
) -> None:
    asking = want_stream_usage(body, route_to(provider))
    assert (asking and asking["stream_options"]) == options


PLAIN = b'data: {"choices":[{"delta":{"content":",\\"usage\\":null}"}}]}\n\n'
FIRST = PLAIN.replace(b"]}\n", b'],"usage":null}\n')
AZURE = b'data: {"choices":[],"prompt_filter_results":[]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"])
def test_the_chunk_that_we_asked_for_never_reaches_the_caller(size: int, end: bytes) -> None:
    stream = (AZURE + FIRST + USAGE + DONE).replace(b"\n\n", end)
    strain = usage_chunk_filter()
    seen = b"".join(strain(stream[at : at + size]) for at in range(0, len(stream), size)) + strain(b"")
    assert seen == (AZURE + PLAIN + DONE).replace(b"\n\n", end)


def test_a_stream_that_breaks_off_is_given_on_to_its_last_byte() -> None:
    strain = usage_chunk_filter()
    assert strain(FIRST + b'data: {"cho') + strain(b"") == PLAIN + b'data: {"cho'


def test_a_lone_surrogate_goes_out_as_it_came() -> None:
    assert json.loads(encode({"text": "\ud800"})) == {"text": "\ud800"}

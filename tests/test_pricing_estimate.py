"""Tokens are counted here: by verified vocabularies, for any input, without a socket or a written file."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import random
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spend_middleware.call import Usage
from spend_middleware.pricing.estimate import (
    Missing,
    TokenCounter,
    count_characters,
    count_messages,
    count_text,
    estimate_usage,
    pieces,
)
from spend_middleware.pricing.vocabulary import load, vocabulary_of

# The digests of tiktoken's own files (tiktoken_ext/openai_public.py).
PUBLISHED = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}

# text, tokens in cl100k_base, tokens in o200k_base: counted once with tiktoken's own files.
COUNTED = [
    ("Hey, how's it going?", 7, 7),
    ("The quick brown fox jumps over the lazy dog.", 10, 10),
    ("東京は日本の首都です。", 11, 8),
    ("Привет, как дела?", 8, 6),
    ("def area(r):\n    return 3.14159 * r ** 2\n", 17, 17),
    ("<|endoftext|> and <|im_start|>", 13, 14),
    ("🦊🦊🦊 naïve café", 12, 12),
    ("    \t\n\n  x", 4, 4),
    ("1234567890 + 0.000001", 10, 10),
    ("", 0, 0),
]

MODELS = {
    "gpt-4": "cl100k_base",
    "gpt-4-turbo-2024-04-09": "cl100k_base",
    "openai/gpt-3.5-turbo": "cl100k_base",
    "azure/gpt-35-turbo": "cl100k_base",
    "text-embedding-3-small": "cl100k_base",
    "gpt-4o-mini": "o200k_base",
    "gpt-4.1": "o200k_base",
    "gpt-5": "o200k_base",
    "gpt-6-luna": "o200k_base",
    "claude-sonnet-4-5": "o200k_base",
    "": "o200k_base",
}


# -- vocabularies


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_bundled_vocabulary_is_tiktokens_own_file_byte_for_byte(name: str) -> None:
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in load(name).ranks.items())
    assert hashlib.sha256(b"".join(lines)).hexdigest() == PUBLISHED[name]


@pytest.mark.parametrize(("text", "older", "newer"), COUNTED)
def test_a_text_has_the_tokens_that_tiktoken_counts(text: str, older: int, newer: int) -> None:
    assert (count_text(text, "gpt-4"), count_text(text, "gpt-4o")) == (older, newer)


@pytest.mark.parametrize(("model", "name"), MODELS.items())
def test_a_model_counts_by_its_familys_vocabulary(model: str, name: str) -> None:
    assert vocabulary_of(model) == name


def copied(folder: Path) -> Path:
    packaged = resources.files("spend_middleware.pricing") / "data"
    for name in ("o200k_base.xz", "cl100k_base.xz", "vocabularies.json"):
        (folder / name).write_bytes((packaged / name).read_bytes())
    return folder


def damage(folder: Path, how: str) -> None:
    file = folder / "o200k_base.xz"
    content = bytearray(file.read_bytes())
    if how == "a file is gone":
        file.unlink()
    elif how == "the digests are gone":
        (folder / "vocabularies.json").unlink()
    elif how == "another vocabulary in its place":
        file.write_bytes((folder / "cl100k_base.xz").read_bytes())
    elif how == "cut short":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)


@pytest.mark.parametrize(
    "how",
    [
        "one bit differs",
        "cut short",
        "a file is gone",
        "the digests are gone",
        "another vocabulary in its place",
    ],
)
def test_a_damaged_vocabulary_is_said_once_and_characters_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    damage(copied(tmp_path), how)
    counter = TokenCounter(tmp_path)
    with caplog.at_level(logging.WARNING, "spend_middleware.pricing"):
        counts = [counter.count("Hey, how's it going?", "gpt-4o") for _ in range(3)]
    assert counts == [count_characters("Hey, how's it going?")] * 3 == [5] * 3
    assert counter.method("gpt-4o") == "characters"
    (record,) = caplog.records
    assert "o200k_base" in record.getMessage()


def test_an_undamaged_folder_counts_as_the_package_does(tmp_path: Path) -> None:
    counter = TokenCounter(copied(tmp_path))
    assert counter.count("Hey, how's it going?", "gpt-4") == 7
    assert counter.method("gpt-4") == "vocabulary"


@pytest.mark.parametrize(
    ("text", "count"),
    [("x", 1), ("word " * 100, 125), ("東京は日本の首都です", 7), ("Привет", 2), ("naïve", 1)],
)
def test_without_a_vocabulary_characters_count_by_their_script(text: str, count: int) -> None:
    assert count_characters(text) == count


# -- texts that others choke on

LETTERS = "".join(random.Random(7).choices("abcdefghijklmnopqrstuvwxyz", k=1_000_000))
# What tiktoken counts for the whole text; where it panics (o200k and blanks), what it counts for 900,000 of them, scaled.
LONG = [
    ("a" * 1_000_000, 125_000),
    (" " * 1_000_000, 7_813),
    ("word " * 200_000, 200_001),
    ("東" * 1_000_000, None),
    ("\n" * 1_000_000, None),
    (LETTERS, None),
]


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
@pytest.mark.parametrize(("text", "true"), LONG, ids=lambda value: str(value)[:4])
def test_a_million_characters_are_counted_within_a_bounded_error(
    text: str, true: int | None, model: str
) -> None:
    count = count_text(text, model)
    if true is None:
        # The sum over a few thousand characters, which no cut falls into.
        sample = text[: len(pieces(text)[0])]
        true = round(count_text(sample, model) * len(text) / len(sample))
    assert count == pytest.approx(true, rel=0.05)


def test_more_than_a_million_characters_are_sampled_and_stay_near_the_truth() -> None:
    text = "Say what a ledger is, in the words of an accountant. " * 40_000
    assert count_text(text, "gpt-4o") == pytest.approx(13 * 40_000, rel=0.01)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab \n東🦊\ud800"), max_size=9000))
def test_the_pieces_of_a_text_are_the_text(text: str) -> None:
    found = pieces(text)
    assert "".join(found) == text
    assert all(len(piece) <= 4096 for piece in found)
    assert count_text(text) >= (len(text) > 0)


def test_half_a_surrogate_pair_is_counted_as_what_stands_for_it() -> None:
    assert count_text("a\ud800b", "gpt-4") == count_text("a?b", "gpt-4")


# -- chat messages


def chat(content: Any, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content, **more}]


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city"},
                "days": {"type": "integer"},
            },
            "required": ["city"],
        },
    },
}

# One message is 3 + its role + its text, and the reply 3 (OpenAI cookbook).
CHATS = [
    ("one message", chat("Hey, how's it going?"), {}, 14),
    ("a name", chat("Hey, how's it going?", name="ann"), {}, 16),
    ("parts", chat([{"type": "text", "text": "Hey, how's it going?"}]), {}, 14),
    ("no content", chat(None), {}, 7),
    ("no messages", [], {}, 3),
    ("a tool", chat("Hey, how's it going?"), {"tools": [TOOL]}, 58),
    ("tools forbidden", chat("Hey, how's it going?"), {"tools": [TOOL], "tool_choice": "none"}, 59),
    (
        "a tool chosen",
        chat("Hey, how's it going?"),
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        67,
    ),
]


@pytest.mark.parametrize(("messages", "more", "count"), [c[1:] for c in CHATS], ids=[c[0] for c in CHATS])
def test_chat_messages_have_the_tokens_of_openais_formula(
    messages: list[dict[str, Any]], more: dict[str, Any], count: int
) -> None:
    assert count_messages(messages, "gpt-4", **more) == count


# The same words in each vendor's shape; (operation, model, body, tokens in).
ASKED = "Hey, how's it going?"
SHAPES = [
    ("completion", "gpt-4", {"messages": chat(ASKED)}, 14),
    ("responses", "gpt-4", {"input": ASKED}, 14),
    ("responses", "gpt-4", {"input": chat([{"type": "input_text", "text": ASKED}])}, 14),
    ("responses", "gpt-4", {"instructions": ASKED, "input": ASKED}, 25),
    ("completion", "claude-sonnet-4-5", {"system": ASKED, "messages": chat(ASKED)}, 25),
    (
        "completion",
        "claude-sonnet-4-5",
        {"system": [{"type": "text", "text": ASKED}], "messages": chat([{"type": "text", "text": ASKED}])},
        25,
    ),
    ("generate_content", "gemini-2.5-flash", {"contents": [{"parts": [{"text": ASKED}]}]}, 7),
    (
        "generate_content",
        "gemini-2.5-flash",
        {"systemInstruction": {"parts": [{"text": ASKED}]}, "contents": [{"parts": [{"text": ASKED}]}]},
        14,
    ),
    ("completion", "command-a-03-2025", {"message": ASKED, "preamble": ASKED}, 14),
    ("completion", "command-a-03-2025", {"messages": chat(ASKED)}, 7),
    (
        "completion",
        "mistral.m",
        {"system": [{"text": ASKED}], "messages": [{"role": "user", "content": [{"text": ASKED}]}]},
        25,
    ),
    ("text_completion", "gpt-3.5-turbo-instruct", {"prompt": ASKED}, 7),
    ("text_completion", "gpt-3.5-turbo-instruct", {"prompt": [ASKED, ASKED]}, 14),
    ("embedding", "text-embedding-3-small", {"input": [[1, 2, 3], [4, 5]]}, 5),
    ("embedding", "gemini-embedding-001", {"requests": [{"content": {"parts": [{"text": ASKED}]}}]}, 7),
    ("embedding", "text-embedding-005", {"instances": [{"content": ASKED}]}, 7),
    ("embedding", "embed-v4.0", {"texts": [ASKED, ASKED]}, 14),
    ("embedding", "amazon.titan-embed-text-v2:0", {"inputText": ASKED}, 7),
    ("rerank", "rerank-v3.5", {"query": ASKED, "documents": [ASKED, {"text": ASKED}]}, 21),
]


@pytest.mark.parametrize(("operation", "model", "body", "count"), SHAPES)
def test_a_request_of_each_vendors_shape_is_counted(
    operation: str, model: str, body: dict[str, Any], count: int
) -> None:
    found = estimate_usage(operation, model, body, lambda: "Fine.")
    assert found is not None
    assert found[0] == Usage(input_tokens=count, output_tokens=2)
    assert found[1].startswith("estimated by vocabulary")


SCHEMA = TOOL["function"]["parameters"]  # type: ignore[index]
CLAUDE_TOOL = {"name": "get_weather", "description": "Get the weather", "input_schema": SCHEMA}
GOOGLE_TOOL = {"functionDeclarations": [{"name": "get_weather", "parameters": SCHEMA}]}
CONVERSE_TOOL = {"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}
# The same tool, and a provider's own text for it where that is known.
TOOLED = [
    ("claude-sonnet-4-5", "anthropic", {"tools": [CLAUDE_TOOL]}, 550),
    ("claude-3-5-haiku-latest", "anthropic", {"tools": [CLAUDE_TOOL]}, 330),
    ("us.amazon.nova-2-lite-v1:0", "bedrock", {"toolConfig": {"tools": [CONVERSE_TOOL]}}, 850),
    ("llama-3.3-70b-versatile", "groq", {"tools": [TOOL]}, 610),
    ("gpt-5-mini", "openai", {"tools": [TOOL]}, 77),
    ("gpt-4o", "openai", {"tools": [TOOL]}, 0),
    ("gemini-2.5-flash", "gemini", {"tools": [GOOGLE_TOOL]}, 0),
]


@pytest.mark.parametrize(("model", "provider", "tools", "hidden"), TOOLED)
def test_a_tool_counts_its_definition_and_the_providers_own_text(
    model: str, provider: str, tools: dict[str, Any], hidden: int
) -> None:
    body = {"messages": chat("Hi")}
    bare = estimate_usage("completion", model, body, None, provider=provider)
    tooled = estimate_usage("completion", model, {**body, **tools}, None, provider=provider)
    assert bare is not None
    assert tooled is not None
    plain = 28 if provider == "groq" else 0
    defined = tooled[0].input_tokens - bare[0].input_tokens - hidden + plain
    assert 25 <= defined <= 70


CALLS = [
    chat(None, tool_calls=[{"function": {"name": "look_up", "arguments": '{"city": "Oslo"}'}}]),
    chat([{"type": "tool_use", "name": "look_up", "input": {"city": "Oslo"}}]),
    [{"role": "model", "parts": [{"functionCall": {"name": "look_up", "args": {"city": "Oslo"}}}]}],
    [{"role": "user", "content": [{"toolUse": {"name": "look_up", "input": {"city": "Oslo"}}}]}],
]


@pytest.mark.parametrize("messages", CALLS)
def test_a_tool_call_in_the_history_counts_its_name_and_arguments(messages: list[dict[str, Any]]) -> None:
    assert 14 <= count_messages(messages, "gpt-4") <= 18


# -- pictures: never fetched; 85 at low detail, 85 + 170 for each tile of 512 pixels at high detail


def data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x06\0\0\0"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0"


def jpeg(width: int, height: int) -> bytes:
    comment = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF" + bytes(10)
    return b"\xff\xd8" + comment + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + bytes(12)


def openai_picture(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


PICTURES = [
    ("low detail", openai_picture("https://example.org/a.png", detail="low"), 85),
    ("unknown size", openai_picture("https://example.org/a.png", detail="high"), 250),
    ("a PNG of one tile", openai_picture(data_url("png", png(512, 512)), detail="high"), 255),
    ("a PNG of four tiles", openai_picture(data_url("png", png(1024, 1024)), detail="high"), 765),
    ("a large PNG is scaled", openai_picture(data_url("png", png(4096, 8192)), detail="high"), 1105),
    ("a GIF", openai_picture(data_url("gif", gif(600, 100)), detail="high"), 425),
    ("a JPEG", openai_picture(data_url("jpeg", jpeg(1024, 512)), detail="high"), 425),
    ("no picture at all", openai_picture(data_url("png", b"nonsense")), 250),
    ("broken base64", openai_picture("data:image/png;base64,€€€"), 250),
    ("Responses", {"type": "input_image", "image_url": data_url("png", png(512, 512))}, 255),
    ("Responses, by id", {"type": "input_image", "file_id": "file-1"}, 250),
    (
        "Anthropic",
        {"type": "image", "source": {"type": "base64", "data": base64.b64encode(png(9, 9)).decode()}},
        255,
    ),
    ("Anthropic, by URL", {"type": "image", "source": {"type": "url", "url": "https://example.org/a"}}, 250),
    (
        "Google",
        {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(png(9, 9)).decode()}},
        255,
    ),
    ("Google, by URI", {"fileData": {"fileUri": "gs://a/b"}}, 250),
    (
        "Converse",
        {"image": {"format": "png", "source": {"bytes": base64.b64encode(png(9, 9)).decode()}}},
        255,
    ),
]


@pytest.mark.parametrize(("part", "tokens"), [p[1:] for p in PICTURES], ids=[p[0] for p in PICTURES])
def test_a_picture_counts_in_openais_way_by_its_size_and_detail(part: dict[str, Any], tokens: int) -> None:
    assert count_messages(chat([part]), "gpt-4o") - count_messages(chat([]), "gpt-4o") == tokens


OTHERS = [
    ("claude-sonnet-4-5", (750, 10), 10),
    ("claude-sonnet-4-5", (3000, 3000), 1600),
    ("gemini-2.5-flash", (384, 384), 258),
    ("gemini-2.5-flash", (1000, 500), 516),
]


@pytest.mark.parametrize(("model", "size", "tokens"), OTHERS)
def test_claude_and_gemini_count_pictures_in_ways_of_their_own(
    model: str, size: tuple[int, int], tokens: int
) -> None:
    part = openai_picture(data_url("png", png(*size)))
    assert count_messages(chat([part]), model) - count_messages(chat([]), model) == tokens


# -- estimates


def test_only_what_is_missing_is_counted() -> None:
    reported = Usage(output_tokens=9, cache_read_tokens=0, total_tokens=21)
    asked = {"messages": [{"role": "user", "content": "one two three"}]}
    missing = Missing(input=True, output=False, reason="why")
    found = estimate_usage("completion", "gpt-4o", asked, None, reported=reported, missing=missing)
    assert found == (Usage(input_tokens=10, output_tokens=9), "input estimated by vocabulary: why")
    assert estimate_usage("completion", "gpt-4o", None, None, reported=reported, missing=missing) is None
    silent = Missing(input=False, output=True, reason="why")
    assert estimate_usage("completion", "gpt-4o", asked, None, reported=reported, missing=silent) is None


def test_what_was_reported_before_a_stream_broke_off_is_kept() -> None:
    reported = Usage(input_tokens=20, output_tokens=1, cache_read_tokens=4, total_tokens=21)
    found = estimate_usage("completion", "claude-sonnet-4-5", {}, lambda: "one two three", reported=reported)
    assert found == (
        Usage(input_tokens=20, output_tokens=3, cache_read_tokens=4),
        "output estimated by vocabulary: the stream broke off",
    )


@pytest.mark.parametrize("body", [None, {}, {"messages": 5}])
def test_nothing_to_count_is_no_estimate(body: Any) -> None:
    found = estimate_usage("completion", "gpt-4o", body, lambda: "")
    assert found is None


# Words that the counter looks for.
WORDS = """messages contents content parts text role name tools function parameters properties required enum type items
    input input_schema tool_choice tool_calls arguments system instructions image_url image url detail source data bytes
    inlineData fileData functionCall args functionDeclarations toolConfig toolSpec toolUse inputSchema json prompt"""
NAMES = st.sampled_from(WORDS.split())

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=6), inner, max_size=6)
    ),
    max_leaves=25,
)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=st.dictionaries(NAMES, json_values, max_size=6),
    operation=st.sampled_from(["completion", "responses"]),
)
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"])
def test_any_json_whatever_is_counted_without_raising(
    body: dict[str, Any], operation: str, model: str
) -> None:
    found = estimate_usage(operation, model, body, lambda: "x")
    assert found is not None
    assert found[0].input_tokens >= 0


@pytest.mark.parametrize("opening", ["[", '{"content":[{"parts":'])
def test_deeply_nested_json_is_counted_without_raising(opening: str) -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep] if opening == "[" else {"content": [{"parts": deep}]}
    body = {"messages": deep, "input": deep, "tools": [{"parameters": deep}], "system": deep}
    found = estimate_usage("completion", "claude-sonnet-4-5", body, lambda: "x")
    assert found is not None


# -- neither the network nor the disk


def lines_of(script: str) -> Iterator[str]:
    guard = """
        import os, sys
        def watch(event, args):
            if event in ("socket.connect", "socket.__new__", "socket.getaddrinfo"):
                sys.stderr.write(f"{event} {args}\\n"); os._exit(3)
            if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                sys.stderr.write(f"{event} {args}\\n"); os._exit(4)
        sys.addaudithook(watch)
    """
    done = subprocess.run(
        [sys.executable, "-B", "-c", textwrap.dedent(guard) + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("TIKTOKEN")},
    )
    assert done.returncode == 0, done.stderr
    yield from done.stdout.splitlines()


def test_counting_opens_no_socket_and_writes_no_file() -> None:
    (line,) = lines_of("""
        from spend_middleware.functions import completion_cost, token_counter
        ask = [{"role": "user", "content": "Hey, how's it going?"}]
        print(token_counter("gpt-4", messages=ask), token_counter("gpt-4o", text="x" * 5000) > 0,
              completion_cost(model="gpt-4", messages=ask))
    """)
    assert line == "14 True 0.00042"


def test_importing_the_package_loads_no_tokenizer_and_no_server() -> None:
    (line,) = lines_of("""
        import spend_middleware
        print([name for name in ("tiktoken", "fastapi", "sqlalchemy", "litellm") if name in sys.modules])
    """)
    assert line == "[]"

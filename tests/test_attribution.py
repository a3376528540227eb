"""Scopes, their merging, and what is made of hostile words."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from typing import Any

import pytest

from spend_middleware.attribution import (
    MAX_METADATA,
    clean,
    clean_metadata,
    clean_name,
    clean_tags,
    current_scope,
    hash_key,
    merge,
    presented_key,
)
from spend_middleware.call import Attribution, Call, Cost, PricingStatus
from spend_middleware.scopes import Tag


def tag(*tags: str, **names: object) -> Tag:
    return Tag(Attribution(tags=tags, **names), max_tags=64)  # type: ignore[arg-type]


def attribution_now() -> Attribution:
    scope = current_scope.get()
    assert scope is not None
    return scope.attribution


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([" a ", "a", "b"], ("a", "b")),
        (["", "   ", None], ()),
        ([5, 1.5, True], ("5", "1.5", "true")),
        ([{"k": "v"}, ["x"]], ('{"k":"v"}', '["x"]')),
        (["line\r\nbreak", "nul\x00", "\ud800lone"], ("line break", "nul", "lone")),
        (["x" * 1_000_000], ("x" * 256,)),
        (["é" * 300], ("é" * 256,)),
        ([str(n) for n in range(10_000)], tuple(str(n) for n in range(64))),
    ],
)
def test_tags_are_stripped_made_text_and_bounded(given: list[object], kept: tuple[str, ...]) -> None:
    assert clean_tags(given) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("palantir", "palantir"),
        (12345, "12345"),
        (True, None),
        ({"a": 1}, None),
        ([], None),
        ("  ", None),
        ("a\nb", "a b"),
    ],
)
def test_an_end_user_is_a_text_or_a_number(given: object, kept: str | None) -> None:
    assert clean_name(given) == kept


def test_metadata_that_is_too_large_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spend_middleware.guard._said", set())
    for _ in range(3):
        assert clean_metadata({"a": 1, "big": "x" * MAX_METADATA}) == {"a": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_metadata_keeps_what_is_json_and_drops_what_is_too_large() -> None:
    kept = clean_metadata({"a": 1, "big": "x" * MAX_METADATA, "n": {"deep": ["nul\x00"]}, "odd": object})
    assert kept["a"] == 1
    assert kept["n"] == {"deep": ["nul "]}
    assert "big" not in kept
    assert isinstance(kept["odd"], str)


def test_clean_text_has_no_control_characters() -> None:
    assert clean("a\x1b[31mb\x7f\u2028c") == "a [31mb c"


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"authorization": "Bearer sk-a"}, "sk-a"),
        ({"authorization": "bearer  sk-a"}, "sk-a"),
        ({"x-litellm-api-key": "sk-b", "authorization": "Bearer sk-a"}, "sk-b"),
        ({"x-api-key": "sk-c"}, "sk-c"),
        ({"api-key": "sk-d"}, "sk-d"),
        ({"x-goog-api-key": "sk-e"}, "sk-e"),
        ({"ocp-apim-subscription-key": "sk-f"}, "sk-f"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=AKIA1/20261123/us-east-1, Signature=x"}, "AKIA1"),
        ({"accept": "*/*"}, None),
    ],
)
def test_a_key_is_found_in_each_of_its_places(headers: dict[str, str], key: str | None) -> None:
    assert presented_key(headers) == key


def test_a_key_is_kept_as_its_hash_only() -> None:
    digest = hashlib.sha256(b"sk-1234").hexdigest()
    assert hash_key("sk-1234") == digest == hash_key(digest)


def test_the_inner_scope_wins_and_tags_are_joined() -> None:
    with tag("outer", end_user="o", team_id="t"), tag("inner", end_user="i"):
        assert attribution_now() == Attribution(tags=("outer", "inner"), end_user="i", team_id="t")
    assert current_scope.get() is None


def test_what_a_call_says_wins_over_its_scope() -> None:
    said = Attribution(tags=("call",), end_user="c", metadata={"k": 1})
    around = Attribution(tags=("scope", "call"), end_user="s", user_id="u", metadata={"k": 2, "m": 3})
    assert merge(said, around) == Attribution(
        tags=("call", "scope"), end_user="c", user_id="u", metadata={"k": 1, "m": 3}
    )


def test_one_tag_object_may_be_entered_twice_at_once() -> None:
    reused = tag("again")
    with reused as first, reused as second:
        assert first is not second
        assert attribution_now().tags == ("again",)
    assert current_scope.get() is None


def test_a_tally_reports_to_every_scope_around_it() -> None:
    from decimal import Decimal

    cost = Cost(amount=Decimal("0.000001"), status=PricingStatus.PRICED)
    with tag("a") as outer:
        with tag("b") as inner:
            inner.add(Call(call_id="1", provider="openai", operation="completion", cost=cost))
        inner.add(Call(call_id="2", provider="openai", operation="completion"))
    assert (inner.cost, outer.cost) == (Decimal("0.000001"), Decimal("0.000001"))
    assert [call.call_id for call in outer.calls] == ["1", "2"]
    assert outer.unpriced == 1


def test_a_decorator_tags_functions_coroutines_and_generators() -> None:
    @tag("f")
    def plain() -> tuple[str, ...]:
        return attribution_now().tags

    @tag("g")
    def generator() -> Iterator[tuple[str, ...]]:
        yield attribution_now().tags

    @tag("c")
    async def coroutine() -> tuple[str, ...]:
        return attribution_now().tags

    @tag("ag")
    async def stream() -> AsyncIterator[tuple[str, ...]]:
        yield attribution_now().tags

    async def main() -> list[tuple[str, ...]]:
        return [await coroutine()] + [tags async for tags in stream()]

    assert plain() == ("f",)
    assert list(generator()) == [("g",)]
    assert asyncio.run(main()) == [("c",), ("ag",)]
    assert current_scope.get() is None


def test_a_scope_reaches_tasks_and_to_thread_and_copied_contexts_but_not_a_bare_thread() -> None:
    seen: dict[str, bool] = {}

    def look(name: str) -> None:
        seen[name] = current_scope.get() is not None

    async def main() -> None:
        with tag("t"):
            await asyncio.to_thread(look, "to_thread")
            await asyncio.create_task(asyncio.to_thread(look, "task"))
            context = copy_context()
            for name, run in (("bare", look), ("copied", lambda n: context.run(look, n))):
                thread = threading.Thread(target=run, args=(name,))
                thread.start()
                thread.join()

    asyncio.run(main())
    assert seen == {"to_thread": True, "task": True, "bare": False, "copied": True}


def test_tasks_that_share_a_tag_leave_each_their_own_block() -> None:
    shared = tag("job")

    async def main() -> None:
        both_inside, first_left = asyncio.Barrier(2), asyncio.Event()

        async def first() -> None:
            with shared:
                await both_inside.wait()
            assert current_scope.get() is None
            first_left.set()

        async def second() -> None:
            with shared:
                await both_inside.wait()
                await first_left.wait()
                assert current_scope.get() is not None
            assert current_scope.get() is None

        await asyncio.gather(first(), second())

    asyncio.run(main())


@pytest.mark.parametrize("name", Attribution.__struct_fields__)
def test_of_two_that_say_who_a_call_is_for_the_first_counts_for_each_field(name: str) -> None:
    values: dict[str, tuple[Any, Any]] = {"tags": (("a",), ("b",)), "metadata": ({"a": 1}, {"a": 2})}
    first, then = values.get(name, ("a", "b"))
    one, other = Attribution(**{name: first}), Attribution(**{name: then})
    beside = Attribution(**{"end_user" if name != "end_user" else "user_id": "c"})  # type: ignore[arg-type]
    assert getattr(merge(one, beside), name) == getattr(merge(beside, one), name) == first
    assert getattr(merge(one, other), name) == (("a", "b") if name == "tags" else first)

"""Ids of calls: time-ordered, alike for nobody, and the same for one object of a provider."""

from __future__ import annotations

import multiprocessing
import uuid
from concurrent.futures import ProcessPoolExecutor

from spend_middleware.ids import new_call_id


def some(count: int) -> list[str]:
    return [new_call_id(1_795_435_200.125) for _ in range(count)]


def test_an_id_is_a_uuid_of_version_7_with_its_time_first() -> None:
    found = uuid.UUID(new_call_id(1_795_435_200.125))
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    assert found.int >> 80 == 1_795_435_200_125
    assert new_call_id(5.0) < new_call_id(5.001)


def test_no_two_ids_are_alike_in_a_process_and_in_its_forked_children() -> None:
    with ProcessPoolExecutor(4, multiprocessing.get_context("fork")) as children:
        drawn = [some(2000), *children.map(some, [2000] * 8, chunksize=1)]
    assert len({one for ids in drawn for one in ids}) == 2000 * 9


def test_ids_of_one_millisecond_are_in_the_order_in_which_they_were_made() -> None:
    drawn = some(2000)
    assert drawn == sorted(drawn)


def test_an_id_does_not_simply_tell_how_many_came_before_it() -> None:
    first, second = (int(one[-8:], 16) for one in some(2))
    assert second - first > 1


def test_one_object_of_a_provider_always_gets_one_id() -> None:
    assert new_call_id(5.0, bytes(10)) == new_call_id(5.0, bytes(10)) != new_call_id(5.0, b"1" * 10)
    assert uuid.UUID(new_call_id(5.0, b"\xff" * 10)).version == 7

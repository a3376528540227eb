"""What known keys have spent by now, added up in memory: exact, bounded, and never twice."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal

import pytest

from spend_middleware.call import Attribution, Call, Cost, PricingStatus
from spend_middleware.ids import new_call_id
from spend_middleware.store.directory import Directory
from spend_middleware.store.directory_keys import generate
from spend_middleware.store.entities import SpendKey
from spend_middleware.store.report_values import EVERYTHING, By
from spend_middleware.store.running import RECENT_CALLS, RunningSpend
from spend_middleware.store.store import Store

PICO = Decimal("0.000000000001")


def call(cost: Decimal | None = PICO, key: str = "k", started: float = 1_000.0, call_id: str = "") -> Call:
    amount = Cost(amount=cost, status=PricingStatus.UNPRICED if cost is None else PricingStatus.PRICED)
    return Call(
        call_id=call_id or new_call_id(),
        provider="openai",
        operation="completion",
        started_at=started,
        ended_at=started + 1,
        cost=amount,
        attribution=Attribution(key_hash=key),
    )


@contextmanager
def all_written() -> Iterator[float]:
    yield float("inf")


@contextmanager
def none_written() -> Iterator[float]:
    yield float("-inf")


def known(base: str = "0", since: int = 0, key: str = "k", **knobs: int) -> RunningSpend:
    running = RunningSpend(all_written, **knobs)
    running.look_up(key, lambda: Decimal(base), since)
    return running


def test_a_key_that_was_never_looked_up_has_no_number() -> None:
    running = RunningSpend(all_written)
    running.add(call())
    assert running.of("k") is None
    assert running.of(None) is None
    assert not running.known


def test_calls_are_added_to_the_database_s_number_to_the_last_digit() -> None:
    running = known("9199999.999999999999")
    for _ in range(3):
        running.add(call())
    running.add(call(Decimal("0.1")))
    assert running.of("k") == Decimal("9200000.100000000002")


def test_a_call_without_a_price_or_for_another_key_adds_nothing() -> None:
    running = known("1")
    for one in (
        call(None),
        call(Decimal(0)),
        call(key="other"),
        Call(call_id="x", provider="p", operation="o"),
    ):
        running.add(one)
    assert running.of("k") == 1
    assert running.of("other") is None


def test_a_call_that_is_recorded_twice_counts_once() -> None:
    running = known()
    for _ in range(2):
        running.add(call(call_id="the-same"))
    assert running.of("k") == PICO


def test_a_call_that_began_before_the_reset_counts_for_what_was_reset() -> None:
    running = known(since=1_000_000_000)
    running.add(call(started=999.9))
    running.add(call(started=1_000.0))
    assert running.of("k") == PICO


@pytest.mark.parametrize(("held", "spent"), [(all_written, "5"), (none_written, "5.000000000002")])
def test_a_look_up_adds_what_the_database_does_not_have_yet(
    held: Callable[[], AbstractContextManager[float]], spent: str
) -> None:
    running = RunningSpend(held)
    running.look_up("k", lambda: Decimal(0))
    running.look_up("other", lambda: Decimal(0))
    for one in (call(), call(), call(key="other"), call(started=1.0)):
        running.add(one)
    running.look_up("k", lambda: Decimal(5), 2_000_000)
    assert running.of("k") == Decimal(spent)


def test_a_key_that_is_gone_has_no_number_any_more() -> None:
    running = known()
    running.forget("k")
    running.add(call())
    assert running.of("k") is None


def test_of_many_keys_the_least_used_go() -> None:
    running = known(key="a", size=2)
    running.look_up("b", lambda: Decimal(0))
    running.add(call(key="a"))
    running.look_up("c", lambda: Decimal(0))
    assert [running.of(name) for name in "abc"] == [PICO, None, Decimal(0)]


def test_memory_is_bounded_however_many_calls_a_key_makes() -> None:
    running = known()
    for number in range(RECENT_CALLS + 500):
        running.add(call(call_id=str(number)))
    assert len(running._recent) == RECENT_CALLS
    assert running.of("k") == PICO * (RECENT_CALLS + 500)


def test_threads_lose_nothing() -> None:
    running = known()

    def work() -> None:
        for _ in range(500):
            running.add(call())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert running.of("k") == PICO * 4_000


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_begins_anew_though_a_thread_of_its_parent_held_the_lock(tmp_path: object) -> None:
    from spend_middleware import Spend

    spend = Spend(f"sqlite:///{tmp_path}/spend.db")
    running = spend._running
    running.look_up("k", lambda: Decimal(1))
    reader, writer = os.pipe()
    with running._lock:
        child = os.fork()
        if child == 0:
            before = running.of("k")
            running.look_up("k", lambda: Decimal(2))
            running.add(call())
            os.write(writer, f"{before} {running.of('k')}".encode())
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == f"None {2 + PICO}".encode()
    assert running.of("k") == 1
    os.close(reader)
    os.close(writer)
    spend.close()


def test_a_row_that_is_about_to_be_written_counts_once_at_a_look_up(store: Store) -> None:
    running = RunningSpend(store.held)
    running.look_up("k", lambda: Decimal(0))
    one = call(started=time.time())
    store.append_call(one)
    running.add(one)

    def read() -> Decimal:
        store.flush(0.2)  # the writer would, but is held
        return store.reports.total(EVERYTHING).spend

    running.look_up("k", read)
    assert running.of("k") == PICO
    assert store.flush(10) == 0
    running.look_up("k", read)
    assert running.of("k") == PICO


def test_looked_up_again_and_again_among_calls_a_key_keeps_the_right_number(store: Store) -> None:
    running = RunningSpend(store.held)
    directory = Directory(store.engine, store.reports, running=running)
    with directory.write() as desk:
        desk.session.add(SpendKey(token="k"))
    assert directory.find_key("k") is not None
    done = threading.Event()

    def record() -> None:
        while not done.wait(0.001):
            one = call(started=time.time())
            store.append_call(one)
            running.add(one)

    callers = [threading.Thread(target=record) for _ in range(2)]
    for thread in callers:
        thread.start()
    for _ in range(50):
        directory.cache.clear()
        directory.find_key("k")
    done.set()
    for thread in callers:
        thread.join()
    assert store.flush(20) == 0
    spent = directory.accounts.of(By.KEY, {"k": SpendKey(token="k")})["k"].spend
    assert spent > 0
    assert running.of("k") == spent
    directory.close()


def test_after_the_end_of_a_budget_window_only_its_own_calls_count(store: Store) -> None:
    noon = 1_795_435_200.0
    clock = [noon]
    running = RunningSpend(store.held)
    directory = Directory(store.engine, store.reports, now=lambda: clock[0], running=running)
    with directory.write() as desk:
        made, _ = generate(desk, {"max_budget": Decimal(10), "budget_duration": "1d"})
        token = made.token

    def spent_after(one: Call) -> Decimal | None:
        store.append_call(one)
        assert store.flush(10) == 0
        running.add(one)
        directory.find_key(token)
        return running.of(token)

    directory.find_key(token)
    assert spent_after(call(key=token, started=noon)) == PICO
    assert spent_after(call(key=token, started=noon + 60)) == PICO * 2
    clock[0] += 2 * 86_400
    assert spent_after(call(key=token, started=clock[0])) == PICO
    assert spent_after(call(key=token, started=noon + 120)) == PICO, "it began in the window before"
    directory.close()


def test_a_writer_that_is_held_waits_a_bounded_while_and_then_goes_on(store: Store) -> None:
    with store.held():
        store.append_call(call())
        assert store.flush(10) == 0

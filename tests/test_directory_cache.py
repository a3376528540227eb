"""Keys are found without a query a request, and what is written is felt by every worker."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from spend_middleware.errors import StoreError
from spend_middleware.store.directory import Directory
from spend_middleware.store.entities import SpendKey, SpendTeam, SpendUser
from spend_middleware.store.key_cache import PATIENCE, POLL, UNKNOWN, KeyCache
from spend_middleware.store.key_record import KeyRecord
from spend_middleware.store.store import Store


class Table:
    """A database of keys whose every reading is counted; `now` is its clock."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyRecord] = {}
        self.version = 1
        self.now = 0.0
        self.read: list[str] = []
        self.down = False

    def read_version(self) -> int:
        self.read.append("version")
        if self.down:
            raise ConnectionError("no database")
        return self.version

    def read_key(self, key_hash: str) -> KeyRecord | None:
        self.read.append(key_hash)
        return self.keys.get(key_hash)

    def put(self, key_hash: str, **columns: object) -> None:
        self.keys[key_hash] = KeyRecord(key_hash=key_hash, **columns)  # type: ignore[arg-type]
        self.version += 1


@pytest.fixture
def table() -> Table:
    table = Table()
    table.put("a")
    return table


@pytest.fixture
def cache(table: Table) -> Iterator[KeyCache]:
    cache = KeyCache(table.read_version, table.read_key, lambda: (), size=3, clock=lambda: table.now)
    yield cache
    cache.close()


def test_the_first_look_never_waits_and_the_second_finds(table: Table, cache: KeyCache) -> None:
    assert cache.peek("a") is UNKNOWN
    assert table.read == []
    assert cache.find("a") == KeyRecord(key_hash="a")
    assert cache.peek("a") == KeyRecord(key_hash="a")


def test_a_thousand_looks_within_the_poll_cost_one_query(table: Table, cache: KeyCache) -> None:
    for _ in range(1000):
        cache.find("a")
        cache.find("nobody")
    assert sorted(table.read) == ["a", "nobody", "version"]


def test_a_change_is_felt_once_the_counter_is_too_old_to_be_believed(table: Table, cache: KeyCache) -> None:
    assert cache.find("a") == KeyRecord(key_hash="a")
    table.put("a", blocked=True)
    table.now += PATIENCE + 0.01
    assert cache.peek("a") is UNKNOWN
    assert cache.find("a") == KeyRecord(key_hash="a", blocked=True)


def test_a_counter_that_did_not_move_keeps_what_is_known(table: Table, cache: KeyCache) -> None:
    cache.find("a")
    table.now += PATIENCE + 0.01
    cache.find("a")
    assert table.read == ["version", "a", "version"]


def test_patience_is_shorter_than_a_second() -> None:
    assert POLL < PATIENCE < 1


def test_guessed_keys_push_no_real_key_out(table: Table, cache: KeyCache) -> None:
    cache.find("a")
    for guess in range(50):
        cache.find(f"guess-{guess}")
    assert cache.peek("a") == KeyRecord(key_hash="a")
    assert cache.peek("guess-0") is UNKNOWN


def test_of_many_keys_the_least_used_go(table: Table, cache: KeyCache) -> None:
    for name in "abcd":
        table.put(name)
    for name in ("a", "b", "c", "a", "d"):
        cache.find(name)
    assert cache.peek("a") is not UNKNOWN
    assert cache.peek("b") is UNKNOWN


def test_without_a_database_known_keys_go_on_being_accepted(table: Table, cache: KeyCache) -> None:
    cache.find("a")
    table.down = True
    table.now += 100
    assert cache.find("a") == KeyRecord(key_hash="a")
    with pytest.raises(StoreError):
        cache.find("b")
    before = len(table.read)
    for _ in range(100):
        cache.find("a")
    assert len(table.read) == before, "a dead database is not asked again and again"


def test_what_was_read_before_a_change_is_not_kept_after_it(table: Table) -> None:
    def read_key(key_hash: str) -> KeyRecord | None:
        record = table.keys.get(key_hash)
        table.put(key_hash, blocked=True)
        slow.clear()
        return record

    slow = KeyCache(table.read_version, read_key, lambda: (), clock=lambda: table.now)
    assert slow.find("a") == KeyRecord(key_hash="a")
    assert slow.peek("a") is UNKNOWN


def test_a_key_whose_budget_window_has_ended_is_read_anew(table: Table) -> None:
    wall = [1_000.0]
    cache = KeyCache(
        table.read_version, table.read_key, lambda: (), clock=lambda: table.now, now=lambda: wall[0]
    )
    table.put("a", counts_until=1_010.0)
    cache.find("a")
    assert cache.peek("a") is not UNKNOWN
    wall[0] = 1_010.0
    assert cache.peek("a") is UNKNOWN
    table.keys["a"] = KeyRecord(key_hash="a", counts_until=1_020.0)
    assert cache.find("a") == table.keys["a"]
    assert cache.peek("a") == table.keys["a"]
    wall[0] = 1_020.0
    table.now += PATIENCE + 0.01
    table.down = True
    assert cache.find("a") == table.keys["a"], "while the database is away, what was known goes on counting"


def test_many_threads_agree(table: Table, cache: KeyCache) -> None:
    found: list[KeyRecord | None] = []

    def look() -> None:
        found.extend(cache.find("a") for _ in range(200))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [KeyRecord(key_hash="a")] * 1600
    assert table.read.count("version") == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_looks_keys_up_anew(table: Table, cache: KeyCache) -> None:
    cache.find("a")
    reader, writer = os.pipe()
    with cache._lock:  # held by a thread of the parent at the moment of the fork
        child = os.fork()
        if child == 0:
            table.put("a", blocked=True)
            record = cache.find("a")
            os.write(writer, b"blocked" if record is not None and record.blocked else b"stale")
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"blocked"
    os.close(reader)
    os.close(writer)


def test_another_worker_feels_a_block_and_a_deletion(store: Store) -> None:
    ours, other = (Directory(store.engine, store.reports) for _ in range(2))
    with ours.write() as desk:
        desk.session.add(SpendKey(token="t", user_id="u", team_id="g"))
        desk.session.add(SpendUser(user_id="u", user_role="internal_user"))
        desk.session.add(SpendTeam(team_id="g", organization_id="o"))
    record = other.find_key("t")
    assert record is not None
    assert (record.user_role, record.organization_id) == ("internal_user", "o")
    with ours.write() as desk:
        key = desk.get(SpendKey, "t")
        assert key is not None
        key.blocked = True
    await_change(other, lambda found: found is not None and found.blocked)
    with ours.write() as desk:
        desk.session.delete(desk.get(SpendKey, "t"))
    await_change(other, lambda found: found is None)
    assert ours.find_key("t") is None, "who writes feels it at once"
    for directory in (ours, other):
        directory.close()


def await_change(directory: Directory, reached: object) -> None:
    """Look again and again, as requests would, until the change is felt."""
    ticks = threading.Event()
    for _ in range(200):
        if reached(directory.find_key("t")):  # type: ignore[operator]
            return
        ticks.wait(0.01)
    pytest.fail("the change was not felt")


def test_a_write_that_fails_leaves_nothing_and_moves_no_counter(store: Store) -> None:
    directory = Directory(store.engine, store.reports)
    with directory.write() as desk:
        desk.session.add(SpendKey(token="kept"))
    before = directory._version()

    def fail() -> None:
        with directory.write() as desk:
            desk.session.add(SpendKey(token="half"))
            desk.session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert directory._version() == before
    assert directory.find_key("half") is None
    assert directory.find_key("kept") is not None


def test_allowed_addresses_are_shared_and_listed_once(store: Store) -> None:
    ours, other = (Directory(store.engine, store.reports) for _ in range(2))
    assert ours.allowed_ips() == ()
    assert ours.add_allowed_ip("192.0.2.0/24") is True
    assert ours.add_allowed_ip("192.0.2.0/24") is False
    assert list(ours.allowed_ips()) == ["192.0.2.0/24"]
    assert list(other.allowed_ips()) == ["192.0.2.0/24"]
    assert ours.remove_allowed_ip("192.0.2.0/24") is True
    assert ours.remove_allowed_ip("192.0.2.0/24") is False
    assert ours.allowed_ips() == ()

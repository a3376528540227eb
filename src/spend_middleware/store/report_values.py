"""What every report is asked with, scopes, periods and filters, and the sums that it answers with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from operator import add, attrgetter, sub

from spend_middleware.call import from_pico


class By(StrEnum):
    """What spend can be grouped and filtered by; the values are the column names of the ledger."""

    DAY = "day"
    KEY = "api_key"
    USER = "user_id"
    TEAM = "team_id"
    ORGANIZATION = "organization_id"
    END_USER = "end_user"
    TAG = "tag"
    MODEL = "model"
    MODEL_GROUP = "model_group"
    PROVIDER = "provider"
    ENDPOINT = "endpoint"
    AGENT = "agent_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a caller may see; without anything named, nothing.

    A call is visible when it belongs to one of the users, or one of the teams, or one of the keys, or one of the
    organizations named here. The empty string stands for "nobody" in the ledger and never matches.

    Args:
        everything: The administrator's scope.
        keys: sha256 hex values, as in the `api_key` column.
    """

    everything: bool = False
    users: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    organizations: frozenset[str] = frozenset()

    @property
    def nothing(self) -> bool:
        """True when no call at all can be visible."""
        return not self.everything and not any(values for _, values in self.parts())

    def parts(self) -> tuple[tuple[By, tuple[str, ...]], ...]:
        """Return the columns and the sorted values of which one must match."""
        named = (
            (By.USER, self.users),
            (By.TEAM, self.teams),
            (By.KEY, self.keys),
            (By.ORGANIZATION, self.organizations),
        )
        return tuple((by, tuple(sorted(values - {""}))) for by, values in named if values - {""})


EVERYTHING = Scope(everything=True)
NOTHING = Scope()


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Whole days of one time zone, both ends included; an open end is None.

    Args:
        zone: An IANA name; the zone of the settings when None.
    """

    start: date | None = None
    end: date | None = None
    zone: str | None = None


ALL_TIME = Period()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which calls a report is about: for each column named, one of its values; an empty tuple means any.

    The empty string among the values means calls that have none (`team_id=("",)`: calls without a team).
    """

    api_key: tuple[str, ...] = ()
    user_id: tuple[str, ...] = ()
    team_id: tuple[str, ...] = ()
    organization_id: tuple[str, ...] = ()
    end_user: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    model_group: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    agent_id: tuple[str, ...] = ()

    def parts(self) -> tuple[tuple[By, tuple[str, ...]], ...]:
        """Return the columns and the sorted values that are asked for."""
        named = ((by, getattr(self, by.value)) for by in By if by is not By.DAY)
        return tuple((by, tuple(sorted(set(values)))) for by, values in named if values)


NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums over calls: money in whole pico-dollars, counts, tokens and time.

    Args:
        requests: All calls, whatever their end.
        unpriced: Calls whose cost is not known; they add nothing to the spend.
        estimated: Calls whose tokens were counted by us and not by the provider.
        failures: Calls that did not end well: failed, aborted or interrupted.
        duration: Microseconds from start to end of all calls together.
    """

    spend_pico: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_tokens: int = 0
    requests: int = 0
    successes: int = 0
    failures: int = 0
    unpriced: int = 0
    estimated: int = 0
    duration: int = 0

    @property
    def spend(self) -> Decimal:
        """The exact amount in USD."""
        return from_pico(self.spend_pico)

    @property
    def total_tokens(self) -> int:
        """Tokens in and out."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def duration_ms(self) -> int:
        """Whole milliseconds from start to end of all calls together."""
        return self.duration // 1000

    def __add__(self, other: Sums) -> Sums:
        """Return the sums over both."""
        return Sums(*map(add, _each(self), _each(other)))

    def __sub__(self, other: Sums) -> Sums:
        """Return the sums over what is here and not in the other, a part of it."""
        return Sums(*map(sub, _each(self), _each(other)))


_each = attrgetter(*Sums.__dataclass_fields__)


def added(parts: Iterable[Sums]) -> Sums:
    """Return many sums added up, column by column."""
    every = list(parts)
    return every[0] if len(every) == 1 else Sums(*map(sum, zip(*map(_each, every), strict=True)))

"""Every question that can be asked of the ledger, as one object; answers are exact and in a stable order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from sqlalchemy import Engine

from spend_middleware.settings import Settings
from spend_middleware.store import report_days, report_stream, report_sums, rows
from spend_middleware.store.report_activity import daily_activity
from spend_middleware.store.report_answers import (
    ActivityPage,
    DayGroup,
    DaySummary,
    Group,
    KeySpend,
    Report,
    TagReport,
    UnpricedModel,
)
from spend_middleware.store.report_outcomes import Outcomes, outcomes
from spend_middleware.store.report_query import Question
from spend_middleware.store.report_reader import Reader
from spend_middleware.store.report_unpriced import unpriced
from spend_middleware.store.report_values import ALL_TIME, NO_FILTER, By, Filter, Period, Scope, Sums
from spend_middleware.store.rows_filter import Place
from spend_middleware.store.rows_sessions import sessions_of
from spend_middleware.store.rows_values import (
    Adjustment,
    Cursor,
    LogFilter,
    LogOrder,
    LogPage,
    LogRow,
    SessionSums,
)

ANY_ROW = LogFilter()


class Reports:
    """The reading side of the store.

    Every method takes a `Scope` (see `report_values`); a scope that names nothing gets the empty answer. Bad zones
    raise `ConfigurationError`; a reversed period is simply empty (the routes refuse it with a 400 before).

    Args:
        engine: Where to read: the database, or its replica when `settings.reports_url` is set.
        settings: Gives the default time zone, and how long a report may take.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._reader = Reader(engine, settings.timezone, settings.report_seconds)

    # -- sums

    def total(self, scope: Scope, period: Period = ALL_TIME, where: Filter = NO_FILTER) -> Sums:
        """Return the sums over all calls that match, each counted once."""
        return report_sums.total(self._reader, Question((), scope, where), period)

    def by(
        self,
        dimensions: Sequence[By],
        scope: Scope,
        period: Period = ALL_TIME,
        where: Filter = NO_FILTER,
        *,
        limit: int | None = None,
    ) -> Report:
        """Return the sums by any dimensions, e.g. `[By.PROVIDER]` or `[By.DAY, By.TEAM]`.

        Ordered by spend, greatest first, then by the keys. `By.DAY` always becomes the first dimension, and the lines
        are then ordered by day before everything else.
        """
        return report_sums.by(self._reader, Question(_days_first(dimensions), scope, where), period, limit)

    def stream(
        self, dimensions: Sequence[By], scope: Scope, period: Period = ALL_TIME, where: Filter = NO_FILTER
    ) -> Iterator[Group]:
        """Yield the groups of `by` one after another, ordered by their keys, in flat memory."""
        return report_stream.stream(self._reader, Question(_days_first(dimensions), scope, where), period)

    def tags(
        self,
        scope: Scope,
        period: Period = ALL_TIME,
        where: Filter = NO_FILTER,
        *,
        limit: int | None = None,
    ) -> TagReport:
        """Return spend by tag, ordered by spend (greatest first) and then by tag; `where.tag` picks certain tags."""
        return report_sums.tags(self._reader, scope, period, where, limit)

    def spend_since(self, by: By, value: str, since: datetime, scope: Scope) -> Sums:
        """Return what one key, team, user, end user, tag or organization has spent since a moment, to the microsecond."""
        return self.spend_since_many(by, [value], since, scope).get(value, Sums())

    def spend_since_many(
        self, by: By, values: Iterable[str], since: datetime, scope: Scope
    ) -> dict[str, Sums]:
        """Return `spend_since` for many values at once; a value without calls is left out."""
        return report_sums.spend_since(self._reader, by, tuple(values), since, scope)

    def unpriced(
        self, scope: Scope, period: Period = ALL_TIME, where: Filter = NO_FILTER
    ) -> list[UnpricedModel]:
        """Return the models whose calls have no cost, most calls first."""
        return unpriced(self._reader, Question((), scope, where), period)

    # -- LiteLLM's reports

    def daily_summary(self, scope: Scope, period: Period, where: Filter = NO_FILTER) -> Iterator[DaySummary]:
        """Yield one summary for each day that has calls, ascending (`/spend/logs?summarize=true`)."""
        return report_days.daily_summary(self._reader, scope, period, where)

    def daily_groups(
        self, by: Sequence[By], scope: Scope, period: Period, where: Filter = NO_FILTER
    ) -> Iterator[DayGroup]:
        """Yield each day's teams, customers or (team, customer) with details by model and key.

        `/global/spend/report` with group_by team: `[By.TEAM]`; customer: `[By.END_USER]`; both: `[By.TEAM, By.END_USER]`.
        Ascending by day; within a day by the keys; details by spend, greatest first. Memory stays flat.
        """
        return report_days.daily_groups(self._reader, by, scope, period, where)

    def by_key(self, scope: Scope, period: Period, where: Filter = NO_FILTER) -> Iterator[KeySpend]:
        """Yield the keys with their models, by spend, greatest first (`/global/spend/report?group_by=api_key`)."""
        return report_days.by_key(self._reader, scope, period, where)

    def daily_activity(
        self,
        entity: By,
        scope: Scope,
        period: Period,
        where: Filter = NO_FILTER,
        *,
        page: int = 1,
        page_size: int = 50,
    ) -> ActivityPage:
        """Return `/user|team|tag|customer|organization/daily/activity`; `entity` is what "entities" are.

        A page holds `page_size` lines (day, entity, key, model, provider, endpoint), newest day first; the days on it
        are sums over its lines, as LiteLLM's are.
        """
        question = Question((), scope, where)
        return daily_activity(self._reader, entity, question, period, page=page, size=page_size)

    def outcomes(
        self,
        names: Sequence[str],
        scope: Scope,
        period: Period,
        where: LogFilter = ANY_ROW,
        *,
        daily: bool = False,
    ) -> list[Outcomes]:
        """Return how calls ended, counted by columns of the ledger, such as `call_type` and `status_code`."""
        return outcomes(self._reader, names, scope, period, where, daily=daily)

    # -- names

    def names(self, by: By, scope: Scope, period: Period = ALL_TIME) -> list[str]:
        """Return the distinct values of one dimension, sorted, without the empty one (all tag names, all end users, ...)."""
        return report_sums.names(self._reader, by, scope, period)

    # -- rows

    def logs(
        self,
        scope: Scope,
        where: LogFilter,
        *,
        limit: int = 50,
        after: Cursor | None = None,
        offset: int = 0,
        order: LogOrder = LogOrder.START,
        descending: bool = True,
        count: bool = True,
    ) -> LogPage:
        """Return one page of rows, newest first unless asked otherwise.

        Args:
            after: Continue behind this row; only with `LogOrder.START`.
            offset: Rows to skip, for numbered pages.
            count: False leaves `total` at -1 and saves the counting.
        """
        place = Place(after, offset, order, descending)
        return rows.page(self._reader, scope, where, place, limit=limit, count=count)

    def every_log(self, scope: Scope, where: LogFilter) -> Iterator[LogRow]:
        """Yield all rows that match, newest first, in flat memory."""
        return rows.every(self._reader, scope, where)

    def sessions(self, scope: Scope, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], SessionSums]:
        """Return what whole sessions add up to, by (session id, key)."""
        return sessions_of(self._reader, scope, wanted)

    def log(self, scope: Scope, call_id: str) -> LogRow | None:
        """Return the row with this call id of ours."""
        return rows.one(self._reader, scope, call_id)

    def adjustments(self, call_ids: Iterable[str]) -> dict[str, list[Adjustment]]:
        """Return the adjustments of each row, in the order they were made."""
        with self._reader.reading() as connection:
            return rows.adjustments_of(connection, list(call_ids))


def _days_first(dimensions: Sequence[By]) -> tuple[By, ...]:
    return tuple(sorted(dict.fromkeys(dimensions), key=lambda by: by is not By.DAY))

"""What clients send in queries: days, moments, zones, pages; a bad value is refused by name."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import HTTPException, Query

from spend_middleware.api.errors import ProxyError
from spend_middleware.store.report_values import Period

StartDate = Annotated[
    str | None, Query(description="First day, YYYY-MM-DD, or an ISO 8601 time.", examples=["2026-05-01"])
]
EndDate = Annotated[
    str | None,
    Query(description="Last day, YYYY-MM-DD, counted whole, or an ISO 8601 time.", examples=["2026-05-31"]),
]
Zone = Annotated[
    str | None,
    Query(
        description="The zone that days are cut in: an IANA name such as Asia/Kolkata, or minutes west of UTC "
        "as JavaScript's getTimezoneOffset() gives them. The service's own setting when absent."
    ),
]
# The bounds stand in the document and are checked by `check_page`, which answers 400 and names the value.
Page = Annotated[int, Query(description="Page, from 1.", json_schema_extra={"minimum": 1})]
PageSize = Annotated[
    int, Query(description="Entries a page.", json_schema_extra={"minimum": 1, "maximum": 1000})
]

# Zones with a fixed offset that is not a whole hour, by JavaScript's minutes; the IANA database has no Etc/ names for them.
_ODD_OFFSETS = {
    570: "Pacific/Marquesas",
    -210: "Asia/Tehran",
    -270: "Asia/Kabul",
    -330: "Asia/Kolkata",
    -345: "Asia/Kathmandu",
    -390: "Asia/Yangon",
    -525: "Australia/Eucla",
    -570: "Australia/Darwin",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


def bad_value(name: str, value: object, expected: str, kind: str = "bad_request_error") -> ProxyError:
    """Return the refusal of one parameter, which names it and its value."""
    return ProxyError(400, f"Invalid {name} '{_shown(value)}'. Expected {expected}.", kind, name)


def _shown(value: object) -> str:
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= 100 else text[:100] + "..."


def zone_of(timezone: str | int | None, default: str) -> str:
    """Return the IANA name of the zone asked for; the default when none is."""
    if timezone is None or timezone == "":
        return default
    text = str(timezone).strip()
    try:
        minutes = int(text)
    except ValueError:
        try:
            ZoneInfo(text)
        except (ValueError, OSError, KeyError):  # unknown, a path, a folder
            raise bad_value("timezone", timezone, "an IANA name such as Europe/Berlin") from None
        return text
    hours, rest = divmod(minutes, 60)
    if rest == 0 and -14 <= hours <= 12:
        return "UTC" if hours == 0 else f"Etc/GMT{hours:+d}"
    if minutes in _ODD_OFFSETS:
        return _ODD_OFFSETS[minutes]
    raise bad_value("timezone", timezone, "the minutes of an existing zone, or its IANA name")


def _parsed(name: str, text: str, zone: str) -> date | datetime:
    """Return a day, or a moment with its zone."""
    text = text.strip()
    try:
        if "T" not in text and " " not in text:
            if len(text) != 10:
                raise ValueError
            value: date | datetime = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
        else:
            # A '+' of an offset arrives as a blank where the client did not escape it.
            value = datetime.fromisoformat(_unblanked(text))
    except ValueError:
        raise bad_value(name, text, "a day as YYYY-MM-DD or an ISO 8601 time") from None
    if not _FIRST_YEAR < value.year < _LAST_YEAR:
        raise bad_value(name, text, f"a year from {_FIRST_YEAR + 1} to {_LAST_YEAR - 1}")
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=ZoneInfo(zone))
    return value


def _unblanked(text: str) -> str:
    day, _, rest = text.partition("T" if "T" in text else " ")
    return f"{day}T{rest.strip().replace(' ', '+')}"


def _day(name: str, text: str | None, zone: str) -> date | None:
    if text is None or text == "":
        return None
    value = _parsed(name, text, zone)
    return value.astimezone(ZoneInfo(zone)).date() if isinstance(value, datetime) else value


def period_of(
    start_date: str | None, end_date: str | None, timezone: str | int | None, default: str
) -> Period:
    """Return whole days of one zone, both ends included; a time stands for its day."""
    zone = zone_of(timezone, default)
    start, end = _day("start_date", start_date, zone), _day("end_date", end_date, zone)
    if start is not None and end is not None and end < start:
        raise bad_value("end_date", end_date, f"a day that is not before start_date '{_shown(start_date)}'")
    return Period(start=start, end=end, zone=zone)


def range_of(
    start_date: str | None, end_date: str | None, timezone: str | int | None, default: str
) -> tuple[int | None, int | None]:
    """Return microseconds since the epoch: from (included) and until (excluded).

    A day as end is counted whole; a time as end includes the second, or the microsecond, that it names.
    """
    zone = zone_of(timezone, default)
    since = until = None
    if start_date:
        since = _micros(_parsed("start_date", start_date, zone), zone)
    if end_date:
        end = _parsed("end_date", end_date, zone)
        if isinstance(end, datetime):
            until = _micros(end, zone) + (1 if end.microsecond else 1_000_000)
        else:
            until = _micros(end + timedelta(days=1), zone)
    if since is not None and until is not None and until <= since:
        raise bad_value("end_date", end_date, f"a time that is not before start_date '{_shown(start_date)}'")
    return since, until


def _micros(value: date | datetime, zone: str) -> int:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time(), ZoneInfo(zone))
    return (value - _EPOCH) // timedelta(microseconds=1)


def check_page(page: int, page_size: int, largest: int = 1000) -> None:
    """Refuse a page that cannot exist."""
    if not 1 <= page <= 1_000_000:
        raise bad_value("page", page, "a number from 1 to 1000000")
    if not 1 <= page_size <= largest:
        raise bad_value("page_size", page_size, f"a number from 1 to {largest}")


def listed(text: str | None) -> tuple[str, ...]:
    """Return the values of a comma-separated list, stripped, without empty ones and doubles."""
    values = (part.strip() for part in (text or "").split(","))
    return tuple(dict.fromkeys(value for value in values if value))


def one(value: str | None) -> tuple[str, ...]:
    """Return a filter on one value, or on nothing when it is absent."""
    return () if value is None else (value,)


def dated(start_date: str | None, end_date: str | None, timezone: str | int | None, default: str) -> Period:
    """Return a period whose both ends must be given; refusals stand under `detail.error`, as on LiteLLM's report routes."""
    if not start_date or not end_date:
        raise HTTPException(400, {"error": "Please provide start_date and end_date"})
    try:
        return period_of(start_date, end_date, timezone, default)
    except ProxyError as error:
        raise HTTPException(error.status, {"error": error.message}) from None


def last_days(days: int, zone: str) -> Period:
    """Return the days up to today: as many as asked for before it, and it."""
    today = datetime.now(ZoneInfo(zone)).date()
    return Period(start=today - timedelta(days=days), end=today, zone=zone)

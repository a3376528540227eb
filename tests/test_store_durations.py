"""Budget durations: every row of the recorded table, and the ones that LiteLLM gets wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from spend_middleware.errors import ConfigurationError
from spend_middleware.store.durations import Duration

NOW = datetime(2026, 5, 13, 10, 7, 31, tzinfo=UTC)  # a Wednesday

RESETS = {
    "30s": "2026-05-13T10:08:00",
    "7s": "2026-05-13T10:07:35",
    "45s": "2026-05-13T10:07:45",
    "5m": "2026-05-13T10:10:00",
    "30m": "2026-05-13T10:30:00",
    "45m": "2026-05-13T10:45:00",
    "90m": "2026-05-13T11:30:00",
    "1h": "2026-05-13T11:00:00",
    "5h": "2026-05-13T15:00:00",
    "30h": "2026-05-14T06:00:00",
    "24h": "2026-05-14T00:00:00",
    "1d": "2026-05-14T00:00:00",
    "2d": "2026-05-15T00:00:00",
    "7d": "2026-05-18T00:00:00",
    "14d": "2026-05-27T00:00:00",
    "30d": "2026-06-01T00:00:00",
    "31d": "2026-06-13T00:00:00",
    "60d": "2026-07-12T00:00:00",
    "1w": "2026-05-18T00:00:00",
    "2w": "2026-05-27T00:00:00",
    "1mo": "2026-06-01T00:00:00",
    "monthly": "2026-06-01T00:00:00",
    "daily": "2026-05-14T00:00:00",
    "weekly": "2026-05-18T00:00:00",
    "hourly": "2026-05-13T11:00:00",
    "Monthly": "2026-06-01T00:00:00",
    # LiteLLM refuses these or resets them at the wrong time.
    "2mo": "2026-07-01T00:00:00",
    "1hr": "2026-05-13T11:00:00",
    "1y": "2027-01-01T00:00:00",
    "yearly": "2027-01-01T00:00:00",
}


@pytest.mark.parametrize(("text", "reset"), RESETS.items())
def test_a_window_ends_at_the_aligned_time(text: str, reset: str) -> None:
    assert Duration.parse(text).next_reset(NOW) == datetime.fromisoformat(reset).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0d",
        "0",
        "30",
        "10D",
        "1M",
        "-1d",
        "1.5d",
        " 1d",
        "1d ",
        "1dd",
        "d",
        "٣d",
        "1 d",
        "9999999999d",
        "\0",
    ],
)
def test_a_text_that_names_no_duration_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Invalid budget_duration"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["999999999y", "999999999d", "999999999mo", "8000y"])
def test_a_window_beyond_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="9999"):
        Duration.parse(text).next_reset(NOW)
    with pytest.raises(ConfigurationError, match="9999"):
        Duration.parse(text).added_to(NOW)


@pytest.mark.parametrize(
    ("text", "reset"),
    [("1d", "2026-05-13T18:30:00"), ("1mo", "2026-05-31T18:30:00"), ("7d", "2026-05-17T18:30:00")],
)
def test_a_window_follows_the_midnight_of_its_zone(text: str, reset: str) -> None:
    ends = Duration.parse(text).next_reset(NOW, ZoneInfo("Asia/Kolkata"))
    assert ends == datetime.fromisoformat(reset).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("30d", "2026-06-12T10:07:31"),
        ("1mo", "2026-06-13T10:07:31"),
        ("1y", "2027-05-13T10:07:31"),
        ("90s", "2026-05-13T10:09:01"),
        ("1hr", "2026-05-13T11:07:31"),
    ],
)
def test_an_expiry_is_not_aligned(text: str, until: str) -> None:
    assert Duration.parse(text).added_to(NOW) == datetime.fromisoformat(until).replace(tzinfo=UTC)


def test_a_month_after_the_last_of_january_is_the_last_of_february() -> None:
    at = datetime(2027, 1, 31, 8, tzinfo=UTC)
    assert Duration.parse("1mo").added_to(at) == datetime(2027, 2, 28, 8, tzinfo=UTC)

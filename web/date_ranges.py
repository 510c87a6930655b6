"""The days a list is about: a preset (today, yesterday, 7 days, this month), or from one day to another.

An address keeps the choice as `period`, and for a range `from` and `to`. Addresses with only `date`, or with `from` and
`to` alone, mean a range: they are in bookmarks and mails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from web.wording import _


class Period(StrEnum):
    """What a person chooses in the list of periods."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    WEEK = "week"
    MONTH = "month"
    RANGE = "range"


PERIOD_WORDS: dict[Period, str] = {
    Period.TODAY: _("Today"),
    Period.YESTERDAY: _("Yesterday"),
    Period.WEEK: _("Last 7 days"),
    Period.MONTH: _("This month"),
    Period.RANGE: _("From – to"),
}

PARAMETERS = frozenset({"period", "from", "to", "date"})
EARLIEST = date(
    2000, 1, 1
)  # a date picker hands over 0002-11-29 while the year is being typed; no call is that old
LATEST = date(2199, 12, 31)
NOT_UNDERSTOOD = _("The date was not understood. Type it like 2026-11-22.")
ORDER_WRONG = _("The first day is after the last. Choose an earlier first day.")


@dataclass(frozen=True, slots=True)
class DateRange:
    """From the beginning of one day up to the beginning of another, on the office's clock. None is open."""

    period: Period | None = None
    first: date | None = None
    last: date | None = None
    since: datetime | None = None
    until: datetime | None = None
    problem: str | None = None


def read_date_range(asked: Mapping[str, str], zone: tzinfo, now: datetime) -> DateRange:
    """The days that an address asks for; what cannot be understood is left out and said."""
    period = _read_period(asked)
    if period is None:
        return DateRange()
    if period is not Period.RANGE:
        return _range(period, *_days_of(period, now.astimezone(zone).date()), zone)
    try:
        first = _read_day(asked.get("from") or asked.get("date"))
        last = _read_day(asked.get("to") or asked.get("date"))
    except ValueError:
        return DateRange(period, problem=NOT_UNDERSTOOD)
    if first and last and first > last:
        return DateRange(period, first, last, problem=ORDER_WRONG)
    return _range(period, first, last, zone)


def _read_period(asked: Mapping[str, str]) -> Period | None:
    chosen = asked.get("period", "")
    if chosen in list(Period):
        return Period(chosen)
    return Period.RANGE if any(asked.get(name) for name in ("from", "to", "date")) else None


def _read_day(text: str | None) -> date | None:
    if not text:
        return None
    day = datetime.fromisoformat(text).date()
    if not EARLIEST <= day <= LATEST:
        raise ValueError(text)
    return day


def _days_of(period: Period, today: date) -> tuple[date, date]:
    match period:
        case Period.YESTERDAY:
            return today - timedelta(days=1), today - timedelta(days=1)
        case Period.WEEK:
            return today - timedelta(days=6), today
        case Period.MONTH:
            return today.replace(day=1), today
        case _:
            return today, today


def _range(period: Period, first: date | None, last: date | None, zone: tzinfo) -> DateRange:
    since = _midnight(first, zone) if first else None
    until = _midnight(last + timedelta(days=1), zone) if last else None
    return DateRange(period, first, last, since, until)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)

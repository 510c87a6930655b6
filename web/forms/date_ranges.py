"""The days a list is about: a preset (today, yesterday, 7 days, this month), or from one day to another.

An address keeps the choice as `period`, and for a range `from` and `to`. Addresses with only `date`, or with `from` and
`to` alone, mean a range: they are in bookmarks and mails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from telephony.errors import PeerMistake
from web.forms.date_fields import date_style, read_date
from web.languages.errors import translate_sentence
from web.languages.messages import N_, Phrases, _


class Period(StrEnum):
    """What a person chooses in the list of periods."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    WEEK = "week"
    MONTH = "month"
    RANGE = "range"


PERIOD_WORDS: Phrases[Period] = Phrases(
    {
        Period.TODAY: N_("Today"),
        Period.YESTERDAY: N_("Yesterday"),
        Period.WEEK: N_("Last 7 days"),
        Period.MONTH: N_("This month"),
        Period.RANGE: N_("From – to"),
    }
)

PARAMETERS = frozenset({"period", "from", "to", "date"})
EARLIEST = date(2000, 1, 1)  # no call is older; 29.11.0002 is a slip of the finger
LATEST = date(2199, 12, 31)
ORDER_WRONG = N_("The first day is after the last. Choose an earlier first day.")


@dataclass(frozen=True, slots=True)
class DateRange:
    """From the beginning of one day up to the beginning of another, on the office's clock. None is open."""

    period: Period | None = None
    first: date | None = None
    last: date | None = None
    since: datetime | None = None
    until: datetime | None = None
    problem: str | None = None
    typed: Mapping[str, str] = field(default_factory=dict)
    """What stands in the fields `from` and `to`: what was understood in the office's format, else as it was typed."""
    wrong: frozenset[str] = frozenset()
    """The fields that the problem is about."""


def read_date_range(
    asked: Mapping[str, str], zone: tzinfo, now: datetime, region: str | None = None
) -> DateRange:
    """The days that an address asks for; what cannot be understood is left out and said."""
    period = _read_period(asked)
    if period is None:
        return DateRange()
    if period is not Period.RANGE:
        return _range(period, *_days_of(period, now.astimezone(zone).date()), zone)
    return _read_span(asked, zone, now.astimezone(zone).date(), region)


def _read_span(asked: Mapping[str, str], zone: tzinfo, today: date, region: str | None) -> DateRange:
    """From one day to another, each as somebody typed it."""
    typed = {name: asked.get(name) or asked.get("date") or "" for name in ("from", "to")}
    days: dict[str, date | None] = {}
    problems: dict[str, str] = {}
    for name, text in typed.items():
        try:
            days[name] = _read_day(text, region, today)
        except PeerMistake as mistake:
            problems[name] = translate_sentence(mistake)
    if problems:
        told = " ".join(dict.fromkeys(problems.values()))
        return DateRange(Period.RANGE, problem=told, typed=typed, wrong=frozenset(problems))
    first, last = days["from"], days["to"]
    style = date_style(region)
    typed = {name: style.write(one) if one else "" for name, one in days.items()}
    if first and last and first > last:
        wrong = frozenset({"from"})
        return DateRange(Period.RANGE, first, last, problem=_(ORDER_WRONG), typed=typed, wrong=wrong)
    return replace(_range(Period.RANGE, first, last, zone), typed=typed)


def _read_period(asked: Mapping[str, str]) -> Period | None:
    chosen = asked.get("period", "")
    if chosen in list(Period):
        return Period(chosen)
    return Period.RANGE if any(asked.get(name) for name in ("from", "to", "date")) else None


def _read_day(text: str, region: str | None, today: date) -> date | None:
    if not text:
        return None
    day = read_date(text, region, today=today)
    if not EARLIEST <= day <= LATEST:
        raise PeerMistake(
            _("“{text}” lies too far back or ahead.").format(text=text[:40]),
            remedy=_("Choose a day between the years {first} and {last}.").format(
                first=EARLIEST.year, last=LATEST.year
            ),
        )
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

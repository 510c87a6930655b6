"""Days as people type and read them: in the office's own format, and in the others that cannot be misread.

`31.12.2026`, `12/31/2026` or `2026-12-31` by the office's region; a year of two figures or none is completed, and
`today`, `tomorrow` and `yesterday` are understood. One rule for every field, hint and message about a day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum

from telephony.errors import PeerMistake
from web.forms.date_bounds import EARLIEST_YEAR, LATEST_YEAR
from web.languages.formats import full_date_with_weekday
from web.languages.messages import _

DAY = r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})"
"""What a day may look like, for texts with several."""
TYPED_MOST = 40  # characters of a day that is said back


class Order(StrEnum):
    """Which part of a day is written first."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"
    YEAR_FIRST = "ymd"


class Toward(StrEnum):
    """Where a day without its year lies: calls are of the past, tasks of the days ahead."""

    PAST = "past"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class DateStyle:
    """How a region writes days."""

    order: Order
    mark: str
    """Between the parts."""

    @property
    def hint(self) -> str:
        """`dd.mm.yyyy`."""
        places = {"d": _("dd"), "m": _("mm"), "y": _("yyyy")}  # of a day, a month, a year
        return self.mark.join(places[part] for part in self.order.value)

    @property
    def example(self) -> str:
        """`31.12.2026`."""
        return self.write(date(2026, 12, 31))

    def write(self, day: date) -> str:
        """The day as the region writes it."""
        parts = {"d": f"{day.day:02}", "m": f"{day.month:02}", "y": f"{day.year:04}"}
        return self.mark.join(parts[part] for part in self.order.value)


ISO = DateStyle(Order.YEAR_FIRST, "-")
_STYLES: dict[DateStyle, str] = {  # CLDR's short formats
    ISO: "CA CN HU JP KR LT SE TW ZA",
    DateStyle(Order.MONTH_FIRST, "/"): "US PH",
    DateStyle(Order.DAY_FIRST, "-"): "NL",
    DateStyle(Order.DAY_FIRST, "/"): (
        "AE AR AU BD BE BH BO BR CL CO CR CY DO EC EG ES FR GB GH GR GT HK ID IE IN IQ IT JM JO KE KW LB LK LU MA MT MX "
        "MY NG NZ OM PA PE PK PT PY QA SA SG SV TH TN TZ UG UY UZ VE VN ZM ZW"
    ),
}
_STYLE_OF = {region: style for style, regions in _STYLES.items() for region in regions.split()}
_DOTTED = DateStyle(Order.DAY_FIRST, ".")

_YEAR_FIRST = re.compile(r"(?P<y>\d{4})([-./])(?P<m>\d{1,2})\2(?P<d>\d{1,2})")
_DAY_FIRST = re.compile(r"(?P<d>\d{1,2})([-./])(?P<m>\d{1,2})(?:\2(?P<y>\d{4}|\d{2})?)?")
_MONTH_FIRST = re.compile(r"(?P<m>\d{1,2})(/)(?P<d>\d{1,2})(?:\2(?P<y>\d{4}|\d{2})?)?")
_WORDS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_HOUR = re.compile(r"(\d{1,2})(?:[:.]?(\d{2}))?(?::\d{2})?\s*(am|pm)?", re.IGNORECASE)


def date_style(region: str | None) -> DateStyle:
    """How the office writes days; without a region as ISO 8601 does, which nobody misreads."""
    return _STYLE_OF.get(region, _DOTTED) if region else ISO


def read_date(
    text: str, region: str | None = None, *, today: date | None = None, toward: Toward = Toward.PAST
) -> date:
    """The day. Without `today` the year has to be there. Raises PeerMistake."""
    typed = text.strip()
    if today is not None and typed.casefold() in _WORDS:
        return today + timedelta(days=_WORDS[typed.casefold()])
    try:
        day = _day_of(typed, region, today, toward)
    except ValueError:
        day = None
    if day is None or not EARLIEST_YEAR <= day.year <= LATEST_YEAR:
        raise PeerMistake(
            _("“{text}” is not a date.").format(text=typed[:TYPED_MOST]),
            remedy=_("Write it like {example}.").format(example=date_style(region).example),
        )
    return day


def _day_of(typed: str, region: str | None, today: date | None, toward: Toward) -> date | None:
    month_first = date_style(region).order is Order.MONTH_FIRST
    patterns = (_YEAR_FIRST, _MONTH_FIRST, _DAY_FIRST) if month_first else (_YEAR_FIRST, _DAY_FIRST)
    found = next((match for one in patterns if (match := one.fullmatch(typed))), None)
    if found is None:
        return None
    month, day, year = int(found["m"]), int(found["d"]), found["y"]
    if year is not None:
        return date(int(year) + (2000 if len(year) == 2 else 0), month, day)
    return _nearest(month, day, today, toward) if today else None


def _nearest(month: int, day: int, today: date, toward: Toward) -> date:
    """The last such day up to today, or the next from today on; 29 February may be years away."""
    step = -1 if toward is Toward.PAST else 1
    for year in range(today.year, today.year + 9 * step, step):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found == today or (found < today) == (toward is Toward.PAST):
            return found
    raise ValueError(f"{month}-{day}")


def describe_date(day: date) -> str:
    """`Thu 31 Dec 2026`: how a typed day was understood."""
    return full_date_with_weekday(day)


def read_hour(text: str) -> time:
    """`14:30`, `14.30`, `1430`, `9`, `2:30 pm`. Raises PeerMistake."""
    found = _HOUR.fullmatch(text.strip())
    half = (found[3] or "").casefold() if found else ""
    try:
        if found is None:
            raise ValueError(text)
        hour, minute = int(found[1]), int(found[2] or 0)
        if half:
            if not 1 <= hour <= 12:
                raise ValueError(text)
            hour = hour % 12 + (12 if half == "pm" else 0)
        return time(hour, minute)
    except ValueError:
        raise PeerMistake(_("This is not a time of day."), remedy=_("Write it like 14:30.")) from None


@dataclass(frozen=True, slots=True)
class DatePreset:
    """A day that is offered while one is typed."""

    value: str
    word: str


def date_presets(today: date, region: str | None, toward: Toward) -> tuple[DatePreset, ...]:
    """Days that people mean most often, written as they would type them."""
    monday = today + timedelta(days=7 - today.weekday())
    days = {
        Toward.PAST: (
            (today, _("Today")),
            (today - timedelta(days=1), _("Yesterday")),
            (today - timedelta(days=7), _("A week ago")),
            (today.replace(day=1), _("First of this month")),
        ),
        Toward.AHEAD: (
            (today, _("Today")),
            (today + timedelta(days=1), _("Tomorrow")),
            (monday, _("Next Monday")),
            (today + timedelta(days=7), _("In a week")),
        ),
    }[toward]
    style = date_style(region)
    return tuple(DatePreset(style.write(day), word) for day, word in days)

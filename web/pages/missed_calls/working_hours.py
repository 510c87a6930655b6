"""Working hours: is the office open now, and how long may a caller wait for the call they are owed?

The hours decide what "since we last closed" means and when a deadline is over; a caller of Friday evening has not waited
for sixty hours on Monday morning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from telephony.edit_version import edit_version
from telephony.errors import ChangedMeanwhile, PeerMistake
from telephony.hours import WEEKDAYS, WorkingHours, checked
from telephony.missed_calls import MissedRules
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.auth.access_log import note_rules
from web.forms.date_fields import DAY, ISO, DateStyle, date_style, read_date
from web.forms.field_problems import FieldProblem, FieldReader
from web.languages.errors import translate_sentence
from web.languages.formats import weekday
from web.languages.messages import _
from web.presenters import missed_calls
from web.site import fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

MOST_MINUTES = 10_000  # a working month; whoever wants longer wants no deadline, which is 0
MOST_HOLIDAYS = 400  # days; written as ranges they are few lines
_TIMES = re.compile(r"(\d{1,2})[:.](\d{2})\s*(?:-|–|—|to)\s*(\d{1,2})[:.](\d{2})")
_DATES = re.compile(rf"({DAY})(?:\s*(?:-|–|—|to|\.\.)\s*({DAY}))?")
MINUTES = ("deadline_minutes", "remind_minutes", "escalate_minutes")


@router.get("/hours")
async def hours(request: Request, viewer: Administrator) -> Response:
    """What is set, and what that means now."""
    book = site_of(request).records.missed
    style = date_style(site_of(request).settings.region)
    return await _page(request, viewer, _as_typed(await book.hours(), await book.rules(), style))


@router.post("/hours")
async def change(request: Request, viewer: Administrator) -> Response:
    """Keep it; deadlines of what is owed are reckoned again."""
    given = await fields(request)
    book = site_of(request).records.missed
    reader = FieldReader()
    told, rules = read_hours(given, reader, site_of(request).settings.region), read_rules(given, reader)
    if reader.problems:
        blank = dict.fromkeys(_as_typed(WorkingHours(), MissedRules()), "")
        return await _page(request, viewer, blank | given, problems=reader.problems)
    before = await book.hours(), await book.rules()
    try:
        await book.set_hours_and_rules(told, rules, by=viewer.account.id, seen=given.get("seen"))
    except ChangedMeanwhile as changed:
        return await _page(request, viewer, given, problem=translate_sentence(changed))
    await note_rules(request, viewer, "working hours", _as_typed(*before), _as_typed(told, rules))
    return RedirectResponse("/hours?saved=yes", 303)


async def _page(
    request: Request,
    viewer: Viewer,
    typed: Mapping[str, str],
    *,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    site = site_of(request)
    kept = await site.records.missed.hours()
    teams = {one.team for one in site.hub.names.directory.people if one.team}
    return site.renderer.page(
        request,
        viewer,
        "missed_calls/working_hours.html",
        status=409 if problem else 400 if problems else 200,
        office=missed_calls.office_now(kept, ZoneInfo(kept.zone), datetime.now(UTC)),
        now=datetime.now(ZoneInfo(kept.zone)).strftime("%H:%M"),
        kept=kept,
        weekdays=[(f"day-{day}", weekday(day, "wide")) for day in range(len(WEEKDAYS))],
        zones=sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"),
        teams=sorted(teams | ({typed["team"]} if typed.get("team") else set())),
        typed=typed,
        holidays_example=holidays_example(site.settings.region),
        seen=edit_version((kept, await site.records.missed.rules())),
        problem=problem,
        problems=problems,
        said=_("Saved. Deadlines of what is owed were reckoned again.")
        if "saved" in request.query_params
        else None,
    )


def _as_typed(told: WorkingHours, rules: MissedRules, style: DateStyle = ISO) -> dict[str, str]:
    """What the fields hold."""
    typed = {"zone": told.zone, "holidays": "\n".join(_ranges(told.holidays, style))}
    for day in range(len(WEEKDAYS)):
        spans = [f"{opens:%H:%M}-{closes:%H:%M}" for one, opens, closes in told.days if one == day]
        typed[f"day-{day}"] = ", ".join(spans)
    typed |= {name: str(getattr(rules, name)) for name in MINUTES}
    return typed | {"escalates": "yes" if rules.escalates else "", "team": rules.team or ""}


def _ranges(days: frozenset[date], style: DateStyle) -> list[str]:
    """`31.12.2026 - 08.01.2027` where days follow each other."""
    runs: list[list[date]] = []
    for day in sorted(days):
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    ends = [(style.write(run[0]), style.write(run[-1])) for run in runs]
    return [first if first == last else f"{first} - {last}" for first, last in ends]


def read_hours(given: Mapping[str, str], reader: FieldReader, region: str | None = None) -> WorkingHours:
    """What was typed; the reader collects what was not understood."""
    days = tuple(span for day in range(len(WEEKDAYS)) for span in _read_day(day, given, reader))
    no_days: frozenset[date] = frozenset()
    holidays = reader.read(
        "holidays", lambda: frozenset(_holidays(given.get("holidays", ""), region)), no_days
    )
    zone = given.get("zone", "").strip() or "UTC"
    reader.read("zone", lambda: checked(WorkingHours(zone, (), frozenset())), None)
    told = WorkingHours(zone, days, holidays)
    if not reader.problems:
        reader.read("day-0", lambda: checked(told), None)
    return told


def _read_day(day: int, given: Mapping[str, str], reader: FieldReader) -> list[tuple[int, time, time]]:
    name = f"day-{day}"
    typed = given.get(name, "").strip()

    def understood() -> list[tuple[int, time, time]]:
        spans = _spans(day, typed)
        checked(WorkingHours("UTC", tuple(spans), frozenset()))
        return spans

    return reader.read(name, understood, [])


def _spans(day: int, typed: str) -> list[tuple[int, time, time]]:
    spans = []
    for part in filter(None, (one.strip() for one in re.split(r"[,;]", typed))):
        found = _TIMES.fullmatch(part)
        try:
            if found is None:
                raise ValueError(part)
            one, two, three, four = (int(each) for each in found.groups())
            spans.append((day, time(one, two), time(three % 24 if not four else three, four)))
        except ValueError as cause:
            raise PeerMistake(
                _("{day}: “{typed}” was not understood.").format(day=weekday(day, "wide"), typed=part[:40]),
                remedy=_(
                    "Write it like 09:00-18:00, or 09:00-13:00, 14:00-18:00; leave it empty when closed."
                ),
            ) from cause
    return spans


def _holidays(typed: str, region: str | None) -> set[date]:
    days: set[date] = set()
    for line in filter(None, (one.strip() for one in re.split(r"[\n,;]", typed))):
        found = _DATES.fullmatch(line)
        try:
            if found is None:
                raise ValueError(line)
            first = read_date(found[1], region)
            last = read_date(found[2], region) if found[2] else first
            if not timedelta() <= last - first < timedelta(days=MOST_HOLIDAYS):
                raise ValueError(line)
        except (ValueError, PeerMistake) as cause:
            raise PeerMistake(
                _("The holiday “{typed}” was not understood.").format(typed=line[:40]),
                remedy=_("Write one day per line, or the first and the last of several: {example}.").format(
                    example=holidays_example(region)
                ),
            ) from cause
        days |= {first + timedelta(days=step) for step in range((last - first).days + 1)}
    return days


def holidays_example(region: str | None) -> str:
    """`31.12.2026 - 08.01.2027`."""
    style = date_style(region)
    return f"{style.write(date(2026, 12, 31))} - {style.write(date(2027, 1, 8))}"


def _read_minutes(typed: str) -> int:
    if not typed.isdecimal() or len(typed) > 9 or int(typed) > MOST_MINUTES:
        raise PeerMistake(
            _("“{typed}” is not a number of minutes.").format(typed=typed[:40]),
            remedy=_("Write a whole number up to {most}.").format(most=MOST_MINUTES),
        )
    return int(typed)


def read_rules(given: Mapping[str, str], reader: FieldReader) -> MissedRules:
    """What was typed; the reader collects the numbers that are none."""
    before = len(reader.problems)
    minutes = {
        name: reader.read(name, partial(_read_minutes, given.get(name, "").strip()), 0) for name in MINUTES
    }
    if len(reader.problems) == before and minutes["remind_minutes"] > minutes["deadline_minutes"]:
        reader.add(
            "remind_minutes",
            _("The reminder would come before the call: at most {most}.").format(
                most=minutes["deadline_minutes"]
            ),
        )
    return MissedRules(
        deadline_minutes=minutes["deadline_minutes"],
        remind_minutes=minutes["remind_minutes"],
        escalate_minutes=minutes["escalate_minutes"],
        escalates=given.get("escalates") == "yes",
        team=given.get("team", "").strip() or None,
    )

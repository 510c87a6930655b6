"""What is said of a missed call: where the caller was lost, whose they are, until when, and how it was settled."""

from __future__ import annotations

from datetime import datetime, tzinfo

from call_records.crm.missed_calls.types import MissedEntry
from telephony.hours import WEEKDAYS, WorkingHours, next_opening, stretch_at
from telephony.missed_calls import GaveUpReason, OwnerWhy, Wait, Where
from web.presenters.labels import Names, _, clock, day, display_number, duration, short_date
from web.presenters.masking import View, mask

REASON_WORDS: dict[GaveUpReason, str] = {
    GaveUpReason.REACHED_OTHERWISE: _("Reached in another way"),
    GaveUpReason.NOT_NEEDED: _("No call is needed"),
    GaveUpReason.NOT_REACHABLE: _("Cannot be reached"),
    GaveUpReason.WRONG_NUMBER: _("Wrong number"),
    GaveUpReason.SPAM: _("Advertising or a robot"),
    GaveUpReason.OTHER: _("Another reason"),
}
"""In the order in which they are offered."""

WHY_WORDS: dict[OwnerWhy, str] = {
    OwnerWhy.OWNER_OF_CONTACT: _("Looks after this client"),
    OwnerWhy.LAST_RUNG: _("The phone rang there last"),
    OwnerWhy.TEAM: _("Of the team whose phones rang"),
    OwnerWhy.CLAIMED: _("Said: I will call"),
    OwnerWhy.GIVEN: _("It was given to them"),
}

_WAITED: dict[Where, tuple[str, str]] = {
    Where.RANG: (_("rang {time} at {who}"), _("rang {time} at {count} phones")),
    Where.QUEUE: (_("waited {time} in {who}"), ""),
    Where.MENU: (_("hung up in the menu after {time}"), ""),
    Where.VOICEMAIL: (_("reached the voicemail, {time}"), ""),
    Where.BUSY: (_("all busy, {time}"), ""),
    Where.PARKED: (_("was parked at {who}, {time}"), ""),
    Where.NOWHERE: (_("no phone could be reached, {time}"), ""),
}
_FEW = 2  # phones that are named; of more their number


def waited(wait: Wait, names: Names) -> str:
    """Where the caller was lost and after how long."""
    one, many = _WAITED[wait.where]
    phones = wait.where is Where.RANG
    who = " · ".join(names.extension(each).first if phones else each for each in wait.at)
    text = many if many and len(wait.at) > _FEW else one
    return text.format(time=duration(wait.seconds), who=who, count=len(wait.at))


def moment(at: datetime, zone: tzinfo, now: datetime) -> str:
    """`09:05` today, `Fri 18:20` within the last days, else `12 Nov 18:20`."""
    local, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    away = abs((today - local).days)
    if away == 0:
        return clock(at, zone)
    if away < _WEEK:
        return f"{_(WEEKDAYS[local.weekday()])} {clock(at, zone)}"
    year = f" {local.year}" if local.year != today.year else ""
    return f"{short_date(local)}{year} {clock(at, zone)}"


_WEEK = 7  # days; until then a weekday says which day is meant


def until_now(since: datetime, now: datetime) -> str:
    """How long ago in the coarsest words that are true: `5 min`, `3 h`, `2 d`."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    if minutes < 60:
        return _("{n} min").format(n=minutes)
    if minutes < 48 * 60:
        return _("{n} h").format(n=minutes // 60)
    return _("{n} d").format(n=minutes // (24 * 60))


def office_now(hours: WorkingHours, zone: tzinfo, now: datetime) -> str:
    """The first sentence: whether we are open, and until when."""
    present = stretch_at(hours, now)
    if present is not None:
        if (present.closes - now).days > 7:
            return _("The office is always open.")
        return _("The office is open until {time}.").format(time=_when(present.closes, zone, now))
    opening = next_opening(hours, now)
    if opening is None:
        return _("The office is closed, and no working hours are set that would open it.")
    return _("The office is closed until {time}.").format(time=_when(opening, zone, now))


def _when(at: datetime, zone: tzinfo, now: datetime) -> str:
    """`18:00`, `Mon 09:00`, and with the date when it is further away than a week."""
    local, today = at.astimezone(zone), now.astimezone(zone)
    days = (local.date() - today.date()).days
    if days == 0:
        return clock(at, zone)
    weekday = _(WEEKDAYS[local.weekday()])
    if days < 7:
        return f"{weekday} {clock(at, zone)}"
    return f"{weekday} {day(at, zone, now)} {clock(at, zone)}"


def settled(entry: MissedEntry, names: Names, view: View) -> str:
    """How it was settled and by whom: an extension of ours, or a number outside to which the call was passed on."""
    phone = entry.closed_extension or ""
    who = str(names.extension(phone)) if phone else _("somebody of ours")
    if phone.startswith("+"):
        number = display_number(phone, names.region)
        who = mask(number) if view.numbers_masked else number
    if entry.closed_how == "we_called":
        return _("Called back by {who}").format(who=who)
    if entry.closed_how == "got_through":
        return _("Got through to {who}").format(who=who)
    word = REASON_WORDS[entry.reason] if entry.reason else _("No reason was kept")
    return _("Given up by {who}: {why}").format(who=entry.closed_by or _("somebody"), why=word.lower())

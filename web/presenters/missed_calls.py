"""What is said of a missed call: where the caller was lost, whose they are, until when, and how it was settled."""

from __future__ import annotations

from datetime import datetime, tzinfo

from call_records.crm.missed_calls.types import MissedEntry
from telephony.hours import WorkingHours, next_opening, stretch_at
from telephony.missed_calls import GaveUpReason, OwnerWhy, Wait, Where
from web.languages.formats import full_date, short_date, weekday
from web.languages.messages import N_, NN_, Phrases, _, ngettext
from web.presenters.labels import Names, clock, day, display_number, duration
from web.presenters.masking import View, mask

REASON_WORDS: Phrases[GaveUpReason] = Phrases(
    {
        GaveUpReason.REACHED_OTHERWISE: N_("Reached in another way"),
        GaveUpReason.NOT_NEEDED: N_("No call is needed"),
        GaveUpReason.NOT_REACHABLE: N_("Cannot be reached"),
        GaveUpReason.WRONG_NUMBER: N_("Wrong number"),
        GaveUpReason.SPAM: N_("Advertising or a robot"),
        GaveUpReason.OTHER: N_("Another reason"),
    }
)
"""In the order in which they are offered."""

WHY_WORDS: Phrases[OwnerWhy] = Phrases(
    {
        OwnerWhy.OWNER_OF_CONTACT: N_("Looks after this client"),
        OwnerWhy.LAST_RUNG: N_("The phone rang there last"),
        OwnerWhy.TEAM: N_("Of the team whose phones rang"),
        OwnerWhy.CLAIMED: N_("Said: I will call"),
        OwnerWhy.GIVEN: N_("It was given to them"),
    }
)

_WAITED: dict[Where, tuple[str, tuple[str, str] | None]] = {
    Where.RANG: (
        N_("rang {time} at {who}"),
        NN_("rang {time} at {count} phone", "rang {time} at {count} phones"),
    ),
    Where.QUEUE: (N_("waited {time} in {who}"), None),
    Where.MENU: (N_("hung up in the menu after {time}"), None),
    Where.VOICEMAIL: (N_("reached the voicemail, {time}"), None),
    Where.BUSY: (N_("all busy, {time}"), None),
    Where.PARKED: (N_("was parked at {who}, {time}"), None),
    Where.NOWHERE: (N_("no phone could be reached, {time}"), None),
}
_FEW = 2  # phones that are named; of more their number


def waited(wait: Wait, names: Names) -> str:
    """Where the caller was lost and after how long."""
    one, many = _WAITED[wait.where]
    phones = wait.where is Where.RANG
    who = " · ".join(names.extension(each).first if phones else each for each in wait.at)
    text = ngettext(*many, len(wait.at)) if many and len(wait.at) > _FEW else _(one)
    return text.format(time=duration(wait.seconds), who=who, count=len(wait.at))


def moment(at: datetime, zone: tzinfo, now: datetime) -> str:
    """`09:05` today, `Fri 18:20` within the last days, else `12 Nov 18:20`."""
    local, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    away = abs((today - local).days)
    if away == 0:
        return clock(at, zone)
    if away < _WEEK:
        return f"{weekday(local.weekday())} {clock(at, zone)}"
    written = short_date(local) if local.year == today.year else full_date(local)
    return f"{written} {clock(at, zone)}"


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
    named = weekday(local.weekday())
    if days < 7:
        return f"{named} {clock(at, zone)}"
    return f"{named} {day(at, zone, now)} {clock(at, zone)}"


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

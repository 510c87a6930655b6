"""How things are written for people: numbers, durations, times, and the words for what a call is doing.

The words are what somebody in an office says, never what Asterisk says. Sentences here go through `_`, so
that a catalogue can be put behind it; there is only English now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from functools import lru_cache
from math import floor
from uuid import UUID

import phonenumbers

from telephony.call_facts.facts import (
    CallFacts,
    Direction,
    Disposition,
    Leg,
    LegOutcome,
    LegRole,
    PartyKind,
    Service,
    State,
)
from telephony.recordings import HealthFault
from telephony.staff import Directory, PopPreference, RingAlert, Role


def _(text: str) -> str:
    """Mark a sentence for translation."""
    return text


@lru_cache(maxsize=4096)  # a page of 50 calls repeats few numbers; parsing costs ~60 microseconds each
def display_number(number: str | None, region: str | None = None) -> str:
    """A number as it is written in the office's country; anything that is no E.164 number stays as it
    came.
    """
    if not number:
        return _("Number withheld")
    if not number.startswith("+"):
        return number
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return number
    if not phonenumbers.is_possible_number(parsed):
        return number
    at_home = region is not None and phonenumbers.region_code_for_number(parsed) == region
    style = (
        phonenumbers.PhoneNumberFormat.NATIONAL if at_home else phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )
    return phonenumbers.format_number(parsed, style)


def whole_seconds(seconds: float) -> int:
    """The seconds that have passed in full: the one rule by which every page, list, story, player and ticking time rounds.

    Rounded down, as a clock shows time: 0:08 stands until the ninth second is over, so what a person sees while a call
    or a recording runs is what is listed afterwards. Parts can then add up to less than the whole, never to more.
    A hundredth is exact enough; the same rule for the browser is `clock` in page.js.
    """
    return max(0, floor(round(seconds, 2)))


def duration(seconds: float | None) -> str:
    """`3:12`, `1:04:09`; empty when unknown."""
    if seconds is None:
        return ""
    whole = whole_seconds(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def clock(moment: datetime, zone: tzinfo, *, seconds: bool = False) -> str:
    """`14:05` or `14:05:09` on the office's wall clock."""
    return moment.astimezone(zone).strftime("%H:%M:%S" if seconds else "%H:%M")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """`Today`, `Yesterday`, `20 Nov`, or `20 Nov 2025` for another year."""
    local, today = moment.astimezone(zone), now.astimezone(zone)
    days = (today.date() - local.date()).days
    if days == 0:
        return _("Today")
    if days == 1:
        return _("Yesterday")
    text = f"{local.day} {_(_MONTHS[local.month - 1])}"
    return text if local.year == today.year else f"{text} {local.year}"


def signed(value: float) -> str:
    """`+8`, `−12`, `0`, with the sign that is as wide as a figure."""
    whole = round(value)
    return f"{whole:+d}".replace("-", "−") if whole else "0"


def short_date(day: date) -> str:
    """`20 Nov`: where the year is plain from what stands beside it."""
    return f"{day.day} {_(_MONTHS[day.month - 1])}"


def month_name(day: date) -> str:
    """`Dec 2025`: a month as it stands under a chart."""
    return f"{_(_MONTHS[day.month - 1])} {day.year}"


def day_in_sentence(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """`today`, `yesterday`, `20 Nov`: within a sentence."""
    said = day(moment, zone, now)
    return said.lower() if said in (_("Today"), _("Yesterday")) else said


DIRECTION_WORDS: dict[Direction, str] = {
    Direction.INBOUND: _("Incoming"),
    Direction.OUTBOUND: _("Outgoing"),
    Direction.INTERNAL: _("Internal"),
}

DISPOSITION_WORDS: dict[Disposition, str] = {
    Disposition.ANSWERED: _("Answered"),
    Disposition.MISSED: _("Missed"),
    Disposition.ABANDONED: _("Gave up waiting"),
    Disposition.VOICEMAIL: _("Voicemail"),
    Disposition.BUSY: _("Busy"),
    Disposition.DECLINED: _("Declined"),
    Disposition.FAILED: _("Did not go through"),
    Disposition.NO_ANSWER: _("No answer"),
}

SERVICE_LABELS: dict[Service, str] = {
    Service.MAILBOX: _("Listened to voicemail"),
    Service.FEATURE_CODE: _("Feature code"),
}


def outcome_label(facts: CallFacts) -> str:
    """How a call came out, or where it is now."""
    if not facts.ended:
        return STATE_WORDS[facts.state]
    if facts.disposition is None:
        return _("Not answered")
    return SERVICE_LABELS[facts.service] if facts.service else DISPOSITION_WORDS[facts.disposition]


STATE_WORDS: dict[State, str] = {
    State.RINGING: _("Ringing"),
    State.QUEUED: _("Waiting in queue"),
    State.TALKING: _("Talking"),
    State.HELD: _("On hold"),
    State.PARKED: _("Parked"),
    State.VOICEMAIL: _("In voicemail"),
    State.ENDED: _("Ended"),
    State.UNVERIFIED: _("Not certain"),
}

OUTCOME_WORDS: dict[LegOutcome, str] = {
    LegOutcome.ANSWERED: _("Answered"),
    LegOutcome.ANSWERED_ELSEWHERE: _("Answered by somebody else"),
    LegOutcome.NO_ANSWER: _("Did not answer"),
    LegOutcome.BUSY: _("Busy"),
    LegOutcome.DECLINED: _("Declined"),
    LegOutcome.CANCELLED: _("Stopped ringing"),
    LegOutcome.UNREACHABLE: _("Could not be reached"),
}

DOING_WORDS: dict[str, str] = {
    "ringing": _("Ringing"),
    "talking": _("Talking"),
    "held": _("On hold"),
    "queued": _("In queue"),
    "parked": _("Parked"),
    "voicemail": _("In voicemail"),
    "waiting": _("Waiting"),
}

ROLE_WORDS: dict[Role, str] = {
    Role.MANAGER: _("Manager"),
    Role.SUPERVISOR: _("Supervisor"),
    Role.ADMINISTRATOR: _("Administrator"),
}

POP_WORDS: dict[PopPreference, str] = {
    PopPreference.ON_RING: _("When my phone rings"),
    PopPreference.ON_ANSWER: _("When I answer"),
    PopPreference.NEVER: _("Never"),
}

ALERT_WORDS: dict[RingAlert, str] = {
    RingAlert.SOUND: _("Play a short sound"),
    RingAlert.NOTIFY: _("Show a notification while another program is in front"),
}

FAULT_WORDS: dict[HealthFault, str] = {
    HealthFault.SILENT: _("Nobody can be heard"),
    HealthFault.OUTSIDE_SILENT: _("Only our side can be heard"),
    HealthFault.OURS_SILENT: _("Only the outside party can be heard"),
    HealthFault.CLIPPED: _("Recorded too loud: the sound is distorted"),
    HealthFault.TRUNCATED: _("The file ended too early; what there was of it can be heard"),
    HealthFault.SHORTER_THAN_TALK: _("Shorter than the conversation"),
    HealthFault.PART_MISSING: _("Nothing was recorded of one side for a while, though they talked"),
}

SPAN_WORDS: dict[str, str] = {
    "held": _("On hold"),
    "paused": _("Recording was paused"),
    "redacted": _("Covered"),
}

SOMEBODY_MUST_ACT = frozenset({Disposition.MISSED, Disposition.ABANDONED})
"""Outcomes after which a person is owed a call: the only ones shown in red."""


@dataclass(frozen=True, slots=True)
class Named:
    """A party as it is written: the name first, the number beside it."""

    name: str | None
    number: str | None
    href: str | None = None
    """The client's page, where the book knows them."""

    @property
    def first(self) -> str:
        """What stands first: the name, else the number."""
        return self.name or self.number or _("Number withheld")

    @property
    def beside(self) -> str | None:
        """What stands beside it: the number when there is a name."""
        return self.number if self.name else None

    def __str__(self) -> str:
        return f"{self.name} ({self.number})" if self.name and self.number else self.first


@dataclass(frozen=True, slots=True)
class ClientName:
    """How the book calls the client of a call."""

    name: str | None
    """None for an entry that is called by its number only."""
    href: str
    company: str | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Puts names to parties: our directory for extensions, the book for clients, else what the network sent."""

    directory: Directory = field(default_factory=Directory)
    region: str | None = None
    clients: Mapping[UUID, ClientName] = field(default_factory=dict)
    """By the id of the call; only what the viewer may see."""

    def with_clients(self, clients: Mapping[UUID, ClientName]) -> Names:
        """The same, for calls of which the book knows the client."""
        return replace(self, clients=clients)

    def extension(self, extension: str) -> Named:
        """One of ours."""
        return Named(self.directory.name_of(extension), extension)

    def leg(self, leg: Leg, facts: CallFacts) -> Named:
        """A party of this call."""
        if leg.kind is PartyKind.EXTENSION:
            return Named(self.directory.name_of(leg.party) or leg.name, leg.party)
        if leg.role is LegRole.CALLER:
            return self.caller(facts, leg.name)
        if leg.kind is PartyKind.SERVICE:
            return Named(leg.name, leg.party)
        known = self.clients.get(facts.id) if _is_client(leg, facts) else None
        name = (known.name if known else None) or _useful(leg.name, leg.party)
        return Named(name, display_number(leg.party, self.region), known.href if known else None)

    def caller(self, facts: CallFacts, name: str | None = None) -> Named:
        """Who called, from what the network told."""
        caller = facts.caller
        client = self.clients.get(facts.id) if facts.direction is Direction.INBOUND else None
        href = client.href if client else None
        if caller.number is None:
            told = (client.name if client else None) or _useful(caller.name, caller.raw)
            return Named(told, caller.raw if _digits(caller.raw) else None, href)
        known = (client.name if client else None) or self.directory.name_of(caller.number)
        number = display_number(caller.number, self.region)
        return Named(known or _useful(name or caller.name, caller.number), number, href)

    def client(self, facts: CallFacts) -> Named:
        """The other side as lists name it: the client, or whom a colleague called."""
        if facts.direction is Direction.INBOUND:
            return self.caller(facts)
        target = facts.answered_by or facts.requested
        if target is None:
            return Named(_("Nobody"), None)
        known = self.clients.get(facts.id)
        told = self.party(target, facts)
        if known is None or told.href is not None or facts.direction is Direction.INTERNAL:
            return told
        return Named(known.name or told.name, told.number, known.href)  # dialled, and nobody has rung yet

    def party(self, party: str | None, facts: CallFacts) -> Named:
        """Whoever `party` names in this call: a leg, the caller, one of ours, or just a number; None is not known."""
        if party is None:
            return Named(_("Somebody else"), None)
        leg = facts.leg_of(party)
        if leg is not None:
            return self.leg(leg, facts)
        if party == facts.caller.number:
            return self.caller(facts)
        return Named(self.directory.name_of(party), display_number(party, self.region))


def _is_client(leg: Leg, facts: CallFacts) -> bool:
    """Whether this is whom an outbound call was for. Told by its place: in a masked call numbers are not the numbers."""
    if facts.direction is not Direction.OUTBOUND:
        return False
    outside = (one for one in facts.legs if one.kind is PartyKind.OUTSIDE and one.role is LegRole.CALLEE)
    return next(outside, None) is leg


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def _useful(name: str | None, number: str) -> str | None:
    """A name that only repeats the number is no name."""
    if not name or not name.strip():
        return None
    digits = _digits(name)
    if digits and not any(char.isalpha() for char in name) and digits[-7:] == _digits(number)[-7:]:
        return None
    return name.strip()

"""How things are written for people: numbers, durations, times, and the words for what a call is doing.

The words are what somebody in an office says, never what Asterisk says, in the language of whoever reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
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
from web.languages.formats import full_date, short_date
from web.languages.messages import N_, Phrases, _


def display_number(number: str | None, region: str | None = None) -> str:
    """A number as it is written in the office's country; anything that is no E.164 number stays as it
    came.
    """
    return _write_number(number, region) if number else _("Number withheld")


@lru_cache(maxsize=4096)  # a page of 50 calls repeats few numbers; parsing costs ~60 microseconds each
def _write_number(number: str, region: str | None) -> str:
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


def day(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """`Today`, `Yesterday`, `20 Nov`, or `20 Nov 2025` for another year."""
    local, today = moment.astimezone(zone), now.astimezone(zone)
    days = (today.date() - local.date()).days
    if days == 0:
        return _("Today")
    if days == 1:
        return _("Yesterday")
    return short_date(local) if local.year == today.year else full_date(local)


def signed(value: float) -> str:
    """`+8`, `−12`, `0`, with the sign that is as wide as a figure."""
    whole = round(value)
    return f"{whole:+d}".replace("-", "−") if whole else "0"


def day_in_sentence(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """`today`, `yesterday`, `20 Nov`: within a sentence."""
    days = (now.astimezone(zone).date() - moment.astimezone(zone).date()).days
    if days == 0:
        return _("today")
    return _("yesterday") if days == 1 else day(moment, zone, now)


DIRECTION_WORDS: Phrases[Direction] = Phrases(
    {
        Direction.INBOUND: N_("Incoming"),
        Direction.OUTBOUND: N_("Outgoing"),
        Direction.INTERNAL: N_("Internal"),
    }
)

DISPOSITION_WORDS: Phrases[Disposition] = Phrases(
    {
        Disposition.ANSWERED: N_("Answered"),
        Disposition.MISSED: N_("Missed"),
        Disposition.ABANDONED: N_("Gave up waiting"),
        Disposition.VOICEMAIL: N_("Voicemail"),
        Disposition.BUSY: N_("Busy"),
        Disposition.DECLINED: N_("Declined"),
        Disposition.FAILED: N_("Did not go through"),
        Disposition.NO_ANSWER: N_("No answer"),
    }
)

SERVICE_LABELS: Phrases[Service] = Phrases(
    {
        Service.MAILBOX: N_("Listened to voicemail"),
        Service.FEATURE_CODE: N_("Feature code"),
    }
)


def outcome_label(facts: CallFacts) -> str:
    """How a call came out, or where it is now."""
    if not facts.ended:
        return STATE_WORDS[facts.state]
    if facts.disposition is None:
        return _("Not answered")
    return SERVICE_LABELS[facts.service] if facts.service else DISPOSITION_WORDS[facts.disposition]


STATE_WORDS: Phrases[State] = Phrases(
    {
        State.RINGING: N_("Ringing"),
        State.QUEUED: N_("Waiting in queue"),
        State.TALKING: N_("Talking"),
        State.HELD: N_("On hold"),
        State.PARKED: N_("Parked"),
        State.VOICEMAIL: N_("In voicemail"),
        State.ENDED: N_("Ended"),
        State.UNVERIFIED: N_("Not certain"),
    }
)

OUTCOME_WORDS: Phrases[LegOutcome] = Phrases(
    {
        LegOutcome.ANSWERED: N_("Answered"),
        LegOutcome.ANSWERED_ELSEWHERE: N_("Answered by somebody else"),
        LegOutcome.NO_ANSWER: N_("Did not answer"),
        LegOutcome.BUSY: N_("Busy"),
        LegOutcome.DECLINED: N_("Declined"),
        LegOutcome.CANCELLED: N_("Stopped ringing"),
        LegOutcome.UNREACHABLE: N_("Could not be reached"),
    }
)

DOING_WORDS: Phrases[str] = Phrases(
    {
        "ringing": N_("Ringing"),
        "talking": N_("Talking"),
        "held": N_("On hold"),
        "queued": N_("In queue"),
        "parked": N_("Parked"),
        "voicemail": N_("In voicemail"),
        "waiting": N_("Waiting"),
    }
)

ROLE_WORDS: Phrases[Role] = Phrases(
    {
        Role.MANAGER: N_("Manager"),
        Role.SUPERVISOR: N_("Supervisor"),
        Role.ADMINISTRATOR: N_("Administrator"),
    }
)

POP_WORDS: Phrases[PopPreference] = Phrases(
    {
        PopPreference.ON_RING: N_("When my phone rings"),
        PopPreference.ON_ANSWER: N_("When I answer"),
        PopPreference.NEVER: N_("Never"),
    }
)

ALERT_WORDS: Phrases[RingAlert] = Phrases(
    {
        RingAlert.SOUND: N_("Play a short sound"),
        RingAlert.NOTIFY: N_("Show a notification while another program is in front"),
    }
)

FAULT_WORDS: Phrases[HealthFault] = Phrases(
    {
        HealthFault.SILENT: N_("Nobody can be heard"),
        HealthFault.OUTSIDE_SILENT: N_("Only our side can be heard"),
        HealthFault.OURS_SILENT: N_("Only the outside party can be heard"),
        HealthFault.CLIPPED: N_("Recorded too loud: the sound is distorted"),
        HealthFault.TRUNCATED: N_("The file ended too early; what there was of it can be heard"),
        HealthFault.SHORTER_THAN_TALK: N_("Shorter than the conversation"),
        HealthFault.PART_MISSING: N_("Nothing was recorded of one side for a while, though they talked"),
    }
)

SPAN_WORDS: Phrases[str] = Phrases(
    {
        "held": N_("On hold"),
        "paused": N_("Recording was paused"),
        "redacted": N_("Covered"),
    }
)

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

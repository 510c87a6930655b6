"""Missed calls: whom do we owe a call? One entry per caller, however often they tried, until somebody has talked to them.

An entry is opened by an inbound call that nobody of ours took and closed by a conversation with that number, whoever of
ours has it and whichever side dialled. Pure: what is known of a number goes in as moments, its entries come out. They are
told anew from all moments in the order of their own times, so it never matters in which order or how often news of them
arrived: a missed call that is learned of a day later, after an outage, does not reopen what has been talked about since.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from telephony.call_facts.facts import CallFacts, Direction, Disposition, Leg, LegRole, PartyKind

DEADLINE_MINUTES = (
    60  # working time; what comes later than an hour is to the caller no longer an answer to their call
)
REMIND_MINUTES = 15  # before the deadline: time enough to finish a conversation and make one
ESCALATE_MINUTES = 30  # after the deadline: whoever was held up has had their chance
TALK_SECONDS = 1.0  # a receiver that is lifted and put back by mistake is no conversation


class MissedState(StrEnum):
    """Where an entry is."""

    NEW = "new"
    CLAIMED = "claimed"
    """Somebody said: I will call."""
    CALLED_BACK = "called_back"
    """Somebody talked with the caller, by our call or by the caller's next one."""
    GAVE_UP = "gave_up"
    """Somebody decided that no call is owed, and said why."""


OPEN = frozenset({MissedState.NEW, MissedState.CLAIMED})
"""A call is still owed. At most one such entry per caller."""


class OwnerWhy(StrEnum):
    """Why an entry is somebody's."""

    OWNER_OF_CONTACT = "owner_of_contact"
    LAST_RUNG = "last_rung"
    """The phone that rang last is theirs, and rang alone."""
    TEAM = "team"
    """Of those whose phones rang together, of the queue's people, or the one that is set for such calls."""
    CLAIMED = "claimed"
    GIVEN = "given"
    """Somebody gave it to them."""


class GaveUpReason(StrEnum):
    """The short list. `OTHER` wants a text."""

    NOT_NEEDED = "not_needed"
    WRONG_NUMBER = "wrong_number"
    SPAM = "spam"
    REACHED_OTHERWISE = "reached_otherwise"
    """By mail, by a messenger, at the door."""
    NOT_REACHABLE = "not_reachable"
    """Tried, more than once."""
    OTHER = "other"


class Where(StrEnum):
    """How far the caller came before they were lost."""

    RANG = "rang"
    QUEUE = "queue"
    MENU = "menu"
    """They heard an announcement or a menu; no phone rang."""
    VOICEMAIL = "voicemail"
    BUSY = "busy"
    PARKED = "parked"
    NOWHERE = "nowhere"
    """No phone of ours could be reached."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Where the caller waited, on which queue or at whose phone, and how long in all."""

    where: Where
    at: tuple[str, ...]
    """The queue's name, or the extensions that rang last."""
    seconds: float | None


class Kind(StrEnum):
    """What a moment is. The order of those with the very same time is the order here."""

    MISSED = "missed"
    TRIED = "tried"
    TALKED = "talked"
    CLAIMED = "claimed"
    GIVEN = "given"
    RELEASED = "released"
    GAVE_UP = "gave_up"
    REOPENED = "reopened"


_RANK = {kind: rank for rank, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that counts for whether we owe this caller a call."""

    kind: Kind
    at: datetime
    id: UUID
    """Of the call, or of what somebody did on the page."""
    outbound: bool = False
    """Of a conversation: we called."""
    extension: str | None = None
    """Who of ours talked or tried."""
    account_id: UUID | None = None
    """Of what somebody did: who."""
    person_id: UUID | None = None
    """Of what was claimed or given: whose it is now."""
    reason: GaveUpReason | None = None
    text: str = ""


@dataclass(slots=True)
class Episode:
    """One entry: what is owed, from the first missed call until it is settled."""

    missed: list[Moment] = field(default_factory=list)
    tries: list[Moment] = field(default_factory=list)
    claim: Moment | None = None
    given: Moment | None = None
    """To whom somebody gave it; None as long as the rule says whose it is."""
    closing: Moment | None = None
    """The conversation, or the giving up; None while the call is owed."""
    reopened_at: datetime | None = None

    @property
    def state(self) -> MissedState:
        """Where it is."""
        if self.closing is not None:
            return MissedState.GAVE_UP if self.closing.kind is Kind.GAVE_UP else MissedState.CALLED_BACK
        return MissedState.CLAIMED if self.claim is not None else MissedState.NEW

    @property
    def owed_since(self) -> datetime:
        """From when the deadline counts."""
        return self.reopened_at or self.missed[0].at


def episodes(moments: Iterable[Moment]) -> tuple[Episode, ...]:
    """The entries of one number, oldest first; at most the last one is open."""
    told: list[Episode] = []
    for moment in sorted(set(moments), key=lambda one: (one.at, _RANK[one.kind], one.id)):
        last = told[-1] if told else None
        owed = last if last is not None and last.closing is None else None
        if moment.kind is Kind.MISSED:
            if owed is None:
                owed = Episode()
                told.append(owed)
            owed.missed.append(moment)
        elif moment.kind is Kind.REOPENED:
            if last is not None and owed is None:
                last.closing, last.reopened_at = None, moment.at
        elif owed is not None:
            _happened(owed, moment)
    return tuple(told)


def _happened(owed: Episode, moment: Moment) -> None:
    match moment.kind:
        case Kind.TRIED:
            owed.tries.append(moment)
        case Kind.TALKED | Kind.GAVE_UP:
            owed.closing = moment
        case Kind.CLAIMED:
            owed.claim = moment
        case Kind.GIVEN:
            owed.given, owed.claim = moment, None
        case Kind.RELEASED:
            owed.claim = None
        case Kind.MISSED | Kind.REOPENED:
            raise AssertionError(moment.kind)


def moment_of(facts: CallFacts) -> Moment | None:
    """What a call is for its outside party's entry; None when it says nothing, as while it rings.

    A missed call counts from when the caller dialled, a conversation from when it began. So whoever gets through on a
    second try, while their first still rings, is owed nothing; and somebody who is missed while a colleague of theirs at the
    same number talks with us is owed a call.
    """
    if facts.direction is Direction.INTERNAL:
        return None
    outbound = facts.direction is Direction.OUTBOUND
    if facts.answered_at is not None and (not facts.ended or facts.talk_seconds >= TALK_SECONDS):
        return Moment(Kind.TALKED, facts.answered_at, facts.id, outbound, who_talked(facts))
    if not facts.ended:
        return None
    if outbound:
        return Moment(Kind.TRIED, facts.started_at, facts.id, True, _ours_calling(facts))
    return Moment(Kind.MISSED, facts.started_at, facts.id) if is_owed(facts) else None


def is_owed(facts: CallFacts) -> bool:
    """Whether this call, which nobody took, is one that a caller is owed for.

    One that no phone rang for and nothing answered never came into the office: a line that leads nowhere. Where nothing
    tells why nobody answered (`disposition` None), somebody called and was not served all the same.
    """
    if (
        not facts.ended
        or facts.direction is not Direction.INBOUND
        or facts.disposition is Disposition.ANSWERED
    ):
        return False
    return facts.disposition not in (Disposition.FAILED, None) or any(map(_of_ours, facts.legs))


def who_talked(facts: CallFacts) -> str | None:
    """The extension that had the conversation: who called, else who took the call, else who talked longest."""
    talkers = [leg for leg in facts.legs if _of_ours(leg) and (leg.answered_at or leg.talk_seconds > 0)]
    parties = [leg.party for leg in talkers]
    wanted = facts.caller.number if facts.direction is Direction.OUTBOUND else facts.answered_by
    if wanted in parties or not parties:
        return wanted if wanted in parties else _ours_calling(facts) or _answering(facts)
    return max(talkers, key=lambda leg: leg.talk_seconds).party


def _answering(facts: CallFacts) -> str | None:
    inbound = facts.direction is Direction.INBOUND
    return facts.answered_by if inbound else None


def _ours_calling(facts: CallFacts) -> str | None:
    if facts.direction is not Direction.OUTBOUND:
        return None
    caller = next((leg.party for leg in facts.legs if _of_ours(leg) and leg.role is LegRole.CALLER), None)
    return caller or next((leg.party for leg in facts.legs if _of_ours(leg)), None)


def _of_ours(leg: Leg) -> bool:
    return leg.kind is PartyKind.EXTENSION


def last_rung(facts: CallFacts) -> tuple[str, ...]:
    """The extensions of the last attempt to reach somebody, in order: one, or those that rang together."""
    rung = [
        leg for leg in facts.legs if _of_ours(leg) and leg.role is LegRole.CALLEE and leg.rang_at is not None
    ]
    if not rung:
        return ()
    newest = max(leg.rang_at for leg in rung if leg.rang_at)
    together = [
        leg.party for leg in rung if leg.rang_at and (newest - leg.rang_at).total_seconds() < TOGETHER_SECONDS
    ]
    return tuple(dict.fromkeys(together))


TOGETHER_SECONDS = (
    1.0  # the phones of a group ring within 0.1 s of each other, the next attempt comes after seconds
)


def wait_of(facts: CallFacts) -> Wait:
    """Where the caller of a missed call waited and how long."""
    seconds = (facts.ended_at - facts.started_at).total_seconds() if facts.ended_at else facts.wait_seconds
    rung = last_rung(facts)
    if facts.disposition is Disposition.VOICEMAIL:
        return Wait(Where.VOICEMAIL, rung, seconds)
    if facts.queue is not None:
        return Wait(Where.QUEUE, (facts.queue.name,), seconds)
    if facts.parked:
        return Wait(Where.PARKED, (facts.parked[-1].slot,), seconds)
    if facts.disposition is Disposition.BUSY:
        return Wait(Where.BUSY, rung, seconds)
    if rung:
        return Wait(Where.RANG, rung, seconds)
    return Wait(Where.MENU if facts.disposition is Disposition.ABANDONED else Where.NOWHERE, (), seconds)


@dataclass(frozen=True, slots=True)
class MissedRules:
    """What the office agreed on."""

    deadline_minutes: int = DEADLINE_MINUTES
    """Working minutes from the first missed call; 0: no deadline."""
    remind_minutes: int = REMIND_MINUTES
    """Before the deadline, of working time; 0: no reminder."""
    escalate_minutes: int = ESCALATE_MINUTES
    """After the deadline, of working time."""
    escalates: bool = True
    """Whether it becomes the team's and the supervisors' then."""
    team: str | None = None
    """Whose are the calls for which no phone rang."""


def rules_as_json(rules: MissedRules) -> dict[str, object]:
    """As the office keeps them."""
    return {
        "deadline_minutes": rules.deadline_minutes,
        "remind_minutes": rules.remind_minutes,
        "escalate_minutes": rules.escalate_minutes,
        "escalates": rules.escalates,
        "team": rules.team,
    }


def rules_from_json(told: object) -> MissedRules:
    """The inverse; what is not set or cannot be read is the default."""
    if not isinstance(told, dict):
        return MissedRules()
    plain = MissedRules()

    def number(name: str, default: int) -> int:
        value = told.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default

    team = told.get("team")
    return MissedRules(
        deadline_minutes=number("deadline_minutes", plain.deadline_minutes),
        remind_minutes=number("remind_minutes", plain.remind_minutes),
        escalate_minutes=number("escalate_minutes", plain.escalate_minutes),
        escalates=told.get("escalates") is not False,
        team=team if isinstance(team, str) and team else None,
    )


def shared_team(teams: Sequence[str | None]) -> str | None:
    """The team of several people: the one most of them are in, the first by name of equals; None without any."""
    named = [team for team in teams if team]
    return min(named, key=lambda team: (-named.count(team), team)) if named else None

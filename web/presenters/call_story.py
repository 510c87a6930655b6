"""A call told in plain sentences: facts in, sentences out, oldest first.

The same story stands under the picture on the call page. A sentence is made of parts, so that the page can
set names and numbers apart (their writing direction is their own) while programs read `plain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import assert_never

from telephony.call_facts.facts import (
    CallFacts,
    Certainty,
    Direction,
    Disposition,
    Hold,
    Leg,
    LegOutcome,
    LegRole,
    Parking,
    PartyKind,
    QueueVisit,
    Service,
    State,
    Transfer,
    TransferKind,
    TransferResult,
)
from web.languages.messages import N_, NN_, Phrases, _, ngettext
from web.presenters.labels import Named, Names, duration


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence: `kind` is text, name or number."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing that happened, with the moment it happened at and the icon beside it."""

    at: datetime
    icon: str
    parts: tuple[Part, ...]

    @property
    def plain(self) -> str:
        """The sentence as text."""
        return "".join(part.text for part in self.parts)


def tell(facts: CallFacts, names: Names) -> tuple[Sentence, ...]:
    """The story of the call, oldest sentence first; what happened at the same moment stays in the order of
    causes.
    """
    told = [
        _began(facts, names),
        *_consented(facts),
        *_queued(facts),
        *(s for leg in _conversations(facts) for s in _talked(leg, facts, names)),
        *_unanswered_rings(facts, names),
        *(_held(hold, facts, names) for hold in facts.holds),
        *(s for stay in facts.parked for s in _parked(stay, facts, names)),
        *(_transferred(transfer, facts, names) for transfer in facts.transfers),
        *_paused(facts),
    ]
    told.sort(key=lambda sentence: sentence.at)
    return (*told, *_ended(facts, names), *_rated(facts))


def headline(facts: CallFacts, names: Names) -> Sentence:
    """The whole call in one line, for the top of its page and for the card's 'last conversation'."""
    at = facts.ended_at or facts.started_at
    if not facts.ended:
        return _say(at, "live", _("The call is going on"))
    if facts.talk_seconds > 0 and facts.answered_by:
        parties = _people_of_ours(facts) if facts.direction is Direction.INBOUND else [facts.answered_by]
        with_whom = " → ".join(str(names.party(party, facts)) for party in parties or [facts.answered_by])
        return _say(
            at,
            "talk",
            _("Talked {time} with {who}"),
            time=duration(facts.talk_seconds),
            who=Named(with_whom, None),
        )
    return _say(at, "missed", _outcome_sentence(facts))


def _people_of_ours(facts: CallFacts) -> list[str]:
    ours = [
        leg
        for leg in facts.legs
        if leg.kind is PartyKind.EXTENSION and leg.role is LegRole.CALLEE and leg.talk_seconds > 0
    ]
    ours.sort(key=lambda leg: leg.answered_at or facts.started_at)
    return list(dict.fromkeys(leg.party for leg in ours))


def _began(facts: CallFacts, names: Names) -> Sentence:
    caller = names.caller(facts)
    match facts.direction:
        case Direction.INBOUND if facts.did:
            did = Named(None, names.party(facts.did, facts).number)
            return _say(facts.started_at, "in", _("{who} called {did}"), who=caller, did=did)
        case Direction.INBOUND:
            return _say(facts.started_at, "in", _("{who} called"), who=caller)
        case Direction.OUTBOUND | Direction.INTERNAL:
            icon = "out" if facts.direction is Direction.OUTBOUND else "internal"
            if facts.service:
                return _say(facts.started_at, icon, _SERVICES[facts.service], who=caller, code=_code(facts))
            if not facts.requested:
                return _say(facts.started_at, icon, _("{who} picked up the phone"), who=caller)
            return _say(
                facts.started_at,
                icon,
                _("{who} called {target}"),
                who=caller,
                target=names.party(facts.requested, facts),
            )
        case _:
            assert_never(facts.direction)


_SERVICES: Phrases[Service] = Phrases(
    {
        Service.MAILBOX: N_("{who} listened to voicemail messages"),
        Service.FEATURE_CODE: N_("{who} dialled the feature code {code}"),
    }
)


def _code(facts: CallFacts) -> Named:
    return Named(None, facts.requested or "")


def _queued(facts: CallFacts) -> Iterator[Sentence]:
    visit = facts.queue
    if visit is None:
        return
    yield _say(visit.joined_at, "queue", _("Joined the queue {queue}"), queue=Named(visit.name, None))
    if visit.answered_by and visit.wait_seconds is not None:
        answered = _answer_moment(visit, facts)
        if answered is not None:
            yield _say(answered, "queue", _("Waited {time} in the queue"), time=duration(visit.wait_seconds))


def _answer_moment(visit: QueueVisit, facts: CallFacts) -> datetime | None:
    leg = facts.leg_of(visit.answered_by) if visit.answered_by else None
    return leg.answered_at if leg else None


def _conversations(facts: CallFacts) -> list[Leg]:
    """The legs whose talking makes the story: everybody who was called in, not the one who called."""
    return [leg for leg in facts.legs if leg.role is LegRole.CALLEE and leg.kind is not PartyKind.SERVICE]


def _talked(leg: Leg, facts: CallFacts, names: Names) -> Iterator[Sentence]:
    if leg.answered_at is None:
        return
    who = names.leg(leg, facts)
    rang = (leg.answered_at - leg.rang_at).total_seconds() if leg.rang_at else None
    if rang is not None and rang >= 1:
        yield _say(leg.answered_at, "answer", _("{who} answered after {time}"), who=who, time=duration(rang))
    else:
        yield _say(leg.answered_at, "answer", _("{who} answered"), who=who)
    if leg.ended_at is not None and leg.talk_seconds > 0:
        text = _("Talked {time} with {who}")
        yield _say(leg.ended_at, "talk", text, time=duration(leg.talk_seconds), who=who)


_RING_WORDS: Phrases[LegOutcome] = Phrases(
    {
        LegOutcome.NO_ANSWER: N_("{who} did not answer"),
        LegOutcome.BUSY: N_("{who} was busy"),
        LegOutcome.DECLINED: N_("{who} declined the call"),
        LegOutcome.CANCELLED: N_("{who} did not answer in time"),
        LegOutcome.UNREACHABLE: N_("{who} could not be reached"),
    }
)

_MANY_RINGS: dict[LegOutcome, tuple[str, str]] = {
    LegOutcome.NO_ANSWER: NN_(
        "{n} phone rang without an answer: {who}", "{n} phones rang without an answer: {who}"
    ),
    LegOutcome.BUSY: NN_("{n} was busy: {who}", "{n} were busy: {who}"),
    LegOutcome.DECLINED: NN_("{n} declined: {who}", "{n} declined: {who}"),
    LegOutcome.CANCELLED: NN_(
        "{n} phone rang without an answer: {who}", "{n} phones rang without an answer: {who}"
    ),
    LegOutcome.UNREACHABLE: NN_("{n} could not be reached: {who}", "{n} could not be reached: {who}"),
}


def _unanswered_rings(facts: CallFacts, names: Names) -> Iterator[Sentence]:
    """Who rang in vain, one sentence per outcome; phones that stopped because a colleague answered are no
    news.
    """
    groups: dict[LegOutcome, dict[str, Leg]] = {}
    for leg in _conversations(facts):
        if leg.answered_at is None and leg.outcome is not None and leg.outcome in _RING_WORDS:
            groups.setdefault(leg.outcome, {})[leg.party] = leg
    for outcome, group in groups.items():
        legs = list(group.values())
        at = max((leg.ended_at or leg.rang_at or facts.started_at) for leg in legs)
        if len(legs) == 1:
            yield _say(at, "silent", _RING_WORDS[outcome], who=names.leg(legs[0], facts))
            continue
        everybody = ", ".join(names.leg(leg, facts).first for leg in legs)
        yield _say(
            at,
            "silent",
            ngettext(*_MANY_RINGS[outcome], len(legs)),
            n=str(len(legs)),
            who=Named(everybody, None),
        )


def _held(hold: Hold, facts: CallFacts, names: Names) -> Sentence:
    who = names.party(hold.by, facts)
    return _say(
        hold.at, "hold", _("{who} put the call on hold for {time}"), who=who, time=duration(hold.seconds)
    )


CONSENT_WORDS: Phrases[str] = Phrases(
    {
        "announced": N_("It was announced that the call is recorded"),
        "given": N_("The client agreed to being recorded"),
        "refused": N_("The client did not agree to being recorded"),
    }
)


def _consented(facts: CallFacts) -> Iterator[Sentence]:
    if facts.consent is not None and facts.consent in CONSENT_WORDS:
        yield _say(facts.started_at, "talk", CONSENT_WORDS[facts.consent])


def _paused(facts: CallFacts) -> Iterator[Sentence]:
    """Each pause once, however many recordings it silenced."""
    pauses = {pause.at: pause for one in facts.recorded for pause in one.pauses}
    seen: datetime | None = None
    for at, pause in sorted(pauses.items()):
        if seen is not None and (at - seen).total_seconds() < SAME_PAUSE_SECONDS:
            continue
        seen = at
        if pause.until is None:
            yield _say(at, "hold", _("The recording was paused"))
        else:
            text = _("The recording was paused for {time}")
            yield _say(at, "hold", text, time=duration((pause.until - at).total_seconds()))


SAME_PAUSE_SECONDS = 0.5  # two recordings of a call are silenced one after the other, in milliseconds


def _rated(facts: CallFacts) -> Iterator[Sentence]:
    if facts.rating is not None:
        text = _("The client rated the call {n} out of 5")
        yield _say(facts.ended_at or facts.started_at, "talk", text, n=str(facts.rating))


def _parked(stay: Parking, facts: CallFacts, names: Names) -> Iterator[Sentence]:
    slot = Named(None, stay.slot)
    if stay.by:
        yield _say(
            stay.at, "park", _("{who} parked the call on {slot}"), who=names.party(stay.by, facts), slot=slot
        )
    else:
        yield _say(stay.at, "park", _("The call was parked on {slot}"), slot=slot)
    if stay.retrieved_by and stay.seconds is not None:
        leg = facts.leg_of(stay.retrieved_by)
        at = leg.answered_at if leg and leg.answered_at and leg.answered_at > stay.at else stay.at
        text = _("{who} took it from parking after {time}")
        yield _say(at, "park", text, who=names.party(stay.retrieved_by, facts), time=duration(stay.seconds))
    elif stay.timed_out and stay.seconds is not None:
        yield _say(stay.at, "park", _("Nobody took it within {time}"), time=duration(stay.seconds))


def _transferred(transfer: Transfer, facts: CallFacts, names: Names) -> Sentence:
    by, to = names.party(transfer.by, facts), names.party(transfer.to, facts)
    match transfer.result:
        case TransferResult.FAILED:
            text = _("{by} could not transfer the call to {to}")
        case TransferResult.RETURNED:
            text = _("Transferred to {to}, who did not take it; it came back to {by}")
        case TransferResult.COMPLETED | None if transfer.three_way:
            text = _("{by} brought {to} into the conversation")
        case TransferResult.COMPLETED | None if transfer.kind is TransferKind.ATTENDED:
            text = _("{by} spoke with {to} first, then transferred the call")
        case TransferResult.COMPLETED | None:
            text = _("Transferred to {to} by {by}")
        case _:
            assert_never(transfer.result)
    return _say(transfer.at, "transfer", text, by=by, to=to)


_ENDINGS: Phrases[Disposition] = Phrases(
    {
        Disposition.MISSED: N_("Nobody answered"),
        Disposition.ABANDONED: N_("The caller gave up waiting"),
        Disposition.VOICEMAIL: N_("The caller was sent to voicemail"),
        Disposition.BUSY: N_("The line was busy"),
        Disposition.DECLINED: N_("The call was declined"),
        Disposition.FAILED: N_("The call did not go through"),
        Disposition.NO_ANSWER: N_("Nobody answered"),
    }
)


def _outcome_sentence(facts: CallFacts) -> str:
    if facts.disposition is None:
        return _("The call was not answered")
    return _ENDINGS.get(facts.disposition, _("The call ended"))


def _ended(facts: CallFacts, names: Names) -> Iterator[Sentence]:
    at = facts.ended_at
    if at is None:
        if facts.state is State.UNVERIFIED:
            text = _("The link to the phone system was lost; what happened since is not known yet")
            yield _say(facts.started_at, "unsure", text)
        return
    if facts.disposition in _ENDINGS:
        waited = facts.wait_seconds if facts.wait_seconds is not None else facts.ring_seconds
        if waited is not None and waited >= 1:
            yield (
                _say(at, "missed", _("Nobody answered within {time}"), time=duration(waited))
                if (facts.disposition in (Disposition.MISSED, Disposition.NO_ANSWER))
                else _say(at, "missed", _outcome_sentence(facts))
            )
        else:
            yield _say(at, "missed", _outcome_sentence(facts))
    elif facts.disposition is None:
        yield _say(at, "missed", _("The call was not answered; the phone system did not keep why"))
    elif facts.ended_by:
        yield _say(at, "end", _("{who} hung up"), who=_who_ended(facts, names))
    else:
        yield _say(at, "end", _("The call ended"))
    match facts.certainty:
        case Certainty.RECONSTRUCTED:
            yield _say(at, "unsure", _("Told afterwards from the phone system's own records"))
        case Certainty.BOUNDED:
            yield _say(at, "unsure", _("The end was not seen: it happened at this time or a little earlier"))
        case Certainty.OBSERVED:
            pass
        case _:
            assert_never(facts.certainty)


def _who_ended(facts: CallFacts, names: Names) -> Named:
    if facts.ended_by == "caller":
        return names.caller(facts)
    if facts.ended_by in ("callee", None):
        party = facts.final_party or facts.answered_by
        return names.party(party, facts) if party else Named(_("The other side"), None)
    return names.party(facts.ended_by, facts)


def _say(at: datetime, icon: str, text: str, **values: str | Named) -> Sentence:
    """Fill `{placeholders}`: plain strings stay text, a Named becomes a name and a number part."""
    parts: list[Part] = []
    for literal, field, _spec, _conversion in Formatter().parse(text):
        if literal:
            parts.append(Part("text", literal))
        if field is not None:
            parts.extend(_value(values[field]))
    return Sentence(at, icon, tuple(parts))


def _value(value: str | Named) -> Iterator[Part]:
    if isinstance(value, str):
        yield Part("text", value)
    elif value.name and value.number:
        yield Part("name", value.name)
        yield Part("text", " (")
        yield Part("number", value.number)
        yield Part("text", ")")
    elif value.number:
        yield Part("number", value.number)
    else:
        yield Part("name", value.first)

"""What a call that has ended means for one connection: which deliveries, in which order. Pure.

One entry per call, whoever took part: on the person who was in the conversation at its end, with the seconds of talk,
and with what a CRM has no fields for (transfers, who rang, a queue) in words. Planning the same call again gives
deliveries with the same keys, so a call whose facts are told again is not delivered again.

Not planned, so that nobody is asked about them: internal calls, consultations, calls of before the connection was made,
and calls without a number, but for a receiver that takes everything (webhooks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from crm_sync.adapters.base import Capabilities, RecordingTransfer
from crm_sync.delivery import Delivery
from crm_sync.operations import CallLog, Operation, OperationKind, Recording, get_phone_tail
from telephony.call_facts.facts import (
    CallFacts,
    Direction,
    Disposition,
    PartyKind,
    Transfer,
    TransferResult,
    outside_of,
)

LATE = timedelta(minutes=15)  # such a call is history: no chat message, and calls of now go first
LEAD_DIGITS = range(7, 16)  # a shorter number is a service's, a longer one is no number (E.164)
RECORDING_NAME = "recording"

SEQUENCE: Mapping[OperationKind, int] = MappingProxyType(
    {kind: 10 * position for position, kind in enumerate(OperationKind)}
)
"""Order within a lane: that in which a call needs the operations."""


@dataclass(frozen=True, slots=True)
class PlanningRules:
    """What one connection wants."""

    connection: str
    capabilities: Capabilities
    connected_at: datetime
    """Calls that ended before are left alone."""
    user_ids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Extension to user in the CRM."""
    staff_user_ids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The same by the Staff page, below what the connection itself says."""
    fallback_user_id: str | None = None
    own_numbers: frozenset[str] = frozenset()
    """Tails of our numbers; empty: all. Outbound calls then count by their extension, which must be mapped."""
    creates_leads: bool = True
    public_url: str | None = None
    """Of our pages, for links to a call."""


def plan_call(facts: CallFacts, rules: PlanningRules, now: datetime) -> tuple[Delivery, ...]:
    """The deliveries of a call that has ended; none where the connection does not want it."""
    if not is_wanted(facts, rules):
        return ()
    log = build_log(facts, rules, now)
    operations = []
    if _needs_lead(log, rules):
        operations.append(Operation(OperationKind.CREATE_LEAD, log))
    if rules.capabilities.can_execute(OperationKind.OPEN_CALL) and not rules.capabilities.is_write_only:
        operations.append(Operation(OperationKind.OPEN_CALL, log))
    operations.append(Operation(OperationKind.CLOSE_CALL, log, _find_link(facts, rules)))
    return tuple(_deliver(operation, rules, now) for operation in operations)


def plan_recording(facts: CallFacts, rules: PlanningRules, now: datetime) -> tuple[Delivery, ...]:
    """What follows, once the recording can be heard, for a call that was planned before."""
    link = build_call_link(facts, rules)
    if not wants_recording(facts, rules) or link is None:
        return ()
    recording = Recording(RECORDING_NAME, link=link)
    operation = Operation(OperationKind.ATTACH_RECORDING, build_log(facts, rules, now), recording)
    return (_deliver(operation, rules, now),)


def plan_note(facts: CallFacts, rules: PlanningRules, text: str, now: datetime) -> tuple[Delivery, ...]:
    """What people typed about a call that was planned before, as it stood some minutes after it."""
    if not rules.capabilities.can_execute(OperationKind.ADD_NOTE):
        return ()
    return (_deliver(Operation(OperationKind.ADD_NOTE, build_log(facts, rules, now), text=text), rules, now),)


def wants_recording(facts: CallFacts, rules: PlanningRules) -> bool:
    """Whether the connection is to be told when the call's recording can be heard."""
    can_attach = rules.capabilities.can_execute(OperationKind.ATTACH_RECORDING)
    return can_attach and bool(facts.recordings) and rules.public_url is not None


def is_wanted(facts: CallFacts, rules: PlanningRules) -> bool:
    """Whether the connection takes this call."""
    if not facts.ended or facts.direction is Direction.INTERNAL or facts.consultation_of is not None:
        return False
    if (facts.ended_at or facts.started_at) < rules.connected_at:
        return False
    if outside_of(facts).number is None and not rules.capabilities.is_write_only:
        return False
    if not rules.own_numbers:
        return True
    if facts.direction is Direction.OUTBOUND:
        return (facts.caller.number or "") in rules.user_ids
    return get_phone_tail(facts.did or "") in rules.own_numbers


def build_log(facts: CallFacts, rules: PlanningRules, now: datetime) -> CallLog:
    """The call as a CRM logs it."""
    extension = find_extension(facts)
    return CallLog(
        call_id=facts.id,
        direction=facts.direction,
        phone=outside_of(facts).number,
        started_at=facts.started_at,
        did=facts.did,
        extension=extension,
        user_id=find_user(extension, rules),
        answered_at=facts.answered_at,
        duration_seconds=round(facts.talk_seconds),
        disposition=facts.disposition,
        summary=build_summary(facts, rules),
        is_backfill=now - (facts.ended_at or facts.started_at) > LATE,
    )


def find_extension(facts: CallFacts) -> str | None:
    """Who was in the conversation at its end; of a call that was passed on outside, who talked last; of one that
    nobody took, who should have."""
    ours = [leg for leg in facts.legs if leg.kind is PartyKind.EXTENSION]
    parties = {leg.party for leg in ours}
    if facts.final_party in parties:
        return facts.final_party
    talked = [leg for leg in ours if leg.talk_seconds > 0 and leg.answered_at is not None]
    if talked:
        return max(talked, key=lambda leg: leg.answered_at or facts.started_at).party
    if facts.direction is Direction.OUTBOUND:
        return facts.caller.number
    if facts.missed_by:
        return facts.missed_by[0]
    return facts.requested if facts.requested in parties else None


def find_user(extension: str | None, rules: PlanningRules) -> str | None:
    """Whose user in the CRM an extension is."""
    mapped = {**rules.staff_user_ids, **rules.user_ids}
    return mapped.get(extension or "", rules.fallback_user_id)


def build_summary(facts: CallFacts, rules: PlanningRules) -> str:
    """What the CRM's own fields cannot say, in words."""
    sentences = [_describe_outcome(facts)]
    if facts.queue is not None:
        waited = f", waited {describe_seconds(facts.queue.wait_seconds or 0)}"
        sentences.append(f"Queue {facts.queue.name}{waited if facts.queue.wait_seconds else ''}")
    sentences += [_describe_transfer(facts, transfer) for transfer in facts.transfers]
    first = facts.caller.number if facts.direction is Direction.OUTBOUND else facts.answered_by
    if facts.final_party and first and facts.final_party != first:
        sentences.append(f"Ended with {_name_party(facts, facts.final_party)}")
    if facts.hold_seconds >= 1:
        sentences.append(f"On hold {describe_seconds(facts.hold_seconds)}")
    link = build_call_link(facts, rules)
    return ". ".join(filter(None, sentences)) + "." + (f" {link}" if link else "")


def build_call_link(facts: CallFacts, rules: PlanningRules) -> str | None:
    """The call's page of ours, behind our login; None where our address is not configured."""
    return f"{rules.public_url.rstrip('/')}/calls/{facts.id}" if rules.public_url else None


def describe_seconds(seconds: float) -> str:
    """`2:05`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


OUTCOMES: Mapping[Disposition | None, str] = MappingProxyType(
    {
        Disposition.ANSWERED: "Answered",
        Disposition.MISSED: "Missed",
        Disposition.ABANDONED: "The caller left before anybody answered",
        Disposition.VOICEMAIL: "Voicemail",
        Disposition.BUSY: "Busy",
        Disposition.DECLINED: "Declined",
        Disposition.FAILED: "Could not be connected",
        Disposition.NO_ANSWER: "No answer",
        None: "Not answered",
    }
)


def _describe_outcome(facts: CallFacts) -> str:
    outcome = OUTCOMES[facts.disposition]
    if facts.direction is Direction.OUTBOUND:
        return f"{outcome}. Called by {_name_party(facts, facts.caller.number or '')}"
    if facts.answered_by:
        return f"{outcome} by {_name_party(facts, facts.answered_by)}"
    rang = ", ".join(_name_party(facts, party) for party in facts.missed_by)
    return f"{outcome}. Rang {rang}" if rang else outcome


def _describe_transfer(facts: CallFacts, transfer: Transfer) -> str:
    target = _name_party(facts, transfer.to) if transfer.to else "somebody"
    sentence = f"{_name_party(facts, transfer.by)} transferred to {target}"
    match transfer.result:
        case TransferResult.RETURNED:
            return f"{sentence}, who did not take it"
        case TransferResult.FAILED:
            return f"{sentence} in vain"
        case _:
            return sentence


def _name_party(facts: CallFacts, party: str) -> str:
    leg = facts.leg_of(party)
    return f"{leg.name} ({party})" if leg is not None and leg.name else party


def _needs_lead(log: CallLog, rules: PlanningRules) -> bool:
    """Somebody who called and whom the CRM may not know. Whoever has the number already is found instead."""
    capabilities = rules.capabilities
    can_create = (
        capabilities.can_execute(OperationKind.CREATE_LEAD) and not capabilities.creates_lead_with_call
    )
    phone = log.phone or ""
    is_number = phone.startswith("+") and len(phone) - 1 in LEAD_DIGITS
    return rules.creates_leads and can_create and is_number and log.direction is Direction.INBOUND


def _find_link(facts: CallFacts, rules: PlanningRules) -> Recording | None:
    """A CRM that takes a link with the entry gets it at once: nothing can be added to the entry later."""
    takes_link = rules.capabilities.recording is RecordingTransfer.LINK
    link = build_call_link(facts, rules)
    return Recording(RECORDING_NAME, link=link) if takes_link and link and facts.recordings else None


def _deliver(operation: Operation, rules: PlanningRules, now: datetime) -> Delivery:
    return Delivery(rules.connection, operation, SEQUENCE[operation.kind], created_at=now, due_at=now)

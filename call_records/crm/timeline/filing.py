"""A call takes its place: on the timeline of whoever it was with, and, where the lead rules say so, on that of a new lead.

One step of the way into the book (`call_worker.py`), run for every newer state of a call and leading to the same book each
time. All of it happens under a lock on the outside number, taken before the book is asked who has it:

- a call of somebody known is on their timeline as soon as it rings; of a stranger only once a rule has made something;
- a place once taken is kept, and one that a person gave is never touched; only when the number itself turns out to be
  another one does the call move;
- the rules are asked once for each outcome. What they said is kept (`call_rulings`), so that a call which is told again
  makes nothing again, even when somebody has removed what it made;
- when the outcome is corrected afterwards (missed, and the event log knows that somebody answered), what was made is put
  right, or taken back, as long as nobody has touched it; what a person has worked with stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, cast, delete, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.call_worker import Step
from call_records.crm.contacts.lookup import entry, find
from call_records.crm.last_contact import file_earlier_calls, tell_spoken, tell_spoken_of_deals
from call_records.crm.lead_rules import blocklist
from call_records.crm.lead_rules.apply import Asked, Made, Who, carry_out, decide
from call_records.crm.lead_rules.corrections import put_right, ruling_values, take_back
from call_records.crm.lead_rules.types import Verdict
from call_records.crm.tables import call_rulings, timeline
from call_records.crm.types import ClientPhone
from call_records.crm.writes import Home, Told, lock_number, notice, tell
from call_records.db import json_text
from telephony.call_facts.facts import CallFacts, Direction, outside_of
from telephony.contacts import LeadState, Match
from telephony.lead_rules import (
    Known,
    Making,
    Outcome,
    Refusal,
    decided_at,
    first_rung,
    first_talker,
    outcome_of,
)

OTHERS_MOST = 20  # entries told of as "others with this number"; a chooser with more is no chooser


def filing(home: Home) -> Step:
    """The step, for an office that writes numbers so."""
    return partial(file_call, home=home)


async def file_call(connection: AsyncConnection, facts: CallFacts, *, home: Home) -> None:
    """Put the call where it belongs and let the rules speak once its outcome is known."""
    number = outside_of(facts).number
    key = key_of(number, home)
    before = await _before(connection, facts.id)
    for each in sorted({one for one in (key, before.key(home), before.ruled_key) if one}):
        await lock_number(connection, each)
    before = await _before(connection, facts.id)  # as it is now that nobody else files calls of these numbers
    was_blocked = before.ruling is not None and before.ruling.refusal == Refusal.BLOCKED
    if before.ruling and before.ruled_key != key:
        await take_back(connection, before.ruling)
        before = await _before(connection, facts.id)
    if number is None or key is None:
        await _forget_place(connection, before.row)
        return
    outcome = outcome_of(facts)
    asked = _asked(facts, number, key, outcome) if outcome else None
    if asked and before.ruling and await put_right(connection, asked, before.ruling, home=home):
        before = await _before(connection, facts.id)
    who = await _placed(connection, facts, number, key, before, home)
    if asked and before.ruling is None:
        await _rule(connection, facts, asked, who, home, was_blocked=was_blocked)
    if outcome is not None:
        await _spoken(connection, facts)
    await notice(connection, "call", facts.id)


def key_of(number: str | None, home: Home) -> str | None:
    """What an outside number is known by; None when there is none, or several in one."""
    found = home.written(number) if number else ()
    return found[0].key if len(found) == 1 else None


def _asked(facts: CallFacts, number: str, key: str, outcome: Outcome) -> Asked:
    return Asked(
        number=number,
        key=key,
        outcome=outcome,
        at=decided_at(facts, outcome),
        began_at=facts.started_at,
        did=facts.did,
        name=facts.caller.name if facts.direction is Direction.INBOUND else None,
        talker=first_talker(facts),
        rung=first_rung(facts),
        call_id=facts.id,
    )


# -- what is there already --


@dataclass(frozen=True, slots=True)
class _Before:
    """What an earlier state of the call has led to."""

    row: Row[Any] | None
    """Its place on a timeline."""
    ruling: Row[Any] | None

    def key(self, home: Home) -> str | None:
        """The number it was filed by; not every way to a timeline writes it down."""
        if self.row is None:
            return None
        told: str | None = self.row.data.get("key")
        return told or key_of(self.row.data.get("asked"), home)

    @property
    def ruled_key(self) -> str | None:
        told: str | None = self.ruling.key if self.ruling else None
        return told


async def _before(connection: AsyncConnection, call_id: UUID) -> _Before:
    place = select(timeline).where(timeline.c.call_id == call_id, timeline.c.kind == "call")
    ruling = select(call_rulings).where(call_rulings.c.call_id == call_id)
    return _Before(
        (await connection.execute(place)).one_or_none(), (await connection.execute(ruling)).one_or_none()
    )


async def _forget_place(connection: AsyncConnection, row: Row[Any] | None) -> None:
    if row is not None and not row.data.get("by_hand"):
        await connection.execute(delete(timeline).where(timeline.c.id == row.id))
        if row.client_id is not None:
            await tell_spoken(connection, [row.client_id])
            await notice(connection, "client", row.client_id)


# -- its place --


async def _placed(
    connection: AsyncConnection, facts: CallFacts, number: str, key: str, before: _Before, home: Home
) -> Who | None:
    """Where the call is now and whom that makes the caller; None: a person said that it belongs to nobody."""
    row = before.row
    if row is not None and row.data.get("by_hand"):
        found = await entry(connection, row.client_id) if row.client_id else None
        return Who(found) if found else None
    if row is not None and before.key(home) == key and row.client_id is not None:
        return Who(
            await entry(connection, row.client_id)
        )  # of a removed entry it keeps its place: that can be undone
    await _forget_place(connection, row)
    match = await find(connection, key)
    found = await entry(connection, match.chosen.id) if match.chosen else None
    if found is not None:
        why = why_of(match, number, key)
        if found.state is LeadState.REJECTED:
            why["turned_down"] = True
        await place_call(connection, facts, found.id, found.deal_id, why)
    return Who(found, several=found is None and match.known)


def why_of(match: Match, number: str, key: str) -> dict[str, Any]:
    """Why a call is where it is, as its entry on the timeline keeps it."""
    chosen = match.chosen
    return {
        "key": key,
        "asked": json_text.clean(number),
        "rule": match.rule.value if match.rule else None,
        "field": chosen.field if chosen else None,
        "written": chosen.written if chosen else None,
        "others": [{"id": str(one.id), "name": one.name} for one in match.others[:OTHERS_MOST]],
    }


async def place_call(
    connection: AsyncConnection,
    facts: CallFacts,
    client_id: UUID,
    deal_id: UUID | None,
    data: Mapping[str, Any],
) -> None:
    """Put a call that has no place yet on a timeline."""
    told = Told("call", facts.started_at, client_id, deal_id, call_id=facts.id, data=data)
    await tell(connection, told)
    await notice(connection, "client", client_id)


async def _spoken(connection: AsyncConnection, facts: CallFacts) -> None:
    """Somebody of ours has talked with them, or has not after all."""
    place = (await _before(connection, facts.id)).row
    if place is not None and place.client_id is not None:
        whose = await entry(connection, place.client_id)
        await tell_spoken(connection, {place.client_id, whose.id if whose else place.client_id})
    if place is not None and place.deal_id is not None:
        await tell_spoken_of_deals(connection, [place.deal_id])


# -- the rules --


async def _rule(
    connection: AsyncConnection,
    facts: CallFacts,
    asked: Asked,
    who: Who | None,
    home: Home,
    *,
    was_blocked: bool,
) -> None:
    """Ask the rules, carry out what they say, and remember it."""
    if who is None:
        verdict, made = Verdict(Known.UNKNOWN, Making.NOTHING, Refusal.NOBODY), Made()
    else:
        verdict = await decide(connection, asked, who, home=home)
        made = await carry_out(connection, asked, who, verdict, home=home)
    if verdict.blocked_by and not was_blocked:
        await blocklist.count(connection, verdict.blocked_by, facts.started_at)
    if made.client_id is not None:
        await _forget_place(connection, (await _before(connection, facts.id)).row)
        why = {
            "key": asked.key,
            "asked": json_text.clean(asked.number),
            "rule": "only",
            "field": "",
            "written": asked.key,
            "others": [],
            "made": verdict.making.value,
        }
        await place_call(connection, facts, made.client_id, made.deal_id, why)
        phone = ClientPhone(asked.number, asked.key)
        await file_earlier_calls(connection, made.client_id, [phone])  # those no rule made anything of
    elif made.deal_id is not None:
        place = (timeline.c.call_id == facts.id) & (timeline.c.kind == "call")
        also = timeline.c.data.concat(cast({"made": "deal"}, JSONB))
        await connection.execute(update(timeline).where(place).values(deal_id=made.deal_id, data=also))
    values = {
        **ruling_values(asked, verdict),
        "client_id": made.client_id,
        "deal_id": made.deal_id,
        "task_id": made.task_id,
    }
    await connection.execute(insert(call_rulings).values(call_id=facts.id, **values))

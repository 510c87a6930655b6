"""When a call turns out to have been otherwise than it was told first: what was made of it is put right or taken back.

Only what nobody has worked with: an entry that was edited, got a note, a task, a deal or another call is a person's by
now, and stays as it is. A rule never takes anything away from people.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.lead_rules.apply import Asked, Who, decide, person_at, rule_from, rule_row, take_turn
from call_records.crm.lead_rules.types import Verdict
from call_records.crm.tables import call_rulings, clients, deals, tasks, timeline
from call_records.crm.types import NewTask
from call_records.crm.writes import Home, insert_task, notice
from telephony.lead_rules import Known, Making, OwnerRule

Ruling = Row[Any]


async def untouched(connection: AsyncConnection, ruling: Ruling, *, alone: bool) -> bool:
    """Whether nobody has worked with what this ruling made; with `alone` also whether no other call is with it."""
    made_entry = ruling.made in (Making.LEAD, Making.CONTACT) or (
        ruling.made == Making.DEAL and ruling.known == Known.UNKNOWN
    )
    if (made_entry and ruling.client_id is None) or (ruling.made == Making.DEAL and ruling.deal_id is None):
        return False  # somebody removed it for good
    what = {
        "client": ruling.client_id,
        "deal": ruling.deal_id,
        "task": ruling.task_id,
        "call": ruling.call_id,
    }
    if await connection.scalar(_WORKED_WITH, what):
        return False
    return not (alone and await connection.scalar(_OTHER_CALLS, what))


_WORKED_WITH = text("""
    SELECT EXISTS (
        SELECT 1 FROM clients WHERE id = CAST(:client AS uuid) AND (version > 1 OR merged_into IS NOT NULL
            OR became_id IS NOT NULL OR removed_at IS NOT NULL OR state <> 'open')
        UNION ALL SELECT 1 FROM clients WHERE CAST(:client AS uuid) IN (merged_into, became_id, company_id)
        UNION ALL SELECT 1 FROM deals WHERE id = CAST(:deal AS uuid) AND (version > 1 OR removed_at IS NOT NULL)
        UNION ALL SELECT 1 FROM deals WHERE CAST(:client AS uuid) IN (contact_id, company_id)
            AND id IS DISTINCT FROM CAST(:deal AS uuid)
        UNION ALL SELECT 1 FROM tasks WHERE id = CAST(:task AS uuid) AND done_at IS NOT NULL
        UNION ALL SELECT 1 FROM tasks WHERE (client_id = CAST(:client AS uuid) OR deal_id = CAST(:deal AS uuid))
            AND id IS DISTINCT FROM CAST(:task AS uuid)
        UNION ALL SELECT 1 FROM timeline WHERE (client_id = CAST(:client AS uuid) OR deal_id = CAST(:deal AS uuid))
            AND kind NOT IN ('made', 'call', 'task'))
""")
_OTHER_CALLS = text("""
    SELECT EXISTS (SELECT 1 FROM timeline
        WHERE (client_id = CAST(:client AS uuid) OR deal_id = CAST(:deal AS uuid)) AND kind = 'call'
            AND call_id IS DISTINCT FROM CAST(:call AS uuid))
""")


async def take_back(connection: AsyncConnection, ruling: Ruling) -> None:
    """Forget the ruling, and what it made as far as nobody has touched it."""
    if await untouched(connection, ruling, alone=True):
        await _unmake(connection, ruling)
    await connection.execute(delete(call_rulings).where(call_rulings.c.call_id == ruling.call_id))


async def _unmake(connection: AsyncConnection, ruling: Ruling) -> None:
    if ruling.task_id is not None:
        await connection.execute(delete(tasks).where(tasks.c.id == ruling.task_id))
    if ruling.deal_id is not None:
        made_of_it = (timeline.c.deal_id == ruling.deal_id) & (timeline.c.kind == "made")
        await connection.execute(delete(timeline).where(made_of_it))
        await connection.execute(
            update(timeline)
            .where(timeline.c.deal_id == ruling.deal_id)
            .values(data=timeline.c.data.op("-")("made"), deal_id=None)
        )
        await connection.execute(delete(deals).where(deals.c.id == ruling.deal_id))
        await notice(connection, "deal", ruling.deal_id)
    if ruling.client_id is not None:
        await connection.execute(delete(clients).where(clients.c.id == ruling.client_id))
        await notice(connection, "client", ruling.client_id)


async def put_right(connection: AsyncConnection, asked: Asked, ruling: Ruling, *, home: Home) -> bool:
    """Compare what was ruled with what is known now. True: it was taken back, and the rules must be asked anew."""
    if ruling.outcome == asked.outcome.value:
        await _by_another_phone(connection, asked, ruling)
        return False
    if ruling.client_id is not None and await untouched(connection, ruling, alone=False):
        verdict = await decide(connection, asked, Who(), home=home)
        if verdict.making.value == ruling.made and verdict.making is not Making.DEAL:
            await _make_it_like(connection, asked, ruling, verdict)
            return False
    if not await untouched(connection, ruling, alone=True):
        await _note(connection, ruling, outcome=asked.outcome.value)
        return False
    await take_back(connection, ruling)
    return True


async def _by_another_phone(connection: AsyncConnection, asked: Asked, ruling: Ruling) -> None:
    """The same outcome, and somebody else talked or rang first than was known then: it is theirs."""
    if ruling.line is None:
        return
    owner = rule_from(ruling.line).owner
    phones = {OwnerRule.ANSWERED_BY: asked.talker, OwnerRule.FIRST_RUNG: asked.rung}
    if owner not in phones or phones[owner] == ruling.line["extension"]:
        return
    if await untouched(connection, ruling, alone=False):
        person = await person_at(connection, phones[owner])
        await _give(connection, ruling, person)
        line = {**ruling.line, "extension": phones[owner]}
        await _note(connection, ruling, line=line, owner_id=person)


async def _make_it_like(connection: AsyncConnection, asked: Asked, ruling: Ruling, verdict: Verdict) -> None:
    """The same kind of entry, under another line: its owner and its task follow that line; its address stays."""
    if ruling.task_id is not None:
        await connection.execute(delete(tasks).where(tasks.c.id == ruling.task_id))
    await _give(connection, ruling, verdict.owner_id)
    task_id = None
    if verdict.task:
        new = NewTask(
            verdict.task,
            due_at=verdict.due_at,
            client_id=ruling.client_id,
            call_id=ruling.call_id,
            owner_id=verdict.owner_id,
        )
        task_id = await insert_task(connection, new, by=None, at=asked.at)
    await take_turn(connection, verdict)
    await _note(connection, ruling, **ruling_values(asked, verdict), task_id=task_id)


async def _give(connection: AsyncConnection, ruling: Ruling, person: UUID | None) -> None:
    for table, which in ((clients, ruling.client_id), (deals, ruling.deal_id), (tasks, ruling.task_id)):
        if which is not None:
            await connection.execute(update(table).where(table.c.id == which).values(owner_id=person))
    if ruling.client_id is not None:
        await notice(connection, "client", ruling.client_id)


async def _note(connection: AsyncConnection, ruling: Ruling, **values: Any) -> None:
    mine = call_rulings.c.call_id == ruling.call_id
    await connection.execute(update(call_rulings).where(mine).values(**values))


def ruling_values(asked: Asked, verdict: Verdict) -> dict[str, Any]:
    """What is remembered of a verdict."""
    line = None
    if verdict.line is not None:
        plain = rule_row(verdict.line).items()
        line = {name: str(one) if isinstance(one, UUID) else one for name, one in plain}
        line["extension"] = verdict.extension
    return {
        "key": asked.key,
        "did": asked.did,
        "at": asked.began_at,
        "outcome": asked.outcome.value,
        "known": verdict.known.value,
        "refusal": verdict.refusal and verdict.refusal.value,
        "line": line,
        "made": verdict.making.value,
        "owner_id": verdict.owner_id,
    }

"""From the journal's outbox to lanes: which ended calls are to be delivered, in the transaction that settles the duty.

What a call means for a CRM is planned elsewhere (`crm_sync.planner`), handed in as a function of the call's facts. Its
deliveries and the mark that the call was planned are committed together: a process that is killed in the middle leaves
nothing, and a call whose facts are told again is planned again, which adds nothing.

A call that turned out to be another one (it was absorbed) must not reach a CRM twice. Where nothing of it was sent yet,
its lane goes and the survivor is delivered; where something was, the CRM has the call, and the survivor is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Text, Uuid

from call_records.db.errors import plain_errors
from call_records.db.tables import calls, outbox
from call_records.deliveries.lanes import DeliveryRow, insert_deliveries
from call_records.deliveries.tables import crm_lanes
from telephony.call_facts.facts import CallFacts, facts_from_json

log = structlog.get_logger(__name__)

AT_ONCE = 20  # calls in one transaction
NOTE_QUIET = timedelta(minutes=3)  # after the call and after the last key: whoever typed has gone on
NOTE_WITHIN = timedelta(days=1)  # a note on an older call stays here
TRY_AGAIN = timedelta(minutes=10)  # a call that could not be planned: a mistake of ours, mended by an update


@dataclass(frozen=True, slots=True)
class CallToPlan:
    """One call that has ended."""

    facts: CallFacts
    delivered_elsewhere: Collection[str]
    """Connections whose CRM has it already, under the id of a call that turned out to be this one."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """What it means for the CRMs."""

    deliveries: Sequence[DeliveryRow]
    awaiting_recording: Collection[str] = ()
    """Connections that are to be told of its recording once that is ready."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A delivered call whose recordings are all settled, at least one of them ready."""

    connection: str
    facts: CallFacts
    recording: str
    """The name of its longest recording."""


@dataclass(frozen=True, slots=True)
class NotedCall:
    """A delivered call about which somebody typed something, and has stopped typing."""

    connection: str
    facts: CallFacts
    text: str
    """Of all authors, oldest first, each with their name."""


PlanCall = Callable[[CallToPlan], PlannedCall]
PlanRecording = Callable[[RecordedCall], Iterable[DeliveryRow]]
PlanNote = Callable[[NotedCall], Iterable[DeliveryRow]]


class PlanningTable:
    """What is to be planned in one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.failures = 0
        """Calls that could not be planned; for the metrics."""

    async def plan_ended_calls(self, plan: PlanCall) -> int:
        """Plan some; returns how many were looked at. Raises TryLater."""
        faults: dict[UUID, Exception] = {}
        with plain_errors():
            async with self._engine.begin() as connection:
                duties = (await connection.execute(_DUTIES, {"most": AT_ONCE})).all()
                ended = {duty.call_id: duty.id for duty in duties}  # the newest of each
                elsewhere = await _settle_absorbed(connection, list(ended))
                facts = await _read_facts(connection, list(ended))
                for call_id, duty_id in ended.items():
                    values: dict[str, Any] = {"state": "done"}
                    planned = _plan(facts.get(call_id), elsewhere.get(call_id, ()), plan)
                    if isinstance(planned, PlannedCall):
                        await _add(connection, call_id, planned)
                    else:
                        faults[call_id] = planned
                        values = {"due_at": func.now() + TRY_AGAIN, "reason": "It could not be planned."}
                    settled = (outbox.c.call_id == call_id) & (outbox.c.id <= duty_id)
                    await connection.execute(update(outbox).where(settled).values(values))
        # Not within the transaction: writing a traceback takes long on a busy machine, and others wait for its rows.
        for call_id, fault in faults.items():
            self.failures += 1
            log.error("call_not_planned", call_id=str(call_id), exc_info=fault)
        return len(ended)

    async def list_staff_users(self) -> dict[str, str]:
        """Extension to user in the CRM, as the Staff page has them. Raises TryLater."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return {row.extension: row.crm_user for row in await connection.execute(_STAFF_USERS)}

    async def plan_recordings(self, plan: PlanRecording) -> int:
        """Calls whose recordings are settled now; returns how many were looked at. Raises TryLater."""
        with plain_errors():
            async with self._engine.begin() as connection:
                rows = (await connection.execute(_RECORDED, {"most": AT_ONCE})).all()
                facts = await _read_facts(connection, {row.call_id for row in rows})
                for row in rows:
                    if row.name is not None and row.call_id in facts:
                        call = facts_from_json(facts[row.call_id])  # it was planned before
                        rows_of_call = list(plan(RecordedCall(row.connection, call, row.name)))
                        await insert_deliveries(connection, rows_of_call)
                    own = (crm_lanes.c.connection == row.connection) & (crm_lanes.c.call_id == row.call_id)
                    await connection.execute(update(crm_lanes).where(own).values(awaits_recording=False))
                return len(rows)

    async def plan_notes(self, names: Collection[str], plan: PlanNote) -> int:
        """Calls of these connections whose notes are to be delivered now; returns how many. Raises TryLater."""
        values = {"names": list(names), "most": AT_ONCE, "quiet": NOTE_QUIET, "within": NOTE_WITHIN}
        with plain_errors():
            async with self._engine.begin() as connection:
                rows = (await connection.execute(_NOTED, values)).all()
                facts = await _read_facts(connection, {row.call_id for row in rows})
                planned = 0
                for row in rows:
                    call = facts_from_json(facts[row.call_id])  # it was planned before
                    rows_of_call = list(plan(NotedCall(row.connection, call, row.text)))
                    await insert_deliveries(connection, rows_of_call)
                    planned += bool(rows_of_call)
                return planned


def _plan(
    facts: Mapping[str, Any] | None, elsewhere: Collection[str], plan: PlanCall
) -> PlannedCall | Exception:
    """The fault of a call that we cannot digest: it keeps no other from being delivered."""
    if facts is None:
        return PlannedCall(())
    try:
        return plan(CallToPlan(facts_from_json(dict(facts)), elsewhere))
    except Exception as fault:
        return fault


async def _add(connection: AsyncConnection, call_id: UUID, planned: PlannedCall) -> None:
    await insert_deliveries(connection, planned.deliveries)
    for name in planned.awaiting_recording:
        own = (crm_lanes.c.connection == name) & (crm_lanes.c.call_id == call_id)
        await connection.execute(update(crm_lanes).where(own).values(awaits_recording=True))


async def _read_facts(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, dict[str, Any]]:
    wanted = select(calls.c.id, calls.c.facts).where(calls.c.id.in_(list(ids)))
    return {row.id: row.facts for row in await connection.execute(wanted)}


async def _settle_absorbed(connection: AsyncConnection, ids: list[UUID]) -> dict[UUID, set[str]]:
    """The connections whose CRM has one of these calls under an absorbed id; lanes of which nothing was sent go."""
    await connection.execute(_FORGET_UNSENT, {"ids": ids})
    elsewhere: dict[UUID, set[str]] = {}
    for row in await connection.execute(_ELSEWHERE, {"ids": ids}):
        elsewhere.setdefault(row.call_id, set()).add(row.connection)
    return elsewhere


_IDS = bindparam("ids", type_=ARRAY(Uuid))
_DUTIES = text("""
    SELECT id, call_id FROM outbox WHERE kind = 'call_ended' AND state <> 'done' AND due_at <= now()
    ORDER BY due_at, id LIMIT :most FOR UPDATE SKIP LOCKED
""")
_FORGET_UNSENT = text("""
    DELETE FROM crm_lanes l USING call_redirects r
    WHERE r.new_id = ANY(:ids) AND l.call_id = r.old_id
        AND (l.leased_until IS NULL OR l.leased_until <= clock_timestamp())
        AND NOT EXISTS (
            SELECT 1 FROM crm_deliveries d WHERE d.connection = l.connection AND d.call_id = l.call_id
                AND (d.state <> 'queued' OR d.content->>'attempts' <> '0'))
""").bindparams(_IDS)
_ELSEWHERE = (
    text("""
    SELECT DISTINCT r.new_id AS call_id, l.connection FROM call_redirects r JOIN crm_lanes l ON l.call_id = r.old_id
    WHERE r.new_id = ANY(:ids)
""")
    .bindparams(_IDS)
    .columns(call_id=Uuid)
)
_STAFF_USERS = text("""
    SELECT e.extension, p.crm_user FROM extensions e JOIN people p ON p.id = e.person_id
    WHERE p.crm_user IS NOT NULL AND p.left_at IS NULL AND e.gone_at IS NULL
""")
_NOTED = text("""
    SELECT l.connection, l.call_id, (
        SELECT string_agg(a.name || ': ' || n.text, E'\\n' ORDER BY n.updated_at, n.account_id)
        FROM notes n JOIN accounts a ON a.id = n.account_id WHERE n.call_id = l.call_id) AS text
    FROM crm_lanes l
    WHERE l.connection = ANY(:names) AND l.created_at > clock_timestamp() - CAST(:within AS interval)
        AND l.created_at < clock_timestamp() - CAST(:quiet AS interval)
        AND EXISTS (SELECT 1 FROM notes n WHERE n.call_id = l.call_id)
        AND EXISTS (SELECT 1 FROM calls c WHERE c.id = l.call_id)
        AND NOT EXISTS (
            SELECT 1 FROM notes n
            WHERE n.call_id = l.call_id AND n.updated_at > clock_timestamp() - CAST(:quiet AS interval))
        AND NOT EXISTS (
            SELECT 1 FROM crm_deliveries d
            WHERE d.connection = l.connection AND d.call_id = l.call_id AND d.kind = 'add_note')
    ORDER BY l.created_at LIMIT :most FOR UPDATE OF l SKIP LOCKED
""").bindparams(bindparam("names", type_=ARRAY(Text)))
_RECORDED = text("""
    SELECT l.connection, l.call_id, (
        SELECT r.name FROM recordings r WHERE r.call_id = l.call_id AND r.state = 'ready'
        ORDER BY r.duration_seconds DESC NULLS LAST, r.name LIMIT 1) AS name
    FROM crm_lanes l
    WHERE l.awaits_recording
        AND EXISTS (SELECT 1 FROM recordings r WHERE r.call_id = l.call_id)
        AND NOT EXISTS (
            SELECT 1 FROM recordings r WHERE r.call_id = l.call_id AND r.state IN ('expected', 'arrived'))
    ORDER BY l.created_at LIMIT :most FOR UPDATE OF l SKIP LOCKED
""")

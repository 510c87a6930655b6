"""The call journal: what was told of a call, kept exactly once.

`record` takes a batch of changes and keeps all of it or nothing, in one transaction: the calls' newest facts, their
aliases, redirects of calls that turned out to be another one, the raw messages behind it, and one outbox row for each
event a CRM must be told of. Doing it again changes nothing:

- a raw message is known by its digest within the call, an event by kind, moment and party;
- facts carry the arrival of the newest message behind them and are never overwritten by older ones; facts without any
  message behind them (a lost link, a close from CEL) are statements of the teller and the last one wins;
- a late change for a call that was absorbed goes to the survivor, its facts left out.

Writers of the same call take turns by advisory locks, taken in order, so that two processes cannot entangle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.calls.external_number import digits_of, last_ten
from call_records.crm.writes import MOVES_WITH_THE_CALL as BOOK_MOVES
from call_records.db import json_text, locks
from call_records.db.errors import plain_errors
from call_records.db.tables import call_aliases, call_redirects, call_trace, calls, notes, outbox
from call_records.recordings.catalogue.filing import (
    MOVES_WITH_THE_CALL,
    copy_search_columns,
    expect,
    expected_of,
    file_homeless,
)
from telephony.call_facts.facts import CallFacts, Certainty, PartyKind, facts_from_json, iso, outside_of
from telephony.events import OWED, CallEvent
from telephony.ports import CallChange

CALLS_CHANNEL = "switchhook_calls"
"""NOTIFY channel: the payload is call ids, space between them."""
OUTBOX_CHANNEL = "switchhook_outbox"
"""NOTIFY channel: something is owed; no payload."""
IDS_PER_NOTICE = 200  # 37 bytes each; PostgreSQL allows 7999 bytes a payload
LATEST_CALLS = 100  # by start; the newest message is behind one of them, unless 100 calls outlast each other
PRUNE_ROWS = 5_000  # per transaction, so that nobody waits for the sweep


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call the journal knows as not ended, with all that is needed to go on telling it after a restart."""

    id: UUID
    aliases: tuple[str, ...]
    trace: tuple[Mapping[str, Any], ...]
    facts: CallFacts
    """As they were told last."""


@dataclass(frozen=True, slots=True)
class _Told:
    """All changes of one call in a batch, folded into one."""

    change: CallChange
    facts_stand: bool
    """False when the call was absorbed by another one before: only what accumulates is kept."""


class CallJournal:
    """The journal over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(self, changes: Sequence[CallChange]) -> None:
        """Keep the changes, all or none; repeating the same changes changes nothing. Raises TryLater."""
        if not changes:
            return
        with plain_errors():
            async with self._engine.begin() as connection:
                await _record(connection, changes)

    async def unfinished(self, pbx: str) -> Sequence[OpenCall]:
        """The calls of that PBX that have not ended, oldest first: where a restarted bridge goes on."""
        wanted = select(calls.c.id).where(calls.c.pbx == pbx, calls.c.state != "ended")
        with plain_errors():
            async with self._engine.connect() as connection:
                ids = (await connection.scalars(wanted.order_by(calls.c.started_at, calls.c.id))).all()
                return await _kept_of(connection, ids)

    async def kept(self, call_ids: Iterable[UUID]) -> Sequence[OpenCall]:
        """Everything kept of these calls (or of those they were merged into), oldest first; unknown ones left out."""
        wanted = list(call_ids)
        with plain_errors():
            async with self._engine.connect() as connection:
                redirects = await redirects_of(connection, wanted)
                found = select(calls.c.id).where(calls.c.id.in_({redirects.get(one, one) for one in wanted}))
                ids = (await connection.scalars(found.order_by(calls.c.started_at, calls.c.id))).all()
                return await _kept_of(connection, ids)

    async def family(self, call_id: UUID) -> Sequence[UUID]:
        """The call, the call it was a consultation about, and consultations about either: they share channels."""
        with plain_errors():
            async with self._engine.connect() as connection:
                target = (await redirects_of(connection, [call_id])).get(call_id, call_id)
                return (await connection.scalars(_FAMILY, {"id": target})).all()

    async def told_until(self, pbx: str) -> float | None:
        """Arrival of the newest message kept of that PBX (Unix seconds); None when there is none."""
        latest = select(calls.c.told_until).where(calls.c.pbx == pbx).order_by(calls.c.started_at.desc())
        with plain_errors():
            async with self._engine.connect() as connection:
                newest = await connection.scalars(latest.limit(LATEST_CALLS))
                return max((at for at in newest if at is not None), default=None)

    async def ended_since(self, pbx: str | None, since: datetime) -> Sequence[UUID]:
        """Ended calls that started at or after that moment, oldest first; of every PBX when `pbx` is None."""
        wanted = select(calls.c.id).where(calls.c.started_at >= since, calls.c.state == "ended")
        if pbx is not None:
            wanted = wanted.where(calls.c.pbx == pbx)
        with plain_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(wanted.order_by(calls.c.started_at, calls.c.id))).all()

    async def seen_in_part(self, pbx: str, call_ids: Iterable[UUID]) -> Sequence[UUID]:
        """Which of these have ended, and AMI did not tell all of them."""
        wanted = select(calls.c.id).where(
            calls.c.pbx == pbx,
            calls.c.id.in_(list(call_ids)),
            calls.c.state == "ended",
            calls.c.facts["certainty"].astext != Certainty.OBSERVED.value,
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(wanted)).all()

    async def unended(self, pbx: str, call_ids: Iterable[UUID]) -> Sequence[UUID]:
        """Which of these have not ended as far as the journal has been told."""
        wanted = select(calls.c.id).where(
            calls.c.pbx == pbx, calls.c.id.in_(list(call_ids)), calls.c.state != "ended"
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(wanted)).all()

    async def known(self, pbx: str, uniqueids: Iterable[str]) -> dict[str, UUID]:
        """Which of these channels belong to which call; those never seen are left out."""
        wanted = select(call_aliases.c.uniqueid, call_aliases.c.call_id).where(
            call_aliases.c.pbx == pbx, call_aliases.c.uniqueid.in_(list(uniqueids))
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                return {row.uniqueid: row.call_id for row in await connection.execute(wanted)}

    async def trace_of(self, call_id: UUID) -> Sequence[Mapping[str, Any]]:
        """The raw messages of the call (or of the one it was merged into), in order; empty once pruned."""
        with plain_errors():
            async with self._engine.connect() as connection:
                target = (await redirects_of(connection, [call_id])).get(call_id, call_id)
                return (await _traces_of(connection, [target])).get(target, [])

    async def prune(self, older_than: datetime) -> int:
        """Forget raw messages from before that moment, of ended calls only; returns how many. Facts stay."""
        total = 0
        while True:
            with plain_errors():
                async with self._engine.begin() as connection:
                    gone = await connection.execute(_PRUNE, {"before": older_than, "rows": PRUNE_ROWS})
            total += gone.rowcount
            if gone.rowcount < PRUNE_ROWS:
                return total


_PRUNE = text("""
    DELETE FROM call_trace WHERE (call_id, ordinal) IN (
        SELECT t.call_id, t.ordinal FROM call_trace t
        WHERE t.at < :before AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.id = t.call_id AND c.state <> 'ended')
        LIMIT :rows)
""")


def fold(earlier: CallChange, later: CallChange) -> CallChange:
    """One change that says what both said: the later facts; events, aliases, absorbed ids and trace of both."""
    return CallChange(
        facts=later.facts,
        events=earlier.events + later.events,
        aliases=tuple(dict.fromkeys(earlier.aliases + later.aliases)),
        absorbed=tuple(dict.fromkeys(earlier.absorbed + later.absorbed)),
        trace=earlier.trace + later.trace,
    )


async def _record(connection: AsyncConnection, changes: Sequence[CallChange]) -> None:
    named = {change.facts.id for change in changes} | {old for change in changes for old in change.absorbed}
    await lock_calls(connection, named)
    redirects = await redirects_of(connection, named)
    await lock_calls(connection, set(redirects.values()) - named)
    told = _by_call(changes, redirects)
    await _keep_facts(connection, [one.change for one in told.values() if one.facts_stand])
    for target, one in told.items():
        named_and_where_they_went = {
            *one.change.absorbed,
            *(_follow(redirects, old) for old in one.change.absorbed),
        }
        absorbed = [old for old in named_and_where_they_went if _follow(redirects, old) != target]
        await _absorb(connection, target, absorbed)
    await _keep_aliases(connection, told)
    await _keep_trace(connection, told)
    await _file_recordings(connection, told)
    await _owe(connection, told)
    await _notify(connection, told)


async def lock_calls(connection: AsyncConnection, ids: Iterable[UUID]) -> None:
    """The rows may not exist yet, so the ids themselves are locked; in order, so that nobody waits in a circle."""
    wanted = sorted(str(one) for one in ids)
    if wanted:
        await connection.execute(_LOCK, {"ids": wanted, "seed": locks.CALLS})


_LOCK = text("""
    SELECT pg_advisory_xact_lock(key)
    FROM (SELECT DISTINCT hashtextextended(id, :seed) AS key FROM unnest(CAST(:ids AS text[])) AS id ORDER BY 1) AS keys
""")


async def try_lock_call(connection: AsyncConnection, call_id: UUID) -> bool:
    """The same lock for one call, without waiting: whether we have it until the transaction ends."""
    return bool(await connection.scalar(_TRY_LOCK, {"id": str(call_id), "seed": locks.CALLS}))


_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:id, :seed))")


async def redirects_of(connection: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    wanted = select(call_redirects.c.old_id, call_redirects.c.new_id).where(
        call_redirects.c.old_id.in_(list(ids))
    )
    return {row.old_id: row.new_id for row in await connection.execute(wanted)}


def _by_call(changes: Sequence[CallChange], redirects: dict[UUID, UUID]) -> dict[UUID, _Told]:
    """The batch as one change per surviving call. Absorptions inside the batch count from their place in it."""
    gone = dict(redirects)
    told: dict[UUID, _Told] = {}
    for change in changes:
        own = change.facts.id
        target = _follow(gone, own)
        stands = target == own
        earlier = told.get(target)
        if earlier is None:
            told[target] = _Told(change, stands)
        elif stands and _not_older(change, earlier):
            told[target] = _Told(fold(earlier.change, change), True)
        else:
            kept = replace(fold(earlier.change, change), facts=earlier.change.facts)
            told[target] = _Told(kept, earlier.facts_stand)
        for old in change.absorbed:
            if _follow(gone, old) != target:
                gone[_follow(gone, old)] = target
    for own in [one for one in told if _follow(gone, one) != one]:
        _hand_over(told, own, _follow(gone, own))
    return told


def _hand_over(told: dict[UUID, _Told], own: UUID, target: UUID) -> None:
    """The batch told of `own` first and of its absorption by `target` later."""
    kept = fold(told.pop(own).change, told[target].change)
    told[target] = _Told(kept, told[target].facts_stand)


def _follow(redirects: Mapping[UUID, UUID], call_id: UUID) -> UUID:
    while call_id in redirects:
        call_id = redirects[call_id]
    return call_id


def _not_older(change: CallChange, earlier: _Told) -> bool:
    ours, theirs = told_until(change), told_until(earlier.change)
    return not earlier.facts_stand or ours is None or theirs is None or ours >= theirs


def told_until(change: CallChange) -> float | None:
    """Arrival of the newest raw message behind the change (Unix seconds, our clock); None when there is none.

    A line whose place in time is another one than its arrival says so (`told_at`).
    """
    return max((float(line.get("told_at", line["t"])) for line in change.trace), default=None)


async def _keep_facts(connection: AsyncConnection, changes: Sequence[CallChange]) -> None:
    if not changes:
        return
    told = insert(calls)
    fresh = {name: told.excluded[name] for name in _row(changes[0]) if name not in ("id", "told_until")}
    await connection.execute(
        told.on_conflict_do_update(
            index_elements=[calls.c.id],
            set_={
                **fresh,
                "told_until": func.greatest(calls.c.told_until, told.excluded.told_until),
                "revision": text("nextval('call_revisions')"),
            },
            where=(calls.c.facts != told.excluded.facts)
            & (
                calls.c.told_until.is_(None)
                | told.excluded.told_until.is_(None)
                | (told.excluded.told_until >= calls.c.told_until)
            ),
        ),
        [_row(change) for change in sorted(changes, key=lambda one: one.facts.id)],
    )


def _row(change: CallChange) -> dict[str, Any]:
    facts = change.facts
    outside = outside_of(facts)
    digits = digits_of(outside.number or "")
    ours = (leg.party for leg in facts.legs if leg.kind is PartyKind.EXTENSION)
    return {
        "id": facts.id,
        "pbx": facts.pbx,
        "direction": facts.direction.value,
        "disposition": facts.disposition.value if facts.disposition else None,
        "state": facts.state.value,
        "started_at": facts.started_at,
        "answered_at": facts.answered_at,
        "ended_at": facts.ended_at,
        "caller_number": _clean(facts.caller.number),
        "did": _clean(facts.did),
        "outside_number": _clean(outside.number),
        "outside_last10": last_ten(digits) or None,
        "outside_reversed": digits[::-1] or None,
        "other_last10": sorted({last_ten(other) for other in outside.others} - {""}),
        "parties": [json_text.clean(party) for party in dict.fromkeys(ours)],
        "rating": facts.rating,
        "facts": facts.as_json(),
        "told_until": told_until(change),
    }


def _clean(value: str | None) -> str | None:
    return None if value is None else json_text.clean(value)


async def _absorb(connection: AsyncConnection, target: UUID, absorbed: Sequence[UUID]) -> None:
    """Everything the absorbed calls had now belongs to the survivor; their ids keep leading to it."""
    for old in sorted(absorbed):
        both = {"old": old, "new": target}
        for statement in _MOVES:
            await connection.execute(statement, both)
        await connection.execute(delete(notes).where(notes.c.call_id == old))
        await connection.execute(delete(outbox).where(outbox.c.call_id == old))
        await connection.execute(delete(call_trace).where(call_trace.c.call_id == old))
        await connection.execute(delete(calls).where(calls.c.id == old))
        await connection.execute(
            update(call_redirects).where(call_redirects.c.new_id == old).values(new_id=target)
        )
        await connection.execute(
            insert(call_redirects)
            .values(old_id=old, new_id=target)
            .on_conflict_do_update(index_elements=["old_id"], set_={"new_id": target})
        )


_MOVES = tuple(
    text(statement)
    for statement in (
        "UPDATE call_aliases SET call_id = :new WHERE call_id = :old",
        """
        INSERT INTO notes (call_id, account_id, text, updated_at)
        SELECT :new, account_id, text, updated_at FROM notes WHERE call_id = :old
        ON CONFLICT (call_id, account_id) DO UPDATE
        SET text = notes.text || E'\\n' || excluded.text, updated_at = greatest(notes.updated_at, excluded.updated_at)
        """,
        """
        INSERT INTO call_trace (call_id, ordinal, digest, line, at)
        SELECT :new, ordinal + 1 + coalesce((SELECT max(ordinal) FROM call_trace WHERE call_id = :new), 0),
               digest, line, at
        FROM call_trace WHERE call_id = :old
        ON CONFLICT ON CONSTRAINT call_trace_once DO NOTHING
        """,
        """
        UPDATE outbox SET call_id = :new WHERE call_id = :old AND NOT EXISTS (
            SELECT 1 FROM outbox o WHERE o.call_id = :new AND o.kind = outbox.kind AND o.key = outbox.key)
        """,
        *MOVES_WITH_THE_CALL,
        *BOOK_MOVES,
    )
)
"""Two notes by one author become one, the survivor's text first. Trace lines keep their order behind the survivor's;
readers sort by arrival."""


async def _keep_aliases(connection: AsyncConnection, told: Mapping[UUID, _Told]) -> None:
    rows = {
        (one.change.facts.pbx, json_text.clean(alias)): target
        for target, one in told.items()
        for alias in one.change.aliases
    }
    if not rows:
        return
    adding = insert(call_aliases)
    await connection.execute(
        adding.on_conflict_do_update(
            index_elements=["pbx", "uniqueid"],
            set_={"call_id": adding.excluded.call_id},
            where=call_aliases.c.call_id != adding.excluded.call_id,
        ),
        [
            {"pbx": pbx, "uniqueid": uniqueid, "call_id": rows[pbx, uniqueid]}
            for pbx, uniqueid in sorted(rows)
        ],
    )


async def _keep_trace(connection: AsyncConnection, told: Mapping[UUID, _Told]) -> None:
    having = [target for target, one in told.items() if one.change.trace]
    if not having:
        return
    newest = select(call_trace.c.call_id, func.max(call_trace.c.ordinal).label("last"))
    newest = newest.where(call_trace.c.call_id.in_(having)).group_by(call_trace.c.call_id)
    last = {row.call_id: row.last for row in await connection.execute(newest)}
    rows = [
        _trace_row(target, last.get(target, -1) + 1 + place, line)
        for target in having
        for place, line in enumerate(told[target].change.trace)
    ]
    await connection.execute(insert(call_trace).on_conflict_do_nothing(constraint="call_trace_once"), rows)


def _trace_row(call_id: UUID, ordinal: int, line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "ordinal": ordinal,
        "digest": hashlib.blake2b(json_text.dumps(dict(line)).encode(), digest_size=16).digest(),
        "line": dict(line),
        "at": datetime.fromtimestamp(float(line["t"]), UTC),
    }


async def _file_recordings(connection: AsyncConnection, told: Mapping[UUID, _Told]) -> None:
    """The recordings the PBX named wait for their files; files that were here first find their call."""
    stands = [(target, one.change) for target, one in told.items() if one.facts_stand]
    named = [each for target, change in stands for each in expected_of(change.facts, target, change.aliases)]
    await expect(connection, named)
    await file_homeless(
        connection, [(one.change.facts.pbx, target, one.change.aliases) for target, one in told.items()]
    )
    await copy_search_columns(connection, list(told))


async def _owe(connection: AsyncConnection, told: Mapping[UUID, _Told]) -> None:
    rows = [
        {"call_id": target, "kind": event.kind.value, "key": _key(event), "party": _clean(event.party),
         "happened_at": event.at}
        for target, one in told.items()
        for event in one.change.events
        if event.kind in OWED
    ]  # fmt: skip
    if rows:
        await connection.execute(insert(outbox).on_conflict_do_nothing(constraint="outbox_once"), rows)
        await connection.execute(_NOTIFY, {"channel": OUTBOX_CHANNEL, "payload": ""})


def _key(event: CallEvent) -> str:
    """Which of the call's events of that kind: when, and whom it is about."""
    return json_text.clean(f"{iso(event.at)} {event.party or ''}".rstrip())


_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


async def _notify(connection: AsyncConnection, told: Mapping[UUID, _Told]) -> None:
    """Ids only, delivered at commit: whoever listens reads the rows."""
    ids = [str(target) for target in told]
    for first in range(0, len(ids), IDS_PER_NOTICE):
        payload = " ".join(ids[first : first + IDS_PER_NOTICE])
        await connection.execute(_NOTIFY, {"channel": CALLS_CHANNEL, "payload": payload})


_FAMILY = text("""
    WITH asked AS (
        SELECT started_at, coalesce((facts->>'consultation_of')::uuid, id) AS parent FROM calls WHERE id = :id)
    SELECT c.id FROM calls c, asked
    WHERE c.id IN (:id, asked.parent)
       OR c.started_at BETWEEN asked.started_at - interval '1 day' AND asked.started_at + interval '1 day'
          AND c.facts->>'consultation_of' IN (CAST(:id AS text), asked.parent::text)
    ORDER BY c.started_at, c.id
""").bindparams(bindparam("id", type_=Uuid))


async def _kept_of(connection: AsyncConnection, ids: Sequence[UUID]) -> list[OpenCall]:
    aliases = await _aliases_of(connection, ids)
    traces = await _traces_of(connection, ids)
    rows = await connection.execute(select(calls.c.id, calls.c.facts).where(calls.c.id.in_(ids)))
    facts = {row.id: facts_from_json(row.facts) for row in rows}
    return [OpenCall(one, tuple(aliases.get(one, ())), tuple(traces.get(one, ())), facts[one]) for one in ids]


async def _aliases_of(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    wanted = select(call_aliases.c.call_id, call_aliases.c.uniqueid).where(call_aliases.c.call_id.in_(ids))
    found: dict[UUID, list[str]] = {}
    for row in await connection.execute(wanted.order_by(call_aliases.c.uniqueid)):
        found.setdefault(row.call_id, []).append(row.uniqueid)
    return found


async def _traces_of(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, list[Mapping[str, Any]]]:
    wanted = select(call_trace.c.call_id, call_trace.c.line).where(call_trace.c.call_id.in_(ids))
    found: dict[UUID, list[Mapping[str, Any]]] = {}
    for row in await connection.execute(wanted.order_by(call_trace.c.at, call_trace.c.ordinal)):
        found.setdefault(row.call_id, []).append(row.line)
    return found

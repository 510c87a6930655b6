"""Whom we owe a call: the list, what people do with its entries, and the clock that reminds of them.

What somebody does is written down beside the calls and the entry is told anew from both (`missed_taking`). So a claim or a
giving-up that crosses a conversation, or news of an older call, ends as if each had come in its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, Row, and_, case, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.lead_rules.apply import HOURS_KEY
from call_records.crm.missed_calls.flood_limit import recent_floods
from call_records.crm.missed_calls.recompute import (
    MISSED_CHANNEL,
    RULES_KEY,
    is_withheld,
    missed_rules,
    tell_anew,
    told_of,
    working_hours,
)
from call_records.crm.missed_calls.types import (
    Asker,
    MissedCounts,
    MissedEntry,
    MissedFilter,
    MissedFlood,
    MissedPage,
    Sort,
    Whose,
)
from call_records.crm.tables import missed, missed_acts, missed_calls, office, timeline
from call_records.crm.writes import Home, lock_number
from call_records.db import json_text, locks
from call_records.db.errors import plain_errors
from call_records.db.listen import wake_on
from call_records.db.tables import accounts, calls, people
from telephony.call_facts.facts import facts_from_json
from telephony.contacts import ClientKind
from telephony.edit_version import check_edit_version, edit_version
from telephony.errors import PeerMistake, SwitchhookError
from telephony.hours import WorkingHours, add_working_minutes, hours_as_json
from telephony.missed_calls import OPEN, GaveUpReason, Kind, MissedRules, MissedState, OwnerWhy, rules_as_json

log = structlog.get_logger(__name__)

ENTRIES_MOST = 200  # on a page; whoever owes more needs other help than a longer list
LIST_MOST = 1_000_000  # ids of one list, 100 bytes each while it is exported
LOOK_SECONDS = 60.0  # deadlines are minutes; nobody can tell one
GATHER_SECONDS = 0.3  # a call changes its entry some times within moments; pages look once
TEXT_MOST = 500  # characters of a reason
_AFTER = timedelta(milliseconds=1)
_IS_OPEN = missed.c.state.in_(sorted(OPEN))


class MissedBook:
    """Implements `call_records.crm.missed_calls.types.Missed`; `run` is for the process that observes."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home

    # -- reading --

    async def floods(self) -> Sequence[MissedFlood]:
        """Lines on which unknown callers got no entry lately, because they were too many at once."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await recent_floods(connection)

    async def page(
        self, wanted: MissedFilter, asker: Asker, *, limit: int = 100, skip: int = 0
    ) -> MissedPage:
        """Entries in the order that was asked for."""
        his = _whose(wanted.whose, asker)
        state = ~_IS_OPEN if wanted.closed else _IS_OPEN
        recent = _since(wanted)
        query = _ENTRIES.where(his, state, recent).order_by(*_order(wanted))
        size = max(1, min(limit, ENTRIES_MOST))
        count = select(func.count(), func.count().filter(~recent)).select_from(missed).where(his, state)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(query.limit(size).offset(max(0, skip)))).all()
                everything, older = (await connection.execute(count)).one()
                known = await _clients_of(connection, [row.filed_with for row in rows])
        return MissedPage(tuple(_entry(row, known) for row in rows), everything - older, older)

    async def list_ids(self, wanted: MissedFilter, asker: Asker) -> Sequence[UUID]:
        """The ids of the whole list in its order."""
        state = ~_IS_OPEN if wanted.closed else _IS_OPEN
        query = select(missed.c.id).where(_whose(wanted.whose, asker), state, _since(wanted))
        with plain_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(query.order_by(*_order(wanted)).limit(LIST_MOST))).all()

    async def several(self, ids: Sequence[UUID]) -> Sequence[MissedEntry]:
        """These entries, in this order; one that is gone is left out."""
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(_ENTRIES.where(missed.c.id.in_(ids)))).all()
                known = await _clients_of(connection, [row.filed_with for row in rows])
        found = {row.id: _entry(row, known) for row in rows}
        return [found[one] for one in ids if one in found]

    async def one(self, entry_id: UUID) -> MissedEntry | None:
        """The entry; None when there is none (any more: its call turned out to be answered)."""
        with plain_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(_ENTRIES.where(missed.c.id == entry_id))).one_or_none()
                return _entry(row, await _clients_of(connection, [row.client_id])) if row else None

    async def calls_of(self, entry_id: UUID) -> Sequence[tuple[UUID, datetime]]:
        """The missed calls that are counted in it, newest first."""
        wanted = select(missed_calls.c.call_id, missed_calls.c.at).where(missed_calls.c.missed_id == entry_id)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(wanted.order_by(missed_calls.c.at.desc()).limit(ENTRIES_MOST))
                return [(row.call_id, row.at) for row in rows]

    async def counts(self, asker: Asker) -> MissedCounts:
        """What waits for this person."""
        waits = _whose(Whose.OWN, asker)
        late = missed.c.due_at <= func.now()
        query = select(
            func.count(),
            func.count().filter(late),
            func.count().filter(missed.c.reminded_at.is_not(None) & ~late),
        ).where(_IS_OPEN, waits)
        with plain_errors():
            async with self._engine.connect() as connection:
                waiting, overdue, soon = (await connection.execute(query)).one()
        return MissedCounts(waiting, overdue, soon)

    # -- doing --

    async def claim(self, entry_id: UUID, *, by: UUID, person_id: UUID | None, over: bool = False) -> None:
        """I will call. `over`: also when somebody else said so before."""

        def allowed(row: Row[Any]) -> None:
            _must_be_open(row)
            if row.claimed_by is not None and row.claimed_by != by and not over:
                raise PeerMistake(
                    "Somebody else said just before that they will call.", remedy="Take it over if you must."
                )

        await self._act(entry_id, Kind.CLAIMED, allowed, by=by, person_id=person_id)

    async def release(self, entry_id: UUID, *, by: UUID) -> None:
        """Nobody will, after all."""
        await self._act(entry_id, Kind.RELEASED, _must_be_open, by=by)

    async def give(self, entry_id: UUID, *, person_id: UUID, by: UUID) -> None:
        """It is that person's."""
        await self._act(entry_id, Kind.GIVEN, _must_be_open, by=by, person_id=person_id)

    async def give_up(self, entry_id: UUID, *, reason: GaveUpReason, text: str, by: UUID) -> None:
        """No call is owed. Raises PeerMistake when `OTHER` comes without a word."""
        said = json_text.clean(text.strip())[:TEXT_MOST]
        if reason is GaveUpReason.OTHER and not said:
            raise PeerMistake("The reason is missing.", remedy="Write why no call is owed.")
        await self._act(entry_id, Kind.GAVE_UP, _must_be_open, by=by, reason=reason, said=said)

    async def reopen(self, entry_id: UUID, *, by: UUID) -> None:
        """A call is owed all the same. Giving up is taken back as if it had not been."""
        with plain_errors():
            async with self._engine.begin() as connection:
                row = await _locked(connection, entry_id)
                if row.state in OPEN:
                    return
                if row.closed_how == MissedState.GAVE_UP:
                    given_up = (missed_acts.c.key == row.key) & (missed_acts.c.kind == Kind.GAVE_UP.value)
                    await connection.execute(
                        delete(missed_acts).where(given_up, missed_acts.c.at == row.closed_at)
                    )
                else:
                    await _must_be_newest(connection, row)
                    at = await _moment_after(connection, row)
                    await _write_down(connection, row.key, Kind.REOPENED, at, by=by)
                await tell_anew(connection, row.key, since=row.first_at, home=self._home)

    async def _act(
        self,
        entry_id: UUID,
        kind: Kind,
        allowed: Callable[[Row[Any]], None],
        *,
        by: UUID,
        person_id: UUID | None = None,
        reason: GaveUpReason | None = None,
        said: str = "",
    ) -> None:
        with plain_errors():
            async with self._engine.begin() as connection:
                row = await _locked(connection, entry_id)
                allowed(row)
                at = await _moment_after(connection, row)
                await _write_down(
                    connection, row.key, kind, at, by=by, person_id=person_id, reason=reason, said=said
                )
                await tell_anew(connection, row.key, since=row.first_at, home=self._home)

    # -- hours and rules --

    async def hours(self) -> WorkingHours:
        """When the office answers."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await working_hours(connection, self._home.zone)

    async def rules(self) -> MissedRules:
        """What the office agreed on."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await missed_rules(connection)

    async def set_hours(self, hours: WorkingHours, *, by: UUID) -> None:
        """Deadlines of what is owed are reckoned again."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await _put(connection, HOURS_KEY, hours_as_json(hours), by)
                await _reckon_again(connection, self._home)

    async def set_rules(self, rules: MissedRules, *, by: UUID) -> None:
        """Deadlines of what is owed are reckoned again."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await _put(connection, RULES_KEY, rules_as_json(rules), by)
                await _reckon_again(connection, self._home)

    async def set_hours_and_rules(
        self, hours: WorkingHours, rules: MissedRules, *, by: UUID, seen: str | None = None
    ) -> None:
        """Both, or neither. Raises ChangedMeanwhile unless the edit version of both together is still `seen`."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_HOURS_TURNS, {"lock": locks.WORKING_HOURS})
                kept = await working_hours(connection, self._home.zone), await missed_rules(connection)
                check_edit_version(edit_version(kept), seen)
                await _put(connection, HOURS_KEY, hours_as_json(hours), by)
                await _put(connection, RULES_KEY, rules_as_json(rules), by)
                await _reckon_again(connection, self._home)

    # -- the clock --

    async def run(self) -> None:
        """Remind and escalate, until cancelled. In several processes at once it is done once."""
        while True:
            try:
                await self.look_at_the_clock(datetime.now(UTC))
            except SwitchhookError as trouble:
                log.debug("missed_clock_waits", problem=str(trouble))
            await asyncio.sleep(LOOK_SECONDS)

    async def look_at_the_clock(self, now: datetime) -> int:
        """Mark what is due soon and what was due; returns how many entries. All of it is read from the rows."""
        with plain_errors():
            async with self._engine.begin() as connection:
                if not await connection.scalar(_TRY_LOCK, {"lock": locks.MISSED_CLOCK}):
                    return 0
                rules = await missed_rules(connection)
                hours = await working_hours(connection, self._home.zone)
                open_ones = (await connection.execute(_WATCHED)).all()
                changed = set()
                for name, entries in _due_for_a_mark(open_ones, hours, rules, now).items():
                    marking = update(missed).where(missed.c.id.in_(entries)).values({name: now})
                    await connection.execute(marking)
                    changed.update(entries)
                await told_of(connection, sorted(changed))
        return len(changed)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        """One item whenever something owed has changed, some changes together."""
        wake = asyncio.Event()
        listening = asyncio.create_task(wake_on(self._engine, MISSED_CHANNEL, wake), name="missed: notices")
        try:
            yield _each(wake)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


async def _each(wake: asyncio.Event) -> AsyncIterator[None]:
    while True:
        await wake.wait()
        await asyncio.sleep(GATHER_SECONDS)
        wake.clear()
        yield None


_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_WATCHED = select(missed.c.id, missed.c.owed_since, missed.c.reminded_at).where(
    _IS_OPEN, missed.c.due_at.is_not(None), missed.c.escalated_at.is_(None)
)


def _due_for_a_mark(
    rows: Sequence[Any], hours: WorkingHours, rules: MissedRules, now: datetime
) -> dict[str, list[UUID]]:
    """Which entries are to be marked by now: those to remind of, those to pass on."""
    minutes = rules.deadline_minutes
    soon, late = max(0, minutes - rules.remind_minutes), minutes + rules.escalate_minutes

    def passed(row: Row[Any], after: int) -> bool:
        moment = add_working_minutes(hours, row.owed_since, after)
        return moment is not None and moment <= now

    reminds, passes_on = bool(minutes and rules.remind_minutes), bool(minutes and rules.escalates)
    marks = {
        "reminded_at": [one.id for one in rows if reminds and one.reminded_at is None and passed(one, soon)],
        "escalated_at": [one.id for one in rows if passes_on and passed(one, late)],
    }
    return {name: entries for name, entries in marks.items() if entries}


async def _reckon_again(connection: AsyncConnection, home: Home) -> None:
    """Every deadline that still counts, by the hours and rules of now."""
    rules = await missed_rules(connection)
    hours = await working_hours(connection, home.zone)
    rows = (
        await connection.execute(select(missed.c.id, missed.c.owed_since, missed.c.due_at).where(_IS_OPEN))
    ).all()
    changed = []
    for row in rows:
        minutes = rules.deadline_minutes
        due = add_working_minutes(hours, row.owed_since, minutes) if minutes else None
        if due != row.due_at:
            values = {"due_at": due, "reminded_at": None, "escalated_at": None}
            await connection.execute(update(missed).where(missed.c.id == row.id).values(**values))
            changed.append(row.id)
    await told_of(connection, changed)


async def _locked(connection: AsyncConnection, entry_id: UUID) -> Row[Any]:
    """The row, and nobody else changes this number's entries until we are done."""
    key = await connection.scalar(select(missed.c.key).where(missed.c.id == entry_id))
    if key is not None:
        await lock_number(connection, key)
        row = (await connection.execute(select(missed).where(missed.c.id == entry_id))).one_or_none()
        if row is not None:
            return row
    raise PeerMistake("This missed call is no longer in the list.", remedy="Load the page again.")


def _must_be_open(row: Row[Any]) -> None:
    if row.state not in OPEN:
        raise PeerMistake("This call is no longer owed.", remedy="Load the page again to see who settled it.")


async def _must_be_newest(connection: AsyncConnection, row: Row[Any]) -> None:
    newer = select(func.count()).where(missed.c.key == row.key, missed.c.first_at > row.first_at)
    if await connection.scalar(newer):
        raise PeerMistake(
            "This caller has called again since.", remedy="Look at the newer entry of the same number."
        )


async def _moment_after(connection: AsyncConnection, row: Row[Any]) -> datetime:
    """Now; but after all that the page showed and all that was done, though the PBX's clock may be ahead of ours."""
    done = await connection.scalar(select(func.max(missed_acts.c.at)).where(missed_acts.c.key == row.key))
    shown: list[datetime] = [one for one in (row.last_at, row.closed_at, done) if one is not None]
    return max(datetime.now(UTC), max(shown) + _AFTER)


async def _write_down(
    connection: AsyncConnection,
    key: str,
    kind: Kind,
    at: datetime,
    *,
    by: UUID,
    person_id: UUID | None = None,
    reason: GaveUpReason | None = None,
    said: str = "",
) -> None:
    await connection.execute(
        insert(missed_acts).values(
            id=uuid4(),
            key=key,
            at=at,
            kind=kind.value,
            account_id=by,
            person_id=person_id,
            reason=reason.value if reason else None,
            reason_text=said or None,
        )
    )


# -- what a row says --

_claimer, _closer = accounts.alias("claimer"), accounts.alias("closer")
_ENTRIES = (
    select(
        missed,
        calls.c.facts,
        case((timeline.c.id.is_not(None), timeline.c.client_id), else_=missed.c.client_id).label(
            "filed_with"
        ),
        people.c.name.label("owner"),
        _claimer.c.name.label("claimer"),
        _closer.c.name.label("closer"),
    )
    .outerjoin(calls, calls.c.id == missed.c.last_call_id)
    .outerjoin(timeline, (timeline.c.call_id == missed.c.last_call_id) & (timeline.c.kind == "call"))
    .outerjoin(people, people.c.id == missed.c.owner_id)
    .outerjoin(_claimer, _claimer.c.id == missed.c.claimed_by)
    .outerjoin(_closer, _closer.c.id == missed.c.closed_account_id)
)


_NONE, _EVERY = missed.c.id.is_(None), missed.c.id.is_not(None)


def _of_team(asker: Asker) -> ColumnElement[bool]:
    """Of their team, or of no team: a caller who is nobody's is for everybody to see."""
    same = missed.c.team == asker.team if asker.team else _NONE
    return or_(same, missed.c.team.is_(None))


def _whose(whose: Whose, asker: Asker) -> ColumnElement[bool]:
    match whose:
        case Whose.ALL:
            return _EVERY
        case Whose.UNOWNED:
            return missed.c.owner_id.is_(None) & missed.c.claimed_by.is_(None)
        case Whose.OWN:
            nobodys = and_(_whose(Whose.UNOWNED, asker), _of_team(asker))
            return or_(_whose(Whose.MINE, asker), nobodys)
        case Whose.TEAM:
            if not asker.team:
                return _NONE
            mates = select(people.c.id).where(people.c.team == asker.team)
            return or_(missed.c.team == asker.team, missed.c.owner_id.in_(mates))
        case Whose.MINE:
            own = missed.c.owner_id == asker.person_id if asker.person_id else _NONE
            did = or_(missed.c.claimed_by == asker.account_id, missed.c.closed_account_id == asker.account_id)
            return or_(own, did, missed.c.escalated_at.is_not(None) & _risen_to(asker))


def _risen_to(asker: Asker) -> ColumnElement[bool]:
    """What was not done in time is everybody's in the team, and every supervisor's."""
    if asker.supervises:
        return _EVERY
    return missed.c.team == asker.team if asker.team else _NONE


def _since(wanted: MissedFilter) -> ColumnElement[bool]:
    if wanted.since is None:
        return missed.c.id.is_not(None)
    return (missed.c.closed_at if wanted.closed else missed.c.last_at) >= wanted.since


def _order(wanted: MissedFilter) -> tuple[ColumnElement[Any], ...]:
    if wanted.closed:
        return (missed.c.closed_at.desc(), missed.c.id)
    match wanted.sort:
        case Sort.OLDEST:
            return (missed.c.first_at, missed.c.id)
        case Sort.LATEST:
            return (missed.c.last_at.desc(), missed.c.id)
        case Sort.TIMES:
            return (missed.c.times.desc(), missed.c.first_at, missed.c.id)
        case Sort.DEADLINE:
            return (missed.c.due_at.nulls_last(), missed.c.first_at, missed.c.id)


async def _clients_of(connection: AsyncConnection, ids: Sequence[UUID | None]) -> dict[UUID, Row[Any]]:
    """Of each of these ids the entry of the book it stands for today: the survivor, what a lead became."""
    wanted = {one for one in ids if one is not None}
    if not wanted:
        return {}
    rows = await connection.execute(_SURVIVORS, {"ids": sorted(wanted)})
    return {row.asked: row for row in rows}


_SURVIVORS = text("""
    WITH RECURSIVE way AS (
        SELECT id AS asked, id, 0 AS steps FROM clients WHERE id = ANY(:ids)
        UNION ALL
        SELECT w.asked, coalesce(c.merged_into, c.became_id), w.steps + 1
        FROM way w JOIN clients c ON c.id = w.id
        WHERE coalesce(c.merged_into, c.became_id) IS NOT NULL AND w.steps < 8)
    SELECT DISTINCT ON (w.asked) w.asked, c.id, c.name, c.kind, o.name AS company
    FROM way w JOIN clients c ON c.id = w.id LEFT JOIN clients o ON o.id = c.company_id
    ORDER BY w.asked, w.steps DESC
""")


def _entry(row: Row[Any], known: dict[UUID, Row[Any]]) -> MissedEntry:
    client = known.get(row.filed_with)  # somebody may have put the call elsewhere since
    return MissedEntry(
        id=row.id,
        number=row.number,
        withheld=is_withheld(row.key),
        state=MissedState(row.state),
        times=row.times,
        first_at=row.first_at,
        last_at=row.last_at,
        last_call_id=row.last_call_id,
        last_call=facts_from_json(row.facts) if row.facts else None,
        client_id=client.id if client else None,
        client=client.name if client else None,
        client_kind=ClientKind(client.kind) if client else None,
        company=client.company if client else None,
        owner_id=row.owner_id,
        owner=row.owner,
        team=row.team,
        owner_why=OwnerWhy(row.owner_why) if row.owner_why else None,
        did=row.did,
        due_at=row.due_at,
        reminded_at=row.reminded_at,
        escalated_at=row.escalated_at,
        claimed_at=row.claimed_at,
        claimed_account_id=row.claimed_by,
        claimed_by=row.claimer,
        tried=row.tried,
        tried_at=row.tried_at,
        tried_extension=row.tried_extension,
        closed_at=row.closed_at,
        closed_call_id=row.closed_call_id,
        closed_extension=row.closed_extension,
        closed_account_id=row.closed_account_id,
        closed_by=row.closer,
        closed_how=row.closed_how,
        reason=GaveUpReason(row.reason) if row.reason else None,
        reason_text=row.reason_text,
    )


_HOURS_TURNS = text("SELECT pg_advisory_xact_lock(:lock)")


async def _put(connection: AsyncConnection, key: str, value: dict[str, object], by: UUID) -> None:
    putting = insert(office).values(key=key, value=value, account_id=by)
    fresh = {"value": putting.excluded.value, "account_id": by, "updated_at": func.now()}
    await connection.execute(putting.on_conflict_do_update(index_elements=["key"], set_=fresh))

"""What a call changes of what we owe its caller: a step of the bookkeeper.

The entries of a number are told anew from its calls and from what people did, by `telephony.missed_calls.episodes`, whenever
one of those calls is told of; then the rows are made to say so. Nothing is counted up or down, so a call that is told of
again, late, corrected or as part of another one leaves exactly what it would have left had it been known from the start.
Only calls back to the last conversation before the change are read: it settled everything before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, String, case, delete, func, literal, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.calls.external_number import last_ten
from call_records.crm.lead_rules.apply import HOURS_KEY
from call_records.crm.missed_calls.flood_limit import count_left_out, is_flooded
from call_records.crm.tables import (
    blocklist,
    client_phones,
    clients,
    missed,
    missed_acts,
    missed_calls,
    office,
    timeline,
)
from call_records.crm.timeline.filing import key_of as number_key
from call_records.crm.writes import BOOK_CHANNEL, Home, lock_number, notice
from call_records.db import json_text
from call_records.db.tables import calls, extensions, people
from telephony.call_facts.facts import CallFacts, Direction, facts_from_json, outside_of
from telephony.hours import WorkingHours, add_working_minutes, hours_from_json
from telephony.missed_calls import (
    OPEN,
    Episode,
    GaveUpReason,
    Kind,
    MissedRules,
    MissedState,
    Moment,
    OwnerWhy,
    episodes,
    last_rung,
    moment_of,
    rules_from_json,
    shared_team,
)

MISSED_CHANNEL = "switchhook_missed"
"""NOTIFY channel: something owed has changed; no payload."""
RULES_KEY = "missed_rules"
READ_AT_ONCE = 50  # calls of one number; most numbers have fewer in all
READ_MOST = (
    500  # of a number that is never talked with: an autodialler; what is older is not counted any more
)
FORGOTTEN = timedelta(
    days=30
)  # what was missed so long before and never entered here: before there was a book
SLACK = timedelta(
    hours=3
)  # a call that began so long before a conversation cannot have been answered after it
SURVIVORS_MOST = 8  # an entry merged more often than that in a row was never met


class MissedTaking:
    """The step. One for the whole service."""

    def __init__(self, home: Home) -> None:
        self._home = home

    async def take(self, connection: AsyncConnection, facts: CallFacts) -> None:
        """Make the entries of this call's number right."""
        moment, key = moment_of(facts), key_of(facts, self._home)
        touched = await _entries_touched(connection, facts.id, key, facts.started_at)
        if moment is None and not any(row.mine for row in touched):
            return
        if (moment is None or moment.kind is not Kind.MISSED) and not touched:
            return
        since = min((facts.started_at, *(row.first_at for row in touched)))
        for one in sorted({row.key for row in touched if row.mine} | ({key} if key else set())):
            await tell_anew(connection, one, since=since, home=self._home, about=facts.id)


def key_of(facts: CallFacts, home: Home) -> str | None:
    """What the outside party's entries are found by; of a withheld number the call's own id."""
    if facts.direction is Direction.INTERNAL:
        return None
    known = number_key(outside_of(facts).number, home)
    if known is None and facts.direction is Direction.INBOUND:
        return str(facts.id)
    return known


async def _entries_touched(
    connection: AsyncConnection, call_id: UUID, key: str | None, at: datetime
) -> Sequence[Any]:
    """Entries this call is part of (`mine`), and those of its number that were not settled before it."""
    counted = select(missed_calls.c.missed_id).where(missed_calls.c.call_id == call_id).scalar_subquery()
    mine = or_(missed.c.id == counted, missed.c.last_call_id == call_id, missed.c.closed_call_id == call_id)
    near = (missed.c.key == key) & or_(missed.c.closed_at.is_(None), missed.c.closed_at >= at)
    wanted = select(missed.c.key, missed.c.first_at, mine.label("mine")).where(or_(mine, near))
    return (await connection.execute(wanted.order_by(missed.c.first_at))).all()


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of a number: its calls, and what counts of them and of what people did, from `since` on."""

    calls: Mapping[UUID, CallFacts]
    moments: tuple[Moment, ...]
    since: datetime | None


async def tell_anew(
    connection: AsyncConnection, key: str, *, since: datetime, home: Home, about: UUID | None = None
) -> None:
    """Make the rows of this number say what its calls and acts say, from `since` on. `about`: the call that was news."""
    await lock_number(connection, key)
    open_since = await connection.scalar(
        select(func.min(missed.c.first_at)).where(missed.c.key == key, missed.c.state.in_(sorted(OPEN)))
    )
    known = await _known(connection, key, min(since, open_since or since), home)
    told = episodes(known.moments)
    rows = await _rows(connection, key, known.since)
    pairs = _paired(told, rows)
    gone = [row.id for row in rows if row.id not in {row.id for _, row in pairs if row is not None}]
    if gone:
        await connection.execute(delete(missed).where(missed.c.id.in_(gone)))
        for one in gone:
            await _told(connection, one)
    # What closes goes first: two entries of one number are never open at once.
    for episode, row in sorted(pairs, key=lambda pair: pair[0].state in OPEN):
        await _keep(connection, key, episode, row, known, about, home)


async def _known(connection: AsyncConnection, key: str, since: datetime, home: Home) -> _Known:
    """What counts for the entries from `since` on: everything after whatever settled what was before."""
    acts = await _acts(connection, key)
    everything = any(act.kind is Kind.REOPENED for act in acts)  # it may bring back what was settled long ago
    found: dict[UUID, CallFacts] = {}
    mark: tuple[datetime, UUID] | None = None
    start: datetime | None = None
    while len(found) < READ_MOST:
        page = await _calls_before(connection, key, mark)
        found |= {facts.id: facts for facts in page if key_of(facts, home) == key}
        start = None if everything else _settled(found.values(), acts, since) or since - FORGOTTEN
        if len(page) < READ_AT_ONCE or (start is not None and page[-1].started_at < start - SLACK):
            break
        mark = (page[-1].started_at, page[-1].id)
    moments = [one for one in map(moment_of, found.values()) if one is not None]
    blocked = await _blocked_since(connection, key)
    if blocked is not None:
        moments = [one for one in moments if one.kind is not Kind.MISSED or one.at < blocked]
    return _Known(found, tuple(one for one in (*moments, *acts) if start is None or one.at >= start), start)


def _settled(found: Iterable[CallFacts], acts: Iterable[Moment], since: datetime) -> datetime | None:
    """The last time before `since` at which nothing was owed any more."""
    told = (*(one for one in map(moment_of, found) if one is not None), *acts)
    ends = (one.at for one in told if one.kind in (Kind.TALKED, Kind.GAVE_UP) and one.at < since)
    return max(ends, default=None)


async def _calls_before(
    connection: AsyncConnection, key: str, mark: tuple[datetime, UUID] | None
) -> list[CallFacts]:
    """Calls whose number ends like this one, newest first."""
    wanted = select(calls.c.facts).order_by(calls.c.started_at.desc(), calls.c.id.desc()).limit(READ_AT_ONCE)
    own = _as_id(key)
    wanted = wanted.where(calls.c.id == own if own else calls.c.outside_last10 == last_ten(key))
    if mark is not None:
        wanted = wanted.where(tuple_(calls.c.started_at, calls.c.id) < tuple_(*mark))
    return [facts_from_json(facts) for facts in await connection.scalars(wanted)]


def _as_id(key: str) -> UUID | None:
    """The call whose own id is the key: its caller is not known."""
    try:
        return UUID(key) if "-" in key else None
    except ValueError:
        return None


def is_withheld(key: str) -> bool:
    """Whether this caller did not say who they are, so that nobody can call them back."""
    return _as_id(key) is not None


async def _acts(connection: AsyncConnection, key: str) -> list[Moment]:
    rows = await connection.execute(select(missed_acts).where(missed_acts.c.key == key))
    return [
        Moment(
            Kind(row.kind),
            row.at,
            row.id,
            account_id=row.account_id,
            person_id=row.person_id,
            reason=GaveUpReason(row.reason) if row.reason else None,
            text=row.reason_text or "",
        )
        for row in rows
    ]


async def _blocked_since(connection: AsyncConnection, key: str) -> datetime | None:
    prefix = func.rtrim(blocklist.c.pattern, "*")
    spelled = literal(key, String)
    fits = case(
        (func.right(blocklist.c.pattern, 1) == "*", func.starts_with(spelled, prefix)),
        else_=blocklist.c.pattern == spelled,
    )
    found: datetime | None = await connection.scalar(select(func.min(blocklist.c.at)).where(fits))
    return found


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row and the calls that are counted in it."""

    row: Row[Any]
    calls: frozenset[UUID]

    @property
    def id(self) -> UUID:
        own: UUID = self.row.id
        return own


async def _rows(connection: AsyncConnection, key: str, since: datetime | None) -> list[_Kept]:
    wanted = select(missed).where(missed.c.key == key)
    if since is not None:
        wanted = wanted.where(or_(missed.c.last_at >= since, missed.c.state.in_(sorted(OPEN))))
    rows = (await connection.execute(wanted.order_by(missed.c.first_at, missed.c.id))).all()
    held: dict[UUID, set[UUID]] = {row.id: set() for row in rows}
    within = missed_calls.c.missed_id.in_(list(held))
    if held:
        for one in await connection.execute(select(missed_calls).where(within)):
            held[one.missed_id].add(one.call_id)
    return [_Kept(row, frozenset(held[row.id])) for row in rows]


def _paired(told: Sequence[Episode], rows: Sequence[_Kept]) -> list[tuple[Episode, _Kept | None]]:
    """Each entry with the row that shares most calls with it, so that an entry somebody looks at keeps its address."""
    left = list(rows)
    pairs: list[tuple[Episode, _Kept | None]] = []
    for episode in told:
        own = {one.id for one in episode.missed}
        best = max(left, key=lambda row: len(own & row.calls), default=None)
        if best is not None and own & best.calls:
            left.remove(best)
            pairs.append((episode, best))
        else:
            pairs.append((episode, None))
    return pairs


async def _keep(
    connection: AsyncConnection,
    key: str,
    episode: Episode,
    kept: _Kept | None,
    known: _Known,
    about: UUID | None,
    home: Home,
) -> None:
    """One row, made to say what the entry is; told of only when it says something else now."""
    row = kept.row if kept is not None else None
    values = _values(episode)
    last = known.calls[values["last_call_id"]]
    if row is None or row.last_call_id != last.id or about in (None, last.id):
        values |= await _whose(connection, key, episode, last)
        values |= {"did": _clean(last.did), "number": _clean(outside_of(last).number)}
    if row is None and await _is_left_out(connection, key, episode, last, values):
        return
    if row is None or row.owed_since != episode.owed_since:
        due = await _due(connection, episode.owed_since, home.zone)
        values |= {"due_at": due, "reminded_at": None, "escalated_at": None}
    ids = {one.id: one.at for one in episode.missed}
    same = row is not None and all(getattr(row, name) == value for name, value in values.items())
    if same and kept is not None and kept.calls == frozenset(ids):
        return
    entry_id = row.id if row is not None else uuid4()
    if row is None:
        await connection.execute(insert(missed).values(id=entry_id, key=key, **values))
    else:
        fresh = update(missed).where(missed.c.id == entry_id)
        await connection.execute(fresh.values(**values, version=missed.c.version + 1))
    await _count(connection, entry_id, ids)
    await _told(connection, entry_id)


async def _is_left_out(
    connection: AsyncConnection, key: str, episode: Episode, last: CallFacts, values: Mapping[str, Any]
) -> bool:
    """Whether a caller whom nobody knows came in a flood of such callers."""
    if values["client_id"] is not None or episode.claim or episode.given or episode.tries or episode.closing:
        return False
    did, at = values["did"], episode.missed[-1].at
    if not await is_flooded(connection, did, at, key):
        return False
    await count_left_out(connection, did, last.started_at)
    return True


def _values(episode: Episode) -> dict[str, Any]:
    """What the calls and acts alone say."""
    claim, closing = episode.claim, episode.closing
    tried = episode.tries[-1] if episode.tries else None
    reason = closing.reason if closing else None
    return {
        "state": episode.state.value,
        "times": len(episode.missed),
        "first_at": episode.missed[0].at,
        "owed_since": episode.owed_since,
        "last_at": episode.missed[-1].at,
        "last_call_id": episode.missed[-1].id,
        "tried": len(episode.tries),
        "tried_at": tried.at if tried else None,
        "tried_extension": _clean(tried.extension) if tried else None,
        "claimed_at": claim.at if claim else None,
        "claimed_by": claim.account_id if claim else None,
        "closed_at": closing.at if closing else None,
        "closed_call_id": closing.id if closing and closing.kind is Kind.TALKED else None,
        "closed_extension": _clean(closing.extension) if closing else None,
        "closed_account_id": closing.account_id if closing else None,
        "closed_how": _how(closing),
        "reason": reason.value if reason else None,
        "reason_text": closing.text or None if closing else None,
    }


def _how(closing: Moment | None) -> str | None:
    if closing is None:
        return None
    if closing.kind is Kind.GAVE_UP:
        return MissedState.GAVE_UP.value
    return TALKED_OUT if closing.outbound else TALKED_IN


TALKED_OUT, TALKED_IN = "we_called", "got_through"
"""How a debt was settled: we called back, or the caller tried again and got through."""


def _clean(value: str | None) -> str | None:
    return json_text.clean(value) or None if value else None


async def _count(connection: AsyncConnection, entry_id: UUID, ids: Mapping[UUID, datetime]) -> None:
    """Exactly these calls are counted in this entry."""
    others = (missed_calls.c.missed_id == entry_id) & missed_calls.c.call_id.not_in(list(ids))
    await connection.execute(delete(missed_calls).where(others))
    putting = insert(missed_calls)
    putting = putting.on_conflict_do_update(
        index_elements=["call_id"], set_={"missed_id": entry_id, "at": putting.excluded.at}
    )
    rows = [{"call_id": one, "missed_id": entry_id, "at": at} for one, at in sorted(ids.items())]
    await connection.execute(putting, rows)


async def _told(connection: AsyncConnection, entry_id: UUID) -> None:
    await notice(connection, "missed", entry_id)
    await connection.execute(_NOTIFY, {"channel": MISSED_CHANNEL})


_NOTIFY = text("SELECT pg_notify(:channel, '')")
_NOTIFY_ALL = text("SELECT pg_notify(:channel, name) FROM unnest(CAST(:names AS text[])) AS name")


async def told_of(connection: AsyncConnection, entry_ids: Iterable[UUID]) -> None:
    """Whoever shows these entries looks again once the transaction is committed."""
    names = [f"missed {one}" for one in entry_ids]
    if names:
        await connection.execute(_NOTIFY_ALL, {"channel": BOOK_CHANNEL, "names": names})
        await connection.execute(_NOTIFY, {"channel": MISSED_CHANNEL})


# -- whose it is, until when --


async def _whose(connection: AsyncConnection, key: str, episode: Episode, last: CallFacts) -> dict[str, Any]:
    """The owner by rule (owner of the contact, last rung, team), unless somebody claimed or was given it."""
    client_id = await _client_of(connection, key, last.id)
    owner_id, team, why = await _by_rule(connection, client_id, last)
    chosen = episode.claim or episode.given
    if chosen is not None:
        owner_id = chosen.person_id
        why = OwnerWhy.CLAIMED if chosen.kind is Kind.CLAIMED else OwnerWhy.GIVEN
    return {
        "client_id": client_id,
        "owner_id": owner_id,
        "team": team,
        "owner_why": why.value if why else None,
    }


async def _by_rule(
    connection: AsyncConnection, client_id: UUID | None, last: CallFacts
) -> tuple[UUID | None, str | None, OwnerWhy | None]:
    owner = await _owner_of_client(connection, client_id)
    if owner is not None:
        return owner.id, owner.team, OwnerWhy.OWNER_OF_CONTACT
    rung = last_rung(last)
    found = await _people_at(connection, rung)
    if len(rung) == 1 and rung[0] in found:
        return found[rung[0]].id, found[rung[0]].team, OwnerWhy.LAST_RUNG
    asked = found or (await _people_at(connection, last.queue.tried) if last.queue else {})
    team = shared_team([one.team for one in asked.values()]) or (await missed_rules(connection)).team
    return None, team, OwnerWhy.TEAM if team else None


async def _client_of(connection: AsyncConnection, key: str, call_id: UUID) -> UUID | None:
    """Where the call is filed; where it is not, the only client with exactly this number."""
    filed = await connection.execute(
        select(timeline.c.client_id).where(timeline.c.call_id == call_id, timeline.c.kind == "call")
    )
    place = filed.one_or_none()
    if place is not None:
        found: UUID | None = place.client_id
        return found
    live = clients.c.merged_into.is_(None) & clients.c.removed_at.is_(None)
    fits = select(clients.c.id).join(client_phones, client_phones.c.client_id == clients.c.id)
    ids = (await connection.scalars(fits.where(client_phones.c.key == key, live).distinct().limit(2))).all()
    return ids[0] if len(ids) == 1 else None


async def _owner_of_client(connection: AsyncConnection, client_id: UUID | None) -> Any | None:
    """Who looks after the client (the survivor, where it was merged), else after its company; only who is still here."""
    company = clients.alias()
    for _ in range(SURVIVORS_MOST):
        if client_id is None:
            return None
        wanted = select(
            func.coalesce(clients.c.merged_into, clients.c.became_id).label("next"),
            func.coalesce(clients.c.owner_id, company.c.owner_id).label("owner_id"),
        ).outerjoin(company, company.c.id == clients.c.company_id)
        row = (await connection.execute(wanted.where(clients.c.id == client_id))).one_or_none()
        if row is None or row.next is None:
            here = (people.c.id == row.owner_id) & people.c.left_at.is_(None) if row else None
            if here is None:
                return None
            return (await connection.execute(select(people.c.id, people.c.team).where(here))).one_or_none()
        client_id = row.next
    return None


async def _people_at(connection: AsyncConnection, phones: Sequence[str]) -> dict[str, Any]:
    if not phones:
        return {}
    wanted = (
        select(extensions.c.extension, people.c.id, people.c.team)
        .join(people, people.c.id == extensions.c.person_id)
        .where(extensions.c.extension.in_(phones), people.c.left_at.is_(None))
    )
    return {row.extension: row for row in await connection.execute(wanted)}


async def _due(connection: AsyncConnection, since: datetime, zone: str) -> datetime | None:
    rules = await missed_rules(connection)
    if not rules.deadline_minutes:
        return None
    return add_working_minutes(await working_hours(connection, zone), since, rules.deadline_minutes)


async def missed_rules(connection: AsyncConnection) -> MissedRules:
    """What the office agreed on."""
    return rules_from_json(await connection.scalar(select(office.c.value).where(office.c.key == RULES_KEY)))


async def working_hours(connection: AsyncConnection, zone: str = "UTC") -> WorkingHours:
    """When the office answers; by `zone`'s clock where nobody set it."""
    told = await connection.scalar(select(office.c.value).where(office.c.key == HOURS_KEY))
    return hours_from_json(told, zone=zone)

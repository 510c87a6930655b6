"""Which calls to hear, picked by the office's rules and kept until somebody has heard them.

A round looks at what ended since the last one, in two steps. One query says of every call, in a few columns, which rules
could want it at all; only those calls are read whole and shown to the rules of `telephony.reviews`. Rounds overlap on
purpose: a recording may be ready late, a caller's rating or the phone system's own records come after the call. So every
round goes back a day, and the first of each day two weeks. What was picked before is not picked again: the table says so,
and whoever picks holds the one row of `review_rounds`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Row, Select, Uuid, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.calls.journal import redirects_of
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts, calls
from call_records.recordings.tables import recordings
from call_records.reviews.rules import rules_in_force
from call_records.reviews.tables import review_picks, review_rounds
from call_records.reviews.types import Pick, Picked, PickState, Preview, Scope
from telephony.call_facts.facts import CallFacts, facts_from_json
from telephony.errors import PeerMistake, SwitchhookError
from telephony.recordings import HealthFault, Measures, RecordingState
from telephony.reviews import (
    BY_HAND,
    Because,
    Part,
    ReviewRule,
    ReviewRuleKind,
    Sound,
    agents_of,
    debt,
    random_chance,
    reasons,
    week_chance,
    week_of,
    worth_drawing,
)

log = structlog.get_logger(__name__)

EVERY_SECONDS = 300.0  # a supervisor looks in a few times a day; a round over a quiet day takes milliseconds
LATE = timedelta(days=1)  # how far each round goes back: the longest call, the slowest recording
VERY_LATE = timedelta(days=14)  # once a day: recordings of a remote PBX, calls told from CEL after an outage
WEEK = timedelta(days=7)
TOP_UP_AFTER = timedelta(hours=6)  # into Monday, when the last week's late recordings are there
OWED_FOR = timedelta(days=7)  # a missed call from before is no longer what this call is about
EARLIER_CALLS = 50  # with one client in those seven days; more is a machine calling
MOVING_IN = timedelta(days=14)  # accounts from the office's first two weeks are no new colleagues
KEPT_OPEN = timedelta(days=28)  # a call nobody heard in four weeks teaches nobody anything
AT_ONCE = 2_000  # calls looked at in one query; some 300 kB
WHOLE_AT_ONCE = 200  # calls read whole; 2 kB of facts each
TRIES = 40  # conversations of one person tried for a week's top-up, best chance first; most are long enough
WHY_MOST = 500  # characters


@dataclass(frozen=True, slots=True)
class _Found:
    """A part of a call that a rule picked."""

    part: Part
    kind: ReviewRuleKind
    because: Because


@dataclass(frozen=True, slots=True)
class _Newcomers:
    """Since when each extension belongs to somebody new."""

    since: Mapping[str, datetime]


class PickList:
    """The queue of one office."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def queue(self, extensions: Scope, *, limit: int = 200) -> Sequence[Picked]:
        """What is open, newest call first, of the last four weeks."""
        wanted = _parts(extensions).where(
            review_picks.c.state == PickState.OPEN, review_picks.c.call_at >= func.now() - KEPT_OPEN
        )
        return await self._listed(wanted, limit)

    async def graded(self, extensions: Scope, *, limit: int = 50) -> Sequence[Picked]:
        """What was graded last, newest call first: where a second grader chooses from."""
        wanted = _parts(extensions).where(
            review_picks.c.state == PickState.GRADED, review_picks.c.call_at >= func.now() - KEPT_OPEN
        )
        return await self._listed(wanted, limit)

    async def one(self, pick_id: UUID) -> Picked | None:
        """The part of the call that this reason speaks for, with all its reasons, done or not."""
        own = select(review_picks.c.call_id, review_picks.c.extension).where(review_picks.c.id == pick_id)
        with plain_errors():
            async with self._engine.connect() as connection:
                which = (await connection.execute(own)).one_or_none()
                if which is None:
                    return None
                wanted = _parts(None).where(
                    review_picks.c.call_id == which.call_id, review_picks.c.extension == which.extension
                )
                found = await _picked(connection, wanted, 1)
        return found[0] if found else None

    async def choose(self, call_id: UUID, extension: str, *, by: str) -> UUID:
        """Put it into the queue by hand. Raises PeerMistake when that person did not talk in that call."""
        with plain_errors():
            async with self._engine.begin() as connection:
                target = (await redirects_of(connection, [call_id])).get(call_id, call_id)
                told = await connection.scalar(select(calls.c.facts).where(calls.c.id == target))
                call = facts_from_json(told) if told else None
                if call is None or extension not in agents_of(call):
                    raise PeerMistake(
                        "That person did not talk with anybody outside in this call.",
                        remedy="Choose one who did.",
                    )
                adding = insert(review_picks).values(
                    id=uuid4(),
                    kind=BY_HAND,
                    call_id=target,
                    extension=extension,
                    because={},
                    picked_by=json_text.clean(by),
                    call_at=call.started_at,
                )
                chosen: UUID | None = await connection.scalar(
                    adding.on_conflict_do_update(
                        constraint="review_picks_once",
                        set_={"state": PickState.OPEN, "done_by": None, "done_at": None, "why": None},
                    ).returning(review_picks.c.id)
                )
        assert chosen is not None, "RETURNING of an upsert without WHERE always answers"  # noqa: S101
        return chosen

    async def skip(self, pick_id: UUID, *, by: UUID, why: str) -> None:
        """Not worth hearing, and why: every open reason of that part of the call is done with."""
        done = {
            "state": PickState.SKIPPED,
            "done_by": by,
            "done_at": func.clock_timestamp(),
            "why": json_text.clean(why).strip()[:WHY_MOST] or None,
        }
        await self._move(pick_id, PickState.OPEN, done)

    async def reopen(self, pick_id: UUID) -> None:
        """Undo a skip."""
        again = {"state": PickState.OPEN, "done_by": None, "done_at": None, "why": None}
        await self._move(pick_id, PickState.SKIPPED, again)

    async def pick_now(self, now: datetime | None = None, *, thorough: bool = False) -> int:
        """Look at the calls that ended since the last time (thorough: of the last two weeks); how many were added."""
        return await self._round(now or datetime.now(UTC), thorough=thorough)

    async def would_pick(self, rule: ReviewRule, now: datetime | None = None) -> Preview:
        """What this rule would have picked in the last seven days, without picking it."""
        until = now or datetime.now(UTC)
        since = until - WEEK
        asked = ReviewRule(rule.kind, True, rule.shape.checked(rule.choices))
        found: list[_Found] = []
        talked = 0
        with plain_errors():
            async with self._engine.connect() as connection:
                newcomers = await _newcomers(connection)
                async for lean in _lean(connection, since, until):
                    talked += len(lean)
                    found += await _look_closely(connection, lean, [asked], newcomers, again=True)
                if asked.kind is ReviewRuleKind.RANDOM_SHARE:
                    having = {one.part.extension for one in found}
                    found += await _top_up(connection, since, until, asked, having, newcomers)
        return Preview(len({one.part.call.id for one in found}), talked, len(found))

    async def run(self) -> None:
        """Pick every few minutes, for ever. A round that fails is logged and tried again with the next."""
        while True:
            try:
                picked = await self._round(datetime.now(UTC), unless_within=EVERY_SECONDS / 2)
                if picked:
                    log.info("calls_picked_for_review", count=picked)
            except SwitchhookError as trouble:
                log.warning("calls_not_picked", problem=str(trouble), remedy=trouble.remedy)
            await asyncio.sleep(EVERY_SECONDS)

    async def _round(self, now: datetime, *, thorough: bool = False, unless_within: float = 0.0) -> int:
        with plain_errors():
            async with self._engine.begin() as connection:
                place = (await connection.execute(select(review_rounds).with_for_update())).one()
                looked_at, today = place.looked_at, now.astimezone(UTC).date()
                if looked_at is not None and (now - looked_at).total_seconds() < unless_within:
                    return 0  # another process did it just now
                thorough = thorough or place.swept_on != today
                since = now - VERY_LATE
                if not thorough and looked_at is not None:
                    since = max(since, min(looked_at, now) - LATE)
                rules = [rule for rule in await rules_in_force(connection) if rule.active]
                newcomers = await _newcomers(connection)
                picked = 0
                async for lean in _lean(connection, since, now):
                    found = await _look_closely(connection, lean, rules, newcomers)
                    picked += await _keep(connection, found)
                week = week_of(now - TOP_UP_AFTER) - WEEK
                if place.topped_up != week:
                    picked += await _keep(connection, await _top_up_week(connection, week, rules, newcomers))
                done = {
                    "looked_at": now,
                    "topped_up": week,
                    "swept_on": today if thorough else place.swept_on,
                }
                await connection.execute(update(review_rounds).values(done))
        return picked

    async def _listed(self, wanted: Select[Any], limit: int) -> Sequence[Picked]:
        with plain_errors():
            async with self._engine.connect() as connection:
                return await _picked(connection, wanted, limit)

    async def _move(self, pick_id: UUID, before: PickState, done: Mapping[str, Any]) -> None:
        own = (
            select(review_picks.c.call_id, review_picks.c.extension)
            .where(review_picks.c.id == pick_id)
            .subquery()
        )
        moving = update(review_picks).where(
            review_picks.c.call_id == own.c.call_id,
            review_picks.c.extension == own.c.extension,
            review_picks.c.state == before,
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(moving.values(done))


def _parts(extensions: Scope) -> Select[Any]:
    """Reasons with their call, what is needed to show them, newest call first."""
    playable = (
        select(recordings.c.id)
        .where(recordings.c.call_id == review_picks.c.call_id, recordings.c.state == RecordingState.READY)
        .exists()
    )
    wanted = (
        select(review_picks, calls.c.facts, accounts.c.name.label("doer"), playable.label("recorded"))
        .join(calls, calls.c.id == review_picks.c.call_id)
        .outerjoin(accounts, accounts.c.id == review_picks.c.done_by)
        .order_by(
            review_picks.c.call_at.desc(),
            review_picks.c.call_id,
            review_picks.c.extension,
            review_picks.c.kind,
        )
    )
    if extensions is not None:
        wanted = wanted.where(review_picks.c.extension.in_(sorted(extensions)))
    return wanted


async def _picked(connection: AsyncConnection, wanted: Select[Any], limit: int) -> list[Picked]:
    """Reasons of the same part of the same call together."""
    most = limit * (len(ReviewRuleKind) + 1)
    parts: dict[tuple[UUID, str], list[Row[Any]]] = {}
    for row in await connection.execute(wanted.limit(most)):
        if len(parts) == limit and (row.call_id, row.extension) not in parts:
            break
        parts.setdefault((row.call_id, row.extension), []).append(row)
    return [
        Picked(
            id=rows[0].id,
            call=facts_from_json(rows[0].facts),
            extension=extension,
            reasons=tuple(_pick(row) for row in rows),
            recorded=rows[0].recorded,
        )
        for (_call_id, extension), rows in parts.items()
    ]


def _pick(row: Row[Any]) -> Pick:
    return Pick(
        id=row.id,
        kind=row.kind,
        because=row.because,
        picked_by=row.picked_by,
        picked_at=row.picked_at,
        state=PickState(row.state),
        done_by=row.doer,
        done_at=row.done_at,
        why=row.why,
    )


async def _newcomers(connection: AsyncConnection) -> _Newcomers:
    """An account made when the office had long been working with Switchhook is somebody new."""
    office_since = await connection.scalar(select(func.min(accounts.c.created_at)))
    if office_since is None:
        return _Newcomers({})
    wanted = (
        select(func.unnest(accounts.c.extensions).label("extension"), accounts.c.created_at)
        .where(accounts.c.active, accounts.c.created_at >= office_since + MOVING_IN)
        .order_by(accounts.c.created_at)
    )
    return _Newcomers({row.extension: row.created_at for row in await connection.execute(wanted)})


_LEAN = text("""
    SELECT c.id, c.started_at, c.parties, c.rating,
           (c.facts->>'hold_seconds')::double precision AS held,
           coalesce(r.recorded, false) AS recorded, r.quiet, coalesce(r.faulty, false) AS faulty,
           c.direction = 'outbound' AND c.outside_last10 IS NOT NULL AND EXISTS (
               SELECT FROM calls m
               WHERE m.outside_last10 = c.outside_last10 AND m.direction = 'inbound'
                 AND m.disposition IN ('missed', 'abandoned')
                 AND m.started_at < c.started_at AND m.started_at >= c.started_at - CAST(:owed_for AS interval)
           ) AS owing,
           ARRAY(SELECT p.kind || ' ' || p.extension FROM review_picks p WHERE p.call_id = c.id) AS picked,
           ARRAY(SELECT g.extension FROM grades g WHERE g.call_id = c.id) AS graded
    FROM calls c
    LEFT JOIN LATERAL (
        SELECT true AS recorded, max((r.measures->>'longest_silence_seconds')::double precision) AS quiet,
               bool_or(r.faults && ARRAY['silent', 'ours_silent', 'outside_silent']) AS faulty
        FROM recordings r WHERE r.call_id = c.id AND r.state = 'ready' HAVING count(*) > 0
    ) r ON true
    WHERE (c.started_at, c.id) > (:since, :after) AND c.started_at < :until
      AND c.state = 'ended' AND c.direction <> 'internal' AND c.answered_at IS NOT NULL
    ORDER BY c.started_at, c.id
    LIMIT :most
""").bindparams(bindparam("after", type_=Uuid))

_FIRST = UUID(int=0)


async def _lean(
    connection: AsyncConnection, since: datetime, until: datetime
) -> AsyncIterator[Sequence[Row[Any]]]:
    """Conversations with somebody outside, oldest first, in the few columns that say which rules could want them."""
    after = _FIRST
    while True:
        asked = {"since": since, "after": after, "until": until, "most": AT_ONCE, "owed_for": OWED_FOR}
        rows = (await connection.execute(_LEAN, asked)).all()
        if rows:
            yield rows
        if len(rows) < AT_ONCE:
            return
        since, after = rows[-1].started_at, rows[-1].id


def _could(lean: Row[Any], rule: ReviewRule, newcomers: _Newcomers) -> bool:
    """Whether the rule may want some part of this call: never wrongly no."""
    choices = rule.choices
    if rule.shape.needs_sound and not lean.recorded:
        return False
    match rule.kind:
        case ReviewRuleKind.RANDOM_SHARE:
            return any(
                week_chance(lean.id, lean.started_at, party) * choices["one_in"] < 1 for party in lean.parties
            )
        case ReviewRuleKind.LONG_HOLD:
            return bool(lean.held >= choices["hold_seconds"])
        case ReviewRuleKind.SILENCE:
            return lean.quiet is not None and bool(lean.quiet >= choices["silence_seconds"])
        case ReviewRuleKind.BAD_RATING:
            return lean.rating is not None and bool(lean.rating <= choices["at_most"])
        case ReviewRuleKind.CALLED_BACK_LATE:
            return bool(lean.owing)
        case ReviewRuleKind.NEW_COLLEAGUE:
            return not newcomers.since.keys().isdisjoint(lean.parties)
        case ReviewRuleKind.ONE_SIDED:
            return bool(lean.faulty)


async def _look_closely(
    connection: AsyncConnection,
    lean: Iterable[Row[Any]],
    rules: Sequence[ReviewRule],
    newcomers: _Newcomers,
    *,
    again: bool = False,
) -> list[_Found]:
    """Read what could be wanted whole and ask the rules; what was picked or graded before is left out unless `again`."""
    wanted = {one.id: one for one in lean if any(_could(one, rule, newcomers) for rule in rules)}
    found: list[_Found] = []
    for part in await _whole(connection, wanted, newcomers):
        before = wanted[part.call.id]
        if not again and part.extension in before.graded:
            continue
        for kind, because in reasons(part, rules).items():
            if again or f"{kind} {part.extension}" not in before.picked:
                found.append(_Found(part, kind, because))
    return found


async def _whole(
    connection: AsyncConnection, wanted: Mapping[UUID, Row[Any]], newcomers: _Newcomers
) -> list[Part]:
    """Every agent's part in these calls, with all that rules are shown."""
    ids = list(wanted)
    parts: list[Part] = []
    for first in range(0, len(ids), WHOLE_AT_ONCE):
        some = ids[first : first + WHOLE_AT_ONCE]
        sounds = await _sounds_of(connection, some)
        rows = await connection.execute(
            select(calls.c.id, calls.c.facts, calls.c.outside_last10).where(calls.c.id.in_(some))
        )
        for row in rows.all():
            call = facts_from_json(row.facts)
            owing = wanted[row.id].owing
            owed = await _debt(connection, call, row.outside_last10) if owing else None
            parts += [
                Part(
                    call=call,
                    extension=extension,
                    sounds=sounds.get(row.id, ()),
                    rating=wanted[row.id].rating,
                    owed_since=owed[0] if owed else None,
                    tried_at=owed[1] if owed else None,
                    colleague_since=newcomers.since.get(extension),
                )
                for extension in agents_of(call)
            ]
    return parts


async def _debt(
    connection: AsyncConnection, call: CallFacts, outside_last10: str
) -> tuple[datetime, datetime] | None:
    earlier = (
        select(calls.c.facts)
        .where(
            calls.c.outside_last10 == outside_last10,
            calls.c.started_at < call.started_at,
            calls.c.started_at >= call.started_at - OWED_FOR,
        )
        .order_by(calls.c.started_at.desc(), calls.c.id.desc())
        .limit(EARLIER_CALLS)
    )
    return debt(call, [facts_from_json(told) for told in await connection.scalars(earlier)])


async def _sounds_of(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, tuple[Sound, ...]]:
    wanted = (
        select(recordings.c.call_id, recordings.c.started_at, recordings.c.measures, recordings.c.faults)
        .where(recordings.c.call_id.in_(ids), recordings.c.state == RecordingState.READY)
        .order_by(recordings.c.started_at)
    )
    found: dict[UUID, tuple[Sound, ...]] = {}
    for row in await connection.execute(wanted):
        faults = frozenset(HealthFault(one) for one in row.faults if one in set(HealthFault))
        sound = Sound(row.started_at, Measures(**row.measures) if row.measures else None, faults)
        found[row.call_id] = (*found.get(row.call_id, ()), sound)
    return found


async def _top_up_week(
    connection: AsyncConnection, week: date, rules: Sequence[ReviewRule], newcomers: _Newcomers
) -> list[_Found]:
    """At least one random pick of everybody who can be heard in that week: the one with the best chance."""
    rule = next((one for one in rules if one.kind is ReviewRuleKind.RANDOM_SHARE), None)
    if rule is None:
        return []
    since = datetime.combine(week, time(), UTC)
    picked = select(review_picks.c.extension).where(
        review_picks.c.kind == rule.kind,
        review_picks.c.call_at >= since,
        review_picks.c.call_at < since + WEEK,
    )
    having = set(await connection.scalars(picked))
    return await _top_up(connection, since, since + WEEK, rule, having, newcomers)


async def _top_up(
    connection: AsyncConnection,
    since: datetime,
    until: datetime,
    rule: ReviewRule,
    having: set[str],
    newcomers: _Newcomers,
) -> list[_Found]:
    chances: dict[str, list[tuple[float, UUID]]] = {}
    lean: dict[UUID, Row[Any]] = {}
    async for rows in _lean(connection, since, until):
        for row in rows:
            for party in row.parties if row.recorded else ():
                if party not in having:
                    chances.setdefault(party, []).append((week_chance(row.id, row.started_at, party), row.id))
                    lean[row.id] = row
    best = {one for drawn in chances.values() for _chance, one in sorted(drawn)[:TRIES]}
    parts = await _whole(connection, {one: lean[one] for one in best}, newcomers)
    drawn_parts = sorted(
        (part for part in parts if part.extension in chances and worth_drawing(part, rule.choices)),
        key=lambda part: random_chance(part.call, part.extension),
    )
    first: dict[str, Part] = {}
    for part in drawn_parts:
        first.setdefault(part.extension, part)
    because = {"one_in": rule.choices["one_in"]}
    return [_Found(part, rule.kind, because) for part in first.values()]


async def _keep(connection: AsyncConnection, found: Sequence[_Found]) -> int:
    """How many of them are new. A unique constraint has the last word."""
    if not found:
        return 0
    rows = [
        {
            "id": uuid4(),
            "kind": one.kind.value,
            "call_id": one.part.call.id,
            "extension": one.part.extension,
            "because": dict(one.because),
            "call_at": one.part.call.started_at,
        }
        for one in found
    ]
    adding = insert(review_picks).on_conflict_do_nothing(constraint="review_picks_once")
    return len((await connection.execute(adding.returning(review_picks.c.id), rows)).all())

"""The catalogue of recordings: what there is, where each is on its way, and to which call it belongs.

A row begins when the PBX names a recording (EXPECTED) or when files come that nobody announced. Files make it ARRIVED;
the pipeline claims it, and tells how it came out: READY, EMPTY, REFUSED, FAILED. What was expected and never came is
LOST, and is still taken when it comes later. Every step is one transaction and is announced on RECORDINGS_CHANNEL.

A claim expires, so that a recording whose worker was killed is claimed again; each claim counts as an attempt.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.page_marks import page_mark
from call_records.db.tables import call_aliases, call_redirects, calls
from call_records.recordings.catalogue import filing
from call_records.recordings.catalogue.file_names import bare, is_bare, recording_of
from call_records.recordings.catalogue.filing import Expected
from call_records.recordings.catalogue.listing import (
    FEW,
    exception_mark,
    exceptions_query,
    matches_query,
    page_query,
)
from call_records.recordings.catalogue.rows import (
    COLUMNS,
    file_from,
    files_json,
    measures_json,
    recording_from,
)
from call_records.recordings.tables import audio_objects, recording_places, recordings
from call_records.recordings.types import (
    Listed,
    Peaks,
    Processed,
    Recording,
    RecordingFilter,
    RecordingPage,
    SourceFile,
    SourceRole,
)
from telephony.call_facts.facts import CallFacts, facts_from_json
from telephony.errors import PeerMistake
from telephony.recordings import HealthFault, Layout, RecordingState

MOST_ON_A_PAGE = 500  # 3 kB each with the call's facts; an export walks pages
MOST_MISSING = 2000  # names looked for again and again; more is a spool that is not there at all
MOST_NAMESAKES = 9  # NAME~2 to NAME~9; more is no recording but a script that writes one name again and again
REASON_LENGTH = 500  # characters; a sentence
WAITS_AGAIN = timedelta(minutes=5)  # how long a lost one is waited for when somebody asks to
NAMESAKE = "Another recording of this name was here before; both are kept."

AFTER_ALL = frozenset(
    {RecordingState.EXPECTED, RecordingState.LOST, RecordingState.EMPTY, RecordingState.REFUSED,
     RecordingState.FAILED}
)  # fmt: skip
"""States whose files, if any, are replaced by what arrives: nobody can have heard them."""


_SETTLED = (RecordingState.READY, RecordingState.REMOVED, RecordingState.EMPTY, RecordingState.JOINED)


class Taken(StrEnum):
    """What became of files that came."""

    NEW = "new"
    REPLACED = "replaced"  # in place of files that nobody has heard
    NAMESAKE = "namesake"  # kept beside the recording that has the name
    DUPLICATE = "duplicate"  # the very same content; nothing was changed
    REFUSED = "refused"  # too many of one name


@dataclass(frozen=True, slots=True)
class Arrival:
    """Files of one recording, stable and looked at; `state` is ARRIVED, EMPTY or REFUSED, the latter with a reason."""

    pbx: str
    name: str
    files: tuple[SourceFile, ...]
    state: RecordingState = RecordingState.ARRIVED
    reason: str | None = None
    faults: tuple[HealthFault, ...] = ()
    """TRUNCATED, where the file ended before its header said."""
    instead_of: UUID | None = None
    """The expected recording that these files are, under another name."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The row the files were taken into."""

    recording_id: UUID
    taken: Taken


@dataclass(frozen=True, slots=True)
class Missed:
    """A recording that was given up on."""

    recording_id: UUID
    pbx: str
    name: str


@dataclass(frozen=True, slots=True)
class CallState:
    """What is known of a call on whose channel a recording may have been made."""

    call_id: UUID
    ended_at: datetime | None
    """When it ended, or the recording of it did; None while both go on."""
    answered: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue knows of a name: enough to decide what a file with it is."""

    recording_id: UUID
    name: str
    state: RecordingState
    call: CallState | None
    files: tuple[SourceFile, ...]
    stored: bool
    """Whether its audio is in the storage, verified."""


class Catalogue:
    """The catalogue over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # Reading: `RecordingCatalogue` of types.py

    async def one(self, recording_id: UUID) -> Recording | None:
        """The recording with this id."""
        found = await self._rows(recordings.c.id == recording_id)
        return found[0] if found else None

    async def of_call(self, call_id: UUID) -> Sequence[Recording]:
        """All of a call (merged calls included), by start; tombstones too, but no tracks that another is made of."""
        return [one for one in await self.tracks_of(call_id) if _is_shown(one)]

    async def tracks_of(self, call_id: UUID) -> Sequence[Recording]:
        """As `of_call`, with the tracks that a joined recording is made of."""
        moved = select(call_redirects.c.new_id).where(call_redirects.c.old_id == call_id).scalar_subquery()
        return await self._rows(or_(recordings.c.call_id == call_id, recordings.c.call_id == moved))

    async def of_calls(self, call_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Recording]]:
        """For a page of a list: one query. Calls without a recording are left out."""
        found: dict[UUID, list[Recording]] = {}
        for one in await self._rows(recordings.c.call_id.in_(list(call_ids))):
            if one.call_id is not None and _is_shown(one):
                found.setdefault(one.call_id, []).append(one)
        return found

    async def page(
        self, wanted: RecordingFilter, *, limit: int = 50, cursor: str | None = None
    ) -> RecordingPage:
        """Newest first. Raises PeerMistake for a cursor we did not make or fewer than three digits."""
        size = max(1, min(limit, MOST_ON_A_PAGE))
        with plain_errors():
            async with self._engine.connect() as connection:
                rare = (
                    bool(wanted.parties)
                    and await connection.scalar(matches_query(wanted.parties or frozenset())) < FEW
                )
                query = page_query(wanted, size + 1, cursor, rare_parties=rare)
                rows = (await connection.execute(query)).all()
        older = page_mark(rows[size - 1].listed_at, rows[size - 1].id) if len(rows) > size else None
        return RecordingPage(tuple(_listed(row) for row in rows[:size]), older)

    async def peaks(self, recording_id: UUID) -> Peaks | None:
        """The waveform; None while there is none."""
        wanted = select(recordings.c.peaks_left, recordings.c.peaks_right)
        with plain_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(wanted.where(recordings.c.id == recording_id))).one_or_none()
        return Peaks(row.peaks_left, row.peaks_right) if row and row.peaks_left is not None else None

    async def exceptions(self, *, limit: int = 200, dismissed: bool = False) -> Sequence[Listed]:
        """What somebody should look at: refused, failed, lost, without a call, unhealthy, namesakes; newest first. Or
        what was dismissed of it.
        """
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(exceptions_query(limit, dismissed=dismissed))).all()
        return [_listed(row) for row in rows]

    async def refile(self, recording_id: UUID, call_id: UUID) -> None:
        """Give it to another call. Raises PeerMistake when there is no such recording or call."""
        with plain_errors():
            async with self._engine.begin() as connection:
                moved = select(call_redirects.c.new_id).where(call_redirects.c.old_id == call_id)
                target = await connection.scalar(
                    select(calls.c.id).where(
                        or_(calls.c.id == call_id, calls.c.id == moved.scalar_subquery())
                    )
                )
                if target is None:
                    raise PeerMistake("There is no such call.", remedy="Look for it in the list of calls.")
                await _must_change(connection, recording_id, call_id=target)
                await filing.copy_search_columns(connection, [target])
                await filing.notify(connection, [recording_id])

    async def dismiss_exceptions(self, recording_ids: Sequence[UUID], *, by: str) -> Sequence[UUID]:
        """They are known: not shown again until something else is wrong with them. Gives those that changed."""
        values = {"dismissed_as": exception_mark(), "dismissed_by": by, "dismissed_at": func.now()}
        return await self._set_dismissed(recording_ids, values)

    async def restore_exceptions(self, recording_ids: Sequence[UUID]) -> Sequence[UUID]:
        """They are shown again."""
        values = {"dismissed_as": None, "dismissed_by": None, "dismissed_at": None}
        return await self._set_dismissed(recording_ids, values)

    async def _set_dismissed(self, ids: Sequence[UUID], values: Mapping[str, Any]) -> Sequence[UUID]:
        change = update(recordings).where(recordings.c.id.in_(list(ids))).values(values)
        with plain_errors():
            async with self._engine.begin() as connection:
                return list((await connection.scalars(change.returning(recordings.c.id))).all())

    async def try_again(self, recording_id: UUID) -> None:
        """Process a failed or refused one again, or wait again for a lost one; PeerMistake for any other."""
        of = recordings.c.state
        again = case(
            (of == RecordingState.LOST.value, RecordingState.EXPECTED.value),
            else_=RecordingState.ARRIVED.value,
        )
        due = case((of == RecordingState.LOST.value, func.now() + WAITS_AGAIN), else_=func.now())
        able = [RecordingState.LOST, RecordingState.FAILED, RecordingState.REFUSED]
        with plain_errors():
            async with self._engine.begin() as connection:
                await _must_change(
                    connection,
                    recording_id,
                    of.in_([state.value for state in able]),
                    state=again,
                    reason=None,
                    attempts=0,
                    due_at=due,
                    claimed_until=None,
                )
                await filing.notify(connection, [recording_id])

    # Intake: what comes

    async def expect(self, expected: Sequence[Expected]) -> None:
        """Rows that wait for their files (the journal does this by itself in its own transaction)."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await filing.expect(connection, expected)
                await filing.copy_search_columns(connection, [one.call_id for one in expected])

    async def arrived(self, arrival: Arrival) -> Receipt:
        """Take files in. The same files again change nothing; other files of a name that was heard stand beside it."""
        with plain_errors():
            async with self._engine.begin() as connection:
                receipt = await _take(connection, arrival)
                if receipt.taken is not Taken.DUPLICATE:
                    await filing.notify(connection, [receipt.recording_id])
                return receipt

    async def known(self, pbx: str, names: Collection[str]) -> Mapping[str, Known]:
        """What is known of these names; those never heard of are left out."""
        with plain_errors():
            async with self._engine.connect() as connection:
                query = _KNOWN.where(recordings.c.pbx == pbx, recordings.c.name.in_(list(names)))
                return {row.name: _known(row) for row in await connection.execute(query)}

    async def calls_of(self, pbx: str, uniqueids: Collection[str]) -> Mapping[str, CallState]:
        """The calls of these channels; unknown ones are left out."""
        columns = (calls.c.id, calls.c.ended_at, calls.c.answered_at)
        wanted = select(call_aliases.c.uniqueid, *columns).join_from(
            call_aliases, calls, calls.c.id == call_aliases.c.call_id
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                found = await connection.execute(
                    wanted.where(call_aliases.c.pbx == pbx, call_aliases.c.uniqueid.in_(list(uniqueids)))
                )
                return {
                    row.uniqueid: CallState(row.id, row.ended_at, row.answered_at is not None)
                    for row in found
                }

    async def missing(self, pbx: str) -> Sequence[str]:
        """Names that are expected or lost: their files are looked for wherever they may be."""
        wanted = select(recordings.c.name).where(
            recordings.c.pbx == pbx,
            recordings.c.state.in_([RecordingState.EXPECTED.value, RecordingState.LOST.value]),
        )
        newest = wanted.order_by(recordings.c.listed_at.desc()).limit(MOST_MISSING)
        with plain_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(newest)).all()

    async def watched_since(self, pbx: str, directory: str) -> datetime:
        """When this directory was watched first: from now on, if it never was."""
        key = {"pbx": pbx, "directory": json_text.clean(directory)}
        row = recording_places.c
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(insert(recording_places).values(key).on_conflict_do_nothing())
                since = select(row.watched_since).where(row.pbx == pbx, row.directory == key["directory"])
                first: datetime = (await connection.execute(since)).scalar_one()
                return first

    async def give_up_on(self, pbxes: Collection[str], after_seconds: float) -> Sequence[Missed]:
        """Expected ones whose call ended so long ago are LOST, or EMPTY where nobody had answered."""
        given = {"pbxes": list(pbxes), "after": timedelta(seconds=after_seconds)}
        with plain_errors():
            async with self._engine.begin() as connection:
                found = await connection.execute(_GIVE_UP, given)
                gone = [Missed(row.id, row.pbx, row.name) for row in found]
                await filing.notify(connection, [one.recording_id for one in gone])
                return gone

    async def explain(self, recording_id: UUID, reason: str) -> None:
        """Why it is lost, where more is known than that no file came."""
        await self._change(recording_id, reason=_sentence(reason))

    async def counted(self) -> Mapping[RecordingState, int]:
        """How many there are in each state but READY and REMOVED, which grow without end."""
        of = recordings.c.state
        settled = [state.value for state in _SETTLED]
        with plain_errors():
            async with self._engine.connect() as connection:
                wanted = select(of, func.count()).where(of.not_in(settled)).group_by(of)
                return {RecordingState(state): count for state, count in await connection.execute(wanted)}

    # The pipeline: what becomes of it

    async def claim(self, limit: int, seconds: float) -> Sequence[Recording]:
        """Up to so many ARRIVED ones, oldest due first, for nobody else until `seconds` have passed."""
        row = recordings.c
        free = (
            select(row.id)
            .where(
                row.state == RecordingState.ARRIVED.value,
                row.due_at <= func.now(),
                or_(row.claimed_until.is_(None), row.claimed_until < func.now()),
            )
            .order_by(row.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = (
            update(recordings)
            .where(row.id.in_(free.scalar_subquery()))
            .values(claimed_until=func.now() + timedelta(seconds=seconds), attempts=row.attempts + 1)
            .returning(*COLUMNS)
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                return [recording_from(one) for one in await connection.execute(claimed)]

    async def renew(self, recording_id: UUID, seconds: float) -> None:
        """Work on it goes on: nobody else may claim it for so long."""
        until = func.now() + timedelta(seconds=seconds)
        await self._change(recording_id, announce=False, claimed_until=until)

    async def put_off(self, recording_id: UUID, reason: str, seconds: float, *, counted: bool) -> None:
        """Try it again after so long; `counted` False gives the attempt back (the storage was away)."""
        attempts = recordings.c.attempts if counted else func.greatest(recordings.c.attempts - 1, 0)
        due = func.now() + timedelta(seconds=seconds)
        await self._change(
            recording_id, reason=_sentence(reason), due_at=due, claimed_until=None, attempts=attempts
        )

    async def processed(
        self,
        recording_id: UUID,
        outcome: Processed,
        started_at: datetime | None,
        keep_until: datetime | None,
    ) -> None:
        """It can be played: its audio is stored and verified."""
        row = recordings.c
        cut = HealthFault.TRUNCATED.value
        faults = sorted({fault.value for fault in outcome.faults})
        with_cut = sorted({*faults, cut})
        await self._change(
            recording_id,
            state=RecordingState.READY.value,
            reason=case((row.name.like("%~_"), NAMESAKE), else_=None),
            ready_at=func.now(),
            started_at=started_at,
            listed_at=func.coalesce(
                cast(literal(started_at, row.listed_at.type), row.listed_at.type), row.listed_at
            ),
            duration_seconds=outcome.duration_seconds,
            layout=outcome.layout.value,
            outside_first=row.outside_first if outcome.layout is Layout.STEREO else None,
            measures=measures_json(outcome.measures),
            faults=case((row.faults.contains([cut]), _texts(with_cut)), else_=_texts(faults)),
            peaks_left=outcome.peaks.left,
            peaks_right=outcome.peaks.right,
            keep_until=keep_until,
            claimed_until=None,
        )

    async def empty(self, recording_id: UUID, reason: str) -> None:
        """A header and no audio."""
        await self._settled(recording_id, RecordingState.EMPTY, reason)

    async def lead(self, recording_id: UUID, files: Sequence[SourceFile]) -> None:
        """It is made of all these files: its own track and those of the others."""
        await self._change(recording_id, announce=False, files=files_json(files))

    async def joined(self, recording_id: UUID, reason: str) -> None:
        """A track whose sound is in its call's recording, or belongs to none. Its file is no longer needed."""
        await self._change(
            recording_id,
            state=RecordingState.JOINED.value,
            reason=_sentence(reason) if reason else None,
            ready_at=func.now(),
            faults=_texts([]),
            claimed_until=None,
        )

    async def refused(self, recording_id: UUID, reason: str) -> None:
        """Not audio that can be read; the files stay as they came."""
        await self._settled(recording_id, RecordingState.REFUSED, reason)

    async def failed(self, recording_id: UUID, reason: str) -> None:
        """Tried often enough; a person must look."""
        await self._settled(recording_id, RecordingState.FAILED, reason)

    # The PBX's own files

    async def with_sources(
        self, pbx: str, ready_before: datetime, directory: str, *, limit: int = 100
    ) -> Sequence[Recording]:
        """Those with files still in the PBX's directory, whose stored copy was verified before that moment.

        Removed ones too: whoever has the audio deleted does not mean to leave it at the PBX.
        """
        row = recordings.c
        return await self._rows(
            or_(
                row.state.in_([RecordingState.REMOVED.value, RecordingState.JOINED.value]),
                and_(row.state == RecordingState.READY.value, _STORED),
            ),
            row.pbx == pbx,
            row.ready_at < ready_before,
            row.source_removed_at.is_(None),
            row.files[0]["path"].astext.startswith(f"{directory}/", autoescape=True),
            limit=limit,
        )

    async def sources_removed(self, recording_id: UUID) -> None:
        """The PBX's files of it are gone."""
        await self._change(recording_id, announce=False, source_removed_at=func.now())

    async def _settled(self, recording_id: UUID, state: RecordingState, reason: str) -> None:
        await self._change(recording_id, state=state.value, reason=_sentence(reason), claimed_until=None)

    async def _change(self, recording_id: UUID, *, announce: bool = True, **values: Any) -> None:
        with plain_errors():
            async with self._engine.begin() as connection:
                # A tombstone stays one: whatever was begun before the removal comes too late.
                living = recordings.c.state != RecordingState.REMOVED.value
                await connection.execute(
                    update(recordings).where(recordings.c.id == recording_id, living).values(**values)
                )
                if announce:
                    await filing.notify(connection, [recording_id])

    async def _rows(self, *conditions: ColumnElement[bool], limit: int | None = None) -> list[Recording]:
        query = select(*COLUMNS).where(*conditions).order_by(recordings.c.listed_at, recordings.c.name)
        with plain_errors():
            async with self._engine.connect() as connection:
                return [recording_from(row) for row in await connection.execute(query.limit(limit))]


def _is_shown(recording: Recording) -> bool:
    """Whether people see it with its call: not one person's track that is, or will be, in another recording."""
    return recording.state is not RecordingState.JOINED and recording.layout is not Layout.TRACK


async def _must_change(
    connection: AsyncConnection, recording_id: UUID, *conditions: ColumnElement[bool], **values: Any
) -> None:
    changed = await connection.execute(
        update(recordings).where(recordings.c.id == recording_id, *conditions).values(**values)
    )
    if changed.rowcount == 0:
        raise PeerMistake(
            "There is no such recording, or it is not in a state for this.", remedy="Load the page again."
        )


async def _take(connection: AsyncConnection, arrival: Arrival) -> Receipt:
    name = json_text.clean(arrival.name)
    for place in range(1, MOST_NAMESAKES + 1):
        named = name if place == 1 else f"{name}~{place}"
        row = await _row_for(connection, arrival, named)
        present = {(one["role"], one["sha256"]) for one in row.files}
        coming = {(one.role.value, one.sha256) for one in arrival.files}
        if present and coming <= present:
            return Receipt(row.id, Taken.DUPLICATE)
        if _replaceable(row):
            await _fill(connection, row, arrival)
            taken = Taken.REPLACED if present else Taken.NEW if place == 1 else Taken.NAMESAKE
            return Receipt(row.id, taken)
    return Receipt(row.id, Taken.REFUSED)


async def _row_for(connection: AsyncConnection, arrival: Arrival, name: str) -> Row[Any]:
    """The row of that name, locked; made if there is none. The first name may be another's, by the channel in it."""
    row = recordings.c
    wanted = select(row.id, row.state, row.files, row.call_id, row.name, row.claimed_until > func.now())
    if arrival.instead_of is not None and name == json_text.clean(arrival.name):
        instead = await connection.execute(wanted.where(row.id == arrival.instead_of).with_for_update())
        found = instead.one_or_none()
        if found is not None:
            return found
    await connection.execute(
        insert(recordings)
        .values(
            id=uuid4(),
            pbx=arrival.pbx,
            name=name,
            state=RecordingState.EXPECTED.value,
            channel=bare(name.partition("~")[0]),
            listed_at=max((one.modified_at for one in arrival.files), default=func.now()),
        )
        .on_conflict_do_nothing(constraint="recordings_once")
    )
    by_name = tuple_(row.pbx, row.name) == tuple_(arrival.pbx, name)
    return (await connection.execute(wanted.where(by_name).with_for_update())).one()


def _replaceable(row: Row[Any]) -> bool:
    state, claimed = RecordingState(row.state), row[-1]
    return state in AFTER_ALL or (state is RecordingState.ARRIVED and not claimed)


async def _fill(connection: AsyncConnection, row: Row[Any], arrival: Arrival) -> None:
    sides = any(one.role is not SourceRole.MIX for one in arrival.files)
    columns = recordings.c
    await connection.execute(
        update(recordings)
        .where(columns.id == row.id)
        .values(
            state=arrival.state.value,
            reason=_sentence(arrival.reason) if arrival.reason else None,
            files=files_json(arrival.files),
            faults=sorted(fault.value for fault in arrival.faults),
            arrived_at=func.now(),
            # The recommended dialplan records on the customer's channel; the journal tells where it was otherwise.
            outside_first=func.coalesce(columns.outside_first, True) if sides else None,
            due_at=func.now(),
            attempts=0,
            claimed_until=None,
        )
    )
    if row.call_id is None:
        await _find_call(connection, row.id, arrival.pbx, row.name.partition("~")[0])


async def _find_call(connection: AsyncConnection, recording_id: UUID, pbx: str, name: str) -> None:
    """By the Uniqueid in the name; the longest that fits, since a system name may stand before it."""
    given = {"recording": recording_id, "pbx": pbx, "name": name, "candidates": endings_of(name)}
    call_id = await connection.scalar(_FIND_CALL, given)
    if call_id is not None:
        await filing.copy_search_columns(connection, [call_id])


def endings_of(name: str) -> list[str]:
    """What of a name may be the Uniqueid: at its beginning, else the whole and what follows each `-` in it.

    Never what stands between: there are numbers, and a caller may choose theirs.
    """
    parts = name.split("-")
    if len(parts) > 1 and is_bare(parts[0]):
        return [name, parts[0]]
    if len(parts) > 2 and is_bare(parts[1]) and not parts[0].isdigit() and parts[0] not in FREEPBX_KINDS:
        return [name, "-".join(parts[:2])]
    return ["-".join(parts[place:]) for place in range(len(parts))]


FREEPBX_KINDS = frozenset({"exten", "external", "force", "in", "internal", "out", "q", "rg"})
"""With what FreePBX begins a name: no system name, and what follows is a number."""


_FIND_CALL = text("""
    UPDATE recordings r SET call_id = found.call_id, channel = found.uniqueid
    FROM (SELECT call_id, uniqueid FROM call_aliases
          WHERE pbx = :pbx AND uniqueid = ANY(:candidates)
          ORDER BY length(uniqueid) DESC LIMIT 1) AS found
    WHERE r.id = :recording RETURNING r.call_id
""")

_GIVE_UP = text("""
    UPDATE recordings r SET
        state = CASE WHEN c.answered_at IS NULL THEN 'empty' ELSE 'lost' END,
        reason = CASE WHEN c.answered_at IS NULL THEN 'Nobody answered, and no file came.'
                      ELSE 'The PBX said that it records, but no finished file came.' END
    FROM calls c
    WHERE r.state = 'expected' AND r.pbx = ANY(:pbxes) AND r.due_at <= now()
      AND c.id = r.call_id AND c.state = 'ended' AND c.ended_at < now() - CAST(:after AS interval)
      AND coalesce(r.expected_at, r.listed_at) < now() - CAST(:after AS interval)
    RETURNING r.id, r.pbx, r.name
""")

_STORED = (
    select(audio_objects.c.key)
    .where(audio_objects.c.recording_id == recordings.c.id, audio_objects.c.kind == "current")
    .exists()
)

_KNOWN: Select[Any] = select(
    recordings.c.id,
    recordings.c.name,
    recordings.c.state,
    recordings.c.files,
    recordings.c.call_id,
    calls.c.id.label("known_call"),
    calls.c.ended_at,
    calls.c.answered_at,
    calls.c.facts["recorded"].label("recorded"),
    _STORED.label("stored"),
).join_from(recordings, calls, calls.c.id == recordings.c.call_id, isouter=True)


def _known(row: Row[Any]) -> Known:
    call: CallState | None = None
    if row.known_call is not None:
        ended_at = row.ended_at or _recorded_until(row.name, row.recorded or [])
        call = CallState(row.known_call, ended_at, row.answered_at is not None)
    return Known(
        recording_id=row.id,
        name=row.name,
        state=RecordingState(row.state),
        call=call,
        files=tuple(file_from(one) for one in row.files),
        stored=row.stored,
    )


def _recorded_until(name: str, recorded: Sequence[Mapping[str, Any]]) -> datetime | None:
    """When the PBX stopped making this recording; None while it goes on, or when it did not say."""
    told = [one["until"] for one in recorded if recording_of(one["file"]) == name]
    return max(map(datetime.fromisoformat, told)) if told and all(told) else None


def _listed(row: Row[Any]) -> Listed:
    call: CallFacts | None = facts_from_json(row.facts) if row.facts else None
    return Listed(recording_from(row), call)


def _texts(values: Sequence[str]) -> ColumnElement[Any]:
    return cast(list(values), ARRAY(String))


def _sentence(reason: str) -> str:
    return json_text.clean(reason)[:REASON_LENGTH]

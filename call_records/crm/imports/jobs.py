"""Imports: a file is taken in, understood, tried out, imported in pieces, and can be taken back.

The try-out reads the whole file and decides every row as the import will; nothing is written. The import goes on from
where it stands: each piece of rows is one transaction together with the mark how far it came, so that a process killed in
the middle costs nothing and two at once do no harm. The file is kept in the database until the import is done, or a day.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.imports import undo
from call_records.crm.imports.code_pages import ENCODINGS
from call_records.crm.imports.column_headings import FACT, LEFT_OUT
from call_records.crm.imports.column_mapping import FIELDS, Mapped, mapped_from
from call_records.crm.imports.contact_files import form_of, guess_mapping, read_file
from call_records.crm.imports.dry_run import Becoming, Decision, Plan, Reader, Row, RowProblem
from call_records.crm.imports.process import ImportProcesses
from call_records.crm.imports.read_ahead import RowsAhead
from call_records.crm.imports.spreadsheets import DELIMITERS, FileForm, Sheet, check_size
from call_records.crm.imports.write_batch import Writing, hold, known_of, write
from call_records.crm.tables import imports
from call_records.crm.writes import Home
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts, extensions, people
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake, SwitchhookError, TryLater
from telephony.numbers.regions import COUNTRIES, RegionCheck, RegionDoubt

log = structlog.get_logger(__name__)

PROBLEMS_MOST = (
    5_000  # kept with the import, about half a megabyte; somebody with more has chosen a wrong column
)
PREVIEW = 20  # rows shown as they would be
PREVIEW_COMPLETED = 100  # further rows that would complete an entry: whoever does not agree sees it before
SHEETS_KEPT = 8  # first rows of files, some 100 kB each
KEPT_FOR = timedelta(days=1)
STILL = timedelta(
    seconds=30
)  # without getting further: whoever worked at it was killed; a piece takes half a second
AGAIN_SECONDS = 3.0  # when the database was away in the middle
TRIES = 20  # a minute of it; then a person goes on by a click


Observer = Callable[[Sequence[Decision]], None]


def _nobody(_decisions: Sequence[Decision]) -> None:
    """Nobody wants to know each row."""


class State(StrEnum):
    """How far an import is."""

    CHOOSING = "choosing"
    """Its columns are being chosen."""
    CHECKING = "checking"
    CHECKED = "checked"
    """The whole file was tried out; nothing was written."""
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    EXPIRED = "expired"
    """It lay for a day without being begun; the file is forgotten."""


UNFINISHED = (State.CHOOSING, State.CHECKING, State.CHECKED, State.EXPIRED)
WORKING = (State.CHECKING, State.RUNNING, State.UNDOING)


@dataclass(frozen=True, slots=True)
class Import:
    """One import as pages show it."""

    id: UUID
    file_name: str
    state: State
    mapped: Mapped
    counts: Mapping[str, Any]
    """new, completes, same, problem, companies; after the try-out `preview`; after an undo `stays`."""
    problems: tuple[RowProblem, ...]
    done: int
    rows: int
    by: str | None
    by_id: UUID | None
    """Whose account took the file in."""
    at: datetime
    worked_at: datetime | None
    has_file: bool

    def has_stopped(self, now: datetime) -> bool:
        """Whether nobody seems to work at it any more."""
        return self.state in WORKING and (self.worked_at is None or now - self.worked_at > STILL)

    @property
    def region_doubt(self) -> RegionDoubt | None:
        """After the try-out: what speaks against the country in which its numbers were read."""
        found = self.counts.get("region_doubt")
        return RegionDoubt(**{**found, "fits": tuple(found["fits"])}) if found else None

    def count(self, what: str) -> int:
        """One of the counts."""
        found = self.counts.get(what, 0)
        return found if isinstance(found, int) else 0


class ImportDesk:
    """Takes files in. `close` it before the store."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home
        self._apart = ImportProcesses(engine, home)
        self._sheets: OrderedDict[tuple[UUID, FileForm], Sheet] = OrderedDict()
        """The first rows of files whose columns are being chosen."""
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._begun: set[asyncio.Task[None]] = set()
        self._going_on: set[UUID] = set()
        """Imports for which somebody waits until the work before is over."""

    async def close(self) -> None:
        """Stop what is being worked at; it goes on by a click."""
        tasks = list(self._begun)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- taking in and choosing --

    async def take(self, file_name: str, data: bytes, *, by: UUID | None) -> UUID:
        """Keep the file and guess what its columns are. Raises PeerMistake for a file that cannot be read."""
        check_size(data)
        sheet = await self._apart.read(data, FileForm())
        import_id = uuid4()
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    insert(imports).values(
                        id=import_id,
                        file_name=json_text.clean(
                            file_name.replace("\\", "/").rpartition("/")[2].strip()[:200]
                        )
                        or "file",
                        source=sheet.kind,
                        state=State.CHOOSING.value,
                        mapping=guess_mapping(sheet).as_json(),
                        counts={},
                        data=data,
                        rows=sheet.size,
                        account_id=by,
                        at=datetime.now(UTC),
                    )
                )
        await self.tidy()
        return import_id

    async def tidy(self) -> None:
        """Forget files that lay for a day."""
        old = (imports.c.data.is_not(None)) & (imports.c.at < datetime.now(UTC) - KEPT_FOR)
        never_begun = imports.c.state.in_([State.CHOOSING, State.CHECKING, State.CHECKED])
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(imports).where(old, never_begun).values(state=State.EXPIRED.value, data=None)
                )
                await connection.execute(update(imports).where(old).values(data=None))

    async def one(self, import_id: UUID) -> Import | None:
        """The import."""
        found = await self._some(imports.c.id == import_id, 1)
        return found[0] if found else None

    async def recent(self, *, limit: int = 20) -> Sequence[Import]:
        """The newest first."""
        return await self._some(None, limit)

    async def _some(self, where: Any, limit: int) -> list[Import]:
        columns = [column for column in imports.c if column.name != "data"]
        asked = select(
            *columns, accounts.c.name.label("by"), imports.c.data.is_not(None).label("has_file")
        ).outerjoin(accounts, accounts.c.id == imports.c.account_id)
        if where is not None:
            asked = asked.where(where)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(
                    asked.order_by(imports.c.at.desc(), imports.c.id).limit(limit)
                )
                return [_import(row) for row in rows]

    async def sheet(self, import_id: UUID) -> Sheet:
        """The first rows of the file as its mapping reads it. Raises PeerMistake when it is kept no longer."""
        with plain_errors():
            async with self._engine.connect() as connection:
                kept = await connection.scalar(select(imports.c.mapping).where(imports.c.id == import_id))
        if kept is None:
            raise _unknown()
        return await self._sheet(import_id, mapped_from(kept))

    async def _sheet(self, import_id: UUID, mapped: Mapped) -> Sheet:
        key = (import_id, form_of(mapped))
        found = self._sheets.get(key)
        if found is None:
            found = await self._apart.read(await self._data(import_id), form_of(mapped))
            self._sheets[key] = found
            while len(self._sheets) > SHEETS_KEPT:
                self._sheets.popitem(last=False)
        return found

    async def _data(self, import_id: UUID) -> bytes:
        with plain_errors():
            async with self._engine.connect() as connection:
                data = await connection.scalar(select(imports.c.data).where(imports.c.id == import_id))
        if data is None:
            raise PeerMistake("The file is no longer kept.", remedy="Upload it again.")
        return bytes(data)

    async def _whole_sheet(self, found: Import) -> Sheet:
        """All of it: only for whoever works at the import."""
        return await asyncio.to_thread(read_file, await self._data(found.id), form_of(found.mapped))

    async def read_again(self, import_id: UUID, how: FileForm) -> None:
        """The file is written otherwise than was guessed; its columns are guessed anew."""
        if (how.encoding and how.encoding not in ENCODINGS) or (
            how.delimiter and how.delimiter not in DELIMITERS
        ):
            raise PeerMistake("There is no such choice.", remedy="Choose from the list.")
        region = (await self._found(import_id)).mapped.region
        sheet = await self._apart.read(await self._data(import_id), how)
        await self._turn(
            import_id,
            (State.CHOOSING, State.CHECKED),
            State.CHOOSING,
            mapping=replace(guess_mapping(sheet), region=region).as_json(),
            rows=sheet.size,
            counts={},
            problems=[],
        )

    async def forget(self, import_id: UUID) -> None:
        """Delete one that was never begun, with its file. Raises PeerMistake for any other."""
        never_begun = imports.c.state.in_([one.value for one in UNFINISHED])
        with plain_errors():
            async with self._engine.begin() as connection:
                gone = await connection.execute(delete(imports).where(imports.c.id == import_id, never_begun))
        if not gone.rowcount:
            raise PeerMistake("The import was begun meanwhile.", remedy="Undo it instead.")

    async def choose(
        self, import_id: UUID, *, columns: Sequence[str], kind: ClientKind, region: str | None = None
    ) -> None:
        """These columns are these fields; the whole file is to be tried out with it.

        `region`: country of numbers without a country code; None leaves it as it is.
        """
        found = await self._found(import_id)
        if region and region not in COUNTRIES:
            raise PeerMistake("There is no such country.", remedy="Choose from the list.")
        sheet = await self._sheet(import_id, found.mapped)
        allowed = {*FIELDS, FACT, LEFT_OUT}
        if len(columns) != len(sheet.headings) or not set(columns) <= allowed:
            raise PeerMistake("The columns have changed meanwhile.", remedy="Load the page again.")
        if not {"name", "first_name", "last_name", "phone", "email", "company"} & set(columns):
            raise PeerMistake(
                "No column is a name, a number or an e-mail.", remedy="Say which column names the client."
            )
        mapped = replace(
            found.mapped,
            columns=tuple(columns),
            kind=kind,
            region=found.mapped.region if region is None else region,
        )
        await self._turn(
            import_id,
            (State.CHOOSING, State.CHECKED),
            State.CHECKING,
            mapping=mapped.as_json(),
            counts={},
            problems=[],
            done=0,
        )

    async def choose_as(self, import_id: UUID, mapped: Mapped) -> None:
        """The same with everything said at once: how the file is written, and its columns."""
        found = await self._found(import_id)
        before = (State.CHOOSING, State.CHECKED)
        await self._turn(
            found.id, before, State.CHECKING, mapping=mapped.as_json(), counts={}, problems=[], done=0
        )

    async def read_in_country(self, import_id: UUID, region: str) -> None:
        """Try it out again with numbers as they are written in that country."""
        found = await self._found(import_id)
        await self.choose(import_id, columns=found.mapped.columns, kind=found.mapped.kind, region=region)

    async def back(self, import_id: UUID) -> None:
        """Choose the columns again."""
        await self._turn(import_id, (State.CHECKED, State.CHECKING), State.CHOOSING)

    async def begin(self, import_id: UUID) -> None:
        """It was tried out and is to be imported."""
        await self._turn(import_id, (State.CHECKED,), State.RUNNING, counts={}, problems=[], done=0)

    async def begin_undo(self, import_id: UUID) -> None:
        """It is to be taken back, wherever it stands."""
        await self._turn(import_id, (State.DONE, State.RUNNING), State.UNDOING)

    async def _turn(self, import_id: UUID, before: Sequence[State], after: State, **values: Any) -> None:
        allowed = (imports.c.id == import_id) & imports.c.state.in_([one.value for one in before])
        changing = update(imports).where(allowed)
        with plain_errors():
            async with self._engine.begin() as connection:
                done = await connection.execute(
                    changing.values(state=after.value, worked_at=datetime.now(UTC), **values)
                )
        if not done.rowcount:
            raise PeerMistake("The import has gone on meanwhile.", remedy="Load the page again.")

    async def _found(self, import_id: UUID) -> Import:
        found = await self.one(import_id)
        if found is None:
            raise _unknown()
        return found

    # -- working --

    def go(self, import_id: UUID) -> None:
        """Work at it from where it stands, without waiting for the end."""
        before = self._tasks.get(import_id)
        if before is not None and not before.done() and import_id in self._going_on:
            return  # one is at it and another waits already
        if before is not None:
            self._going_on.add(import_id)
        task = asyncio.create_task(self._work_after(before, import_id), name="import")
        self._tasks[import_id] = task
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        task.add_done_callback(lambda _done: self._forget(import_id, task))

    async def _work_after(self, before: asyncio.Task[None] | None, import_id: UUID) -> None:
        """Its process has told that it rests, and may not have ended yet."""
        if before is not None:
            await asyncio.wait({before})
            self._going_on.discard(import_id)
        await self._work_patiently(import_id)

    def _forget(self, import_id: UUID, task: asyncio.Task[None]) -> None:
        if self._tasks.get(import_id) is task:
            del self._tasks[import_id]

    async def _work_patiently(self, import_id: UUID) -> None:
        for _try in range(TRIES):
            try:
                await self._apart.work(import_id)
                return
            except TryLater:
                await asyncio.sleep(AGAIN_SECONDS)
            except SwitchhookError as trouble:
                log.warning("import_stopped", import_id=str(import_id), problem=str(trouble))
                return
            except Exception:
                log.exception("import_failed", import_id=str(import_id))
                return

    async def work(self, import_id: UUID, *, observe: Observer | None = None) -> None:
        """Bring it to its next rest: tried out, done or undone. `observe` is told of every row that was decided."""
        found = await self._found(import_id)
        if found.state is State.CHECKING:
            await self._check(found, observe or _nobody)
        elif found.state is State.RUNNING:
            await self._run(found, observe or _nobody)
        elif found.state is State.UNDOING:
            await self._undo(import_id)

    async def _reader(self, connection: AsyncConnection, found: Import, sheet: Sheet) -> Reader:
        home = self._home.in_country(found.mapped.region)
        return Reader(sheet.headings, found.mapped, home, await owners_of(connection))

    async def _check(self, found: Import, observe: Observer) -> None:
        sheet = await self._whole_sheet(found)
        plan, tally = Plan(), Tally()
        check = RegionCheck(self._home.in_country(found.mapped.region).region)
        with_notes = "note" in found.mapped.columns
        with plain_errors():
            async with self._engine.connect() as connection:
                reader = await self._reader(connection, found, sheet)
        done = 0
        async with aclosing(RowsAhead(reader, sheet)) as ahead:
            while rows := await ahead.piece(done):
                with plain_errors():
                    async with self._engine.connect() as connection:
                        known = await known_of(connection, rows, import_id=found.id, with_notes=with_notes)
                for entry in known:
                    plan.add(entry)
                decisions = [plan.decide(row) for row in rows]
                tally.take(decisions)
                for row in rows:
                    check.take(row.phones)
                observe(decisions)
                done += len(rows)
                if not await self._mark(found.id, State.CHECKING, done):
                    return  # somebody went back to the columns
        counts = tally.as_json(len(plan.companies), preview=True)
        doubt = await asyncio.to_thread(check.doubt)
        if doubt is not None:
            counts["region_doubt"] = {**asdict(doubt), "fits": list(doubt.fits)}
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(imports)
                    .where(imports.c.id == found.id, imports.c.state == State.CHECKING.value)
                    .values(
                        state=State.CHECKED.value,
                        counts=counts,
                        problems=_problems_json(tally.problems),
                        done=0,
                    )
                )

    async def _mark(self, import_id: UUID, state: State, done: int) -> bool:
        marking = update(imports).where(imports.c.id == import_id, imports.c.state == state.value)
        with plain_errors():
            async with self._engine.begin() as connection:
                result = await connection.execute(marking.values(done=done, worked_at=datetime.now(UTC)))
        return bool(result.rowcount)

    async def _run(self, found: Import, observe: Observer) -> None:
        sheet = await self._whole_sheet(found)
        with plain_errors():
            async with self._engine.connect() as connection:
                reader = await self._reader(connection, found, sheet)
        done: int | None = found.done
        async with aclosing(RowsAhead(reader, sheet)) as ahead:
            while done is not None:
                done = await self._piece(found, await ahead.piece(done), done, observe)

    async def _piece(self, found: Import, rows: Sequence[Row], first: int, observe: Observer) -> int | None:
        """Import these rows; returns where to go on, None when it is over."""
        held = select(
            imports.c.state, imports.c.done, imports.c.counts, imports.c.account_id, imports.c.problems
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                row = (await connection.execute(held.where(imports.c.id == found.id).with_for_update())).one()
                if row.state != State.RUNNING:
                    return None
                if row.done != first:
                    return int(row.done)  # another process is at it too
                at, notes = datetime.now(UTC), "note" in found.mapped.columns
                writing = Writing(found.id, found.file_name, row.account_id, at, notes)
                await hold(connection, rows)
                plan = Plan(await known_of(connection, rows, import_id=found.id, with_notes=notes))
                decisions = [plan.decide(one) for one in rows]
                await write(connection, writing, plan, decisions)
                tally = Tally()
                tally.take(decisions)
                counts = tally.as_json(len(plan.companies), before=row.counts)
                values: dict[str, Any] = {"done": first + len(rows), "counts": counts, "worked_at": at}
                if tally.problems and len(row.problems) < PROBLEMS_MOST:
                    values["problems"] = [*row.problems, *_problems_json(tally.problems)][:PROBLEMS_MOST]
                over = first + len(rows) >= found.rows or not rows
                if over:
                    values |= {"state": State.DONE.value, "data": None}
                await connection.execute(update(imports).where(imports.c.id == found.id).values(**values))
        observe(decisions)
        return None if over else first + len(rows)

    async def _undo(self, import_id: UUID) -> None:
        while await self._undo_piece(import_id, lambda c: undo.take_completions_back(c, import_id)):
            pass
        for companies in (False, True):
            after: UUID | None = None
            while True:
                after = await self._undo_removing(import_id, after, companies=companies)
                if after is None:
                    break
        with plain_errors():
            async with self._engine.begin() as connection:
                stays = await undo.what_stays(connection, import_id)
                counts = await connection.scalar(select(imports.c.counts).where(imports.c.id == import_id))
                told = [{"id": str(one), "name": name, "why": why} for one, name, why in stays]
                await connection.execute(
                    update(imports)
                    .where(imports.c.id == import_id)
                    .values(
                        state=State.UNDONE.value,
                        undone_at=func.now(),
                        data=None,
                        counts={**(counts or {}), "stays": told},
                    )
                )

    async def _undo_piece(self, import_id: UUID, what: Callable[[AsyncConnection], Any]) -> Any:
        with plain_errors():
            async with self._engine.begin() as connection:
                done = await what(connection)
                await connection.execute(
                    update(imports).where(imports.c.id == import_id).values(worked_at=datetime.now(UTC))
                )
                return done

    async def _undo_removing(self, import_id: UUID, after: UUID | None, *, companies: bool) -> UUID | None:
        found: UUID | None = await self._undo_piece(
            import_id, lambda c: undo.remove_some(c, import_id, after, companies=companies)
        )
        return found


class Tally:
    """Counts what becomes of rows."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[RowProblem] = []
        self.preview: list[dict[str, Any]] = []

    def take(self, decisions: Sequence[Decision]) -> None:
        """Some more rows."""
        for one in decisions:
            self.counts[one.what.value] += 1
            if one.row.problems and len(self.problems) < PROBLEMS_MOST:
                self.problems.extend(one.row.problems)
            if one.row.problems:
                self.counts["told"] += len(one.row.problems)
            if len(self.preview) < PREVIEW or self._is_shown_besides(one):
                self.preview.append(_previewed(one))

    def _is_shown_besides(self, one: Decision) -> bool:
        """Whoever would be merged with somebody is shown, wherever the row stands."""
        completes = one.what is Becoming.COMPLETES
        return completes and self.counts[Becoming.COMPLETES.value] <= PREVIEW_COMPLETED

    def as_json(
        self, companies: int, *, before: Mapping[str, Any] | None = None, preview: bool = False
    ) -> dict[str, Any]:
        """As `imports.counts` keeps it."""
        names = (*(one.value for one in Becoming), "told")
        counts: dict[str, Any] = {
            name: self.counts[name] + int((before or {}).get(name, 0)) for name in names
        }
        counts["companies"] = companies + int((before or {}).get("companies", 0))
        return {**counts, "preview": self.preview} if preview else counts


def _previewed(one: Decision) -> dict[str, Any]:
    """A row exactly as it would be."""
    row = one.row
    return {
        "row": row.number,
        "what": one.what.value,
        "kind": row.kind.value,
        "name": row.name,
        "phones": [[phone.key, phone.raw, phone.extension] for phone in row.phones],
        "emails": list(row.emails),
        "company": row.company,
        "position": row.position,
        "tags": list(row.tags),
        "facts": dict(row.facts),
        "owner": row.owner_id is not None,
        "entry": one.entry.name if one.entry and one.what in (Becoming.COMPLETES, Becoming.SAME) else None,
        "beside": one.beside,
        "problems": [problem.said for problem in row.problems],
    }


async def owners_of(connection: AsyncConnection) -> dict[str, UUID | None]:
    """Our people by name, e-mail and extension; None where several are called so."""
    found: dict[str, UUID | None] = {}

    def put(key: str | None, person: UUID) -> None:
        plain = " ".join((key or "").split()).casefold()
        if plain:
            found[plain] = person if found.get(plain, person) == person else None

    here = people.c.left_at.is_(None)
    for row in await connection.execute(select(people.c.id, people.c.name, people.c.email).where(here)):
        put(row.name, row.id)
        put(row.email, row.id)
    phones = select(extensions.c.extension, extensions.c.person_id).join(people).where(here)
    for phone in await connection.execute(phones):
        put(phone.extension, phone.person_id)
    return found


def _problems_json(problems: Sequence[RowProblem]) -> list[dict[str, Any]]:
    return [
        {"row": one.row, "column": one.column, "said": one.said, "left_out": one.left_out}
        for one in problems[:PROBLEMS_MOST]
    ]


def _import(row: Any) -> Import:
    return Import(
        id=row.id,
        file_name=row.file_name,
        state=State(row.state),
        mapped=mapped_from(row.mapping),
        counts=row.counts,
        problems=tuple(
            RowProblem(one["row"], one["column"], one["said"], one["left_out"]) for one in row.problems
        ),
        done=row.done,
        rows=row.rows,
        by=row.by,
        by_id=row.account_id,
        at=row.at,
        worked_at=row.worked_at,
        has_file=row.has_file,
    )


def _unknown() -> PeerMistake:
    return PeerMistake("There is no such import.", remedy="Look for it in the list.")

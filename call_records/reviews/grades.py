"""What calls scored. A grade is never changed or deleted (triggers see to it); a grader who thinks again gives a new one
that names the one it supersedes. The newest of a chain is the grade that counts.

Giving one is one transaction: the grade, its line in the audit log, and the call's end in the queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.calls.journal import lock_calls, redirects_of
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts, calls
from call_records.recordings.tables import audit_log
from call_records.reviews.forms import form_version, form_versions
from call_records.reviews.tables import grade_readings, grades, review_picks
from call_records.reviews.types import Grade, GradedTwice, PickState, Reading, Scope, Told
from telephony.call_facts.facts import CallFacts, facts_from_json
from telephony.errors import PeerMistake
from telephony.recordings import AuditAction
from telephony.reviews import Answer, Answers, agents_of, score

FEEDBACK_MOST = 10_000  # characters, as a note
CHAIN_MOST = 50  # earlier thoughts shown; nobody changes their mind oftener


class GradeBook:
    """Keeps what was thought of calls."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def give(
        self,
        *,
        grade_id: UUID,
        call_id: UUID,
        extension: str,
        form_id: UUID,
        version: int,
        answers: Answers,
        feedback: str,
        grader_id: UUID,
        grader: str,
        login: str,
        address: str = "",
        browser: str = "",
        given_at: datetime | None = None,
    ) -> Grade:
        """Keep a grade, write its audit line and take the call out of the queue, all or nothing. `given_at`: of a
        history that is brought along; else now.
        """
        if len(feedback) > FEEDBACK_MOST:
            raise PeerMistake(
                "Feedback may have {most} characters.",
                remedy="Shorten it.",
                values={"most": FEEDBACK_MOST},
            )
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_calls(connection, [call_id])
                target = (await redirects_of(connection, [call_id])).get(call_id, call_id)
                kept = await _one(connection, grade_id)
                if kept is not None:
                    return _same_grader(kept, grader_id)
                call = await _graded_call(connection, target, extension)
                form = await form_version(connection, form_id, version)
                if form is None:
                    raise PeerMistake("There is no such form.", remedy="Load the page again.")
                values = {
                    "id": grade_id,
                    "call_id": target,
                    "extension": extension,
                    "form_id": form_id,
                    "version": version,
                    "grader_id": grader_id,
                    "grader": json_text.clean(grader),
                    "answers": _told(answers),
                    "score": score(form.questions, answers),
                    "feedback": json_text.clean(feedback).strip(),
                    "call_at": call.started_at,
                    "supersedes": await _present(connection, target, extension, form_id, grader_id),
                    "given_at": given_at or func.clock_timestamp(),
                }
                row = (await connection.execute(insert(grades).values(values).returning(grades))).one()
                grade = _grade(row)
                await _log(connection, grade, login, address, browser)
                await _take_out(connection, grade)
        return grade

    async def one(self, grade_id: UUID) -> Grade | None:
        """Whatever became of it since."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await _one(connection, grade_id)

    async def of_part(self, call_id: UUID, extension: str) -> Sequence[Grade]:
        """The newest grade of each grader and form, oldest first."""
        with plain_errors():
            async with self._engine.connect() as connection:
                target = (await redirects_of(connection, [call_id])).get(call_id, call_id)
                wanted = select(grades).where(
                    grades.c.call_id == target, grades.c.extension == extension, _counts()
                )
                return [_grade(row) for row in await connection.execute(wanted.order_by(grades.c.given_at))]

    async def before(self, grade: Grade) -> Sequence[Grade]:
        """What it superseded, newest first."""
        chain: list[Grade] = []
        with plain_errors():
            async with self._engine.connect() as connection:
                earlier = grade.supersedes
                while earlier is not None and len(chain) < CHAIN_MOST:
                    found = await _one(connection, earlier)
                    if found is None:
                        break
                    chain.append(found)
                    earlier = found.supersedes
        return chain

    async def told(self, extensions: frozenset[str], account_id: UUID, *, limit: int = 100) -> Sequence[Told]:
        """The newest grades of these extensions as this account, theirs, sees them: newest first."""
        read = (
            select(grade_readings.c.read_at)
            .where(grade_readings.c.grade_id == grades.c.id, grade_readings.c.account_id == account_id)
            .scalar_subquery()
            .label("read_at")
        )
        wanted = (
            select(grades, read)
            .where(_within(extensions), _counts())
            .order_by(grades.c.call_at.desc(), grades.c.id)
            .limit(limit)
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(wanted)).all()
                found = [_grade(row) for row in rows]
                forms = await form_versions(connection, {(one.form_id, one.version) for one in found})
                facts = await _facts_of(connection, {one.call_id for one in found})
        return [
            Told(one, forms[one.form_id, one.version], facts.get(one.call_id), row.read_at)
            for one, row in zip(found, rows, strict=True)
        ]

    async def unread(self, extensions: frozenset[str], account_id: UUID) -> int:
        """How many of those it has not opened."""
        opened = exists().where(
            grade_readings.c.grade_id == grades.c.id, grade_readings.c.account_id == account_id
        )
        counting = select(func.count()).select_from(grades).where(_within(extensions), _counts(), ~opened)
        with plain_errors():
            async with self._engine.connect() as connection:
                return await connection.scalar(counting) or 0

    async def mark_read(self, grade_id: UUID, account_id: UUID) -> None:
        """The first time counts."""
        reading = insert(grade_readings).values(grade_id=grade_id, account_id=account_id)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(reading.on_conflict_do_nothing())

    async def acknowledge(self, grade_id: UUID, account_id: UUID, *, reply: str = "") -> None:
        """Read and understood, with a word to whoever graded. Once: the same again changes nothing.

        Raises PeerMistake for another reply after that.
        """
        reply = json_text.clean(reply).strip()
        reading = insert(grade_readings).values(grade_id=grade_id, account_id=account_id)
        row = grade_readings.c
        mine = row.grade_id == grade_id, row.account_id == account_id
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(reading.on_conflict_do_nothing())
                told = update(grade_readings).where(*mine, row.acknowledged_at.is_(None))
                done = await connection.execute(
                    told.values(acknowledged_at=func.clock_timestamp(), reply=reply).returning(row.grade_id)
                )
                if done.first() is None and await connection.scalar(select(row.reply).where(*mine)) != reply:
                    raise PeerMistake(
                        "This was acknowledged already.",
                        remedy="Load the page again to see what was replied.",
                    )

    async def readings(self, grade_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Reading]]:
        """Who read which of these, first reader first."""
        wanted = (
            select(grade_readings, accounts.c.name)
            .join(accounts, accounts.c.id == grade_readings.c.account_id)
            .where(grade_readings.c.grade_id.in_(grade_ids))
            .order_by(grade_readings.c.read_at)
        )
        found: dict[UUID, list[Reading]] = {}
        with plain_errors():
            async with self._engine.connect() as connection:
                for row in await connection.execute(wanted):
                    reading = Reading(row.account_id, row.name, row.read_at, row.acknowledged_at, row.reply)
                    found.setdefault(row.grade_id, []).append(reading)
        return found

    async def since(self, extensions: Scope, since: datetime, *, limit: int = 5000) -> Sequence[Grade]:
        """The newest grades of calls from that moment on, oldest call first: what trends are drawn from."""
        newest = _of_scope(extensions, since).order_by(grades.c.call_at.desc(), grades.c.id).limit(limit)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(newest)).all()
        return [_grade(row) for row in reversed(rows)]

    async def twice(self, extensions: Scope, since: datetime, *, limit: int = 500) -> Sequence[GradedTwice]:
        """Conversations two people graded by the same version of a form, newest first: every pair of graders."""
        other = grades.alias("other")
        shared = exists().where(
            other.c.call_id == grades.c.call_id,
            other.c.extension == grades.c.extension,
            other.c.form_id == grades.c.form_id,
            other.c.version == grades.c.version,
            other.c.grader_id != grades.c.grader_id,
        )
        wanted = _of_scope(extensions, since).where(shared)
        wanted = wanted.order_by(grades.c.call_at.desc(), grades.c.call_id, grades.c.given_at).limit(
            2 * limit
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                found = [_grade(row) for row in await connection.execute(wanted)]
                pairs = _pairs(found)[:limit]
                forms = await form_versions(connection, {(one.form_id, one.version) for one, _other in pairs})
                facts = await _facts_of(connection, {one.call_id for one, _other in pairs})
        return [
            GradedTwice(forms[one.form_id, one.version], facts.get(one.call_id), one, second)
            for one, second in pairs
        ]


def _pairs(found: Sequence[Grade]) -> list[tuple[Grade, Grade]]:
    """In the order of the calls; within one, whoever graded first is first."""
    parts: dict[tuple[UUID, str, UUID, int], list[Grade]] = {}
    for one in found:
        parts.setdefault((one.call_id, one.extension, one.form_id, one.version), []).append(one)
    return [pair for graded in parts.values() for pair in combinations(graded, 2)]


def _counts() -> ColumnElement[bool]:
    """Nothing supersedes it: found by the unique index on `supersedes`."""
    later = grades.alias("later")
    return ~exists().where(later.c.supersedes == grades.c.id)


def _within(extensions: Scope) -> ColumnElement[bool]:
    return literal(True) if extensions is None else grades.c.extension.in_(sorted(extensions))


def _of_scope(extensions: Scope, since: datetime) -> Select[Any]:
    return select(grades).where(_within(extensions), _counts(), grades.c.call_at >= since)


async def _one(connection: AsyncConnection, grade_id: UUID) -> Grade | None:
    row = (await connection.execute(select(grades).where(grades.c.id == grade_id))).one_or_none()
    return _grade(row) if row else None


def _same_grader(kept: Grade, grader_id: UUID) -> Grade:
    if kept.grader_id != grader_id:
        raise PeerMistake("This form was already used.", remedy="Load the page again.")
    return kept


async def _graded_call(connection: AsyncConnection, call_id: UUID, extension: str) -> CallFacts:
    told = await connection.scalar(select(calls.c.facts).where(calls.c.id == call_id))
    if told is None:
        raise PeerMistake("There is no such call.", remedy="It may have been removed; take the next one.")
    call = facts_from_json(told)
    if extension not in agents_of(call):
        raise PeerMistake(
            "Extension {extension} did not talk in this call.",
            remedy="Choose one of those who did.",
            values={"extension": extension},
        )
    return call


async def _present(
    connection: AsyncConnection, call_id: UUID, extension: str, form_id: UUID, grader_id: UUID
) -> UUID | None:
    """What the new grade supersedes. Two calls that became one may have brought two; the newer one is meant."""
    wanted = (
        select(grades.c.id)
        .where(
            grades.c.call_id == call_id,
            grades.c.extension == extension,
            grades.c.form_id == form_id,
            grades.c.grader_id == grader_id,
            _counts(),
        )
        .order_by(grades.c.given_at.desc())
        .limit(1)
    )
    found: UUID | None = await connection.scalar(wanted)
    return found


async def _log(connection: AsyncConnection, grade: Grade, login: str, address: str, browser: str) -> None:
    details = {
        "grade": str(grade.id),
        "extension": grade.extension,
        "form": str(grade.form_id),
        "version": grade.version,
        "score": round(grade.score, 1),
        "supersedes": str(grade.supersedes) if grade.supersedes else None,
    }
    await connection.execute(
        insert(audit_log).values(
            account_id=grade.grader_id,
            who=json_text.clean(login),
            action=AuditAction.GRADED.value,
            call_id=grade.call_id,
            address=json_text.clean(address),
            browser=json_text.clean(browser)[:200],
            details=details,
        )
    )


async def _take_out(connection: AsyncConnection, grade: Grade) -> None:
    done = update(review_picks).where(
        review_picks.c.call_id == grade.call_id,
        review_picks.c.extension == grade.extension,
        review_picks.c.state == PickState.OPEN,
    )
    await connection.execute(
        done.values(state=PickState.GRADED, done_by=grade.grader_id, done_at=func.clock_timestamp())
    )


async def _facts_of(connection: AsyncConnection, call_ids: set[UUID]) -> dict[UUID, CallFacts]:
    rows = await connection.execute(select(calls.c.id, calls.c.facts).where(calls.c.id.in_(call_ids)))
    return {row.id: facts_from_json(row.facts) for row in rows}


def _told(answers: Answers) -> dict[str, Any]:
    return {name: {"value": answer.value, "comment": answer.comment} for name, answer in answers.items()}


def _grade(row: Row[Any]) -> Grade:
    return Grade(
        id=row.id,
        call_id=row.call_id,
        extension=row.extension,
        form_id=row.form_id,
        version=row.version,
        grader_id=row.grader_id,
        grader=row.grader,
        answers={name: Answer(told["value"], told["comment"]) for name, told in row.answers.items()},
        score=row.score,
        feedback=row.feedback,
        given_at=row.given_at,
        call_at=row.call_at,
        supersedes=row.supersedes,
    )

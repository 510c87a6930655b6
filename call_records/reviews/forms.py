"""Score forms and their versions. A version is never changed (a trigger sees to it): what was graded by it must go on
meaning what it meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, Select, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.reviews.tables import score_form_versions, score_forms
from call_records.reviews.types import FormVersion
from telephony.errors import PeerMistake
from telephony.reviews import USUAL_FORM, USUAL_FORM_NAME, Question, QuestionKind, check_questions

USUAL_FORM_ID = UUID("5c0fe000-0000-4000-8000-000000000001")
"""The same in every office, so that two askers at once make it once."""
NAME_MOST = 100  # characters; it stands in a menu
MAKER = "Switchhook"


class FormBook:
    """Keeps what is asked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def offered(self) -> Sequence[FormVersion]:
        """The newest version of every form in use, by name. The first asker of an empty office makes the usual one."""
        with plain_errors():
            async with self._engine.begin() as connection:
                if not await connection.scalar(select(exists().select_from(score_forms))):
                    await _make_usual(connection)
                return await _newest(connection, retired=False)

    async def retired(self) -> Sequence[FormVersion]:
        """Those no longer offered, by name."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await _newest(connection, retired=True)

    async def one(self, form_id: UUID, version: int | None = None) -> FormVersion | None:
        """That version, or the newest."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await form_version(connection, form_id, version)

    async def save(
        self, form_id: UUID | None, name: str, questions: Sequence[Question], *, after: int, by: str
    ) -> FormVersion:
        """A new form, or a new version after version `after`. A new name alone makes no version."""
        check_questions(questions)
        kept_name = json_text.clean(name).strip()[:NAME_MOST]
        if not kept_name:
            raise PeerMistake("A form needs a name.", remedy="Give it one.")
        own_id = form_id or uuid4()
        with plain_errors():
            async with self._engine.begin() as connection:
                if form_id is None:
                    await connection.execute(insert(score_forms).values(id=own_id, name=kept_name))
                else:
                    await _rename(connection, form_id, kept_name)
                present = await form_version(connection, own_id, None)
                if (present.version if present else 0) != after:
                    raise PeerMistake(
                        "Somebody else changed this form meanwhile.", remedy="Load the page again."
                    )
                if present is None or present.questions != tuple(questions):
                    await _add_version(connection, own_id, after + 1, questions, by)
                saved = await form_version(connection, own_id, None)
        assert saved is not None, "it was written in this transaction"  # noqa: S101 - about ourselves
        return saved

    async def retire(self, form_id: UUID, *, retired: bool) -> None:
        """No longer offer it, or offer it again. Grades by it stay."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(score_forms).where(score_forms.c.id == form_id).values(retired=retired)
                )


async def _make_usual(connection: AsyncConnection) -> None:
    making = insert(score_forms).values(id=USUAL_FORM_ID, name=USUAL_FORM_NAME)
    await connection.execute(making.on_conflict_do_nothing())
    await _add_version(connection, USUAL_FORM_ID, 1, USUAL_FORM, MAKER)


async def _rename(connection: AsyncConnection, form_id: UUID, name: str) -> None:
    """Also locks the form's row: two savers take turns."""
    renamed = await connection.execute(
        update(score_forms).where(score_forms.c.id == form_id).values(name=name)
    )
    if renamed.rowcount == 0:
        raise PeerMistake("There is no such form.", remedy="Load the page again.")


async def _add_version(
    connection: AsyncConnection, form_id: UUID, version: int, questions: Sequence[Question], by: str
) -> None:
    adding = insert(score_form_versions).values(
        form_id=form_id,
        version=version,
        questions=[_told(question) for question in questions],
        made_by=json_text.clean(by),
    )
    await connection.execute(adding.on_conflict_do_nothing())


def _versions() -> Select[Any]:
    return select(score_form_versions, score_forms.c.name, score_forms.c.retired).join(
        score_forms, score_forms.c.id == score_form_versions.c.form_id
    )


async def _newest(connection: AsyncConnection, *, retired: bool) -> list[FormVersion]:
    newest = (
        select(score_form_versions.c.form_id, func.max(score_form_versions.c.version).label("version"))
        .group_by(score_form_versions.c.form_id)
        .subquery()
    )
    wanted = (
        _versions()
        .join(
            newest,
            (newest.c.form_id == score_form_versions.c.form_id)
            & (newest.c.version == score_form_versions.c.version),
        )
        .where(score_forms.c.retired == retired)
        .order_by(score_forms.c.name, score_forms.c.id)
    )
    return [form_of(row) for row in await connection.execute(wanted)]


async def form_version(connection: AsyncConnection, form_id: UUID, version: int | None) -> FormVersion | None:
    """That version, or the newest, for whoever has a connection."""
    wanted = _versions().where(score_form_versions.c.form_id == form_id)
    if version is not None:
        wanted = wanted.where(score_form_versions.c.version == version)
    wanted = wanted.order_by(score_form_versions.c.version.desc()).limit(1)
    row = (await connection.execute(wanted)).one_or_none()
    return form_of(row) if row else None


async def form_versions(
    connection: AsyncConnection, wanted: set[tuple[UUID, int]]
) -> dict[tuple[UUID, int], FormVersion]:
    """Several at once: there are few forms, so all versions of those are read."""
    rows = await connection.execute(
        _versions().where(score_form_versions.c.form_id.in_({form_id for form_id, _version in wanted}))
    )
    forms = [form_of(row) for row in rows]
    return {(form.form_id, form.version): form for form in forms if (form.form_id, form.version) in wanted}


def form_of(row: Row[Any]) -> FormVersion:
    """A row of `_versions` as a value."""
    return FormVersion(
        form_id=row.form_id,
        version=row.version,
        name=row.name,
        questions=tuple(_question(told) for told in row.questions),
        made_by=row.made_by,
        made_at=row.made_at,
        retired=row.retired,
    )


def _told(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "text": question.text,
        "kind": question.kind.value,
        "weight": question.weight,
        "may_skip": question.may_skip,
        "help": question.help,
    }


def _question(told: dict[str, Any]) -> Question:
    return Question(
        id=told["id"],
        text=told["text"],
        kind=QuestionKind(told["kind"]),
        weight=told["weight"],
        may_skip=told["may_skip"],
        help=told["help"],
    )

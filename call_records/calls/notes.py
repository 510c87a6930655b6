"""Notes on calls: one text per call and author. A note may be there before the journal knows the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.calls.journal import lock_calls, redirects_of
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts, notes
from call_records.types import Note
from telephony.errors import PeerMistake

LONGEST = 20_000  # characters; ten pages of typing


class NoteBook:
    """Keeps what was typed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_call(self, call_id: UUID) -> Sequence[Note]:
        """The notes of the call (or of the one it was merged into), oldest first."""
        with plain_errors():
            async with self._engine.connect() as connection:
                target = await _survivor(connection, call_id)
                wanted = (
                    select(notes, accounts.c.name)
                    .join(accounts, accounts.c.id == notes.c.account_id)
                    .where(notes.c.call_id == target)
                    .order_by(notes.c.updated_at, notes.c.account_id)
                )
                found = (await connection.execute(wanted)).all()
        return [Note(row.call_id, row.account_id, row.name, row.text, row.updated_at) for row in found]

    async def of_calls(self, ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Note]]:
        """The notes of these calls, oldest first, by the id of the call that has them; calls without are left out."""
        if not ids:
            return {}
        wanted = (
            select(notes, accounts.c.name)
            .join(accounts, accounts.c.id == notes.c.account_id)
            .where(notes.c.call_id.in_(ids))
            .order_by(notes.c.updated_at, notes.c.account_id)
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                found = (await connection.execute(wanted)).all()
        kept: dict[UUID, list[Note]] = {}
        for row in found:
            note = Note(row.call_id, row.account_id, row.name, row.text, row.updated_at)
            kept.setdefault(row.call_id, []).append(note)
        return kept

    async def save(self, *, call_id: UUID, account_id: UUID, text: str) -> Note:
        """Store the author's text (an empty one removes it), following redirects of merged calls."""
        if len(text) > LONGEST:
            raise PeerMistake(
                "A note may have {longest} characters.", remedy="Shorten it.", values={"longest": LONGEST}
            )
        kept = json_text.clean(text)
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_calls(connection, [call_id])
                target = await _survivor(connection, call_id)
                author = await connection.scalar(select(accounts.c.name).where(accounts.c.id == account_id))
                if author is None:
                    raise PeerMistake("Nobody with this account exists.", remedy="Sign in again.")
                if not kept.strip():
                    await connection.execute(
                        delete(notes).where(notes.c.call_id == target, notes.c.account_id == account_id)
                    )
                    return Note(target, account_id, author, "", datetime.now(UTC))
                storing = insert(notes).values(call_id=target, account_id=account_id, text=kept)
                updated_at = await connection.scalar(
                    storing.on_conflict_do_update(
                        index_elements=["call_id", "account_id"],
                        set_={"text": storing.excluded.text, "updated_at": func.clock_timestamp()},
                    ).returning(notes.c.updated_at)
                )
        assert updated_at is not None, "RETURNING of an upsert without WHERE always answers"  # noqa: S101
        return Note(target, account_id, author, kept, updated_at)


async def _survivor(connection: AsyncConnection, call_id: UUID) -> UUID:
    return (await redirects_of(connection, [call_id])).get(call_id, call_id)

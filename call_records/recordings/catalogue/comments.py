"""Comments at a moment of a recording: what a supervisor or a colleague wrote there. They go when the audio goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts
from call_records.recordings.tables import recording_comments, recordings
from call_records.recordings.types import Comment
from telephony.errors import PeerMistake
from telephony.recordings import RecordingState

LONGEST = 4_000  # characters; two pages of typing for one moment of a call


class CommentBook:
    """Keeps what was written at a moment."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_recording(self, recording_id: UUID) -> Sequence[Comment]:
        """By the moment they are about, then in the order they were written."""
        query = _WITH_AUTHOR.where(recording_comments.c.recording_id == recording_id).order_by(
            recording_comments.c.at_seconds, recording_comments.c.written_at, recording_comments.c.id
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                return [_comment(row) for row in await connection.execute(query)]

    async def add(self, *, recording_id: UUID, account_id: UUID, at_seconds: float, text: str) -> Comment:
        """Write one. Raises PeerMistake without text, for a moment that is none, or without recording or account."""
        kept = _kept(text)
        if not kept:
            raise PeerMistake("A comment needs some text.")
        if not (math.isfinite(at_seconds) and at_seconds >= 0):
            raise PeerMistake("A comment is at a moment of the recording, in seconds from its beginning.")
        values = {
            "id": uuid4(),
            "recording_id": recording_id,
            "account_id": account_id,
            "at_seconds": at_seconds,
            "text": kept,
        }
        with plain_errors():
            async with self._engine.begin() as connection:
                await _require(connection, recording_id, account_id, at_seconds)
                await connection.execute(insert(recording_comments).values(values))
                found = _WITH_AUTHOR.where(recording_comments.c.id == values["id"])
                return _comment((await connection.execute(found)).one())

    async def change(self, comment_id: UUID, *, account_id: UUID, text: str) -> Comment | None:
        """Its author's new text; None when it is not theirs or there is none. An empty text removes it."""
        kept = _kept(text)
        his = (recording_comments.c.id == comment_id) & (recording_comments.c.account_id == account_id)
        with plain_errors():
            async with self._engine.begin() as connection:
                row = (
                    await connection.execute(_WITH_AUTHOR.where(his).with_for_update(of=recording_comments))
                ).one_or_none()
                if row is None:
                    return None
                if kept:
                    await connection.execute(update(recording_comments).where(his).values(text=kept))
                else:
                    await connection.execute(delete(recording_comments).where(his))
        return _comment(row, text=kept)


_WITH_AUTHOR = select(recording_comments, accounts.c.name).join(
    accounts, accounts.c.id == recording_comments.c.account_id
)


def _kept(text: str) -> str:
    if len(text) > LONGEST:
        raise PeerMistake(
            "A comment may have {longest} characters.", remedy="Shorten it.", values={"longest": LONGEST}
        )
    return json_text.clean(text).strip()


async def _require(
    connection: AsyncConnection, recording_id: UUID, account_id: UUID, at_seconds: float
) -> None:
    """The recording is held until the comment is written: a removal at the same moment comes before or after it."""
    wanted = select(recordings.c.state, recordings.c.duration_seconds).where(recordings.c.id == recording_id)
    recording = (await connection.execute(wanted.with_for_update(read=True))).one_or_none()
    if recording is None or recording.state == RecordingState.REMOVED:
        raise PeerMistake("There is no such recording, or it was removed.")
    if recording.duration_seconds is not None and at_seconds > recording.duration_seconds:
        raise PeerMistake("The recording ends before that moment.")
    if await connection.scalar(select(accounts.c.id).where(accounts.c.id == account_id)) is None:
        raise PeerMistake("Nobody with this account exists.", remedy="Sign in again.")


def _comment(row: Row[Any], *, text: str | None = None) -> Comment:
    return Comment(
        id=row.id,
        recording_id=row.recording_id,
        account_id=row.account_id,
        author=row.name,
        at_seconds=row.at_seconds,
        text=row.text if text is None else text,
        written_at=row.written_at,
    )

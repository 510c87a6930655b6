"""Expiring links to a recording or a clip of it. The token itself is never kept, only its hash."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts
from call_records.recordings.tables import recordings, share_links
from call_records.recordings.types import ShareLink
from telephony.errors import PeerMistake
from telephony.recordings import RecordingState


class LinkBook:
    """Who was given which recording until when."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def make(
        self,
        *,
        recording_id: UUID,
        token_hash: bytes,
        from_seconds: float | None,
        to_seconds: float | None,
        made_by: UUID,
        expires_at: datetime,
        purpose: str = "share",
    ) -> ShareLink:
        """A new link. Raises PeerMistake for a span that is none, or without recording or account."""
        _require_span(from_seconds, to_seconds)
        values = {
            "id": uuid4(),
            "recording_id": recording_id,
            "token_hash": token_hash,
            "from_seconds": from_seconds,
            "to_seconds": to_seconds,
            "purpose": json_text.clean(purpose),
            "made_by": made_by,
            "expires_at": expires_at,
        }
        with plain_errors():
            async with self._engine.begin() as connection:
                await _require(connection, recording_id, made_by)
                await connection.execute(insert(share_links).values(values))
                return _link(
                    (await connection.execute(_WITH_MAKER.where(share_links.c.id == values["id"]))).one()
                )

    async def find(self, token_hash: bytes, *, counting: bool = True) -> ShareLink | None:
        """The link, if it has neither expired nor been revoked and its recording is still there; counts the opening,
        unless it is only a part of one (a player asks for the sound in pieces).
        """
        there = select(recordings.c.id).where(
            recordings.c.id == share_links.c.recording_id, recordings.c.state != RecordingState.REMOVED.value
        )
        open_now = (
            update(share_links)
            .where(
                share_links.c.token_hash == token_hash,
                share_links.c.revoked_at.is_(None),
                share_links.c.expires_at > func.now(),
                there.exists(),
            )
            .values(opened=share_links.c.opened + int(counting))
            .returning(share_links.c.id)
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                found = await connection.scalar(open_now)
                if found is None:
                    return None
                return _link((await connection.execute(_WITH_MAKER.where(share_links.c.id == found))).one())

    async def of_recording(self, recording_id: UUID) -> Sequence[ShareLink]:
        """Every link ever made to it, newest first; expired and revoked ones too."""
        query = _WITH_MAKER.where(share_links.c.recording_id == recording_id)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(
                    query.order_by(share_links.c.made_at.desc(), share_links.c.id)
                )
                return [_link(row) for row in rows]

    async def revoke(self, link_id: UUID) -> None:
        """From now on it opens nothing. Revoking again changes nothing: the first moment stands."""
        stale = update(share_links).where(share_links.c.id == link_id, share_links.c.revoked_at.is_(None))
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(stale.values(revoked_at=func.now()))


_WITH_MAKER = select(share_links, accounts.c.name).join(accounts, accounts.c.id == share_links.c.made_by)


def _require_span(from_seconds: float | None, to_seconds: float | None) -> None:
    given = [one for one in (from_seconds, to_seconds) if one is not None]
    begin = from_seconds or 0.0
    if not all(math.isfinite(one) and one >= 0 for one in given) or (
        to_seconds is not None and to_seconds <= begin
    ):
        raise PeerMistake("A clip goes from one moment of the recording to a later one.")


async def _require(connection: AsyncConnection, recording_id: UUID, account_id: UUID) -> None:
    state = await connection.scalar(
        select(recordings.c.state).where(recordings.c.id == recording_id).with_for_update(read=True)
    )
    if state is None or state == RecordingState.REMOVED:
        raise PeerMistake("There is no such recording, or it was removed.")
    if await connection.scalar(select(accounts.c.id).where(accounts.c.id == account_id)) is None:
        raise PeerMistake("Nobody with this account exists.", remedy="Sign in again.")


def _link(row: Row[Any]) -> ShareLink:
    return ShareLink(
        id=row.id,
        recording_id=row.recording_id,
        from_seconds=row.from_seconds,
        to_seconds=row.to_seconds,
        purpose=row.purpose,
        made_by=row.name,
        made_at=row.made_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        opened=row.opened,
    )

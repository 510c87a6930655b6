"""Who listened to what: lines are added and never changed, and a trigger in the database sees to it.

Also kept by name and address, not by reference: a line must go on meaning what it meant when the account, the recording
or the call is gone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.recordings.tables import audit_log
from call_records.recordings.types import AuditEntry, AuditFilter
from telephony.recordings import AuditAction

BROWSER_LENGTH = 200  # characters of a User-Agent that are kept
REASON_LENGTH = 1000  # characters; a sentence or two
EXPORT_ROWS = 1000  # read at a time; some 300 kB


class AuditLog:
    """The append-only log over one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def write(
        self,
        action: AuditAction,
        *,
        who: str,
        account_id: UUID | None = None,
        recording_id: UUID | None = None,
        call_id: UUID | None = None,
        seconds: float | None = None,
        address: str = "",
        browser: str = "",
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a line. Raises TryLater when the database is away: what cannot be logged must not happen."""
        line = {
            "account_id": account_id,
            "who": json_text.clean(who),
            "action": action.value,
            "recording_id": recording_id,
            "call_id": call_id,
            "seconds": seconds,
            "address": json_text.clean(address),
            "browser": json_text.clean(browser)[:BROWSER_LENGTH],
            "reason": json_text.clean(reason)[:REASON_LENGTH] if reason else None,
            "details": dict(details or {}),
        }
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(insert(audit_log).values(line))

    async def page(
        self, wanted: AuditFilter, *, limit: int = 100, before: int | None = None
    ) -> Sequence[AuditEntry]:
        """Newest first, older than the line `before`."""
        query = _matching(wanted).order_by(audit_log.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit_log.c.id < before)
        with plain_errors():
            async with self._engine.connect() as connection:
                return [_entry(row) for row in await connection.execute(query)]

    async def export(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        """All of it, oldest first, a page at a time."""
        after = 0
        while True:
            query = (
                _matching(wanted).where(audit_log.c.id > after).order_by(audit_log.c.id).limit(EXPORT_ROWS)
            )
            with plain_errors():
                async with self._engine.connect() as connection:
                    rows = (await connection.execute(query)).all()
            for row in rows:
                yield _entry(row)
            if len(rows) < EXPORT_ROWS:
                return
            after = rows[-1].id


def _matching(wanted: AuditFilter) -> Select[Any]:
    query = select(audit_log)
    if wanted.who is not None:
        query = query.where(audit_log.c.who == wanted.who)
    if wanted.action is not None:
        query = query.where(audit_log.c.action == wanted.action.value)
    if wanted.recording_id is not None:
        query = query.where(audit_log.c.recording_id == wanted.recording_id)
    if wanted.call_id is not None:
        query = query.where(audit_log.c.call_id == wanted.call_id)
    if wanted.since is not None:
        query = query.where(audit_log.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit_log.c.at < wanted.until)
    return query


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        account_id=row.account_id,
        who=row.who,
        action=AuditAction(row.action) if row.action in set(AuditAction) else str(row.action),
        recording_id=row.recording_id,
        call_id=row.call_id,
        seconds=row.seconds,
        address=row.address,
        browser=row.browser,
        reason=row.reason,
        details=row.details if isinstance(row.details, dict) else {"details": row.details},
    )

"""Numbers that never make anything: one number, or all that begin alike. Their calls are kept, told and counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.lead_rules.types import Blocked
from call_records.crm.tables import blocklist
from call_records.crm.writes import Home
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts
from telephony.errors import PeerMistake

PREFIX_LEAST = 4  # digits before a *; fewer would block a country
REASON_MOST = 200  # characters
_PREFIX = re.compile(r"\+?[0-9]+\*")
_SIGNS = re.compile(r"[\s().-]")


def pattern_of(typed: str, home: Home) -> str:
    """What a typed number or beginning of numbers is kept as. Raises PeerMistake when it is neither."""
    plain = _SIGNS.sub("", typed.strip())
    if _PREFIX.fullmatch(plain):
        if sum(char.isdigit() for char in plain) < PREFIX_LEAST:
            raise PeerMistake(
                "That would block far too many numbers.",
                remedy="Write four digits or more before the *.",
                field="number",
            )
        return plain if plain.startswith("+") else f"+{plain}"
    found = home.written(typed)
    key = found[0].key if len(found) == 1 else None
    if key is None or "*" in plain:
        raise PeerMistake(
            "That is not a number.",
            remedy="Write one number, or the beginning of numbers and a * (+7495123*).",
            field="number",
        )
    return key


class Blocklist:
    """The list as pages read and change it."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home

    async def all(self) -> Sequence[Blocked]:
        """Every line, newest first."""
        wanted = select(blocklist, accounts.c.name).outerjoin(
            accounts, accounts.c.id == blocklist.c.account_id
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(wanted.order_by(blocklist.c.at.desc(), blocklist.c.pattern))
                return [Blocked(r.pattern, r.reason, r.name, r.at, r.calls, r.last_at) for r in rows]

    async def add(self, typed: str, *, reason: str, by: UUID | None) -> str:
        """Block it from now on; returns the pattern. One that is there gets the new reason. Raises PeerMistake."""
        pattern = pattern_of(typed, self._home)
        adding = insert(blocklist).values(
            pattern=pattern, reason=json_text.clean(reason.strip()[:REASON_MOST]), account_id=by
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    adding.on_conflict_do_update(
                        index_elements=["pattern"], set_={"reason": adding.excluded.reason}
                    )
                )
        return pattern

    async def remove(self, pattern: str) -> None:
        """It may make leads again. One that is not there is no mistake."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(blocklist).where(blocklist.c.pattern == pattern))

    async def which(self, number: str) -> Blocked | None:
        """The line this number is blocked by, or None."""
        found = self._home.written(number)
        if not found or found[0].key is None:
            return None
        with plain_errors():
            async with self._engine.connect() as connection:
                pattern = await blocking(connection, found[0].key)
        return next((one for one in await self.all() if one.pattern == pattern), None)


async def blocking(connection: AsyncConnection, key: str) -> str | None:
    """The longest pattern that stands for this number, or None."""
    pattern = await connection.scalar(_BLOCKING, {"key": key})
    return str(pattern) if pattern is not None else None


async def count(connection: AsyncConnection, pattern: str, at: datetime) -> None:
    """One more call of a blocked number."""
    await connection.execute(_COUNT, {"pattern": pattern, "at": at})


_BLOCKING = text("""
    SELECT pattern FROM blocklist
    WHERE pattern = :key OR (right(pattern, 1) = '*' AND starts_with(:key, left(pattern, -1)))
    ORDER BY length(pattern) DESC LIMIT 1
""")
_COUNT = text("""
    UPDATE blocklist SET calls = calls + 1, last_at = greatest(coalesce(last_at, :at), :at) WHERE pattern = :pattern
""")

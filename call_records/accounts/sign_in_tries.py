"""Tries at signing in, counted in the database (rate limiting): several web processes are one office to a guesser.

A try is counted before the password is looked at and given back when it was right, so that many guesses at once count
like many one after the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import locks
from call_records.db.errors import plain_errors
from call_records.db.tables import sign_in_tries
from call_records.types import TryLimit

REMEMBERED = "1 day"  # longer than any limit's time; older tries are swept on the way


class SignInTriesBook:
    """Implements `call_records.types.SignInTries`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def take(self, limits: Sequence[TryLimit]) -> Sequence[int] | None:
        """Count one try in each; None, and nothing is counted, when one of them is used up."""
        # In one order, so that two who take the same ones never wait for each other.
        counted = sorted(((_bucket(one.bucket), one) for one in limits), key=lambda pair: pair[0])
        with plain_errors():
            async with self._engine.begin() as connection:
                for bucket, limit in counted:
                    await connection.execute(_TURN, {"bucket": bucket.hex(), "seed": locks.SIGN_IN_TRIES})
                    if await _tried(connection, bucket, limit.seconds) >= limit.most:
                        return None
                await connection.execute(_SWEEP)
                adding = insert(sign_in_tries).returning(sign_in_tries.c.id)
                rows = await connection.execute(adding, [{"bucket": bucket} for bucket, _limit in counted])
                return list(rows.scalars())

    async def give_back(self, tries: Sequence[int]) -> None:
        """These were right, so they do not count."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(sign_in_tries).where(sign_in_tries.c.id.in_(tries)))


async def _tried(connection: AsyncConnection, bucket: bytes, seconds: float) -> int:
    lately = sign_in_tries.c.at > func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    wanted = select(func.count()).where(sign_in_tries.c.bucket == bucket, lately)
    return int(await connection.scalar(wanted) or 0)


def _bucket(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "replace")).digest()


_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(:bucket, :seed))")
_SWEEP = text(f"DELETE FROM sign_in_tries WHERE at < clock_timestamp() - interval '{REMEMBERED}'")  # noqa: S608

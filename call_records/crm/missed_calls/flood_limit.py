"""How many entries callers whom nobody knows may make in the list of missed calls, for each line of ours.

Whoever invents numbers can make a call from each of them. An entry is a promise to call back, so a line makes only so many
within ten minutes; the calls themselves are kept as ever. Who is in the book, and who already has an entry, is never left
out, and a caller who tries again after the flood gets an entry then. How many were left out is kept by line and day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.lead_rules.apply import flood_most
from call_records.crm.missed_calls.types import MissedFlood
from telephony.lead_rules import FLOOD_MINUTES

ENTRIES_FOR_A_LEAD = 2  # an entry takes less of a person's time than a lead, and a missed client costs more
SHOWN_HOURS = 24


async def is_flooded(connection: AsyncConnection, did: str | None, at: datetime, key: str) -> bool:
    """Whether this line made as many entries of unknown callers lately as it may. The line is not locked: one or two more
    do no harm, and a lock here would meet those on numbers in the other order.
    """
    since = at - timedelta(minutes=FLOOD_MINUTES)
    made = await connection.scalar(_MADE, {"did": did, "since": since, "until": at, "key": key})
    return int(made or 0) >= ENTRIES_FOR_A_LEAD * await flood_most(connection)


async def count_left_out(connection: AsyncConnection, did: str | None, at: datetime) -> None:
    """One more caller of this line got no entry."""
    await connection.execute(_COUNT, {"key": f"missed_flood:{did or ''}", "at": at.isoformat()})


async def recent_floods(connection: AsyncConnection) -> Sequence[MissedFlood]:
    """Of the last day, the newest first."""
    rows: Any = await connection.execute(_RECENT, {"hours": SHOWN_HOURS})
    return [MissedFlood(row.did or None, row.calls, row.until) for row in rows]


_MADE = text("""
    SELECT count(*) FROM missed
    WHERE did IS NOT DISTINCT FROM :did AND client_id IS NULL AND first_at > :since AND first_at <= :until
        AND key <> :key
""")
_COUNT = text("""
    INSERT INTO office AS kept (key, value) VALUES (:key, jsonb_build_object('calls', 1, 'until', CAST(:at AS text)))
    ON CONFLICT (key) DO UPDATE SET updated_at = now(), value = jsonb_build_object(
        'calls', CASE WHEN kept.updated_at > now() - interval '1 day' THEN (kept.value->>'calls')::int + 1 ELSE 1 END,
        'until', GREATEST(kept.value->>'until', CAST(:at AS text)))
""")
_RECENT = text("""
    SELECT substr(key, 14) AS did, (value->>'calls')::int AS calls, (value->>'until')::timestamptz AS until
    FROM office WHERE starts_with(key, 'missed_flood:') AND updated_at > now() - make_interval(hours => :hours)
    ORDER BY 3 DESC LIMIT 20
""")

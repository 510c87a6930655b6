"""Many calls of the past take their places at once, instead of one after the other as the bookkeeper takes them in.

For a history that is brought along together with the book it belongs to (the demo's): every number is in the book
already, so that no lead rule has anything to say, and a few statements do what would take seconds call by call.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.crm.last_contact import tell_spoken, tell_spoken_of_deals
from call_records.crm.missed_calls.recompute import tell_anew
from call_records.crm.writes import Home
from call_records.db.errors import plain_errors
from telephony.contacts import MatchRule


async def file_past_calls(engine: AsyncEngine, call_ids: Sequence[UUID]) -> None:
    """Put these calls on the timelines of whoever has their numbers, with the deal that was open then. Doing it again
    changes nothing. Raises TryLater.
    """
    asked = {"calls": list(call_ids)}
    with plain_errors():
        async with engine.begin() as connection:
            placed = (await connection.execute(_PLACE, asked)).all()
            await tell_spoken(connection, {row.client_id for row in placed})
            await tell_spoken_of_deals(connection, {row.deal_id for row in placed if row.deal_id})
            await connection.execute(_BOOKED, asked)


async def enter_past_missed_calls(
    engine: AsyncEngine, home: Home, call_ids: Sequence[UUID], since: datetime
) -> None:
    """What was missed among these calls, none older than `since`, and how it was settled. Again: changes nothing.
    Raises TryLater.
    """
    with plain_errors():
        async with engine.connect() as connection:
            keys = (await connection.scalars(_MISSED_KEYS, {"calls": list(call_ids)})).all()
        for key in keys:  # one at a time: live calls of a number wait for its entries
            async with engine.begin() as connection:
                await tell_anew(connection, key, since=since, home=home)


_CALLS = bindparam("calls", type_=ARRAY(Uuid))
_PLACE = text("""
    INSERT INTO timeline (id, client_id, deal_id, kind, at, call_id, data)
    SELECT DISTINCT ON (c.id) gen_random_uuid(), p.client_id, d.id, 'call', c.started_at, c.id, jsonb_build_object(
        'key', p.key, 'rule', CASE WHEN namesakes.n > 1 THEN CAST(:open_deal AS text) ELSE CAST(:only AS text) END,
        'field', 'phone', 'written', p.raw, 'asked', c.outside_number, 'others', '[]'::jsonb)
    FROM calls c
    JOIN client_phones p ON p.key = c.outside_number
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM client_phones other WHERE other.key = p.key) AS namesakes
    LEFT JOIN LATERAL (
        SELECT id FROM deals
        WHERE contact_id = p.client_id AND removed_at IS NULL AND created_at <= c.started_at
            AND (closed_at IS NULL OR closed_at > c.started_at)
        ORDER BY created_at DESC LIMIT 1
    ) AS d ON true
    WHERE c.id = ANY(:calls) AND c.booked IS DISTINCT FROM c.revision
    ORDER BY c.id, d.id NULLS LAST, p.client_id
    ON CONFLICT (call_id) WHERE kind = 'call' DO NOTHING
    RETURNING client_id, deal_id
""").bindparams(
    _CALLS,
    bindparam("open_deal", MatchRule.OPEN_DEAL.value),
    bindparam("only", MatchRule.ONLY.value),
)
_MISSED_KEYS = text("""
    SELECT DISTINCT outside_number FROM calls
    WHERE id = ANY(:calls) AND outside_number IS NOT NULL AND direction = 'inbound' AND disposition <> 'answered'
    ORDER BY outside_number
""").bindparams(_CALLS)
_BOOKED = text("UPDATE calls SET booked = revision WHERE id = ANY(:calls)").bindparams(_CALLS)

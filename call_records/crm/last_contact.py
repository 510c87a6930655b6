"""When somebody of ours last talked with a client, and the calls of before that belong to a new one.

`spoken_at` can always be told from the timeline: the newest call there that was answered. Whoever takes a call away
from a timeline or puts one on it asks for it to be told again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from call_records.crm.types import ClientPhone
from telephony.contacts import MatchRule

EARLIER_CALLS = 1000  # of one number; they are filed while somebody waits: 180 ms on a busy machine

_CLIENTS = text("""
    UPDATE clients c SET spoken_at = told.at
    FROM (
        SELECT root.id, (
            SELECT max(each.at) FROM (
                SELECT root.id
                UNION ALL SELECT id FROM clients WHERE merged_into = root.id
                UNION ALL SELECT id FROM clients WHERE became_id = root.id
            ) AS family
            CROSS JOIN LATERAL (
                SELECT coalesce(calls.ended_at, calls.answered_at, calls.started_at) AS at
                FROM timeline t JOIN calls ON calls.id = t.call_id
                WHERE t.client_id = family.id AND t.kind = 'call' AND calls.disposition = 'answered'
                ORDER BY t.at DESC, t.id DESC LIMIT 1
            ) AS each
        ) AS at
        FROM unnest(:ids) AS root (id)
    ) AS told
    WHERE c.id = told.id AND c.spoken_at IS DISTINCT FROM told.at
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_DEALS = text("""
    UPDATE deals d SET spoken_at = told.at
    FROM (
        SELECT deal.id, (
            SELECT coalesce(calls.ended_at, calls.answered_at, calls.started_at)
            FROM timeline t JOIN calls ON calls.id = t.call_id
            WHERE t.deal_id = deal.id AND t.kind = 'call' AND calls.disposition = 'answered'
            ORDER BY t.at DESC, t.id DESC LIMIT 1
        ) AS at
        FROM unnest(:ids) AS deal (id)
    ) AS told
    WHERE d.id = told.id AND d.spoken_at IS DISTINCT FROM told.at
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))


async def tell_spoken(connection: AsyncConnection, ids: Iterable[UUID]) -> None:
    """Correct `spoken_at` of these entries (each with its family)."""
    await connection.execute(_CLIENTS, {"ids": sorted(set(ids))})


async def tell_spoken_of_deals(connection: AsyncConnection, ids: Iterable[UUID]) -> None:
    """Correct `spoken_at` of these deals."""
    await connection.execute(_DEALS, {"ids": sorted(set(ids))})


_EARLIER = text("""
    INSERT INTO timeline (id, client_id, kind, at, call_id, data)
    SELECT gen_random_uuid(), :client, 'call', c.started_at, c.id, jsonb_build_object(
        'key', CAST(:key AS text), 'rule', CAST(:rule AS text), 'field', CAST(:field AS text),
        'written', CAST(:written AS text), 'asked', c.outside_number, 'others', '[]'::jsonb, 'by_hand', false,
        'earlier', true)
    FROM calls c
    WHERE c.outside_last10 = :tail AND (c.outside_number = :key OR c.outside_number NOT LIKE '+%')
        AND NOT EXISTS (SELECT 1 FROM timeline t WHERE t.call_id = c.id AND t.kind = 'call')
    ORDER BY c.started_at DESC, c.id DESC
    LIMIT :most
    ON CONFLICT (call_id) WHERE kind = 'call' DO NOTHING
""").bindparams(
    bindparam("client", type_=Uuid),
    bindparam("rule", MatchRule.ONLY.value),
    bindparam("most", EARLIER_CALLS, literal_execute=True),
)
_OPEN_MISSED = text("""
    UPDATE missed SET client_id = :client
    WHERE key = ANY(:keys) AND state IN ('new', 'claimed') AND client_id IS NULL
    RETURNING id
""").bindparams(bindparam("client", type_=Uuid), bindparam("keys", type_=ARRAY(Text)))


async def file_earlier_calls(
    connection: AsyncConnection, client_id: UUID, phones: Sequence[ClientPhone]
) -> Sequence[UUID]:
    """The newest calls with these numbers that are on no timeline go on this one's; so does what is owed to them.

    Returns the missed entries that are known now. The caller holds the numbers' locks.
    """
    for place, phone in enumerate(phones):
        if phone.key is not None:
            digits = "".join(char for char in phone.key if char.isdigit())
            asked = {"client": client_id, "key": phone.key, "tail": digits[-10:]}
            field = phone.label or ("phone" if place == 0 else f"phone {place + 1}")
            await connection.execute(_EARLIER, {**asked, "field": field, "written": phone.raw})
    await tell_spoken(connection, [client_id])
    keys = [phone.key for phone in phones if phone.key is not None]
    return (await connection.scalars(_OPEN_MISSED, {"client": client_id, "keys": keys})).all()

"""Who may be the same as an entry: found by the indexes of numbers, e-mails and names, never by reading the book. What
somebody said are two stays two, through merges with others and their undoing.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

MOST = 50  # a number with more than fifty entries is a switchboard; nobody compares further

_ALIKE = text("""
    WITH family AS (
        SELECT id FROM clients WHERE id = :id UNION ALL SELECT id FROM clients WHERE merged_into = :id
    ), own AS (SELECT * FROM clients WHERE id = :id), alike AS (
        (SELECT other.client_id AS id, 4 AS weight
        FROM client_phones mine JOIN client_phones other ON other.key = mine.key
        WHERE mine.client_id IN (SELECT id FROM family) AND mine.key LIKE '+%' LIMIT 500)
        UNION ALL
        (SELECT c.id, 3 FROM own JOIN clients c ON c.emails && own.emails WHERE own.emails <> '{}' LIMIT 500)
        UNION ALL
        (SELECT c.id, 2 FROM own JOIN clients c ON c.kind = own.kind AND lower(c.name) = lower(own.name)
        WHERE c.merged_into IS NULL AND c.removed_at IS NULL LIMIT 500)
    )
    SELECT c.id
    FROM (SELECT id, weight FROM alike GROUP BY id, weight) AS found
    JOIN clients hit ON hit.id = found.id
    JOIN clients c ON c.id = coalesce(hit.merged_into, hit.id)
    CROSS JOIN own
    WHERE c.id <> :id AND c.removed_at IS NULL AND c.state IS DISTINCT FROM 'converted'
        AND NOT EXISTS (
            SELECT FROM family JOIN distinct_clients d ON d.client_id = family.id JOIN clients other ON other.id = d.other_id
            WHERE coalesce(other.merged_into, other.id) = c.id
        )
        AND (c.kind = own.kind OR (c.kind IN ('contact', 'lead') AND own.kind IN ('contact', 'lead')))
    GROUP BY c.id
    ORDER BY sum(found.weight) + (c.kind = (SELECT kind FROM own))::int DESC, c.updated_at DESC, c.id
    LIMIT :most
""").bindparams(bindparam("id", type_=Uuid), bindparam("most", MOST, literal_execute=True))


_KEEP_APART = text("""
    INSERT INTO distinct_clients (client_id, other_id, account_id)
    SELECT one.id, other.id, :by
    FROM clients one JOIN clients other ON other.id IN (:one, :other) AND other.id <> one.id
    WHERE one.id IN (:one, :other)
    ON CONFLICT DO NOTHING
""").bindparams(bindparam("one", type_=Uuid), bindparam("other", type_=Uuid), bindparam("by", type_=Uuid))

_MAY_BE_ONE = text("""
    WITH mine AS (SELECT id FROM clients WHERE :one IN (id, merged_into)),
        theirs AS (SELECT id FROM clients WHERE :other IN (id, merged_into))
    DELETE FROM distinct_clients
    WHERE (client_id IN (SELECT id FROM mine) AND other_id IN (SELECT id FROM theirs))
        OR (client_id IN (SELECT id FROM theirs) AND other_id IN (SELECT id FROM mine))
""").bindparams(bindparam("one", type_=Uuid), bindparam("other", type_=Uuid))


async def keep_apart(connection: AsyncConnection, one: UUID, other: UUID, *, by: UUID | None) -> None:
    """They are two, whatever they share."""
    await connection.execute(_KEEP_APART, {"one": one, "other": other, "by": by})


async def allow_again(connection: AsyncConnection, one: UUID, other: UUID) -> None:
    """They may be suggested for each other again."""
    await connection.execute(_MAY_BE_ONE, {"one": one, "other": other})


async def alike(connection: AsyncConnection, client_id: UUID) -> Sequence[UUID]:
    """Ids of living entries, likeliest first."""
    return (await connection.scalars(_ALIKE, {"id": client_id})).all()

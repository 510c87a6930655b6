"""An import is taken back: what it made goes, unless somebody has worked with it since; what it completed is as before.

In pieces of one transaction each, and every piece leads to the same book however often it is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text, Uuid

from call_records.crm.contacts.merge_tree import refresh_search
from call_records.crm.tables import client_phones, clients, import_changes, timeline
from call_records.crm.writes import BOOK_CHANNEL

AT_ONCE = 200  # entries of one transaction; each is looked for in seven tables

_ID = bindparam("import", type_=Uuid)


async def take_completions_back(connection: AsyncConnection, import_id: UUID) -> int:
    """Some more of what was added to entries that were there before. 0: there is nothing left."""
    wanted = select(import_changes).where(import_changes.c.import_id == import_id)
    rows = (await connection.execute(wanted.order_by(import_changes.c.row.desc()).limit(AT_ONCE))).all()
    for row in rows:
        await _take_one_back(connection, row.client_id, row.added)
    ids = sorted({row.client_id for row in rows})
    if rows:
        done = import_changes.c.row.in_([row.row for row in rows])
        await connection.execute(delete(import_changes).where(import_changes.c.import_id == import_id, done))
        ours = timeline.c.data["import"].astext == str(import_id)
        await connection.execute(
            delete(timeline).where(
                timeline.c.client_id.in_(ids), timeline.c.kind.in_(("changed", "note")), ours
            )
        )
        await refresh_search(connection, ids)
        await connection.execute(_NOTICE, {"channel": BOOK_CHANNEL})
    return len(rows)


async def _take_one_back(connection: AsyncConnection, client_id: UUID, added: dict[str, Any]) -> None:
    """Only what is still as the import wrote it; what a person has set since is theirs."""
    row = (
        await connection.execute(
            select(clients).where(clients.c.id == client_id).with_for_update(key_share=True)
        )
    ).one_or_none()
    if row is None:
        return
    for key, raw, extension in added["phones"]:
        mine = (client_phones.c.client_id == client_id) & (client_phones.c.raw == raw)
        mine &= client_phones.c.key.is_not_distinct_from(key)
        mine &= client_phones.c.extension.is_not_distinct_from(extension)
        await connection.execute(delete(client_phones).where(mine))
    values: dict[str, Any] = {
        "emails": [one for one in row.emails if one not in added["emails"]],
        "tags": [one for one in row.tags if one not in added["tags"]],
        "fields": {name: value for name, value in row.fields.items() if added["facts"].get(name) != value},
        "version": row.version + 1,
    }
    for column, what in (("company_id", "company"), ("position", "position"), ("owner_id", "owner")):
        kept = getattr(row, column)
        if added[what] is not None and kept is not None and str(kept) == added[what]:
            values[column] = None
    if added["name"] and row.name == added["name"][1] and added["name"][0]:
        values["name"] = added["name"][0]
    await connection.execute(update(clients).where(clients.c.id == client_id).values(**values))


async def remove_some(
    connection: AsyncConnection, import_id: UUID, after: UUID | None, *, companies: bool
) -> UUID | None:
    """Look at some more of what it made, in the order of ids; companies after those who may belong to them.

    Returns where to go on; None: all were looked at.
    """
    asked = {"import": import_id, "after": after or UUID(int=0), "most": AT_ONCE, "companies": companies}
    ids = list((await connection.scalars(_MADE, asked)).all())
    if not ids:
        return None
    worked = {
        row.id
        for row in await connection.execute(
            _WORKED_WITH, {"ids": ids, "import": import_id, "imported": str(import_id)}
        )
    }
    gone = [one for one in ids if one not in worked]
    if gone:
        await connection.execute(delete(clients).where(clients.c.id.in_(gone)))
        await connection.execute(_NOTICE, {"channel": BOOK_CHANNEL})
    last: UUID = ids[-1]
    return last


async def what_stays(connection: AsyncConnection, import_id: UUID) -> Sequence[tuple[UUID, str, str]]:
    """Entries it made that somebody has worked with: id, name and why, the first hundred."""
    wanted = select(clients.c.id, clients.c.name).where(clients.c.import_id == import_id)
    rows = (await connection.execute(wanted.order_by(clients.c.name, clients.c.id).limit(100))).all()
    asked = {"ids": [row.id for row in rows], "import": import_id, "imported": str(import_id)}
    why = {row.id: row.why for row in await connection.execute(_WORKED_WITH, asked)}
    return [(row.id, row.name, why.get(row.id, "changed")) for row in rows]


_NOTICE = text("SELECT pg_notify(:channel, 'all')")
_MADE = text("""
    SELECT id FROM clients
    WHERE import_id = :import AND id > :after AND (kind = 'company') = :companies
    ORDER BY id LIMIT :most
""").bindparams(_ID, bindparam("after", type_=Uuid))
_WORKED_WITH = text("""
    SELECT id, max(why) AS why FROM (
        SELECT id, 'changed' AS why FROM clients WHERE id = ANY(:ids)
            AND (version > 1 OR merged_into IS NOT NULL OR became_id IS NOT NULL OR removed_at IS NOT NULL
                OR state <> 'open')
        UNION ALL SELECT merged_into, 'merged' FROM clients WHERE merged_into = ANY(:ids)
        UNION ALL SELECT became_id, 'merged' FROM clients WHERE became_id = ANY(:ids)
        UNION ALL SELECT company_id, 'people' FROM clients WHERE company_id = ANY(:ids)
        UNION ALL SELECT contact_id, 'deal' FROM deals WHERE contact_id = ANY(:ids)
        UNION ALL SELECT company_id, 'deal' FROM deals WHERE company_id = ANY(:ids)
        UNION ALL SELECT client_id, 'task' FROM tasks WHERE client_id = ANY(:ids)
        UNION ALL SELECT client_id, 'changed' FROM import_changes
            WHERE client_id = ANY(:ids) AND import_id <> :import
        UNION ALL SELECT client_id, 'call' FROM number_lessons WHERE client_id = ANY(:ids)
        UNION ALL SELECT client_id, CASE kind WHEN 'call' THEN 'call' WHEN 'note' THEN 'note' WHEN 'task' THEN 'task'
                ELSE 'changed' END
            FROM timeline WHERE client_id = ANY(:ids) AND kind <> 'made'
            AND data->>'import' IS DISTINCT FROM CAST(:imported AS text)
            AND NOT (kind = 'call' AND coalesce(data->>'earlier', '') = 'true')
    ) AS found GROUP BY id
""").bindparams(_ID, bindparam("ids", type_=ARRAY(Uuid)), bindparam("imported", type_=Text()))

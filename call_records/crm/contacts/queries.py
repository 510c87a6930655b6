"""Entries of the book as they are read: the row, its names beside the ids, and the numbers of the whole family.

`merged_into` always names the last survivor, however many merges lie between: a family is the survivor and whoever
names it, found by one index. The way the merges went is kept in `client_merges`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Uuid, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.tables import clients
from call_records.crm.types import Client, ClientPhone
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake

IDS = bindparam("ids", type_=ARRAY(Uuid))

_ROWS = text("""
    SELECT c.*, company.name AS company, p.name AS owner, s.name AS campaign,
        CASE WHEN c.kind = 'company'
            THEN (SELECT count(*) FROM deals d WHERE d.company_id = c.id AND d.state = 'open' AND d.removed_at IS NULL)
            ELSE (SELECT count(*) FROM deals d WHERE d.contact_id = c.id AND d.state = 'open' AND d.removed_at IS NULL)
        END AS open_deals
    FROM clients c
    LEFT JOIN clients company ON company.id = c.company_id
    LEFT JOIN people p ON p.id = c.owner_id
    LEFT JOIN campaigns s ON s.id = c.campaign_id
    WHERE c.id = ANY(:ids)
""").bindparams(IDS)
_PHONES = text("""
    SELECT family.root, family.id = family.root AS own, p.client_id, p.raw, p.key, p.last10, p.extension, p.label
    FROM (
        SELECT id AS root, id, created_at FROM clients WHERE id = ANY(:ids)
        UNION ALL
        SELECT merged_into, id, created_at FROM clients WHERE merged_into = ANY(:ids)
    ) AS family
    JOIN client_phones p ON p.client_id = family.id
    ORDER BY family.id <> family.root, family.created_at, family.id, p.place
""").bindparams(IDS)


async def clients_of(connection: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, Client]:
    """These very entries, whatever became of them; unknown ids are left out."""
    wanted = {"ids": list(dict.fromkeys(ids))}
    if not wanted["ids"]:
        return {}
    rows = (await connection.execute(_ROWS, wanted)).all()
    phones: dict[UUID, list[ClientPhone]] = {}
    for row in await connection.execute(_PHONES, wanted):
        phones.setdefault(row.root, []).append(ClientPhone(row.raw, row.key, row.extension, row.label))
    return {row.id: _client(row, phones.get(row.id, ())) for row in rows}


async def survivors_of(connection: AsyncConnection, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Each known id and the entry it is part of now: itself, unless it was merged into another one."""
    wanted = select(clients.c.id, clients.c.merged_into).where(clients.c.id.in_(list(ids)))
    return {row.id: row.merged_into or row.id for row in await connection.execute(wanted)}


async def survivor_of(connection: AsyncConnection, client_id: UUID) -> UUID:
    """The same of one. Raises PeerMistake when there is no such entry."""
    found = (await survivors_of(connection, [client_id])).get(client_id)
    if found is None:
        raise unknown()
    return found


async def one_client(connection: AsyncConnection, client_id: UUID) -> Client:
    """The entry itself. Raises PeerMistake when there is none."""
    found = (await clients_of(connection, [client_id])).get(client_id)
    if found is None:
        raise unknown()
    return found


def unknown() -> PeerMistake:
    """Somebody asked for an entry that is not in the book."""
    return PeerMistake("There is no such contact.", remedy="Look for it in the list.")


def same_number(phone: ClientPhone) -> tuple[str, str | None]:
    """What makes two written numbers the same one."""
    return phone.key or phone.raw, phone.extension


def each_once(phones: Iterable[ClientPhone]) -> tuple[ClientPhone, ...]:
    """The numbers in order, each the first time it comes."""
    kept: dict[tuple[str, str | None], ClientPhone] = {}
    for phone in phones:
        kept.setdefault(same_number(phone), phone)
    return tuple(kept.values())


def _client(row: Row[Any], phones: Sequence[ClientPhone]) -> Client:
    fields: Mapping[str, str] = row.fields
    return Client(
        id=row.id,
        kind=ClientKind(row.kind),
        name=row.name,
        phones=each_once(phones),
        emails=tuple(row.emails),
        company_id=row.company_id,
        company=row.company,
        position=row.position,
        owner_id=row.owner_id,
        owner=row.owner,
        tags=tuple(row.tags),
        fields=fields,
        state=LeadState(row.state) if row.state else None,
        source=row.source,
        campaign=row.campaign,
        became_id=row.became_id,
        spoken_at=row.spoken_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        version=row.version,
        removed_at=row.removed_at,
        open_deals=row.open_deals,
    )

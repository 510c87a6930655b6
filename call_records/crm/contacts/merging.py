"""Two entries turn out to be one, and sometimes not after all.

The absorbed one gets a pointer to the survivor; nothing that happened moves. What others look up by id (deals, tasks, a
company's people, missed callers) is turned to the survivor and noted, so that undoing turns back exactly that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, Uuid, bindparam, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from call_records.crm.contacts.merge_tree import Member, family_of, keep_family, refresh_people_of, take_turns
from call_records.crm.contacts.queries import clients_of, survivors_of, unknown
from call_records.crm.last_contact import tell_spoken
from call_records.crm.tables import client_merges, clients
from call_records.crm.types import Client
from call_records.crm.writes import Told, notice, tell, touch
from call_records.db.tables import MOMENT
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake

TURNED = ("deals.contact_id", "deals.company_id", "tasks.client_id", "clients.company_id", "missed.client_id")
"""What points to an entry and is looked up by its id alone."""
ALLOWED = frozenset(
    {
        (ClientKind.CONTACT, ClientKind.CONTACT),
        (ClientKind.COMPANY, ClientKind.COMPANY),
        (ClientKind.LEAD, ClientKind.LEAD),
        (ClientKind.CONTACT, ClientKind.LEAD),
    }
)
"""Survivor and absorbed. A lead may turn out to be somebody we know; a person is never a company."""
_IDS = bindparam("ids", type_=ARRAY(Uuid))


async def merge(
    connection: AsyncConnection, survivor_id: UUID, absorbed_id: UUID, *, by: UUID | None
) -> UUID:
    """The absorbed one's numbers, deals and history are the survivor's from now on. Returns the id for undoing."""
    await take_turns(connection)
    survivor, absorbed = await _pair(connection, survivor_id, absorbed_id)
    await _lock(connection, [survivor.id, absorbed.id])
    family, branch = await family_of(connection, survivor.id), await family_of(connection, absorbed.id)
    family.merged.append(branch)
    at = datetime.now(UTC)
    merge_id = uuid4()
    moved = {name: await _turn(connection, name, absorbed.id, survivor.id) for name in TURNED}
    row = {"survivor_id": survivor.id, "absorbed_id": absorbed.id, "moved": moved, "account_id": by, "at": at}
    await connection.execute(insert(client_merges).values(id=merge_id, **row))
    await keep_family(connection, family)
    await _turned_round(connection, [survivor.id], at)
    data = {
        "merge": str(merge_id),
        "absorbed": str(absorbed.id),
        "name": absorbed.name,
        "kind": absorbed.kind.value,
    }
    await tell(connection, Told("merged", at, client_id=survivor.id, account_id=by, data=data))
    await notice(connection, "client", absorbed.id)
    return merge_id


async def undo(connection: AsyncConnection, merge_id: UUID, *, by: UUID | None) -> None:
    """Both are as if it had not been, but for what was done with the survivor since."""
    await take_turns(connection)
    row = (
        await connection.execute(select(client_merges).where(client_merges.c.id == merge_id))
    ).one_or_none()
    if row is None or row.undone_at is not None:
        raise PeerMistake("This merge is undone already.", remedy="Load the page again.")
    top_id = (await survivors_of(connection, [row.absorbed_id]))[row.absorbed_id]
    top = await family_of(connection, top_id)
    way = _way(top, row.absorbed_id)
    branch = way[-1]
    way[-2].merged.remove(branch)
    at = datetime.now(UTC)
    await connection.execute(update(client_merges).where(client_merges.c.id == merge_id).values(undone_at=at))
    above = [one.id for one in way[:-1]]
    for name in TURNED:
        await _turn_back(connection, name, row, top, above)
    await keep_family(connection, top)
    await keep_family(connection, branch)
    await _turned_round(connection, sorted([top.id, branch.id]), at)
    await connection.execute(_UNDONE, {"client": row.survivor_id, "at": row.at, "merge": str(merge_id)})
    apart = {top.id: branch.id, branch.id: top.id}
    names = {one.id: one.name for one in (await clients_of(connection, apart)).values()}
    for one, other in apart.items():
        data = {"what": "unmerged", "merge": str(merge_id), "other": str(other), "name": names[other]}
        await tell(connection, Told("changed", at, client_id=one, account_id=by, data=data))


async def _pair(connection: AsyncConnection, survivor_id: UUID, absorbed_id: UUID) -> tuple[Client, Client]:
    """Both as they stand now. Raises PeerMistake when they cannot be one."""
    now = await survivors_of(connection, [survivor_id, absorbed_id])
    if survivor_id not in now or absorbed_id not in now:
        raise unknown()
    found = await clients_of(connection, now.values())
    survivor, absorbed = found[now[survivor_id]], found[now[absorbed_id]]
    if now[absorbed_id] != absorbed_id and survivor.id != absorbed.id:
        raise PeerMistake(
            "It was merged into another entry meanwhile.", remedy="Load the page again and look at that one."
        )
    if survivor.id == absorbed.id:
        raise PeerMistake("These are one entry already.", remedy="Load the page again.")
    if survivor.removed_at is not None or absorbed.removed_at is not None:
        raise PeerMistake("One of them was removed.", remedy="Restore it first.")
    if (survivor.kind, absorbed.kind) not in ALLOWED or LeadState.CONVERTED in (
        survivor.state,
        absorbed.state,
    ):
        raise PeerMistake(
            "A {kind} cannot become part of a {kind_2} here.",
            remedy="Merge entries of one kind, or a lead that is not converted into a contact.",
            values={"kind": absorbed.kind, "kind_2": survivor.kind},
        )
    return survivor, absorbed


async def _lock(connection: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Every row of both families, in one order for everybody."""
    wanted = select(clients.c.id).where(clients.c.id.in_(ids) | clients.c.merged_into.in_(ids))
    await connection.execute(wanted.order_by(clients.c.id).with_for_update(key_share=True))


def _way(top: Member, wanted: UUID) -> list[Member]:
    """From the top down to the one that is wanted."""
    if top.id == wanted:
        return [top]
    for each in top.merged:
        below = _way(each, wanted)
        if below:
            return [top, *below]
    return []


async def _turn(connection: AsyncConnection, name: str, old: UUID, new: UUID) -> list[str]:
    table, column = name.split(".")
    turning = text(f"UPDATE {table} SET {column} = :new WHERE {column} = :old RETURNING id")  # noqa: S608 - TURNED
    turned = await connection.scalars(turning.bindparams(new=new, old=old))
    return sorted(str(one) for one in turned)


async def _turn_back(
    connection: AsyncConnection, name: str, merged: Row[Any], top: Member, above: Sequence[UUID]
) -> None:
    """Those that still stand where the merges brought them; not what a person moved since, nor what came another way."""
    family = [one.id for one in top.everybody()]
    where = {"name": name, "at": merged.at, "family": family, "above": list(above)}
    other_way = set(await connection.scalars(_OTHER_WAY, where))
    ids = [one for one in merged.moved.get(name, ()) if one not in other_way]
    if not ids:
        return
    table, column = name.split(".")
    turning = text(f"UPDATE {table} SET {column} = :old WHERE id = ANY(:ids) AND {column} = :new")  # noqa: S608 - TURNED
    asked = {"ids": [UUID(one) for one in ids], "old": merged.absorbed_id, "new": top.id}
    await connection.execute(turning.bindparams(_IDS), asked)
    await connection.execute(_PASSED, {"name": name, "ids": ids, "above": list(above)})


_OTHER_WAY = text("""
    SELECT jsonb_array_elements_text(m.moved -> CAST(:name AS text)) FROM client_merges m
    WHERE m.undone_at IS NULL AND m.at > :at AND m.survivor_id = ANY(:family) AND NOT m.absorbed_id = ANY(:above)
""").bindparams(
    bindparam("at", type_=MOMENT),
    bindparam("family", type_=ARRAY(Uuid)),
    bindparam("above", type_=ARRAY(Uuid)),
)
"""What came to the family later and not through the branch."""
_PASSED = text("""
    UPDATE client_merges SET moved = jsonb_set(moved, ARRAY[CAST(:name AS text)], (
        SELECT coalesce(jsonb_agg(turned.one), '[]')
        FROM jsonb_array_elements_text(moved -> CAST(:name AS text)) AS turned (one)
        WHERE NOT turned.one = ANY(:ids)))
    WHERE undone_at IS NULL AND absorbed_id = ANY(:above)
""").bindparams(bindparam("ids", type_=ARRAY(Text)), bindparam("above", type_=ARRAY(Uuid)))
"""The merges above the branch brought them further; that is over."""
_UNDONE = text("""
    UPDATE timeline SET data = data || '{"undone": true}'
    WHERE client_id = :client AND at = :at AND kind = 'merged' AND data ->> 'merge' = :merge
""").bindparams(bindparam("client", type_=Uuid), bindparam("at", type_=MOMENT))


async def _turned_round(connection: AsyncConnection, ids: Sequence[UUID], at: datetime) -> None:
    """What follows from a family that is another one now."""
    await tell_spoken(connection, ids)
    for one in ids:
        await refresh_people_of(connection, one)
        await touch(connection, one, at)
        for deal_id in await connection.scalars(_DEALS_OF, {"client": one}):
            await notice(connection, "deal", deal_id)


_DEALS_OF = text("""
    SELECT id FROM deals WHERE contact_id = :client AND state = 'open'
    UNION SELECT id FROM deals WHERE company_id = :client AND state = 'open'
    LIMIT 100
""").bindparams(bindparam("client", type_=Uuid))
"""A hundred notices in one transaction are enough: a page of more deals is loaded again anyway."""

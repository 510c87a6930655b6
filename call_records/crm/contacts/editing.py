"""An entry is edited: only what differs is written and told, and never over somebody else's newer version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.contacts.merge_tree import Traits, family_of, keep_family, refresh_people_of, take_turns
from call_records.crm.contacts.queries import one_client, same_number, unknown
from call_records.crm.tables import client_phones, clients
from call_records.crm.types import Client, ClientPhone
from call_records.crm.writes import (
    Home,
    Told,
    check_phones,
    kept_emails,
    kept_name,
    kept_words,
    phones_of,
    put_phones,
    tell,
    touch,
)
from call_records.db import json_text
from call_records.db.tables import people
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from telephony.numbers.numbers import Written


async def change(connection: AsyncConnection, client: Client, *, home: Home, by: UUID | None) -> None:
    """Make the entry say what `client` says. Raises PeerMistake when it is not the version that was seen."""
    if await connection.scalar(select(exists().where(clients.c.merged_into == client.id))):
        await take_turns(connection)
    await hold_company(connection, client.company_id)
    before = await _seen(connection, client)
    if client.owner_id != before.owner_id:
        await check_owner(connection, client.owner_id)
    wanted = replace(
        client,
        name=kept_name(client.name),
        emails=kept_emails(client.emails),
        tags=kept_words(client.tags),
    )
    phones = _phones(wanted, before, home)
    if _same(before, wanted) and phones == before.phones:
        return
    at = datetime.now(UTC)
    if phones != before.phones:
        await _put_phones(connection, client.id, phones, home)
    await connection.execute(update(clients).where(clients.c.id == client.id).values(name=wanted.name))
    family = await family_of(connection, client.id)
    family.edit(_traits(wanted))
    await keep_family(connection, family)
    if before.kind is ClientKind.COMPANY and before.name != wanted.name:
        await refresh_people_of(connection, client.id)
    await touch(connection, client.id, at)
    await _tell(connection, before, await one_client(connection, client.id), at=at, by=by)


async def hold_company(connection: AsyncConnection, company_id: UUID | None) -> str | None:
    """Its name, which stays so until the transaction ends: whoever renames it afterwards finds us among its people.

    Raises PeerMistake for a company that is none.
    """
    if company_id is None:
        return None
    wanted = select(clients.c.name, clients.c.kind).where(clients.c.id == company_id)
    row = (await connection.execute(wanted.with_for_update(read=True))).one_or_none()
    if row is None or row.kind != ClientKind.COMPANY:
        raise PeerMistake("There is no such company.", remedy="Choose it from the list, or add it first.")
    return str(row.name)


async def check_owner(connection: AsyncConnection, owner_id: UUID | None) -> None:
    """Raises PeerMistake for somebody who is none of ours."""
    if owner_id is not None and not await connection.scalar(select(exists().where(people.c.id == owner_id))):
        raise PeerMistake("There is no such person.", remedy="Choose the owner from the list.")


async def _seen(connection: AsyncConnection, client: Client) -> Client:
    """The entry as it is, its row locked."""
    row = (
        await connection.execute(
            select(clients.c.version, clients.c.merged_into)
            .where(clients.c.id == client.id)
            .with_for_update(key_share=True)
        )
    ).one_or_none()
    if row is None:
        raise unknown()
    if row.version != client.version or row.merged_into is not None:
        raise PeerMistake(
            "Somebody else changed this entry meanwhile.",
            remedy="Load the page again and repeat your change.",
        )
    return await one_client(connection, client.id)


def _traits(client: Client) -> Traits:
    return Traits(
        emails=client.emails,
        tags=client.tags,
        fields={json_text.clean(name): json_text.clean(value) for name, value in client.fields.items()},
        company_id=client.company_id,
        position=json_text.clean(client.position) if client.position else None,
        owner_id=client.owner_id,
    )


def _same(before: Client, wanted: Client) -> bool:
    return before.name == wanted.name and _traits(before) == _traits(wanted)


def _phones(wanted: Client, before: Client, home: Home) -> tuple[ClientPhone, ...]:
    """The numbers that are wanted, each once. Those that were there keep what they are known by."""
    known = {(one.raw, one.key, one.extension) for one in before.phones}
    phones: dict[tuple[str, str | None], ClientPhone] = {}
    for phone in wanted.phones:
        if (phone.raw, phone.key, phone.extension) in known:
            read: Sequence[ClientPhone] = (phone,)
        else:
            check_phones([phone.raw], home)
            read = [
                ClientPhone(one.raw, one.key, one.extension, phone.label)
                for one in phones_of([phone.raw], home)
            ]
        for one in read:
            phones.setdefault(same_number(one), one)
    return tuple(phones.values())


async def _put_phones(
    connection: AsyncConnection, survivor_id: UUID, phones: Sequence[ClientPhone], home: Home
) -> None:
    """Each number stays with the member of the family who had it; the new ones are the survivor's own."""
    rows = (
        await connection.execute(
            select(
                client_phones.c.client_id, client_phones.c.key, client_phones.c.raw, client_phones.c.extension
            )
            .join(clients, clients.c.id == client_phones.c.client_id)
            .where((clients.c.id == survivor_id) | (clients.c.merged_into == survivor_id))
        )
    ).all()
    holders: dict[UUID, set[tuple[str, str | None]]] = {survivor_id: set()}
    for row in rows:
        holders.setdefault(row.client_id, set()).add((row.key or row.raw, row.extension))
    held = set().union(*holders.values())
    for holder, had in holders.items():
        mine = [
            one
            for one in phones
            if same_number(one) in had or (holder == survivor_id and same_number(one) not in held)
        ]
        await put_phones(
            connection, holder, [written_again(one, home) for one in mine], [one.label for one in mine]
        )


def written_again(phone: ClientPhone, home: Home) -> Written:
    """As it is kept: the whole number's last ten digits beside what it is known by."""
    again = next((one for one in phones_of([phone.raw], home) if one.key == phone.key), None)
    whole = again.last10 if again else None
    if whole is None and phone.key is not None and phone.key.startswith("+"):
        whole = phone.key[1:][-10:]
    return Written(phone.raw, phone.key, whole, phone.extension)


async def _tell(
    connection: AsyncConnection, before: Client, after: Client, *, at: datetime, by: UUID | None
) -> None:
    """A new owner is an entry of its own; a name or numbers that changed are told with what they were."""
    told: list[tuple[str, dict[str, Any]]] = []
    if before.owner_id != after.owner_id:
        told.append(("owner", {"from": before.owner, "to": after.owner}))
    if before.name != after.name:
        told.append(("changed", {"what": "name", "from": before.name, "to": after.name}))
    if before.company_id != after.company_id:
        told.append(("changed", {"what": "company", "from": before.company, "to": after.company}))
    numbers = [[one.raw for one in each.phones] for each in (before, after)]
    if numbers[0] != numbers[1]:
        told.append(("changed", {"what": "phones", "from": numbers[0], "to": numbers[1]}))
    for kind, data in told:
        await tell(connection, Told(kind, at, client_id=after.id, account_id=by, data=data))

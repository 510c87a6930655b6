"""A lead becomes a contact, and where they are named a company and a deal: in one step, all or nothing, once.

The lead stays as it is, with a pointer to what it became: its timeline is read on the contact's page. What is still to
be done (open tasks, deals, a missed caller) is turned to the contact, where somebody looks for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.contacts.editing import hold_company, written_again
from call_records.crm.contacts.merge_tree import (
    family_of,
    fold,
    keep_family,
    refresh_search,
    take_turns,
    traits_of,
)
from call_records.crm.contacts.queries import each_once, one_client, same_number, survivor_of, unknown
from call_records.crm.deals.deals import insert_deal
from call_records.crm.last_contact import tell_spoken
from call_records.crm.tables import client_phones, clients
from call_records.crm.transliteration import spelled
from call_records.crm.types import Client, ClientPhone, Conversion, Converted, NewClient, NewDeal
from call_records.crm.writes import Home, Told, insert_client, lock_number, notice, put_phones, tell, touch
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake


async def convert(
    connection: AsyncConnection, lead_id: UUID, into: Conversion, *, home: Home, by: UUID | None
) -> Converted:
    """Raises PeerMistake when it is no open lead, or not any more."""
    if not into.name.strip() and into.into is None:
        raise PeerMistake("A contact needs a name.", remedy="Type a name.")
    await take_turns(connection)
    lead, campaign_id = await _open_lead(connection, lead_id)
    at = datetime.now(UTC)
    company_id = await _company(connection, into.company, lead, campaign_id, home=home, by=by, at=at)
    if into.into is None:
        contact_id = await _new_contact(
            connection, into.name, lead, company_id, campaign_id, home=home, by=by, at=at
        )
    else:
        contact_id = await _existing_contact(connection, into.into, lead, company_id, home=home)
    await _became(connection, lead, contact_id, at)
    deal_id = None
    if into.deal is not None and into.deal.strip():
        deal = NewDeal(
            title=into.deal, contact_id=contact_id, company_id=company_id, stage_id=into.stage_id, amount=into.amount,
            owner_id=lead.owner_id, source=lead.source, campaign_id=campaign_id,
        )  # fmt: skip
        deal_id = await insert_deal(connection, deal, by=by, at=at, home=home)
    told = Converted(contact_id, company_id, deal_id)
    await _tell(connection, lead, told, by=by, at=at)
    return told


async def undo_convert(connection: AsyncConnection, contact_id: UUID, *, by: UUID | None) -> UUID | None:
    """The contact is out of the book, and the lead that became it is open again with what is still to be done. None when
    it was no lead, or several.
    """
    await take_turns(connection)
    wanted = select(clients.c.id).where(clients.c.became_id == contact_id).with_for_update(key_share=True)
    leads = (await connection.scalars(wanted)).all()
    if len(leads) != 1:
        return None
    (lead_id,), at = leads, datetime.now(UTC)
    values = {"state": LeadState.OPEN.value, "became_id": None}
    await connection.execute(update(clients).where(clients.c.id == lead_id).values(values))
    for statement in _TURN:  # the other way round
        await connection.execute(statement, {"lead": contact_id, "contact": lead_id})
    await connection.execute(update(clients).where(clients.c.id == contact_id).values(removed_at=at))
    data = {"what": "state", "from": LeadState.CONVERTED, "to": LeadState.OPEN.value}
    await tell(connection, Told("changed", at, client_id=lead_id, account_id=by, data=data))
    await tell(connection, Told("changed", at, client_id=contact_id, account_id=by, data={"what": "removed"}))
    await tell_spoken(connection, [lead_id])
    await touch(connection, lead_id, at)
    await touch(connection, contact_id, at)
    return UUID(str(lead_id))


async def set_state(
    connection: AsyncConnection, lead_id: UUID, state: LeadState, *, reason: str | None, by: UUID | None
) -> None:
    """Rejected, or open again. Raises PeerMistake when it is no lead, or converted."""
    lead = await _locked(connection, await survivor_of(connection, lead_id))
    if lead.state is LeadState.CONVERTED:
        raise _converted_already()
    if lead.state is state:
        return
    at = datetime.now(UTC)
    await connection.execute(update(clients).where(clients.c.id == lead.id).values(state=state.value))
    data = {"what": "state", "from": lead.state, "to": state.value}
    said = reason.strip() if reason and reason.strip() else None
    await tell(connection, Told("changed", at, client_id=lead.id, account_id=by, text=said, data=data))
    await touch(connection, lead.id, at)


async def _open_lead(connection: AsyncConnection, lead_id: UUID) -> tuple[Client, UUID | None]:
    """The lead as it is, its row locked, and the campaign it came by."""
    lead = await _locked(connection, await survivor_of(connection, lead_id))
    if lead.state is LeadState.CONVERTED:
        raise _converted_already()
    if lead.state is LeadState.REJECTED:
        raise PeerMistake("This lead was rejected.", remedy="Reopen it first.")
    if lead.removed_at is not None:
        raise PeerMistake("This lead was removed.", remedy="Restore it first.")
    campaign_id = await connection.scalar(select(clients.c.campaign_id).where(clients.c.id == lead.id))
    return lead, campaign_id


async def _locked(connection: AsyncConnection, lead_id: UUID) -> Client:
    wanted = select(clients.c.kind).where(clients.c.id == lead_id).with_for_update(key_share=True)
    kind = await connection.scalar(wanted)
    if kind is None:
        raise unknown()
    if kind != ClientKind.LEAD:
        raise PeerMistake("This is no lead.", remedy="Load the page again.")
    return await one_client(connection, lead_id)


def _converted_already() -> PeerMistake:
    return PeerMistake("This lead is converted already.", remedy="Open the contact it became.")


async def _company(
    connection: AsyncConnection,
    name: str | None,
    lead: Client,
    campaign_id: UUID | None,
    *,
    home: Home,
    by: UUID | None,
    at: datetime,
) -> UUID | None:
    """The company of that name, made if there is none; two who name the same new one take turns."""
    if name is None or not name.strip():
        return lead.company_id
    await lock_number(connection, f"company {spelled(name)}")
    known: UUID | None = await connection.scalar(
        select(clients.c.id)
        .where(
            clients.c.kind == ClientKind.COMPANY.value, func.lower(clients.c.name) == func.lower(name.strip())
        )
        .where(clients.c.merged_into.is_(None), clients.c.removed_at.is_(None))
        .order_by(clients.c.id)
        .limit(1)
    )
    if known is not None:
        await hold_company(connection, known)
        return UUID(str(known))
    company = NewClient(
        ClientKind.COMPANY, name, owner_id=lead.owner_id, source=lead.source, campaign_id=campaign_id
    )
    return await insert_client(connection, company, home=home, by=by, at=at)


async def _new_contact(
    connection: AsyncConnection,
    name: str,
    lead: Client,
    company_id: UUID | None,
    campaign_id: UUID | None,
    *,
    home: Home,
    by: UUID | None,
    at: datetime,
) -> UUID:
    contact = NewClient(
        ClientKind.CONTACT, name, emails=lead.emails, company_id=company_id, position=lead.position,
        owner_id=lead.owner_id, tags=lead.tags, fields=lead.fields, source=lead.source, campaign_id=campaign_id,
    )  # fmt: skip
    contact_id = await insert_client(connection, contact, home=home, by=by, at=at)
    await _put(connection, contact_id, lead.phones, home)
    await refresh_search(connection, [contact_id])
    return contact_id


async def _existing_contact(
    connection: AsyncConnection, named: UUID, lead: Client, company_id: UUID | None, *, home: Home
) -> UUID:
    """What the lead knew is the contact's too; what was known of the contact stays."""
    family = await family_of(connection, await survivor_of(connection, named))
    contact = await one_client(connection, family.id)
    if contact.kind is not ClientKind.CONTACT or contact.removed_at is not None:
        raise PeerMistake("There is no such contact.", remedy="Choose one from the list.")
    lead_traits = traits_of((await family_of(connection, lead.id)).shown().columns())
    wanted = fold(family.shown(), [lead_traits])
    family.edit(replace(wanted, company_id=company_id or wanted.company_id))
    own = select(client_phones.c.key, client_phones.c.raw, client_phones.c.extension, client_phones.c.label)
    rows = await connection.execute(
        own.where(client_phones.c.client_id == contact.id).order_by(client_phones.c.place)
    )
    mine = [ClientPhone(row.raw, row.key, row.extension, row.label) for row in rows]
    known = {same_number(one) for one in contact.phones}
    new = [one for one in lead.phones if same_number(one) not in known]
    await _put(connection, contact.id, [*mine, *new], home)
    await keep_family(connection, family)
    return contact.id


async def _put(
    connection: AsyncConnection,
    client_id: UUID,
    phones: tuple[ClientPhone, ...] | list[ClientPhone],
    home: Home,
) -> None:
    kept = each_once(phones)
    await put_phones(
        connection, client_id, [written_again(one, home) for one in kept], [one.label for one in kept]
    )


async def _became(connection: AsyncConnection, lead: Client, contact_id: UUID, at: datetime) -> None:
    """The lead points to the contact, and so does what is still to be done for it."""
    values = {"state": LeadState.CONVERTED.value, "became_id": contact_id}
    await connection.execute(update(clients).where(clients.c.id == lead.id).values(values))
    for statement in _TURN:
        await connection.execute(statement, {"lead": lead.id, "contact": contact_id})
    await tell_spoken(connection, [contact_id])
    await touch(connection, lead.id, at)
    await touch(connection, contact_id, at)


_TURN = tuple(
    text(statement).bindparams(bindparam("lead", type_=Uuid), bindparam("contact", type_=Uuid))
    for statement in (
        "UPDATE tasks SET client_id = :contact WHERE client_id = :lead AND done_at IS NULL",
        "UPDATE deals SET contact_id = :contact WHERE contact_id = :lead",
        "UPDATE missed SET client_id = :contact WHERE client_id = :lead",
        """
        UPDATE number_lessons SET client_id = :contact WHERE client_id = :lead AND verdict = 'is'
            AND NOT EXISTS (SELECT 1 FROM number_lessons l WHERE l.client_id = :contact AND l.key = number_lessons.key)
        """,
    )
)


async def _tell(
    connection: AsyncConnection, lead: Client, became: Converted, *, by: UUID | None, at: datetime
) -> None:
    data = {
        "lead": lead.name,
        "contact": str(became.contact_id),
        "company": became.company_id and str(became.company_id),
        "deal": became.deal_id and str(became.deal_id),
    }
    told = Told("converted", at, client_id=lead.id, deal_id=became.deal_id, account_id=by, data=data)
    await tell(connection, told)
    if became.company_id is not None:
        await notice(connection, "client", became.company_id)

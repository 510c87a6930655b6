"""My card: what the manager does on it. Choosing who calls, refiling a wrong person, saving a contact.

Each of these files this call where a person says it belongs, and nothing moves it afterwards; what it says of the number is
remembered for the next call. The card answers at once; every other page hears of it from the book. What the card itself
asks is under `/api/v1`, where a refusal is told as data; it is ours and may change any time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from call_records.crm.types import Client, ClientFilter, Conversion, NewClient
from call_records.crm.writes import NAME_MOST
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.callers import identify, number_of
from web.languages.messages import _
from web.number_search import text_to_search
from web.pages.calls.calls import find_call
from web.presenters.callers import told_identity
from web.presenters.contacts import KIND_WORDS, show_client
from web.site import Site, fields, site_of

FOUND_MOST = 6  # people offered while a name is typed: what a card has room for

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]


class Whose(BaseModel):
    """Whose call it is."""

    client_id: UUID | None = Field(description="Null: nobody's of ours.")
    wrong: UUID | None = Field(default=None, description="Who it was taken for, and is not.")
    remember: bool = Field(default=True, description="For the next call from this number.")


class NewName(BaseModel):
    """What was typed for an unknown number."""

    name: str = Field(max_length=NAME_MOST)
    company: str = Field(default="", max_length=NAME_MOST)


class Made(BaseModel):
    """The contact that was made of a call."""

    contact_id: UUID


@router.get("/api/v1/calls/{call_id:uuid}/who")
async def who(request: Request, call_id: UUID, viewer: Asking) -> dict[str, Any]:
    """The card's part about the client, as it is now."""
    site = site_of(request)
    return await told_of(site, await _call(site, call_id), viewer)


@router.put("/api/v1/calls/{call_id:uuid}/who")
async def choose(request: Request, call_id: UUID, whose: Whose, viewer: Asking) -> dict[str, Any]:
    """It is this client's, or nobody's. Who it was taken for is not it the next time either."""
    site = site_of(request)
    facts = await _call(site, call_id)
    await file_call(site, viewer, facts, whose)
    return await told_of(site, facts, viewer)


@router.post("/calls/{call_id:uuid}/who")
async def choose_by_form(request: Request, call_id: UUID, viewer: Asking) -> RedirectResponse:
    """The same from the call's page."""
    site = site_of(request)
    facts = await _call(site, call_id)
    told = await fields(request)
    chosen, wrong = _id(told.get("client")), _id(told.get("wrong"))
    if chosen is None and told.get("client") != "nobody":
        raise PeerMistake(_("Nobody was chosen."), remedy=_("Go back and choose whose call it is."))
    await file_call(site, viewer, facts, Whose(client_id=chosen, wrong=wrong))
    return RedirectResponse(f"/calls/{facts.id}", 303)


@router.post("/api/v1/calls/{call_id:uuid}/contact")
async def save(request: Request, call_id: UUID, typed: NewName, viewer: Asking) -> dict[str, Any]:
    """A name for an unknown number: a new contact, or the lead that the rules made of this call is called so."""
    site = site_of(request)
    facts = await _call(site, call_id)
    made = await save_contact(site, viewer, facts, typed)
    return {**await told_of(site, facts, viewer), "made": str(made) if made else None}


@router.post("/api/v1/calls/{call_id:uuid}/contact/undo")
async def undo_save(request: Request, call_id: UUID, made: Made, viewer: Asking) -> dict[str, Any]:
    """The contact that was just made of this call is out of the book again; a lead is a lead again."""
    site = site_of(request)
    facts = await _call(site, call_id)
    await undo_contact(site, viewer, facts, made.contact_id)
    return await told_of(site, facts, viewer)


@router.post("/calls/{call_id:uuid}/save/undo")
async def undo_save_by_form(request: Request, call_id: UUID, viewer: Asking) -> RedirectResponse:
    """The same from the call's page."""
    site = site_of(request)
    facts = await _call(site, call_id)
    made = _id((await fields(request)).get("made"))
    if made is not None:
        await undo_contact(site, viewer, facts, made)
    return RedirectResponse(f"/calls/{facts.id}", 303)


@router.post("/calls/{call_id:uuid}/save")
async def save_by_form(request: Request, call_id: UUID, viewer: Asking) -> RedirectResponse:
    """The same from the call's page."""
    site = site_of(request)
    facts = await _call(site, call_id)
    told = await fields(request)
    name, company = told.get("name", "")[:NAME_MOST], told.get("company", "")[:NAME_MOST]
    made = await save_contact(site, viewer, facts, NewName(name=name, company=company))
    return RedirectResponse(f"/calls/{facts.id}" + (f"?made={made}" if made else ""), 303)


@router.get("/api/v1/calls/{call_id:uuid}/people")
async def people(
    request: Request, call_id: UUID, viewer: Asking, q: Annotated[str, Query(max_length=200)] = ""
) -> dict[str, Any]:
    """The best fits for what is being typed: who it could be instead."""
    del call_id
    site = site_of(request)
    text = text_to_search(site, viewer, q.strip())
    found = await site.records.book.page(ClientFilter(text=text), limit=FOUND_MOST) if text else None
    shown = [show_client(one, viewer.view, site.settings.region) for one in found.clients] if found else []
    return {
        "people": [
            {
                "id": str(one.client.id),
                "name": one.name,
                "company": one.client.company,
                "kind": KIND_WORDS[one.client.kind],
                "number": one.first_phone.text if one.first_phone else None,
            }
            for one in shown
        ]
    }


async def told_of(site: Site, facts: CallFacts, viewer: Viewer) -> dict[str, Any]:
    """What the card says of the client now; empty for a call with nobody outside. Raises TryLater."""
    number = number_of(facts)
    if number is None:
        return {"who": None}
    identity = await identify(site.records, facts.id, number)
    site.hub.callers.ask(facts.id)
    return {"who": told_identity(facts.id, identity, viewer.view, site.settings.region)}


async def file_call(site: Site, viewer: Viewer, facts: CallFacts, whose: Whose) -> None:
    """Move the call, and remember what that says of its number. Raises PeerMistake for an unknown client."""
    client = await _client(site, whose.client_id) if whose.client_id is not None else None
    by = viewer.account.id
    deal = await _deal_for(site, facts, client)
    await site.records.timelines.move_call(
        facts.id, client_id=client.id if client else None, deal_id=deal, by=by
    )
    number = number_of(facts)
    if number is None or not whose.remember:
        return
    if whose.wrong is not None and (client is None or whose.wrong != client.id):
        await site.records.matching.teach(number, client_id=whose.wrong, right=False, by=by)
    if client is not None:
        await site.records.matching.teach(number, client_id=client.id, right=True, by=by)


async def _deal_for(site: Site, facts: CallFacts, client: Client | None) -> UUID | None:
    """The deal that is open with them, when there is just one."""
    if client is None:
        return None
    place = (await site.records.timelines.places([facts.id])).get(facts.id)
    if place is not None and place.client_id == client.id:
        return place.deal_id
    deals = [one for one in await site.records.deals.of_client(client.id, limit=2) if one.state == "open"]
    return deals[0].id if len(deals) == 1 else None


async def undo_contact(site: Site, viewer: Viewer, facts: CallFacts, contact_id: UUID) -> None:
    """Take back what `save_contact` made. Raises PeerMistake when the call is no longer theirs."""
    number = number_of(facts)
    identity = await identify(site.records, facts.id, number) if number is not None else None
    if identity is None or identity.client is None or identity.client.id != contact_id:
        raise PeerMistake(
            _("This call belongs to somebody else by now."),
            remedy=_("Open the contact to change or remove it."),
        )
    by = viewer.account.id
    if await site.records.book.undo_convert(contact_id, by=by) is not None:
        return
    await site.records.timelines.move_call(facts.id, client_id=None, deal_id=None, by=by)
    await site.records.book.remove(contact_id, by=by)


async def save_contact(site: Site, viewer: Viewer, facts: CallFacts, typed: NewName) -> UUID | None:
    """Make a contact, out of the lead that has nothing but the number where there is one; the call is theirs.
    Returns the contact where the making can be undone.
    """
    name = " ".join(typed.name.split())
    if not name:
        raise PeerMistake(_("A contact needs a name."), remedy=_("Type who it is."))
    number = number_of(facts)
    if number is None:
        raise PeerMistake(_("This call has no number to save."), remedy=_("Add the contact under People."))
    book, by = site.records.book, viewer.account.id
    identity = await identify(site.records, facts.id, number)
    if identity.client is not None and identity.nameless:
        nameless = await _client(site, identity.client.id)
        if nameless.state is LeadState.OPEN:
            into = Conversion(name=name, company=" ".join(typed.company.split()) or None)
            return (await book.convert(nameless.id, into, by=by)).contact_id
        company = await _company(site, viewer, typed.company)
        await book.change(replace(nameless, name=name, company_id=company or nameless.company_id), by=by)
        return None
    if identity.client is not None:
        raise PeerMistake(
            _("This number was saved as {name} meanwhile.").format(name=identity.client.name),
            remedy=_("Choose “Wrong person” if it is somebody else."),
        )
    company = await _company(site, viewer, typed.company)
    contact = await book.add(
        NewClient(
            ClientKind.CONTACT,
            name,
            (number,),
            company_id=company,
            owner_id=viewer.account.person_id,
            source="call",
        ),
        by=by,
    )
    await site.records.timelines.move_call(facts.id, client_id=contact.id, deal_id=None, by=by)
    return contact.id


async def _company(site: Site, viewer: Viewer, typed: str) -> UUID | None:
    """The company of that very name, made when there is none."""
    name = " ".join(typed.split())
    if not name:
        return None
    page = await site.records.book.page(ClientFilter(kind=ClientKind.COMPANY, text=name), limit=50)
    same = next((one for one in page.clients if one.name.casefold() == name.casefold()), None)
    if same is not None:
        return same.id
    made = await site.records.book.add(
        NewClient(ClientKind.COMPANY, name, owner_id=viewer.account.person_id), by=viewer.account.id
    )
    return made.id


async def _client(site: Site, client_id: UUID) -> Client:
    client = await site.records.book.one(client_id)
    if client is None or client.removed_at is not None:
        raise PeerMistake(_("This entry is no longer in the book."), remedy=_("Choose somebody else."))
    return client


async def _call(site: Site, call_id: UUID) -> CallFacts:
    facts = await find_call(site, call_id)
    if facts is None:
        raise HTTPException(404, _("There is no such call."))
    return facts


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None

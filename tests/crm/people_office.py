"""A fictional office with a book: what the tests of the People pages and their preview put into the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from call_records.crm.types import Client, NewClient, NewDeal, NewTask
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.web import office
from tests.web.kept import add_account

NUMBER = "+79160000012"
WRITTEN = "8 (916) 000-00-12"


async def add(
    records: RecordsStore,
    name: str,
    *phones: str,
    kind: ClientKind = ClientKind.CONTACT,
    company: UUID | None = None,
    owner: UUID | None = None,
    tags: tuple[str, ...] = (),
    emails: tuple[str, ...] = (),
) -> Client:
    """An entry of the book."""
    new = NewClient(
        kind, name, phones, company_id=company, owner_id=owner, tags=tags, emails=emails, position=None
    )
    return await records.book.add(new, by=None)


async def call_with(
    records: RecordsStore, client: Client, call: CallFacts, by: Account, *, deal: UUID | None = None
) -> CallFacts:
    """A call that is in the journal and on somebody's timeline."""
    await records.journal.record([change(call)])
    await records.timelines.move_call(call.id, client_id=client.id, deal_id=deal, by=by.id)
    return call


def handed_over(at: datetime, number: str = NUMBER) -> CallFacts:
    """101 talks 35 s and transfers to 555, a phone without an account, who talks 160 s."""
    call = office.picked_up(office.ringing("101", number=number, begin=at), "101", 5)
    call = office.target_answers(office.transferred(call, "101", "555", 40), "555", 50)
    return office.over(call, 210)


async def fill(records: RecordsStore) -> dict[str, UUID]:
    """Everybody a screenshot needs; the ids of those with pages of their own."""
    anna = await add_account(records, "manager", Role.MANAGER, "101", name="Anna Belova")
    await add_account(records, "supervisor", Role.SUPERVISOR, "103", name="Jan Kowalski")
    await add_account(records, "administrator", Role.ADMINISTRATOR, name="Mira Sato")
    await records.staff.put_person(name="Warehouse", extensions=["555"])
    garden = await add(
        records, "Fictional Garden Ltd", "+7 495 000-00-10", kind=ClientKind.COMPANY, owner=anna.person_id
    )
    irina = await add(
        records,
        "Irina Sokolova",
        WRITTEN,
        "8 916 000-00-13 доб. 4",
        company=garden.id,
        owner=anna.person_id,
        tags=("vip", "garden"),
        emails=("irina@garden.example",),
    )
    await add(records, "I. Sokolova", NUMBER)
    lead = await add(records, "+7 916 000-00-77", "+79160000077", kind=ClientKind.LEAD)
    for index in range(70):
        kind = (ClientKind.CONTACT, ClientKind.CONTACT, ClientKind.LEAD, ClientKind.COMPANY)[index % 4]
        await add(
            records,
            f"{_FIRST[index % 8]} {_LAST[index % 9]}"
            if kind is not ClientKind.COMPANY
            else _FIRMS[index % 5],
            f"+7 916 {100 + index:03}-{index:02}-11",
            kind=kind,
            company=garden.id if index % 9 == 4 and kind is ClientKind.CONTACT else None,
            owner=anna.person_id if index % 3 else None,
            tags=("fair 2026",) if index % 11 == 0 else (),
        )
    stage = (await records.deals.pipelines())[0].stages[1]
    deal = await records.deals.add(
        NewDeal("Roses for the spring", irina.id, garden.id, stage.id, Decimal("128400.50"), anna.person_id),
        by=anna.id,
    )
    await records.deals.add(NewDeal("Hedge", irina.id, stage_id=stage.id), by=anna.id)
    await _history(records, irina, anna, deal.id)
    return {"garden": garden.id, "irina": irina.id, "lead": lead.id, "deal": deal.id}


async def _history(records: RecordsStore, irina: Client, anna: Account, deal: UUID) -> None:
    now = datetime.now(UTC)
    calls = [
        handed_over(now - timedelta(minutes=50)),
        office.missed(office.ringing("101", "555", number=NUMBER, begin=now - timedelta(hours=3)), 30),
        office.outgoing("101", NUMBER, begin=now - timedelta(days=1, hours=2), talk=64),
        office.over(
            office.picked_up(
                office.ringing("103", number=NUMBER, begin=now - timedelta(days=6), queue="support"), "103", 9
            ),
            320,
        ),
    ]
    for index, call in enumerate(calls):
        await call_with(records, irina, call, anna, deal=deal if index == 0 else None)
    await records.notes.save(
        call_id=calls[0].id, account_id=anna.id, text="Wants the red ones; asks for a price by Friday."
    )
    supervisor = await records.accounts.by_login("supervisor")
    assert supervisor is not None
    await records.notes.save(call_id=calls[0].id, account_id=supervisor.id, text="Give her 5 %.")
    await records.timelines.add_note(
        client_id=irina.id, deal_id=None, text="Birthday on 3 March.\nLikes short calls.", by=anna.id
    )
    task = await records.tasks.add(
        NewTask("Send the price list", now + timedelta(days=1), irina.id, owner_id=anna.person_id), by=anna.id
    )
    done = await records.tasks.add(NewTask("Ask about delivery", client_id=irina.id), by=anna.id)
    await records.tasks.done(done.id, done=True, by=anna.id)
    del task
    stages = (await records.deals.pipelines())[0].stages
    await records.deals.move(deal, stage_id=stages[2].id, before=None, by=anna.id)


_FIRST = ("Olga", "Tomas", "Leila", "Ines", "Pavel", "Anselm", "Mirela", "Yusuf")
_LAST = ("Petrova", "Varga", "Haddad", "Costa", "Orlov", "Brandt", "Ionescu", "Demir", "Novak")
_FIRMS = ("Imagined Bakery", "Nowhere Travel", "Dream Tiles", "Paper Moon Print", "Cloud Cuckoo Foods")

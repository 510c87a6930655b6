"""Whose number is this: the book's one question, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update

from call_records.crm.notifications import ALL, read_notice
from call_records.crm.tables import clients, deals
from call_records.crm.types import NewClient
from call_records.crm.writes import Home, insert_client
from call_records.store import RecordsStore
from telephony.contacts import ClientKind, LeadState, Match, MatchRule
from telephony.errors import PeerMistake
from telephony.staff import PopPreference, Role

pytestmark = pytest.mark.postgres

NUMBER = "+79160000012"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


async def put(
    records: RecordsStore, name: str, *phones: str, kind: ClientKind = ClientKind.CONTACT, **columns: Any
) -> UUID:
    """An entry of the book, with some columns as they are."""
    async with records.engine.begin() as connection:
        new = NewClient(
            kind, name, phones or ("8 (916) 000-00-12",), company_id=columns.pop("company_id", None)
        )
        client_id = await insert_client(connection, new, home=Home(), by=None, at=NOW)
        if columns:
            await connection.execute(update(clients).where(clients.c.id == client_id).values(columns))
    return client_id


async def sell(records: RecordsStore, contact_id: UUID) -> None:
    """An open deal with them."""
    async with records.engine.begin() as connection:
        stage = (await connection.execute(text("SELECT id, pipeline_id FROM stages LIMIT 1"))).one_or_none()
        if stage is None:
            pipeline, stage_id = uuid4(), uuid4()
            await connection.execute(
                text("INSERT INTO pipelines (id, name, place) VALUES (:id, 'Sales', 0)"), {"id": pipeline}
            )
            await connection.execute(
                text("INSERT INTO stages (id, pipeline_id, name, place) VALUES (:id, :p, 'New', 0)"),
                {"id": stage_id, "p": pipeline},
            )
        else:
            stage_id, pipeline = stage
        await connection.execute(
            insert(deals).values(
                id=uuid4(),
                title="Deal",
                contact_id=contact_id,
                pipeline_id=pipeline,
                stage_id=stage_id,
                state="open",
                currency="EUR",
                source="hand",
                place=1.0,
            )
        )


async def somebody(records: RecordsStore) -> UUID:
    """An account, which teaches."""
    account = await records.accounts.create(
        login=uuid4().hex,
        name="Anna",
        role=Role.MANAGER,
        password_hash="",
        extensions=(),
        pop=PopPreference.NEVER,
    )
    return account.id


def told(match: Match) -> tuple[str | None, MatchRule | None, list[str]]:
    """Who, why, and who else."""
    return match.chosen.name if match.chosen else None, match.rule, [one.name for one in match.others]


async def test_one_entry_and_why(records: RecordsStore) -> None:
    """A contact with a deal: found by any spelling, with the field, the spelling in the book and the deals."""
    firm = await put(records, "Garden Ltd", "495 1000001", kind=ClientKind.COMPANY)
    anna = await put(records, "Anna", "101", "8 (916) 000-00-12", company_id=firm)
    await sell(records, anna)
    for spelling in (NUMBER, "89160000012", "8 916 000 00 12"):
        match = await records.matching.match(spelling)
        assert told(match) == ("Anna", MatchRule.ONLY, [])
        assert match.chosen is not None
        assert (match.chosen.field, match.chosen.written) == ("phone 2", "8 (916) 000-00-12")
        assert (match.chosen.company, match.chosen.open_deals) == ("Garden Ltd", 1)
    assert not (await records.matching.match("+79160000013")).known
    assert not (await records.matching.match("anonymous")).known


async def test_who_is_gone_and_who_became_whom(records: RecordsStore) -> None:
    """The removed are not found; the merged and the converted are found as whom they became, each once."""
    await put(records, "Removed", removed_at=NOW)
    anna = await put(records, "Anna", "8 495 1000002")
    middle = await put(records, "Anna again", merged_into=anna)
    await put(records, "Anna once more", merged_into=middle)
    await put(records, "A lead", kind=ClientKind.LEAD, state="converted", became_id=anna)
    assert told(await records.matching.match(NUMBER)) == ("Anna", MatchRule.ONLY, [])


async def test_a_rejected_lead_comes_last(records: RecordsStore) -> None:
    """It is asked only when nobody else has the number."""
    await put(records, "Spam?", kind=ClientKind.LEAD, state=LeadState.REJECTED.value)
    assert told(await records.matching.match(NUMBER)) == ("Spam?", MatchRule.ONLY, [])
    await put(records, "Anna")
    assert told(await records.matching.match(NUMBER)) == ("Anna", MatchRule.ONLY, ["Spam?"])


async def test_eight_on_one_number_until_somebody_says(records: RecordsStore) -> None:
    """Acceptance 17: the chooser begins with the last spoken to; the choice is remembered, and may be changed."""
    ids = [await put(records, f"Contact {n}", spoken_at=NOW + timedelta(days=n)) for n in range(8)]
    assert told(await records.matching.match(NUMBER)) == (
        None,
        None,
        [f"Contact {n}" for n in (7, 6, 5, 4, 3, 2, 1, 0)],
    )
    by = await somebody(records)
    await records.matching.teach("8 916 000 00 12", client_id=ids[3], right=True, by=by)
    assert told(await records.matching.match(NUMBER))[:2] == ("Contact 3", MatchRule.CHOSEN)
    await records.matching.teach(NUMBER, client_id=ids[5], right=True, by=by)
    assert told(await records.matching.match(NUMBER))[:2] == ("Contact 5", MatchRule.CHOSEN)
    await records.matching.teach(NUMBER, client_id=ids[5], right=False, by=by)
    name, rule, others = told(await records.matching.match(NUMBER))
    assert (name, rule, "Contact 5" in others, len(others)) == (None, None, False, 7)


async def test_somebody_without_the_number_is_taught(records: RecordsStore) -> None:
    """A person said who calls; the number is not written with them. They are found nevertheless, also after a merge."""
    boris = await put(records, "Boris", "8 495 1000003")
    by = await somebody(records)
    await records.matching.teach(NUMBER, client_id=boris, right=True, by=by)
    match = await records.matching.match(NUMBER)
    assert told(match) == ("Boris", MatchRule.CHOSEN, [])
    assert match.chosen is not None
    assert (match.chosen.field, match.chosen.written) == ("", NUMBER)
    survivor = await put(records, "Boris Oak", "8 495 1000004")
    async with records.engine.begin() as connection:
        await connection.execute(update(clients).where(clients.c.id == boris).values(merged_into=survivor))
    assert told(await records.matching.match(NUMBER)) == ("Boris Oak", MatchRule.CHOSEN, [])


async def test_the_only_open_deal_decides(records: RecordsStore) -> None:
    """Two share a number; with one we are in business."""
    await put(records, "Anna")
    await sell(records, await put(records, "Boris"))
    assert told(await records.matching.match(NUMBER)) == ("Boris", MatchRule.OPEN_DEAL, ["Anna"])


async def test_the_last_ten_digits(records: RecordsStore) -> None:
    """Without a certain country the last ten digits find somebody; two countries' numbers are two people."""
    await put(records, "American", "+1 916 555 01 12")
    assert not (await records.matching.match("+79165550112")).known
    await put(records, "Anna", "+0 916 000 00 12")
    assert told(await records.matching.match(NUMBER)) == ("Anna", MatchRule.LAST_DIGITS, [])


async def test_nobody_teaches_a_withheld_number(records: RecordsStore) -> None:
    """It would make one person of all who hide theirs."""
    anna = await put(records, "Anna")
    by = await somebody(records)
    with pytest.raises(PeerMistake, match="withheld"):
        await records.matching.teach("anonymous", client_id=anna, right=True, by=by)


async def test_news_of_the_book_are_heard(records: RecordsStore) -> None:
    """Another process changes an entry: whoever listens hears first that anything may have changed, then of that entry."""
    heard: asyncio.Queue[tuple[str, UUID | None]] = asyncio.Queue()
    listening = asyncio.create_task(
        records.book_news.follow(lambda what, which: heard.put_nowait((what, which)))
    )
    async with asyncio.timeout(10):
        assert await heard.get() == (ALL, None)
    anna = await put(records, "Anna")
    async with asyncio.timeout(10):
        assert await heard.get() == ("client", anna)
    listening.cancel()
    await asyncio.wait([listening])


def test_a_notice_that_cannot_be_read_may_have_been_anything() -> None:
    """What another release may send."""
    assert read_notice("import finished") == (ALL, None)
    assert read_notice("") == (ALL, None)


@pytest.mark.parametrize(
    ("kept", "rings", "found"),
    [
        ("+54 9 11 2345-6789", "+541123456789", True),
        ("+54 11 2345-6789", "+5491123456789", True),
        ("+54 9 11 2345-6789", "+911123456789", False),
    ],
)
async def test_two_spellings_of_one_line_are_asked_about(
    records: RecordsStore, kept: str, rings: str, found: bool
) -> None:
    """Argentina's mobiles are written with a 9 and ring without; another country's ten digits are not theirs."""
    client_id = await put(records, "Ana", kept)
    match = await records.matching.match(rings)
    everybody = [one for one in (match.chosen, *match.others) if one is not None]
    assert [one.id for one in everybody] == ([client_id] if found else [])
    assert not any(one.exact for one in everybody)

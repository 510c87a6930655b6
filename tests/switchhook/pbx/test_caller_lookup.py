"""What the phones' displays are told of a caller, out of the book."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from call_records.crm.types import NewClient
from call_records.store import RecordsStore
from switchhook.assembly import serve_until
from switchhook.pbx.caller_lookup import BookLookup
from switchhook.settings.settings import Settings
from switchhook.settings.tables import DatabaseSettings, HandsetSettings, PbxSettings, WebSettings
from telephony.contacts import ClientKind
from telephony.numbers.numbers import Numbering
from telephony.ports import CallerAnswer, CallerQuestion

pytestmark = pytest.mark.postgres
HQ = Numbering(pbx="hq")


async def asked(records: RecordsStore, raw: str) -> CallerAnswer | None:
    return await BookLookup(records, lambda: HQ).ask(CallerQuestion("hq", raw, "74951000001"))


async def test_name_company_and_the_owners_phones(records: RecordsStore) -> None:
    """Olga of Gardens belongs to Anna, who has two handsets; the carrier sends her number with an 8."""
    await records.staff.put_person(name="Anna", extensions=["101", "171"])
    (anna,) = (await records.staff.directory()).people
    company = await records.book.add(
        NewClient(ClientKind.COMPANY, "Gardens", phones=("+7 495 200-00-00",)), by=None
    )
    await records.book.add(
        NewClient(
            ClientKind.CONTACT, "Olga", phones=("+79165550001",), company_id=company.id, owner_id=anna.id
        ),
        by=None,
    )
    assert await asked(records, "89165550001") == CallerAnswer("Olga", "Gardens", ("101", "171"))
    assert await asked(records, "+74952000000") == CallerAnswer(None, "Gardens")
    assert await asked(records, "+79169999999") is None


async def test_of_several_people_only_what_they_share(records: RecordsStore) -> None:
    """Two people of one company have the shop's number: the display shows the shop. Strangers share nothing."""
    company = await records.book.add(NewClient(ClientKind.COMPANY, "Shop"), by=None)
    for name in ("Ivan", "Maria"):
        new = NewClient(ClientKind.CONTACT, name, phones=("+79165550002",), company_id=company.id)
        await records.book.add(new, by=None)
        await records.book.add(NewClient(ClientKind.CONTACT, name, phones=("+79165550003",)), by=None)
    assert await asked(records, "+79165550002") == CallerAnswer(None, "Shop")
    assert await asked(records, "+79165550003") is None


async def test_a_lead_without_a_name_shows_nothing(records: RecordsStore) -> None:
    """A lead made by a call is called by its number, which the phone shows by itself."""
    await records.book.add(
        NewClient(ClientKind.LEAD, "+79165550004", phones=("+79165550004",), source="call"), by=None
    )
    assert await asked(records, "+79165550004") == CallerAnswer(None, None)


async def test_the_service_answers_where_the_settings_say(
    records: RecordsStore, database_url: str, tmp_path: Path
) -> None:
    """A port is named in the settings: the whole service, its PBX still out of reach, tells who calls out of the book."""
    await records.book.add(NewClient(ClientKind.CONTACT, "Olga", phones=("+79165550001",)), by=None)
    settings = Settings(
        pbx=(PbxSettings(id="hq", port=1, secret=SecretStr("x")),),
        database=DatabaseSettings(url=SecretStr(database_url), state_dir=tmp_path),
        handsets=HandsetSettings(port=0),
        web=WebSettings(port=0),
    )
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve_until(stop, settings, started=started.set_result))
    try:
        async with asyncio.timeout(30):
            service = await started
            assert service.names is not None
            await service.names.listening.wait()
            told: dict[str, str] = {}
            while not told.get("full"):  # nothing is shown when the book is late: its first connection may be
                told = await _asked_of(service.names.port)
    finally:
        stop.set()
        await running
    assert told["full"] == "Olga"


async def _asked_of(port: int | None) -> dict[str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"switchhook-who 1 hq 89165550001 74951000001\n")
    line = await reader.readline()
    writer.close()
    return dict(json.loads(line)) if line.strip() else {}

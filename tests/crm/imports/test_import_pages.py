"""Import and export at the pages, over a real store: a file from upload to undo, and out again."""

from __future__ import annotations

import asyncio
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from call_records.crm.imports.jobs import State
from call_records.crm.imports.spreadsheets import read_sheet
from call_records.crm.types import ClientFilter
from call_records.recordings.types import AuditFilter
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.recordings import AuditAction, HearScope, RecordingRight
from telephony.staff import Role
from tests.crm.people_office import add
from tests.recordings.player_fakes import FakeShelf
from tests.recordings.rows import a_recording
from tests.web.conftest import SETTINGS, Person
from tests.web.kept import add_everybody, serving, signed_in

pytestmark = pytest.mark.postgres
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
async def everybody(records: RecordsStore) -> dict[Role, Account]:
    """One account of each role."""
    return await add_everybody(records)


@pytest.fixture
async def supervisor(records: RecordsStore, everybody: dict[Role, Account]) -> AsyncIterator[Person]:
    """A supervisor at the pages."""
    del everybody
    async with serving(records) as address, signed_in(address, "supervisor") as person:
        yield person


async def uploaded(person: Person, data: bytes | io.BytesIO, name: str = "list.csv") -> tuple[int, str, str]:
    """Status, where it leads to, and the page."""
    form = aiohttp.FormData()
    form.add_field("csrf", person.csrf)
    form.add_field("file", data, filename=name)
    async with person.http.post("/people/import/file", data=form, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("location", ""), await answer.text()


async def rested(records: RecordsStore, path: str, state: State) -> None:
    """Until the import has come that far."""
    import_id = path.rpartition("/")[2]
    async with asyncio.timeout(60):
        while True:
            found = next(one for one in await records.imports.recent() if str(one.id) == import_id)
            if found.state is state:
                return
            await asyncio.sleep(0.02)


async def test_from_the_file_to_the_book_and_back(records: RecordsStore, supervisor: Person) -> None:
    """Upload, columns, try-out, import, problems as a file, undo; what the file says is never markup."""
    data = f"Name;Phone;E-mail\n{HOSTILE};8 916 000-00-21;no\nAda;8 916 000-00-22;ada@x.example\n;;\nNone;;\n".encode()
    status, place, _page = await uploaded(supervisor, data, f"{HOSTILE}.csv")
    assert (status, place.startswith("/people/import/")) == (303, True)
    page = await supervisor.read(place)
    assert "8 916 000-00-21" in page
    assert HOSTILE not in page
    columns = re.findall(r'<option value="([^"]*)" selected', page[page.index("columns-of") :])
    assert columns == ["name", "phone", "email"]
    form = aiohttp.FormData(
        [("csrf", supervisor.csrf), ("kind", "contact"), *(("column", one) for one in columns)]
    )
    async with supervisor.http.post(f"{place}/columns", data=form) as answer:
        assert answer.status == 200
    await rested(records, place, State.CHECKED)
    page = await supervisor.read(place)
    assert "nothing has been changed yet" in page
    assert HOSTILE not in page
    assert not (await records.book.page(_nobody())).clients
    assert await supervisor.send(f"{place}/begin") == 303
    await rested(records, place, State.DONE)
    assert "Imported." in await supervisor.read(place)
    assert "is not an e-mail address" in await supervisor.read(f"{place}/problems.csv")
    assert len((await records.book.page(_nobody())).clients) == 3
    assert await supervisor.send(f"{place}/undo") == 303
    await rested(records, place, State.UNDONE)
    assert "Taken back" in await supervisor.read(place)
    assert not (await records.book.page(_nobody())).clients
    assert await supervisor.send(f"{place}/begin") == 409
    assert HOSTILE not in await supervisor.read("/people/import")


def _nobody() -> ClientFilter:
    return ClientFilter()


async def test_what_cannot_be_read_is_answered_in_words(supervisor: Person) -> None:
    """No file, an empty one, and one larger than may be sent."""
    status, _place, page = await uploaded(supervisor, b"")
    assert (status, "empty" in page) == (400, True)
    assert await supervisor.send("/people/import/file") == 400
    status, _place, page = await uploaded(supervisor, io.BytesIO(b"x" * (21 * 1024 * 1024)))
    assert status == 413


async def test_a_file_without_the_forms_token_is_refused(supervisor: Person) -> None:
    """Another site cannot make somebody import."""
    form = aiohttp.FormData()
    form.add_field("csrf", "0" * 64)
    form.add_field("file", b"Name\nA\n", filename="a.csv")
    async with supervisor.http.post("/people/import/file", data=form) as answer:
        assert answer.status == 403


async def test_letters_can_be_chosen_otherwise(records: RecordsStore, supervisor: Person) -> None:
    """The guess was wrong; the file is read again."""
    _status, place, _page = await uploaded(supervisor, "Имя;Телефон\nЖ;1\n".encode("koi8-r"))
    told = {"encoding": "koi8-r", "delimiter": ";", "heading_row": "1"}
    assert await supervisor.send(f"{place}/read", **told) == 303
    assert "Телефон" in await supervisor.read(place)
    assert await supervisor.send(f"{place}/read", encoding="rot13", delimiter=";") == 400


async def test_tables_go_out_and_are_written_down(
    records: RecordsStore, supervisor: Person, everybody: dict[Role, Account]
) -> None:
    """CSV with its mark and without formulas, XLSX, cards; the log says who took what."""
    del everybody
    await add(records, "=1+1", "+7 916 000-00-31", emails=("a@x.example",))
    async with supervisor.http.get("/people/export/contacts.csv") as answer:
        data = await answer.read()
        assert answer.status == 200, data[-600:]
        assert "attachment" in answer.headers["Content-Disposition"]
    assert data.startswith(b"\xef\xbb\xbf")
    assert read_sheet(data).rows[0].cells[1] == "'=1+1"
    async with supervisor.http.get("/people/export/contacts.xlsx") as answer:
        book = zipfile.ZipFile(io.BytesIO(await answer.read()))
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "=1+1" in sheet
    assert "<f>" not in sheet
    for version in ("3", "4"):
        async with supervisor.http.get(f"/people/export/contacts-{version}.vcf") as answer:
            assert f"VERSION:{version}.0" in await answer.text()
    for what in ("companies", "leads", "deals", "calls", "tasks", "timeline"):
        async with supervisor.http.get(f"/people/export/{what}.csv") as answer:
            assert answer.status == 200
    async with supervisor.http.get("/people/export/accounts.csv") as answer:
        assert answer.status == 404

    lines = await records.audit.page(AuditFilter(), limit=50)
    assert {str(line.details.get("what")) for line in lines} >= {"contacts", "cards", "calls"}


async def test_everything_is_one_archive_for_administrators(
    records: RecordsStore, everybody: dict[Role, Account]
) -> None:
    """JSON lines of every table; no password and no token in it."""
    del everybody
    await add(records, "Packed", "+7 916 000-00-41")
    async with serving(records) as address, signed_in(address, "administrator") as person:
        asking = person.http.post("/people/export/everything", data={"csrf": person.csrf})
        async with asking as answer:
            assert answer.status == 200
            archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert archive.testzip() is None
    people = [json.loads(line) for line in archive.read("clients.jsonl").decode().splitlines()]
    assert [one["name"] for one in people] == ["Packed"]
    assert "argon2" not in "".join(archive.read(name).decode() for name in archive.namelist())


async def test_who_sees_dots_exports_nothing(records: RecordsStore, everybody: dict[Role, Account]) -> None:
    """A supervisor whose role sees masked numbers: the page says so, the addresses refuse."""
    del everybody
    await add(records, "Hidden", "+7 916 000-00-51")
    settings = replace(SETTINGS, mask_numbers_for=frozenset({Role.SUPERVISOR}))
    async with serving(records, settings) as address, signed_in(address, "supervisor") as person:
        assert "may not export" in await person.read("/people/export")
        for name in ("contacts.csv", "calls.xlsx", "contacts-4.vcf"):
            async with person.http.get(f"/people/export/{name}") as answer:
                assert answer.status == 403


async def test_the_archive_holds_the_sound_one_may_hear(
    records: RecordsStore, everybody: dict[Role, Account]
) -> None:
    """Two recordings, one lost from the storage; each that goes out is written down first, with the reason. An
    administrator without the right to download gets none.
    """
    boss = everybody[Role.ADMINISTRATOR]
    kept, lost = await a_recording(records), await a_recording(records)
    sound = bytes(range(256)) * 3000
    records.shelf = FakeShelf({(kept, False): sound})  # type: ignore[assignment]
    form = {"sound": "yes", "reason": "we move house"}
    async with serving(records) as address, signed_in(address, "administrator") as person:
        assert await person.send("/people/export/everything", **form) == 403
        rights = frozenset({*boss.recording_rights, RecordingRight.DOWNLOAD})
        await records.accounts.update(replace(boss, hears_chosen=HearScope.ALL, rights_chosen=rights))
        data = {"csrf": person.csrf, **form}
        async with person.http.post("/people/export/everything", data=data) as answer:
            archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
    assert archive.testzip() is None
    (told,) = [json.loads(line) for line in archive.read("recordings.jsonl").splitlines()]
    assert told["id"] == str(kept)
    assert archive.read(told["file"]) == sound
    lines = await records.audit.page(AuditFilter(action=AuditAction.DOWNLOADED), limit=50)
    assert [(line.recording_id, line.reason) for line in lines] == [(kept, "we move house")]
    del lost


async def test_an_import_is_its_makers_and_the_administrators(
    records: RecordsStore, everybody: dict[Role, Account], supervisor: Person
) -> None:
    """Another supervisor sees it and neither begins nor deletes it; who took it in deletes it."""
    data = b"Name;Phone\nAda;8 916 000-00-31\n"
    own = await records.imports.take("own.csv", data, by=everybody[Role.SUPERVISOR].id)
    other = await records.imports.take("other.csv", data, by=everybody[Role.ADMINISTRATOR].id)
    for import_id, expected in ((other, 403), (own, 303)):
        async with supervisor.http.post(
            f"/people/import/{import_id}/delete", data={"csrf": supervisor.csrf}, allow_redirects=False
        ) as answer:
            assert answer.status == expected
    assert await records.imports.one(own) is None
    assert await records.imports.one(other) is not None


@pytest.mark.parametrize("masked", [True, False])
async def test_another_ones_file_is_masked(
    records: RecordsStore, everybody: dict[Role, Account], masked: bool
) -> None:
    """Whose numbers are masked sees none in the samples of somebody else's file."""
    hidden = replace(SETTINGS, mask_numbers_for=frozenset({Role.SUPERVISOR} if masked else ()))
    place = await records.imports.take(
        "other.csv", b"Name;Phone\nAda;+79160000032\n", by=everybody[Role.ADMINISTRATOR].id
    )
    async with serving(records, settings=hidden) as address, signed_in(address, "supervisor") as person:
        assert ("+79160000032" in await person.read(f"/people/import/{place}")) is not masked


async def test_a_picture_is_refused_at_the_door(supervisor: Person) -> None:
    """Whatever it is called."""
    status, _place, page = await uploaded(
        supervisor, b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "contacts.csv"
    )
    assert status == 400
    assert "a picture (PNG)" in page


async def test_a_list_from_another_country_is_read_as_such_at_a_click(
    records: RecordsStore, supervisor: Person
) -> None:
    """The page says how many numbers exist nowhere here and offers the countries where they do; then they are right."""
    lines = ("1234567", "22334455", "90100200", "2273220", "25002333")
    data = "Name;Telefon\n" + "".join(f"Anna {n};030 {line}\n" for n, line in enumerate(lines))
    _status, place, _page = await uploaded(supervisor, data.encode())
    assert '<option value="RU" selected>RU +7</option>' in await supervisor.read(place)
    form = [("csrf", supervisor.csrf), ("kind", "contact"), ("column", "name"), ("column", "phone")]
    async with supervisor.http.post(f"{place}/columns", data=aiohttp.FormData(form)) as answer:
        assert answer.status == 200
    await rested(records, place, State.CHECKED)
    page = await supervisor.read(place)
    assert "5 of 5 numbers without a country code are none in RU." in page
    assert "Read as numbers of DE (+49)" in page
    assert await supervisor.send(f"{place}/country", region="Germany") == 400
    assert await supervisor.send(f"{place}/country", region="DE") == 303
    await rested(records, place, State.CHECKED)
    page = await supervisor.read(place)
    assert "without a country code" not in page
    assert await supervisor.send(f"{place}/back") == 303
    assert '<option value="DE" selected>DE +49</option>' in await supervisor.read(place)
    form.append(("region", "DE"))
    async with supervisor.http.post(f"{place}/columns", data=aiohttp.FormData(form)) as answer:
        assert answer.status == 200
    await rested(records, place, State.CHECKED)
    assert await supervisor.send(f"{place}/begin") == 303
    await rested(records, place, State.DONE)
    keys = {phone.key for one in (await records.book.page(_nobody())).clients for phone in one.phones}
    assert keys == {f"+4930{line}" for line in lines}

"""The staff page: names for the PBX's phones, people without accounts, a pasted list."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from call_records.store import RecordsStore
from telephony.endpoint_directory import EndpointSource, KnownEndpoint
from telephony.numbers.numbers import Numbering
from telephony.presence import Phone, PhoneState
from telephony.staff import Role
from tests.web.fakes import FakeLive
from tests.web.kept import add_account, serving, signed_in
from web.pages.accounts.staff import read_list
from web.settings import WebSettings

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


async def test_the_first_day(records: RecordsStore) -> None:
    """500 phones were found; the administrator names the warehouse's, and calls name it from then on."""
    await add_account(records, "admin", Role.ADMINISTRATOR)
    await records.staff.seen("hq", [str(number) for number in range(100, 600)], at=NOW)
    live = FakeLive()
    live.roster = [Phone("hq", "555", PhoneState.UNREACHABLE)]
    async with serving(records, live=live) as address, signed_in(address, "admin") as admin:
        page = await admin.read("/staff")
        assert page.count('name="extensions" value="') == 500
        assert await admin.send("/staff", name="Warehouse <b>", extensions="555", team="Logistics") == 303
        page = await admin.read("/staff")
        assert "Warehouse &lt;b&gt;" in page
        assert "Phone is off" in page
        assert page.count('name="extensions" value="') == 499
    assert (await records.staff.directory()).name_of("555") == "Warehouse <b>"


async def test_a_list_is_shown_before_it_is_kept(records: RecordsStore) -> None:
    """Two new people and a change, pasted from a table; with a mistake nothing is kept."""
    await add_account(records, "admin", Role.ADMINISTRATOR, "200", name="Admin")
    await records.staff.put_person(name="Old name", extensions=["101"])
    good = "Name;Extensions\nAnna Petrova;101 171;Sales;anna@example.com;17\nWarehouse;555;;;\n"
    async with serving(records) as address, signed_in(address, "admin") as admin:
        assert await admin.send("/staff/list", list=good + "Nobody;abc\n", keep="yes") == 200
        assert [one.name for one in await records.staff.members()] == ["Admin", "Old name"]
        assert await admin.send("/staff/list", list=good, keep="yes") == 303
    members = {one.name: one for one in await records.staff.members()}
    anna = members["Anna Petrova"]
    assert (anna.extensions, anna.team, anna.email, anna.crm_user) == (
        ("101", "171"),
        "Sales",
        "anna@example.com",
        "17",
    )
    assert set(members) == {"Admin", "Anna Petrova", "Warehouse"}


async def test_an_accounts_phones_are_not_given_away_here(records: RecordsStore) -> None:
    """Extension 101 decides what Anna's account may hear: the staff page says where it is changed."""
    anna = await add_account(records, "anna", Role.MANAGER, "101", name="Anna")
    await add_account(records, "admin", Role.ADMINISTRATOR)
    async with serving(records) as address, signed_in(address, "admin") as admin:
        assert await admin.send("/staff", name="Thief", extensions="101") == 400
        assert await admin.send(f"/staff/{anna.person_id}/left") == 400
        assert await admin.send("/staff", id=str(anna.person_id), name="X", email="a@example.com") == 303
    member = next(one for one in await records.staff.members() if one.id == anna.person_id)
    assert (member.name, member.extensions, member.email) == ("Anna", ("101",), "a@example.com")


async def test_somebody_leaves_and_comes_back(records: RecordsStore) -> None:
    """The warehouse worker left: their phone waits for a name; what they owned keeps their name."""
    await add_account(records, "admin", Role.ADMINISTRATOR)
    await records.staff.put_person(name="Ivan", extensions=["555"])
    (ivan,) = (await records.staff.directory()).people
    async with serving(records) as address, signed_in(address, "admin") as admin:
        assert await admin.send(f"/staff/{ivan.id}/left") == 303
        assert (await records.staff.directory()).name_of("555") is None
        assert "Is back" in await admin.read("/staff")
        assert await admin.send(f"/staff/{ivan.id}/left", back="yes") == 303
    assert [one.left_at for one in await records.staff.members() if one.id == ivan.id] == [None]


def test_what_a_pasted_list_means() -> None:
    """Tabs, commas or semicolons; an extension given twice, or no name, is said."""
    for separator in "\t;,":
        (line,) = read_list(separator.join(("Anna", "101/171", "Sales")), [])
        assert (line.member.name, line.member.extensions, line.problem) == ("Anna", ("101", "171"), None)
    lines = read_list("Anna;101\n;102\nBoris;101\n\n", [])
    assert [line.problem is None for line in lines] == [True, False, False]
    assert read_list("  \n", []) == []


async def test_phones_that_nobody_can_place(records: RecordsStore) -> None:
    """Connections names them with the line to write; the staff page takes their extensions, and trunks."""
    await add_account(records, "admin", Role.ADMINISTRATOR)
    undecided = [
        KnownEndpoint(endpoint, EndpointSource.UNDECIDED, None)
        for endpoint in ("PJSIP/alice", "PJSIP/001122334455", "PJSIP/provider-1")
    ]
    await records.endpoints.replace_known("hq", (EndpointSource.UNDECIDED,), undecided)
    async with serving(records) as address, signed_in(address, "admin") as admin:
        page = await admin.read("/connections")
        assert "001122334455, alice, provider-1" in page
        assert "[pbx.phones]" in page
        alice = {"pbx": "hq", "endpoint": "PJSIP/alice"}
        assert await admin.send("/staff/endpoints", **alice, extension="pr 1") == 400
        assert await admin.send("/staff/endpoints", **alice, extension="101") == 303
        trunk = {"pbx": "hq", "endpoint": "PJSIP/provider-1"}
        assert await admin.send("/staff/endpoints", **trunk, do="trunk") == 303
        assert await admin.send("/staff/endpoints", pbx="hq", endpoint="PJSIP/nobody", extension="102") == 404
        page = await admin.read("/staff")
        assert "is a phone of 101" in page
        assert "is a trunk" in page
        assert ": 001122334455." in await admin.read("/connections")
        assert await admin.send("/staff/endpoints", **trunk, do="forget") == 303
    known = set(await records.endpoints.list_known("hq"))
    assert known == {
        KnownEndpoint("PJSIP/alice", EndpointSource.STAFF, "101"),
        KnownEndpoint("PJSIP/001122334455", EndpointSource.UNDECIDED, None),
    }


async def test_every_extension_of_the_pbx_is_taken(records: RecordsStore) -> None:
    """Names and long numbers that the PBX has, and two to eight digits; a phone of another extension and trunks are not."""
    await add_account(records, "admin", Role.ADMINISTRATOR)
    await records.staff.seen("hq", ["reception", "100123456789"], at=NOW)
    await records.endpoints.replace_known(
        "hq",
        (EndpointSource.HINT, EndpointSource.NUMBERS),
        [
            KnownEndpoint("PJSIP/alice", EndpointSource.HINT, "101"),
            KnownEndpoint("PJSIP/123456", EndpointSource.NUMBERS, None),
        ],
    )
    settings = WebSettings(numberings=(Numbering(pbx="hq"),))
    async with serving(records, settings=settings) as address, signed_in(address, "admin") as admin:
        for number, taken in (("reception", 303), ("100123456789", 303), ("77", 303), ("101", 303)):
            assert await admin.send("/staff", name=f"Person {number}", extensions=number) == taken
        for number in ("alice", "123456", "pr!"):
            assert await admin.send("/staff", name="Nobody", extensions=number) == 400

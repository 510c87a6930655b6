"""The pages of missed calls and working hours over a real store: what is read there and what it does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import delete, text

from call_records.crm.missed_calls.types import MissedEntry
from call_records.crm.tables import lead_rules
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.call_facts.facts import CallFacts, Direction, QueueVisit
from telephony.hours import WorkingHours
from telephony.missed_calls import MissedRules, MissedState
from telephony.staff import Role
from tests.call_facts_builder import CLIENT, MONDAY
from tests.crm.missed_calls.test_missed_calls import LATER, Told, called_back, client, missed_call, tried
from tests.web.conftest import SETTINGS, Person
from tests.web.kept import add_account, serving, signed_in
from web.pages.missed_calls.missed_calls import ON_A_PAGE

pytestmark = pytest.mark.postgres

WRITTEN = "8 (916) 111-00-05"
ALWAYS = WorkingHours(
    "UTC", tuple((day, MONDAY.time().replace(hour=0), MONDAY.time().replace(hour=0)) for day in range(7))
)


async def hire(records: RecordsStore, login: str, role: Role, *phones: str) -> Account:
    """Somebody of the sales team who signs in."""
    made = await add_account(records, login, role, *phones)
    return await records.accounts.update(replace(made, team="Sales" if phones else None))


@pytest.fixture
async def told(records: RecordsStore) -> Told:
    """Anna and Boris sell, a chief and an administrator look after them; no rule makes leads."""
    await hire(records, "anna", Role.MANAGER, "101")
    await hire(records, "boris", Role.MANAGER, "102")
    await hire(records, "chief", Role.SUPERVISOR)
    await hire(records, "admin", Role.ADMINISTRATOR)
    await records.staff.put_person(name="Warehouse", extensions=["555"])
    async with records.engine.begin() as connection:
        await connection.execute(delete(lead_rules))
    return Told(records)


@pytest.fixture
async def address(told: Told) -> AsyncIterator[str]:
    """The pages."""
    async with serving(told.records) as address:
        yield address


def now(call: CallFacts, *, hours: float) -> CallFacts:
    """The same call so many hours ago."""
    started = datetime.now(UTC) - timedelta(hours=hours)
    moved = started - call.started_at
    ended = call.ended_at + moved if call.ended_at else None
    answered = call.answered_at + moved if call.answered_at else None
    legs = tuple(replace(one, rang_at=started) if one.rang_at else one for one in call.legs)
    return replace(call, started_at=started, answered_at=answered, ended_at=ended, legs=legs)


async def only(told: Told) -> MissedEntry:
    """The one entry, owed or settled."""
    (entry,) = [*await told.owed(), *await told.settled()]
    return entry


def plain(page: str) -> str:
    """What is read, without tags."""
    body = page[page.index("<main") : page.index("</main>")]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


async def test_whom_do_we_owe_a_call(told: Told, address: str) -> None:
    """Who, how often, where they waited, whose they are, what was tried, until when; the oldest first, overdue in words."""
    await told.records.missed.set_hours(ALWAYS, by=(await told.records.accounts.all())[0].id)
    contact = await client(told.records, CLIENT, owner_id=None)
    queued = missed_call(0, LATER, queue=QueueVisit("support", 40.0, ("101",), None, MONDAY))
    await told(now(missed_call(0), hours=3), now(missed_call(0), hours=2.5), now(tried(0, by="555"), hours=2))
    await told(now(queued, hours=0.2))
    async with signed_in(address, "anna") as anna:
        page = await anna.read("/missed?period=all")
    text = plain(page)
    assert "We owe 2 calls, one is overdue." in text
    assert "The office is always open." in text
    assert f'href="/people/{contact}"' in page
    assert text.index("Ivan Sidorov") < text.index(LATER[-2:])
    for word in (
        "×2",
        "rang 0:30 at Anna",
        "tried 1×",
        "Warehouse tried at",
        "Overdue by 2 h",
        "waited 0:30 in support",
        WRITTEN,
    ):
        assert word in text, word
    assert f'href="tel:{CLIENT}"' in page


async def test_masked_numbers_stay_masked(told: Told) -> None:
    """Who may see only the last digits is offered no number to dial, no list of its calls, and no name that holds it."""
    loud = missed_call(0)
    await client(told.records, LATER, owner_id=None, name="Peter, +7 916 111-00-06")
    await told(missed_call(1, LATER))
    await told(replace(loud, caller=replace(loud.caller, name=CLIENT)))
    masking = replace(SETTINGS, mask_numbers_for=frozenset({Role.MANAGER}))
    async with serving(told.records, masking) as address, signed_in(address, "anna") as anna:
        entry = (await told.owed())[0]
        await anna.send(f"/missed/{entry.id}/claim")
        for path in (
            "/missed?period=all",
            f"/missed?period=all&done=claimed&entry={entry.id}",
            "/missed/count",
        ):
            page = re.sub(r"[0-9a-f-]{36}|[0-9a-f]{40,}", "", await anna.read(path))
            assert "9161110" not in re.sub(r"\D", "", page)
            assert "tel:" not in page
        text = plain(await anna.read("/missed?period=all"))
        assert "Peter, +• •••" in text
        assert "I will call" in text
        passed_on = called_back(5)
        await told(
            replace(
                passed_on,
                direction=Direction.INBOUND,
                caller=loud.caller,
                answered_by="+79169999999",
                legs=(),
            )
        )
        text = plain(await anna.read("/missed?settled=yes&period=all"))
        assert "Got through to • (•••) •••-••-99" in text


async def test_claim_undo_and_what_somebody_else_claimed(told: Told, address: str) -> None:
    """Anna says she will call and takes it back; Boris finds it claimed, takes it over; Anna cannot release theirs."""
    await told(missed_call(0, to="777"))
    entry = await only(told)
    async with signed_in(address, "anna") as anna, signed_in(address, "boris") as boris:
        assert await anna.send(f"/missed/{entry.id}/claim", back="whose=all&evil=1") == 303
        page = await anna.read(f"/missed?period=all&done=claimed&entry={entry.id}")
        assert "You said that you will call" in plain(page)
        assert f'action="/missed/{entry.id}/release"' in page
        assert await anna.send(f"/missed/{entry.id}/release") == 303
        assert (await only(told)).state is MissedState.NEW
        assert await anna.send(f"/missed/{entry.id}/claim") == 303
        assert await boris.send(f"/missed/{entry.id}/claim") == 409
        assert await boris.send(f"/missed/{entry.id}/claim", over="yes") == 303
        assert await anna.send(f"/missed/{entry.id}/release") == 403
        assert (await only(told)).claimed_by == "Boris"
    async with signed_in(address, "chief") as chief:
        assert await chief.send(f"/missed/{entry.id}/release") == 303


async def test_give_give_up_and_reopen(told: Told, address: str) -> None:
    """A supervisor gives it to the warehouse; somebody gives up with a reason that is told; undone, it is owed again."""
    await told(missed_call(0, to="777"))
    entry = await only(told)
    people = {one.name: str(one.id) for one in (await told.records.staff.directory()).people}
    async with signed_in(address, "chief") as chief, signed_in(address, "anna") as anna:
        assert await anna.send(f"/missed/{entry.id}/give", person=people["Warehouse"]) == 403
        assert await chief.send(f"/missed/{entry.id}/give", person="nobody") == 409
        assert await chief.send(f"/missed/{entry.id}/give", person=people["Warehouse"]) == 303
        assert (await only(told)).owner == "Warehouse"
        assert await anna.send(f"/missed/{entry.id}/give-up", reason="spam", text="<b>robot</b>") == 303
        settled = await anna.read("/missed?settled=yes&period=all")
        assert "Given up by Anna: advertising or a robot" in plain(settled)
        assert "&lt;b&gt;robot" in settled
        assert await anna.send(f"/missed/{entry.id}/give-up", reason="spam") == 409
        assert await anna.send(f"/missed/{entry.id}/reopen") == 303
    assert (await only(told)).state is MissedState.NEW


async def test_a_withheld_number_cannot_be_called_back(told: Told, address: str) -> None:
    """It is owed all the same, as somebody may know who it was."""
    await told(missed_call(0, None))
    async with signed_in(address, "anna") as anna:
        page = await anna.read("/missed?period=all")
    assert "Number withheld" in page
    assert "tel:" not in page


async def test_who_did_it_is_told_with_the_call(told: Told, address: str) -> None:
    """Settled: who talked, also somebody without an account, with a way to the call."""
    back = called_back(10, by="555")
    await told(missed_call(0), back)
    async with signed_in(address, "anna") as anna:
        page = await anna.read("/missed?settled=yes&period=all")
    assert "Called back by Warehouse (555)" in plain(page)
    assert f'href="/calls/{back.id}"' in page


async def test_the_number_beside_the_door(told: Told, address: str) -> None:
    """Anna's own and what is nobody's, as her list begins; for the administrator what is nobody's."""
    await told(missed_call(0, to="101"), missed_call(1, LATER, to="777"))
    async with signed_in(address, "anna") as anna, anna.http.get("/missed/count") as answer:
        mine = await answer.json()
    async with signed_in(address, "admin") as admin, admin.http.get("/missed/count") as answer:
        assert (await answer.json())["waiting"] == 1
    assert mine["waiting"] == 2
    assert mine["text"].startswith("2 missed calls wait for you")


async def test_an_empty_list_says_what_will_come(address: str) -> None:
    """And one that only has older debts says how many."""
    async with signed_in(address, "anna") as anna:
        assert "Nobody waits for a call." in await anna.read("/missed?period=all")


async def test_older_debts_are_never_out_of_sight(told: Told, address: str) -> None:
    """Whoever looks at today alone is told how many older ones are owed."""
    await told(now(missed_call(0), hours=50), now(missed_call(1, LATER), hours=49))
    async with signed_in(address, "anna") as anna:
        page = plain(await anna.read("/missed?period=today"))
    assert "Nobody new waits for a call." in page
    assert "2 older ones are still owed" in page


async def _hours_form(person: Person) -> dict[str, str]:
    page = await person.read("/hours")
    form = dict(re.findall(r'<input[^>]+name="([\w-]+)"[^>]*? value="([^"]*)"', page))
    return {name: value for name, value in form.items() if name != "csrf"}


async def test_working_hours_are_changed_and_deadlines_follow(told: Told, address: str) -> None:
    """The first sentence says whether the office is open; what was owed gets its new deadline."""
    await told(missed_call(0))
    async with signed_in(address, "admin") as admin:
        form = await _hours_form(admin)
        assert form["day-0"] == "09:00-18:00"
        form |= {f"day-{day}": "" for day in range(7)}
        form |= {
            "day-0": "9:30-13:00, 14.00–24:00",
            "holidays": "2026-12-31 - 2027-01-08",
            "deadline_minutes": "45",
        }
        assert await admin.send("/hours", **form) == 303
        page = await admin.read("/hours")
    assert 'value="09:30-13:00, 14:00-00:00"' in page
    assert "31.12.2026 - 08.01.2027" in page  # as the office writes it
    assert (await only(told)).due_at == MONDAY + timedelta(minutes=75)
    assert await told.records.missed.rules() == MissedRules(deadline_minutes=45)


MISTAKES = (
    ({"day-0": "nine to five"}, "Monday: “nine to five” was not understood."),
    ({"day-0": "25:00-26:00"}, "was not understood"),
    ({"day-0": "09:00-13:00, 12:00-18:00"}, "overlap"),
    ({"holidays": "31.13.2026"}, "The holiday “31.13.2026” was not understood."),
    ({"holidays": "2026-12-31 - 2026-01-01"}, "was not understood"),
    ({"zone": "Mars/Olympus"}, "time zone is not known"),
    ({"deadline_minutes": "-1"}, "is not a number of minutes"),
    ({"remind_minutes": "61"}, "The reminder would come before the call"),
)


async def test_what_is_not_understood_is_said_and_kept_in_the_field(told: Told, address: str) -> None:
    """Nothing is saved, and what was typed is still there."""
    async with signed_in(address, "admin") as admin:
        form = await _hours_form(admin)
        for wrong, said in MISTAKES:
            typed = {**form, **wrong, "csrf": admin.csrf}
            async with admin.http.post("/hours", data=typed) as answer:
                page = await answer.text()
                assert answer.status == 400
            assert said in page
            assert next(iter(wrong.values())) in page
    assert await told.records.missed.rules() == MissedRules()


async def test_links_of_the_list_keep_what_was_chosen(told: Told, address: str) -> None:
    """After a change one is back in the list as it was filtered; what is no choice of ours is left out."""
    await told(missed_call(0, to="777"))
    entry = await only(told)
    back = urlencode({"whose": "all", "period": "all", "next": "https://elsewhere.example"})
    async with signed_in(address, "anna") as anna:
        form = {"csrf": anna.csrf, "back": back}
        async with anna.http.post(f"/missed/{entry.id}/claim", data=form, allow_redirects=False) as answer:
            where = answer.headers["location"]
    assert where == f"/missed?whose=all&period=all&done=claimed&entry={entry.id}"


async def test_the_names_of_everybody_are_on_the_page_once(told: Told) -> None:
    """Three hundred colleagues and a hundred rows: the page stays below 300 kB, and each row knows whose it is."""
    await told.records.missed.set_hours(ALWAYS, by=(await told.records.accounts.all())[0].id)
    async with told.records.engine.begin() as connection:
        await connection.execute(
            text("""
            WITH new AS (INSERT INTO people (id, name)
                SELECT gen_random_uuid(), 'Colleague ' || n FROM generate_series(1, 300) n RETURNING id, name)
            INSERT INTO extensions (extension, person_id) SELECT '1' || split_part(name, ' ', 2), id FROM new""")
        )
        await connection.execute(
            text("""
            INSERT INTO missed (id, key, number, state, times, first_at, owed_since, last_at, last_call_id, due_at, owner_id)
            SELECT gen_random_uuid(), '+7916' || n, '+7916' || n, 'new', 2, at, at, at, gen_random_uuid(), at,
                (SELECT id FROM people WHERE name = 'Colleague 7')
            FROM generate_series(2220001, 2225000) n, LATERAL (SELECT now() - interval '3 hours' AS at) AS one""")
        )
    async with serving(told.records) as address, signed_in(address, "chief") as chief:
        page = await chief.read("/missed?period=all&whose=all")
    assert page.count("data-entry=") == ON_A_PAGE
    assert page.count(">Colleague 8<") == 1
    assert page.count('people-options"') == ON_A_PAGE + 1
    assert len(page.encode()) <= 300_000

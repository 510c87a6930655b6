"""Two people change the same thing at the same moment: whoever is told "saved" finds their decision kept.

Every table of the database has a row here. One that is added and is edited by people must say how it is raced; one that
is not must say why nobody can lose anything in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from call_records.crm.lead_rules.rules import line_version
from call_records.crm.types import NewClient, NewDeal, NewTask
from call_records.db.tables import metadata
from call_records.recordings.retention.retention import retention_version
from call_records.recordings.types import RetentionRule
from call_records.store import RecordsStore, open_records
from call_records.types import Account, StaffMember
from telephony.call_facts.facts import Direction
from telephony.contacts import ClientKind
from telephony.edit_version import edit_version
from telephony.endpoint_directory import EndpointSource
from telephony.errors import PeerMistake
from telephony.lead_rules import Known, LeadRule, Making, Outcome
from telephony.staff import PopPreference, Role

ROUNDS = 6  # two stores, so that the two really meet in the database

OWN_TEXT = "one text of one author, replaced whole; nobody else can write it"
ADDED_ONLY = "rows are added, never changed by people"
PROGRAM = "written by the service, not by people"
ONE_VALUE = "one value at a time by a narrow statement: nothing beside it is written"

NOT_RACED: dict[str, str] = {
    "audio_objects": PROGRAM, "call_aliases": PROGRAM, "call_redirects": PROGRAM, "call_rulings": PROGRAM,
    "call_trace": PROGRAM, "calls": PROGRAM, "form_posts": PROGRAM, "import_changes": PROGRAM, "imports": PROGRAM,
    "missed": PROGRAM, "missed_calls": PROGRAM, "outbox": PROGRAM, "pbx_links": PROGRAM, "recording_places": PROGRAM,
    "recordings": PROGRAM, "review_rounds": PROGRAM, "sign_in_tries": PROGRAM,
    "form_answers": PROGRAM, "recent_changes": PROGRAM, "crm_holds": PROGRAM, "crm_connections": PROGRAM,
    "crm_credentials": PROGRAM, "crm_lanes": "decided about under the lane's row lock, only while it is an exception",
    "crm_deliveries": "with crm_lanes",
    "audit_log": ADDED_ONLY, "grade_readings": "written once, by its reader", "grades": ADDED_ONLY,
    "missed_acts": ADDED_ONLY,
    "score_form_versions": ADDED_ONLY, "client_merges": ADDED_ONLY, "distinct_clients": ONE_VALUE,
    "notes": OWN_TEXT, "recording_comments": OWN_TEXT, "timeline": OWN_TEXT,
    "blocklist": ONE_VALUE, "call_tags": ONE_VALUE, "endpoints": ONE_VALUE, "number_lessons": ONE_VALUE,
    "review_picks": ONE_VALUE, "sessions": ONE_VALUE, "share_links": ONE_VALUE, "tokens": ONE_VALUE,
    "client_phones": "raced with clients", "extensions": "raced with people", "retention_rules": "with recording_policy",
}  # fmt: skip
"""Tables in which no decision can be lost, and why."""

Doing = Callable[[RecordsStore], Awaitable[object]]
Holds = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Race:
    """Two changes of one thing, both made from what both saw; and whether the decision of each holds afterwards."""

    one: Doing
    other: Doing
    one_holds: Holds
    other_holds: Holds


Setting = Callable[[RecordsStore, Account], Awaitable[Race]]


async def _accounts(store: RecordsStore, boss: Account) -> Race:
    seen = await _made(store, uuid4().hex)

    async def now() -> Account:
        kept = await store.accounts.by_id(seen.id)
        assert kept is not None
        return kept

    async def off() -> bool:
        return not (await now()).active

    async def moved() -> bool:
        return (await now()).team == "north"

    return Race(
        lambda at: at.accounts.update(replace(seen, active=False)),
        lambda at: at.accounts.update(replace(seen, team="north")),
        off,
        moved,
    )


async def _clients(store: RecordsStore, boss: Account) -> Race:
    seen = await store.book.add(NewClient(ClientKind.CONTACT, "Olga", phones=("+79165550001",)), by=boss.id)

    async def now() -> Any:
        return await store.book.one(seen.id)

    async def renamed() -> bool:
        return bool((await now()).name == "Olga P")

    async def placed() -> bool:
        return bool((await now()).position == "chief")

    return Race(
        lambda at: at.book.change(replace(seen, name="Olga P"), by=boss.id),
        lambda at: at.book.change(replace(seen, position="chief"), by=boss.id),
        renamed,
        placed,
    )


async def _deals(store: RecordsStore, boss: Account) -> Race:
    seen = await store.deals.add(NewDeal("Garden"), by=boss.id)

    async def now() -> Any:
        return await store.deals.one(seen.id)

    async def priced() -> bool:
        return bool((await now()).amount == Decimal(7))

    async def owned() -> bool:
        return bool((await now()).owner_id == boss.person_id)

    return Race(
        lambda at: at.deals.change(replace(seen, amount=Decimal(7)), by=boss.id),
        lambda at: at.deals.change(replace(seen, owner_id=boss.person_id), by=boss.id),
        priced,
        owned,
    )


async def _tasks(store: RecordsStore, boss: Account) -> Race:
    client = await store.book.add(NewClient(ClientKind.CONTACT, "Ilya"), by=boss.id)
    seen = await store.tasks.add(NewTask("call", client_id=client.id), by=boss.id)
    due = datetime(2026, 12, 1, tzinfo=UTC)

    async def now() -> Any:
        return await store.tasks.one(seen.id)

    async def said() -> bool:
        return bool((await now()).text == "write")

    async def dated() -> bool:
        return bool((await now()).due_at == due)

    version = seen.edit_version
    return Race(
        lambda at: at.tasks.change(replace(seen, text="write"), by=boss.id, seen=version),
        lambda at: at.tasks.change(replace(seen, due_at=due), by=boss.id, seen=version),
        said,
        dated,
    )


async def _stages(store: RecordsStore, boss: Account) -> Race:
    stage = next(one for one in (await store.deals.pipelines())[0].stages if one.ends == "lost")
    more = await store.pipelines.add_stage(stage.pipeline_id, uuid4().hex, ends="lost")

    async def now() -> Any:
        found = [one for line in await store.deals.pipelines() for one in line.stages if one.id == more]
        return found[0]

    seen = await now()

    async def named() -> bool:
        return bool((await now()).name == "Gone")

    async def won() -> bool:
        return bool((await now()).ends == "won")

    version = seen.edit_version
    return Race(
        lambda at: at.pipelines.change_stage(more, name="Gone", ends="lost", seen=version),
        lambda at: at.pipelines.change_stage(more, name=seen.name, ends="won", seen=version),
        named,
        won,
    )


async def _pipelines(store: RecordsStore, boss: Account) -> Race:
    which = await store.pipelines.add("Sales")

    async def is_named(name: str) -> bool:
        return any(one.id == which and one.name == name for one in await store.deals.pipelines())

    return Race(
        lambda at: at.pipelines.rename(which, "North", instead_of="Sales"),
        lambda at: at.pipelines.rename(which, "South", instead_of="Sales"),
        lambda: is_named("North"),
        lambda: is_named("South"),
    )


async def _lead_rules(store: RecordsStore, boss: Account) -> Race:
    rule = LeadRule(uuid4(), 0, None, Outcome.MISSED, Known.UNKNOWN, Making.LEAD)
    await store.rules.put(rule, by=boss.id)
    (seen,) = [one for one in await store.rules.all() if one.id == rule.id]
    version = line_version(seen)

    async def now() -> LeadRule:
        return next(one for one in await store.rules.all() if one.id == rule.id)

    async def nothing() -> bool:
        return (await now()).making is Making.NOTHING

    async def tasked() -> bool:
        return (await now()).task == "call back"

    return Race(
        lambda at: at.rules.put(replace(seen, making=Making.NOTHING), by=boss.id, seen=version),
        lambda at: at.rules.put(replace(seen, task="call back"), by=boss.id, seen=version),
        nothing,
        tasked,
    )


async def _office(store: RecordsStore, boss: Account) -> Race:
    hours, rules = await store.missed.hours(), await store.missed.rules()
    version = edit_version((hours, rules))
    zone = "Europe/Rome" if hours.zone != "Europe/Rome" else "UTC"
    minutes = rules.deadline_minutes + 60

    async def there() -> bool:
        return (await store.missed.hours()).zone == zone

    async def longer() -> bool:
        return (await store.missed.rules()).deadline_minutes == minutes

    return Race(
        lambda at: at.missed.set_hours_and_rules(replace(hours, zone=zone), rules, by=boss.id, seen=version),
        lambda at: at.missed.set_hours_and_rules(
            hours, replace(rules, deadline_minutes=minutes), by=boss.id, seen=version
        ),
        there,
        longer,
    )


async def _campaigns(store: RecordsStore, boss: Account) -> Race:
    digits = str(uuid4().int)[:7]
    which = await store.campaigns.add(name="Spring", dids=[f"+7495{digits}"])

    async def now() -> Any:
        return next(one for one in await store.campaigns.all() if one.id == which)

    seen = await now()
    more = [*seen.dids, f"+7499{digits}"]

    async def named() -> bool:
        return bool((await now()).name == "Summer")

    async def grown() -> bool:
        return len((await now()).dids) == 2

    version = seen.edit_version
    return Race(
        lambda at: at.campaigns.change(which, name="Summer", dids=seen.dids, seen=version),
        lambda at: at.campaigns.change(which, name="Spring", dids=more, seen=version),
        named,
        grown,
    )


async def _web_forms(store: RecordsStore, boss: Account) -> Race:
    which = await store.forms.add(
        name="Site",
        token_hash=uuid4().bytes,
        secret=None,
        origins=["https://a.example"],
        mapping={},
        campaign_id=None,
    )
    seen = await store.forms.one(which)
    assert seen is not None
    kept: dict[str, Any] = {"mapping": {}, "campaign_id": None, "seen": seen.edit_version}

    async def now() -> Any:
        return await store.forms.one(which)

    async def named() -> bool:
        return bool((await now()).name == "Shop")

    async def moved() -> bool:
        return bool(tuple((await now()).origins) == ("https://b.example",))

    return Race(
        lambda at: at.forms.change(seen, name="Shop", origins=["https://a.example"], **kept),
        lambda at: at.forms.change(seen, name="Site", origins=["https://b.example"], **kept),
        named,
        moved,
    )


async def _policy(store: RecordsStore, boss: Account) -> Race:
    policy, rules = await store.retention.policy(), await store.retention.rules()
    version = retention_version(policy, rules)
    days = policy.link_days_most + 1
    rule = RetentionRule(uuid4(), 0, Direction.INTERNAL, None, None, None, None, 5, uuid4().hex)

    async def longer() -> bool:
        return (await store.retention.policy()).link_days_most == days

    async def ruled() -> bool:
        return any(one.note == rule.note for one in await store.retention.rules())

    return Race(
        lambda at: at.retention.set_all(replace(policy, link_days_most=days), rules, seen=version),
        lambda at: at.retention.set_all(policy, [*rules, rule], seen=version),
        longer,
        ruled,
    )


async def _review_rules(store: RecordsStore, boss: Account) -> Race:
    seen = (await store.reviews.rules.all())[0]
    version = edit_version(seen)
    name = next(name for name, value in seen.choices.items() if isinstance(value, int | float))
    fewer = {**seen.choices, name: seen.choices[name] + 1}

    async def now() -> Any:
        return (await store.reviews.rules.all())[0]

    async def switched() -> bool:
        return bool((await now()).active is not seen.active)

    async def counted() -> bool:
        return bool((await now()).choices[name] == fewer[name])

    return Race(
        lambda at: at.reviews.rules.change(replace(seen, active=not seen.active), by="boss", seen=version),
        lambda at: at.reviews.rules.change(replace(seen, choices=fewer), by="boss", seen=version),
        switched,
        counted,
    )


async def _score_forms(store: RecordsStore, boss: Account) -> Race:
    seen = (await store.reviews.forms.offered())[0]

    async def now() -> Any:
        return await store.reviews.forms.one(seen.form_id)

    fewer = seen.questions[:-1] if len(seen.questions) > 1 else seen.questions

    async def shorter() -> bool:
        return bool((await now()).questions == fewer)

    async def turned() -> bool:
        return bool((await now()).questions == tuple(reversed(seen.questions)))

    def save(questions: Sequence[Any]) -> Doing:
        return lambda at: at.reviews.forms.save(
            seen.form_id, seen.name, questions, after=seen.version, by="boss"
        )

    return Race(save(fewer), save(tuple(reversed(seen.questions))), shorter, turned)


async def _people(store: RecordsStore, boss: Account) -> Race:
    digits = str(uuid4().int)[:6]
    seen = await store.staff.put_member(StaffMember(None, "Petr", (digits,)))

    async def now() -> StaffMember:
        return next(one for one in await store.staff.members() if one.id == seen.id)

    async def moved() -> bool:
        return (await now()).team == "north"

    async def reachable() -> bool:
        return (await now()).email == "p@example.com"

    version = seen.edit_version
    return Race(
        lambda at: at.staff.put_member(replace(seen, team="north"), seen=version),
        lambda at: at.staff.put_member(replace(seen, email="p@example.com"), seen=version),
        moved,
        reachable,
    )


RACES: dict[str, Setting] = {
    "accounts": _accounts,
    "campaigns": _campaigns,
    "clients": _clients,
    "deals": _deals,
    "lead_rules": _lead_rules,
    "office": _office,
    "people": _people,
    "pipelines": _pipelines,
    "recording_policy": _policy,
    "review_rules": _review_rules,
    "score_forms": _score_forms,
    "stages": _stages,
    "tasks": _tasks,
    "web_forms": _web_forms,
}


def test_every_table_is_raced_or_says_why_not() -> None:
    """Somebody adds a table that people edit: it must stand here."""
    assert set(RACES) | set(NOT_RACED) == set(metadata.tables)
    assert not set(RACES) & set(NOT_RACED)


async def _made(store: RecordsStore, login: str, role: Role = Role.MANAGER) -> Account:
    return await store.accounts.create(
        login=login, name=login, role=role, password_hash="x", extensions=(), pop=PopPreference.ON_RING
    )


@pytest.mark.postgres
@pytest.mark.parametrize("table", RACES)
async def test_no_decision_is_undone(records: RecordsStore, database_url: str, table: str) -> None:
    """Several times over two processes: each change either holds afterwards, or its author was told that it does not."""
    boss = await _made(records, "boss", Role.ADMINISTRATOR)
    saved = 0
    async with AsyncExitStack() as stack:
        second = await stack.enter_async_context(open_records(database_url, migrate=False))
        for turn in range(ROUNDS):
            race = await RACES[table](records, boss)
            stores = (records, second) if turn % 2 else (second, records)
            doings = [race.one(stores[0]), race.other(stores[1])]
            told = await asyncio.gather(*doings, return_exceptions=True)
            for answer, holds in zip(told, (race.one_holds, race.other_holds), strict=True):
                if isinstance(answer, BaseException):
                    assert isinstance(answer, PeerMistake), answer
                    continue
                saved += 1
                assert await holds(), (table, turn, told)
    assert saved >= ROUNDS  # somebody always gets through


@pytest.mark.postgres
async def test_who_saw_an_old_state_is_told_so(records: RecordsStore) -> None:
    """Not at the same moment but an hour later: the form was open all the time."""
    boss = await _made(records, "boss", Role.ADMINISTRATOR)
    for table, setting in RACES.items():
        race = await setting(records, boss)
        await race.one(records)
        with pytest.raises(PeerMistake):
            await race.other(records)
        assert await race.one_holds(), table


@pytest.mark.postgres
async def test_two_decide_at_once_whose_phone_it_is(records: RecordsStore, database_url: str) -> None:
    """Neither is refused, and one of the two answers stands."""
    async with open_records(database_url, migrate=False) as second:
        for turn in range(ROUNDS):
            endpoint = f"PJSIP/phone-{turn}"
            await asyncio.gather(
                records.endpoints.say("main", endpoint, "101"), second.endpoints.say("main", endpoint, None)
            )
            known = [one for one in await records.endpoints.list_known("main") if one.endpoint == endpoint]
            assert [(one.source, one.extension in ("101", None)) for one in known] == [
                (EndpointSource.STAFF, True)
            ]

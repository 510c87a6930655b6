"""The table of lead rules as a store: changed, undone, refused; the try-out; the blocklist; campaigns."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from call_records.crm.lead_rules.apply import Asked, Who, carry_out, decide
from call_records.store import RecordsStore, open_records
from telephony.contacts import MatchRule
from telephony.errors import PeerMistake
from telephony.lead_rules import Known, LeadRule, Making, Outcome, OwnerRule, Refusal
from tests.call_facts_builder import CLIENT, MONDAY, call, ended
from tests.crm.lead_rules.office import (
    SALES,
    do,
    enter,
    leads,
    line,
    open_deal,
    person,
    rows,
    set_rules,
    take_in,
)
from tests.postgres_fixtures import TEMPLATE, own_database

pytestmark = pytest.mark.postgres

LINE = "+74951000001"
FRIDAY_EVENING = datetime(2026, 11, 20, 17, 50, tzinfo=UTC)


def told(rules: object) -> list[tuple[object, ...]]:
    """What the lines say, without their ids."""
    assert isinstance(rules, list | tuple)
    return [(one.place, one.outcome, one.known, one.making, one.owner) for one in rules]


async def test_the_first_table_is_the_migrations(records: RecordsStore, postgres_server: str) -> None:
    """What these tests begin with is what a new office begins with."""
    ours = told(await records.rules.all())
    async for url in own_database(postgres_server, TEMPLATE):
        async with open_records(url, migrate=False) as fresh:
            assert told(await fresh.rules.all()) == ours
    assert [one[1] for one in ours] == [
        Outcome.INBOUND_ANSWERED,
        Outcome.MISSED,
        Outcome.ABANDONED,
        Outcome.FORM,
    ]


async def test_lines_are_changed_moved_taken_out_and_it_is_undone(records: RecordsStore) -> None:
    """Each change is one step back; undoing twice is doing it again; a line keeps its place and its id."""
    anna = await person(records, "Anna", "101")
    assert not await records.rules.can_undo()
    first = list(await records.rules.all())
    changed = replace(first[1], owner=OwnerRule.NAMED, owner_id=anna, task="  Call\nback ", task_minutes=60)
    await records.rules.put(changed, by=None)
    now = list(await records.rules.all())
    assert now[1] == replace(changed, task="Call back")
    await records.rules.undo(by=None)
    assert list(await records.rules.all()) == first
    await records.rules.undo(by=None)
    assert list(await records.rules.all()) == now
    await records.rules.move(first[3].id, up=True, by=None)
    assert [one.id for one in await records.rules.all()] == [first[i].id for i in (0, 1, 3, 2)]
    await records.rules.move(first[0].id, up=True, by=None)
    await records.rules.move(uuid4(), up=False, by=None)
    await records.rules.remove(first[0].id, by=None)
    assert [(one.place, one.id) for one in await records.rules.all()] == list(
        enumerate(first[i].id for i in (1, 3, 2))
    )
    await records.rules.undo(by=None)
    assert len(await records.rules.all()) == 4
    await records.rules.put(line(did="8 495 100-00-01"), by=None)
    assert (await records.rules.all())[-1].did == LINE


async def test_a_line_keeps_only_what_it_uses(records: RecordsStore) -> None:
    """A stage without a deal, a team without turns, minutes without a task are not kept; a stage brings its pipeline."""
    (stage,) = await rows(records, "SELECT id FROM stages WHERE name = 'Offer made'")
    odd = line(
        stage_id=stage["id"], pipeline_id=SALES, team="Sales", owner_id=uuid4(), task=" ", task_minutes=5
    )
    await records.rules.put(odd, by=None)
    kept = (await records.rules.all())[-1]
    assert (kept.stage_id, kept.pipeline_id, kept.team, kept.owner_id, kept.task, kept.task_minutes) == (
        None,
    ) * 6
    await records.rules.put(replace(odd, making=Making.DEAL), by=None)
    kept = (await records.rules.all())[-1]
    assert (kept.stage_id, kept.pipeline_id) == (stage["id"], SALES)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (line(owner=OwnerRule.NAMED), "names nobody"),
        (line(owner=OwnerRule.NAMED, owner_id=uuid4()), "names nobody"),
        (line(owner=OwnerRule.TEAM_ROTA), "names no team"),
        (line(did="our line"), "not a number"),
        (line(Making.DEAL, stage_id=uuid4()), "no such open stage"),
        (line(Making.DEAL, pipeline_id=uuid4()), "no such pipeline"),
        (line(task="x", task_minutes=10_000_000), "up to 86400"),
        (line(task="x", task_minutes=-1), "up to 86400"),
    ],
)
async def test_what_could_not_be_followed_is_refused(
    records: RecordsStore, wrong: LeadRule, said: str
) -> None:
    """Told in a sentence, and the table stays as it was."""
    before = list(await records.rules.all())
    with pytest.raises(PeerMistake, match=said):
        await records.rules.put(wrong, by=None)
    assert list(await records.rules.all()) == before
    with pytest.raises(PeerMistake, match="60 lines"):
        await records.rules.replace([line() for _line in range(61)], by=None)


async def test_what_would_happen(records: RecordsStore) -> None:
    """A stranger, a known caller, one who is blocked, a short number, a withheld one; and nothing was written."""
    anna = await person(records, "Anna Belova", "101")
    tiles = await enter(records, "Dream Tiles", "+79160000031")
    await records.campaigns.add(name="Leaflet", dids=[LINE])
    await records.blocklist.add("+7 916 000-00-77", reason="rude", by=None)
    missed = line(outcome=Outcome.MISSED, owner=OwnerRule.FIRST_RUNG, task="Call back", task_minutes=60)
    await set_rules(records, missed, line(Making.DEAL, known=Known.KNOWN))
    before = await everything(records)

    stranger = await records.rules.what_if(
        "8 (916) 000-00-12", did="8 495 100-00-01", outcome=Outcome.MISSED, at=FRIDAY_EVENING, phone="101"
    )
    assert stranger.key == "+79160000012"
    assert (stranger.verdict.making, stranger.verdict.line and stranger.verdict.line.id) == (
        Making.LEAD,
        missed.id,
    )
    assert (stranger.owner, stranger.verdict.owner_id, stranger.campaign) == ("Anna Belova", anna, "Leaflet")
    assert stranger.verdict.due_at == datetime(2026, 11, 23, 9, 50, tzinfo=UTC)
    known = await records.rules.what_if(
        "+79160000031", did=None, outcome=Outcome.OUTBOUND_ANSWERED, at=MONDAY
    )
    assert (known.entry, known.entry_id, known.stage) == ("Dream Tiles", tiles, "Sales: New")
    assert (known.match.rule, known.verdict.making) == (MatchRule.ONLY, Making.DEAL)
    blocked = await records.rules.what_if("+79160000077", did=None, outcome=Outcome.MISSED, at=MONDAY)
    assert (blocked.verdict.refusal, blocked.blocked_because) == (Refusal.BLOCKED, "rude")
    short = await records.rules.what_if("900", did=None, outcome=Outcome.MISSED, at=MONDAY)
    withheld = await records.rules.what_if("anonymous", did=None, outcome=Outcome.MISSED, at=MONDAY)
    nobody = await records.rules.what_if("+79160000012", did=None, outcome=Outcome.ABANDONED, at=MONDAY)
    assert [one.verdict.refusal for one in (short, withheld, nobody)] == [
        Refusal.SHORT, Refusal.NOBODY, Refusal.NO_LINE,
    ]  # fmt: skip
    assert await everything(records) == before


async def everything(records: RecordsStore) -> list[object]:
    """How much is in every table that a call could write."""
    tables = ("clients", "deals", "tasks", "timeline", "call_rulings", "office", "blocklist", "missed")
    return [
        (await rows(records, f"SELECT count(*) AS n, max(xmin::text::bigint) AS x FROM {one}"))[0]
        for one in tables
    ]


async def test_asking_takes_nobodys_turn(records: RecordsStore) -> None:
    """Asked three times, the team's turn is still the first one's; then a call takes it."""
    anna = await person(records, "Anna", "101", team="Sales")
    boris = await person(records, "Boris", "102", team="Sales")
    await set_rules(records, line(owner=OwnerRule.TEAM_ROTA, team="Sales"))
    for _time in range(3):
        answer = await records.rules.what_if("+79160000012", did=None, outcome=Outcome.MISSED, at=MONDAY)
        assert answer.verdict.owner_id == anna
    await take_in(records, ended(call()))
    answer = await records.rules.what_if("+79160000012", did=None, outcome=Outcome.MISSED, at=MONDAY)
    assert answer.verdict.owner_id == boris


async def test_a_deadline_counts_working_minutes(records: RecordsStore) -> None:
    """Missed on Friday at 17:50, due within an hour of work: Monday at 9:50, in the hours the office has set."""
    await set_rules(records, line(task="Call back", task_minutes=60))
    await take_in(records, ended(call(started_at=FRIDAY_EVENING), after_seconds=0))
    (task,) = await rows(records, "SELECT due_at FROM tasks")
    assert task["due_at"] == datetime(2026, 11, 23, 9, 50, tzinfo=UTC)


async def test_the_limit_and_what_the_page_tells_of_floods(records: RecordsStore) -> None:
    """A flood of this minute is going on; that of an hour ago is over; each line is told once with its count."""
    assert await records.rules.flood_most() == 30
    await records.rules.limit(1, by=None)
    assert await records.rules.flood_most() == 1
    for wrong in (0, 10_001):
        with pytest.raises(PeerMistake, match="1 to 10000"):
            await records.rules.limit(wrong, by=None)
    now = datetime.now(UTC)
    for place in range(3):
        await take_in(
            records, ended(call(f"+7916000000{place}", started_at=now - timedelta(seconds=9 - place)))
        )
        earlier = now - timedelta(hours=1, seconds=9 - place)
        await take_in(records, ended(call(f"+7916000001{place}", did="+74951000002", started_at=earlier)))
    found = await records.rules.floods()
    assert [(one.did, one.calls, one.going_on) for one in found] == [
        (LINE, 2, True),
        ("+74951000002", 2, False),
    ]
    assert len(await leads(records)) == 2


# -- the blocklist --


@pytest.mark.parametrize(
    ("typed", "pattern"),
    [
        ("8 (916) 000-00-77", "+79160000077"),
        ("+7 495 123*", "+7495123*"),
        ("7495123*", "+7495123*"),
        ("900", "900"),
    ],
)
async def test_a_number_is_blocked_however_it_is_written(
    records: RecordsStore, typed: str, pattern: str
) -> None:
    """Any spelling, or the beginning of numbers; blocking it again changes the reason."""
    assert await records.blocklist.add(typed, reason=" first ", by=None) == pattern
    await records.blocklist.add(typed, reason="second", by=None)
    (kept,) = await records.blocklist.all()
    assert (kept.pattern, kept.reason, kept.calls) == (pattern, "second", 0)
    if pattern.endswith("*"):
        found = await records.blocklist.which("+7 495 123-45-67")
        assert found is not None
        assert found.pattern == pattern
        assert await records.blocklist.which("+7 495 124-45-67") is None
    await records.blocklist.remove(pattern)
    assert await records.blocklist.which(typed.replace("*", "")) is None


@pytest.mark.parametrize("typed", ["", "*", "+7*", "nobody", "+7495*1", "%", "123%*"])
async def test_what_is_no_number_is_not_blocked(records: RecordsStore, typed: str) -> None:
    """A star alone would block everybody."""
    with pytest.raises(PeerMistake):
        await records.blocklist.add(typed, reason="x", by=None)
    assert await records.blocklist.all() == []


# -- campaigns --


async def test_a_number_stands_for_one_running_campaign(records: RecordsStore) -> None:
    """A second campaign of the same number is refused until the first is ended, and the ended one cannot come back."""
    leaflet = await records.campaigns.add(name=" Leaflet ", dids=["8 495 100-00-01", LINE])
    with pytest.raises(PeerMistake, match="Leaflet"):
        await records.campaigns.add(name="Site", dids=[LINE])
    await records.campaigns.change(leaflet, name="Leaflet, spring", dids=[LINE, "+74951000002"])
    await records.campaigns.end(leaflet, ended=True)
    await records.campaigns.add(name="Site", dids=[LINE])
    with pytest.raises(PeerMistake, match="Site"):
        await records.campaigns.end(leaflet, ended=False)
    site, old = await records.campaigns.all()
    assert (site.name, site.dids, site.ended_at) == ("Site", (LINE,), None)
    assert (old.name, old.dids, old.ended_at is None) == ("Leaflet, spring", (LINE, "+74951000002"), False)
    for name, dids in (("", [LINE]), ("x", []), ("x", ["nothing"])):
        with pytest.raises(PeerMistake):
            await records.campaigns.add(name=name, dids=dids)


async def test_campaigns_are_counted_and_lines_suggested(records: RecordsStore) -> None:
    """Calls since it began, the entries that came by it, and which of our lines were called at all."""
    await records.campaigns.add(name="Leaflet", dids=[LINE])
    now = datetime.now(UTC)
    await take_in(records, ended(call(started_at=now)), ended(call(started_at=now + timedelta(seconds=1))))
    await take_in(records, ended(call("+79160000009", did="+74951000002", started_at=now)))
    (leaflet,) = await records.campaigns.all()
    assert (leaflet.calls, leaflet.made) == (2, 1)
    assert [(one.did, one.calls) for one in await records.campaigns.lines()] == [
        (LINE, 2),
        ("+74951000002", 1),
    ]


async def test_the_open_deal_of_a_known_caller_counts(records: RecordsStore) -> None:
    """Asked about somebody with an open deal: the line for those without one does not fit."""
    garden = await enter(records, "Fictional Garden", CLIENT)
    await set_rules(records, line(Making.DEAL, known=Known.KNOWN_WITHOUT_OPEN_DEAL))
    answer = await records.rules.what_if(CLIENT, did=None, outcome=Outcome.MISSED, at=MONDAY)
    assert answer.verdict.making is Making.DEAL
    await open_deal(records, garden, "Hedges")
    answer = await records.rules.what_if(CLIENT, did=None, outcome=Outcome.MISSED, at=MONDAY)
    assert answer.verdict.refusal is Refusal.NO_LINE
    await do(records, "UPDATE deals SET state = 'won'")
    answer = await records.rules.what_if(CLIENT, did=None, outcome=Outcome.MISSED, at=MONDAY)
    assert answer.verdict.making is Making.DEAL


async def test_a_form_is_ruled_on_like_a_call(records: RecordsStore) -> None:
    """A form of the web site with a number, and one with an e-mail address only: a lead each, by the line for forms."""
    for number, emails, name in (("8 916 000-00-12", (), "Peter"), ("", ("anna@fictional.example",), None)):
        key = records.home.written(number)[0].key if number else ""
        asked = Asked(
            number, key or "", Outcome.FORM, MONDAY, MONDAY, name=name, source="form", emails=emails
        )
        async with records.engine.begin() as connection:
            verdict = await decide(connection, asked, Who(), home=records.home)
            made = await carry_out(connection, asked, Who(), verdict, home=records.home)
        assert (verdict.making, made.client_id is not None) == (Making.LEAD, True)
    found = [(one["name"], one["source"], one["emails"]) for one in await leads(records)]
    assert found == [("Peter", "form", []), ("anna@fictional.example", "form", ["anna@fictional.example"])]
    (phone,) = await rows(records, "SELECT key FROM client_phones")
    assert phone["key"] == "+79160000012"

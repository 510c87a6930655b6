"""Which calls are on whose timeline, and what the lead rules have made of strangers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from call_records.crm.timeline import filing
from call_records.store import RecordsStore
from telephony.call_facts.facts import (
    Direction,
    Disposition,
    LegOutcome,
    QueueVisit,
    Transfer,
    TransferKind,
    TransferResult,
    TransferVia,
)
from telephony.contacts import ClientKind
from telephony.errors import OurMistake
from telephony.lead_rules import Known, Making, Outcome, OwnerRule
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, change, ended, leg, outbound
from tests.crm.lead_rules.office import (
    SALES,
    bookkeeper,
    do,
    enter,
    leads,
    line,
    open_deal,
    person,
    places,
    rows,
    set_rules,
    take_in,
)

pytestmark = pytest.mark.postgres

LATER = MONDAY + timedelta(hours=1)


async def test_an_answered_stranger_is_one_lead(records: RecordsStore) -> None:
    """Somebody unknown calls and Anna answers: one lead, hers, with the call on its timeline; nothing while it rang."""
    anna = await person(records, "Anna Belova", "101")
    ringing = call()
    await take_in(records, ringing)
    assert (await leads(records), await places(records)) == ([], [])
    await take_in(records, answered(ringing), ended(answered(ringing)))
    (lead,) = await leads(records)
    assert (lead["name"], lead["owner_id"], lead["source"], lead["state"]) == (CLIENT, anna, "call", "open")
    assert lead["spoken_at"] == ringing.started_at + timedelta(seconds=65)
    (place,) = await places(records)
    assert (place["call_id"], place["client_id"], place["data"]["made"]) == (ringing.id, lead["id"], "lead")
    (phone,) = await rows(records, "SELECT * FROM client_phones")
    assert (phone["key"], phone["client_id"]) == (CLIENT, lead["id"])


async def test_the_second_call_goes_to_the_same_lead(records: RecordsStore) -> None:
    """They call again, Boris answers: the call is on the same timeline as soon as it rings, and the lead stays Anna's."""
    anna = await person(records, "Anna Belova", "101")
    await person(records, "Boris Oak", "102")
    await take_in(records, answered(call()))
    again = call(to="102", started_at=LATER)
    await take_in(records, again)
    assert len(await places(records)) == 2
    await take_in(records, answered(again, by="102"))
    (lead,) = await leads(records)
    assert lead["owner_id"] == anna
    assert [one["data"].get("made") for one in await places(records)] == ["lead", None]


async def test_two_overlapping_calls_of_one_number_are_two_entries(records: RecordsStore) -> None:
    """Two people of one firm call at once from its one number: two entries on one timeline, none lost."""
    first, second = call(to="101"), call(to="102", started_at=MONDAY + timedelta(seconds=3))
    await take_in(records, first, second, answered(first), answered(second, by="102"))
    await take_in(records, ended(answered(second, by="102")), ended(answered(first)))
    assert {one["call_id"] for one in await places(records)} == {first.id, second.id}
    assert len(await leads(records)) == 1


@pytest.mark.parametrize(
    ("disposition", "queue", "owner"),
    [
        (Disposition.MISSED, None, "Anna Belova"),
        (Disposition.ABANDONED, "sales", None),
        (Disposition.VOICEMAIL, None, None),
    ],
)
async def test_a_call_nobody_took_applies_its_rule(
    records: RecordsStore, disposition: Disposition, queue: str | None, owner: str | None
) -> None:
    """They give up while it rings, in the queue or the menu, or after the beep: a lead, for the first phone that rang, or
    for whoever takes it.
    """
    await person(records, "Anna Belova", "101")
    visit = queue and QueueVisit(queue, 40.0, (), None, MONDAY)
    await take_in(records, ended(call(disposition=disposition, queue=visit or None)))
    found = await rows(
        records, "SELECT p.name FROM clients c LEFT JOIN people p ON p.id = c.owner_id WHERE c.kind = 'lead'"
    )
    assert [one["name"] for one in found] == [owner]


async def test_a_known_caller_is_filed_while_it_rings(records: RecordsStore) -> None:
    """A contact with an open deal calls: the call is on both timelines at the first ring, and says why."""
    garden = await enter(records, "Fictional Garden", CLIENT, labels=("office",))
    deal = await open_deal(records, garden, "Hedges")
    await take_in(records, call())
    (place,) = await places(records)
    assert (place["client_id"], place["deal_id"]) == (garden, deal)
    assert (place["data"]["rule"], place["data"]["field"], place["data"]["asked"]) == (
        "only",
        "office",
        CLIENT,
    )
    assert await leads(records) == []


async def test_what_a_person_placed_is_never_moved(records: RecordsStore) -> None:
    """Somebody says during the call that it is the bakery's: later states leave it there, and talk counts for them."""
    garden = await enter(records, "Fictional Garden", CLIENT)
    bakery = await enter(records, "Imagined Bakery", "+79160000002")
    ringing = call()
    await take_in(records, ringing)
    moved = (
        """UPDATE timeline SET client_id = :to, data = data || '{"by_hand": true}' WHERE call_id = :call"""
    )
    await do(records, moved, to=bakery, call=ringing.id)
    await take_in(records, answered(ringing), ended(answered(ringing)))
    (place,) = await places(records)
    assert place["client_id"] == bakery
    spoken = {one["id"]: one["spoken_at"] for one in await rows(records, "SELECT id, spoken_at FROM clients")}
    assert spoken[garden] is None
    assert spoken[bakery] is not None


async def test_a_call_that_belongs_to_nobody_makes_nothing(records: RecordsStore) -> None:
    """ "Nobody's", somebody said while it rang (their mother): no lead is made when it is answered."""
    ringing = call()
    await take_in(records, ringing)
    await do(
        records,
        """INSERT INTO timeline (id, kind, at, call_id, data)
        VALUES (gen_random_uuid(), 'call', :at, :call, '{"by_hand": true}')""",
        at=MONDAY,
        call=ringing.id,
    )
    await take_in(records, answered(ringing), ended(answered(ringing)))
    assert await leads(records) == []


@pytest.mark.parametrize(
    "facts",
    [
        call(None),
        call("900"),
        call("*72"),
        call("101", direction=Direction.INTERNAL),
        answered(call("102", direction=Direction.INTERNAL, did=None)),
    ],
    ids=["withheld", "short", "code", "internal", "colleague"],
)
async def test_some_callers_never_make_anything(records: RecordsStore, facts: object) -> None:
    """Withheld, short and internal numbers: with a line that makes a contact of everybody, nothing is made."""
    assert hasattr(facts, "id")
    await set_rules(records, line(Making.CONTACT))
    await take_in(records, ended(answered(facts)))  # type: ignore[arg-type]
    assert await rows(records, "SELECT id FROM clients") == []
    assert await places(records) == []


async def test_blocked_numbers_make_nothing_and_are_counted_once(records: RecordsStore) -> None:
    """One number and all that begin alike are blocked: no lead, each call counted once; known ones keep their timeline."""
    await do(
        records,
        "INSERT INTO blocklist (pattern, reason) VALUES ('+7916111*', 'sales calls'), (:one, 'rude')",
        one=CLIENT,
    )
    known = await enter(records, "Rude but known", "+79161110006")
    first, second = call(), call("+79161110006", started_at=LATER)
    await take_in(records, ended(first), replace(ended(first), rating=2), second, ended(answered(second)))
    assert await leads(records) == []
    assert [one["client_id"] for one in await places(records)] == [known]
    found = await rows(records, "SELECT pattern, calls, last_at FROM blocklist ORDER BY pattern")
    assert [(one["pattern"], one["calls"], one["last_at"]) for one in found] == [
        ("+7916111*", 1, LATER),
        (CLIENT, 1, MONDAY),
    ]


async def test_calls_of_ours_are_filed_and_make_what_their_line_says(records: RecordsStore) -> None:
    """We call a stranger: by the first table nothing; with a line for it a lead of the colleague who called."""
    anna = await person(records, "Anna Belova", "101")
    first = outbound("+79160000009")
    await take_in(records, ended(answered(first, by="+79160000009")))
    assert await leads(records) == []
    await set_rules(records, line(outcome=Outcome.OUTBOUND_ANSWERED))
    second = outbound("+79160000009", started_at=LATER)
    await take_in(records, ended(answered(second, by="+79160000009")))
    (lead,) = await leads(records)
    assert (lead["name"], lead["owner_id"]) == ("+79160000009", anna)


async def test_a_caller_with_a_name_is_called_by_it(records: RecordsStore) -> None:
    """The PBX knows a name: the lead has it; digits are no name."""
    await take_in(records, ended(call(caller=replace(call().caller, name="  Dream\tTiles \x00"))))
    await take_in(
        records, ended(call("+79160000003", caller=replace(call("+79160000003").caller, name="9160000003")))
    )
    assert sorted(one["name"] for one in await leads(records)) == ["+79160000003", "Dream Tiles \ufffd"]


async def test_a_known_caller_without_a_deal_gets_one(records: RecordsStore) -> None:
    """The table says: a deal if none is open. The contact keeps their owner; the deal and the task are the answerer's."""
    anna, boris = await person(records, "Anna", "101"), await person(records, "Boris", "102")
    garden = await enter(records, "Fictional Garden", CLIENT, owner_id=boris)
    deal_line = line(
        Making.DEAL,
        known=Known.KNOWN_WITHOUT_OPEN_DEAL,
        pipeline_id=SALES,
        task="Send the offer",
        task_minutes=60,
    )
    await set_rules(records, deal_line)
    facts = ended(answered(call()))
    await take_in(records, facts, replace(facts, rating=5))
    (deal,) = await rows(
        records, "SELECT d.*, s.name AS stage FROM deals d JOIN stages s ON s.id = d.stage_id"
    )
    assert (deal["contact_id"], deal["owner_id"], deal["stage"], deal["state"]) == (
        garden,
        anna,
        "New",
        "open",
    )
    (place,) = await places(records)
    assert (place["deal_id"], place["data"]["made"]) == (deal["id"], "deal")
    (task,) = await rows(records, "SELECT * FROM tasks")
    assert (task["owner_id"], task["deal_id"], task["call_id"]) == (anna, deal["id"], facts.id)
    (kept,) = await rows(records, "SELECT owner_id FROM clients")
    assert kept["owner_id"] == boris
    again = call(started_at=LATER)
    await take_in(records, ended(answered(again)))
    assert len(await rows(records, "SELECT id FROM deals")) == 1
    assert {one["deal_id"] for one in await places(records)} == {deal["id"]}


async def test_a_stranger_can_become_a_contact_with_a_deal(records: RecordsStore) -> None:
    """The line says deal: the stranger is a contact, and the deal in the line's own stage is theirs."""
    (talks,) = await rows(records, "SELECT id FROM stages WHERE name = 'In talks'")
    await set_rules(records, line(Making.DEAL, pipeline_id=SALES, stage_id=talks["id"]))
    await take_in(records, ended(answered(call())))
    (deal,) = await rows(
        records, "SELECT d.stage_id, c.kind FROM deals d JOIN clients c ON c.id = d.contact_id"
    )
    assert (deal["stage_id"], deal["kind"]) == (talks["id"], "contact")


async def test_an_open_lead_is_left_to_people(records: RecordsStore) -> None:
    """A rule wants a deal with a known caller who is still a lead: only a person turns them into a contact."""
    await set_rules(records, line(Making.DEAL, known=Known.KNOWN))
    lead = await enter(records, "A lead", CLIENT, kind=ClientKind.LEAD)
    await take_in(records, ended(answered(call())))
    assert await rows(records, "SELECT id FROM deals") == []
    assert [one["client_id"] for one in await places(records)] == [lead]


@pytest.mark.parametrize("ending", ["rejected", "converted", "merged"])
async def test_a_lead_that_came_to_an_end_is_followed(records: RecordsStore, ending: str) -> None:
    """Their first lead was turned down, converted or merged: a new call makes no other one."""
    await take_in(records, ended(answered(call())))
    (lead,) = await leads(records)
    other = await enter(records, "Peter")
    statement = {
        "rejected": "UPDATE clients SET state = 'rejected' WHERE id = :lead",
        "converted": "UPDATE clients SET state = 'converted', became_id = :other WHERE id = :lead",
        "merged": "UPDATE clients SET merged_into = :other WHERE id = :lead",
    }
    binds = {"lead": lead["id"], "other": other}
    if ending == "rejected":
        del binds["other"]
    await do(records, statement[ending], **binds)
    again = call(started_at=LATER)
    await take_in(records, again, ended(answered(again)))
    assert len(await leads(records)) == 1
    _first, second = await places(records)
    assert second["client_id"] == (lead["id"] if ending == "rejected" else other)
    assert second["data"].get("turned_down") == (True if ending == "rejected" else None)


async def test_transferred_to_the_warehouse(records: RecordsStore) -> None:
    """Anna transfers to 555, who has no account: the deal's timeline has the call with their seconds; owners stay."""
    anna = await person(records, "Anna Belova", "101")
    await person(records, "Warehouse", "555")
    garden = await enter(records, "Fictional Garden", CLIENT, owner_id=anna)
    deal = await open_deal(records, garden, "Hedges", owner_id=anna)
    talking = answered(call())
    at = MONDAY + timedelta(seconds=57)
    moved = replace(
        talking,
        legs=(
            talking.legs[0],
            replace(talking.legs[1], talk_seconds=52.0, outcome=LegOutcome.ANSWERED),
            leg("555", rang_at=at, answered_at=at, talk_seconds=202.0, outcome=LegOutcome.ANSWERED),
        ),
        transfers=(
            Transfer(TransferKind.BLIND, TransferVia.SIP, "101", "555", TransferResult.COMPLETED, at),
        ),
    )
    done = replace(ended(moved, after_seconds=259.0), final_party="555")
    await take_in(records, call(id=done.id), talking, moved, done)
    (place,) = await places(records)
    assert (place["client_id"], place["deal_id"]) == (garden, deal)
    kept = await records.calls.one(place["call_id"])
    assert kept is not None
    assert {one.party: one.talk_seconds for one in kept.legs if one.talk_seconds} == {
        "101": 52.0,
        "555": 202.0,
    }
    assert (await records.staff.directory()).name_of("555") == "Warehouse"
    (owned,) = await rows(
        records, "SELECT c.owner_id, d.owner_id AS deals FROM clients c JOIN deals d ON d.contact_id = c.id"
    )
    assert (owned["owner_id"], owned["deals"]) == (anna, anna)


async def test_the_owner_by_each_rule(records: RecordsStore) -> None:
    """Whoever answered, rang first, is named; nobody for a handset without a person, or one who has left."""
    anna, boris = await person(records, "Anna", "101"), await person(records, "Boris", "102")
    legs = (call().legs[0], leg("102"), leg("101", rang_at=MONDAY + timedelta(seconds=1)))
    expected = {
        OwnerRule.ANSWERED_BY: anna,
        OwnerRule.FIRST_RUNG: boris,
        OwnerRule.NAMED: boris,
        OwnerRule.NOBODY: None,
    }
    for place, (rule, owner) in enumerate(expected.items()):
        await set_rules(records, line(owner=rule, owner_id=boris if rule is OwnerRule.NAMED else None))
        await take_in(records, answered(call(f"+7916000000{place}", legs=legs)))
        assert (
            await rows(records, "SELECT owner_id FROM clients WHERE name = :name", name=f"+7916000000{place}")
        )[0]["owner_id"] == owner
    await do(records, "UPDATE people SET left_at = now() WHERE id = :boris", boris=boris)
    await set_rules(records, line(owner=OwnerRule.NAMED, owner_id=boris))
    await take_in(records, answered(call("+79160000008")))
    assert (await rows(records, "SELECT owner_id FROM clients WHERE name = '+79160000008'"))[0][
        "owner_id"
    ] is None


async def test_a_team_takes_turns(records: RecordsStore) -> None:
    """Three strangers, a team of two: Anna, Boris, Anna; a call that is told again takes no turn."""
    anna = await person(records, "anna", "101", team="Sales")
    boris = await person(records, "Boris", "102", team="Sales")
    await person(records, "Vera", "103", team="Support")
    await set_rules(records, line(owner=OwnerRule.TEAM_ROTA, team="Sales"))
    for place in range(3):
        facts = ended(call(f"+7916000000{place}", started_at=MONDAY + timedelta(minutes=place)))
        await take_in(records, facts, replace(facts, rating=1))
    assert [one["owner_id"] for one in await leads(records)] == [anna, boris, anna]


async def test_the_campaign_of_the_line_is_kept(records: RecordsStore) -> None:
    """The number on the leaflet was called: the lead and the deal say so; an ended campaign no longer counts."""
    leaflet = await records.campaigns.add(name="Leaflet", dids=["8 (495) 100-00-01"])
    await set_rules(records, line(Making.DEAL))
    await take_in(records, ended(call()))
    (found,) = await rows(
        records,
        "SELECT c.campaign_id, d.campaign_id AS deals FROM clients c JOIN deals d ON d.contact_id = c.id",
    )
    assert (found["campaign_id"], found["deals"]) == (leaflet, leaflet)
    await do(records, "UPDATE campaigns SET ended_at = :at", at=MONDAY + timedelta(minutes=30))
    await take_in(records, ended(call("+79160000002", started_at=LATER)))
    assert (await rows(records, "SELECT campaign_id FROM clients WHERE name = '+79160000002'"))[0][
        "campaign_id"
    ] is None


# -- told again, told otherwise --


async def test_what_somebody_removed_is_not_made_again(records: RecordsStore) -> None:
    """The lead was thrown away; the event log tells more of the same call: it stays thrown away."""
    facts = ended(call())
    await take_in(records, facts)
    await do(records, "UPDATE clients SET removed_at = now()")
    await take_in(records, replace(facts, rating=3))
    assert len(await leads(records)) == 1
    await do(records, "DELETE FROM clients")
    await take_in(records, replace(facts, rating=4))
    assert await leads(records) == []


async def test_missed_and_then_known_to_be_answered(records: RecordsStore) -> None:
    """The event log corrects the outcome: the lead keeps its address and becomes the answerer's; no task is left over."""
    anna = await person(records, "Anna", "101")
    await person(records, "Boris", "102")
    await set_rules(
        records,
        line(outcome=Outcome.MISSED, owner=OwnerRule.FIRST_RUNG, task="Call back", task_minutes=15),
        line(outcome=Outcome.INBOUND_ANSWERED),
    )
    ringing = call(legs=(call().legs[0], leg("102"), leg("101", rang_at=MONDAY + timedelta(seconds=9))))
    await take_in(records, ended(ringing))
    (before,) = await leads(records)
    assert len(await rows(records, "SELECT id FROM tasks")) == 1
    await take_in(records, ended(answered(ringing)))
    (after,) = await leads(records)
    assert (after["id"], after["owner_id"]) == (before["id"], anna)
    assert await rows(records, "SELECT id FROM tasks") == []


async def test_what_should_not_have_been_made_is_taken_back(records: RecordsStore) -> None:
    """Only missed calls make leads here, and this one was answered after all: the lead nobody has touched is gone."""
    await set_rules(records, line(outcome=Outcome.MISSED))
    ringing = call()
    await take_in(records, ended(ringing), ended(answered(ringing)))
    assert await leads(records) == []
    assert await places(records) == []
    (ruling,) = await rows(records, "SELECT outcome, made FROM call_rulings")
    assert (ruling["outcome"], ruling["made"]) == ("inbound_answered", "nothing")


@pytest.mark.parametrize(
    "touch",
    [
        "UPDATE clients SET version = version + 1, name = 'Peter'",
        "INSERT INTO timeline (id, client_id, kind, at, text) SELECT gen_random_uuid(), id, 'note', now(), 'x' FROM clients",
        "INSERT INTO tasks (id, text, client_id) SELECT gen_random_uuid(), 'x', id FROM clients",
    ],
    ids=["edited", "note", "task"],
)
async def test_what_people_worked_with_stays(records: RecordsStore, touch: str) -> None:
    """The same, but somebody has typed a name, a note or a task: it is theirs now."""
    await set_rules(records, line(outcome=Outcome.MISSED))
    ringing = call()
    await take_in(records, ended(ringing))
    await do(records, touch)
    await take_in(records, ended(answered(ringing)))
    assert len(await leads(records)) == 1
    assert len(await places(records)) == 1


async def test_the_number_turns_out_to_be_another(records: RecordsStore) -> None:
    """The caller's number is corrected: the call moves to whom it belongs, and the wrong lead is gone."""
    garden = await enter(records, "Fictional Garden", "+79160000007")
    facts = ended(call())
    await take_in(records, facts)
    assert len(await leads(records)) == 1
    right = replace(facts, caller=replace(facts.caller, number="+79160000007", raw="+79160000007"))
    await take_in(records, right)
    assert await leads(records) == []
    assert [one["client_id"] for one in await places(records)] == [garden]
    await take_in(records, replace(right, direction=Direction.INTERNAL))
    assert await places(records) == []


async def test_two_calls_that_turn_out_to_be_one(records: RecordsStore) -> None:
    """A call that was told as two is one: one entry on one timeline, one ruling."""
    first = ended(answered(call()))
    second = ended(answered(call(started_at=MONDAY + timedelta(seconds=2))))
    await take_in(records, first, second)
    await records.journal.record([change(replace(first, rating=5), absorbed=[second.id], trace=False)])
    books = bookkeeper(records)
    await books.take_some()
    assert [one["call_id"] for one in await places(records)] == [first.id]
    assert [one["call_id"] for one in await rows(records, "SELECT call_id FROM call_rulings")] == [first.id]
    assert len(await leads(records)) == 1


async def test_a_deal_that_should_not_be_is_taken_back(records: RecordsStore) -> None:
    """A known caller got a deal for a missed call that was answered: the deal goes, their call stays on their timeline."""
    garden = await enter(records, "Fictional Garden", CLIENT)
    await set_rules(records, line(Making.DEAL, outcome=Outcome.MISSED, task="Call back"))
    ringing = call()
    await take_in(records, ringing, ended(ringing))
    assert len(await rows(records, "SELECT id FROM deals")) == 1
    await take_in(records, ended(answered(ringing)))
    assert await rows(records, "SELECT id FROM deals UNION ALL SELECT id FROM tasks") == []
    (place,) = await places(records)
    assert (place["client_id"], place["deal_id"], "made" in place["data"]) == (garden, None, False)


# -- floods, and calls that cannot be booked --


async def test_a_flood_of_strangers_makes_no_more_leads(records: RecordsStore) -> None:
    """Spoofed callers on one line: after the limit calls are kept and nothing is made; another line and a later hour
    make leads again, and who is known is filed all the time.
    """
    await records.office.put("lead_rules", {"flood_most": 3}, by=None)
    at = [MONDAY + timedelta(seconds=10 * place) for place in range(6)]
    for place, moment in enumerate(at):
        await take_in(records, ended(call(f"+7916000000{place}", started_at=moment)))
    assert len(await leads(records)) == 3
    refused = await rows(records, "SELECT refusal FROM call_rulings WHERE made = 'nothing'")
    assert [one["refusal"] for one in refused] == ["flood"] * 3
    await take_in(records, ended(call("+79160000000", started_at=at[-1])))
    assert len(await places(records)) == 4
    await take_in(records, ended(call("+79160000008", did="+74951000002", started_at=at[-1])))
    await take_in(records, ended(call("+79160000009", started_at=MONDAY + timedelta(minutes=11))))
    assert len(await leads(records)) == 5


async def test_a_call_that_cannot_be_booked_keeps_no_other(
    records: RecordsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database refuses what one call would write: it is put off, and the calls after it are booked."""
    plain = filing.place_call

    async def fails_for_one(connection: object, facts: object, *rest: object) -> None:
        if facts.id == broken.id:  # type: ignore[attr-defined]
            raise OurMistake("no")
        await plain(connection, facts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(filing, "place_call", fails_for_one)
    broken, fine = ended(call()), ended(call("+79160000002", started_at=LATER))
    await records.journal.record([change(broken, trace=False), change(fine, trace=False)])
    books = bookkeeper(records)
    assert await books.take_some() == 1
    assert books.failures == 1
    assert [one["call_id"] for one in await places(records)] == [fine.id]
    assert await books.take_some() == 0


async def test_a_caller_of_several_equal_entries_waits_for_a_person(records: RecordsStore) -> None:
    """Two contacts have this number and nobody was spoken with: no guess, no lead; a task would have nobody to hang on."""
    await set_rules(records, line(Making.LEAD, task="Call back"))
    for name in ("Peter", "Paul"):
        await enter(records, name, CLIENT)
    await take_in(records, ended(call()))
    assert await places(records) == []
    (ruling,) = await rows(records, "SELECT refusal, known FROM call_rulings")
    assert (ruling["refusal"], ruling["known"]) == ("several", "known")
    assert await leads(records) == []

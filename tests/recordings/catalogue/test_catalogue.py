"""The catalogue of recordings on a real PostgreSQL: each file has one fate, and each recording one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from call_records.recordings.catalogue.catalogue import Taken
from call_records.recordings.types import Recording, RecordingFilter
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts, Direction, PartyKind, Recorded
from telephony.errors import PeerMistake
from telephony.recordings import HealthFault, RecordingState
from tests.call_facts_builder import MONDAY, answered, call, change, ended, leg, life, outbound
from tests.recordings.recording_builder import FLAT, arrival, outcome

pytestmark = pytest.mark.postgres

UNIQUEID = "pbx-1795311120.5"
LONG_AGO = MONDAY - timedelta(days=365)
PATH = f"/var/spool/asterisk/monitor/{UNIQUEID}.wav"


async def tell(
    records: RecordsStore, facts: CallFacts, *uniqueids: str, absorbed: Sequence[UUID] = ()
) -> None:
    """The journal keeps the call."""
    await records.journal.record([change(facts, aliases=uniqueids, absorbed=absorbed)])


async def only(records: RecordsStore, call_id: UUID) -> Recording:
    found = await records.recordings.of_call(call_id)
    assert len(found) == 1
    return found[0]


async def ready(records: RecordsStore, facts: CallFacts, uniqueid: str, **different: object) -> UUID:
    """A playable recording of that call."""
    await tell(records, replace(facts, recordings=(f"{uniqueid}.wav",)), uniqueid)
    receipt = await records.catalogue.arrived(arrival(uniqueid, content=uniqueid))
    await records.catalogue.processed(
        receipt.recording_id, outcome(**different), facts.started_at, keep_until=None
    )
    return receipt.recording_id


async def listed(records: RecordsStore, wanted: RecordingFilter) -> list[UUID]:
    page = await records.recordings.page(wanted)
    return [one.recording.id for one in page.listed]


async def test_the_pbx_says_that_it_records(records: RecordsStore) -> None:
    """While the call runs its recording is expected, with the channel it is made on."""
    facts = call(recordings=(PATH,))
    await tell(records, facts, "pbx-1795311120.9", UNIQUEID)
    one = await only(records, facts.id)
    assert (one.state, one.name, one.channel) == (RecordingState.EXPECTED, UNIQUEID, UNIQUEID)
    assert one.outside_first is True


async def test_recorded_on_our_own_channel_the_sides_swap(records: RecordsStore) -> None:
    """An outbound call is recorded on the handset's channel: what that channel says is our side."""
    told = Recorded(
        file=PATH, uniqueid="pbx-1795311120.9", party="101", kind=PartyKind.EXTENSION, at=MONDAY, until=None
    )
    facts = outbound("+79161110005", recordings=(PATH,), recorded=(told,))
    await tell(records, facts, "pbx-1795311120.9", UNIQUEID)
    one = await only(records, facts.id)
    assert (one.channel, one.outside_first) == ("pbx-1795311120.9", False)
    await records.catalogue.arrived(arrival(UNIQUEID))
    assert (await only(records, facts.id)).outside_first is False


async def test_telling_the_call_again_expects_nothing_more(records: RecordsStore) -> None:
    """Every change of a call repeats its facts."""
    facts = call(recordings=(PATH,))
    for one in life(facts):
        await records.journal.record([replace(one, aliases=(UNIQUEID,))])
    assert (await only(records, facts.id)).state is RecordingState.EXPECTED


async def test_from_files_to_playable(records: RecordsStore) -> None:
    """The files come, the pipeline claims them and tells how it came out."""
    facts = call(recordings=(PATH,))
    await tell(records, facts, UNIQUEID)
    receipt = await records.catalogue.arrived(arrival(UNIQUEID))
    assert receipt.taken is Taken.NEW
    (claimed,) = await records.catalogue.claim(5, 60)
    assert (claimed.id, claimed.attempts, len(claimed.files)) == (receipt.recording_id, 1, 3)
    await records.catalogue.processed(
        claimed.id, outcome(), MONDAY + timedelta(seconds=3), MONDAY + timedelta(days=365)
    )
    one = await only(records, facts.id)
    assert (one.state, one.started_at) == (RecordingState.READY, MONDAY + timedelta(seconds=3))
    assert one.measures == outcome().measures
    assert await records.recordings.peaks(one.id) == FLAT
    assert await records.catalogue.claim(5, 60) == []


async def test_what_is_claimed_is_nobody_elses(records: RecordsStore) -> None:
    """Two workers ask at once; and the one that was killed is followed by another when its claim is over."""
    for place in range(3):
        await records.catalogue.arrived(arrival(f"1795311120.{place}"))
    first = await records.catalogue.claim(2, 60)
    second = await records.catalogue.claim(2, 60)
    assert (len(first), len(second)) == (2, 1)
    await records.catalogue.renew(first[0].id, -1)
    (again,) = await records.catalogue.claim(2, 60)
    assert (again.id, again.attempts) == (first[0].id, 2)


async def test_an_attempt_that_was_nobodys_fault_is_given_back(records: RecordsStore) -> None:
    """The storage was away: that says nothing about the recording."""
    receipt = await records.catalogue.arrived(arrival("1795311120.1"))
    await records.catalogue.claim(1, 60)
    await records.catalogue.put_off(receipt.recording_id, "The storage is away.", 0, counted=False)
    (again,) = await records.catalogue.claim(1, 60)
    assert again.attempts == 1
    await records.catalogue.put_off(again.id, "Later.", 600, counted=True)
    assert await records.catalogue.claim(1, 60) == []


async def test_the_same_files_again_change_nothing(records: RecordsStore) -> None:
    """A copy is found a second time, also after it was processed."""
    receipt = await records.catalogue.arrived(arrival(UNIQUEID))
    again = await records.catalogue.arrived(arrival(UNIQUEID))
    assert (again.recording_id, again.taken) == (receipt.recording_id, Taken.DUPLICATE)
    await records.catalogue.processed(receipt.recording_id, outcome(), MONDAY, None)
    assert (await records.catalogue.arrived(arrival(UNIQUEID))).taken is Taken.DUPLICATE


async def test_files_that_nobody_heard_yet_are_replaced(records: RecordsStore) -> None:
    """The file grew between two looks."""
    receipt = await records.catalogue.arrived(arrival(UNIQUEID))
    longer = await records.catalogue.arrived(arrival(UNIQUEID, content="more"))
    assert (longer.recording_id, longer.taken) == (receipt.recording_id, Taken.REPLACED)


async def test_another_recording_of_the_same_name_stands_beside_it(records: RecordsStore) -> None:
    """What was heard is never replaced: both are kept, of the same call, and somebody is told."""
    facts = call()
    first = await ready(records, facts, UNIQUEID)
    other = await records.catalogue.arrived(arrival(UNIQUEID, content="other"))
    assert other.taken is Taken.NAMESAKE
    assert (await records.catalogue.arrived(arrival(UNIQUEID, content="other"))).taken is Taken.DUPLICATE
    await records.catalogue.processed(other.recording_id, outcome(), MONDAY, None)
    found = await records.recordings.of_call(facts.id)
    assert {one.name for one in found} == {UNIQUEID, f"{UNIQUEID}~2"}
    looked_at = [one.recording.id for one in await records.recordings.exceptions()]
    assert looked_at == [other.recording_id]
    assert first not in looked_at


async def test_a_dismissed_exception_comes_back_only_with_another_fault(records: RecordsStore) -> None:
    """Known, hide: it is among the hidden ones; shown again by hand, or when something else is wrong with it."""
    await ready(records, call(), UNIQUEID)
    other = (await records.catalogue.arrived(arrival(UNIQUEID, content="other"))).recording_id
    await records.catalogue.processed(other, outcome(), MONDAY, None)

    async def shown(*, dismissed: bool = False) -> list[UUID]:
        return [one.recording.id for one in await records.recordings.exceptions(dismissed=dismissed)]

    assert (await shown(), await shown(dismissed=True)) == ([other], [])
    assert await records.recordings.dismiss_exceptions([other, uuid4()], by="Jan") == [other]
    assert (await shown(), await shown(dismissed=True)) == ([], [other])
    await records.recordings.restore_exceptions([other])
    assert await shown() == [other]
    await records.recordings.dismiss_exceptions([other], by="Jan")
    async with records.engine.begin() as connection:
        await connection.execute(text("UPDATE recordings SET faults = '{clipped}' WHERE reason IS NOT NULL"))
    assert (await shown(), await shown(dismissed=True)) == ([other], [])


async def test_a_removed_recording_does_not_come_back(records: RecordsStore) -> None:
    """Its file still lies at the PBX and is found again."""
    facts = call()
    gone = await ready(records, facts, UNIQUEID)
    async with records.engine.begin() as connection:
        await connection.execute(text("UPDATE recordings SET state = 'removed'"))
    again = await records.catalogue.arrived(arrival(UNIQUEID, content=UNIQUEID))
    assert (again.recording_id, again.taken) == (gone, Taken.DUPLICATE)
    assert (await only(records, facts.id)).state is RecordingState.REMOVED


async def test_a_file_before_its_call_is_filed_when_the_call_appears(records: RecordsStore) -> None:
    """The link was away; a backfill tells the call an hour later. FreePBX's long name carries the Uniqueid."""
    name = "external-101-89161234567-20261122-120000-1795311120.5"
    receipt = await records.catalogue.arrived(arrival(name, sides=False))
    assert [one.recording.id for one in await records.recordings.exceptions()] == [receipt.recording_id]
    facts = ended(answered(call()))
    await tell(records, facts, UNIQUEID)
    one = await only(records, facts.id)
    assert (one.id, one.channel) == (receipt.recording_id, UNIQUEID)
    assert await listed(records, RecordingFilter(number=facts.caller.number)) == [one.id]
    assert await records.recordings.exceptions() == []


async def test_a_file_finds_the_call_that_is_there(records: RecordsStore) -> None:
    """The PBX never told the file's name, but it carries the Uniqueid of a channel we know."""
    facts = call()
    await tell(records, facts, "1795311120.7", UNIQUEID)
    receipt = await records.catalogue.arrived(arrival(f"q-600-101-{UNIQUEID}"))
    assert (await only(records, facts.id)).id == receipt.recording_id


async def test_calls_that_are_one_have_their_recordings_together(records: RecordsStore) -> None:
    """A consultation becomes part of the call: recordings, tags, picks and grades go with it, nothing twice."""
    kept, gone = call(), call("101", direction=Direction.INTERNAL)
    await tell(records, replace(kept, recordings=("1.wav",)), "1795311120.1")
    await tell(records, replace(gone, recordings=("2.wav",)), "1795311120.2")
    async with records.engine.begin() as connection:
        for statement in (
            "INSERT INTO call_tags VALUES (:gone, 'vip'), (:gone, 'claim'), (:kept, 'vip')",
            """INSERT INTO review_picks (id, kind, call_id, extension, because, call_at) VALUES
               (gen_random_uuid(), 'random', :gone, '101', '{}', now()),
               (gen_random_uuid(), 'random', :kept, '101', '{}', now()),
               (gen_random_uuid(), 'silence', :gone, '101', '{}', now())""",
            "INSERT INTO score_forms (id, name) VALUES (gen_random_uuid(), 'Usual')",
            """INSERT INTO score_form_versions (form_id, version, questions, made_by)
               SELECT id, 1, '[]', 'anna' FROM score_forms""",
            """INSERT INTO grades
                   (id, call_id, extension, form_id, version, grader_id, grader, answers, score, call_at)
               SELECT gen_random_uuid(), :gone, '101', id, 1, gen_random_uuid(), 'anna', '{}', 1, now()
               FROM score_forms""",
        ):
            names = {
                name: one.id for name, one in (("gone", gone), ("kept", kept)) if f":{name}" in statement
            }
            await connection.execute(text(statement), names)
    await tell(records, replace(kept, recordings=("1.wav", "2.wav")), "1795311120.1", absorbed=[gone.id])
    assert {one.name for one in await records.recordings.of_call(kept.id)} == {"1", "2"}
    assert {one.name for one in await records.recordings.of_call(gone.id)} == {"1", "2"}
    async with records.engine.connect() as connection:
        for table, count in (("call_tags", 2), ("review_picks", 2), ("grades", 1)):
            ids = (await connection.scalars(text(f"SELECT call_id FROM {table}"))).all()
            assert ids == [kept.id] * count, table


async def test_a_person_files_it_elsewhere_and_it_stays_there(records: RecordsStore) -> None:
    """The name misled; the journal tells the first call once more."""
    wrong, right = call(recordings=(PATH,)), call("+48221234567")
    await tell(records, wrong, UNIQUEID)
    await tell(records, right, "1795311999.1")
    one = await only(records, wrong.id)
    await records.recordings.refile(one.id, right.id)
    await tell(records, answered(wrong), UNIQUEID)
    assert (await only(records, right.id)).id == one.id
    assert await listed(records, RecordingFilter(number="22 123 45 67")) == [one.id]
    with pytest.raises(PeerMistake):
        await records.recordings.refile(one.id, uuid4())


async def test_expected_but_never_came(records: RecordsStore) -> None:
    """Five minutes after the call it is lost and on the page of exceptions; a file that comes later is taken."""
    facts = ended(answered(call(recordings=(PATH,), started_at=LONG_AGO)))
    silent = ended(call(recordings=("2.wav",), started_at=LONG_AGO))
    live = answered(call(recordings=("3.wav",), started_at=LONG_AGO))
    for one in (facts, silent, live):
        await tell(records, one)
    assert await records.catalogue.give_up_on(["branch"], -1) == []
    gone = await records.catalogue.give_up_on(["hq"], -1)
    assert len(gone) == 2
    one = await only(records, facts.id)
    assert one.state is RecordingState.LOST
    assert (await only(records, silent.id)).state is RecordingState.EMPTY
    assert (await only(records, live.id)).state is RecordingState.EXPECTED
    assert [each.recording.id for each in await records.recordings.exceptions()] == [one.id]
    receipt = await records.catalogue.arrived(arrival(UNIQUEID))
    assert (receipt.recording_id, receipt.taken) == (one.id, Taken.NEW)
    assert (await only(records, facts.id)).state is RecordingState.ARRIVED


async def test_somebody_asks_to_try_again(records: RecordsStore) -> None:
    """A failed one is claimed again from its first attempt, a lost one is waited for; a playable one is not."""
    failed = await records.catalogue.arrived(arrival("1795311120.1"))
    await records.catalogue.claim(1, 60)
    await records.catalogue.failed(failed.recording_id, "The audio cannot be decoded.")
    await records.recordings.try_again(failed.recording_id)
    (again,) = await records.catalogue.claim(1, 60)
    assert (again.attempts, again.reason) == (1, None)
    facts = ended(answered(call(recordings=(PATH,), started_at=LONG_AGO)))
    await tell(records, facts)
    (lost,) = await records.catalogue.give_up_on(["hq"], -1)
    await records.recordings.try_again(lost.recording_id)
    assert await records.catalogue.give_up_on(["hq"], -1) == []
    playable = await ready(records, call(), "1795311120.9")
    with pytest.raises(PeerMistake):
        await records.recordings.try_again(playable)


async def test_the_list_is_filtered_as_calls_are(records: RecordsStore) -> None:
    """By whom, with whom, how long, what is wrong, which tag."""
    inbound = await ready(records, call("+79161110005"), "1795311120.1")
    hour = MONDAY + timedelta(hours=1)
    long_one = outbound("+48221234567", by="205", started_at=hour)
    talked = replace(long_one.legs[0], answered_at=hour)
    long_one = replace(long_one, legs=(talked, long_one.legs[1]))
    away = await ready(
        records, long_one, "1795311120.2", duration_seconds=900.0, faults=(HealthFault.CLIPPED,)
    )
    moved = call(
        "+79161110007",
        legs=(leg("101", answered_at=hour), leg("102"), leg("+493012345678")),
        started_at=hour + timedelta(hours=1),
    )
    third = await ready(records, moved, "1795311120.3")
    async with records.engine.begin() as connection:
        await connection.execute(text("INSERT INTO call_tags VALUES (:id, 'vip')"), {"id": long_one.id})
    expectations: list[tuple[RecordingFilter, list[UUID]]] = [
        (RecordingFilter(), [third, away, inbound]),
        (RecordingFilter(number="8 (916) 111-00-05"), [inbound]),
        (RecordingFilter(number="0005"), [inbound]),
        (RecordingFilter(number="030 12345678"), [third]),
        (RecordingFilter(number="+49 30 12345678"), [third]),
        (RecordingFilter(number="  "), [third, away, inbound]),
        (RecordingFilter(direction=Direction.OUTBOUND), [away]),
        (RecordingFilter(parties=frozenset({"205", "206"})), [away]),
        (RecordingFilter(parties=frozenset()), []),
        (RecordingFilter(parties=frozenset({"102"})), []),  # their phone only rang
        (RecordingFilter(parties=frozenset({"101"}), since=hour), [third]),
        (RecordingFilter(until=hour), [inbound]),
        (RecordingFilter(fault=HealthFault.CLIPPED), [away]),
        (RecordingFilter(fault=HealthFault.SILENT), []),
        (RecordingFilter(at_least_seconds=600), [away]),
        (RecordingFilter(tag="vip"), [away]),
        (RecordingFilter(without_call=True), []),
        (RecordingFilter(states=frozenset({RecordingState.READY, RecordingState.LOST}), tag="vip"), [away]),
        (RecordingFilter(states=frozenset()), []),
    ]
    for wanted, ids in expectations:
        assert await listed(records, wanted) == ids, wanted
    with pytest.raises(PeerMistake):
        await records.recordings.page(RecordingFilter(number="12"))


async def test_pages_follow_each_other(records: RecordsStore) -> None:
    """Five recordings, two a page; recordings of one moment are neither lost nor shown twice."""
    ids = [await ready(records, call(), f"1795311120.{place}") for place in range(5)]
    seen: list[UUID] = []
    mark: str | None = None
    while True:
        page = await records.recordings.page(RecordingFilter(), limit=2, cursor=mark)
        seen += [one.recording.id for one in page.listed]
        assert all(one.call is not None for one in page.listed)
        mark = page.older
        if mark is None:
            break
    assert sorted(seen) == sorted(ids)
    with pytest.raises(PeerMistake):
        await records.recordings.page(RecordingFilter(), cursor="nonsense")


async def test_a_page_of_calls_asks_once(records: RecordsStore) -> None:
    """Two of three calls have recordings."""
    with_one, with_two, without = call(), call(), call()
    await ready(records, with_one, "1795311120.1")
    await tell(records, replace(with_two, recordings=("a.wav", "b.wav")))
    found = await records.recordings.of_calls([with_one.id, with_two.id, without.id])
    assert {one: len(those) for one, those in found.items()} == {with_one.id: 1, with_two.id: 2}


async def test_what_cut_the_file_short_is_not_forgotten(records: RecordsStore) -> None:
    """The intake saw that the header promised more; the pipeline hears nothing of it."""
    receipt = await records.catalogue.arrived(arrival(UNIQUEID, faults=(HealthFault.TRUNCATED,)))
    await records.catalogue.processed(
        receipt.recording_id, outcome(faults=(HealthFault.CLIPPED,)), None, None
    )
    one = await records.recordings.one(receipt.recording_id)
    assert one is not None
    assert set(one.faults) == {HealthFault.TRUNCATED, HealthFault.CLIPPED}

"""Something dies while people talk: each call is told once, with the right parties, outcome and id."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore
from call_records.types import CallFilter
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.phone_call import Call
from switchhook.lab.phones import Phone
from telephony.call_facts.facts import CallFacts, Certainty, Disposition, State
from tests.asterisk_fixtures import PhoneRoom
from tests.service.conftest import MakeService, configuration, database_at, own_database, rotated
from tests.service.running_service import eventually
from tests.service.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]

ANNA, PETER = "74951000001", "+79161110005"
PATIENCE_SECONDS = 30.0  # a second when nothing else runs; a loaded machine may need many times that


async def talking(
    dialler: Phone, dialled: str, callee: Phone, caller: str | None = None
) -> tuple[Call, Call]:
    """A conversation: the end of who dialled and the end of who was called."""
    outgoing = await dialler.dial(dialled, caller=caller)
    incoming = await callee.incoming()
    await incoming.answer()
    await outgoing.answered()
    return outgoing, incoming


async def kept(records: RecordsStore) -> list[CallFacts]:
    """All calls in the journal, oldest first."""
    return list(reversed((await records.calls.page(CallFilter(), limit=200)).calls))


async def kept_calls(
    records: RecordsStore, count: int, *, ended: bool, within: float = PATIENCE_SECONDS
) -> list[CallFacts]:
    """The calls in the journal once there are so many, all of them ended, or all in a conversation."""
    wanted = State.ENDED if ended else State.TALKING
    found: list[CallFacts] = []

    async def are_there() -> bool:
        found[:] = await kept(records)
        return len(found) >= count and all(call.state is wanted for call in found)

    try:
        await eventually(are_there, within, f"{count} calls in the journal, {wanted}")
    except AssertionError as late:
        told = [(str(call.id), call.state, call.disposition, call.certainty) for call in found]
        raise AssertionError(f"{late}; there are {told}") from late
    assert len(found) == count
    return found


async def owed(records: RecordsStore) -> list[tuple[str, str]]:
    """What the CRM must be told: (kind, call), each once."""
    async with records.engine.connect() as connection:
        rows = (await connection.execute(text("SELECT kind, call_id::text FROM outbox ORDER BY id"))).all()
    return [(row.kind, row.call_id) for row in rows]


async def test_calls_end_and_begin_and_happen_while_switchhook_is_away(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    database_url: str,
    records: RecordsStore,
    make_service: MakeService,
) -> None:
    """kill -9, and five calls around the absence: one ends in it, two happen in it, one begins in it, one outlasts it
    under the same id; and logrotate moves the event log away meanwhile.
    """
    service = make_service(configuration(asterisk, database=database_at(database_url)))
    await service.start()
    anna, boris, vera, galina = await phones.handsets("101", "102", "103", "104")
    carrier = await phones.carrier()
    ending, _ = await talking(carrier, ANNA, anna, PETER)
    lasting, _ = await talking(boris, "103", vera)
    before = await kept_calls(records, 2, ended=False)
    service.kill()
    await ending.hang_up()
    await ending.ended()
    asterisk.cel_csv.rename(rotated(asterisk.cel_csv))
    whole, whole_inside = await talking(carrier, ANNA, anna, "+79161110006")
    await whole.hang_up()
    await whole_inside.ended()
    beginning, _ = await talking(carrier, ANNA, anna, "+79161110007")
    unanswered = await carrier.dial(ANNA, caller="+79161110008")
    await unanswered.hang_up()
    await service.start()

    async def told() -> bool:
        calls = await kept(records)
        return len(calls) >= 5 and sum(call.ended for call in calls) == 3

    await eventually(told, PATIENCE_SECONDS, "five calls of which three have ended")
    await beginning.hang_up()
    await lasting.hang_up()
    calls = await kept_calls(records, 5, ended=True)
    by_caller = {call.caller.number or call.caller.raw: call for call in calls}
    assert {before[0].id, before[1].id} == {by_caller[PETER].id, by_caller["102"].id}
    assert {number: call.answered_by for number, call in by_caller.items()} == {
        PETER: "101",
        "102": "103",
        "+79161110006": "101",
        "+79161110007": "101",
        "+79161110008": None,
    }
    lasted = next(call for call in before if call.id == by_caller["102"].id)
    assert by_caller["102"].started_at == lasted.started_at
    assert by_caller["102"].certainty is not Certainty.BOUNDED  # what the kill swallowed, CEL had
    assert by_caller["+79161110006"].certainty is Certainty.RECONSTRUCTED
    assert by_caller[PETER].certainty is Certainty.RECONSTRUCTED
    told_kinds = await owed(records)
    assert len(told_kinds) == len(set(told_kinds))
    assert sum(kind == "call_ended" for kind, _ in told_kinds) == 5
    del galina


async def test_the_wire_to_the_pbx_is_cut_and_calls_come_and_go_meanwhile(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    database_url: str,
    records: RecordsStore,
    make_service: MakeService,
) -> None:
    """A cut link, mended: the live call goes on, the one that ended has its true end, the one inside is told."""
    async with TcpProxy(asterisk.ports.ami) as wire:
        database = database_at(database_url)
        service = make_service(configuration(asterisk, database=database, port=wire.port))
        await service.start()
        anna, boris, vera = await phones.handsets("101", "102", "103")
        carrier = await phones.carrier()
        ending, _ = await talking(carrier, ANNA, anna, PETER)
        lasting, _ = await talking(boris, "103", vera)
        before = await kept_calls(records, 2, ended=False)
        wire.cut(refuse=True)
        await ending.hang_up()
        inside, inside_end = await talking(carrier, ANNA, anna, "+79161110006")
        await inside.hang_up()
        await inside_end.ended()
        wire.mend()

        async def told() -> bool:
            calls = await kept(records)
            return len(calls) == 3 and sum(call.ended for call in calls) == 2

        await eventually(told, PATIENCE_SECONDS, "three calls of which two have ended")
        await lasting.hang_up()
        calls = await kept_calls(records, 3, ended=True)
    assert {call.id for call in before} <= {call.id for call in calls}
    by_caller = {call.caller.number or call.caller.raw: call for call in calls}
    assert {by_caller[PETER].certainty, by_caller["+79161110006"].certainty} == {Certainty.RECONSTRUCTED}
    gone = by_caller[PETER].ended_at
    assert gone is not None
    assert ending.ended_at is not None
    assert abs((gone - ending.ended_at).total_seconds()) < 1.0


async def test_asterisk_is_killed_while_people_talk(
    fresh_asterisk: PrivateAsterisk,
    fresh_phones: PhoneRoom,
    database_url: str,
    records: RecordsStore,
    make_service: MakeService,
) -> None:
    """A power cut of the PBX: the call ends, bounded; after its restart new calls are told as ever."""
    database = database_at(database_url)
    service = make_service(configuration(fresh_asterisk, database=database))
    await service.start()
    await service.watches_calls()
    anna, carrier = await fresh_phones.handset("101"), await fresh_phones.carrier()
    await talking(carrier, ANNA, anna, PETER)
    (before,) = await kept_calls(records, 1, ended=False)
    await fresh_asterisk.kill()
    await fresh_asterisk.start()
    (cut_off,) = await kept_calls(records, 1, ended=True)
    assert (cut_off.id, cut_off.certainty) == (before.id, Certainty.BOUNDED)
    assert cut_off.disposition is Disposition.ANSWERED
    await anna.register()
    await service.watches_calls(links=2)
    outside, inside = await talking(carrier, ANNA, anna, "+79161110006")
    await outside.hang_up()
    await inside.ended()
    calls = await kept_calls(records, 2, ended=True)
    assert (calls[1].answered_by, calls[1].certainty) == ("101", Certainty.OBSERVED)


async def test_postgresql_is_killed_while_people_talk_and_no_call_is_lost(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    own_postgres: EmbeddedPostgres,
    own_records: RecordsStore,
    make_service: MakeService,
) -> None:
    """The database is away while one call ends and another happens; both are in it soon after it is back."""
    service = make_service(configuration(asterisk, database=own_database(own_postgres)))
    await service.start()
    await service.watches_calls()
    anna, carrier = await phones.handset("101"), await phones.carrier()
    ending, _ = await talking(carrier, ANNA, anna, PETER)
    (before,) = await kept_calls(own_records, 1, ended=False)
    await own_postgres.kill()
    await ending.hang_up()
    whole, inside = await talking(carrier, ANNA, anna, "+79161110006")
    await whole.hang_up()
    await inside.ended()
    await own_postgres.start()
    calls = await kept_calls(own_records, 2, ended=True)
    assert calls[0].id == before.id
    assert [call.certainty for call in calls] == [Certainty.OBSERVED, Certainty.OBSERVED]


async def test_the_database_is_away_at_the_start_and_calls_are_seen_all_the_same(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    own_postgres: EmbeddedPostgres,
    own_records: RecordsStore,
    make_service: MakeService,
    short_dir: Path,
) -> None:
    """Switchhook starts, says in words that the database is away, reads the PBX, and catches up."""
    await own_postgres.stop()
    service = make_service(configuration(asterisk, database=own_database(own_postgres), cel=False))
    await service.start()
    assert any(line.get("event") == "database_away_at_start" for line in service.lines())
    await eventually(
        lambda: any(line.get("event") == "pbx link up" for line in service.lines()),
        PATIENCE_SECONDS,
        "the link is up",
    )
    anna, carrier = await phones.handset("101"), await phones.carrier()
    outside, inside = await talking(carrier, ANNA, anna, PETER)
    await outside.hang_up()
    await inside.ended()
    await own_postgres.start()
    (call,) = await kept_calls(own_records, 1, ended=True)
    assert (call.answered_by, call.certainty) == ("101", Certainty.OBSERVED)

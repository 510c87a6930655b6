"""The conformance kit: the same claims for every CRM, counted at the peer."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from crm_sync.adapters import ADAPTERS
from crm_sync.breaker import BreakerState
from crm_sync.budget import Priority
from crm_sync.exchange import Credentials, Effect, Request, RequestFailed
from crm_sync.operations import DeliveryContext, OperationKind, Ref, RefKind
from crm_sync.outcomes import Outcome
from crm_sync.states import DeliveryState
from telephony.call_facts.facts import Direction
from tests.crm_sync.call_builder import CLIENT, START, make_call, make_operation
from tests.crm_sync.conformance import Bench, call_key, make_bench
from tests.crm_sync.faults import FAULTS, KILLS, Fault, Killed, fail_every_method_once, fail_first_write
from tests.crm_sync.peers import PEERS

K = OperationKind
RENEWABLE = ("bitrix24", "amocrm")
every_peer = pytest.mark.parametrize("name", PEERS)
CRMS = [name for name in PEERS if name != "webhook"]
every_crm = pytest.mark.parametrize("name", CRMS)
"""Those that can be asked something."""


@pytest.fixture
def bench(name: str) -> Bench:
    """A healthy connection; the client is a contact."""
    made = make_bench(name)
    made.peer.add_contact(CLIENT)
    return made


def assert_delivered_once(bench: Bench, *calls: str) -> None:
    """Every call and its recording, and nothing else."""
    assert bench.list_unsent() == []
    assert Counter(key for key, _ in bench.peer.list_logged_calls()) == Counter(calls)
    if bench.has_recordings:
        assert Counter(bench.peer.list_recordings()) == Counter(calls)
    assert bench.peer.violations == []


def is_applicable(name: str, fault: Fault) -> bool:
    """Only some tokens expire; by the standard any 2xx of a webhook's receiver means that it has the event."""
    if fault is Fault.EXPIRED_IN_THE_MIDDLE:
        return name in RENEWABLE
    return name != "webhook" or fault is not Fault.NONSENSE_BEFORE_COMMIT


every_fault = pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(name, fault, id=f"{fault.name.lower()}-{name}")
        for name in PEERS
        for fault in FAULTS
        if is_applicable(name, fault)
    ],
)


def test_every_adapter_has_a_peer() -> None:
    """Who adds an adapter adds a fake."""
    kinds = {make_bench(name).peer.settings.kind for name in PEERS}
    assert kinds == set(ADAPTERS)


# A: identity


@every_crm
async def test_a_check_reads_who_we_are(bench: Bench) -> None:
    """And changes nothing."""
    health = await bench.client.run_plan(bench.adapter.check(), Priority.INTERACTIVE)
    assert health.account
    assert health.missing == ()
    assert bench.peer.writes == 0


@every_crm
async def test_after_a_person_acted_nothing_waits(bench: Bench) -> None:
    """The check on the page resets breakers and credentials."""
    bench.credentials.stored["crm"] = Credentials("wrong/wrong-secret")
    await bench.add_call(make_call())
    await bench.dispatcher.work_once()
    bench.credentials.stored["crm"] = bench.peer.credentials
    bench.client.reset()
    assert (await bench.client.run_plan(bench.adapter.check(), Priority.INTERACTIVE)).account


@every_crm
async def test_a_wrong_key_needs_an_administrator(bench: Bench) -> None:
    """Said so, without a loop of attempts."""
    bench.credentials.stored["crm"] = Credentials("wrong/wrong-secret")
    with pytest.raises(RequestFailed) as failed:
        await bench.client.run_plan(bench.adapter.check(), Priority.INTERACTIVE)
    assert failed.value.verdict.outcome is Outcome.NEEDS_ADMIN
    assert "wrong-secret" not in str(failed.value)
    assert bench.client.breakers.connection.state is BreakerState.OPEN
    sent = bench.transport.requests
    await bench.add_call(make_call())
    assert await bench.dispatcher.work_once() is False
    assert bench.transport.requests == sent
    bench.credentials.stored["crm"] = bench.peer.credentials  # somebody enters the right one
    await bench.drain()
    assert_delivered_once(bench, call_key(make_call()))


@every_crm
async def test_users_are_listed(bench: Bench) -> None:
    """For the map of extensions."""
    users = await bench.client.run_plan(bench.adapter.list_users(), Priority.DELTA)
    assert [user.id for user in users] != []


# B: lookup


@every_crm
async def test_a_caller_is_found_by_number(bench: Bench) -> None:
    """And only that one: a search that is generous is compared."""
    bench.peer.add_contact("+74990110005")
    people = await bench.client.run_plan(bench.adapter.find_people(CLIENT), Priority.INTERACTIVE)
    assert len(people) == 1
    assert people[0].ref.kind is RefKind.CONTACT


@every_peer
async def test_a_stranger_is_not_found(bench: Bench) -> None:
    """An empty answer is no error."""
    assert await bench.client.run_plan(bench.adapter.find_people("+79990000000"), Priority.INTERACTIVE) == ()


# E: writes


@every_peer
async def test_a_call_is_logged_with_its_recording(bench: Bench) -> None:
    """Once, with its real start."""
    call = make_call(started_at=START - timedelta(hours=3))
    await bench.add_call(call)
    await bench.drain()
    assert_delivered_once(bench, call_key(call))
    assert bench.peer.list_logged_calls()[0][1] == int(call.started_at.timestamp())


@every_peer
async def test_added_twice_it_is_sent_once(bench: Bench) -> None:
    """The journal may repeat itself."""
    call = make_call()
    for _ in range(2):
        await bench.add_call(call)
        await bench.drain()
    assert_delivered_once(bench, call_key(call))


@every_peer
async def test_a_transferred_call_is_logged_leg_by_leg(bench: Bench) -> None:
    """Each with its own recording."""
    legs = [make_call(leg=leg, user_id=str(leg + 1)) for leg in range(2)]
    for leg in legs:
        await bench.add_call(leg)
    await bench.drain()
    assert_delivered_once(bench, *map(call_key, legs))


@every_crm
@pytest.mark.parametrize("different", [{"phone": None}, {"direction": Direction.INTERNAL}])
async def test_what_no_crm_can_hold_is_skipped_with_a_reason(
    bench: Bench, different: dict[str, object]
) -> None:
    """Withheld numbers, internal calls."""
    await bench.add_call(make_call(**different))
    await bench.drain()
    assert {d.state for d in bench.store.list_deliveries()} == {DeliveryState.SKIPPED}
    assert all(d.reason for d in bench.store.list_deliveries())
    assert bench.peer.writes == 0


@every_peer
async def test_an_unknown_caller_becomes_one_lead(name: str) -> None:
    """Two calls at once from the same number: one lead, both calls."""
    bench = make_bench(name)
    calls = [make_call(number) for number in (1, 2)]
    kinds = (K.OPEN_CALL, K.CREATE_LEAD, K.CLOSE_CALL)
    for call in calls:
        await bench.add_call(call, *kinds)
    for _ in range(len(kinds)):
        await asyncio.gather(bench.dispatcher.work_once(), bench.dispatcher.work_once())
    await bench.drain()
    assert bench.list_unsent() == []
    assert sorted(key for key, _ in bench.peer.list_logged_calls()) == sorted(map(call_key, calls))
    if bench.adapter.capabilities.can_execute(K.CREATE_LEAD):
        leads = {ref.id for d in bench.store.list_deliveries() for ref in d.refs if ref.kind is RefKind.LEAD}
        assert len(leads) == 1


@pytest.mark.parametrize(
    "name", ["amocrm", "odoo_14", "odoo_17", "odoo_19"]
)  # in Bitrix24 the call finds its contact
async def test_a_contact_that_is_gone_is_an_exception_with_a_reason(bench: Bench) -> None:
    """An id that vanished: named, not retried for ever."""
    operation = make_operation(K.CLOSE_CALL)
    gone = DeliveryContext(refs=(Ref(RefKind.CONTACT, "999999"),))
    result = await bench.client.deliver(operation, gone)
    assert result.outcome is Outcome.REJECTED
    assert result.detail


# F: failures


@every_fault
async def test_after_a_fault_in_the_first_write(name: str, fault: Fault) -> None:
    """Every call exactly once, in the end."""
    bench = make_bench(name, fail_first_write(fault))
    bench.peer.add_contact(CLIENT)
    call = make_call()
    await bench.add_call(call)
    await bench.drain()
    assert_delivered_once(bench, call_key(call))


@every_fault
async def test_after_the_fault_in_every_method(name: str, fault: Fault) -> None:
    """Reads, writes and probes, each once."""
    bench = make_bench(name, fail_every_method_once(fault))
    bench.peer.add_contact(CLIENT)
    call = make_call()
    await bench.add_call(call)
    await bench.drain()
    assert_delivered_once(bench, call_key(call))


@every_peer
@pytest.mark.parametrize("seed", range(6))
async def test_random_faults(name: str, seed: int) -> None:
    """Every third request goes wrong in some way; ten calls, the process killed now and then."""
    choice = random.Random(seed)
    usable = [fault for fault in FAULTS if is_applicable(name, fault)]
    budget = [60]

    def next_fault(_request: Request) -> Fault:
        if budget[0] and choice.random() < 0.33:
            budget[0] -= 1
            return choice.choice(usable)
        return Fault.NONE

    bench = make_bench(name, next_fault)
    bench.peer.add_contact(CLIENT)
    calls = [make_call(number) for number in range(1, 11)]
    for call in calls:
        await bench.add_call(call)
    await bench.drain()
    assert_delivered_once(bench, *map(call_key, calls))


@every_peer
@pytest.mark.parametrize("fault", KILLS, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("position", range(6))
async def test_killed_at_any_request(name: str, fault: Fault, position: int) -> None:
    """Whichever request the process dies in, the next one goes on."""
    countdown = [position]

    def next_fault(_request: Request) -> Fault:
        countdown[0] -= 1
        return fault if countdown[0] == -1 else Fault.NONE

    bench = make_bench(name, next_fault)
    bench.peer.add_contact(CLIENT)
    call = make_call()
    await bench.add_call(call)
    await bench.drain()
    assert_delivered_once(bench, call_key(call))


@every_peer
async def test_an_answer_saved_too_late_is_found_again(bench: Bench) -> None:
    """The write was executed and the process died before it saved that."""
    call = make_call()
    await bench.add_call(call)
    original, saves = bench.store.save_deliveries, [0]

    async def save_deliveries(claim: object, deliveries: object) -> None:
        saves[0] += 1
        if saves[0] in (2, 5):  # the result of a send, and one of the next
            bench.cut_off()
            raise Killed
        await original(claim, deliveries)  # type: ignore[arg-type]

    bench.store.save_deliveries = save_deliveries  # type: ignore[method-assign, assignment]
    await bench.drain()
    assert_delivered_once(bench, call_key(call))


# G: throttling


LIMITS = {"bitrix24": (2.0, 50), "bitrix24_webhook": (2.0, 50), "amocrm": (7.0, 7)}
"""(A second, at once), by kind; the others have none."""


@pytest.mark.parametrize("name", LIMITS)
async def test_many_writes_stay_below_the_limit(bench: Bench) -> None:
    """200 queued calls, and not one refused."""
    bench.peer.limit_per_second, bench.peer.limit_burst = LIMITS[bench.peer.settings.kind]
    for number in range(1, 201):
        await bench.add_call(make_call(number), K.OPEN_CALL, K.CLOSE_CALL)
    await bench.drain(steps=5000)
    assert bench.list_unsent() == []
    assert bench.peer.refused == 0


# H: tokens


@pytest.mark.parametrize("name", RENEWABLE)
async def test_fifty_requests_at_expiry_are_one_renewal(bench: Bench) -> None:
    """All succeed."""
    bench.peer.expire_token()
    plans = [bench.client.run_plan(bench.adapter.check(), Priority.INTERACTIVE) for _ in range(50)]
    assert len(await asyncio.gather(*plans)) == 50
    assert bench.peer.renewals == 1


@pytest.mark.parametrize("name", RENEWABLE)
async def test_two_processes_renew_once(bench: Bench) -> None:
    """The second takes what the first has stored."""
    bench.peer.expire_token()
    clients = [bench.client, bench.make_client()]
    plans = [client.run_plan(bench.adapter.check(), Priority.INTERACTIVE) for client in clients]
    await asyncio.gather(*plans)
    assert bench.peer.renewals == 1


@pytest.mark.parametrize("name", RENEWABLE)
async def test_a_lost_renewal_asks_a_person_and_does_not_loop(bench: Bench) -> None:
    """The old token is spent: the deliveries wait, and nothing hammers the token server."""
    bench.peer.expire_token()
    bench.peer.lost_renewals = 1
    await bench.add_call(make_call())
    for _ in range(200):
        if not await bench.dispatcher.work_once():
            bench.clock.moment += timedelta(minutes=1)
    assert 1 <= bench.peer.renewals <= 2
    (waiting, *_) = bench.list_unsent()
    assert waiting.state is DeliveryState.QUEUED
    assert waiting.reason
    bench.credentials.stored["crm"] = replace(bench.peer.credentials, revision=9)
    bench.start()
    await bench.drain()
    assert_delivered_once(bench, call_key(make_call()))


@pytest.mark.parametrize("name", RENEWABLE)
async def test_a_cancelled_request_does_not_lose_the_new_token(bench: Bench) -> None:
    """The renewal is stored although nobody waits for it any more."""
    bench.peer.expire_token()
    task = asyncio.create_task(bench.client.run_plan(bench.adapter.check(), Priority.INTERACTIVE))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.client.close()
    await bench.client.run_plan(bench.adapter.check(), Priority.INTERACTIVE)
    assert bench.peer.renewals == 1


# J: outage


@every_peer
async def test_six_hours_without_the_crm(bench: Bench) -> None:
    """A call every six minutes meanwhile; then each exactly once, in order, at its real time."""
    bench.transport.is_down = True
    calls = []
    for number in range(1, 61):
        call = make_call(number, started_at=START + timedelta(minutes=6 * number))
        calls.append(call)
        bench.clock.advance_to(call.started_at)
        await bench.add_call(call)
        while await bench.dispatcher.work_once():
            pass
    assert bench.peer.writes == 0
    assert bench.transport.requests < 100
    bench.transport.is_down = False
    await bench.drain()
    assert_delivered_once(bench, *map(call_key, calls))
    real = {call_key(call): int(call.started_at.timestamp()) for call in calls}
    assert dict(bench.peer.list_logged_calls()) == real


# K: dry run


@every_peer
async def test_a_dry_run_shows_the_write_and_does_not_do_it(bench: Bench) -> None:
    """The exact request, secrets masked."""
    kind = K.OPEN_CALL if bench.adapter.capabilities.can_execute(K.OPEN_CALL) else K.CLOSE_CALL
    preview = await bench.client.preview(make_operation(kind), DeliveryContext())
    assert bench.peer.writes == 0
    text = json.dumps(preview.requests)
    assert CLIENT in text
    stored = bench.peer.credentials
    for secret in filter(None, (stored.access_token, stored.refresh_token, stored.client_secret)):
        assert secret not in text
    assert "•••" in json.dumps(preview.requests, ensure_ascii=False)


@every_crm
async def test_a_dry_run_says_what_it_would_not_do(bench: Bench) -> None:
    """A withheld number: no request at all, and why."""
    kind = K.OPEN_CALL if bench.adapter.capabilities.can_execute(K.OPEN_CALL) else K.CLOSE_CALL
    preview = await bench.client.preview(make_operation(kind, make_call(phone=None)), DeliveryContext())
    assert (preview.requests, bool(preview.ending)) == ((), True)


# The kit itself


@pytest.mark.parametrize(
    "name", [name for name in CRMS if name != "bitrix24"]
)  # which refuses a second finish
async def test_the_kit_notices_a_double(bench: Bench) -> None:
    """A client that forgets what it sent is caught: the kit can fail."""
    context = DeliveryContext()
    for _ in range(2):
        assert (await bench.client.deliver(make_operation(K.CLOSE_CALL), context)).outcome is Outcome.DONE
    assert len(bench.peer.list_logged_calls()) == 2


async def test_the_first_write_is_really_hit() -> None:
    """The fault proxy does what it says."""
    next_fault = fail_first_write(Fault.ERROR_AFTER_COMMIT)
    read, write = (Request("m", effect, "/") for effect in (Effect.READ, Effect.WRITE))
    assert [next_fault(request) for request in (read, write, write)] == [
        Fault.NONE,
        Fault.ERROR_AFTER_COMMIT,
        Fault.NONE,
    ]

"""What single adapters do that the kit cannot ask of all."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from crm_sync.adapters import ADAPTERS
from crm_sync.adapters.base import ConnectionSettings
from crm_sync.adapters.webhook import build_signature
from crm_sync.budget import Priority
from crm_sync.delivery import Delivery
from crm_sync.exchange import UnexpectedAnswer
from crm_sync.operations import DeliveryContext, OperationKind, Ref, RefKind
from crm_sync.outcomes import Outcome
from crm_sync.states import DeliveryState
from telephony.call_facts.facts import Direction, Disposition
from tests.crm_sync.call_builder import CLIENT, START, make_call, make_operation
from tests.crm_sync.conformance import make_bench
from tests.crm_sync.faults import Fault, fail_first_write
from tests.crm_sync.peers.amocrm import FakeAmoCrm
from tests.crm_sync.peers.bitrix24 import FakeBitrix24
from tests.crm_sync.peers.odoo import FakeOdoo
from tests.crm_sync.peers.webhook import FakeWebhookReceiver

K = OperationKind


async def test_amocrm_makes_no_incoming_lead_that_nobody_wants() -> None:
    """An unknown caller is then not logged there, and that is said."""
    bench = make_bench("amocrm")
    settings = replace(bench.peer.settings, options={"create_leads": "no"})
    bench.client.adapter = ADAPTERS["amocrm"](settings)
    result = await bench.client.deliver(make_operation(K.CLOSE_CALL), DeliveryContext())
    assert (result.outcome, bench.peer.writes) == (Outcome.SKIPPED, 0)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.NONE,
        Fault.DROPPED_BEFORE_SENDING,
        Fault.DROPPED_AFTER_SENDING,
        Fault.ERROR_AFTER_COMMIT,
        Fault.PAGE_BEFORE_COMMIT,
        Fault.COMMITTED_LATE,
        Fault.KILLED_BEFORE,
        Fault.KILLED_AFTER,
    ],
)
@pytest.mark.parametrize("name", ["odoo_14", "odoo_19", "webhook"])
async def test_a_note_is_added_once(name: str, fault: Fault) -> None:
    """Below the call, whatever happens to its first attempt; markup in it is text."""
    bench = make_bench(name)
    bench.peer.add_contact(CLIENT)
    await bench.add_call(make_call(), K.CLOSE_CALL)
    await bench.drain()
    bench.transport.next_fault = fail_first_write(fault)
    now = bench.clock.now()
    operation = make_operation(K.ADD_NOTE, text="Anna: <b>roses</b>")
    await bench.store.add_deliveries([Delivery("crm", operation, 60, created_at=now, due_at=now)])
    await bench.drain()
    assert bench.list_unsent() == []
    peer = bench.peer
    if isinstance(peer, FakeOdoo):
        notes = [row["body"] for row in peer.records["mail.message"] if "add_note" in row["message_id"]]
        assert notes == ["Anna: &lt;b&gt;roses&lt;/b&gt;"]
    else:
        assert isinstance(peer, FakeWebhookReceiver)
        assert [data["note"] for data in peer.list_data("call.noted")] == ["Anna: <b>roses</b>"]
    assert peer.violations == []


async def test_odoo_attaches_a_link_where_there_is_no_file() -> None:
    """An attachment of type url, on whom the call was logged."""
    bench = make_bench("odoo_17")
    operation = make_operation(K.ATTACH_RECORDING)
    assert operation.recording is not None
    linked = replace(operation, recording=replace(operation.recording, content=b""))
    context = DeliveryContext(refs=(Ref(RefKind.LEAD, "7"),))
    assert (await bench.client.deliver(linked, context)).outcome is Outcome.DONE
    (attachment,) = bench.peer.records["ir.attachment"]  # type: ignore[attr-defined]
    assert (attachment["type"], attachment["url"], attachment["res_id"]) == (
        "url",
        operation.recording.link,
        7,
    )
    assert bench.peer.violations == []


async def test_bitrix24_shows_the_card_and_names_missing_scopes() -> None:
    """To whom it rings; a scope that nobody ticked is named."""
    bench = make_bench("bitrix24")
    peer = bench.peer
    assert isinstance(peer, FakeBitrix24)
    peer.scopes.remove("telephony")
    health = await bench.client.run_plan(bench.adapter.check(), Priority.INTERACTIVE)
    assert health.missing == ("telephony",)
    opened = await bench.client.deliver(make_operation(K.OPEN_CALL), DeliveryContext())
    context = DeliveryContext(refs=opened.refs, leg_refs=opened.refs)
    popup = make_operation(K.SHOW_POPUP, popup_user_ids=("1", "2"))
    assert (await bench.client.deliver(popup, context)).outcome is Outcome.DONE
    assert peer.shown == [(opened.refs[0].id, [1, 2])]
    gone = DeliveryContext(leg_refs=(Ref(RefKind.CALL, "externalCall.0"),))
    assert (await bench.client.deliver(popup, gone)).outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    ("different", "sent"),
    [
        ({}, {"USER_ID": 1, "TYPE": 2, "SHOW": 1, "ADD_TO_CHAT": 1}),
        ({"is_backfill": True}, {"SHOW": 0, "ADD_TO_CHAT": 0}),
        ({"direction": Direction.OUTBOUND}, {"TYPE": 1}),
        ({"leg": 1}, {"TYPE": 3}),
        ({"user_id": None}, {"USER_PHONE_INNER": "101"}),
    ],
)
async def test_how_a_call_is_registered(different: dict[str, object], sent: dict[str, object]) -> None:
    """Direction, transfers, people without a user, a backfill without cards."""
    bench = make_bench("bitrix24")
    operation = make_operation(K.OPEN_CALL, make_call(**different))
    preview = await bench.client.preview(operation, DeliveryContext())
    body = preview.requests[-1]["json"]
    assert {name: body.get(name) for name in sent} == sent
    assert body["EXTERNAL_CALL_ID"] == operation.call_key


async def test_a_call_of_nobody_is_an_exception_with_a_remedy() -> None:
    """No user, no extension, no fallback."""
    bench = make_bench("bitrix24")
    operation = make_operation(K.OPEN_CALL, make_call(user_id=None, extension=None))
    result = await bench.client.deliver(operation, DeliveryContext())
    assert (result.outcome, "fallback" in result.detail) == (Outcome.REJECTED, True)


async def test_a_webhook_says_what_it_cannot_do() -> None:
    """Degraded, and skipped with the reason instead of failing."""
    bench = make_bench("bitrix24_webhook")
    assert any("recording" in text for text in bench.adapter.capabilities.limitations)
    result = await bench.client.deliver(make_operation(K.OPEN_CALL), DeliveryContext())
    assert result.outcome is Outcome.SKIPPED
    assert bench.transport.requests == 0


async def test_a_dry_run_hides_the_secret_in_an_address() -> None:
    """The webhook's whole secret is in it."""
    bench = make_bench("bitrix24_webhook")
    bench.peer.add_contact(CLIENT)
    preview = await bench.client.preview(make_operation(K.CLOSE_CALL), DeliveryContext())
    assert "/rest/•••/crm.activity.add.json" in preview.requests[-1]["request"]


async def test_a_crm_that_repeats_the_secret_is_masked() -> None:
    """In the reason that people see."""
    bench = make_bench("bitrix24")
    text = bench.peer.credentials.mask_in("token access-token-1 and client-secret are wrong")
    assert "access-token-1" not in text
    assert "client-secret" not in text


@pytest.mark.parametrize(
    ("disposition", "status"),
    [(Disposition.ANSWERED, 4), (Disposition.BUSY, 7), (Disposition.MISSED, 6), (None, 8)],
)
async def test_amocrm_has_a_status_for_every_end(disposition: Disposition | None, status: int) -> None:
    """On the note of the contact, with the link to the recording."""
    bench = make_bench("amocrm")
    peer = bench.peer
    assert isinstance(peer, FakeAmoCrm)
    contact = peer.add_contact("8 (916) 111-00-05")
    await bench.add_call(make_call(disposition=disposition))
    await bench.drain()
    (note,) = peer.notes
    assert (str(note["entity_id"]), note["note_type"], note["params"]["call_status"]) == (
        contact,
        "call_in",
        status,
    )
    assert note["params"]["link"].startswith("https://")


async def test_amocrm_keeps_the_call_of_a_stranger_as_an_incoming_lead() -> None:
    """Their calls API would drop it."""
    bench = make_bench("amocrm")
    peer = bench.peer
    assert isinstance(peer, FakeAmoCrm)
    await bench.add_call(make_call())
    await bench.drain()
    assert [row["metadata"]["from"] for row in peer.unsorted] == [CLIENT]
    assert peer.notes == []


async def test_amocrm_outbound_to_a_stranger_is_skipped_with_the_reason() -> None:
    """An incoming lead it is not."""
    bench = make_bench("amocrm")
    await bench.add_call(make_call(direction=Direction.OUTBOUND))
    await bench.drain()
    (skipped,) = bench.store.list_deliveries()
    assert (skipped.state, skipped.reason) == (DeliveryState.SKIPPED, "Nobody in amoCRM has this number")


async def test_amocrm_the_same_incoming_lead_twice_is_found() -> None:
    """It is refused in a form that is not documented; the probe tells."""
    bench = make_bench("amocrm")
    operation = make_operation(K.CLOSE_CALL)
    outcomes = [(await bench.client.deliver(operation, DeliveryContext())).outcome for _ in range(2)]
    assert outcomes == [Outcome.DONE, Outcome.DUPLICATE]


async def test_amocrm_pops_up_for_named_users_only() -> None:
    """Without users it would be for everybody."""
    bench = make_bench("amocrm")
    peer = bench.peer
    assert isinstance(peer, FakeAmoCrm)
    popup = make_operation(K.SHOW_POPUP)
    assert (await bench.client.deliver(popup, DeliveryContext())).outcome is Outcome.SKIPPED
    named = replace(popup, popup_user_ids=("7",))
    assert (await bench.client.deliver(named, DeliveryContext())).outcome is Outcome.DONE
    assert peer.events == [{"type": "phone_call", "phone_number": CLIENT, "users": [7]}]


@pytest.mark.parametrize(("version", "is_there"), [("14", False), ("15", True), ("18", True), ("19", False)])
async def test_odoo_searches_as_its_version_can(version: str, is_there: bool) -> None:
    """The search field for second numbers is in some versions only."""
    options = {"database": "production", "user_id": "2", "version": version}
    adapter = ADAPTERS["odoo"](ConnectionSettings("crm", "odoo", "https://odoo.example.com", options=options))
    request = next(adapter.find_people(CLIENT))
    assert ("phone_mobile_search" in json.dumps(request.json)) is is_there


async def test_odoo_escapes_what_people_typed() -> None:
    """A body is HTML there."""
    bench = make_bench("odoo_14")
    bench.peer.add_contact(CLIENT)
    operation = make_operation(K.CLOSE_CALL, make_call(summary="<script>alert(1)</script> & more"))
    preview = await bench.client.preview(operation, DeliveryContext())
    text = json.dumps(preview.requests[-1])
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_signature_as_a_receiver_computes_it() -> None:
    """`v1,` and base64 of HMAC-SHA256 over id, timestamp and body, the key decoded from whsec_."""
    key = b"0123456789abcdef01234567"
    secret = "whsec_" + base64.b64encode(key).decode()
    content = b'msg_1.1700000000.{"a":1}'
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert build_signature(secret, content) == expected


async def test_a_secret_that_is_none_is_said_so() -> None:
    """And nothing leaves."""
    with pytest.raises(UnexpectedAnswer):
        build_signature("whsec_not base64!", b"")
    bench = make_bench("webhook")
    bench.credentials.stored["crm"] = replace(bench.peer.credentials, access_token="whsec_not base64!")
    result = await bench.client.deliver(make_operation(K.CLOSE_CALL), DeliveryContext())
    assert result.outcome is Outcome.NOT_SENT
    assert "whsec_" in result.detail
    assert bench.transport.requests == 0


async def test_a_repeated_event_is_the_same_event() -> None:
    """Same id, same body, a new timestamp: hours later."""
    bench = make_bench("webhook")
    for _ in range(2):
        assert (
            await bench.client.deliver(make_operation(K.CLOSE_CALL), DeliveryContext())
        ).outcome is Outcome.DONE
        bench.clock.moment = START + timedelta(hours=5)
    assert len(bench.peer.list_logged_calls()) == 1
    assert bench.peer.violations == []

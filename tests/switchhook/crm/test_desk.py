"""Connections shows how a CRM is; what was not delivered is retried, sent again or dismissed there, and that is logged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from call_records.recordings.types import AuditFilter
from call_records.store import RecordsStore
from crm_sync.codec import decode_delivery
from crm_sync.delivery import (
    Delivery,
    DeliveryRules,
    HoldReason,
    Verification,
    apply_write_result,
    begin_send,
    hold_delivery,
)
from crm_sync.operations import OperationKind
from crm_sync.outcomes import Outcome, WriteResult
from crm_sync.states import DeliveryState
from switchhook.crm.desk import StoredDesk
from switchhook.crm.stores import StoredDeliveries
from switchhook.settings.tables import CrmConnectionSettings, CrmSettings
from telephony.recordings import AuditAction
from telephony.staff import Role
from tests.crm_sync.call_builder import make_call, make_delivery
from tests.web.conftest import Person
from tests.web.kept import add_account, serving, signed_in

pytestmark = pytest.mark.postgres

NOW = datetime.now(UTC)
UNSURE = DeliveryRules(verification=Verification.NONE)
CRM = CrmSettings(
    connections=(
        CrmConnectionSettings(
            name="crm", adapter="odoo", url="https://odoo.example.com", secret=SecretStr("x")
        ),
    )
)


def fail(delivery: Delivery, outcome: Outcome, detail: str) -> Delivery:
    """A delivery of which this came."""
    sending = begin_send(replace(delivery, created_at=NOW, due_at=NOW), NOW)
    return apply_write_result(sending, WriteResult(outcome, detail), NOW, UNSURE, lambda: 0.5)


REJECTED = fail(make_delivery(call=make_call(1)), Outcome.REJECTED, "Unknown <field>")
LOST = fail(make_delivery(call=make_call(2)), Outcome.UNKNOWN, "502 Bad Gateway")
SKIPPED = fail(make_delivery(call=make_call(3)), Outcome.SKIPPED, "Nobody in Odoo has this number")
HELD = hold_delivery(
    make_delivery(OperationKind.ATTACH_RECORDING, call=make_call(1)), HoldReason.DEPENDENCY, "Waits"
)


@dataclass
class Desk:
    """An administrator at the page."""

    records: RecordsStore
    person: Person

    async def decide(self, delivery: Delivery, act: str) -> int:
        """Press a button; the status."""
        key = delivery.key
        return await self.person.send(
            "/connections/crm",
            connection=key.connection,
            call=str(key.call_id),
            leg=str(key.leg),
            kind=str(key.kind),
            act=act,
        )

    async def read(self, delivery: Delivery) -> Delivery:
        """As it is now."""
        rows = await self.records.deliveries.lanes.list_lane("crm", delivery.key.call_id)
        return next(
            found for found in (decode_delivery(row.content) for row in rows) if found.key == delivery.key
        )


@pytest.fixture
async def desk(records: RecordsStore) -> AsyncIterator[Desk]:
    """Four deliveries that did not arrive; none of their lanes is due by itself."""
    await records.deliveries.connections.enter_connection("crm", "odoo")
    store = StoredDeliveries(records.deliveries.lanes)
    await store.add_deliveries([REJECTED, LOST, SKIPPED, HELD])
    while (claim := await store.claim_lane("crm", NOW, NOW + timedelta(minutes=5))) is not None:
        await store.release_lane(claim, None)
    await add_account(records, "boss", Role.ADMINISTRATOR, name="Ines Costa")
    async with (
        serving(records, crm=StoredDesk(CRM, records.deliveries)) as address,
        signed_in(address, "boss") as person,
    ):
        yield Desk(records, person)


async def test_the_pages_say_what_is_wrong_and_what_can_be_done(desk: Desk) -> None:
    """What needs a decision first; reasons are a CRM's text and are not taken for markup."""
    connections = await desk.person.read("/connections")
    assert "CRM crm (odoo)" in connections
    assert "Calls are delivered, but 3 wait for a decision." in connections
    page = await desk.person.read("/connections/crm")
    order = ["Unknown &lt;field&gt;", "Waits for one of these", "Nobody in Odoo has this number"]
    assert sorted(order, key=page.index) == order
    assert page.count("It is missing there: send again") == 1


async def test_retry_queues_it_and_is_logged(desk: Desk) -> None:
    """The lane is due at once, and whoever delivers is asked to try whatever went wrong before."""
    assert await desk.decide(REJECTED, "retry") == 303
    assert (await desk.read(REJECTED)).state is DeliveryState.QUEUED
    claim = await StoredDeliveries(desk.records.deliveries.lanes).claim_lane(
        "crm", datetime.now(UTC), datetime.now(UTC) + timedelta(minutes=5)
    )
    assert claim is not None
    assert claim.call_id == UUID(int=1)
    (status,) = await desk.records.deliveries.connections.list_connections()
    assert status.retry_asked_at is not None
    (line,) = await desk.records.audit.page(AuditFilter(action=AuditAction.CRM_RETRIED))
    assert (line.who, line.details["connection"]) == ("boss", "crm")
    assert await desk.decide(HELD, "retry") == 409, "a worker has this call"


async def test_what_the_crm_may_have_is_looked_for_unless_a_person_has_looked(desk: Desk) -> None:
    """Two buttons, two states."""
    assert await desk.decide(LOST, "retry") == 303
    assert (await desk.read(LOST)).state is DeliveryState.UNKNOWN
    assert await desk.decide(LOST, "again") == 409, "it is on its way"


async def test_send_again_by_somebody_who_has_looked(desk: Desk) -> None:
    """Without a probe."""
    assert await desk.decide(LOST, "again") == 303
    again = await desk.read(LOST)
    assert (again.state, again.sent_at) == (DeliveryState.QUEUED, None)


async def test_dismissed_by_whom_is_said(desk: Desk) -> None:
    """It is not delivered, and does not ask for a decision any more."""
    assert await desk.decide(REJECTED, "dismiss") == 303
    dismissed = await desk.read(REJECTED)
    assert (dismissed.state, dismissed.reason) == (DeliveryState.SKIPPED, "Dismissed by Ines Costa")
    (line,) = await desk.records.audit.page(AuditFilter(action=AuditAction.CRM_DISMISSED))
    assert line.who == "boss"


@pytest.mark.parametrize(
    "form",
    [
        {"act": "explode"},
        {"act": "retry", "call": "x"},
        {"act": "retry", "call": str(UUID(int=1)), "leg": "0", "kind": "paint"},
    ],
)
async def test_what_no_button_sends_is_not_found(desk: Desk, form: dict[str, str]) -> None:
    """Never a failure."""
    assert await desk.person.send("/connections/crm", connection="crm", **form) == 404


async def test_another_connection_s_delivery_is_not_found(desk: Desk) -> None:
    """A sentence, and nothing changes."""
    assert await desk.decide(replace(REJECTED, connection="other"), "retry") == 409


async def test_without_a_crm_the_page_says_how_to_connect_one(records: RecordsStore) -> None:
    """And Connections has no line of it."""
    await add_account(records, "boss", Role.ADMINISTRATOR)
    async with serving(records) as address, signed_in(address, "boss") as person:
        assert "No CRM is connected." in await person.read("/connections/crm")
        assert "CRM " not in (await person.read("/connections")).split("<main", 1)[1]

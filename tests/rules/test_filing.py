"""Which calls are on whose timeline, and what the lead rules have made of strangers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from call_records.database import RecordsStore
from tests.call_facts_builder import CLIENT, answered, call, ended
from tests.rules.office import leads, person, places, rows, take_in

pytestmark = pytest.mark.postgres


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

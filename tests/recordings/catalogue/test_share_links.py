"""Expiring links to a recording or a clip of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from call_records.recordings.tables import recordings
from call_records.recordings.types import ShareLink
from call_records.store import RecordsStore
from telephony.errors import PeerMistake
from telephony.recordings import RecordingState
from tests.recordings.rows import a_recording, an_account

pytestmark = pytest.mark.postgres


async def a_link(records: RecordsStore, recording: UUID, made_by: UUID, **given: Any) -> ShareLink:
    usual = {
        "recording_id": recording,
        "token_hash": b"hash",
        "from_seconds": None,
        "to_seconds": None,
        "made_by": made_by,
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
    }
    return await records.links.make(**(usual | given))


async def test_a_link_opens_until_revoked_and_counts_its_openings(records: RecordsStore) -> None:
    """A customer opens the clip twice at the same moment, then the supervisor takes the link back."""
    maker, recording = await an_account(records), await a_recording(records)
    made = await a_link(records, recording, maker.id, from_seconds=3.0, to_seconds=9.5, purpose="crm")
    assert (made.from_seconds, made.to_seconds, made.purpose, made.made_by) == (3.0, 9.5, "crm", "Anna")
    opened = await asyncio.gather(records.links.find(b"hash"), records.links.find(b"hash"))
    assert sorted(one.opened for one in opened if one) == [1, 2]
    assert await records.links.find(b"another") is None
    await records.links.revoke(made.id)
    assert await records.links.find(b"hash") is None
    (listed,) = await records.links.of_recording(recording)
    assert (listed.opened, listed.revoked_at is None) == (2, False)
    await records.links.revoke(made.id)
    assert await records.links.of_recording(recording) == [listed]


async def test_a_link_expires_and_ends_with_its_recording(records: RecordsStore) -> None:
    """One link ran out a second ago; another leads to a recording that is removed meanwhile."""
    maker, recording = await an_account(records), await a_recording(records)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await a_link(records, recording, maker.id, token_hash=b"late", expires_at=past)
    await a_link(records, recording, maker.id, token_hash=b"live")
    assert await records.links.find(b"late") is None
    assert await records.links.find(b"live") is not None
    async with records.engine.begin() as connection:
        await connection.execute(update(recordings).values(state=RecordingState.REMOVED.value))
    assert await records.links.find(b"live") is None
    with pytest.raises(PeerMistake):
        await a_link(records, recording, maker.id)


async def test_a_link_needs_a_span_a_recording_and_a_maker(records: RecordsStore) -> None:
    """A clip that ends before it begins, an unknown recording, somebody who is gone."""
    maker, recording = await an_account(records), await a_recording(records)
    for wrong in (
        {"from_seconds": 9.0, "to_seconds": 3.0},
        {"from_seconds": -1.0},
        {"to_seconds": 0.0},
        {"recording": uuid4()},
        {"made_by": uuid4()},
    ):
        right: dict[str, Any] = {"recording": recording, "made_by": maker.id}
        with pytest.raises(PeerMistake):
            await a_link(records, **(right | wrong))
    assert await records.links.of_recording(recording) == []

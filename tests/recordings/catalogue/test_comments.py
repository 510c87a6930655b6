"""Comments at a moment of a recording."""

from __future__ import annotations

import math
from uuid import uuid4

import pytest

from call_records.store import RecordsStore
from telephony.errors import PeerMistake
from telephony.recordings import RecordingState
from tests.recordings.rows import a_recording, an_account

pytestmark = pytest.mark.postgres


async def test_comments_are_listed_by_the_moment_they_are_about(records: RecordsStore) -> None:
    """The supervisor comments the end first and the greeting later; an angry caller's NUL does no harm."""
    author, recording = await an_account(records), await a_recording(records)
    end = await records.comments.add(
        recording_id=recording, account_id=author.id, at_seconds=58.5, text=" no goodbye\x00 "
    )
    greeting = await records.comments.add(
        recording_id=recording, account_id=author.id, at_seconds=0, text="well greeted"
    )
    assert await records.comments.of_recording(recording) == [greeting, end]
    assert (end.text, end.author, end.at_seconds) == ("no goodbye\ufffd", "Anna", 58.5)
    assert await records.comments.of_recording(uuid4()) == []


async def test_only_its_author_changes_or_removes_a_comment(records: RecordsStore) -> None:
    """Boris cannot touch what Anna wrote; she corrects it, then takes it away."""
    author, other = await an_account(records), await an_account(records, "boris")
    recording = await a_recording(records)
    written = await records.comments.add(
        recording_id=recording, account_id=author.id, at_seconds=3, text="wrong price"
    )
    assert await records.comments.change(written.id, account_id=other.id, text="fine") is None
    assert await records.comments.change(uuid4(), account_id=author.id, text="fine") is None
    changed = await records.comments.change(written.id, account_id=author.id, text="wrong discount")
    assert changed is not None
    assert await records.comments.of_recording(recording) == [changed]
    assert changed.text == "wrong discount"
    removed = await records.comments.change(written.id, account_id=author.id, text="  ")
    assert removed is not None
    assert removed.text == ""
    assert await records.comments.of_recording(recording) == []


@pytest.mark.parametrize("moment", [-0.1, 60.1, math.nan, math.inf])
async def test_a_comment_is_at_a_moment_of_the_recording(records: RecordsStore, moment: float) -> None:
    """A minute of audio has no moment before its beginning or after its end."""
    author, recording = await an_account(records), await a_recording(records)
    with pytest.raises(PeerMistake):
        await records.comments.add(recording_id=recording, account_id=author.id, at_seconds=moment, text="x")
    assert await records.comments.of_recording(recording) == []


async def test_a_comment_needs_text_a_recording_and_an_account(records: RecordsStore) -> None:
    """An empty box, a novel, a recording that was removed or never was, somebody who is gone."""
    author, recording = await an_account(records), await a_recording(records)
    removed = await a_recording(records, RecordingState.REMOVED)
    for wrong in (
        {"text": " \n"},
        {"text": "x" * 4001},
        {"recording_id": removed},
        {"recording_id": uuid4()},
        {"account_id": uuid4()},
    ):
        right = {"recording_id": recording, "account_id": author.id, "at_seconds": 1.0, "text": "x"}
        with pytest.raises(PeerMistake):
            await records.comments.add(**(right | wrong))
    assert await records.comments.of_recording(recording) == []

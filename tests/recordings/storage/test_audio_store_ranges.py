"""Whatever range is read from the shelf: it is that part of the whole, encrypted or not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from call_records.recordings.storage.audio_store import PIECE_BYTES, AudioShelf
from call_records.recordings.storage.settings import AudioSettings
from call_records.store import open_records
from tests.postgres_fixtures import TEMPLATE, own_database
from tests.recordings.rows import OFFICE_KEY, a_recording

pytestmark = pytest.mark.postgres

AUDIO = os.urandom(2 * PIECE_BYTES + 12_345)
LENGTH = len(AUDIO)


class Reader:
    """One stored recording, read in an event loop of its own."""

    def __init__(self, runner: asyncio.Runner, shelf: AudioShelf, recording: object) -> None:
        self._runner = runner
        self._shelf = shelf
        self._recording = recording

    def read(self, first: int, last: int) -> bytes:
        """As a page reads it."""
        return self._runner.run(self._shelf.read(self._recording, first, last))  # type: ignore[arg-type]


@pytest.fixture(params=["plain", "encrypted"])
def reader(request: pytest.FixtureRequest, postgres_server: str, tmp_path: Path) -> Iterator[Reader]:
    """The shelf of a database for all examples."""
    file = tmp_path / f"{uuid4().hex}.m4a"
    file.write_bytes(AUDIO)
    audio = AudioSettings(tmp_path / "audio", keys=(OFFICE_KEY,) if request.param == "encrypted" else ())
    with asyncio.Runner() as runner:
        databases = own_database(postgres_server, TEMPLATE)
        opened = open_records(runner.run(anext(databases)), migrate=False)
        records = runner.run(opened.__aenter__())
        recording = runner.run(a_recording(records))
        shelf = AudioShelf(records.engine, audio)
        runner.run(shelf.keep(recording, file))
        yield Reader(runner, shelf, recording)
        runner.run(opened.__aexit__(None, None, None))
        runner.run(anext(databases, None))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, LENGTH - 1), more=st.integers(0, LENGTH + 10))
@example(first=0, more=LENGTH - 1)
@example(first=PIECE_BYTES - 1, more=1)
@example(first=65_535, more=PIECE_BYTES)
@example(first=LENGTH - 1, more=0)
@example(first=LENGTH - 1, more=100)
def test_a_range_is_that_part_of_the_whole(reader: Reader, first: int, more: int) -> None:
    """Browsers ask for ranges of any kind, also beyond the end."""
    assert reader.read(first, first + more) == AUDIO[first : first + more + 1]

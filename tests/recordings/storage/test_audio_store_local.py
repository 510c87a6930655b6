"""What only the local storage promises, and what a process without any storage says."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from uuid import uuid4

import pytest

from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.settings import AudioSettings
from call_records.store import RecordsStore, open_records
from telephony.errors import NeedsPerson
from tests.recordings.rows import OFFICE_KEY, a_recording, some_audio

pytestmark = pytest.mark.postgres


async def test_local_files_are_for_us_alone(records: RecordsStore, tmp_path: Path) -> None:
    """Another user of the machine can neither list nor read recordings, whatever the umask says."""
    shelf = AudioShelf(records.engine, AudioSettings(tmp_path / "audio", keys=(OFFICE_KEY,)))
    file, _ = some_audio(tmp_path, 1000)
    before = os.umask(0)
    try:
        await shelf.keep(await a_recording(records), file)
    finally:
        os.umask(before)
    kept = sorted((tmp_path / "audio").rglob("*"))
    modes = {stat.S_IMODE(one.stat().st_mode) for one in kept if one.is_dir()}
    assert modes == {0o700}
    assert [stat.S_IMODE(one.stat().st_mode) for one in kept if one.is_file()] == [0o600]


async def test_without_settings_the_rows_can_be_read_and_the_sound_cannot(database_url: str) -> None:
    """A command that only lists calls opens the store without saying where audio is kept."""
    async with open_records(database_url, migrate=False) as store:
        with pytest.raises(NeedsPerson, match="Nobody said where"):
            await store.shelf.size(uuid4())
        with pytest.raises(NeedsPerson, match="Nobody said where"):
            async for _ in store.shelf.whole(uuid4()):
                pass

"""The intake over a real directory and a real PostgreSQL; its clock is ours, so nothing waits."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from call_records.recordings.ingest.intake import Intake, SpoolPlace
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import BOTH_SIDES, Recording, RecordingFilter, SourceRole
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts, PartyKind, Recorded
from telephony.errors import TryLater
from telephony.recordings import HealthFault, RecordingPolicy, RecordingState
from tests.call_facts_builder import MONDAY, answered, call, change, ended
from tests.recordings.recording_builder import outcome
from tests.recordings.sound_files import HEADER, converted, leave, wav

pytestmark = pytest.mark.postgres

UNIQUEID = "1795311120.5"
LONG_AGO = MONDAY - timedelta(days=365)


class Office:
    """One PBX with its spool, and the intake under a clock that only we move."""

    def __init__(self, records: RecordsStore, directory: Path) -> None:
        self.records = records
        self.spool = directory / "spool"
        self.spool.mkdir()
        self.audio = AudioSettings(directory=directory / "audio")
        self.now = 1000.0
        self.policy = RecordingPolicy()
        self.intake = self.restarted()

    def restarted(self) -> Intake:
        """A process that knows only what the database knows."""
        self.intake = Intake(
            self.records.catalogue,
            [SpoolPlace("hq", self.spool)],
            self.audio,
            uploading=["branch"],
            policy=lambda: self.policy,
            clock=lambda: self.now,
            wall=lambda: time.time() + self.now - 1000.0,
        )
        return self.intake

    async def after(self, seconds: float) -> None:
        """A look, so long a time, and another look."""
        await self.intake.round()
        self.now += seconds
        await self.intake.round()

    async def tell(self, facts: CallFacts, *uniqueids: str) -> CallFacts:
        await self.records.journal.record([change(facts, aliases=uniqueids or (UNIQUEID,))])
        return facts

    async def ended_call(self, **different: object) -> CallFacts:
        """An answered call that is over, recorded under its Uniqueid."""
        facts = call(recordings=(f"/there/{UNIQUEID}.wav",), started_at=LONG_AGO)
        return await self.tell(replace(ended(answered(facts)), **different))  # type: ignore[arg-type]

    async def all(self) -> list[Recording]:
        page = await self.records.catalogue.page(RecordingFilter())
        return [one.recording for one in page.listed]

    async def only(self) -> Recording:
        (one,) = await self.all()
        return one


@pytest.fixture
async def office(records: RecordsStore, tmp_path: Path) -> Office:
    """A spool that is watched from now on."""
    made = Office(records, tmp_path)
    await made.intake.round()
    return made


async def test_a_finished_recording_of_an_ended_call(office: Office) -> None:
    """Two sides and the mixed file: taken a second after they came to rest, as one recording of the call."""
    facts = await office.ended_call()
    leave(office.spool, UNIQUEID, sides=True)
    await office.after(0.5)
    assert (await office.only()).state is RecordingState.EXPECTED
    await office.after(0.6)
    one = await office.only()
    assert (one.state, one.call_id) == (RecordingState.ARRIVED, facts.id)
    assert {file.role for file in one.files} == BOTH_SIDES
    assert all(file.path.is_file() for file in one.files)
    assert office.intake.counts().arrived == 1


async def test_while_the_call_goes_on_its_file_is_left(office: Office) -> None:
    """MixMonitor writes nothing while the customer hears the menu: the file rests and is not finished."""
    live = await office.tell(answered(call(recordings=(f"{UNIQUEID}.wav",), started_at=LONG_AGO)))
    leave(office.spool, UNIQUEID, wav(0.5, told=0))
    await office.after(300)
    assert (await office.only()).state is RecordingState.EXPECTED
    leave(office.spool, UNIQUEID, wav(2))
    await office.tell(ended(live))
    await office.after(3)
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_the_recorded_channel_left_and_the_call_goes_on(office: Office) -> None:
    """Its file is closed, and taken after a minute though the others still talk."""
    await office.tell(answered(call(recordings=(f"{UNIQUEID}.wav",))))
    leave(office.spool, UNIQUEID)
    await office.after(10)
    assert (await office.only()).state is RecordingState.EXPECTED
    await office.after(60)
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_the_pbx_says_when_the_recording_ended(office: Office) -> None:
    """The recorded channel hung up, the colleagues still talk: its file need not wait for them."""
    path = f"/there/{UNIQUEID}.wav"
    told = Recorded(
        file=path, uniqueid=UNIQUEID, party="x", kind=PartyKind.OUTSIDE, at=LONG_AGO, until=LONG_AGO
    )
    await office.tell(answered(call(recordings=(path,), recorded=(told,))))
    leave(office.spool, UNIQUEID)
    await office.after(3)
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_a_file_that_is_finalised_three_minutes_late(office: Office) -> None:
    """Asterisk was slow to close it: nothing is cut, nothing is lost."""
    await office.ended_call()
    leave(office.spool, UNIQUEID, wav(1, told=0))
    await office.after(180)
    assert (await office.only()).state is RecordingState.EXPECTED
    leave(office.spool, UNIQUEID, wav(1))
    await office.after(3)
    one = await office.only()
    assert (one.state, one.faults) == (RecordingState.ARRIVED, ())


@pytest.mark.parametrize("told", [0, 100, 1_000_000], ids=["never closed", "says less", "says more"])
async def test_a_file_that_was_cut_short(office: Office, told: int) -> None:
    """Asterisk was killed: after four minutes what there is is kept, and marked."""
    await office.ended_call()
    leave(office.spool, UNIQUEID, wav(1, told=told))
    await office.after(241)
    one = await office.only()
    assert (one.state, one.faults) == (RecordingState.ARRIVED, (HealthFault.TRUNCATED,))


@pytest.mark.parametrize("content", [b"", HEADER, HEADER[:20]], ids=["zero length", "44 bytes", "20 bytes"])
async def test_nobody_answered_and_the_file_is_empty(office: Office, content: bytes) -> None:
    """MixMonitor leaves a header behind: that is no recording and no fault."""
    await office.tell(ended(call(recordings=(f"{UNIQUEID}.wav",), started_at=LONG_AGO)))
    leave(office.spool, UNIQUEID, content)
    await office.after(3)
    one = await office.only()
    assert (one.state, one.reason) == (RecordingState.EMPTY, "Nobody answered.")
    assert await office.records.catalogue.exceptions() == []


async def test_somebody_answered_and_the_file_is_empty(office: Office) -> None:
    """That must be looked at; when the file grows after all it is taken."""
    await office.ended_call()
    leave(office.spool, UNIQUEID, HEADER)
    await office.after(241)
    one = await office.only()
    assert (one.state, one.reason) == (
        RecordingState.LOST,
        "The call was answered, but its file holds no sound.",
    )
    leave(office.spool, UNIQUEID)
    await office.after(11)
    await office.after(3)
    assert (await office.only()).state is RecordingState.ARRIVED


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"#!AMR\n some speech", "AMR"),
        (b"No recording today\n", "text"),
        (b"<html>", "a page or XML"),
        (bytes(range(64)), "something else"),
    ],
)
async def test_no_wav_whatever_its_name_says(office: Office, content: bytes, kind: str) -> None:
    """Somebody converts files in place: refused with the reason, and left as it came."""
    await office.ended_call()
    path = leave(office.spool, UNIQUEID, content)
    await office.after(3)
    one = await office.only()
    assert (one.state, one.reason) == (RecordingState.REFUSED, f"This is no sound file but {kind}.")
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", [f"{UNIQUEID}.mp3", f"{UNIQUEID}.wav", f"{UNIQUEID}.MP3"])
async def test_an_mp3_is_a_recording(office: Office, name: str) -> None:
    """MixMonitor wrote MP3, or a program converted in place: taken once nothing was written for a while."""
    facts = await office.tell(ended(answered(call(recordings=(f"/x/{name}",), started_at=LONG_AGO))))
    (office.spool / name).write_bytes(converted("mp3"))
    await office.after(3)
    assert (await office.only()).state is RecordingState.EXPECTED
    await office.after(15)
    one = await office.only()
    assert (one.state, one.call_id, one.faults) == (RecordingState.ARRIVED, facts.id, ())


async def test_an_m4a_is_finished_when_it_says_so(office: Office) -> None:
    """The box that describes the sound is written last."""
    await office.tell(ended(answered(call(recordings=(f"/x/{UNIQUEID}.m4a",), started_at=LONG_AGO))))
    whole = converted("mp4")
    (office.spool / f"{UNIQUEID}.m4a").write_bytes(whole[:-200])
    await office.after(30)
    assert (await office.only()).state is RecordingState.EXPECTED
    (office.spool / f"{UNIQUEID}.m4a").write_bytes(whole)
    await office.after(3)
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_a_restart_takes_nothing_twice(office: Office) -> None:
    """The new process knows what was taken from the database, without reading a byte of it."""
    await office.ended_call()
    path = leave(office.spool, UNIQUEID, sides=True)
    await office.after(3)
    for one in path.parent.iterdir():
        status = one.stat()
        one.write_bytes(b"x" * status.st_size)
        os.utime(one, ns=(status.st_atime_ns, status.st_mtime_ns))
    office.restarted()
    await office.after(300)
    assert office.intake.counts().waiting == 0
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_a_copy_in_another_folder_is_ignored(office: Office) -> None:
    """Somebody sorts recordings into folders by copying them."""
    await office.ended_call()
    path = leave(office.spool, UNIQUEID)
    await office.after(3)
    leave(office.spool / "2026" / "11" / "22", UNIQUEID, path.read_bytes())
    await office.after(3)
    await office.only()
    assert office.intake.counts().duplicates == 1


async def test_the_same_name_with_other_content(office: Office) -> None:
    """The dialplan started the recording once more under its name after the first was processed: both are kept."""
    await office.ended_call()
    leave(office.spool, UNIQUEID)
    await office.after(3)
    (one,) = await office.records.catalogue.claim(1, 60)
    await office.records.catalogue.processed(one.id, outcome(), MONDAY, None)
    leave(office.spool, UNIQUEID, wav(3))
    await office.after(11)
    await office.after(3)
    assert {each.name for each in await office.all()} == {UNIQUEID, f"{UNIQUEID}~2"}
    assert office.intake.counts().namesakes == 1
    office.restarted()
    await office.after(3)
    await office.after(3)
    assert len(await office.all()) == 2


async def test_a_recording_that_was_renamed(office: Office) -> None:
    """A script at the PBX gives files nicer names, the Uniqueid among them: it is the recording that was missed."""
    facts = await office.ended_call()
    leave(office.spool, f"anna-to-warehouse-{UNIQUEID}")
    await office.after(3)
    one = await office.only()
    assert (one.state, one.call_id, one.name) == (RecordingState.ARRIVED, facts.id, UNIQUEID)
    assert office.intake.counts().renamed == 1
    office.restarted()
    await office.after(3)
    await office.after(3)
    assert (await office.only()).id == one.id


async def test_a_recording_of_no_known_call(office: Office) -> None:
    """Taken after a quarter of a minute without a call; it finds its call when that appears."""
    leave(office.spool, "external-101-89161234567-20261122-120000-1795311120.5")
    await office.after(10)
    assert await office.all() == []
    await office.after(6)
    assert (await office.only()).call_id is None
    facts = await office.ended_call(recordings=())
    assert (await office.only()).call_id == facts.id


@pytest.mark.parametrize(
    "name",
    [
        "in-74951000019-79161110001-20261129-202600-1795311120.5",
        "rg-600-79161110001-20261129-202600-1795311120.5",
        "q-400-79161110001-20261129-202600-1795311120.5",
    ],
)
async def test_freepbx_own_recording_arrives(office: Office, name: str) -> None:
    """Told by its path in the folder of the day, and found there: one recording, of its call, with what FreePBX calls it."""
    told = f"/var/spool/asterisk/monitor/2026/11/29/{name}.wav"
    facts = await office.ended_call(recordings=(told,))
    leave(office.spool / "2026" / "11" / "29", name)
    await office.after(16)
    one = await office.only()
    assert (one.state, one.call_id, one.name) == (RecordingState.ARRIVED, facts.id, name)


@pytest.mark.parametrize("kind", ["in-74951000019-79161110001", "internal-102-101", "out-89161234567-101"])
async def test_freepbx_own_recording_that_nobody_announced_arrives(office: Office, kind: str) -> None:
    """Without the event that names it, too: the Uniqueid at its end finds the call."""
    facts = await office.ended_call(recordings=())
    leave(office.spool / "2026" / "11" / "29", f"{kind}-20261129-202600-{UNIQUEID}")
    await office.after(16)
    one = await office.only()
    assert (one.state, one.call_id) == (RecordingState.ARRIVED, facts.id)


async def test_expected_but_it_never_came(office: Office) -> None:
    """On the page of exceptions within five minutes; and taken all the same when it comes after an hour."""
    facts = await office.ended_call()
    async with office.records.engine.begin() as connection:
        await connection.execute(text("UPDATE recordings SET expected_at = now() - interval '271 seconds'"))
    await office.after(16)
    assert (await office.only()).state is RecordingState.LOST
    assert office.intake.counts().lost == 1
    leave(office.spool, UNIQUEID)
    await office.after(3)
    one = await office.only()
    assert (one.state, one.call_id) == (RecordingState.ARRIVED, facts.id)


async def test_one_side_comes_later(office: Office) -> None:
    """The mixed file and one side are here; the other is waited for, and then everything is one recording."""
    await office.ended_call()
    path = leave(office.spool, UNIQUEID, sides=True)
    out = path.with_name(f"{UNIQUEID}-out.wav")
    content = out.read_bytes()
    out.unlink()
    await office.after(200)
    assert (await office.only()).state is RecordingState.EXPECTED
    out.write_bytes(content)
    await office.after(3)
    assert {file.role for file in (await office.only()).files} == BOTH_SIDES


async def test_one_side_never_comes(office: Office) -> None:
    """After four minutes there is no more waiting; if it comes still, all of it is taken anew."""
    await office.ended_call()
    path = leave(office.spool, UNIQUEID, sides=True)
    out = path.with_name(f"{UNIQUEID}-out.wav")
    content = out.read_bytes()
    out.unlink()
    await office.after(241)
    one = await office.only()
    assert {file.role for file in one.files} == {SourceRole.MIX, SourceRole.IN}
    out.write_bytes(content)
    await office.after(3)
    await office.after(3)
    again = await office.only()
    assert again.id == one.id
    assert {file.role for file in again.files} == BOTH_SIDES


async def test_links_are_never_followed(office: Office, tmp_path: Path) -> None:
    """A link in the spool points to somebody's files, as a file and as a folder: neither is opened."""
    elsewhere = tmp_path / "elsewhere"
    target = leave(elsewhere, "1795311120.6")
    (office.spool / f"{UNIQUEID}.wav").symlink_to(target)
    (office.spool / "2026").symlink_to(elsewhere)
    os.mkfifo(office.spool / "1795311120.7.wav")
    await office.ended_call()
    await office.after(300)
    assert (await office.only()).files == ()
    assert office.intake.counts().waiting == 0


async def test_old_recordings_are_left_to_the_import(office: Office) -> None:
    """A spool with years of files: only what a call expects is taken, however old; the others are counted."""
    for place in range(50):
        path = leave(office.spool / "2024", f"16000000{place:02}.1")
        os.utime(path, (1_600_000_000, 1_600_000_000))
    os.utime(leave(office.spool / "2024", UNIQUEID), (1_600_000_000, 1_600_000_000))
    await office.after(20)
    assert office.intake.counts().left_alone == 51
    assert await office.all() == []
    await office.ended_call()
    await office.after(16)
    await office.after(3)
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_a_file_that_cannot_be_read(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asterisk writes with a umask that keeps us out: said in a sentence, tried again, taken once it is put right."""

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    await office.ended_call()
    leave(office.spool, UNIQUEID)
    with monkeypatch.context() as forbidden:
        forbidden.setattr("call_records.recordings.ingest.intake.examine", refuse)
        await office.after(3)
        assert "1 of the recordings of hq" in (office.intake.problem or "")
        assert "Permission denied" in (office.intake.problem or "")
        async with office.records.engine.begin() as connection:
            await connection.execute(
                text("UPDATE recordings SET expected_at = now() - interval '271 seconds'")
            )
        await office.after(16)
        assert "cannot be read" in ((await office.only()).reason or "")
    await office.after(31)
    assert office.intake.problem is None
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_a_directory_that_is_not_there(records: RecordsStore, tmp_path: Path) -> None:
    """The disk is not mounted: a sentence, and everything goes on when it is; no recording is given up meanwhile."""
    office = Office(records, tmp_path)
    office.spool.rmdir()
    await office.ended_call()
    async with records.engine.begin() as connection:
        await connection.execute(text("UPDATE recordings SET expected_at = now() - interval '1 hour'"))
    await office.after(20)
    assert "No such file or directory" in (office.intake.problem or "")
    assert (await office.only()).state is RecordingState.EXPECTED
    leave(office.spool, UNIQUEID)
    os.utime(office.spool / f"{UNIQUEID}.wav")
    await office.intake.round()
    await office.after(3)
    assert office.intake.problem is None
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_the_database_is_away(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its disk is full: nothing is forgotten, and the recording is taken when it is back."""

    async def full(*_: object) -> None:
        raise TryLater("The database's disk is full.", remedy="Free space.")

    await office.ended_call()
    path = leave(office.spool, UNIQUEID)
    await office.intake.round()
    office.now += 3
    with monkeypatch.context() as broken:
        broken.setattr(office.records.catalogue, "arrived", full)
        with pytest.raises(TryLater):
            await office.intake.round()
    assert path.is_file()
    await office.intake.round()
    assert (await office.only()).state is RecordingState.ARRIVED


async def test_uploads_are_taken_and_removed_when_they_are_stored(office: Office) -> None:
    """What a remote PBX posted lies with us; it goes when the stored copy was verified, not before."""
    path = leave(office.audio.arrivals / "branch", "b-1795311120.5")
    await office.after(20)
    one = await office.only()
    assert (one.pbx, one.state) == ("branch", RecordingState.ARRIVED)
    await office.records.catalogue.processed(one.id, outcome(), MONDAY, None)
    await office.after(61)
    assert path.is_file()
    await store_audio(office.records, one.id)
    await office.after(61)
    assert not path.exists()
    assert office.intake.counts().sources_removed == 1


async def test_the_pbxs_own_files_stay_unless_the_policy_says_so(office: Office) -> None:
    """By default for ever; with a policy after so many days, and never what is not the very file that was stored."""
    await office.ended_call()
    path = leave(office.spool, UNIQUEID, sides=True)
    await office.after(3)
    one = await office.only()
    await office.records.catalogue.processed(one.id, outcome(), MONDAY, None)
    await store_audio(office.records, one.id)
    await office.after(100 * 86400)
    assert path.is_file()
    other = path.with_name(f"{UNIQUEID}-in.wav")
    other.write_bytes(wav(0.5, loudness=1))
    office.policy = RecordingPolicy(remove_at_pbx_after_days=30)
    await office.after(61)
    assert not path.exists()
    assert other.exists()


async def test_the_pbxs_files_cannot_be_removed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy says they go, the directory is not ours to write: said in a sentence, and done once it is."""

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    await office.ended_call()
    path = leave(office.spool, UNIQUEID)
    await office.after(3)
    one = await office.only()
    await office.records.catalogue.processed(one.id, outcome(), MONDAY, None)
    await store_audio(office.records, one.id)
    office.policy = RecordingPolicy(remove_at_pbx_after_days=1)
    with monkeypatch.context() as forbidden:
        forbidden.setattr(Path, "unlink", refuse)
        await office.after(2 * 86400)
    assert "may not remove" in (office.intake.problem or "")
    assert path.is_file()
    await office.after(61)
    assert office.intake.problem is None
    assert not path.exists()


async def store_audio(records: RecordsStore, recording_id: UUID) -> None:
    """The storage keeps its audio, verified."""
    async with records.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO audio_objects (key, recording_id, kind, bytes, sha256) "
                "VALUES (:key, :id, 'current', 1, '')"
            ),
            {"key": str(recording_id), "id": recording_id},
        )

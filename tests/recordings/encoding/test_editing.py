"""Clips and redactions: what was covered is gone, from the sound and from the picture; the rest is as it was."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import av
import pytest

from call_records.recordings.catalogue.rows import measures_json
from call_records.recordings.encoding import editing_audio
from call_records.recordings.encoding.editing import AudioEditor
from call_records.recordings.encoding.editing_audio import BEEP_HERTZ, BEEP_LEVEL, decoded
from call_records.recordings.encoding.encoder import encode
from call_records.recordings.encoding.sources import DECODED_RATE
from call_records.recordings.encoding.types import Sources
from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import Recording
from call_records.store import RecordsStore
from telephony.errors import NeedsPerson, PeerMistake, TryLater
from telephony.recordings import Layout, RecordingPolicy, RecordingState
from tests.recordings.rows import AT, a_recording, an_account
from tests.recordings.sounds import level_at, loudness, side_of, tone, write_wav

pytestmark = pytest.mark.postgres

CUSTOMER, COLLEAGUE = 400, 1700  # Hz; both talk all the time, so that nothing is silent by chance
SECONDS = 12.0
EDGE = 0.07  # a redaction may begin and end up to a packet early and late


DESTROYS = RecordingPolicy(destroy_redacted_original=True)


@pytest.fixture
def shelf(records: RecordsStore, tmp_path: Path) -> AudioShelf:
    return AudioShelf(records.engine, AudioSettings(tmp_path / "audio"))


@pytest.fixture
async def editor(records: RecordsStore, shelf: AudioShelf, tmp_path: Path) -> AsyncIterator[AudioEditor]:
    settings = AudioSettings(tmp_path / "audio")
    made = AudioEditor(records.engine, records.recordings, shelf, records.retention, settings)
    yield made
    await made.close()


@pytest.fixture
async def recording(records: RecordsStore, shelf: AudioShelf, tmp_path: Path) -> UUID:
    """Twelve seconds in which the customer and a colleague both talk without a pause."""
    made = encode(
        Sources(
            write_wav(tmp_path / "in.wav", tone(CUSTOMER, SECONDS)),
            write_wav(tmp_path / "out.wav", tone(COLLEAGUE, SECONDS)),
            outside_first=True,
        ),
        tmp_path / "call.m4a",
    )
    recording_id = await a_recording(
        records,
        duration_seconds=made.duration_seconds,
        layout=Layout.STEREO.value,
        measures=measures_json(made.measures),
        peaks_left=made.peaks.left,
        peaks_right=made.peaks.right,
    )
    await shelf.keep(recording_id, tmp_path / "call.m4a")
    return recording_id


class Heard:
    """What can be heard of stored audio."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def level(self, hertz: float, side: int, since: float, until: float) -> float:
        return level_at(self._side(side, since, until), hertz, rate=DECODED_RATE)

    def besides(self, hertz: float, side: int, since: float, until: float) -> float:
        """How loud all is that is not this tone."""
        sound = self._side(side, since, until)
        of_tone = level_at(sound, hertz, rate=DECODED_RATE) / math.sqrt(2)
        return math.sqrt(max(0.0, loudness(sound) ** 2 - of_tone**2))

    def _side(self, side: int, since: float, until: float) -> bytes:
        return side_of(b"".join(decoded(self.file, since, until)), side)

    @property
    def seconds(self) -> float:
        with av.open(str(self.file)) as file:
            return (file.duration or 0) / 1_000_000


async def heard(shelf: AudioShelf, recording_id: UUID, to: Path, *, original: bool = False) -> Heard:
    content = b"".join([piece async for piece in shelf.whole(recording_id, original=original)])
    return Heard(_file(to / f"{uuid4().hex}.m4a", content))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


async def the(records: RecordsStore, recording_id: UUID) -> Recording:
    found = await records.recordings.one(recording_id)
    assert found is not None
    return found


async def test_what_was_covered_is_gone(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID, tmp_path: Path
) -> None:
    """A card number was said from 4 to 6 s. There both sides hold the beep and nothing else, packet by packet; before
    and after both are heard as ever, and the length is the same."""
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    now = await heard(shelf, recording, tmp_path)
    for side, voice in enumerate((CUSTOMER, COLLEAGUE)):
        for tenth in range(20):
            since = 4.0 + tenth / 10
            assert now.level(voice, side, since, since + 0.1) < 0.005
            assert now.besides(BEEP_HERTZ, side, since, since + 0.1) < 0.02
        assert now.level(BEEP_HERTZ, side, 4.1, 5.9) == pytest.approx(0.2, rel=0.1)
        assert now.level(voice, side, 1.0, 4.0 - EDGE) > 0.2
        assert now.level(voice, side, 6.0 + 2 * EDGE, 11.0) > 0.2
        assert now.level(BEEP_HERTZ, side, 1.0, 4.0 - EDGE) < 0.005
    assert now.seconds == SECONDS
    assert (await the(records, recording)).duration_seconds == SECONDS


async def test_from_the_first_sample_of_a_mixed_recording(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, tmp_path: Path
) -> None:
    """Everybody in one channel, and the span begins with the call: covered there, heard afterwards."""
    made = encode(Sources(mix=write_wav(tmp_path / "mix.wav", tone(CUSTOMER, 4))), tmp_path / "mix.m4a")
    recording = await a_recording(
        records, duration_seconds=4.0, layout=Layout.MONO.value, peaks_left=made.peaks.left
    )
    await shelf.keep(recording, tmp_path / "mix.m4a")
    await editor.redact(recording, 0.0, 1.5, by="Anna")
    now = (await heard(shelf, recording, tmp_path)).file
    covered, after = b"".join(decoded(now, 0, 1.5)), b"".join(decoded(now, 1.7, 3.9))
    assert level_at(covered, CUSTOMER, rate=DECODED_RATE) < 0.005
    assert level_at(covered, BEEP_HERTZ, rate=DECODED_RATE) == pytest.approx(0.2, rel=0.1)
    assert level_at(after, CUSTOMER, rate=DECODED_RATE) > 0.2
    peaks = await records.recordings.peaks(recording)
    assert peaks is not None
    assert peaks.right is None
    assert set(peaks.left[80:440]) <= set(range(48, 56))  # the beep needs 0.2 s to its full level
    assert (await the(records, recording)).redactions[0].from_seconds == 0


async def test_no_packet_of_it_is_left_in_the_file(
    shelf: AudioShelf, editor: AudioEditor, recording: UUID, tmp_path: Path
) -> None:
    """Whoever takes the file apart finds every packet outside of the span untouched and none of those inside it."""
    before = await heard(shelf, recording, tmp_path)
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    after = await heard(shelf, recording, tmp_path)
    was, now = packets(before.file), packets(after.file)
    assert was.keys() == now.keys()
    for begins, content in was.items():
        if begins + 0.06 <= 4.0 - EDGE or begins >= 6.0:
            assert now[begins] == content
        elif 4.0 - 0.06 <= begins < 6.0:
            assert content not in after.file.read_bytes()


def packets(file: Path) -> dict[float, bytes]:
    """The packets of a file by the second they begin at."""
    with av.open(str(file)) as opened:
        return {
            round(float(packet.pts * packet.time_base), 4): bytes(packet)
            for packet in opened.demux(audio=0)
            if packet.pts is not None and packet.time_base is not None and packet.size
        }


async def test_it_is_gone_from_the_picture_too(
    records: RecordsStore, editor: AudioEditor, recording: UUID
) -> None:
    """The waveform shows the beep's own level over the span on both sides, and what it showed before elsewhere."""
    before = await records.recordings.peaks(recording)
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    after = await records.recordings.peaks(recording)
    assert before is not None
    assert after is not None
    for was, now in ((before.left, after.left), (before.right, after.right)):
        assert was is not None
        assert now is not None
        assert len(now) == len(was)
        assert set(was[405:595]) <= set(range(70, 85))
        assert set(now[405:595]) <= set(range(48, 56))  # 0.2 of 255
        assert now[:390] == was[:390]
        assert now[615:] == was[615:]


async def test_the_list_of_what_is_covered(
    records: RecordsStore, editor: AudioEditor, recording: UUID
) -> None:
    """Two spans, each with who; the same order again changes nothing. A part of the first is a span of its own: whoever
    uncovers the longer one must not thereby let everybody hear the part."""
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    await editor.redact(recording, 9.0, 99.0, by="Boris")
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    await editor.redact(recording, 9.0, 99.0, by="Boris")
    await editor.redact(recording, 4.5, 5.0, by="Boris")
    first, second, part = (await the(records, recording)).redactions
    assert 4.5 - EDGE <= part.from_seconds <= 4.5
    assert first.by == "Anna"
    assert 4.0 - EDGE <= first.from_seconds <= 4.0
    assert 6.0 <= first.to_seconds <= 6.0 + EDGE
    assert (second.by, second.to_seconds) == ("Boris", SECONDS)


async def test_original_is_kept_for_those_with_the_right(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID, tmp_path: Path
) -> None:
    """By the usual policy the first original stays beside it, whatever is covered later."""
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    await editor.redact(recording, 8.0, 9.0, by="Anna")
    assert (await the(records, recording)).has_original
    original = await heard(shelf, recording, tmp_path, original=True)
    assert original.level(CUSTOMER, 0, 4.2, 5.8) > 0.2
    now = await heard(shelf, recording, tmp_path)
    assert now.level(CUSTOMER, 0, 4.2, 5.8) < 0.005
    assert now.level(CUSTOMER, 0, 8.1, 8.9) < 0.005


async def test_original_is_destroyed_by_policy(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID
) -> None:
    """An office that keeps nothing: no original, neither of this redaction nor from an earlier one."""
    await editor.redact(recording, 2.0, 3.0, by="Anna")
    await records.retention.set_policy(DESTROYS)
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    assert not (await the(records, recording)).has_original
    assert [one.kind for one in await shelf.objects_of(recording)] == ["current"]


async def test_legal_hold_forbids_to_destroy(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID
) -> None:
    """A court wants this recording: under a policy that destroys, it is not redacted at all."""
    await records.retention.place_hold(recording, by="Lawyer", why="case 12")
    await records.retention.set_policy(DESTROYS)
    with pytest.raises(PeerMistake, match="legal hold"):
        await editor.redact(recording, 4.0, 6.0, by="Anna")
    assert (await the(records, recording)).redactions == ()
    await records.retention.set_policy(RecordingPolicy())
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    assert (await the(records, recording)).has_original


async def test_clip_of_two_seconds(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID, tmp_path: Path
) -> None:
    """A clip holds that span, two-sided, and nothing around it."""
    link = uuid4()
    await editor.clip(recording, 4.0, 6.0, link)
    content = await shelf.read_clip(link)
    assert content is not None
    clip = Heard(_file(tmp_path / "clip.m4a", content))
    assert clip.seconds == pytest.approx(2.0, abs=0.001)
    assert clip.level(CUSTOMER, 0, 0.2, 1.8) > 0.2
    assert clip.level(COLLEAGUE, 1, 0.2, 1.8) > 0.2
    # Two steady tones are the worst there is for keeping sides apart: of speech nothing crosses.
    assert clip.level(COLLEAGUE, 0, 0.2, 1.8) < 0.15
    assert clip.level(CUSTOMER, 1, 0.2, 1.8) < 0.15


async def test_clip_is_cut_where_it_was_asked(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, tmp_path: Path
) -> None:
    """A tone that rises every second tells where a clip begins: at the second, not at the next packet."""
    scale = b"".join(tone(500 + 100 * second, 1) for second in range(10))
    mix = write_wav(tmp_path / "mix.wav", scale)
    encode(Sources(mix=mix), tmp_path / "mix.m4a")
    recording = await a_recording(records, duration_seconds=10.0, layout=Layout.MONO.value)
    await shelf.keep(recording, tmp_path / "mix.m4a")
    link = uuid4()
    await editor.clip(recording, 6.0, 8.0, link)
    content = await shelf.read_clip(link)
    assert content is not None
    sound = b"".join(decoded(_file(tmp_path / "clip.m4a", content), 0, 9))
    first, second = sound[: 2 * DECODED_RATE], sound[2 * DECODED_RATE :]
    middle = slice(1600, -1600)
    assert level_at(first[middle], 1100, rate=DECODED_RATE) > 0.2
    assert level_at(second[middle], 1200, rate=DECODED_RATE) > 0.2
    assert level_at(first[:1600], 1000, rate=DECODED_RATE) < 0.06  # 50 ms before the cut is not in it


async def test_redaction_covers_clips_too(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID, tmp_path: Path
) -> None:
    """The span was shared yesterday as a clip: behind the same link it is covered now. Another clip stays as it was."""
    anna = await an_account(records)
    links = [
        await records.links.make(
            recording_id=recording,
            token_hash=uuid4().bytes,
            from_seconds=since,
            to_seconds=until,
            made_by=anna.id,
            expires_at=AT + timedelta(days=3650),
        )
        for since, until in ((3.0, 5.0), (8.0, 9.0))
    ]
    for link, (since, until) in zip(links, ((3.0, 5.0), (8.0, 9.0)), strict=True):
        await editor.clip(recording, since, until, link.id)
    other = await shelf.read_clip(links[1].id)
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    content = await shelf.read_clip(links[0].id)
    assert content is not None
    clip = Heard(_file(tmp_path / "clip.m4a", content))
    assert clip.level(CUSTOMER, 0, 0.2, 0.9) > 0.2
    assert clip.level(CUSTOMER, 0, 1.1, 1.9) < 0.01
    assert clip.level(COLLEAGUE, 1, 1.1, 1.9) < 0.01
    assert await shelf.read_clip(links[1].id) == other


async def test_the_last_span_uncovered_is_as_if_nothing_had_been(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID
) -> None:
    """The wrong part was covered: the sound is bit for bit what it was and no second copy is kept. The waveform shows voices
    again where the beep was (as they sound encoded), and is untouched elsewhere.
    """
    was = b"".join([piece async for piece in shelf.whole(recording)])
    peaks = await records.recordings.peaks(recording)
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    (span,) = (await the(records, recording)).redactions
    await editor.uncover(recording, span.id, by="Anna")
    await editor.uncover(recording, span.id, by="Boris")  # who was a moment later
    now = await the(records, recording)
    assert (now.redactions, now.has_original) == ((), False)
    assert b"".join([piece async for piece in shelf.whole(recording)]) == was
    after = await records.recordings.peaks(recording)
    assert peaks is not None
    assert after is not None
    for now_side, was_side in ((after.left, peaks.left), (after.right or b"", peaks.right or b"")):
        assert now_side[:390] == was_side[:390]
        assert now_side[615:] == was_side[615:]
        assert max(now_side[400:600]) > BEEP_LEVEL * 255 * 1.2


async def test_uncovering_leaves_the_other_spans(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID, tmp_path: Path
) -> None:
    """Three spans, one within another: the longer one is lifted, what the others cover stays covered."""
    for span in ((4.0, 7.0), (9.0, 10.0), (5.0, 5.5)):
        await editor.redact(recording, *span, by="Anna")
    longer, *others = (await the(records, recording)).redactions
    await editor.uncover(recording, longer.id, by="Anna")
    now = await heard(shelf, recording, tmp_path)
    for side, voice in enumerate((CUSTOMER, COLLEAGUE)):
        assert now.level(voice, side, 4.0, 5.0 - 2 * EDGE) > 0.2
        assert now.level(voice, side, 5.0, 5.5) < 0.005
        assert now.level(voice, side, 5.5 + 2 * EDGE, 9.0 - 2 * EDGE) > 0.2
        assert now.level(voice, side, 9.0, 10.0) < 0.005
    kept = await the(records, recording)
    assert list(kept.redactions) == others
    assert kept.has_original


async def test_what_was_destroyed_is_not_uncovered(
    records: RecordsStore, shelf: AudioShelf, editor: AudioEditor, recording: UUID
) -> None:
    """One span was destroyed, then the policy changed and another was covered: an original stands beside it, and does not
    hold what was destroyed."""
    await records.retention.set_policy(DESTROYS)
    await editor.redact(recording, 2.0, 3.0, by="Anna")
    await records.retention.set_policy(RecordingPolicy())
    await editor.redact(recording, 8.0, 9.0, by="Anna")
    gone, kept = (await the(records, recording)).redactions
    assert (gone.destroyed, kept.destroyed) == (True, False)
    was = b"".join([piece async for piece in shelf.whole(recording)])
    with pytest.raises(PeerMistake, match="destroyed"):
        await editor.uncover(recording, gone.id, by="Anna")
    assert b"".join([piece async for piece in shelf.whole(recording)]) == was
    await records.retention.set_policy(DESTROYS)
    await editor.redact(recording, 5.0, 6.0, by="Anna")
    with pytest.raises(PeerMistake, match="destroyed"):
        await editor.uncover(recording, kept.id, by="Anna")


async def test_uncovering_reaches_clips_and_is_finished_after_a_fault(
    records: RecordsStore,
    shelf: AudioShelf,
    editor: AudioEditor,
    recording: UUID,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A shared clip holds the covered part. The storage goes away between the sound and the clip: the row says covered;
    the same order again finishes it, and the clip is heard too."""
    anna = await an_account(records)
    link = await records.links.make(
        recording_id=recording,
        token_hash=uuid4().bytes,
        from_seconds=3.0,
        to_seconds=5.0,
        made_by=anna.id,
        expires_at=AT + timedelta(days=3650),
    )
    await editor.clip(recording, 3.0, 5.0, link.id)
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    (span,) = (await the(records, recording)).redactions
    keep = shelf.keep

    async def away(recording_id: UUID, audio: Path, *, kind: str = "current") -> None:
        if kind.startswith("clip"):
            raise TryLater("The storage is away.")
        await keep(recording_id, audio, kind=kind)

    monkeypatch.setattr(shelf, "keep", away)
    with pytest.raises(TryLater):
        await editor.uncover(recording, span.id, by="Anna")
    assert (await the(records, recording)).redactions == (span,)
    monkeypatch.undo()
    await editor.uncover(recording, span.id, by="Anna")
    assert (await the(records, recording)).redactions == ()
    content = await shelf.read_clip(link.id)
    assert content is not None
    assert Heard(_file(tmp_path / "clip.m4a", content)).level(CUSTOMER, 0, 1.1, 1.9) > 0.2


@pytest.mark.parametrize("span", [(5.0, 5.0), (6.0, 5.0), (12.0, 13.0), (math.nan, 5.0), (3.0, math.nan)])
async def test_span_that_is_none(editor: AudioEditor, recording: UUID, span: tuple[float, float]) -> None:
    """Nothing between these moments: said, and nothing was changed."""
    with pytest.raises(PeerMistake):
        await editor.redact(recording, *span, by="Anna")
    with pytest.raises(PeerMistake):
        await editor.clip(recording, *span, uuid4())


async def test_storage_fails_in_the_middle_and_the_order_is_given_again(
    records: RecordsStore,
    shelf: AudioShelf,
    editor: AudioEditor,
    recording: UUID,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The original is put aside, then the storage goes away: nothing is said to be covered. Again, and it is."""
    keep = shelf.keep

    async def away(recording_id: UUID, audio: Path, *, kind: str = "current") -> None:
        if kind == "current":
            raise TryLater("The storage is away.")
        await keep(recording_id, audio, kind=kind)

    monkeypatch.setattr(shelf, "keep", away)
    with pytest.raises(TryLater):
        await editor.redact(recording, 4.0, 6.0, by="Anna")
    assert (await the(records, recording)).redactions == ()
    monkeypatch.undo()
    await editor.redact(recording, 4.0, 6.0, by="Anna")
    assert len((await the(records, recording)).redactions) == 1
    original = await heard(shelf, recording, tmp_path, original=True)
    assert original.level(CUSTOMER, 0, 4.2, 5.8) > 0.2


async def test_removed_while_it_was_covered(
    records: RecordsStore,
    shelf: AudioShelf,
    editor: AudioEditor,
    recording: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody deletes it after the covered audio was stored: the tombstone gets no waveform and no span."""
    keep = shelf.keep

    async def kept_then_removed(recording_id: UUID, audio: Path, *, kind: str = "current") -> None:
        await keep(recording_id, audio, kind=kind)
        if kind == "current":
            await records.retention.remove(recording_id, by="Boris", why="Asked for by the customer")

    monkeypatch.setattr(shelf, "keep", kept_then_removed)
    with pytest.raises(PeerMistake, match="removed"):
        await editor.redact(recording, 4.0, 6.0, by="Anna")
    tombstone = await the(records, recording)
    assert (tombstone.state, tombstone.redactions) == (RecordingState.REMOVED, ())
    assert await records.recordings.peaks(recording) is None


async def test_redaction_goes_on_when_whoever_asked_has_left(
    records: RecordsStore, editor: AudioEditor, recording: UUID
) -> None:
    """The page was closed a moment after the order: it is carried out all the same."""
    asked = asyncio.create_task(editor.redact(recording, 4.0, 6.0, by="Anna"))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    async with asyncio.timeout(30):
        while not (await the(records, recording)).redactions:
            await asyncio.sleep(0.02)


async def test_two_redactions_at_once(
    shelf: AudioShelf, editor: AudioEditor, recording: UUID, records: RecordsStore, tmp_path: Path
) -> None:
    """Two supervisors cover two spans in the same second: both are covered."""
    await asyncio.gather(
        editor.redact(recording, 2.0, 3.0, by="Anna"), editor.redact(recording, 7.0, 8.0, by="Boris")
    )
    now = await heard(shelf, recording, tmp_path)
    assert now.level(CUSTOMER, 0, 2.1, 2.9) < 0.005
    assert now.level(CUSTOMER, 0, 7.1, 7.9) < 0.005
    assert len((await the(records, recording)).redactions) == 2


async def test_mp3_for_what_cannot_play_mp4(editor: AudioEditor, recording: UUID, tmp_path: Path) -> None:
    """The whole call as MP3: its length, both sides, and nothing left in the work directory."""
    file = _file(tmp_path / "call.mp3", await editor.as_mp3(recording))
    with av.open(str(file)) as opened:
        assert opened.streams.audio[0].codec_context.name in ("mp3", "mp3float")
        assert (opened.duration or 0) / 1_000_000 == pytest.approx(SECONDS, abs=0.2)
    assert Heard(file).level(CUSTOMER, 0, 2, 3) > 0.2
    assert list((tmp_path / "audio" / "work" / "edits").iterdir()) == []


async def test_without_storage_everything_says_so(records: RecordsStore, recording: UUID) -> None:
    """Nobody said where audio is kept: a sentence, no crash."""
    with pytest.raises(NeedsPerson):
        await records.editor.as_mp3(recording)


def test_long_clip_is_cut_as_it_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a quarter of an hour (here: a second) a clip is not taken into memory; it is the same span."""
    monkeypatch.setattr(editing_audio, "PYDUB_SECONDS", 1)
    mix = write_wav(tmp_path / "mix.wav", tone(CUSTOMER, 3) + tone(COLLEAGUE, 3))
    encode(Sources(mix=mix), tmp_path / "call.m4a")
    editing_audio.clip(tmp_path / "call.m4a", tmp_path / "clip.m4a", 2.5, 5.0)
    assert Heard(tmp_path / "clip.m4a").seconds == pytest.approx(2.5, abs=0.001)
    sound = b"".join(decoded(tmp_path / "clip.m4a", 0, 9))
    assert level_at(sound[: DECODED_RATE - 2000], CUSTOMER, rate=DECODED_RATE) > 0.2
    assert level_at(sound[DECODED_RATE + 2000 :], COLLEAGUE, rate=DECODED_RATE) > 0.2

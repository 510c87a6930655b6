"""Encoding: which side is whom, what a lying header costs, and what is measured on the way."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from call_records.recordings.encoding.editing_audio import decoded
from call_records.recordings.encoding.encoder import encode, interleaved
from call_records.recordings.encoding.sources import DECODED_RATE
from call_records.recordings.encoding.types import Soundless, Sources, Unreadable
from call_records.recordings.types import PEAKS
from telephony.recordings import HealthFault, Layout
from tests.examples import examples
from tests.recordings.sound_files import converted
from tests.recordings.sounds import (
    RATE,
    level_at,
    loudness,
    side_of,
    silence,
    tone,
    write_law_wav,
    write_silent_wav,
    write_wav,
)

CUSTOMER = 400  # Hz
COLLEAGUE = 1100


def heard(audio: Path, from_seconds: float, to_seconds: float, side: int | None = None) -> bytes:
    """What a listener hears in that span, of one side."""
    sound = b"".join(decoded(audio, from_seconds, to_seconds))
    return sound if side is None else side_of(sound, side)


def level(audio: Path, hertz: float, side: int | None, from_seconds: float, to_seconds: float) -> float:
    """How loud one frequency is on one side in that span."""
    return level_at(heard(audio, from_seconds, to_seconds, side), hertz, rate=DECODED_RATE)


@pytest.fixture
def two_sides(tmp_path: Path) -> Sources:
    """The customer (IN) hums for 3 s, then the colleague (OUT) answers for 3 s."""
    return Sources(
        in_side=write_wav(tmp_path / "in.wav", tone(CUSTOMER, 3) + silence(3)),
        out_side=write_wav(tmp_path / "out.wav", silence(3) + tone(COLLEAGUE, 3)),
        outside_first=True,
    )


def test_left_is_the_outside_party(two_sides: Sources, tmp_path: Path) -> None:
    """An inbound call: the recorded channel is the customer's. They are on the left, only there, and when they spoke."""
    made = encode(two_sides, tmp_path / "call.m4a")
    audio = tmp_path / "call.m4a"
    assert made.layout is Layout.STEREO
    assert level(audio, CUSTOMER, 0, 1, 2) == pytest.approx(0.3, rel=0.2)
    assert level(audio, COLLEAGUE, 1, 4, 5) == pytest.approx(0.3, rel=0.2)
    assert loudness(heard(audio, 1, 2, side=1)) < 0.001
    assert loudness(heard(audio, 4, 5, side=0)) < 0.001


def test_sides_are_swapped_when_the_recorded_channel_is_ours(two_sides: Sources, tmp_path: Path) -> None:
    """An outbound call recorded on the handset's channel: OUT is the customer, and they are on the left all the same."""
    swapped = Sources(two_sides.in_side, two_sides.out_side, None, outside_first=False)
    encode(swapped, tmp_path / "call.m4a")
    assert level(tmp_path / "call.m4a", COLLEAGUE, 0, 4, 5) > 0.2
    assert level(tmp_path / "call.m4a", CUSTOMER, 1, 1, 2) > 0.2


def test_finished_file_is_what_a_browser_wants(two_sides: Sources, tmp_path: Path) -> None:
    """Opus in MP4 at 48 kHz, two channels, the length to the sample, and the index before the audio."""
    encode(two_sides, tmp_path / "call.m4a")
    with av.open(str(tmp_path / "call.m4a")) as file:
        stream = file.streams.audio[0]
        assert (stream.codec_context.name, stream.codec_context.channels) == ("opus", 2)
        assert stream.time_base is not None
        assert stream.time_base.denominator == 48000
        assert file.duration == 6_000_000
    content = (tmp_path / "call.m4a").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_mixed_file_of_a_stock_system(tmp_path: Path) -> None:
    """FreePBX's own recordings hold everybody in one channel: mono, no sides, silence still measured."""
    mixed = write_wav(tmp_path / "mix.wav", tone(CUSTOMER, 2) + silence(4) + tone(COLLEAGUE, 2))
    made = encode(Sources(mix=mixed), tmp_path / "call.m4a")
    assert made.layout is Layout.MONO
    assert made.peaks.right is None
    assert made.measures.outside_talk_share is None
    assert made.measures.silence_share == pytest.approx(0.5, abs=0.02)
    assert made.measures.longest_silence_seconds == pytest.approx(4, abs=0.05)
    assert made.measures.longest_silence_at_seconds == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("container", ["mp3", "mp4", "ogg", "flac", "adts"])
def test_other_kinds_of_sound(tmp_path: Path, container: str) -> None:
    """What was converted at the PBX is heard as it is there, to its end."""
    mixed = tmp_path / "mix.sound"
    mixed.write_bytes(converted(container, 3))
    made = encode(Sources(mix=mixed), tmp_path / "call.m4a")
    assert (made.layout, made.faults) == (Layout.MONO, ())
    assert made.duration_seconds == pytest.approx(3, abs=0.2)
    assert level(tmp_path / "call.m4a", 440, None, 2, 2.8) > 0.2


def test_mixed_file_with_two_channels(tmp_path: Path) -> None:
    """Another recorder's stereo file: two sides where it is known whose the first one is, else mixed."""
    both = interleaved([tone(CUSTOMER, 1), silence(1)])
    stereo = write_wav(tmp_path / "mix.wav", both, channels=2)
    encode(Sources(mix=stereo, outside_first=False), tmp_path / "known.m4a")
    assert level(tmp_path / "known.m4a", CUSTOMER, 1, 0.2, 0.8) > 0.2
    assert loudness(heard(tmp_path / "known.m4a", 0.2, 0.8, side=0)) < 0.001
    assert encode(Sources(mix=stereo), tmp_path / "unknown.m4a").layout is Layout.MONO


def test_sides_of_unequal_length_stay_in_step(tmp_path: Path) -> None:
    """One file is a second shorter: it gets silence at its end, and the difference is told."""
    sources = Sources(
        write_wav(tmp_path / "in.wav", tone(CUSTOMER, 5)),
        write_wav(tmp_path / "out.wav", tone(COLLEAGUE, 4)),
        outside_first=True,
    )
    made = encode(sources, tmp_path / "call.m4a")
    assert made.duration_seconds == 5
    assert made.difference_seconds == 1
    assert loudness(heard(tmp_path / "call.m4a", 4.3, 4.8, side=1)) < 0.001


def test_one_side_of_two_is_missing(tmp_path: Path) -> None:
    """Only the customer's file came: still stereo, and our silence is a fault somebody sees."""
    sources = Sources(in_side=write_wav(tmp_path / "in.wav", tone(CUSTOMER, 6)), outside_first=True)
    made = encode(sources, tmp_path / "call.m4a")
    assert made.layout is Layout.STEREO
    assert made.faults == (HealthFault.OURS_SILENT,)


@pytest.mark.parametrize("form", [6, 7], ids=["A-law", "µ-law"])
def test_telephone_codecs_in_a_wav(tmp_path: Path, form: int) -> None:
    """`MixMonitor(…)` with .alaw or .ulaw data in a WAV header is the same conversation."""
    mix = write_law_wav(tmp_path / "mix.wav", tone(CUSTOMER, 2), form)
    made = encode(Sources(mix=mix), tmp_path / "call.m4a")
    assert made.duration_seconds == 2
    assert level(tmp_path / "call.m4a", CUSTOMER, None, 0.5, 1.5) == pytest.approx(0.3, rel=0.2)


def wav49(blocks: bytes, promised: int) -> bytes:
    """GSM in a WAV, the header as Asterisk writes it; blocks of 65 bytes hold 320 samples each."""
    form = struct.pack("<4sIHHIIHHHH", b"fmt ", 20, 0x31, 1, RATE, 1625, 65, 0, 2, 320)
    fact = struct.pack("<4sII", b"fact", 4, promised // 65 * 320)
    data = struct.pack("<4sI", b"data", promised) + blocks
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form + fact + data), b"WAVE") + form + fact + data


@pytest.mark.parametrize(("promised", "faults"), [(16_250, False), (32_500, True)], ids=["whole", "cut off"])
def test_wav49(tmp_path: Path, promised: int, faults: bool) -> None:
    """`.WAV` of Asterisk, ten seconds: whole, or flagged where the header promises twenty."""
    (tmp_path / "mix.WAV").write_bytes(wav49(bytes(16_250), promised))
    made = encode(Sources(mix=tmp_path / "mix.WAV"), tmp_path / "call.m4a")
    assert made.duration_seconds == pytest.approx(10, abs=0.05)
    assert (HealthFault.TRUNCATED in made.faults) is faults


def test_wideband_side_beside_a_narrowband_one(tmp_path: Path) -> None:
    """16 kHz on one side, 8 kHz on the other: both are heard at their own pitch and length."""
    sources = Sources(
        write_wav(tmp_path / "in.wav", tone(CUSTOMER, 2, rate=16000), rate=16000),
        write_wav(tmp_path / "out.wav", tone(COLLEAGUE, 2)),
        outside_first=True,
    )
    made = encode(sources, tmp_path / "call.m4a")
    assert made.duration_seconds == pytest.approx(2, abs=0.001)
    assert level(tmp_path / "call.m4a", CUSTOMER, 0, 0.5, 1.5) > 0.15
    assert level(tmp_path / "call.m4a", COLLEAGUE, 1, 0.5, 1.5) > 0.15


@pytest.mark.parametrize("promised", [0, 0xFFFFFFFF, 10 * RATE * 2], ids=["zero", "endless", "too much"])
def test_header_that_was_never_finished(tmp_path: Path, promised: int) -> None:
    """The PBX was killed while it recorded: the header lies, the 3 s that are there are kept, and flagged."""
    path = write_wav(tmp_path / "mix.wav", tone(CUSTOMER, 3))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 40, promised)
    path.write_bytes(content + b"\x07")  # and half a sample
    made = encode(Sources(mix=path), tmp_path / "call.m4a")
    assert made.duration_seconds == 3
    assert HealthFault.TRUNCATED in made.faults


def test_what_follows_the_audio_is_not_audio(tmp_path: Path) -> None:
    """A recorder writes its name behind the samples: it is not played, and nothing is wrong."""
    path = write_wav(tmp_path / "mix.wav", tone(CUSTOMER, 3))
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4000) + bytes(4000))
    made = encode(Sources(mix=path), tmp_path / "call.m4a")
    assert (made.duration_seconds, made.faults) == (3, ())


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a sound" * 100, b"RIFF\0\0\0\0WAVEfmt "])
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes) -> None:
    """Garbage under a recording's name: a sentence, not a crash."""
    (tmp_path / "mix.wav").write_bytes(content)
    with pytest.raises(Unreadable):
        encode(Sources(mix=tmp_path / "mix.wav"), tmp_path / "call.m4a")


@given(
    kind=st.sampled_from(["plain", "wav49"]),
    damage=st.lists(st.tuples(st.integers(0, 70), st.integers(0, 255)), max_size=6),
    end=st.integers(0, 700),
)
@settings(
    max_examples=examples(120),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_headers(tmp_path: Path, kind: str, damage: list[tuple[int, int]], end: int) -> None:
    """Whatever is wrong with a header: it is encoded with sane measures, or refused; never anything else."""
    content = bytearray(_small(tmp_path, kind))
    for place, value in damage:
        content[place] = value
    (tmp_path / "damaged.wav").write_bytes(content[: len(content) - end])
    try:
        made = encode(Sources(mix=tmp_path / "damaged.wav"), tmp_path / "call.m4a")
    except Unreadable:
        return
    assert made.duration_seconds > 0
    assert len(made.peaks.left) == PEAKS
    assert 0 <= made.measures.silence_share <= 1


def _small(directory: Path, kind: str) -> bytes:
    if kind == "plain":
        return write_wav(directory / "small.wav", tone(CUSTOMER, 0.1)).read_bytes()
    return wav49(blocks=bytes(65) * 20, promised=20 * 65)


def test_play_list_is_no_recording(tmp_path: Path) -> None:
    """A play list that names another file of this machine is refused, and that file is not read."""
    secret = write_wav(tmp_path / "secret.wav", tone(CUSTOMER, 2))
    (tmp_path / "mix.wav").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{secret}\n")
    with pytest.raises(Unreadable):
        encode(Sources(mix=tmp_path / "mix.wav"), tmp_path / "call.m4a")
    (tmp_path / "mix.wav").write_text(f"ffconcat version 1.0\nfile {secret.name}\n")
    with pytest.raises(Unreadable):
        encode(Sources(mix=tmp_path / "mix.wav"), tmp_path / "call.m4a")


def test_header_without_a_sample(tmp_path: Path) -> None:
    """44 bytes, as an unanswered call leaves them."""
    with pytest.raises(Soundless):
        encode(Sources(mix=write_wav(tmp_path / "mix.wav", b"")), tmp_path / "call.m4a")


def test_a_few_samples_are_a_recording(tmp_path: Path) -> None:
    """Ten milliseconds: less than a packet, than a frame of the measure and than a part of the waveform."""
    made = encode(Sources(mix=write_wav(tmp_path / "mix.wav", tone(CUSTOMER, 0.01))), tmp_path / "call.m4a")
    assert made.duration_seconds == pytest.approx(0.01)
    assert len(made.peaks.left) == PEAKS


def test_waveform_shows_who_spoke_when(two_sides: Sources, tmp_path: Path) -> None:
    """1200 values a side: the customer's in the first half, ours in the second, each at its level."""
    peaks = encode(two_sides, tmp_path / "call.m4a").peaks
    assert peaks.right is not None
    assert (len(peaks.left), len(peaks.right)) == (PEAKS, PEAKS)
    half = PEAKS // 2
    assert set(peaks.left[:half]) <= set(range(70, 80))
    assert set(peaks.left[half:]) == {0}
    assert set(peaks.right[:half]) == {0}
    assert set(peaks.right[half:]) <= set(range(70, 80))


def test_talk_overlap_and_silence(tmp_path: Path) -> None:
    """Ten seconds: the customer 0-4, we 3-6, nobody from 6 to 9, the customer again. Known shares, known silence."""
    sources = Sources(
        write_wav(tmp_path / "in.wav", tone(CUSTOMER, 4) + silence(5) + tone(CUSTOMER, 1)),
        write_wav(tmp_path / "out.wav", silence(3) + tone(COLLEAGUE, 3) + silence(4)),
        outside_first=True,
    )
    measures = encode(sources, tmp_path / "call.m4a").measures
    assert measures.outside_talk_share == pytest.approx(0.5, abs=0.01)
    assert measures.ours_talk_share == pytest.approx(0.3, abs=0.01)
    assert measures.overlap_share == pytest.approx(0.1, abs=0.01)
    assert measures.silence_share == pytest.approx(0.3, abs=0.01)
    assert measures.longest_silence_seconds == pytest.approx(3, abs=0.05)
    assert measures.longest_silence_at_seconds == pytest.approx(6, abs=0.05)
    assert measures.loudest == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("outside", "ours", "fault"),
    [
        (silence(6), silence(6), HealthFault.SILENT),
        (tone(CUSTOMER, 6, level=0.0004), tone(CUSTOMER, 6, level=0.0004), HealthFault.SILENT),  # only hiss
        (silence(6), tone(COLLEAGUE, 6), HealthFault.OUTSIDE_SILENT),
        (tone(CUSTOMER, 6), silence(6), HealthFault.OURS_SILENT),
        (tone(CUSTOMER, 6, level=1.0), tone(COLLEAGUE, 6), HealthFault.CLIPPED),
    ],
)
def test_faults_of_the_sound(tmp_path: Path, outside: bytes, ours: bytes, fault: HealthFault) -> None:
    """Each fault alone, as a supervisor will see it."""
    sources = Sources(
        write_wav(tmp_path / "in.wav", outside), write_wav(tmp_path / "out.wav", ours), outside_first=True
    )
    assert encode(sources, tmp_path / "call.m4a").faults == (fault,)


def test_short_call_of_one_person_is_no_fault(tmp_path: Path) -> None:
    """'Wrong number', two seconds, and nobody answers: nothing is wrong with the line."""
    sources = Sources(
        write_wav(tmp_path / "in.wav", tone(CUSTOMER, 2)), write_wav(tmp_path / "out.wav", silence(2)),
        outside_first=True,
    )  # fmt: skip
    assert encode(sources, tmp_path / "call.m4a").faults == ()


def test_missing_file_is_told_as_such(tmp_path: Path) -> None:
    """The PBX's directory was unmounted: not 'unreadable', since the file may come back."""
    with pytest.raises(FileNotFoundError):
        encode(Sources(mix=tmp_path / "gone.wav"), tmp_path / "call.m4a")


def test_long_silence_costs_little(tmp_path: Path) -> None:
    """Minutes of a forgotten conference: measured whole, and small."""
    made = encode(Sources(mix=write_silent_wav(tmp_path / "mix.wav", 200)), tmp_path / "call.m4a")
    assert made.duration_seconds == 200
    assert made.measures.longest_silence_seconds == pytest.approx(200)
    assert (tmp_path / "call.m4a").stat().st_size < 70_000

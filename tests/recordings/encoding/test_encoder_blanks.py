"""Where a side of a recording holds nothing at all: exact zeros, told apart from the quietest sound."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from call_records.recordings.encoding.encoder import encode
from call_records.recordings.encoding.measurement import BLANKS_MOST, SideMeter, blanks
from call_records.recordings.encoding.types import Sources
from call_records.recordings.types import Blanks, Span
from tests.recordings.sounds import silence, tone, write_law_wav, write_wav

HUM = 400  # Hz
FRAME = 0.02  # s; a stretch is told to whole frames


def blanks_of(sound: bytes, *, rate: int = 8000, block_seconds: float = 1.0) -> tuple[Span, ...]:
    """Of one side, fed in blocks of this length."""
    meter = SideMeter(rate, len(sound) // 2)
    step = round(rate * block_seconds) * 2
    for start in range(0, len(sound), step):
        meter.feed(sound[start : start + step])
    other = SideMeter(rate, 0)
    return blanks([meter, other]).outside


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("block_seconds", [1.0, 0.02, 60.0], ids=["seconds", "frames", "at once"])
@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ((-6, 3), [(0, 6)]),
        ((3, -6, 3), [(3, 9)]),
        ((3.5, -6.3, 3), [(3.5, 9.8)]),
        ((3, -6.01), [(3, 9.01)]),
        ((3, -5, 3), [(3, 8)]),
        ((3, -4.9, 3), []),
        ((-7, 1, -4, 1, -6, 1), [(0, 7), (13, 19)]),
        ((-8,), [(0, 8)]),
        ((8,), []),
    ],
    ids=[
        "start", "middle", "across seconds", "end in half a frame", "just five", "too short", "two", "all", "none",
    ],
)  # fmt: skip
def test_stretches(rate: int, block_seconds: float, parts: list[float], found: list[Span]) -> None:
    """Sound (seconds) and nothing (negative ones) in turn: each stretch of five seconds and more, to a frame."""
    sound = b"".join(tone(HUM, p, rate=rate) if p > 0 else silence(-p, rate=rate) for p in parts)
    told = blanks_of(sound, rate=rate, block_seconds=block_seconds)
    assert [moment for span in told for moment in span] == pytest.approx(
        [moment for span in found for moment in span], abs=FRAME + 1e-6
    )


def test_nothing_is_never_made_longer() -> None:
    """A stretch that begins and ends inside frames loses those: what is told is exact zeros from end to end."""
    ((since, until),) = blanks_of(tone(HUM, 3.505) + silence(6) + tone(HUM, 3.495))
    assert (since, until) == (3.52, 9.5)
    assert blanks_of(tone(HUM, 1) + silence(6.01)) == ((1.0, 7.01),)  # the last frame is half a one


@pytest.mark.parametrize("sample", [1, -1, 8])
def test_one_sample_is_something(sample: int) -> None:
    """A single sample of the smallest size in the middle ends a stretch, though its 20 ms have no level to speak of."""
    sound = bytearray(silence(12))
    sound[48_000 * 2 : 48_000 * 2 + 2] = sample.to_bytes(2, "little", signed=True)
    assert blanks_of(bytes(sound)) == ((0.0, 6.0), (6.02, 12.0))


def test_faint_hiss_is_no_blank() -> None:
    """A line that hisses with the last bit, one sample in twenty: not nothing."""
    chance = random.Random(7)
    hiss = b"".join((1 if chance.random() < 0.05 else 0).to_bytes(2, "little") for _ in range(80_000))
    assert blanks_of(hiss) == ()


def test_silence_of_a_law_is_something(tmp_path: Path) -> None:
    """A-law knows no zero, its silence is 8; in µ-law silence is zero."""
    of = {}
    for form in (6, 7):
        quiet = write_law_wav(tmp_path / f"{form}.wav", tone(HUM, 1) + silence(8), form)
        made = encode(Sources(quiet, quiet, outside_first=True), tmp_path / "call.m4a")
        of[form] = made.blanks
    assert of[6] == Blanks()
    assert of[7] == Blanks(outside=((1.0, 9.0),), ours=((1.0, 9.0),))


def test_only_the_longest_are_kept_in_order() -> None:
    """A line with hundreds of holes: a bounded number, none shorter than one that was dropped."""
    lengths = [5 + n % 7 * 0.1 for n in range(BLANKS_MOST + 30)]
    told = blanks_of(b"".join(silence(length) + tone(HUM, 0.1) for length in lengths))
    assert len(told) == BLANKS_MOST
    assert list(told) == sorted(told)
    kept = sorted(round(until - since, 2) for since, until in told)
    assert kept == [round(length, 2) for length in sorted(lengths)[30:]]


def test_which_side_it_was(tmp_path: Path) -> None:
    """Ours is recorded at 16 kHz and has a hole; the customer's at 8 kHz is shorter, and the rest of it is nothing."""
    sources = Sources(
        in_side=write_wav(tmp_path / "in.wav", tone(HUM, 10)),
        out_side=write_wav(
            tmp_path / "out.wav", tone(HUM, 4, rate=16000) + silence(6, rate=16000) + tone(HUM, 6, rate=16000),
            rate=16000,
        ),
        outside_first=True,
    )  # fmt: skip
    made = encode(sources, tmp_path / "call.m4a").blanks
    assert made.ours == ((4.0, 10.0),)
    ((since, until),) = made.outside
    assert since == pytest.approx(10, abs=FRAME)
    assert until == 16.0


def test_mixed_audio_has_no_sides(tmp_path: Path) -> None:
    """Everybody in one channel: whose silence it was cannot be told."""
    mixed = write_wav(tmp_path / "mix.wav", tone(HUM, 2) + silence(8))
    assert encode(Sources(mix=mixed), tmp_path / "call.m4a").blanks == Blanks()

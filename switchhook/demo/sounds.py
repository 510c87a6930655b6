"""Conversations to listen to for the demo's past calls: two voices that take turns.

Where the private Asterisk has its spoken prompts, the voices say those; otherwise two made-up voices babble, so that a
waveform looks and sounds like people, whatever they say. Both sides are written as the PBX writes them.
"""

from __future__ import annotations

import itertools
import math
import random
import struct
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from switchhook.lab.phone_media import FRAME_SAMPLES, linear_of_alaw

RATE = 8000
QUIET = 400  # of 32767: below this nobody speaks
QUIET_BYTES = bytes(byte for byte in range(256) if abs(linear_of_alaw(byte)) < QUIET)
QUIET_EXCEPT = 16  # louder samples of the 160 in a packet; noise makes some
PAUSE_FRAMES = 10  # a fifth of a second of quiet ends a phrase
PHRASE_SECONDS = (0.8, 6.0)  # shorter is a cough, longer a speech
PROMPT_SECONDS = 30  # of each prompt; the longest reads for minutes
SYLLABLES, PHRASES = 12, 16
PITCHES_HZ = (112.0, 196.0)
_LOW = bytes(linear_of_alaw(byte) & 0xFF for byte in range(256))
_HIGH = bytes(linear_of_alaw(byte) >> 8 & 0xFF for byte in range(256))

Phrase = bytes
"""Samples of 16 bits."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The two sides' files, of the same length."""

    seconds: int
    outside: Path
    ours: Path


def write_conversations(
    directory: Path, lengths: Sequence[int], prompts: Sequence[Path] = (), *, seed: int = 1
) -> list[Conversation]:
    """One conversation of each length. `prompts` are A-law files."""
    chance = random.Random(seed)  # noqa: S311 - sounds, not secrets
    voices = _voices(prompts, chance)
    return [_write(directory, seconds, voices, chance) for seconds in lengths]


def _write(
    directory: Path, seconds: int, voices: Sequence[Sequence[Phrase]], chance: random.Random
) -> Conversation:
    made = Conversation(seconds, directory / f"demo-{seconds}-in.wav", directory / f"demo-{seconds}-out.wav")
    sides = _turns(seconds * RATE, voices, chance)
    for path, samples in zip((made.outside, made.ours), sides, strict=True):
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples)
    return made


def _turns(samples: int, voices: Sequence[Sequence[Phrase]], chance: random.Random) -> tuple[bytes, bytes]:
    """Ours greets; then the two take turns until the time is over."""
    sides = (bytearray(2 * samples), bytearray(2 * samples))
    at = RATE // 2
    for side in itertools.cycle((1, 0)):
        for _ in range(chance.choice((1, 1, 2))):
            phrase = chance.choice(voices[side])
            room = samples - RATE // 2 - at
            if room <= len(phrase) // 2:
                return bytes(sides[0]), bytes(sides[1])
            sides[side][2 * at : 2 * at + len(phrase)] = phrase
            at += len(phrase) // 2 + int(RATE * chance.uniform(0.15, 0.5))
        at += int(RATE * chance.uniform(0.1, 0.7))
    raise AssertionError("a cycle has no end")


def _voices(prompts: Sequence[Path], chance: random.Random) -> list[list[Phrase]]:
    spoken = [phrase for path in prompts for phrase in _phrases_of(path)]
    if len(spoken) >= 4:
        return [spoken[0::2], spoken[1::2]]
    return [list(_babble(pitch, chance)) for pitch in PITCHES_HZ]


def _phrases_of(path: Path) -> Iterator[Phrase]:
    """What is said between two pauses, by packets of 20 ms."""
    encoded = path.read_bytes()[: PROMPT_SECONDS * RATE]
    phrase, pause = bytearray(), 0
    for first in range(0, len(encoded), FRAME_SAMPLES):
        frame = encoded[first : first + FRAME_SAMPLES]
        pause = pause + 1 if len(frame.translate(None, QUIET_BYTES)) < QUIET_EXCEPT else 0
        if pause < PAUSE_FRAMES:
            phrase += frame
        if (pause == PAUSE_FRAMES or len(phrase) > PHRASE_SECONDS[1] * RATE) and phrase:
            if len(phrase) > PHRASE_SECONDS[0] * RATE:
                yield _decoded(bytes(phrase))
            phrase.clear()


def _decoded(encoded: bytes) -> Phrase:
    samples = bytearray(2 * len(encoded))
    samples[0::2], samples[1::2] = encoded.translate(_LOW), encoded.translate(_HIGH)
    return bytes(samples)


def _babble(pitch: float, chance: random.Random) -> Iterator[Phrase]:
    """Phrases of a few syllables each: a buzz with two formants, rising and falling."""
    syllables = [_syllable(pitch * chance.uniform(0.85, 1.2), chance) for _ in range(SYLLABLES)]
    for _ in range(PHRASES):
        yield b"".join(chance.choices(syllables, k=chance.randint(4, 12)))


def _syllable(pitch: float, chance: random.Random) -> bytes:
    length = int(RATE * chance.uniform(0.11, 0.26))
    first, second = chance.uniform(300, 800), chance.uniform(1000, 2400)
    harmonics = [
        (number * pitch, _strength(number * pitch, first, second))
        for number in range(1, int(3000 // pitch), 2)
    ]
    turn = 2 * math.pi / RATE
    shape = [math.sin(math.pi * place / length) for place in range(length)]
    return _packed(
        [
            int(6000 * shape[place] * sum(a * math.sin(turn * hz * place) for hz, a in harmonics))
            for place in range(length)
        ]
    )


def _strength(hz: float, first: float, second: float) -> float:
    near = (math.exp(-(((hz - formant) / 220) ** 2)) for formant in (first, second))
    return 0.08 + sum(near)


def _packed(samples: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(samples)}h", *(max(-32768, min(32767, sample)) for sample in samples))

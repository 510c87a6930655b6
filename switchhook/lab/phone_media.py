"""A phone's audio: RTP with A-law, spoken files, tones that can be recognised, and keys as RFC 4733 events.

Tests listen for tones: who hears whose tone is who talks to whom, whatever any PBX event says.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import struct
import time
import wave
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FRAME_SECONDS = 0.02  # one RTP packet
FRAME_SAMPLES = 160  # at 8000 Hz
_PCMA, _KEYS = 8, 101  # payload types, as in our session description
_KEY_CODES = "0123456789*#ABCD"
_KEY_FRAMES = 5  # 100 ms, about what a person presses; Asterisk wants at least 40
_KEY_END_FRAMES = 3  # the end is told three times, so that one lost packet does not hold the key down
_KEY_PAUSE = 0.06  # s between keys; Asterisk wants a gap of some 45 ms
_LOOK_EVERY = 5  # packets; judging half a second of audio costs a few ms, so not at each one
_HEARD_FRAMES = 25  # half a second: long enough to tell tones 30 Hz apart
_TONE_SHARE = 0.3  # of the power heard; a tone alone has nearly all of it, two mixed tones half each

Frames = Iterator[bytes]


class Audio(asyncio.DatagramProtocol):
    """One call's audio. Silent until told to speak; always listens."""

    def __init__(self, sequence: int | None = None) -> None:
        """`sequence`: of the first packet; None takes the next in the order in which phones begin."""
        self.received_packets = 0
        self.to: tuple[str, int] | None = None
        self.muted = False
        self._heard: deque[bytes] = deque(maxlen=_HEARD_FRAMES)
        self._transport: asyncio.DatagramTransport | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._pressing = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._wanted = 0
        self._sequence = first_sequence() if sequence is None else sequence & 0xFFFF
        self._clock = secrets.randbelow(1 << 30)
        self._source = secrets.randbits(31)

    async def open(self, host: str) -> int:
        """Listen on a free port of that address and return it."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, 0))
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def close(self) -> None:
        """Fall silent and give the port back."""
        self.stop_speaking()
        if self._transport:
            self._transport.close()
            self._transport = None

    def speak(self, frames: Frames) -> None:
        """Send these frames, one every 20 ms, instead of what was sent before, until they end or the call does."""
        self.stop_speaking()
        self._speaking = asyncio.get_running_loop().create_task(self._send_all(frames))

    def stop_speaking(self) -> None:
        """Fall silent."""
        if self._speaking:
            self._speaking.cancel()
            self._speaking = None

    async def press(self, keys: str) -> None:
        """Send the keys one after the other."""
        async with self._pressing:
            for key in keys:
                await self._press_one(_KEY_CODES.index(key))
                await asyncio.sleep(_KEY_PAUSE)
                self._clock += int(_KEY_PAUSE * 8000)

    def hears(self, hz: float) -> bool:
        """Whether a tone of this frequency was in the last half second of what arrived."""
        samples = [_LINEAR[byte] for frame in self._heard for byte in frame]
        total = sum(sample * sample for sample in samples)
        if len(samples) < FRAME_SAMPLES * 5 or total < len(samples) * 10_000:  # too short or nearly silent
            return False
        return _power_at(samples, hz) * 2 / (total * len(samples)) > _TONE_SHARE

    async def more(self) -> None:
        """Wait for the next tenth of a second of audio."""
        self._wanted = self.received_packets + _LOOK_EVERY
        self._arrived.clear()
        await self._arrived.wait()

    def forget_heard(self) -> None:
        """Judge `hears` only by what arrives from now on."""
        self._heard.clear()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the protocol's signature
        self.received_packets += 1
        if self.received_packets >= self._wanted:
            self._arrived.set()
        if len(data) > 12 and data[1] & 0x7F == _PCMA:
            self._heard.append(data[12:])

    async def _send_all(self, frames: Frames) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for frame in frames:
            if not (self.muted or self._pressing.locked()):
                self._send(_PCMA, frame, self._clock)
            self._clock = (self._clock + FRAME_SAMPLES) & 0xFFFFFFFF
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _press_one(self, code: int) -> None:
        began = self._clock
        for frame in range(_KEY_FRAMES + _KEY_END_FRAMES):
            ending = frame >= _KEY_FRAMES
            duration = min(frame + 1, _KEY_FRAMES) * FRAME_SAMPLES
            event = struct.pack("!BBH", code, (0x80 if ending else 0) | 10, duration)  # 10 = volume, -10 dBm0
            self._send(_KEYS | (0x80 if frame == 0 else 0), event, began)
            await asyncio.sleep(0 if ending else FRAME_SECONDS)
        self._clock = (began + _KEY_FRAMES * FRAME_SAMPLES) & 0xFFFFFFFF

    def _send(self, kind: int, payload: bytes, clock: int) -> None:
        if self._transport is None or self.to is None:
            return
        self._sequence = (self._sequence + 1) & 0xFFFF
        header = struct.pack("!BBHII", 0x80, kind, self._sequence, clock & 0xFFFFFFFF, self._source)
        self._transport.sendto(header + payload, self.to)


def first_sequence() -> int:
    """The sequence number that a phone's audio begins with: as if all phones had counted since this process began.

    Real phones begin anywhere below 65536, and so do these: on both sides of 32767, but each higher than those that
    began before it. Debian's Asterisk 22 leaves whoever talks after another talker out of a recording of both sides if
    their numbers look older (docs/how-to/record-calls.md); a test that is about that gives its phones numbers of its own.
    """
    return int(FIRST_START + (time.monotonic() - _BEGAN) * FASTER_THAN_FRAMES) & 0xFFFF


_BEGAN = time.monotonic()
FIRST_START = 31_000  # the first half minute of a process is below 32768, the ten minutes after it above
FASTER_THAN_FRAMES = 51  # a second; a phone sends 50 packets, so who begins later has the higher numbers


def tone(hz: float) -> Frames:
    """An endless tone; a whole multiple of 10 Hz keeps it free of clicks."""
    return itertools.cycle(_tone_second(hz))


@cache
def _tone_second(hz: float) -> tuple[bytes, ...]:
    wave_form = (8000 * math.sin(2 * math.pi * hz * n / 8000) for n in range(8000))
    encoded = bytes(_to_alaw(int(sample)) for sample in wave_form)
    return tuple(encoded[at : at + FRAME_SAMPLES] for at in range(0, len(encoded), FRAME_SAMPLES))


def spoken(*paths: Path) -> Frames:
    """Sound files one after the other, over and over: raw A-law (.alaw), raw mu-law (.ulaw), or WAV (8 kHz, 16 bit).

    Asterisk converts any other: `file convert SOURCE TARGET.alaw`.
    """
    return itertools.cycle([frame for path in paths for frame in _frames_of(path)])


@cache
def _frames_of(path: Path) -> tuple[bytes, ...]:
    if path.suffix == ".alaw":
        encoded = path.read_bytes()
    elif path.suffix == ".ulaw":
        encoded = bytes(_to_alaw(_from_ulaw(byte)) for byte in path.read_bytes())
    else:
        with wave.open(str(path)) as recording:
            count = recording.getnframes()
            samples = struct.unpack(f"<{count}h", recording.readframes(count))
        encoded = bytes(map(_to_alaw, samples))
    return tuple(
        encoded[at : at + FRAME_SAMPLES].ljust(FRAME_SAMPLES, b"\xd5")  # 0xD5 is silence
        for at in range(0, len(encoded), FRAME_SAMPLES)
    )


def _to_alaw(sample: int) -> int:
    """ITU-T G.711."""
    sign = 0x80 if sample >= 0 else 0
    magnitude = min(abs(sample), 32635)
    segment = max(magnitude.bit_length() - 8, 0)
    step = (magnitude >> (segment + 3 if segment else 4)) & 0x0F
    return (sign | segment << 4 | step) ^ 0x55


def _from_alaw(byte: int) -> int:
    value = byte ^ 0x55
    segment, step = value >> 4 & 7, value & 0x0F
    magnitude = (step << 4) + 8 if segment == 0 else ((step << 4) + 0x108) << (segment - 1)
    return magnitude if value & 0x80 else -magnitude


def _from_ulaw(byte: int) -> int:
    value = ~byte & 0xFF
    magnitude = (((value & 0x0F) << 3) + 0x84 << (value >> 4 & 7)) - 0x84
    return -magnitude if value & 0x80 else magnitude


_LINEAR = tuple(_from_alaw(byte) for byte in range(256))


def linear_of_alaw(byte: int) -> int:
    """The sample of 16 bits that an A-law byte stands for."""
    return _LINEAR[byte]


def _power_at(samples: list[int], hz: float) -> float:
    """Goertzel: the squared strength of one frequency."""
    turn = 2 * math.cos(2 * math.pi * hz / 8000)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + turn * last - before
    return last * last + before * before - turn * last * before

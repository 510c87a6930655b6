"""Two files of a PBX in, one playable file and its measures out: Opus in MP4, left the outside party, right ours.

A function over files. It sees every sample once, a second at a time: reads both sides, sets them beside each other,
measures them and hands them to the encoder, so that a call of three hours takes no more memory than one of three
minutes. It runs in the worker process (`worker.py`) and nowhere else: FFmpeg's code has no business in a service that
must not stop.

The sound stays at the 8 or 16 kHz it was recorded with, which the encoder takes as it is, at half the price of 48 kHz.
The container still says 48 kHz, as Opus in MP4 must.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
from av.audio.codeccontext import AudioCodecContext

from call_records.recordings.encoding.measurement import SAMPLE_BYTES, SideMeter, audioop, blanks, judge
from call_records.recordings.encoding.sources import Sound, open_sound
from call_records.recordings.encoding.tracks import Timeline, TrackReader, encoding_rate, open_pieces
from call_records.recordings.encoding.types import Encoded, Soundless, Sources, TrackPiece, Unreadable
from telephony.recordings import Layout

STEREO_BITS = 24_000
"""Bits a second asked for at 8 kHz; speech with its pauses comes out at some 21 000, and each side stays 50 dB below the
other while one person talks. Not less: at 16 000 the encoder gives up stereo and mixes both sides."""
MONO_BITS = 14_000
WIDEBAND_FROM = 16_000  # Hz; twice the sound ...
WIDEBAND_SHARE = 1.5  # ... for which the sides need half as many bits again to stay apart when both talk
PACKET_MS = 60  # the longest Opus packet: a third of the index of 20 ms packets, and 8 % less audio
EFFORT = 5  # of 10: a third faster than 10, and no difference was heard or measured at these bit rates
VOICE = "voip"  # the encoder's speech mode; `audio` let the sides leak into each other at -17 dB
CONTAINER_RATE = 48_000  # Opus in MP4 counts in 48 kHz whatever was recorded


def encode(sources: Sources, target: Path) -> Encoded:
    """Encode into `target`. Raises Unreadable, or OSError when a file cannot be read or the disk is full."""
    if sources.tracks:
        return _encode_joined(sources.tracks, target)
    tracks = _open_tracks(sources)
    try:
        return _encode(tracks, target)
    finally:
        for track in tracks:
            track.close()


def _encode_joined(pieces: Sequence[TrackPiece], target: Path) -> Encoded:
    """Everybody's own tracks: the outside party's to the left, ours to the right, and how much each of ours talked."""
    sounds = open_pieces(pieces)
    try:
        rate = encoding_rate(sound.rate for _, sound in sounds)
        placed = [
            (piece, TrackReader(sound, rate, (piece.from_seconds, piece.to_seconds)))
            for piece, sound in sounds
        ]
        end_seconds = max(piece.at_seconds + piece.to_seconds - piece.from_seconds for piece in pieces)
        sides = [
            Timeline([one for one in placed if one[0].outside is outside], rate, end_seconds)
            for outside in (True, False)
        ]
        made = _encode(sides, target)
        measures = replace(made.measures, people=sides[1].people())
        return replace(made, measures=measures, difference_seconds=0.0)
    finally:
        for _, sound in sounds:
            sound.close()


class SideReader(Protocol):
    """One channel of what will be heard, at the rate it will be encoded with."""

    rate: int

    @property
    def samples(self) -> int:
        """How many will come."""
        ...

    @property
    def truncated(self) -> bool: ...
    @property
    def seconds_read(self) -> float: ...
    def read(self, samples: int) -> bytes:
        """Exactly so many samples; fewer at the end, then nothing."""

    def close(self) -> None: ...


def _encode(tracks: Sequence[SideReader], target: Path) -> Encoded:
    samples = max(track.samples for track in tracks)
    rate = tracks[0].rate
    meters = [SideMeter(rate, samples) for _ in tracks]
    with OpusFile(target, rate, len(tracks)) as opus:
        while True:
            blocks = [track.read(rate) for track in tracks]
            longest = max(map(len, blocks))
            if not longest:
                break
            blocks = [block.ljust(longest, b"\0") for block in blocks]
            for meter, block in zip(meters, blocks, strict=True):
                meter.feed(block)
            opus.write(interleaved(blocks))
        if not meters[0].samples:
            raise Soundless(remedy="The call was probably never answered.")
    peaks, measures, faults = judge(meters, truncated=any(track.truncated for track in tracks))
    lengths = [track.seconds_read for track in tracks]
    return Encoded(
        layout=Layout.STEREO if len(tracks) > 1 else Layout.MONO,
        duration_seconds=meters[0].samples / rate,
        peaks=peaks,
        measures=measures,
        faults=faults,
        blanks=blanks(meters),
        difference_seconds=max(lengths) - min(lengths),
    )


def interleaved(sides: list[bytes]) -> bytes:
    """Equally long sides as one stream of samples, left before right."""
    if len(sides) == 1:
        return sides[0]
    left = audioop.tostereo(sides[0], SAMPLE_BYTES, 1, 0)
    return audioop.add(left, audioop.tostereo(sides[1], SAMPLE_BYTES, 0, 1), SAMPLE_BYTES)


def _bits(rate: int, channels: int) -> int:
    narrow = STEREO_BITS if channels == 2 else MONO_BITS
    return round(narrow * (WIDEBAND_SHARE if rate >= WIDEBAND_FROM else 1.0))


class OpusFile:
    """An Opus in MP4 that is being written, its index in front so that it plays before it is loaded.

    Leaving it by an exception leaves a broken file; whoever asked for it removes it.
    """

    def __init__(self, path: Path, rate: int, channels: int) -> None:
        options = {
            "b": str(_bits(rate, channels)),
            "vbr": "on",
            "fec": "0",  # a packet must not repeat the one before: covering a span relies on it
            "application": VOICE,
            "frame_duration": str(PACKET_MS),
            "compression_level": str(EFFORT),
        }
        self._rate = rate
        self._layout = "stereo" if channels == 2 else "mono"
        self._channels = channels
        self._written = 0
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        # Two encoders on purpose: the stream's own, never used, makes FFmpeg write the header for 48 kHz; the sound goes
        # through one at the rate it has.
        self._stream = self._container.add_stream(
            "libopus", rate=CONTAINER_RATE, options=options, layout=self._layout
        )
        self._encoder = opus_encoder(rate, self._layout, options)

    def write(self, block: bytes) -> None:
        """Encode these interleaved samples."""
        samples = len(block) // SAMPLE_BYTES // self._channels
        frame = av.AudioFrame("s16", self._layout, samples)
        frame.planes[0].update(block)
        frame.sample_rate = self._rate
        frame.pts = self._written
        frame.time_base = Fraction(1, self._rate)
        self._written += samples
        self._mux(frame)

    def _mux(self, frame: av.AudioFrame | None) -> None:
        for packet in self._encoder.encode(frame):
            packet.stream = self._stream
            self._container.mux(packet)

    def __enter__(self) -> OpusFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._mux(None)
            self._container.close()
        else:
            with suppress(av.error.FFmpegError):  # a full disk says so a second time here
                self._container.close()


def opus_encoder(rate: int, layout: str, options: dict[str, str]) -> AudioCodecContext:
    """The bare encoder, for interleaved 16 bit samples at this rate."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = rate
    encoder.layout = layout
    encoder.format = "s16"
    encoder.time_base = Fraction(1, rate)
    encoder.options = options
    checked: AudioCodecContext = encoder
    return checked


LEFT, RIGHT, BOTH = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)
"""Of a file with two channels: what a track takes of each."""


def _open_tracks(sources: Sources) -> list[TrackReader]:
    """What becomes left and right, or the one track there is."""
    wanted = _wanted(sources)
    sounds: list[Sound | None] = []
    try:
        for path, _ in wanted:
            sounds.append(open_sound(path) if path else None)
        if len(wanted) == 1 and sounds[0] and sounds[0].channels == 2 and sources.outside_first is not None:
            sounds.append(open_sound(sources.mix) if sources.mix else None)
            sides = (LEFT, RIGHT) if sources.outside_first else (RIGHT, LEFT)
            wanted = [(sources.mix, side) for side in sides]
    except BaseException:
        for sound in filter(None, sounds):
            sound.close()
        raise
    rate = encoding_rate(sound.rate for sound in sounds if sound)
    return [TrackReader(sound, rate, take=take) for sound, (_, take) in zip(sounds, wanted, strict=True)]


def _wanted(sources: Sources) -> list[tuple[Path | None, tuple[float, float]]]:
    sides = [sources.in_side, sources.out_side]
    if not any(sides):
        if sources.mix is None:
            raise Unreadable("There is no file to encode.")
        return [(sources.mix, BOTH)]
    if sources.outside_first is False:
        sides.reverse()
    return [(side, BOTH) for side in sides]

"""Changing finished recordings, file to file, in the worker process: cut a clip, cover a span, make an MP3.

A span is covered without touching the rest: the Opus packets that hold it are taken out and packets of a tone are put in
their place. Every other packet stays as it was, bit for bit, so that ten redactions of an hour's call cost no quality and
hardly a second each. Nothing of what was said is left in the file: a packet holds only its own 60 ms (and 6.5 ms that the
encoder looked ahead, which is why the packet before goes too). The tone is in the codec's other mode, and a decoder that
changes modes forgets what it had heard.
"""

from __future__ import annotations

import array
import itertools
import math
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.packet import Packet

from call_records.recordings.encoding.encoder import CONTAINER_RATE, OpusFile, opus_encoder
from call_records.recordings.encoding.measurement import SAMPLE_BYTES, audioop, peak_byte
from call_records.recordings.encoding.sources import DECODED_RATE
from call_records.recordings.encoding.types import Covered, Unreadable
from call_records.recordings.types import PEAKS, Span

PREROLL_SECONDS = 0.2  # RFC 7845 asks for 80 ms before a decoder that starts in the middle is to be believed
PYDUB_SECONDS = (
    15 * 60
)  # a clip up to here is cut in memory (58 MB, three times while pydub works); longer ones stream
FADE_MS = 10  # at both ends of a clip: no click
LOOKAHEAD_SECONDS = 0.01  # of the encoder (6.5 ms) and the overlap of its packets (2.5 ms)
ROUNDING_SECONDS = 0.001  # of the spans that the database keeps; a packet is 20 ms at least
BEEP_HERTZ = 1000
BEEP_LEVEL = 0.2  # of full scale: clearly heard beside speech at -26 dBFS, and no pain in a headset
BEEP_BITS = 24_000
BEEP_SETTLES = 4  # packets until the tone's encoder is in full swing
BEEP_PACKETS = 8  # different ones, repeated: a packet holds whole periods, so any may follow any
MP3_EFFORT = "7"  # of 0 (slow) to 9: 130 times real time, its own default 77
MP3_BITS = {1: 32_000, 2: 48_000}  # by channels, at 16 kHz: speech keeps what the Opus had


def clip(source: Path, target: Path, from_seconds: float, to_seconds: float) -> None:
    """Cut that span out of a finished recording. Raises Unreadable when there is nothing in it."""
    channels = _channels(source)
    blocks = decoded(source, from_seconds, to_seconds)
    if to_seconds - from_seconds <= PYDUB_SECONDS:
        blocks = iter([_cut(b"".join(blocks), channels)])
    written = 0
    with OpusFile(target, DECODED_RATE, channels) as opus:
        for block in blocks:
            if block:
                opus.write(block)
                written += len(block)
        if not written:
            raise Unreadable("The recording is over before this span begins.")


def _cut(sound: bytes, channels: int) -> bytes:
    with warnings.catch_warnings():
        # It looks for an ffmpeg program and for audioop; of what is used here neither is missing.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment  # only here: 15 MB that a worker which only encodes does without

    segment: Any = AudioSegment(
        data=sound, sample_width=SAMPLE_BYTES, frame_rate=DECODED_RATE, channels=channels
    )
    fade = min(FADE_MS, len(segment) // 2)
    raw: bytes = segment.fade_in(fade).fade_out(fade).raw_data
    return raw


def redact(source: Path, target: Path, from_seconds: float, to_seconds: float) -> Covered:
    """The recording with a tone over that span on both sides; what was there is not in the new file at all."""
    channels = _channels(source)
    span = (from_seconds - LOOKAHEAD_SECONDS, to_seconds)
    covered = _replace_packets(source, target, [span], channels)
    if covered is None:
        raise Unreadable("The recording is over before this span begins.")
    return _with_peaks(target, *covered, channels)


def uncover(original: Path, target: Path, lifted: Span, remaining: Sequence[Span]) -> Covered:
    """The original again, but for the spans that stay covered; how the waveform looks where one was lifted."""
    channels = _channels(original)
    if remaining:
        # They were kept rounded to a millisecond; the packet before must not be taken for a part of them.
        inner = [(since + ROUNDING_SECONDS, until - ROUNDING_SECONDS) for since, until in remaining]
        _replace_packets(original, target, inner, channels)
    else:
        shutil.copyfile(original, target)
    since, until = lifted
    return _with_peaks(target, since - ROUNDING_SECONDS, until + ROUNDING_SECONDS, channels)


def _replace_packets(
    source: Path, target: Path, spans: Sequence[Span], channels: int
) -> tuple[float, float] | None:
    """From when to when the tone now lasts, in whole packets; None when no packet lies in a span."""
    tones: Iterator[bytes] | None = None
    first: float | None = None
    last = 0.0
    with (
        av.open(str(source)) as old,
        av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as new,
    ):
        stream = old.streams.audio[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.pts is None or packet.time_base is None or not packet.size:
                continue  # the empty packet that ends a file
            begins = float(packet.pts * packet.time_base)
            ends = begins + float((packet.duration or 0) * packet.time_base)
            kept = packet
            if any(begins < until and ends > since for since, until in spans):
                tones = tones or itertools.cycle(_tone_packets(channels, _packet_ms(packet)))
                kept = _instead_of(packet, next(tones))
                first = begins if first is None else first
                last = ends
            kept.stream = copy
            new.mux(kept)
    return (max(0.0, first), last) if first is not None else None


def _packet_ms(packet: Packet[Any]) -> float:
    """How long this packet of ours is; only the very last one is cut short, and there any length will do."""
    milliseconds = float((packet.duration or 0) * (packet.time_base or 0) * 1000)
    return next((known for known in (20.0, 40.0, 60.0) if abs(known - milliseconds) < 1), 60.0)


def _instead_of(packet: Packet[Any], data: bytes) -> Packet[Any]:
    tone: Packet[Any] = Packet(data)
    tone.pts, tone.dts, tone.duration = packet.pts, packet.dts, packet.duration
    tone.time_base = packet.time_base
    tone.is_keyframe = True
    return tone


def _tone_packets(channels: int, milliseconds: float) -> list[bytes]:
    """Packets of the tone, each of this length."""
    options = {
        "b": str(BEEP_BITS),
        "application": "lowdelay",  # the codec's music half, which shares no memory with its speech half
        "frame_duration": f"{milliseconds:g}",
    }
    encoder = opus_encoder(CONTAINER_RATE, "stereo" if channels == 2 else "mono", options)
    samples = round(CONTAINER_RATE * milliseconds / 1000)
    block = _tone(samples, channels)
    packets: list[bytes] = []
    for number in itertools.count():
        frame = av.AudioFrame("s16", "stereo" if channels == 2 else "mono", samples)
        frame.planes[0].update(block)
        frame.sample_rate = CONTAINER_RATE
        frame.pts, frame.time_base = number * samples, Fraction(1, CONTAINER_RATE)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
        if len(packets) >= BEEP_SETTLES + BEEP_PACKETS:
            break
    return packets[BEEP_SETTLES : BEEP_SETTLES + BEEP_PACKETS]


def _tone(samples: int, channels: int) -> bytes:
    turn = 2 * math.pi * BEEP_HERTZ / CONTAINER_RATE
    one = array.array("h", (round(32767 * BEEP_LEVEL * math.sin(turn * n)) for n in range(samples)))
    sound = one.tobytes()
    return sound if channels == 1 else audioop.tostereo(sound, SAMPLE_BYTES, 1, 1)


def _with_peaks(target: Path, from_seconds: float, to_seconds: float, channels: int) -> Covered:
    """The new waveform of those parts that the tone touches."""
    with av.open(str(target)) as file:
        length = (file.duration or 0) / 1_000_000
    first = min(PEAKS - 1, int(max(0.0, from_seconds) / length * PEAKS))
    last = min(PEAKS - 1, int(to_seconds / length * PEAKS))
    part_seconds = length / PEAKS
    peaks = [bytearray(last - first + 1) for _ in range(channels)]
    heard = 0
    for block in decoded(target, first * part_seconds, (last + 1) * part_seconds):
        for at, samples in _by_part(block, heard, part_seconds, channels):
            for side, peak in enumerate(peaks):
                sound = _side(samples, side, channels)
                peak[min(at, last - first)] = max(peak[min(at, last - first)], peak_byte(sound))
        heard += len(block) // SAMPLE_BYTES // channels
    return Covered(
        from_seconds=from_seconds,
        to_seconds=min(to_seconds, length),
        first_part=first,
        left=bytes(peaks[0]),
        right=bytes(peaks[1]) if channels == 2 else None,
    )


def _by_part(block: bytes, heard: int, part_seconds: float, channels: int) -> Iterable[tuple[int, bytes]]:
    """The block in pieces, each with the number of the part of the waveform it lies in."""
    sample = SAMPLE_BYTES * channels
    at, end = heard, heard + len(block) // sample
    while at < end:
        part = int(at / DECODED_RATE / part_seconds + 1e-9)
        edge = min(end, max(at + 1, math.ceil((part + 1) * part_seconds * DECODED_RATE)))
        yield part, block[(at - heard) * sample : (edge - heard) * sample]
        at = edge


def _side(samples: bytes, side: int, channels: int) -> bytes:
    return samples if channels == 1 else audioop.tomono(samples, SAMPLE_BYTES, 1 - side, side)


def as_mp3(source: Path, target: Path) -> None:
    """The whole recording as MP3, a second at a time."""
    channels = _channels(source)
    layout = "stereo" if channels == 2 else "mono"
    with av.open(str(target), "w", format="mp3") as file:
        options = {"b": str(MP3_BITS[channels]), "compression_level": MP3_EFFORT}
        stream = file.add_stream("libmp3lame", rate=DECODED_RATE, layout=layout, options=options)
        written = 0
        for block in decoded(source, 0.0, math.inf):
            samples = len(block) // SAMPLE_BYTES // channels
            frame = av.AudioFrame("s16", layout, samples)
            frame.planes[0].update(block)
            frame.sample_rate = DECODED_RATE
            frame.pts, frame.time_base = written, Fraction(1, DECODED_RATE)
            written += samples
            for packet in stream.encode(frame):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)


def decoded(source: Path, from_seconds: float, to_seconds: float) -> Iterator[bytes]:
    """That span of a finished recording as interleaved 16 bit samples at `DECODED_RATE`, in blocks."""
    with av.open(str(source)) as file:
        stream = file.streams.audio[0]
        channels = 2 if stream.codec_context.channels == 2 else 1
        sample = SAMPLE_BYTES * channels
        resampler = AudioResampler("s16", "stereo" if channels == 2 else "mono", DECODED_RATE)
        if from_seconds > PREROLL_SECONDS:
            file.seek(int((from_seconds - PREROLL_SECONDS) * 1_000_000))
        skip: int | None = None
        end = min(to_seconds, (file.duration or 0) / 1_000_000)  # the last packet is longer than the sound
        left = max(0, round((end - from_seconds) * DECODED_RATE))
        frames: Iterator[Any] = itertools.chain(file.decode(stream), [None])
        for frame in frames:
            if skip is None and frame is not None:
                skip = round((from_seconds - float(frame.pts * frame.time_base)) * DECODED_RATE)
            for piece in resampler.resample(frame):
                sound = bytes(piece.planes[0])[: piece.samples * sample]
                dropped = min(max(0, skip or 0), piece.samples)
                skip = (skip or 0) - dropped
                sound = sound[dropped * sample :]
                sound = sound[: left * sample]
                left -= len(sound) // sample
                if sound:
                    yield sound
            if not left:
                return


def _channels(source: Path) -> int:
    try:
        with av.open(str(source)) as file:
            return 2 if file.streams.audio[0].codec_context.channels == 2 else 1
    except (av.error.InvalidDataError, IndexError) as cause:
        raise Unreadable("The stored audio cannot be read.") from cause

"""What making a recording playable costs: `python -m bench recordings [--minutes 55]`.

A call of two people who talk as people do (syllables, pauses, turns, some overlap; made of noise and formants, so no
sample is shipped) goes through the audio worker exactly as in the service: two WAV files in, Opus in MP4, waveform and
measures out. The `ffmpeg` command line then makes the same file with the same encoder settings, and one with what it does
of itself (48 kHz). Processor time is counted, not the clock, so that the ratio holds on a busy machine.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import math
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.machine import machine
from call_records.recordings.encoding.types import Sources
from call_records.recordings.encoding.worker_process import AudioWorker

RATE = 8000
TARGET_TIMES = 100.0  # real time, on one core
TARGET_MB = 60.0
PATTERN_SECONDS = (61, 53)  # of each side, repeated: without a common divisor no two minutes are alike
FFMPEG_SECONDS = 300.0
SAME_SETTINGS = ["-b:a", "24k", "-application", "voip", "-frame_duration", "60", "-compression_level", "5"]
JOIN = "[0:a][1:a]join=inputs=2:channel_layout=stereo[a]"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one of them took."""

    name: str
    cpu_seconds: float
    peak_mb: float
    bytes: int

    def line(self, seconds: float) -> str:
        """One row of the table."""
        times, kbit = seconds / self.cpu_seconds, self.bytes * 8 / seconds / 1000
        return f"  {self.name:34} {times:7.0f} x {self.cpu_seconds:8.1f} s {self.peak_mb:8.0f} MB {kbit:8.1f} kbit/s"


def speech_like(seed: int, seconds: int, pitch: float) -> bytes:
    """Somebody talking, with turns of some seconds: pulses and noise through three wandering resonances."""
    chance = random.Random(seed)
    past = [[0.0, 0.0] for _ in range(3)]
    formants: list[tuple[float, float]] = []
    samples = array.array("h")
    phase = loudness = wanted = hertz = 0.0
    talks, voiced, turn, syllable = False, True, 0, 0
    for _ in range(seconds * RATE):
        if turn <= 0:
            talks, turn = not talks, int(RATE * chance.uniform(1.5, 6.0))
        if syllable <= 0:
            syllable, voiced = int(RATE * chance.uniform(0.12, 0.3)), chance.random() < 0.75
            hertz = pitch * chance.uniform(0.85, 1.2)
            wanted = chance.uniform(0.3, 1.0) if talks and chance.random() < 0.85 else 0.0
            formants = [_resonance(chance.uniform(*band)) for band in _BANDS]
        turn, syllable = turn - 1, syllable - 1
        loudness += (wanted - loudness) * 0.004
        phase += hertz / RATE
        pulse = 1.0 if phase >= 1 else 0.0
        phase %= 1.0
        source = loudness * (pulse if voiced else chance.uniform(-0.15, 0.15))
        heard = 0.0
        for (a, b), memory in zip(formants, past, strict=True):
            value = source + a * memory[0] + b * memory[1]
            memory[1], memory[0] = memory[0], value
            heard += value
        samples.append(max(-32767, min(32767, int(heard * 5000 + chance.gauss(0, 12)))))
    return samples.tobytes()


_BANDS = ((300, 800), (900, 2000), (2200, 3200))  # Hz: where the first three formants of vowels lie
_BANDWIDTH = 90.0  # Hz


def _resonance(hertz: float) -> tuple[float, float]:
    decay = math.exp(-math.pi * _BANDWIDTH / RATE)
    return 2 * decay * math.cos(2 * math.pi * hertz / RATE), -decay * decay


def write_side(path: Path, pattern: bytes, seconds: int) -> Path:
    """A WAV of that length in which the pattern repeats."""
    left = seconds * RATE * 2
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        while left > 0:
            file.writeframes(pattern[:left])
            left -= len(pattern)
    return path


async def ours(sources: Sources, target: Path) -> Cost:
    """One encode in a worker that is up and warm, as the service's is."""
    worker = AudioWorker()
    try:
        short = target.with_name("short.wav")
        write_side(short, bytes(RATE * 2), 1)
        await worker.encode(Sources(mix=short), target)
        process = _child()
        before = sum(process.cpu_times()[:2])
        await worker.encode(sources, target)
        cpu = sum(process.cpu_times()[:2]) - before
        return Cost("switchhook: audio, waveform, measures", cpu, _peak_mb(process.pid), _size(target))
    finally:
        await worker.close()


def _size(file: Path) -> int:
    return file.stat().st_size


def _child() -> psutil.Process:
    (process,) = psutil.Process().children()
    return process


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


async def editing(audio: Path, seconds: int) -> list[str]:
    """What a supervisor waits for, by the clock."""
    worker, told = AudioWorker(), list[str]()
    middle = seconds / 2
    orders: dict[str, Callable[[Path], Awaitable[object]]] = {
        "cover 10 s": lambda target: worker.redact(audio, target, middle, middle + 10),
        "cut a clip of a minute": lambda target: worker.clip(audio, target, middle, middle + 60),
        "the whole as MP3": lambda target: worker.mp3(audio, target),
    }
    try:
        for name, order in orders.items():
            began = time.perf_counter()
            await order(audio.with_name("edited"))
            told.append(f"{name} {time.perf_counter() - began:.1f} s")
    finally:
        await worker.close()
    return told


def ffmpeg(name: str, program: str, sources: Sources, target: Path, settings: list[str]) -> Cost:
    """The same from the command line, in one thread."""
    command = [program, "-y", "-nostdin", "-loglevel", "error", "-threads", "1"]
    for side in (sources.in_side, sources.out_side):
        command += ["-i", str(side)]
    command += ["-filter_complex", JOIN, "-map", "[a]", "-c:a", "libopus", *settings]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen([*command, "-movflags", "+faststart", "-f", "mp4", str(target)]) as process:
        peak = _followed(process)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"ffmpeg failed with {process.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(name, cpu, peak, target.stat().st_size)


def _followed(process: subprocess.Popen[bytes]) -> float:
    """The most memory it held, looked at until it ends."""
    peak, until = 0.0, time.monotonic() + FFMPEG_SECONDS
    while process.poll() is None:
        if time.monotonic() > until:
            process.kill()
        try:
            peak = max(peak, _peak_mb(process.pid))
        except (OSError, IndexError):
            break
        time.sleep(0.2)
    process.wait()
    return peak


async def measure(minutes: int, work: Path) -> bool:
    """Make the call, encode it by each, print; whether the targets were met."""
    seconds = minutes * 60
    patterns = [speech_like(seed, PATTERN_SECONDS[seed], 115.0 + 90.0 * seed) for seed in (0, 1)]
    sides = [write_side(work / f"{seed}.wav", pattern, seconds) for seed, pattern in enumerate(patterns)]
    sources = Sources(sides[0], sides[1], outside_first=True)
    costs = [await ours(sources, work / "ours.m4a")]
    program = shutil.which("ffmpeg")
    if program:
        costs += [
            ffmpeg("ffmpeg, same settings: audio only", program, sources, work / "f.m4a", SAME_SETTINGS),
            ffmpeg(
                "ffmpeg at 48 kHz: audio only",
                program,
                sources,
                work / "f.m4a",
                ["-ar", "48000", *SAME_SETTINGS],
            ),
        ]
    print(f"recordings: a call of {minutes} minutes, two sides, {seconds * RATE * 4 / 2**20:.0f} MB of WAV")
    print(f"  {'':34} {'real time':>9} {'processor':>10} {'peak':>11} {'size':>10}")
    for cost in costs:
        print(cost.line(seconds))
    if not program:
        print("  there is no ffmpeg command here to measure beside (apt-get install ffmpeg)")
    print(f"  afterwards: {'; '.join(await editing(work / 'ours.m4a', seconds))}")
    times = seconds / costs[0].cpu_seconds
    print(f"  targets: {TARGET_TIMES:.0f} x real time, {TARGET_MB:.0f} MB")
    return times >= TARGET_TIMES and costs[0].peak_mb <= TARGET_MB


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when a target was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench recordings", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--minutes", type=int, default=55)
    asked = parser.parse_args(arguments)
    print(machine())
    with tempfile.TemporaryDirectory(prefix="switchhook-bench-") as work:
        os.chmod(work, 0o700)
        return 0 if asyncio.run(measure(asked.minutes, Path(work))) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The service's side of the audio worker: starts the process, hands it one order at a time, starts another when it dies.

A worker is started by its first order and ends by itself when it had none for a minute, so that what a long clip took in
memory comes back. Its process gets no environment but a locale. An order has a time limit in proportion to its input;
a worker that exceeds it hangs and is killed. Whatever happens to a process, its order ends in an answer or in one of our
errors, and the file it was writing is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from call_records.recordings.encoding.types import Covered, Soundless, Sources, Unreadable
from call_records.recordings.types import Blanks, Peaks, Processed, Span
from telephony.errors import NeedsPerson, OurMistake, SwitchhookError, TryLater
from telephony.recordings import HealthFault, Layout, Measures, PersonShare

log = structlog.get_logger(__name__)

START_SECONDS = 20.0  # Python and FFmpeg load in 0.3 s; on a machine that swaps it may be much
BYTES_A_SECOND = (
    40_000  # of input, at least: 2.5 times a telephone's 16 kB/s; measured are 100 times and more
)
PACKED_BYTES_A_SECOND = 2_000  # of finished Opus (2.6 kB are a second of sound), for orders over those
STOP_SECONDS = 1.0  # SIGTERM ends it at once; more is a process stuck in the disk
IDLE_SECONDS = 60.0
ANSWER_BYTES = 1 << 20  # of one line; two waveforms are 4 kB
STDERR_BYTES = 4096  # FFmpeg's last words, for the log

_BOOT = (
    "import sys, json; sys.path += [p for p in json.loads(sys.argv.pop()) if p not in sys.path]; "
    "from call_records.recordings.encoding.worker import main; main()"
)
"""`python -m call_records.recordings.encoding.worker` with our own module path and nothing from the environment."""


class WorkerDied(OurMistake):
    """The audio worker died over this file."""


class AudioWorker:
    """Up to `processes` workers behind one door. Close it; an order after that raises TryLater."""

    def __init__(self, *, processes: int = 1, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue(processes)  # the warm one first
        self._all = [_Process(idle_seconds) for _ in range(processes)]
        for process in self._all:
            self._idle.put_nowait(process)
        self._closed = False

    async def encode(self, sources: Sources, target: Path) -> Processed:
        """Encode and measure. Raises Unreadable for what is no sound, TryLater when there is no room or we stop,
        NeedsPerson when a file is gone, WorkerDied when the process died or hung over it."""
        files = [path for path in (sources.in_side, sources.out_side, sources.mix) if path is not None]
        files += dict.fromkeys(piece.path for piece in sources.tracks)
        order = {
            "job": "encode",
            "in_side": _text(sources.in_side),
            "out_side": _text(sources.out_side),
            "mix": _text(sources.mix),
            "outside_first": sources.outside_first,
            "tracks": [{**asdict(piece), "path": str(piece.path)} for piece in sources.tracks],
        }
        done = await self._carry_out(order, target, _limit(files, BYTES_A_SECOND))
        if done["difference_seconds"]:
            log.info(
                "recording_sides_differ", seconds=round(done["difference_seconds"], 2), file=files[0].name
            )
        return _processed(done, target)

    async def clip(self, source: Path, target: Path, from_seconds: float, to_seconds: float) -> None:
        """Cut that span of a finished recording. Errors as `encode`."""
        order = {"job": "clip", "source": str(source), "from_seconds": from_seconds, "to_seconds": to_seconds}
        await self._carry_out(order, target, _limit([source], PACKED_BYTES_A_SECOND))

    async def redact(self, source: Path, target: Path, from_seconds: float, to_seconds: float) -> Covered:
        """A finished recording with a beep over that span. Errors as `encode`."""
        order = {
            "job": "redact",
            "source": str(source),
            "from_seconds": from_seconds,
            "to_seconds": to_seconds,
        }
        return _covered(await self._carry_out(order, target, _limit([source], PACKED_BYTES_A_SECOND)))

    async def uncover(
        self,
        original: Path,
        target: Path,
        lifted: Span,
        remaining: Sequence[Span],
    ) -> Covered:
        """The original again, but for the spans that remain covered. Errors as `encode`."""
        order = {"job": "uncover", "source": str(original), "spans": [lifted, *remaining]}
        return _covered(await self._carry_out(order, target, _limit([original], PACKED_BYTES_A_SECOND)))

    async def mp3(self, source: Path, target: Path) -> None:
        """A finished recording as MP3. Errors as `encode`."""
        order = {"job": "mp3", "source": str(source)}
        await self._carry_out(order, target, _limit([source], PACKED_BYTES_A_SECOND))

    async def close(self) -> None:
        """End all processes, busy or not; takes about a second at most."""
        self._closed = True
        await asyncio.gather(*(process.stop() for process in self._all))

    async def _carry_out(self, order: Mapping[str, Any], target: Path, seconds: float) -> dict[str, Any]:
        process = await self._idle.get()
        try:
            if self._closed:
                raise TryLater("The audio worker is being stopped.")
            answer = await process.ask({**order, "target": str(target)}, seconds)
        except BaseException as end:
            _remove(target)
            if self._closed and isinstance(end, WorkerDied):
                raise TryLater("The audio worker is being stopped.") from end
            raise
        finally:
            self._idle.put_nowait(process)
        if "done" not in answer:
            _remove(target)
            raise _error(answer)
        done: dict[str, Any] = answer["done"]
        return done


class _Process:
    """One worker process, started when it is needed."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._running: asyncio.subprocess.Process | None = None
        self._retirement: asyncio.TimerHandle | None = None
        self._last_words: asyncio.Task[bytes] | None = None
        self._leaving: asyncio.Task[str] | None = None

    async def ask(self, order: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """One order, one answer. However this ends without an answer, the process is gone afterwards."""
        if self._retirement is not None:
            self._retirement.cancel()
        try:
            async with asyncio.timeout(seconds):
                answer = await self._exchange(json.dumps(order))
        except BaseException as end:
            words = await self.stop()
            if isinstance(end, TimeoutError):
                raise WorkerDied(f"The audio worker did not answer within {seconds:.0f} s.") from end
            if isinstance(end, (OSError, ValueError)):
                log.warning("audio_worker_died", last_words=words)
                raise WorkerDied from end
            raise
        self._retirement = asyncio.get_running_loop().call_later(self._idle_seconds, self._retire)
        return answer

    async def _exchange(self, order: str) -> dict[str, Any]:
        running = self._running
        if running is None or running.returncode is not None:
            await self.stop()
            running = self._running = await _start()
        if running.stdin is None or running.stdout is None:
            raise OurMistake("The audio worker was started without pipes.")
        if self._last_words is None and running.stderr is not None:
            self._last_words = asyncio.create_task(_tail(running.stderr))
        running.stdin.write(order.encode() + b"\n")
        await running.stdin.drain()
        line = await running.stdout.readline()
        if not line.endswith(b"\n"):
            raise BrokenPipeError("The audio worker ended in the middle of an order.")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _retire(self) -> None:
        """Nothing to do for a while: the next order starts another process."""
        self._leaving = asyncio.create_task(self._end(*self._let_go()))

    async def stop(self) -> str:
        """End the process, whatever it does; returns the end of what it said on standard error."""
        if self._retirement is not None:
            self._retirement.cancel()
        words = await self._end(*self._let_go())
        if self._leaving is not None:
            await self._leaving
        return words

    def _let_go(self) -> tuple[asyncio.subprocess.Process | None, asyncio.Task[bytes] | None]:
        gone = self._running, self._last_words
        self._running = self._last_words = None
        return gone

    async def _end(
        self, running: asyncio.subprocess.Process | None, words: asyncio.Task[bytes] | None
    ) -> str:
        if running is None:
            return ""
        with suppress(ProcessLookupError):
            running.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await running.wait()
        except BaseException as interruption:
            with suppress(ProcessLookupError):
                running.kill()
            await running.wait()
            if not isinstance(interruption, TimeoutError):
                raise
        return (await words).decode(errors="replace") if words is not None else ""


async def _start() -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # nothing from the environment or the working directory
            "-c",
            _BOOT,
            str(os.getpid()),
            json.dumps([path for path in sys.path if path]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"LANG": "C.UTF-8", "PATH": os.defpath},  # pydub looks for an ffmpeg there; it needs none
            limit=ANSWER_BYTES,
            start_new_session=True,  # a terminal's Ctrl-C is for the service, which stops its workers itself
        )
    except OSError as cause:
        raise TryLater(
            "The audio worker cannot be started ({strerror}).",
            remedy="Look at the machine's memory and at its limit of processes.",
            values={"strerror": cause.strerror},
        ) from cause


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The end of what it says, read all the time so that it never waits for a full pipe."""
    kept = b""
    while piece := await stream.read(STDERR_BYTES):
        kept = (kept + piece)[-STDERR_BYTES:]
    return kept


def _limit(files: list[Path], bytes_a_second: int) -> float:
    total = 0
    for file in files:
        with suppress(OSError):
            total += file.stat().st_size
    return START_SECONDS + total / bytes_a_second


def _remove(target: Path) -> None:
    target.unlink(missing_ok=True)  # a local file: no wait worth a thread


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


def _error(answer: Mapping[str, Any]) -> SwitchhookError:
    message, remedy = str(answer.get("message")), answer.get("remedy")
    match answer.get("failed"):
        case "soundless":
            return Soundless(message, remedy=remedy)
        case "unreadable":
            return Unreadable(message, remedy=remedy)
        case "no_room":
            return TryLater(
                "There is no room for the finished audio ({message}).",
                remedy="Make room on the disk that holds recordings; it goes on by itself.",
                values={"message": message},
            )
        case "gone":
            return NeedsPerson(
                message, remedy="Was it moved or deleted at the PBX? Put it back, then try again."
            )
        case _:
            return OurMistake(f"The audio worker could not do it: {message}")


def _unpacked(values: str | None) -> bytes | None:
    return b64decode(values) if values is not None else None


def _processed(done: Mapping[str, Any], audio: Path) -> Processed:
    told = done["measures"]
    return Processed(
        audio=audio,
        layout=Layout(done["layout"]),
        duration_seconds=done["duration_seconds"],
        peaks=Peaks(b64decode(done["peaks_left"]), _unpacked(done["peaks_right"])),
        measures=Measures(
            outside_talk_share=told["outside_talk_share"],
            ours_talk_share=told["ours_talk_share"],
            overlap_share=told["overlap_share"],
            silence_share=told["silence_share"],
            longest_silence_seconds=told["longest_silence_seconds"],
            longest_silence_at_seconds=told["longest_silence_at_seconds"],
            loudest=told["loudest"],
            people=tuple(PersonShare(one["party"], one["talk_share"]) for one in told["people"]),
        ),
        faults=tuple(HealthFault(fault) for fault in done["faults"]),
        blanks=Blanks(outside=_spans(done["blanks"]["outside"]), ours=_spans(done["blanks"]["ours"])),
    )


def _covered(done: Mapping[str, Any]) -> Covered:
    return Covered(
        from_seconds=done["from_seconds"],
        to_seconds=done["to_seconds"],
        first_part=done["first_part"],
        left=b64decode(done["left"]),
        right=_unpacked(done["right"]),
    )


def _spans(told: list[list[float]]) -> tuple[Span, ...]:
    return tuple((since, until) for since, until in told)

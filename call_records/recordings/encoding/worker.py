"""The audio worker: a process of its own that turns files into files, and nothing else.

It runs FFmpeg's code over sound that came from outside. So it knows no database, no storage, no secret, may not grow
without bound and yields the processor to everything else; if a file kills it, one attempt failed and another worker is
started. It reads one order per line of standard input as JSON and answers each with one line on standard output. An order
that cannot be carried out is an answer, not an end. It ends when its input ends, when its parent dies, or at once on
SIGTERM: what it was writing is thrown away by whoever asked for it.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from call_records.recordings.encoding import editing_audio
from call_records.recordings.encoding.encoder import encode
from call_records.recordings.encoding.types import (
    Covered,
    Encoded,
    Soundless,
    Sources,
    TrackPiece,
    Unreadable,
)

NICENESS = 10  # pages, calls and the database first; alone on a core it is as fast as before
ADDRESS_SPACE = 1 << 30  # bytes; 0.4 GB are mapped by the libraries alone, a 15 minute clip needs 0.3 GB more
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

Answer = dict[str, Any]


def _encode(order: Mapping[str, Any]) -> Answer:
    sources = Sources(
        in_side=_path(order["in_side"]),
        out_side=_path(order["out_side"]),
        mix=_path(order["mix"]),
        outside_first=order["outside_first"],
        tracks=tuple(TrackPiece(**{**one, "path": Path(one["path"])}) for one in order["tracks"]),
    )
    return _told(encode(sources, Path(order["target"])))


def _clip(order: Mapping[str, Any]) -> Answer:
    span = order["from_seconds"], order["to_seconds"]
    editing_audio.clip(Path(order["source"]), Path(order["target"]), *span)
    return {}


def _redact(order: Mapping[str, Any]) -> Answer:
    span = order["from_seconds"], order["to_seconds"]
    return _told_cover(editing_audio.redact(Path(order["source"]), Path(order["target"]), *span))


def _uncover(order: Mapping[str, Any]) -> Answer:
    lifted, *remaining = ((one[0], one[1]) for one in order["spans"])
    original, target = Path(order["source"]), Path(order["target"])
    return _told_cover(editing_audio.uncover(original, target, lifted, remaining))


def _told_cover(covered: Covered) -> Answer:
    return {
        "from_seconds": covered.from_seconds,
        "to_seconds": covered.to_seconds,
        "first_part": covered.first_part,
        "left": _packed(covered.left),
        "right": _packed(covered.right),
    }


def _mp3(order: Mapping[str, Any]) -> Answer:
    editing_audio.as_mp3(Path(order["source"]), Path(order["target"]))
    return {}


JOBS: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
    "encode": _encode,
    "clip": _clip,
    "redact": _redact,
    "uncover": _uncover,
    "mp3": _mp3,
}


def _path(name: str | None) -> Path | None:
    return Path(name) if name is not None else None


def _told(made: Encoded) -> Answer:
    measures = made.measures
    return {
        "layout": made.layout.value,
        "duration_seconds": made.duration_seconds,
        "difference_seconds": made.difference_seconds,
        "peaks_left": _packed(made.peaks.left),
        "peaks_right": _packed(made.peaks.right),
        "faults": [fault.value for fault in made.faults],
        "blanks": {"outside": made.blanks.outside, "ours": made.blanks.ours},
        "measures": asdict(measures),
    }


def _packed(values: bytes | None) -> str | None:
    return b64encode(values).decode() if values is not None else None


def answer_to(line: str) -> Answer:
    """Carry out one order; whatever goes wrong is told in the answer."""
    try:
        order = json.loads(line)
        return {"done": JOBS[order["job"]](order)}
    except Soundless as empty:
        return _failure("soundless", str(empty), empty.remedy)
    except Unreadable as refused:
        return _failure("unreadable", str(refused), refused.remedy)
    except FileNotFoundError as gone:
        return _failure("gone", f"{Path(str(gone.filename or 'A file')).name} is not there any more.")
    except MemoryError:
        return _failure("failed", "The audio worker came to the limit of its memory.")
    except OSError as trouble:
        kind = "no_room" if trouble.errno in _NO_ROOM else "failed"
        return _failure(kind, f"{type(trouble).__name__}: {trouble.strerror or trouble}")
    except Exception as mistake:  # one bad file never stops the others
        return _failure("failed", f"{type(mistake).__name__}: {mistake}")


def _failure(kind: str, message: str, remedy: str | None = None) -> Answer:
    return {"failed": kind, "message": message[:500], "remedy": remedy}


def serve(orders: TextIO, answers: TextIO) -> None:
    """Answer every order until there are no more."""
    for line in orders:
        answers.write(json.dumps(answer_to(line)) + "\n")
        answers.flush()


def keep_in_bounds(parent: int | None) -> None:
    """Yield to everybody, do not grow without bound, and never outlive the parent."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold somebody's conversation
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent says when
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:  # it died before we asked to be told
        sys.exit(0)


def main() -> None:
    """The process. Its own standard output is only for answers: what a library prints goes to standard error."""
    keep_in_bounds(int(sys.argv[1]) if len(sys.argv) > 1 else None)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()

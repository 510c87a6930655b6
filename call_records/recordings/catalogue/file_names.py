"""What the name of a recording's file tells: which recording, which side, which channel.

With the recommended dialplan a recording is `UNIQUEID.wav` with `UNIQUEID-in.wav` and `UNIQUEID-out.wav` beside it, or,
where each channel has a track of its own, `UNIQUEID-track.wav` of every channel.
FreePBX writes `external-101-89161234567-20261122-120000-1795311120.5.wav`: the Uniqueid stands at the end. Anything
else is known by its name alone, as the PBX told it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from call_records.recordings.types import SourceRole
from telephony.recordings import TRACK_SUFFIX

SOUND_ENDINGS = (".wav", ".WAV", ".wav16", ".mp3", ".MP3", ".m4a", ".ogg", ".opus", ".flac", ".aac", ".gsm")
"""As files that are expected may be spelled. `.WAV` is GSM in RIFF, `.wav16` is WAV of 16 kHz."""
ENDINGS = frozenset(
    {
        *(ending.lower() for ending in SOUND_ENDINGS),
        *(
            ".wav49",
            ".gsm",
            ".m4a",
            ".ogg",
            ".flac",
            ".ulaw",
            ".alaw",
            ".ul",
            ".al",
            ".pcm",
            ".g722",
            ".g723",
            ".g726",
            ".g729",
            ".au",
            ".ilbc",
        ),
        *(
            ".sln",
            ".sln12",
            ".sln16",
            ".sln24",
            ".sln32",
            ".sln44",
            ".sln48",
            ".sln96",
            ".sln192",
            ".siren7",
            ".siren14",
        ),
        *(".opus", ".aac", ".amr", ".vox", ".wma", ".webm", ".h264"),
    }
)
"""What PBXes record as. What is read is decided by the file's first bytes; the others are kept and refused with a reason."""
ROLES = {"-in": SourceRole.IN, "-out": SourceRole.OUT, TRACK_SUFFIX: SourceRole.TRACK}
_BARE = re.compile(
    r"\d{9,10}\.\d+$"
)  # the epoch has had ten digits since 2001; nine in tests of old captures


@dataclass(frozen=True, slots=True)
class FileName:
    """The parts of one file's name."""

    recording: str
    """Without directory, side and ending: what the files of one recording share."""
    role: SourceRole
    ending: str
    """With its dot, in lower case."""


def parts_of(path: str) -> FileName | None:
    """What the name says; None for a file that is no recording by its ending (or hidden, or in work)."""
    name = PurePosixPath(path.replace("\\", "/")).name
    stem, dot, ending = name.rpartition(".")
    ending = dot + ending.lower()
    if ending not in ENDINGS or not stem or stem.startswith("."):
        return None
    for suffix, role in ROLES.items():
        if stem.endswith(suffix) and len(stem) > len(suffix):
            return FileName(stem.removesuffix(suffix), role, ending)
    return FileName(stem, SourceRole.MIX, ending)


def recording_of(path: str) -> str | None:
    """The recording a path told by the PBX stands for, with or without an ending; None for an empty one."""
    told = parts_of(path)
    if told is not None:
        return told.recording
    return PurePosixPath(path.replace("\\", "/")).name or None


def bare(uniqueid: str) -> str | None:
    """`epoch.counter` at the end of a name or of a Uniqueid with a system name; None when there is none."""
    found = _BARE.search(uniqueid)
    return found.group() if found else None


def is_bare(text: str) -> bool:
    """Whether this is `epoch.counter` and nothing else."""
    return _BARE.fullmatch(text) is not None


def channel_in(name: str, uniqueids: Iterable[str]) -> str | None:
    """The longest of these Uniqueids that the recording's name ends with, at the border of a word."""
    fitting = (one for one in uniqueids if name == one or name.endswith(f"-{one}"))
    return max(fitting, key=len, default=None)

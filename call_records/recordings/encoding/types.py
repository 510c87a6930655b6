"""What goes into the encoder and comes out of it: values only, so that the service need not load FFmpeg to speak of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from call_records.recordings.types import Blanks, Peaks
from telephony.errors import PeerMistake
from telephony.recordings import HealthFault, Layout, Measures


class Unreadable(PeerMistake):
    """This is not a sound file."""


class Soundless(Unreadable):
    """There is not a single sample in it."""


@dataclass(frozen=True, slots=True)
class TrackPiece:
    """A stretch of one party's track, and where it lies on the axis of the call's recording. All in seconds."""

    path: Path
    party: str
    outside: bool
    """Whether it goes to the outside party's side, else to ours."""
    from_seconds: float
    to_seconds: float
    """Where it stands in the file."""
    at_seconds: float
    """Where it begins on the axis."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the PBX wrote of one recording: its two sides (one may be missing), everybody in one file, or everybody's own
    tracks.
    """

    in_side: Path | None = None
    out_side: Path | None = None
    mix: Path | None = None
    outside_first: bool | None = None
    """Whether the IN side is the outside party. A mixed file of two channels is read as two sides only if this is known."""
    began_at: float = 0.0
    """Of tracks: the moment of the axis's beginning, Unix seconds."""
    tracks: tuple[TrackPiece, ...] = ()
    """Everybody's own tracks; the files above are not looked at then."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of it."""

    layout: Layout
    duration_seconds: float
    peaks: Peaks
    measures: Measures
    faults: tuple[HealthFault, ...]
    blanks: Blanks
    difference_seconds: float
    """By how much one side was longer than the other; the shorter got silence at its end."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What a redaction covered, and how the waveform looks there now."""

    from_seconds: float
    """Up to 70 ms before what was asked for: only whole packets can be replaced."""
    to_seconds: float
    """Up to 60 ms after it."""
    first_part: int
    """The first of the waveform's PEAKS parts that looks different."""
    left: bytes
    right: bytes | None
    """The new values from there on; mono has only `left`."""

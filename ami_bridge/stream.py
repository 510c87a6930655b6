"""What an observed PBX tells, in wire order: the link comes up, messages, the snapshot ends, the link goes
down.

Start, restart and reconnect look the same to the reader: `LinkUp`, then snapshot answers and live events
mixed as they came, then `SnapshotEnd`, then live events until `LinkDown`. Nothing is reordered and nothing
held back here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ami_bridge.wire.message import Message


@dataclass(frozen=True, slots=True)
class LinkUp:
    """Logged in. Comes before the first message of a link."""

    pbx: str
    at: datetime
    uptime_seconds: float | None
    """How long this Asterisk has run, from `FullyBooted`; None while it is still booting or keeps it from
    us."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One believed message: a live event, or an answer to the snapshot."""

    pbx: str
    message: Message
    suspicious: bool = False
    """A stranger's line breaks were found in it. It is mended, but say so on the call."""


@dataclass(frozen=True, slots=True)
class SnapshotEnd:
    """The last answer of the snapshot has passed."""

    pbx: str
    at: datetime
    complete: bool
    """False when answers were still missing at the deadline: absence from this snapshot then proves
    nothing."""
    refused: tuple[str, ...] = ()
    """Actions the AMI user may not use, or that this PBX does not know."""


@dataclass(frozen=True, slots=True)
class SnapshotBegin:
    """The PBX is asked once more what lives on it, in the middle of a link: something could not be believed."""

    pbx: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ClockSet:
    """The PBX's clock or ours was set while calls were live. The times of what follows are corrected already."""

    pbx: str
    at: datetime
    seconds: float
    """How far it was set; negative when it was set back."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link is gone; what the PBX does now is not seen until the next `LinkUp`."""

    pbx: str
    at: datetime
    problem: str
    """One sentence for the person on duty."""


StreamItem = LinkUp | Observed | SnapshotBegin | SnapshotEnd | ClockSet | LinkDown

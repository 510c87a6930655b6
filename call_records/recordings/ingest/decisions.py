"""What becomes of the files of one recording: one table, decided from what was seen of them and of their call.

| what comes | what becomes of it |
|---|---|
| finished, its call has ended | taken a second after it last changed |
| finished, its call goes on (the recorded channel left) | taken after a minute without a change |
| finished, of a call that is not known | taken after 15 s, without a call; filed by itself when the call appears |
| finished late (180 s after the call) | waited for; taken when its header and its size agree |
| never finished: the header says more or less than there is | taken after 4 minutes as it is, marked TRUNCATED |
| one side is missing | waited for 4 minutes, then taken without it |
| one party's track | taken by itself; the pipeline joins the tracks of a call |
| one party's track of nothing but a header (a phone that only rang) | JOINED at once: nobody sees it |
| nothing but a header, or not one byte; nobody had answered | EMPTY |
| the same, but somebody had answered | LOST after 4 minutes, with the reason; still taken if it grows |
| MP3, AAC or FLAC: nothing in it says where it ends | as a finished one, after 15 s without a change |
| M4A, Ogg | finished when it says that it ends there, as a WAV |
| no sound that is read (AMR, text, …) whatever its name says | REFUSED with the reason, left as it came |
| the same name and the same content again | ignored and counted |
| the same name and other content | replaces what nobody has heard; else stands beside it as NAME~2 |
| another name than the PBX told, with the Uniqueid in it | taken as the recording that is missed on that channel |
| expected, but nothing came | LOST within 5 minutes after the call; still taken when it comes |
| unreadable (permissions) | a trouble sentence; tried again every 30 s |

Nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from call_records.recordings.ingest.wav_header import Look
from call_records.recordings.types import BOTH_SIDES, SourceRole
from telephony.recordings import HealthFault, RecordingState

QUIET_SECONDS = (
    1.0  # Asterisk fills a buffer in 0.3 s, and closes the file before it says that the call ended
)
UNKNOWN_QUIET_SECONDS = 15.0  # the call may be on its way: the journal is told within seconds
ENDLESS_QUIET_SECONDS = 15.0  # a program that converts after the call writes without a pause
LIVE_QUIET_SECONDS = 60.0  # MixMonitor with `b` writes nothing while nobody is connected
LATE_SECONDS = 240.0  # a file finalised 180 s after the call is waited for; the page must tell within 300 s

SOUNDING = frozenset({Look.SOUND, Look.ENDLESS, Look.UNFINISHED})


class CallIs(StrEnum):
    """What is known of the recording's call."""

    LIVE = "live"
    ANSWERED = "answered"  # ended
    UNANSWERED = "unanswered"  # ended
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Piece:
    """One file of the group."""

    role: SourceRole
    look: Look
    reason: str | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to be done; `state` None is to wait. `roles` are the files that belong to it."""

    state: RecordingState | None
    reason: str | None = None
    faults: tuple[HealthFault, ...] = ()
    roles: frozenset[SourceRole] = frozenset(SourceRole)


WAIT = Fate(None)


def may_be_done(call: CallIs, quiet_seconds: float) -> bool:
    """Whether the files have rested long enough to be looked at."""
    wanted = {
        CallIs.LIVE: LIVE_QUIET_SECONDS,
        CallIs.UNKNOWN: UNKNOWN_QUIET_SECONDS,
    }
    return quiet_seconds >= wanted.get(call, QUIET_SECONDS)


def fate_of(pieces: Sequence[Piece], call: CallIs, quiet_seconds: float) -> Fate:
    """The row of the table that fits. `quiet_seconds`: how long none of the files has changed."""
    late = quiet_seconds >= LATE_SECONDS
    if not may_be_done(call, quiet_seconds):
        return WAIT
    sounding = [one for one in pieces if one.look in SOUNDING]
    if not sounding:
        return _without_sound(pieces, call, late)
    if quiet_seconds < ENDLESS_QUIET_SECONDS and any(one.look is Look.ENDLESS for one in pieces):
        return WAIT
    if not late and (_incomplete(pieces) or any(one.look is Look.UNFINISHED for one in pieces)):
        return WAIT
    if any(one.look is Look.UNFINISHED for one in pieces) and call is CallIs.LIVE:
        return WAIT
    cut = any(one.look is Look.UNFINISHED for one in sounding)
    return Fate(
        RecordingState.ARRIVED,
        faults=(HealthFault.TRUNCATED,) if cut else (),
        roles=frozenset(one.role for one in sounding),
    )


def _without_sound(pieces: Sequence[Piece], call: CallIs, late: bool) -> Fate:
    if all(one.role is SourceRole.TRACK and one.look is Look.HEADER_ONLY for one in pieces):
        # Of every phone that rang and was not answered; what another track has is in that one.
        return WAIT if call is CallIs.LIVE else Fate(RecordingState.JOINED, "Nothing was said on this track.")
    alien = next((one for one in pieces if one.look is Look.ALIEN), None)
    if alien is not None:
        return Fate(RecordingState.REFUSED, alien.reason)
    match call:
        case CallIs.LIVE:
            return WAIT
        case CallIs.UNANSWERED:
            return Fate(RecordingState.EMPTY, "Nobody answered.")
        case CallIs.ANSWERED if late:
            return Fate(RecordingState.LOST, "The call was answered, but its file holds no sound.")
        case CallIs.UNKNOWN if late:
            return Fate(RecordingState.EMPTY, "The file holds no sound, and its call is not known.")
        case _:
            return WAIT


def _incomplete(pieces: Sequence[Piece]) -> bool:
    """Sides are written apart or not at all, and with them the mixed file; uploads bring the mixed one last."""
    roles = {one.role for one in pieces}
    return bool(roles & {SourceRole.IN, SourceRole.OUT}) and not roles >= BOTH_SIDES

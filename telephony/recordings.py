"""What a recording is: its states, its two sides, what may be wrong with it, and who may do what with it.

A recording is made by the PBX on one channel of a call. Its file becomes two-sided audio where the PBX wrote each side
apart: left is always the outside party, right is ours, whichever channel the PBX recorded on. One call may have several
(a transfer to the outside is a second carrier channel). A recording that was removed stays as a tombstone: who, when,
why; never the audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from telephony.call_facts.facts import CallFacts, Recorded
from telephony.staff import Role


class RecordingState(StrEnum):
    """Where a recording is on its way."""

    EXPECTED = "expected"  # the PBX said it records; no finished file yet
    ARRIVED = "arrived"  # the files are here, stable and valid; not processed yet
    READY = "ready"  # can be played
    EMPTY = "empty"  # a header and no audio: the call was never answered
    REFUSED = "refused"  # not audio that can be read; kept as it came, with the reason
    FAILED = "failed"  # processing was tried several times; needs a person
    LOST = "lost"  # expected, but no file came within the time that is allowed
    REMOVED = "removed"  # a tombstone
    JOINED = "joined"  # one party's track: what belongs to the call is in the call's own recording


TRACK_SUFFIX = "-track"
"""At the end of a file's name: only what the recorded channel's own party says. Written by our dialplan."""

SOMEBODY_SHOULD_LOOK = frozenset({RecordingState.REFUSED, RecordingState.FAILED, RecordingState.LOST})
"""States that belong on the page of exceptions."""


class Layout(StrEnum):
    """How the audio is laid out."""

    STEREO = "stereo"  # left = the outside party, right = ours
    MONO = "mono"  # everybody on one channel
    TRACK = "track"  # one of ours alone, to be joined into the call's recording; never seen by itself


class HealthFault(StrEnum):
    """What is wrong with the sound of a recording."""

    SILENT = "silent"  # nobody can be heard at all
    OUTSIDE_SILENT = "outside_silent"  # only our side can be heard
    OURS_SILENT = "ours_silent"  # only the outside party can be heard
    CLIPPED = "clipped"  # the level was too high for long
    TRUNCATED = "truncated"  # the file ended before its header said; what was there is kept
    SHORTER_THAN_TALK = "shorter_than_talk"  # less audio than the call talked
    PART_MISSING = "part_missing"  # nothing at all came from one side for a while in which the call talked


class HearScope(StrEnum):
    """Whose calls an account may hear."""

    OWN = "own"  # those its extensions took part in
    TEAM = "team"  # those anybody of its team took part in
    ALL = "all"
    NONE = "none"


class RecordingRight(StrEnum):
    """What an account may do with the recordings in its scope, besides hearing and commenting."""

    DOWNLOAD = "download"
    SHARE = "share"
    REDACT = "redact"
    DELETE = "delete"
    HEAR_ORIGINAL = "hear_original"  # what a redaction covered, where the original was kept


DEFAULT_SCOPE: dict[Role, HearScope] = {
    Role.MANAGER: HearScope.OWN,
    Role.SUPERVISOR: HearScope.ALL,
    Role.ADMINISTRATOR: HearScope.NONE,  # who looks after the machine need not hear customers
}
"""Until somebody chooses otherwise for an account."""

DEFAULT_RIGHTS: dict[Role, frozenset[RecordingRight]] = {
    Role.MANAGER: frozenset(),
    Role.SUPERVISOR: frozenset({RecordingRight.DOWNLOAD, RecordingRight.SHARE, RecordingRight.REDACT}),
    Role.ADMINISTRATOR: frozenset({RecordingRight.DELETE}),
}
"""Until somebody chooses otherwise for an account."""


class AuditAction(StrEnum):
    """What is written down for good."""

    OPENED = "opened"  # the audio was asked for by the player
    HEARD = "heard"  # so many seconds of it were played
    DOWNLOADED = "downloaded"
    SHARED = "shared"  # a link was made
    LINK_OPENED = "link_opened"  # somebody without an account followed a link
    LINK_REVOKED = "link_revoked"
    COMMENTED = "commented"
    REDACTED = "redacted"
    UNCOVERED = "uncovered"  # a redaction was taken back
    REMOVED = "removed"
    HOLD_PLACED = "hold_placed"
    HOLD_LIFTED = "hold_lifted"
    DISMISSED = "dismissed"  # an exception is known and hidden
    RESTORED = "restored"  # it is shown again
    REFILED = "refiled"  # a recording was given to another call
    PAUSED = "paused"
    RESUMED = "resumed"
    GRADED = "graded"
    RIGHTS_CHANGED = "rights_changed"
    RULES_CHANGED = "rules_changed"  # retention or policy
    EXPORTED = "exported"  # the audit log itself
    CRM_RETRIED = "crm_retried"  # a delivery to a CRM is tried again
    CRM_DISMISSED = "crm_dismissed"  # nobody wants it delivered any more
    REFUSED = "refused"  # somebody asked for what they may not have
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"  # a wrong password, or a name that nobody has
    SIGNED_OUT = "signed_out"
    PASSWORD_CHANGED = "password_changed"  # by its owner
    PASSWORD_RESET = "password_reset"  # by an administrator, who sees the new one
    TOKEN_MADE = "token_made"
    TOKEN_REMOVED = "token_removed"


@dataclass(frozen=True, slots=True)
class PersonShare:
    """How much of a recording one person of ours talked; known where everybody has a track of their own."""

    party: str
    """The extension; empty for somebody outside who was called in."""
    talk_share: float


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured of the sound. Shares are of the duration, 0 to 1; a mono recording has no sides."""

    outside_talk_share: float | None
    ours_talk_share: float | None
    overlap_share: float | None
    silence_share: float
    longest_silence_seconds: float
    longest_silence_at_seconds: float
    loudest: float
    """The highest sample, 0 to 1."""
    people: tuple[PersonShare, ...] = ()
    """Each person of ours, in order of speaking; empty where one file holds all of them."""


@dataclass(frozen=True, slots=True)
class RecordingPolicy:
    """The office's choices about recordings, one set for all."""

    reason_required: bool = False
    """Whether somebody must type why before they hear a call that is not their own."""
    keep_days: int | None = 365
    """How long audio is kept when no rule says otherwise; None is for ever."""
    destroy_redacted_original: bool = False
    """Whether a redaction destroys what it covers, or keeps the original for those with the right."""
    link_days_most: int = 14
    """How long a shared link may live at most."""
    remove_at_pbx_after_days: int | None = None
    """When the PBX's own files go, counted from the verified copy; None leaves them alone."""


def audio_began_at(
    call: CallFacts | None, file: str, duration_seconds: float, modified_at: datetime
) -> datetime:
    """When the first sample of a recording was heard, by the clock on the wall.

    `file` is any of the recording's files, wherever it lies now; `modified_at` when the PBX last wrote to it. Measured on
    16.28 and 22.10 with tones, to within 0.02 s: a file ends with its channel (or when it was stopped), and its first
    sample is of the moment in which the channel was answered, or of the start of recording if that came later. Where
    nobody at all sent audio for a while (both sides mute), that time is missing in the file: counted back from the end it
    would begin too late, so it never begins later than the answer. What comes after such a gap is early by its length.
    """
    told = _told_of(call, file)
    end = told.until if told is not None and told.until is not None else modified_at
    began = end - timedelta(seconds=duration_seconds)
    if call is None or told is None:
        return began
    leg = call.leg_of(told.party)
    answered_at = leg.answered_at if leg is not None and leg.answered_at is not None else call.answered_at
    if answered_at is not None:
        began = min(began, max(told.at, answered_at))
    return max(began, told.at)


def _told_of(call: CallFacts | None, file: str) -> Recorded | None:
    wanted = recording_name(file)
    found = (one for one in (call.recorded if call is not None else ()) if recording_name(one.file) == wanted)
    return next(found, None)


def recording_name(file: str) -> str:
    """What the files of one recording share: the name without directory, side and ending."""
    return file_title(file).removesuffix("-in").removesuffix("-out").removesuffix(TRACK_SUFFIX)


def file_title(file: str) -> str:
    """A file's name without folder and ending, as the PBX may tell it anywhere."""
    return file.rpartition("/")[2].rpartition(".")[0] or file


def is_track(file: str) -> bool:
    """Whether this file, by its name, holds one party alone (one track per channel)."""
    return (file.rpartition("/")[2].rpartition(".")[0] or file).endswith(TRACK_SUFFIX)

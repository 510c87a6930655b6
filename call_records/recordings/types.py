"""What the recordings' features hand out and take in: plain frozen values, no SQL, no audio library.

Pages, commands and tests are written against these. Every recording is found by its id; its audio only ever through
`Shelf`, which knows where it lies and how it is encrypted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from telephony.call_facts.facts import CallFacts, Direction
from telephony.recordings import AuditAction, HealthFault, Layout, Measures, RecordingPolicy, RecordingState

PEAKS = 1200  # per side, whatever the length: one for each pixel of a wide player
AUDIO_TYPE = "audio/mp4"


class SourceRole(StrEnum):
    """What a file of the PBX holds."""

    IN = "in"  # what the recorded channel's own party said (MixMonitor's r)
    OUT = "out"  # what was said to them (MixMonitor's t)
    MIX = "mix"  # both in one
    TRACK = (
        "track"  # what the recorded channel's own party said; the others of the call have tracks of their own
    )


BOTH_SIDES = frozenset({SourceRole.IN, SourceRole.OUT, SourceRole.MIX})
"""What is written together where one channel's recording has both sides."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file as the PBX wrote it. `path` is where it can be read on this machine."""

    path: Path
    role: SourceRole
    bytes: int
    sha256: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: nothing removes this recording until it is lifted."""

    by: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Removal:
    """The tombstone."""

    by: str
    at: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Redaction:
    """A span covered by a beep, in seconds from the beginning of the recording."""

    from_seconds: float
    to_seconds: float
    by: str
    at: datetime
    id: UUID
    by_account: UUID | None = None
    """Of who covered it; None where that was not kept."""
    destroyed: bool = False
    """Nothing holds any more what was said there."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, wherever it is on its way. Times are None until they are known."""

    id: UUID
    pbx: str
    name: str
    """The file's name without directory, side and ending; with the recommended dialplan the Uniqueid."""
    call_id: UUID | None
    """None: belongs to no call that is known."""
    channel: str | None
    """Uniqueid of the channel it was made on."""
    state: RecordingState
    reason: str | None
    """Why it is empty, refused, failed or lost: a sentence."""
    files: tuple[SourceFile, ...]
    outside_first: bool | None
    """Whether the IN file is the outside party (else ours); None for one mixed file."""
    expected_at: datetime | None
    arrived_at: datetime | None
    ready_at: datetime | None
    started_at: datetime | None
    """The moment of its first sample, on the call's own clock."""
    duration_seconds: float | None
    layout: Layout | None
    measures: Measures | None
    faults: tuple[HealthFault, ...]
    has_original: bool
    """Whether the unredacted original is kept beside it."""
    redactions: tuple[Redaction, ...]
    keep_until: datetime | None
    """When the retention rules remove it; None is never."""
    hold: Hold | None
    removal: Removal | None
    attempts: int


@dataclass(frozen=True, slots=True)
class RecordingFilter:
    """Which recordings to list; None means any."""

    states: frozenset[RecordingState] | None = None
    since: datetime | None = None
    until: datetime | None = None
    direction: Direction | None = None
    parties: frozenset[str] | None = None
    """At least one of these extensions took part; also how a scope of OWN or TEAM is asked for."""
    number: str | None = None
    """Any spelling of an outside number, whole or its last digits (at least 3)."""
    fault: HealthFault | None = None
    at_least_seconds: float | None = None
    tag: str | None = None
    without_call: bool = False
    """Only those that belong to no known call."""
    call_ids: frozenset[UUID] | None = None
    """Only of these calls: how a page that is open asks for the rows that changed."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording with its call, as lists show it."""

    recording: Recording
    call: CallFacts | None


@dataclass(frozen=True, slots=True)
class RecordingPage:
    """One page, newest first; `older` is the cursor of the next, None at the end."""

    listed: tuple[Listed, ...]
    older: str | None


@dataclass(frozen=True, slots=True)
class Peaks:
    """The waveform: the highest level in each of PEAKS equal parts, 0 to 255, per side; mono has only `left`."""

    left: bytes
    right: bytes | None


Span = tuple[float, float]
"""From and to, in seconds of the audio."""


@dataclass(frozen=True, slots=True)
class Blanks:
    """Where a side holds nothing at all: stretches of exact zero samples, in order. Mono has no sides, so it has none."""

    outside: tuple[Span, ...] = ()
    ours: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Processed:
    """What came out of the audio worker for one recording."""

    audio: Path
    """The finished Opus in MP4, in the worker's own directory."""
    layout: Layout
    duration_seconds: float
    peaks: Peaks
    measures: Measures
    faults: tuple[HealthFault, ...]
    blanks: Blanks = Blanks()


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote at a moment of a recording."""

    id: UUID
    recording_id: UUID
    account_id: UUID
    author: str
    at_seconds: float
    text: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class ShareLink:
    """An expiring link to a recording or a clip of it. Only the hash of its token is kept."""

    id: UUID
    recording_id: UUID
    from_seconds: float | None
    to_seconds: float | None
    purpose: str
    """`share` for people, `crm` for the link a CRM is given."""
    made_by: str
    made_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    opened: int


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """The first rule whose every condition holds decides how long audio is kept. None means any."""

    id: UUID
    position: int
    direction: Direction | None
    number: str | None
    """E.164, or its beginning followed by `*`."""
    extension: str | None
    tag: str | None
    shorter_than_seconds: float | None
    keep_days: int | None
    """0 removes it as soon as it was processed; None keeps it for ever."""
    note: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the append-only log."""

    id: int
    at: datetime
    account_id: UUID | None
    who: str
    action: AuditAction | str
    """A plain string where a later release wrote it."""
    recording_id: UUID | None
    call_id: UUID | None
    seconds: float | None
    address: str
    browser: str
    reason: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines; None means any."""

    who: str | None = None
    action: AuditAction | None = None
    recording_id: UUID | None = None
    call_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


class RecordingCatalogue(Protocol):
    """Reading and filing recordings (`catalogue.py`)."""

    async def one(self, recording_id: UUID) -> Recording | None: ...
    async def of_call(self, call_id: UUID) -> Sequence[Recording]:
        """All of a call (merged calls included), by start; tombstones too."""

    async def of_calls(self, call_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Recording]]:
        """For a page of a list: one query."""

    async def page(
        self, wanted: RecordingFilter, *, limit: int = 50, cursor: str | None = None
    ) -> RecordingPage: ...
    async def peaks(self, recording_id: UUID) -> Peaks | None: ...
    async def exceptions(self, *, limit: int = 200, dismissed: bool = False) -> Sequence[Listed]:
        """What somebody should look at: refused, failed, lost, without a call, unhealthy; newest first. Or what was
        dismissed of it.
        """

    async def dismiss_exceptions(self, recording_ids: Sequence[UUID], *, by: str) -> Sequence[UUID]:
        """They are known: not shown again until something else is wrong with them. Gives those that changed."""

    async def restore_exceptions(self, recording_ids: Sequence[UUID]) -> Sequence[UUID]:
        """They are shown again."""

    async def refile(self, recording_id: UUID, call_id: UUID) -> None:
        """Give it to another call. Raises PeerMistake when there is no such call."""

    async def try_again(self, recording_id: UUID) -> None:
        """Process a failed one again, or wait again for a lost one."""


class Shelf(Protocol):
    """The audio itself (`storage/audio_store.py`): stored objects, decrypted on the way out."""

    async def size(self, recording_id: UUID, *, original: bool = False) -> int | None:
        """Bytes of the playable audio; None when there is none."""

    async def read(self, recording_id: UUID, first: int, last: int, *, original: bool = False) -> bytes:
        """Bytes `first` to `last`, both included. Raises TryLater when the storage does not answer."""

    async def keep(self, recording_id: UUID, audio: Path, *, kind: str = "current") -> None:
        """Store, read back, compare the checksum; only then it counts. Replaces what was current.

        `kind` is `current`, `original` (what a redaction covered) or `clip:LINKID`. Raises TryLater.
        """

    async def read_clip(self, link_id: UUID) -> bytes | None: ...
    async def destroy(self, recording_id: UUID, *, only: str | None = None) -> None:
        """Delete every object of it (or only one kind) from the storage. Raises TryLater."""

    def whole(self, recording_id: UUID, *, original: bool = False) -> AsyncIterator[bytes]:
        """The whole audio in pieces, for exports and backups."""


class Editor(Protocol):
    """Clips and redactions (`editing.py`), done in the worker process."""

    async def clip(self, recording_id: UUID, from_seconds: float, to_seconds: float, link_id: UUID) -> None:
        """Cut a clip with pydub and keep it for that link."""

    async def redact(
        self,
        recording_id: UUID,
        from_seconds: float,
        to_seconds: float,
        *,
        by: str,
        by_account: UUID | None = None,
    ) -> None:
        """Put a beep over that span on both sides; the original is kept or destroyed by the policy."""

    async def uncover(self, recording_id: UUID, redaction_id: UUID, *, by: str) -> None:
        """Put back what a redaction covered. Raises PeerMistake where the original was not kept."""

    async def as_mp3(self, recording_id: UUID) -> bytes:
        """For a download to what cannot play MP4."""


class Comments(Protocol):
    """Comments at a moment (`comments.py`)."""

    async def of_recording(self, recording_id: UUID) -> Sequence[Comment]: ...
    async def add(self, *, recording_id: UUID, account_id: UUID, at_seconds: float, text: str) -> Comment: ...
    async def change(self, comment_id: UUID, *, account_id: UUID, text: str) -> Comment | None:
        """Its author's new text; None when it is not theirs or there is none. An empty text removes it."""


class ShareLinks(Protocol):
    """Expiring links (`catalogue/share_links.py`)."""

    async def make(
        self,
        *,
        recording_id: UUID,
        token_hash: bytes,
        from_seconds: float | None,
        to_seconds: float | None,
        made_by: UUID,
        expires_at: datetime,
        purpose: str = "share",
    ) -> ShareLink: ...
    async def find(self, token_hash: bytes, *, counting: bool = True) -> ShareLink | None:
        """The link, if it has neither expired nor been revoked; counts the opening, unless it is only a part of one
        (a player asks for the sound in pieces).
        """

    async def of_recording(self, recording_id: UUID) -> Sequence[ShareLink]: ...
    async def revoke(self, link_id: UUID) -> None: ...


class Audit(Protocol):
    """The append-only log (`audit.py`); the database refuses to change or delete a line."""

    async def write(
        self,
        action: AuditAction,
        *,
        who: str,
        account_id: UUID | None = None,
        recording_id: UUID | None = None,
        call_id: UUID | None = None,
        seconds: float | None = None,
        address: str = "",
        browser: str = "",
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None: ...
    async def page(
        self, wanted: AuditFilter, *, limit: int = 100, before: int | None = None
    ) -> Sequence[AuditEntry]:
        """Newest first, older than the line `before`."""

    def export(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        """All of it, oldest first, without holding it in memory."""


class Retention(Protocol):
    """How long, and what was removed (`retention.py`)."""

    async def policy(self) -> RecordingPolicy: ...
    async def set_policy(self, policy: RecordingPolicy) -> None: ...
    async def rules(self) -> Sequence[RetentionRule]: ...
    async def set_all(
        self, policy: RecordingPolicy, rules: Sequence[RetentionRule], *, seen: str | None = None
    ) -> None:
        """Both in one step. Raises ChangedMeanwhile unless what holds is still what was `seen`."""

    async def put_rules(self, rules: Sequence[RetentionRule]) -> None:
        """Replace all rules; positions are those of the sequence. Every recording's keep_until is set anew."""

    async def would_remove(self, rules: Sequence[RetentionRule], keep_days: int | None) -> int:
        """How many recordings these rules would remove tonight."""

    async def remove(self, recording_id: UUID, *, by: str, why: str) -> None:
        """Destroy the audio, leave the tombstone. Raises PeerMistake while a legal hold stands."""

    async def place_hold(self, recording_id: UUID, *, by: str, why: str) -> None: ...
    async def lift_hold(self, recording_id: UUID, *, by: str, why: str) -> None: ...
    async def tags_of(self, call_id: UUID) -> Sequence[str]: ...
    async def tags_of_calls(self, call_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[str]]:
        """For a page of a list: one query. Calls without a tag are left out."""

    async def set_tags(self, call_id: UUID, tags: Sequence[str]) -> None: ...

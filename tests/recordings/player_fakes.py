"""Recordings in memory, with the shapes of the store: what the pages and the player are tried with, without an audio
worker or a storage; and small real sounds to play.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import av

from call_records.recordings.types import (
    AuditEntry,
    AuditFilter,
    Comment,
    Listed,
    Peaks,
    Recording,
    RecordingFilter,
    RecordingPage,
    Redaction,
    RetentionRule,
    ShareLink,
)
from telephony.call_facts.facts import CallFacts
from telephony.errors import PeerMistake
from telephony.recordings import AuditAction, Layout, RecordingPolicy, RecordingState

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
RATE = 8000
AuthorOf = Callable[[UUID], str]


def recording(call_id: UUID | None = None, **different: Any) -> Recording:
    """A finished recording of 60 seconds, but for what is different."""
    plain = Recording(
        id=uuid4(),
        pbx="hq",
        name="1795311120.8",
        call_id=call_id,
        channel="1795311120.8",
        state=RecordingState.READY,
        reason=None,
        files=(),
        outside_first=True,
        expected_at=NOON,
        arrived_at=NOON,
        ready_at=NOON,
        started_at=NOON,
        duration_seconds=60.0,
        layout=Layout.STEREO,
        measures=None,
        faults=(),
        has_original=False,
        redactions=(),
        keep_until=None,
        hold=None,
        removal=None,
        attempts=0,
    )
    return replace(plain, **different)


def talk(
    seconds: float, *, turns: float = 6.0, quiet: Iterable[tuple[float, float]] = (), parts: int = 1200
) -> Peaks:
    """Two people taking turns, silent in the given spans; always the same."""
    left, right = bytearray(parts), bytearray(parts)
    spans = list(quiet)
    for part in range(parts):
        at = (part + 0.5) / parts * seconds
        if any(a <= at < b for a, b in spans):
            continue
        swell = abs(math.sin(at * 1.3)) * (0.55 + 0.45 * math.sin(at * 5.1 + 1))
        level = int(150 * swell * (0.6 + 0.4 * ((part * 7919) % 17) / 17))
        turn = int(at / turns + 0.6 * math.sin(at / 9))
        speaker, other = (left, right) if turn % 2 == 0 else (right, left)
        speaker[part] = max(level, 5)
        other[part] = 5 if part % 13 else 1
    return Peaks(bytes(left), bytes(right))


@lru_cache(maxsize=8)
def sound(seconds: float, *, pitch: float = 440.0) -> bytes:
    """A real Opus in MP4, two sides of different pitch, with its index in front as the product stores it."""
    frames = int(seconds * RATE)
    samples = array("h", bytes(4 * frames))
    for index in range(frames):
        samples[2 * index] = int(6000 * math.sin(2 * math.pi * pitch * index / RATE))
        samples[2 * index + 1] = int(6000 * math.sin(2 * math.pi * pitch * 1.5 * index / RATE))
    with (
        tempfile.TemporaryDirectory() as folder,
        av.open(f"{folder}/s.m4a", "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream("libopus", rate=48000)
        stream.bit_rate = 21_000
        stream.codec_context.layout = "stereo"
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=48000)
        for first in range(0, frames, RATE):
            piece = samples[2 * first : 2 * min(first + RATE, frames)]
            frame = av.AudioFrame(format="s16", layout="stereo", samples=len(piece) // 2)
            frame.planes[0].update(piece.tobytes())
            frame.sample_rate, frame.pts = RATE, first
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
        container.close()
        return Path(f"{folder}/s.m4a").read_bytes()


class FakeCatalogue:
    """What there is of recordings."""

    def __init__(self, calls: Mapping[UUID, CallFacts]) -> None:
        self._calls = calls
        self.kept: dict[UUID, Recording] = {}
        self.dismissed: set[UUID] = set()
        self.peaks_of: dict[UUID, Peaks] = {}
        self.lists_asked = 0

    async def one(self, recording_id: UUID) -> Recording | None:
        return self.kept.get(recording_id)

    async def of_call(self, call_id: UUID) -> Sequence[Recording]:
        mine = [one for one in self.kept.values() if one.call_id == call_id]
        return sorted(mine, key=lambda one: one.started_at or NOON)

    async def of_calls(self, call_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Recording]]:
        self.lists_asked += 1
        found = {one: await self.of_call(one) for one in call_ids}
        return {one: recordings for one, recordings in found.items() if recordings}

    async def page(
        self, wanted: RecordingFilter, *, limit: int = 50, cursor: str | None = None
    ) -> RecordingPage:
        found = [
            Listed(one, self._calls.get(one.call_id) if one.call_id else None) for one in self.kept.values()
        ]
        found.sort(key=lambda one: one.recording.started_at or NOON, reverse=True)
        return RecordingPage(tuple(found[:limit]), None)

    async def peaks(self, recording_id: UUID) -> Peaks | None:
        return self.peaks_of.get(recording_id)

    async def exceptions(self, *, limit: int = 200, dismissed: bool = False) -> Sequence[Listed]:
        found = [one for one in self.kept.values() if one.faults and (one.id in self.dismissed) is dismissed]
        return [Listed(one, self._calls.get(one.call_id) if one.call_id else None) for one in found][:limit]

    async def dismiss_exceptions(self, recording_ids: Sequence[UUID], *, by: str) -> Sequence[UUID]:
        del by
        self.dismissed |= set(recording_ids)
        return list(recording_ids)

    async def restore_exceptions(self, recording_ids: Sequence[UUID]) -> Sequence[UUID]:
        self.dismissed -= set(recording_ids)
        return list(recording_ids)

    async def refile(self, recording_id: UUID, call_id: UUID) -> None:
        self.kept[recording_id] = replace(self.kept[recording_id], call_id=call_id)

    async def try_again(self, recording_id: UUID) -> None:
        self.kept[recording_id] = replace(self.kept[recording_id], state=RecordingState.ARRIVED)


@dataclass
class FakeShelf:
    """The audio, by recording and whether it is the original."""

    kept: dict[tuple[UUID, bool], bytes] = field(default_factory=dict)
    clips: dict[UUID, bytes] = field(default_factory=dict)
    trouble: Exception | None = None

    async def size(self, recording_id: UUID, *, original: bool = False) -> int | None:
        found = self.kept.get((recording_id, original))
        return None if found is None else len(found)

    async def read(self, recording_id: UUID, first: int, last: int, *, original: bool = False) -> bytes:
        if self.trouble:
            raise self.trouble
        return self.kept[(recording_id, original)][first : last + 1]

    async def keep(self, recording_id: UUID, audio: Path, *, kind: str = "current") -> None:
        content = await asyncio.to_thread(audio.read_bytes)
        self.kept[(recording_id, kind == "original")] = content

    async def read_clip(self, link_id: UUID) -> bytes | None:
        return self.clips.get(link_id)

    async def destroy(self, recording_id: UUID, *, only: str | None = None) -> None:
        self.kept.pop((recording_id, only == "original"), None)

    async def whole(self, recording_id: UUID, *, original: bool = False) -> AsyncIterator[bytes]:
        yield self.kept[(recording_id, original)]


class FakeEditor:
    """Notes what was asked of it; a redaction moves the sound to the original, as the real one does."""

    def __init__(self, catalogue: FakeCatalogue, shelf: FakeShelf, retention: FakeRetention) -> None:
        self._catalogue, self._shelf, self._retention = catalogue, shelf, retention
        self.clips: list[tuple[UUID, float, float, UUID]] = []
        self.trouble: Exception | None = None

    async def clip(self, recording_id: UUID, from_seconds: float, to_seconds: float, link_id: UUID) -> None:
        if self.trouble:
            raise self.trouble
        self.clips.append((recording_id, from_seconds, to_seconds, link_id))
        self._shelf.clips[link_id] = b"clip"

    async def redact(
        self,
        recording_id: UUID,
        from_seconds: float,
        to_seconds: float,
        *,
        by: str,
        by_account: UUID | None = None,
    ) -> None:
        old = self._catalogue.kept[recording_id]
        keeps = not self._retention.chosen.destroy_redacted_original
        if keeps:
            self._shelf.kept[(recording_id, True)] = self._shelf.kept[(recording_id, False)]
        span = Redaction(
            from_seconds, to_seconds, by, datetime.now(UTC), uuid4(), by_account, destroyed=not keeps
        )
        self._catalogue.kept[recording_id] = replace(
            old, redactions=(*old.redactions, span), has_original=old.has_original or keeps
        )

    async def uncover(self, recording_id: UUID, redaction_id: UUID, *, by: str) -> None:
        old = self._catalogue.kept[recording_id]
        remaining = tuple(one for one in old.redactions if one.id != redaction_id)
        self._catalogue.kept[recording_id] = replace(
            old, redactions=remaining, has_original=old.has_original and bool(remaining)
        )

    async def as_mp3(self, recording_id: UUID) -> bytes:
        return b"ID3 mp3"


class FakeComments:
    """Comments at a moment."""

    def __init__(self, author_of: AuthorOf) -> None:
        self._author_of = author_of
        self.kept: dict[UUID, Comment] = {}

    async def of_recording(self, recording_id: UUID) -> Sequence[Comment]:
        mine = [one for one in self.kept.values() if one.recording_id == recording_id]
        return sorted(mine, key=lambda one: one.at_seconds)

    async def add(self, *, recording_id: UUID, account_id: UUID, at_seconds: float, text: str) -> Comment:
        made = Comment(
            uuid4(),
            recording_id,
            account_id,
            self._author_of(account_id),
            at_seconds,
            text,
            datetime.now(UTC),
        )
        self.kept[made.id] = made
        return made

    async def change(self, comment_id: UUID, *, account_id: UUID, text: str) -> Comment | None:
        old = self.kept.get(comment_id)
        if old is None or old.account_id != account_id:
            return None
        self.kept[comment_id] = replace(old, text=text)
        return self.kept[comment_id] if text else self.kept.pop(comment_id)


class FakeLinks:
    """Expiring links."""

    def __init__(self, author_of: AuthorOf) -> None:
        self._author_of = author_of
        self.kept: dict[UUID, ShareLink] = {}
        self.hashes: dict[bytes, UUID] = {}

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
    ) -> ShareLink:
        made = ShareLink(
            id=uuid4(),
            recording_id=recording_id,
            from_seconds=from_seconds,
            to_seconds=to_seconds,
            purpose=purpose,
            made_by=self._author_of(made_by),
            made_at=datetime.now(UTC),
            expires_at=expires_at,
            revoked_at=None,
            opened=0,
        )
        self.kept[made.id], self.hashes[token_hash] = made, made.id
        return made

    async def find(self, token_hash: bytes, *, counting: bool = True) -> ShareLink | None:
        link = self.kept.get(self.hashes.get(token_hash, uuid4()))
        return link if link and link.revoked_at is None else None

    async def of_recording(self, recording_id: UUID) -> Sequence[ShareLink]:
        return [link for link in self.kept.values() if link.recording_id == recording_id]

    async def revoke(self, link_id: UUID) -> None:
        self.kept[link_id] = replace(self.kept[link_id], revoked_at=datetime.now(UTC))


VISITS = frozenset({AuditAction.SIGNED_IN, AuditAction.SIGNED_OUT, AuditAction.SIGN_IN_REFUSED})


class FakeAudit:
    """The log."""

    def __init__(self) -> None:
        self.lines: list[AuditEntry] = []
        self.visits: list[AuditEntry] = []
        """Who signed in and out: apart, so that a test of what was done need not know who came."""

    def told(self) -> list[AuditAction | str]:
        """What was written down about recordings, in order; who signed in besides is left out."""
        return [line.action for line in self.lines]

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
    ) -> None:
        (self.visits if action in VISITS else self.lines).append(
            AuditEntry(
                id=len(self.lines) + 1,
                at=datetime.now(UTC),
                account_id=account_id,
                who=who,
                action=action,
                recording_id=recording_id,
                call_id=call_id,
                seconds=seconds,
                address=address,
                browser=browser,
                reason=reason,
                details=dict(details or {}),
            )
        )

    async def page(
        self, wanted: AuditFilter, *, limit: int = 100, before: int | None = None
    ) -> Sequence[AuditEntry]:
        found = [
            line
            for line in reversed(self.lines)
            if wanted.who in (None, line.who)
            and wanted.action in (None, line.action)
            and wanted.recording_id in (None, line.recording_id)
            and (wanted.since is None or line.at >= wanted.since)
        ]
        return found[:limit]

    async def export(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        for line in self.lines:
            yield line


class FakeRetention:
    """The office's policy; nothing is ever removed here."""

    def __init__(self) -> None:
        self.chosen = RecordingPolicy()
        self.tags: dict[UUID, Sequence[str]] = {}

    async def policy(self) -> RecordingPolicy:
        return self.chosen

    async def set_policy(self, policy: RecordingPolicy) -> None:
        self.chosen = policy

    async def rules(self) -> Sequence[RetentionRule]:
        return []

    async def set_all(
        self, policy: RecordingPolicy, rules: Sequence[RetentionRule], *, seen: str | None = None
    ) -> None:
        del rules, seen
        self.chosen = policy

    async def put_rules(self, rules: Sequence[RetentionRule]) -> None:
        raise PeerMistake("This office has no rules.")

    async def would_remove(self, rules: Sequence[RetentionRule], keep_days: int | None) -> int:
        return 0

    async def remove(self, recording_id: UUID, *, by: str, why: str) -> None:
        raise PeerMistake("This office removes nothing.")

    async def place_hold(self, recording_id: UUID, *, by: str, why: str) -> None:
        raise PeerMistake("This office holds nothing.")

    async def lift_hold(self, recording_id: UUID, *, by: str, why: str) -> None:
        raise PeerMistake("This office holds nothing.")

    async def tags_of(self, call_id: UUID) -> Sequence[str]:
        return self.tags.get(call_id, ())

    async def tags_of_calls(self, call_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[str]]:
        return {one: self.tags[one] for one in call_ids if one in self.tags}

    async def set_tags(self, call_id: UUID, tags: Sequence[str]) -> None:
        self.tags[call_id] = tags

"""Who is listening to what: each listening is written down once, and a reason is asked for first where the policy
wants one.

A player fetches a recording in many small requests; one listening is what it names with one id. The id is only a
hint: whatever it says, a session's access to a recording is written down at least once an hour.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import UUID

from fastapi import Request

from call_records.recordings.shapes import AuditFilter, Recording
from telephony.facts import CallFacts, PartyKind
from telephony.recordings import AuditAction
from web.access import NotAllowed, Viewer
from web.hearing import Heard, note_use
from web.pages import Site
from web.wording import _

NOTED_FOR = 3600.0  # s until the same listening is written down again
NOTED_MOST = 20_000  # listenings remembered; beyond it the oldest is written down twice, which harms nobody
REASON_HOLDS = timedelta(hours=12)  # a working day: nobody is asked twice for the same recording on one day
REASON_LEAST = 3  # characters; enough to refuse a blank, not to teach typing
SESSION = "session"


class ReasonMissing(NotAllowed):
    """Please say first why you want to hear this call; it is written down with your name."""


class Listenings:
    """What was written down lately. Per process; a restart writes a line more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._noted: OrderedDict[tuple[object, ...], float] = OrderedDict()

    def known(self, *key: object) -> bool:
        """Whether it was noted within the last hour."""
        at = self._noted.get(key)
        return at is not None and self._clock() - at < NOTED_FOR

    def note(self, *key: object) -> None:
        """Remember it."""
        self._noted[key] = self._clock()
        self._noted.move_to_end(key)
        while len(self._noted) > NOTED_MOST:
            self._noted.popitem(last=False)


def session_of(viewer: Viewer) -> str:
    """The browser's session, or the account for a program."""
    return str(viewer.session.id if viewer.session else viewer.account.id)


def took_part(viewer: Viewer, call: CallFacts | None) -> bool:
    """Whether it is the viewer's own call."""
    return call is not None and any(
        leg.kind is PartyKind.EXTENSION
        and leg.answered_at is not None
        and leg.party in viewer.account.extensions
        for leg in call.legs
    )


async def reason_wanted(site: Site, viewer: Viewer, recording: Recording, call: CallFacts | None) -> bool:
    """Whether this viewer must still say why he wants to hear it."""
    if took_part(viewer, call) or not (await site.records.retention.policy()).reason_required:
        return False
    key = ("reason", session_of(viewer), recording.id)
    if site.listenings.known(*key):
        return False
    # Another process may have taken the reason: the log itself is what they share.
    wanted = AuditFilter(
        who=viewer.account.login,
        action=AuditAction.OPENED,
        recording_id=recording.id,
        since=datetime.now(UTC) - REASON_HOLDS,
    )
    lines = await site.records.audit.page(wanted, limit=20)
    if any(line.reason and line.details.get(SESSION) == session_of(viewer) for line in lines):
        site.listenings.note(*key)
        return False
    return True


async def take_reason(
    site: Site, request: Request, viewer: Viewer, recording: Recording, listening: str, reason: str
) -> None:
    """Write the reason down. From then on this session may hear the recording for the rest of the day."""
    if len(reason.strip()) < REASON_LEAST:
        raise ReasonMissing(_("Please say in a few words why you want to hear this call."))
    details = {SESSION: session_of(viewer)}
    await note_use(
        site, request, viewer, AuditAction.OPENED, recording, reason=reason.strip(), details=details
    )
    site.listenings.note("reason", session_of(viewer), recording.id)
    site.listenings.note("opened", session_of(viewer), recording.id, listening)


async def begin(site: Site, request: Request, viewer: Viewer, found: Heard, listening: str) -> None:
    """Before the first sound: the reason if one is wanted, and the line that it was opened.

    A program sends its reason as `X-Reason` (percent-encoded). Raises ReasonMissing.
    """
    recording = found.recording
    told = unquote(request.headers.get("x-reason", ""))
    if await reason_wanted(site, viewer, recording, found.call):
        if not told:
            raise ReasonMissing
        await take_reason(site, request, viewer, recording, listening, told)
    key = ("opened", session_of(viewer), recording.id, listening)
    if not site.listenings.known(*key):
        await note_use(site, request, viewer, AuditAction.OPENED, recording)
        site.listenings.note(*key)


def listening_of(told: str | None) -> str:
    """The listening a player names; cut, because anything may be sent."""
    return (told or "")[:64]


def ids_wanting(recordings: dict[UUID, bool]) -> frozenset[UUID]:
    """Those of these recordings that want a reason first."""
    return frozenset(one for one, wanted in recordings.items() if wanted)

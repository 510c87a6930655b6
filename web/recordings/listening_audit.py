"""Who is listening to what: each listening is written down once, and a reason is asked for first where the policy
wants one.

A player fetches a recording in many small requests; one listening is what it names with one id. The id is only a
hint: whatever it says, a session's access to a recording is written down at least once an hour.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from fastapi import Request

from call_records.recordings.types import AuditFilter, Recording
from telephony.call_facts.facts import CallFacts
from telephony.recordings import AuditAction
from web.auth.access import NotAllowed, Viewer
from web.languages.messages import _
from web.recordings.permissions import Heard, note_use, reason_needed
from web.site import Site

REASON_HOLDS = timedelta(hours=12)  # a working day: nobody is asked twice for the same recording on one day
REASON_LEAST = 3  # characters; enough to refuse a blank, not to teach typing
SESSION = "session"


class ReasonMissing(NotAllowed):
    """Please say first why you want to hear this call; it is written down with your name."""


def session_of(viewer: Viewer) -> str:
    """The browser's session, or the account for a program."""
    return str(viewer.session.id if viewer.session else viewer.account.id)


async def reason_wanted(site: Site, viewer: Viewer, recording: Recording, call: CallFacts | None) -> bool:
    """Whether this viewer must still say why they want to hear it."""
    if not reason_needed(await site.records.retention.policy(), viewer, call):
        return False
    key = ("reason", session_of(viewer), recording.id)
    if site.noted.known(*key):
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
        site.noted.note(*key)
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
    site.noted.note("reason", session_of(viewer), recording.id)
    site.noted.note("opened", session_of(viewer), recording.id, listening)


async def begin(site: Site, request: Request, viewer: Viewer, found: Heard, listening: str) -> None:
    """Before the first sound: the reason if one is wanted, and the line that it was opened.

    A program sends its reason as `X-Reason` (percent-encoded). Raises ReasonMissing, which is written down too.
    """
    recording = found.recording
    told = unquote(request.headers.get("x-reason", ""))
    if await reason_wanted(site, viewer, recording, found.call):
        if not told:
            await note_use(site, request, viewer, AuditAction.REFUSED, recording, details={"why": "reason"})
            raise ReasonMissing
        await take_reason(site, request, viewer, recording, listening, told)
    key = ("opened", session_of(viewer), recording.id, listening)
    if not site.noted.known(*key):
        await note_use(site, request, viewer, AuditAction.OPENED, recording)
        site.noted.note(*key)


def listening_of(told: str | None) -> str:
    """The listening a player names; cut, because anything may be sent."""
    return (told or "")[:64]

"""Taking back that a part of a recording was covered: who may, and doing it, for the pages and the API alike.

Whoever covered a part just heard it, so for some minutes they may undo a slip of the hand. Afterwards it takes the right
to hear originals, because uncovering lets everybody hear who may hear the recording.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from fastapi import Request
from starlette.exceptions import HTTPException

from call_records.recordings.types import Recording, Redaction
from call_records.types import Account
from telephony.errors import PeerMistake, TryLater
from telephony.recordings import AuditAction, RecordingRight
from web.auth.access import NotAllowed, Viewer
from web.languages.messages import _
from web.recordings.permissions import heard, note_use
from web.site import Site

UNDO_TIME = timedelta(
    minutes=10
)  # to notice that it was the wrong part; what one did an hour ago is a decision
EDIT_SECONDS = (
    180.0  # cutting decodes the whole recording; an hour takes some 20 s in a worker that may be busy
)


def can_be_uncovered(recording: Recording, redaction: Redaction) -> bool:
    """Whether what was said there is still kept."""
    return recording.has_original and not redaction.destroyed


def may_uncover(account: Account, redaction: Redaction, now: datetime) -> bool:
    """Whether this account may take it back."""
    rights = account.recording_rights
    own = redaction.by_account == account.id and now - redaction.at < UNDO_TIME
    return RecordingRight.REDACT in rights and (own or RecordingRight.HEAR_ORIGINAL in rights)


async def uncover(
    site: Site, request: Request, viewer: Viewer, recording_id: UUID, redaction_id: UUID
) -> Redaction:
    """Take it back and write it down.

    Raises HTTPException 404 for a recording or part that is none, NotAllowed, PeerMistake where nothing was kept, TryLater.
    """
    found = await heard(site, request, viewer, recording_id, RecordingRight.REDACT)
    redaction = next((one for one in found.recording.redactions if one.id == redaction_id), None)
    if redaction is None:
        raise HTTPException(404, _("This part is not covered any more."))
    if not may_uncover(viewer.account, redaction, datetime.now(UTC)):
        details = {"why": RecordingRight.HEAR_ORIGINAL.value}
        await note_use(site, request, viewer, AuditAction.REFUSED, found.recording, details=details)
        raise NotAllowed(_("Uncovering a part needs the right to hear what a beep covers."))
    if not can_be_uncovered(found.recording, redaction):
        raise PeerMistake(_("What was said there was destroyed when it was covered."))
    span = {"from": redaction.from_seconds, "to": redaction.to_seconds}
    await note_use(site, request, viewer, AuditAction.UNCOVERED, found.recording, details=span)
    try:
        async with asyncio.timeout(EDIT_SECONDS):
            await site.records.editor.uncover(recording_id, redaction_id, by=viewer.account.name)
    except TimeoutError as late:
        raise TryLater(
            _("The sound is not ready yet; the machine is busy."), remedy=_("Try again in a few minutes.")
        ) from late
    return redaction

"""Who may hear which recording: the one place where it is decided, for pages, API and links alike.

What somebody may not hear does not exist for him (404), so that ids cannot be tried out. What he may hear but not
download, share or delete is refused in words (403). Each is written to the audit log, the refusals too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.exceptions import HTTPException

from call_records.recordings.shapes import Recording
from call_records.shapes import Account
from telephony.facts import CallFacts, PartyKind
from telephony.recordings import AuditAction, HearScope, RecordingRight
from telephony.staff import Directory
from web.access import NotAllowed, Viewer, address_of, browser_name
from web.pages import Site
from web.wording import _


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording that this viewer may hear, with its call (None: no call is known)."""

    recording: Recording
    call: CallFacts | None


def extensions_heard(account: Account, directory: Directory) -> frozenset[str] | None:
    """The extensions whose calls the account may hear; None is everybody's, empty is nobody's."""
    match account.hears:
        case HearScope.ALL:
            return None
        case HearScope.NONE:
            return frozenset()
        case HearScope.OWN:
            return frozenset(account.extensions)
        case HearScope.TEAM:
            mates = (person for person in directory.people if account.team and person.team == account.team)
            return frozenset(account.extensions).union(*(person.extensions for person in mates))


def may_hear(account: Account, call: CallFacts | None, directory: Directory) -> bool:
    """Whether the account may hear the recordings of this call; those of no known call only with the scope ALL."""
    allowed = extensions_heard(account, directory)
    if allowed is None:
        return True
    if call is None:
        return False
    took_part = {
        leg.party for leg in call.legs if leg.kind is PartyKind.EXTENSION and leg.answered_at is not None
    }
    return bool(took_part & allowed)


async def heard(
    site: Site, request: Request, viewer: Viewer, recording_id: UUID, *rights: RecordingRight
) -> Heard:
    """The recording, if this viewer may hear it and has every one of these rights.

    Raises HTTPException 404 when it does not exist or is out of his scope, NotAllowed when a right is missing; both
    are in the audit log.
    """
    recording = await site.records.recordings.one(recording_id)
    if recording is None:
        raise _no_such_recording()
    call = await site.records.calls.one(recording.call_id) if recording.call_id else None
    if not may_hear(viewer.account, call, site.hub.names.directory):
        await note_use(site, request, viewer, AuditAction.REFUSED, recording, details={"why": "scope"})
        raise _no_such_recording()
    missing = sorted(set(rights) - viewer.account.recording_rights)
    if missing:
        await note_use(site, request, viewer, AuditAction.REFUSED, recording, details={"why": missing[0]})
        raise NotAllowed(_("Your account may not do this with recordings."))
    return Heard(recording, call)


def _no_such_recording() -> HTTPException:
    return HTTPException(404, _("There is no such recording."))


async def note_use(
    site: Site,
    request: Request,
    viewer: Viewer | None,
    action: AuditAction,
    recording: Recording | None,
    *,
    who: str | None = None,
    seconds: float | None = None,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write it down before it happens. Raises TryLater when that is impossible: then it must not happen."""
    await site.records.audit.write(
        action,
        who=who or (viewer.account.login if viewer else _("A link")),
        account_id=viewer.account.id if viewer else None,
        recording_id=recording.id if recording else None,
        call_id=recording.call_id if recording else None,
        seconds=seconds,
        address=address_of(request),
        browser=browser_name(request.headers.get("user-agent", "")),
        reason=reason,
        details=details,
    )

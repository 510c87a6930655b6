"""Who may hear which recording: the one place where it is decided, for pages, API and links alike.

What somebody may not hear does not exist for them (404), so that ids cannot be tried out. What they may hear but not
download, share or delete is refused in words (403). Each is written to the audit log, the refusals too. Administrators
look after all recordings (holds, deletion, exceptions) without thereby hearing one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.exceptions import HTTPException

from call_records.recordings.types import Recording
from call_records.types import Account
from telephony.call_facts.facts import CallFacts, PartyKind
from telephony.recordings import AuditAction, HearScope, RecordingPolicy, RecordingRight
from telephony.staff import Directory, Role
from web.auth.access import NotAllowed, Viewer, address_of, browser_name
from web.languages.messages import _
from web.site import Site


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


def took_part(call: CallFacts) -> frozenset[str]:
    """Our extensions that talked in the call, also after being transferred to. One that only rang heard nothing."""
    return frozenset(
        leg.party for leg in call.legs if leg.kind is PartyKind.EXTENSION and leg.answered_at is not None
    )


def may_hear(account: Account, call: CallFacts | None, directory: Directory) -> bool:
    """Whether the account may hear the recordings of this call; those of no known call only with the scope ALL."""
    allowed = extensions_heard(account, directory)
    if allowed is None:
        return True
    return call is not None and bool(took_part(call) & allowed)


def looks_after(account: Account) -> bool:
    """Whether it keeps the recordings of the whole office in order: sees that they exist, whatever it may hear."""
    return account.role is Role.ADMINISTRATOR


def may_know_of(account: Account, call: CallFacts | None, directory: Directory) -> bool:
    """Whether the recordings of this call exist for the account, in lists and on their own pages."""
    return looks_after(account) or may_hear(account, call, directory)


def extensions_listed(account: Account, directory: Directory) -> frozenset[str] | None:
    """The extensions whose recordings its lists show; None is everybody's, empty is nobody's."""
    return None if looks_after(account) else extensions_heard(account, directory)


def within(chosen: frozenset[str], allowed: frozenset[str] | None) -> frozenset[str]:
    """Those of the chosen extensions that are allowed; None allows every one."""
    return chosen if allowed is None else chosen & allowed


def may_hold(account: Account) -> bool:
    """Whether it may place and lift legal holds on recordings it knows of."""
    return account.role in (Role.SUPERVISOR, Role.ADMINISTRATOR)


def may_refile(account: Account) -> bool:
    """Whether it may give a recording to another call, which changes who hears it: only who hears or keeps all."""
    supervises = account.role is Role.SUPERVISOR and account.hears is HearScope.ALL
    return supervises or looks_after(account)


async def heard(
    site: Site, request: Request, viewer: Viewer, recording_id: UUID, *rights: RecordingRight
) -> Heard:
    """The recording, if this viewer may hear it and has every one of these rights.

    Raises HTTPException 404 when it does not exist or is out of their scope, NotAllowed when a right is missing; both
    are in the audit log.
    """
    found = await _look_up(site, recording_id)
    if not may_hear(viewer.account, found.call, site.hub.names.directory):
        await note_use(site, request, viewer, AuditAction.REFUSED, found.recording, details={"why": "scope"})
        raise _no_such_recording()
    await check_rights(site, request, viewer, found.recording, *rights)
    return found


async def known(
    site: Site, request: Request, viewer: Viewer, recording_id: UUID, *rights: RecordingRight
) -> Heard:
    """The recording, to be looked after rather than heard: as `heard`, and an administrator finds every one."""
    if not looks_after(viewer.account):
        return await heard(site, request, viewer, recording_id, *rights)
    found = await _look_up(site, recording_id)
    await check_rights(site, request, viewer, found.recording, *rights)
    return found


async def check_rights(
    site: Site, request: Request, viewer: Viewer, recording: Recording, *rights: RecordingRight
) -> None:
    """Raises NotAllowed, and writes it down, unless the viewer has all of these."""
    missing = sorted(set(rights) - viewer.account.recording_rights)
    if missing:
        await note_use(site, request, viewer, AuditAction.REFUSED, recording, details={"why": missing[0]})
        raise NotAllowed(_("Your account may not do this with recordings."))


async def _look_up(site: Site, recording_id: UUID) -> Heard:
    recording = await site.records.recordings.one(recording_id)
    if recording is None:
        raise _no_such_recording()
    return Heard(recording, await site.records.calls.one(recording.call_id) if recording.call_id else None)


def _no_such_recording() -> HTTPException:
    return HTTPException(404, _("There is no such recording."))


# -- saying why --


def reason_needed(policy: RecordingPolicy, viewer: Viewer, call: CallFacts | None) -> bool:
    """Whether this viewer must type why before they hear: the policy asks, and the call is not their own."""
    own = call is not None and bool(took_part(call) & frozenset(viewer.account.extensions))
    return policy.reason_required and not own


# -- writing it down --


async def note_use(
    site: Site,
    request: Request,
    viewer: Viewer | None,
    action: AuditAction,
    recording: Recording | None,
    *,
    call_id: UUID | None = None,
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
        call_id=recording.call_id if recording else call_id,
        seconds=seconds,
        address=address_of(request),
        browser=browser_name(request.headers.get("user-agent", "")),
        reason=reason,
        details=details,
    )

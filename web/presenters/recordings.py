"""What is said about recordings on the pages that list and look after them: states, faults, rights, remedies.

One place, so that the list, the exceptions and the audit log call a thing by one name.
"""

from __future__ import annotations

from dataclasses import dataclass

from call_records.recordings.types import Listed, Recording
from telephony.recordings import (
    DEFAULT_RIGHTS,
    DEFAULT_SCOPE,
    AuditAction,
    HealthFault,
    HearScope,
    RecordingRight,
    RecordingState,
)
from telephony.staff import Role
from web.presenters.labels import FAULT_WORDS, _

STATE_WORDS: dict[RecordingState, str] = {
    RecordingState.EXPECTED: _("On its way"),
    RecordingState.ARRIVED: _("Being prepared"),
    RecordingState.READY: _("Ready"),
    RecordingState.EMPTY: _("Nothing was recorded"),
    RecordingState.REFUSED: _("Cannot be read"),
    RecordingState.FAILED: _("Could not be prepared"),
    RecordingState.LOST: _("Never came"),
    RecordingState.REMOVED: _("Removed"),
    RecordingState.JOINED: _("One person’s track"),
}

SCOPE_WORDS: dict[HearScope, str] = {
    HearScope.OWN: _("Own calls"),
    HearScope.TEAM: _("The team’s calls"),
    HearScope.ALL: _("All calls"),
    HearScope.NONE: _("None"),
}

RIGHT_WORDS: dict[RecordingRight, str] = {
    RecordingRight.DOWNLOAD: _("Download"),
    RecordingRight.SHARE: _("Share by link"),
    RecordingRight.REDACT: _("Cover parts with a beep"),
    RecordingRight.DELETE: _("Delete"),
    RecordingRight.HEAR_ORIGINAL: _("Hear what a beep covers"),
}

ACTION_WORDS: dict[AuditAction, str] = {
    AuditAction.OPENED: _("Opened"),
    AuditAction.HEARD: _("Listened"),
    AuditAction.DOWNLOADED: _("Downloaded"),
    AuditAction.SHARED: _("Made a link"),
    AuditAction.LINK_OPENED: _("Link was opened"),
    AuditAction.LINK_REVOKED: _("Ended a link"),
    AuditAction.COMMENTED: _("Commented"),
    AuditAction.REDACTED: _("Covered a part"),
    AuditAction.UNCOVERED: _("Uncovered a part"),
    AuditAction.REMOVED: _("Deleted"),
    AuditAction.HOLD_PLACED: _("Placed a legal hold"),
    AuditAction.HOLD_LIFTED: _("Lifted a legal hold"),
    AuditAction.DISMISSED: _("Hid an exception"),
    AuditAction.RESTORED: _("Showed an exception again"),
    AuditAction.REFILED: _("Moved to another call"),
    AuditAction.PAUSED: _("Paused recording"),
    AuditAction.RESUMED: _("Resumed recording"),
    AuditAction.GRADED: _("Graded"),
    AuditAction.RIGHTS_CHANGED: _("Changed rights"),
    AuditAction.RULES_CHANGED: _("Changed the rules"),
    AuditAction.EXPORTED: _("Exported"),
    AuditAction.CRM_RETRIED: _("Sent a call to the CRM again"),
    AuditAction.CRM_DISMISSED: _("Dismissed a delivery to the CRM"),
    AuditAction.REFUSED: _("Was refused"),
    AuditAction.SIGNED_IN: _("Signed in"),
    AuditAction.SIGN_IN_REFUSED: _("Sign-in was refused"),
    AuditAction.SIGNED_OUT: _("Signed out"),
    AuditAction.PASSWORD_CHANGED: _("Changed their password"),
    AuditAction.PASSWORD_RESET: _("Reset a password"),
    AuditAction.TOKEN_MADE: _("Made a token"),
    AuditAction.TOKEN_REMOVED: _("Ended a token"),
}

REMEDIES: dict[RecordingState, str] = {
    RecordingState.REFUSED: _(
        "Listen to the file at the phone system. If it plays there, try again; else remove it."
    ),
    RecordingState.FAILED: _("Try again. If it fails again, the reason tells whom to ask."),
    RecordingState.LOST: _(
        "See whether the file still lies at the phone system and uploads run; then try again."
    ),
}

_FAULT_REMEDIES: dict[HealthFault, str] = {
    HealthFault.SILENT: _("Make a test call. If it is silent too, ask whoever looks after the phone system."),
    HealthFault.OUTSIDE_SILENT: _("Often a line without sound in one direction: check the carrier’s audio."),
    HealthFault.OURS_SILENT: _("Often a muted or broken handset, or a phone whose sound does not arrive."),
    HealthFault.CLIPPED: _("Turn the line’s or the handset’s volume down."),
    HealthFault.TRUNCATED: _(
        "The disk of the phone system may be full, or it was restarted during the call."
    ),
    HealthFault.SHORTER_THAN_TALK: _(
        "See on the call’s page which part is missing, and how it was transferred."
    ),
    HealthFault.PART_MISSING: _(
        "After a hold or a queue often a fault of Asterisk 22, see “Record calls”; else a muted phone."
    ),
}


def role_says_scope(role: Role) -> str:
    """`As the role says: own calls`."""
    return _("As the role says: ") + SCOPE_WORDS[DEFAULT_SCOPE[role]].lower()


def role_says_rights(role: Role) -> str:
    """`As the role says: download, share by link`."""
    return _("As the role says: ") + rights_words(DEFAULT_RIGHTS[role]).lower()


def rights_words(rights: frozenset[RecordingRight]) -> str:
    """The rights in their usual order, or that there are none."""
    return ", ".join(RIGHT_WORDS[right] for right in RecordingRight if right in rights) or _("None")


def days_words(days: int | None) -> str:
    """How long sound is kept, in words."""
    if days is None:
        return _("kept for ever")
    if days == 0:
        return _("removed as soon as it was prepared")
    return _("kept 1 day") if days == 1 else _("kept {days} days").format(days=days)


@dataclass(frozen=True, slots=True)
class Attention:
    """Why a recording is on the page of exceptions, and what helps."""

    what: str
    why: str | None
    remedy: str
    urgent: bool
    """Whether sound may be lost if nobody acts."""


def attention(listed: Listed) -> Attention:
    """What somebody should know of this exception."""
    recording = listed.recording
    if recording.state in REMEDIES:
        return Attention(
            STATE_WORDS[recording.state], recording.reason, REMEDIES[recording.state], urgent=True
        )
    if listed.call is None:
        remedy = _("Find its call and file it there; a call that was never seen can be imported.")
        return Attention(_("Belongs to no call"), recording.reason, remedy, urgent=False)
    if recording.faults:
        words = " · ".join(FAULT_WORDS[fault] for fault in recording.faults)
        return Attention(words, recording.reason, _FAULT_REMEDIES[recording.faults[0]], urgent=False)
    return Attention(
        STATE_WORDS[recording.state], recording.reason, _("Listen to it and see what is wrong."), urgent=False
    )


def may_try_again(recording: Recording) -> bool:
    """Whether another try can change anything."""
    return recording.state in REMEDIES

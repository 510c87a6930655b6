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
from web.languages.messages import N_, Phrases, _, ngettext
from web.presenters.labels import FAULT_WORDS

STATE_WORDS: Phrases[RecordingState] = Phrases(
    {
        RecordingState.EXPECTED: N_("On its way"),
        RecordingState.ARRIVED: N_("Being prepared"),
        RecordingState.READY: N_("Ready"),
        RecordingState.EMPTY: N_("Nothing was recorded"),
        RecordingState.REFUSED: N_("Cannot be read"),
        RecordingState.FAILED: N_("Could not be prepared"),
        RecordingState.LOST: N_("Never came"),
        RecordingState.REMOVED: N_("Removed"),
        RecordingState.JOINED: N_("One person’s track"),
    }
)

SCOPE_WORDS: Phrases[HearScope] = Phrases(
    {
        HearScope.OWN: N_("Own calls"),
        HearScope.TEAM: N_("The team’s calls"),
        HearScope.ALL: N_("All calls"),
        HearScope.NONE: N_("None"),
    }
)

RIGHT_WORDS: Phrases[RecordingRight] = Phrases(
    {
        RecordingRight.DOWNLOAD: N_("Download"),
        RecordingRight.SHARE: N_("Share by link"),
        RecordingRight.REDACT: N_("Cover parts with a beep"),
        RecordingRight.DELETE: N_("Delete"),
        RecordingRight.HEAR_ORIGINAL: N_("Hear what a beep covers"),
    }
)

ACTION_WORDS: Phrases[AuditAction] = Phrases(
    {
        AuditAction.OPENED: N_("Opened"),
        AuditAction.HEARD: N_("Listened"),
        AuditAction.DOWNLOADED: N_("Downloaded"),
        AuditAction.SHARED: N_("Made a link"),
        AuditAction.LINK_OPENED: N_("Link was opened"),
        AuditAction.LINK_REVOKED: N_("Ended a link"),
        AuditAction.COMMENTED: N_("Commented"),
        AuditAction.REDACTED: N_("Covered a part"),
        AuditAction.UNCOVERED: N_("Uncovered a part"),
        AuditAction.REMOVED: N_("Deleted"),
        AuditAction.HOLD_PLACED: N_("Placed a legal hold"),
        AuditAction.HOLD_LIFTED: N_("Lifted a legal hold"),
        AuditAction.DISMISSED: N_("Hid an exception"),
        AuditAction.RESTORED: N_("Showed an exception again"),
        AuditAction.REFILED: N_("Moved to another call"),
        AuditAction.PAUSED: N_("Paused recording"),
        AuditAction.RESUMED: N_("Resumed recording"),
        AuditAction.GRADED: N_("Graded"),
        AuditAction.RIGHTS_CHANGED: N_("Changed rights"),
        AuditAction.RULES_CHANGED: N_("Changed the rules"),
        AuditAction.EXPORTED: N_("Exported"),
        AuditAction.CRM_RETRIED: N_("Sent a call to the CRM again"),
        AuditAction.CRM_DISMISSED: N_("Dismissed a delivery to the CRM"),
        AuditAction.REFUSED: N_("Was refused"),
        AuditAction.SIGNED_IN: N_("Signed in"),
        AuditAction.SIGN_IN_REFUSED: N_("Sign-in was refused"),
        AuditAction.SIGNED_OUT: N_("Signed out"),
        AuditAction.PASSWORD_CHANGED: N_("Changed their password"),
        AuditAction.PASSWORD_RESET: N_("Reset a password"),
        AuditAction.TOKEN_MADE: N_("Made a token"),
        AuditAction.TOKEN_REMOVED: N_("Ended a token"),
    }
)

REMEDIES: Phrases[RecordingState] = Phrases(
    {
        RecordingState.REFUSED: N_(
            "Listen to the file at the phone system. If it plays there, try again; else remove it."
        ),
        RecordingState.FAILED: N_("Try again. If it fails again, the reason tells whom to ask."),
        RecordingState.LOST: N_(
            "See whether the file still lies at the phone system and uploads run; then try again."
        ),
    }
)

_FAULT_REMEDIES: Phrases[HealthFault] = Phrases(
    {
        HealthFault.SILENT: N_(
            "Make a test call. If it is silent too, ask whoever looks after the phone system."
        ),
        HealthFault.OUTSIDE_SILENT: N_(
            "Often a line without sound in one direction: check the carrier’s audio."
        ),
        HealthFault.OURS_SILENT: N_(
            "Often a muted or broken handset, or a phone whose sound does not arrive."
        ),
        HealthFault.CLIPPED: N_("Turn the line’s or the handset’s volume down."),
        HealthFault.TRUNCATED: N_(
            "The disk of the phone system may be full, or it was restarted during the call."
        ),
        HealthFault.SHORTER_THAN_TALK: N_(
            "See on the call’s page which part is missing, and how it was transferred."
        ),
        HealthFault.PART_MISSING: N_(
            "After a hold or a queue often a fault of Asterisk 22, see “Record calls”; else a muted phone."
        ),
    }
)


def role_says_scope(role: Role) -> str:
    """`As the role says: own calls`."""
    return _("As the role says: {what}").format(what=SCOPE_WORDS[DEFAULT_SCOPE[role]].lower())


def role_says_rights(role: Role) -> str:
    """`As the role says: download, share by link`."""
    return _("As the role says: {what}").format(what=rights_words(DEFAULT_RIGHTS[role]).lower())


def rights_words(rights: frozenset[RecordingRight]) -> str:
    """The rights in their usual order, or that there are none."""
    return ", ".join(RIGHT_WORDS[right] for right in RecordingRight if right in rights) or _("None")


def days_words(days: int | None) -> str:
    """How long sound is kept, in words."""
    if days is None:
        return _("kept for ever")
    if days == 0:
        return _("removed as soon as it was prepared")
    return ngettext("kept 1 day", "kept {days} days", days).format(days=days)


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

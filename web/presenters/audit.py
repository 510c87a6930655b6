"""A line of the audit log as a sentence, with names instead of ids. Whatever lies in the log can be shown: what is not
known is shown as it is, so that nothing is hidden and no page fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from call_records.recordings.types import AuditEntry
from telephony.recordings import AuditAction, RecordingRight
from web.languages.messages import N_, Phrases, _
from web.presenters.recordings import RIGHT_WORDS

REFUSED_WORDS = Phrases(
    {
        "scope": N_("not among the calls they may hear"),
        "reason": N_("gave no reason"),
        "refile": N_("may not move recordings"),
    }
)


@dataclass(frozen=True, slots=True)
class AuditNames:
    """What the ids, sign-in names and extensions in a line stand for."""

    by_id: Mapping[str, str] = field(default_factory=dict)
    by_login: Mapping[str, str] = field(default_factory=dict)
    by_extension: Mapping[str, str] = field(default_factory=dict)

    def who(self, login: str) -> str:
        """The name of whoever signs in so, or what the log says."""
        return self.by_login.get(login, login)


NO_NAMES = AuditNames()

_MACHINES = frozenset({"session", "link", "what"})
"""Details that tell lines of the export apart and say nothing to a reader."""

_LONGEST = 600  # characters of a line; the whole of it is in the export


def details_words(entry: AuditEntry, names: AuditNames = NO_NAMES) -> str:
    """The details of a line of the log, as a sentence."""
    said = _said(entry.action, entry.details, names)
    return said if len(said) <= _LONGEST else said[:_LONGEST] + "…"


def _said(action: str, details: Mapping[str, object], names: AuditNames) -> str:
    if action == AuditAction.REFUSED and "why" in details:
        why = str(details["why"])
        if why in set(RecordingRight):
            return _("has no right to: {what}").format(what=RIGHT_WORDS[RecordingRight(why)].lower())
        return REFUSED_WORDS.get(why, why)
    before, after = _before_and_after(details)
    if action in _SENTENCES:
        return _SENTENCES[action](details, names)
    parts = [names.who(str(details["account"]))] if "account" in details else []
    if before is not None or after is not None:
        parts += _changes(before, after, names)
    skipped = _MACHINES | {"account", "before", "after", "lead rules before"}
    parts += [_detail(name, value, names) for name, value in details.items() if name not in skipped]
    return " · ".join(parts)


def _graded(details: Mapping[str, object], names: AuditNames) -> str:
    extension = str(details.get("extension", ""))
    said = (
        _("of {person}: {score} points by “{form}”, in place of an earlier grade")
        if details.get("supersedes")
        else _("of {person}: {score} points by “{form}”")
    )
    return said.format(
        person=names.by_extension.get(extension, extension or _("an unknown extension")),
        score=_plain(details.get("score"), names),
        form=_plain(details.get("form"), names),
    )


_SENTENCES: Mapping[str, Callable[[Mapping[str, object], AuditNames], str]] = {AuditAction.GRADED: _graded}
"""Actions whose details say more as one sentence."""


DETAIL_NAMES = (
    N_("name"),
    N_("may"),
    N_("until"),
    N_("why"),
    N_("role"),
    N_("team"),
    N_("hears"),
    N_("rights"),
    N_("rules"),
    N_("extensions"),
    N_("sign-in name"),
    N_("may sign in"),
    N_("tokens ended"),
    N_("crm user"),
    N_("made by"),
    N_("zip with sound"),
    N_("working hours"),
    N_("reason required"),
    N_("keep days"),
    N_("destroy covered originals"),
    N_("link days at most"),
    N_("remove at the phone system after days"),
)
"""What the log calls its details, in the one language it is kept in; a name that is not here is shown as it is."""


def _detail(name: str, value: object, names: AuditNames) -> str:
    return f"{_(name)}: {_plain(value, names)}"


def _before_and_after(details: Mapping[str, object]) -> tuple[object, object]:
    return details.get("before", details.get("lead rules before")), details.get("after")


def _changes(before: object, after: object, names: AuditNames) -> list[str]:
    """What differs, whichever shape the two have."""
    if isinstance(before, Mapping | None) and isinstance(after, Mapping | None):
        was, now = before or {}, after or {}
        return [
            f"{_(str(name))}: {_plain(was.get(name), names)} → {_plain(now.get(name), names)}"
            for name in dict.fromkeys((*was, *now))
            if was.get(name) != now.get(name)
        ]
    was_lines, now_lines = _lines(before, names), _lines(after, names)
    gone = [_("removed: {line}").format(line=line) for line in was_lines if line not in now_lines]
    new = [_("added: {line}").format(line=line) for line in now_lines if line not in was_lines]
    return gone + new or [_("another order")]


def _lines(value: object, names: AuditNames) -> list[str]:
    if isinstance(value, list | tuple):
        return [_plain(one, names) for one in value]
    return [] if value is None else [_plain(value, names)]


def _plain(value: object, names: AuditNames) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item, names) for item in value)
    if isinstance(value, Mapping):
        told = ((name, item) for name, item in value.items() if item not in (None, "", []))
        return ", ".join(f"{name} {_plain(item, names)}" for name, item in told)
    return names.by_id.get(str(value), str(value))


def ids_in(entries: Sequence[AuditEntry]) -> set[UUID]:
    """Every id that the details of these lines name."""
    found: set[UUID] = set()
    for entry in entries:
        _collect(entry.details, found)
    return found


def _collect(value: object, found: set[UUID]) -> None:
    if isinstance(value, Mapping):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(item, found)
    elif isinstance(value, str) and len(value) == len(str(UUID(int=0))):
        try:
            found.add(UUID(value))
        except ValueError:
            return

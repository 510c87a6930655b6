"""Who changed what a moment ago, for the sentence that somebody reads who was slower (optimistic locking).

Kept in this process only: after a restart, or with several web processes, the sentence names nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from uuid import UUID

from web import wording
from web.access import Viewer
from web.wording import _

CHANGES_REMEMBERED = 2048  # about 300 bytes each; a conflict is about a change of the last minutes


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of one thing."""

    account_id: UUID
    name: str
    at: datetime


@dataclass(slots=True)
class RecentChanges:
    """The last change of each thing, by its id."""

    _changes: OrderedDict[UUID, Change] = field(default_factory=OrderedDict)

    def add(self, changed: UUID, viewer: Viewer) -> None:
        """Somebody changed it now."""
        self._changes.pop(changed, None)
        self._changes[changed] = Change(viewer.account.id, viewer.account.name, datetime.now(UTC))
        while len(self._changes) > CHANGES_REMEMBERED:
            self._changes.popitem(last=False)

    def describe(self, changed: UUID, viewer: Viewer, zone: tzinfo) -> str:
        """`Anna Belova changed this at 20:23.`"""
        change = self._changes.get(changed)
        if change is None:
            return _("This was changed meanwhile, by a colleague or in another tab of yours.")
        at = wording.clock(change.at, zone)
        if change.account_id == viewer.account.id:
            return _("You changed this in another tab at {time}.").format(time=at)
        return _("{name} changed this at {time}.").format(name=change.name, time=at)

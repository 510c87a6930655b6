"""Who changed what a moment ago, for the sentence that somebody reads who was slower (optimistic locking)."""

from __future__ import annotations

import contextlib
from datetime import tzinfo
from uuid import UUID

from call_records.types import RecentChange, RecentChanges
from telephony.errors import TryLater
from web.auth.access import Viewer
from web.languages.messages import _
from web.presenters import labels


async def note_change(changes: RecentChanges, thing: UUID, viewer: Viewer) -> None:
    """The viewer changed it now. What was saved stays saved when this cannot be written."""
    with contextlib.suppress(TryLater):
        await changes.add(thing, by=viewer.account.id)


async def describe_last_change(changes: RecentChanges, thing: UUID, viewer: Viewer, zone: tzinfo) -> str:
    """`Anna Belova changed this at 20:23.`"""
    change: RecentChange | None = None
    with contextlib.suppress(TryLater):
        change = await changes.last(thing)
    if change is None:
        return _("This was changed meanwhile, by a colleague or in another tab of yours.")
    at = labels.clock(change.at, zone)
    if change.account_id == viewer.account.id:
        return _("You changed this in another tab at {time}.").format(time=at)
    return _("{name} changed this at {time}.").format(name=change.name, time=at)

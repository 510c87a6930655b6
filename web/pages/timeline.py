"""A timeline as a page shows it: calls with their story and sound, notes, tasks and what was changed, newest first.

The store hands out entries; what they speak of (facts, notes and recordings of calls) is read here for the whole page at
once, however many entries it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from call_records.crm.types import Task, TimelineEntry, TimelinePage
from call_records.recordings.types import Recording
from call_records.types import Note
from telephony.call_facts.facts import CallFacts, Direction, PartyKind
from web.auth.access import Viewer
from web.clients_of_calls import names_for
from web.pages.recordings.player import playable_of_calls
from web.presenters.contacts import mask_in, say
from web.presenters.labels import Named, Names
from web.presenters.masking import View, show
from web.site import Site

PAGE = 30  # entries: two screens; "Earlier" brings the next


@dataclass(frozen=True, slots=True)
class Talk:
    """One of ours in a call and how long they talked, consultations included."""

    who: Named
    seconds: float


@dataclass(frozen=True, slots=True)
class ToldCall:
    """A call on a timeline."""

    facts: CallFacts
    """As this viewer may see it."""
    talks: tuple[Talk, ...]
    """Everybody of ours who talked, in the order in which they came in."""
    others: tuple[Named, ...]
    """Where nobody talked: whose phones rang, or who dialled."""
    notes: tuple[Note, ...]
    """What others wrote."""
    mine: str
    may_play: bool
    recording: Recording | None
    """What the play button plays; None while it is on its way."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry with what it speaks of."""

    entry: TimelineEntry
    call: ToldCall | None = None
    task: Task | None = None
    own: bool = False
    """Whether this viewer wrote it and may change it."""


async def moments(site: Site, viewer: Viewer, page: TimelinePage, tasks: Sequence[Task] = ()) -> list[Moment]:
    """The entries of a page, each with what it speaks of. Calls that are no longer kept are left out."""
    known = {task.id: task for task in tasks}
    calls = await _calls(site, viewer, [entry.call_id for entry in page.entries if entry.call_id])
    shown = [_moment(entry, viewer, calls, known) for entry in page.entries]
    return [one for one in shown if one.entry.kind != "call" or one.call is not None]


def _moment(
    entry: TimelineEntry, viewer: Viewer, calls: Mapping[UUID, ToldCall], tasks: Mapping[UUID, Task]
) -> Moment:
    own = entry.kind == "note" and entry.account_id == viewer.account.id
    task = tasks.get(entry.task_id) if entry.task_id else None
    return Moment(
        entry=entry if own else _seen(entry, viewer.view),
        call=calls.get(entry.call_id) if entry.call_id else None,
        task=replace(task, text=say(task.text, viewer.view)) if task else None,
        own=own,
    )


def _seen(entry: TimelineEntry, view: View) -> TimelineEntry:
    if not view.numbers_masked:
        return entry
    return replace(
        entry,
        client=_hidden(entry.client),
        deal=_hidden(entry.deal),
        text=_hidden(entry.text),
        data=_hidden(entry.data),
    )


def _hidden(value: Any) -> Any:
    """What was told, numbers masked wherever they are in it."""
    match value:
        case str():
            return mask_in(value)
        case Mapping():
            return {name: _hidden(one) for name, one in value.items()}
        case list() | tuple():
            return [_hidden(one) for one in value]
        case _:
            return value


async def _calls(site: Site, viewer: Viewer, ids: Sequence[UUID]) -> dict[UUID, ToldCall]:
    facts = await site.records.calls.several(ids)
    live = {call.id: call for call in site.live.calls()}
    facts = {one: live.get(call.id, call) for one, call in facts.items()}
    notes = await site.records.notes.of_calls([call.id for call in facts.values()])
    heard = await playable_of_calls(site, viewer, list(facts.values()))
    names = await names_for(site.records, site.hub.names, facts.values(), viewer.view)
    return {one: _told(call, viewer, names, notes.get(call.id, ()), heard) for one, call in facts.items()}


def _told(
    facts: CallFacts,
    viewer: Viewer,
    names: Names,
    notes: Sequence[Note],
    heard: Mapping[UUID, Recording | None],
) -> ToldCall:
    seen = show(facts, viewer.view)
    me = viewer.account.id
    return ToldCall(
        facts=seen,
        talks=talks_of(seen, names),
        others=_rung(seen, names),
        notes=tuple(
            replace(note, text=say(note.text, viewer.view)) for note in notes if note.account_id != me
        ),
        mine=next((note.text for note in notes if note.account_id == me), ""),
        may_play=facts.id in heard,
        recording=heard.get(facts.id),
    )


def talks_of(facts: CallFacts, names: Names) -> tuple[Talk, ...]:
    """Everybody of ours who talked, with or without an account, each once, in the order in which they came in."""
    ours = [leg for leg in facts.legs if leg.kind is PartyKind.EXTENSION and leg.talk_seconds > 0]
    ours.sort(key=lambda leg: leg.answered_at or facts.started_at)
    seconds: dict[str, float] = {}
    for leg in ours:
        seconds[leg.party] = seconds.get(leg.party, 0.0) + leg.talk_seconds
    return tuple(Talk(names.party(party, facts), talked) for party, talked in seconds.items())


def _rung(facts: CallFacts, names: Names) -> tuple[Named, ...]:
    if facts.direction is not Direction.INBOUND:
        return (names.caller(facts),)
    rang = facts.missed_by or [leg.party for leg in facts.legs if leg.kind is PartyKind.EXTENSION]
    return tuple(names.party(party, facts) for party in dict.fromkeys(rang))

"""The live stream: one reader of the calls of this moment, any number of browsers behind it.

A stream begins with a complete snapshot and goes on with what changed. A change is encoded once for
everybody who may see the same; a card only for the account whose phone it is. Nobody waits for anybody: a
browser that reads too slowly is dropped, reconnects, and gets a snapshot again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from call_records.types import Account, Records
from telephony.call_facts.facts import CallFacts, Direction, PartyKind, State, iso
from telephony.cards import Card, CardState, card_for, voicemail_since
from telephony.errors import SwitchhookError
from telephony.ports import LinkState, LiveCalls, PbxDetails
from telephony.staff import PopPreference
from web.auth.access import Viewer
from web.callers import Callers, number_of
from web.languages.catalogues import ENGLISH, Language
from web.languages.messages import _, current_language, speaking
from web.metrics import WebMetrics
from web.presenters.callers import client_name, display, show_identity, told_identity
from web.presenters.labels import Names, display_number
from web.presenters.masking import View, mask, show, show_party
from web.presenters.player import taping
from web.settings import WebSettings

# chunks; some ten seconds of a very busy office. A reader further behind is better off with a snapshot
QUEUE_MOST = 256
# s; an event of the PBX rarely comes alone (a call that begins changes six times within 30 ms), and whoever watches a
# list cannot tell 50 ms. Without it 100 open lists are written to for each of them, and a card waits behind that
GATHER_SECONDS = 0.05
STREAMS_OF_ACCOUNT = (
    20  # all tabs of a browser share one; a person at twenty devices, or a script, stops there
)
CHUNKS_AT_ONCE = 32  # of what waits for one reader; joined, they cost one write
NAMES_EVERY = 30.0  # s; a person added by hand in the database shows up half a minute later
STORE_TIMEOUT = 5.0  # s; longer than any healthy answer, shorter than the interval between checks
STALE_AFTER = 5.0  # s of lag behind the PBX before the page says so: below it nobody could tell


class Flavour(StrEnum):
    """What a stream's reader wants: call facts for programs, ready rows for our own pages."""

    FACTS = "facts"
    PAGE = "page"


class TooManyStreams(SwitchhookError):
    """This account follows the calls in too many places already. Close one of its windows or programs."""


@dataclass(eq=False, slots=True)
class Stream:
    """One open browser or program. Owned by the hub; only the hub changes it."""

    account_id: UUID
    session_id: UUID | None
    extensions: frozenset[str]
    pop: PopPreference
    view: View
    flavour: Flavour
    language: Language = ENGLISH
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_MOST))
    open_cards: dict[tuple[UUID, str], bytes] = field(default_factory=dict)
    closed: bool = False

    def put(self, chunk: bytes) -> bool:
        """Hand over a chunk; False when the reader is too far behind."""
        if self.closed:
            return True
        try:
            self.queue.put_nowait(chunk)
        except asyncio.QueueFull:
            return False
        return True

    def end(self, reason: str) -> None:
        """Say goodbye and finish; what is still queued is dropped, the snapshot after a reconnect brings
        it all.
        """
        if self.closed:
            return
        self.closed = True
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(encode("bye", {"reason": reason}))
        self.queue.put_nowait(None)


def encode(event: str, data: object) -> bytes:
    """One server-sent event. JSON escapes every line break, so nobody's name can end the event."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event}\ndata: {text}\n\n".encode()


class Hub:
    """Reads every change once and hands it to all streams."""

    def __init__(
        self,
        live: LiveCalls,
        records: Records,
        settings: WebSettings,
        metrics: WebMetrics,
        render_row: Callable[[CallFacts, Names], str],
        troubles: Callable[[], Sequence[str]] = tuple,
        pbx_details: Callable[[], Sequence[PbxDetails]] = tuple,
    ) -> None:
        self.pbx_details = pbx_details
        """What is known of each PBX besides its link; empty in a process that observes none."""
        self.troubles = troubles
        """What an administrator should know now beyond links and database, one sentence each."""
        self.names = Names(region=settings.region)
        self.callers = Callers(records, self._caller_known)
        self.store_problem: str | None = None
        self._store_problem_since = datetime.now(UTC)
        self._live = live
        self._records = records
        self._settings = settings
        self._metrics = metrics
        self._render_row = render_row
        self._streams: set[Stream] = set()
        self._told: set[UUID] = set()
        self._untold: dict[UUID, CallFacts] = {}
        self._telling: asyncio.TimerHandle | None = None
        self._last_notice: object = None
        self._stopping = False

    async def run(self) -> None:
        """Work until cancelled. Raises only what is our own mistake."""
        await self.refresh_names()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read(), name="live hub: changes")
            tasks.create_task(self._look_around(), name="live hub: names and store")
            tasks.create_task(self.callers.run(), name="live hub: who calls")
            tasks.create_task(self._tell_missed(), name="live hub: missed calls")

    def close(self) -> None:
        """End every stream: the server is stopping."""
        self._stopping = True
        if self._telling is not None:
            self._telling.cancel()
        for stream in list(self._streams):
            stream.end("restart")

    def end_session(self, session_id: UUID) -> None:
        """A session was revoked: its streams end at once."""
        for stream in list(self._streams):
            if stream.session_id == session_id:
                stream.end("signed_out")

    def end_account(self, account_id: UUID, *, keep: UUID | None = None) -> None:
        """All of an account's sessions but `keep` were revoked."""
        for stream in list(self._streams):
            if stream.account_id == account_id and stream.session_id != keep:
                stream.end("signed_out")

    async def account_changed(self, account: Account) -> None:
        """Extensions, role or pop preference changed: the streams reconnect and start from the new state."""
        for stream in list(self._streams):
            if stream.account_id == account.id:
                stream.end("changed" if account.active else "signed_out")
        await self.refresh_names()

    async def refresh_names(self) -> None:
        """Read who answers to which extension; with the store away the last known names stay."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                directory = await self._records.staff.directory()
        except (SwitchhookError, TimeoutError, OSError):
            return
        self.names = Names(directory, self._settings.region)

    # -- reading --

    async def _read(self) -> None:
        while True:
            async with self._live.changes() as changes:
                for facts in self._live.calls():
                    self.callers.follow(facts)
                for stream in list(self._streams):  # after a gap of our own: everything again
                    self._send(stream, self._snapshot(stream))
                async for change in changes:
                    self.publish(change)
            await asyncio.sleep(
                0
            )  # we were too slow and were dropped: let others run, then start from a snapshot

    async def _tell_missed(self) -> None:
        """Pages that show what is owed look again; what has changed is not said, because each shows another part."""
        async with self._records.missed.changes() as changes:
            async for _change in changes:
                for stream in list(self._streams):
                    if stream.flavour is Flavour.PAGE:
                        self._send(stream, encode("missed", {}))

    async def _look_around(self) -> None:
        while True:
            problem = await self.check_store()
            if (problem is None) != (self.store_problem is None):
                self._store_problem_since = datetime.now(UTC)
            self.store_problem = problem
            self._tell_notice()
            await asyncio.sleep(NAMES_EVERY if problem is None else STORE_TIMEOUT)
            await self.refresh_names()

    async def check_store(self) -> str | None:
        """None when the database is well, else a sentence with what to do."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                return await self._records.ready()
        except (SwitchhookError, TimeoutError, OSError) as problem:
            return str(problem) or _("The database does not answer.")

    # -- writing --

    def publish(self, change: CallFacts | LinkState) -> None:
        """Hand one change to every stream. Never waits."""
        began = time.perf_counter()
        self._metrics.changes.inc()
        if isinstance(change, LinkState):
            self._tell_notice()
        else:
            self.callers.follow(change)
            self._publish_call(change)
            self._forget_vanished(change.id)
        self._metrics.fan_out.observe(time.perf_counter() - began)

    def _caller_known(self, call_id: UUID) -> None:
        """The book answered: the card and the row of this call change, and the cards of who is asked about it."""
        for facts in self._live.calls():
            if call_id in (facts.id, facts.consultation_of):
                self._publish_call(facts)

    def _publish_call(self, facts: CallFacts) -> None:
        """The card at once: it is what somebody with a ringing phone is waiting for. The lists a moment later."""
        if facts.ended:
            self._told.discard(facts.id)
        else:
            self._told.add(facts.id)
        for stream in list(self._streams):
            self._send(stream, b"".join(self._card_changes(stream, facts)))
        if facts.ended:
            self.callers.forget(facts.id)
        self._untold[facts.id] = facts
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._tell_lists)

    def _tell_lists(self) -> None:
        """What changed since the last time, to everybody, each call as it is now."""
        self._telling = None
        untold, self._untold = self._untold, {}
        shared: dict[tuple[View, Flavour, Language], bytes] = {}
        for stream in list(self._streams):
            key = (stream.view, stream.flavour, stream.language)
            if key not in shared:
                with speaking(stream.language):
                    shared[key] = b"".join(
                        self._encode_call(facts, stream.view, stream.flavour) for facts in untold.values()
                    )
            self._send(stream, shared[key])

    def _encode_call(self, facts: CallFacts, view: View, flavour: Flavour) -> bytes:
        if facts.ended:
            return encode("gone", {"id": str(facts.id)})
        return encode("call", self.told(facts, view, flavour))

    def told(self, facts: CallFacts, view: View, flavour: Flavour) -> dict[str, Any]:
        """A call as this kind of stream tells it."""
        seen = show(facts, view)
        if flavour is Flavour.FACTS:
            return seen.as_json()
        return {
            "id": str(seen.id),
            "section": section_of(seen),
            "since": iso(waiting_since(seen)),
            "busy": [
                leg.party for leg in seen.legs if leg.kind is PartyKind.EXTENSION and leg.ended_at is None
            ],
            "html": self._render_row(seen, self.names_in(facts, view)),
        }

    def names_in(self, facts: CallFacts, view: View) -> Names:
        """Names for a live call, as far as the book has answered."""
        known = client_name(self.callers.of(facts.id), view)
        return self.names.with_clients({facts.id: known}) if known else self.names

    def _card_changes(self, stream: Stream, facts: CallFacts) -> list[bytes]:
        if not stream.extensions:
            return []
        touched = stream.extensions.intersection(leg.party for leg in facts.legs)
        touched |= {extension for call_id, extension in stream.open_cards if call_id == facts.id}
        with speaking(stream.language):
            return self._changes_of_phones(stream, facts, touched)

    def _changes_of_phones(self, stream: Stream, facts: CallFacts, phones: frozenset[str]) -> list[bytes]:
        changes: list[bytes] = []
        for extension in sorted(phones):
            key = (facts.id, extension)
            card = card_for(facts, extension, stream.pop)
            was_open = key in stream.open_cards
            if card is None or (card.state is CardState.ENDED and not was_open):
                if was_open:
                    del stream.open_cards[key]
                    reason = "answered_elsewhere" if facts.answered_at else "ended"
                    changes.append(_card_closed(facts.id, extension, reason))
                continue
            chunk = encode("card", self._told_card(card, facts, stream.view))
            if stream.open_cards.get(key) != chunk:
                changes.append(chunk)
            stream.open_cards[key] = chunk
            if card.state is CardState.ENDED:
                del stream.open_cards[key]
        return changes

    def _told_card(self, card: Card, facts: CallFacts, view: View) -> dict[str, Any]:
        """A card as the page shows it: the number at once, names where we know them, the way the caller
        came. Whoever is asked about a call before it is handed to them sees that call's client, not only who asks.
        """
        about = self._asked_about(card, facts)
        number, name = card.other_number, card.other_name
        handed_by = card.transferred_by
        if about is not None:
            number, name, handed_by = number_of(about), about.caller.name, facts.caller.number
        inside = number is not None and not number.startswith("+")
        if inside and number:
            name = self.names.directory.name_of(number) or name
        shown = display_number(number, self._settings.region)
        if view.numbers_masked and not inside:
            shown = mask(shown)
            name = mask(name) if name else None
        call = about or facts
        identity = self.callers.of(call.id)
        if identity is not None and identity.client is not None:
            client = show_identity(identity, view).client or identity.client
            name = None if identity.nameless else display(client, self._settings.region)
        return {
            "call_id": str(card.call_id),
            "extension": card.extension,
            "state": card.state.value,
            "word": _card_word(card),
            "name": name,
            "number": shown,
            "withheld": number is None,
            "internal": call.direction is Direction.INTERNAL,
            "inbound": card.inbound,
            "did": display_number(call.did, self._settings.region) if call.did else None,
            "queue": call.queue.name if call.queue else None,
            "from": self._handed_by(handed_by, view),
            "also": [self.names.extension(extension).first for extension in card.also_ringing],
            "since": card.since,
            "recording": _told_taping(facts),
            "who": told_identity(call.id, identity, view, self._settings.region) if identity else None,
        }

    def _handed_by(self, party: str | None, view: View) -> str | None:
        """Who handed the call over: one of ours by name; a number outside as this view may see it."""
        if not party:
            return None
        shown = str(self.names.extension(party))
        known = self.names.directory.name_of(party) is not None
        return shown if known else show_party(party, shown, view)

    def _asked_about(self, card: Card, facts: CallFacts) -> CallFacts | None:
        """The live call with a client about which this phone is being asked."""
        if not card.inbound or facts.consultation_of is None or facts.direction is not Direction.INTERNAL:
            return None
        about = (one for one in self._live.calls() if one.id == facts.consultation_of)
        return next((one for one in about if number_of(one) is not None), None)

    def _forget_vanished(self, but: UUID) -> None:
        """A call that was merged into another just stops being listed; its rows and cards must not stay."""
        listed = {facts.id for facts in self._live.calls()}
        for call_id in self._told - listed - {but}:
            self._told.discard(call_id)
            self._untold.pop(call_id, None)
            self.callers.forget(call_id)
            gone = encode("gone", {"id": str(call_id)})
            for stream in list(self._streams):
                for key in [key for key in stream.open_cards if key[0] == call_id]:
                    del stream.open_cards[key]
                    self._send(stream, _card_closed(key[0], key[1], "merged"))
                self._send(stream, gone)

    def _tell_notice(self) -> None:
        notice = self.notice()
        if notice == self._last_notice:
            return
        self._last_notice = notice
        shared: dict[Language, bytes] = {}
        for stream in list(self._streams):
            if stream.language not in shared:
                with speaking(stream.language):
                    shared[stream.language] = encode("link", self.notice())
            self._send(stream, shared[stream.language])

    def notice(self) -> dict[str, Any]:
        """How sure the page may be: every link, and the one quiet line when something is wrong."""
        links = self._live.links()
        return {
            "links": [
                {
                    "pbx": link.pbx,
                    "connected": link.connected,
                    "since": iso(link.since),
                    "problem": link.problem,
                }
                for link in links
            ],
            "notice": self._worst(links),
        }

    def _worst(self, links: Sequence[LinkState]) -> dict[str, str | None] | None:
        for link in links:
            if not link.connected:
                return {
                    "text": _("No link to the phone system. Shown as it was {time} ago"),
                    "since": iso(link.since),
                }
        if self.store_problem is not None:
            text = _(
                "Calls are shown live, but older calls and notes cannot be read or saved. It began {time} ago"
            )
            return {"text": text, "since": iso(self._store_problem_since)}
        if self.troubles():
            return {
                "text": _(
                    "Calls are shown live, but not all of them are saved yet. Your administrator sees why under Connections"
                ),
                "since": None,
            }
        for link in links:
            if link.lag_seconds > STALE_AFTER:
                return {
                    "text": _("The phone system is sending its news several seconds late."),
                    "since": None,
                }
        return None

    def _snapshot(self, stream: Stream) -> bytes:
        with speaking(stream.language):
            return self._whole_state(stream)

    def _whole_state(self, stream: Stream) -> bytes:
        calls = self._live.calls()
        self._told.update(facts.id for facts in calls)
        stream.open_cards.clear()
        cards: list[dict[str, Any]] = []
        for facts in calls:
            for extension in sorted(stream.extensions):
                card = card_for(facts, extension, stream.pop)
                if card is None or card.state is CardState.ENDED:
                    continue
                told = self._told_card(card, facts, stream.view)
                stream.open_cards[(facts.id, extension)] = encode("card", told)
                cards.append(told)
        return encode(
            "snapshot",
            {
                "at": iso(datetime.now(UTC)),
                "calls": [self.told(facts, stream.view, stream.flavour) for facts in calls],
                "cards": cards,
                **self.notice(),
            },
        )

    def _send(self, stream: Stream, chunk: bytes) -> None:
        if chunk and not stream.put(chunk):
            self._metrics.dropped.inc()
            stream.end("slow")

    # -- serving --

    def check_room(self, viewer: Viewer) -> None:
        """Raises TooManyStreams for an account that follows the calls in too many places."""
        own = sum(stream.account_id == viewer.account.id for stream in self._streams)
        if own >= STREAMS_OF_ACCOUNT:
            raise TooManyStreams

    def open(self, viewer: Viewer, flavour: Flavour) -> Stream:
        """Begin a stream: from here on it misses nothing. Raises TooManyStreams."""
        self.check_room(viewer)
        stream = Stream(
            account_id=viewer.account.id,
            session_id=viewer.session.id if viewer.session else None,
            extensions=frozenset(viewer.account.extensions),
            pop=viewer.account.pop,
            view=viewer.view,
            flavour=flavour,
            language=current_language(),
        )
        stream.put(b"retry: 500\n\n" + self._snapshot(stream))
        if self._stopping:
            stream.end("restart")
        self._streams.add(stream)
        self._metrics.streams.inc()
        return stream

    def leave(self, stream: Stream) -> None:
        """The reader has gone."""
        self._streams.discard(stream)
        self._metrics.streams.dec()

    async def chunks(
        self, viewer: Viewer, flavour: Flavour, still_allowed: Callable[[], Awaitable[object]]
    ) -> AsyncIterator[bytes]:
        """The bytes of a stream until it ends; a beat when nothing happens, so that a dead link is
        noticed.
        """
        checked = time.monotonic()
        try:
            stream = self.open(viewer, flavour)
        except TooManyStreams:  # many asked in the same moment, when there still was room
            yield encode("bye", {"reason": "too_many"})
            return
        try:
            while True:
                try:
                    async with asyncio.timeout(self._settings.heartbeat_seconds):
                        chunk = await stream.queue.get()
                except TimeoutError:
                    chunk = encode("beat", {"at": iso(datetime.now(UTC))})
                if chunk is None:
                    return
                more = _waiting(stream.queue)
                yield chunk + b"".join(part for part in more if part is not None)
                if None in more:
                    return
                if time.monotonic() - checked >= self._settings.session_check_seconds:
                    checked = time.monotonic()
                    if not await self._allowed(still_allowed):
                        stream.end("signed_out")
        finally:
            self.leave(stream)

    async def _allowed(self, still_allowed: Callable[[], Awaitable[object]]) -> bool:
        """With the store away nobody is thrown out: the calls of this moment do not come from it."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                return await still_allowed() is not None
        except (SwitchhookError, TimeoutError, OSError):
            return True


def _waiting(queue: asyncio.Queue[bytes | None]) -> list[bytes | None]:
    """What else is in the queue by now, up to the end mark."""
    parts: list[bytes | None] = []
    while len(parts) < CHUNKS_AT_ONCE and not queue.empty():
        parts.append(queue.get_nowait())
        if parts[-1] is None:
            break
    return parts


def _told_taping(facts: CallFacts) -> dict[str, str | None] | None:
    now = taping(facts)
    if now is None:
        return None
    return {"paused_since": iso(now.paused_since) if now.paused_since else None}


def _card_closed(call_id: UUID, extension: str, reason: str) -> bytes:
    return encode("card_closed", {"call_id": str(call_id), "extension": extension, "reason": reason})


def _card_word(card: Card) -> str:
    match card.state:
        case CardState.RINGING:
            return _("Calling you") if card.inbound else _("You are calling")
        case CardState.TALKING:
            return _("Talking")
        case CardState.HELD:
            return _("On hold")
        case CardState.VOICEMAIL:
            return _("In voicemail")
        case CardState.ENDED:
            return _("Ended")


def section_of(facts: CallFacts) -> str:
    """Where a call stands on the live page: a client who waits, one who speaks with a mailbox, or people who talk."""
    if facts.state is State.VOICEMAIL:
        return "voicemail"
    waits = facts.state in (State.RINGING, State.QUEUED, State.PARKED)
    return "waiting" if waits and facts.direction is Direction.INBOUND else "talking"


def waiting_since(facts: CallFacts) -> datetime:
    """From when the seconds of its row tick: the client's whole wait, or the conversation."""
    if facts.state is State.PARKED and facts.parked:
        return facts.parked[-1].at
    if facts.state is State.VOICEMAIL:
        return voicemail_since(facts)
    if facts.state in (State.TALKING, State.HELD) and facts.answered_at:
        return facts.answered_at
    return facts.started_at

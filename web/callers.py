"""Who calls, as far as the book knows: asked beside the call and never waited for.

A call that comes up is put in line; a few askers read where it is filed and whose its number is, and tell the hub when they
know. What they found is kept while the call lasts, and asked again when the book changes, in whatever process that was.
A store that is slow or away costs the name and nothing else: the number is on the card already.

Where the call is filed goes before what its number says: somebody may have put it there by hand. Only a place that was
itself a guess ("spoken to last") leaves the question open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from call_records.crm.types import CallPlace, Deal
from call_records.types import Records
from telephony.call_facts.facts import CallFacts, Direction, outside_of
from telephony.contacts import Candidate, ClientKind, Match, MatchRule
from telephony.errors import SwitchhookError

ASKERS = 4  # questions at once: each takes milliseconds, and pages need connections too
ASK_SECONDS = 3.0  # longer than any healthy answer; by then the call is being talked, and the number is there
AGAIN_SECONDS = 5.0  # after a store that did not answer
SETTLE_SECONDS = 0.2  # one change of the book is often several notices
SWEEP_SECONDS = 1.0  # an import tells of every entry: live calls are asked again this often at most
TOUCHED_MOST = 500  # entries told of between two sweeps; with more, every live call is asked again
OTHERS_MOST = 12  # a chooser with more is no chooser


@dataclass(frozen=True, slots=True)
class Known:
    """An entry of the book, as a card names it."""

    id: UUID
    name: str
    kind: ClientKind
    company: str | None = None
    spoken_at: datetime | None = None
    open_deals: int = 0


@dataclass(frozen=True, slots=True)
class KnownDeal:
    """The open deal that the call belongs to."""

    id: UUID
    title: str
    stage: str
    amount: Decimal | None
    currency: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the outside party of a call is, and why."""

    asked: str
    """The number that was looked for."""
    client: Known | None = None
    """None: nobody knows the number, or several fit alike (`others`), or a person said nobody (`by_hand`)."""
    deal: KnownDeal | None = None
    rule: MatchRule | None = None
    field: str = ""
    """Which of their numbers fitted."""
    written: str = ""
    """As it stands in the book."""
    others: tuple[Known, ...] = ()
    """Who else has this number; the last spoken to first."""
    by_hand: bool = False
    made: bool = False
    """A lead rule made the entry of this very call."""
    filed: bool = False
    """The call lies there; what else becomes known of the number changes nothing."""

    def may_change_with(self, touched: Collection[UUID]) -> bool:
        """Whether a change of these entries may be news of this call."""
        names = {one.id for one in (self.client, *self.others) if one is not None}
        return not self.filed or not names.isdisjoint(touched)

    @property
    def several(self) -> bool:
        """Whether a person has to choose."""
        return self.client is None and bool(self.others) and not self.by_hand

    @property
    def unknown(self) -> bool:
        """Whether the number is nobody's yet."""
        return self.client is None and not self.others and not self.by_hand

    @property
    def nameless(self) -> bool:
        """Whether the entry is called by nothing but its number."""
        return self.client is not None and not any(char.isalpha() for char in self.client.name)


class Callers:
    """Keeps who the live calls are with. `tell` is called with a call's id whenever that became known or changed."""

    def __init__(self, records: Records, tell: Callable[[UUID], None]) -> None:
        self._records = records
        self._tell = tell
        self._numbers: dict[UUID, str] = {}
        self._known: dict[UUID, Identity] = {}
        self._line: asyncio.Queue[UUID] = asyncio.Queue()  # bounded by the live calls: each stands in it once
        self._waiting: set[UUID] = set()
        self._changed = asyncio.Event()
        self._touched: set[UUID] = set()
        self._all_touched = False

    def of(self, call_id: UUID) -> Identity | None:
        """Who it is with; None while nobody has answered yet, and of calls inside the house."""
        return self._known.get(call_id)

    def follow(self, facts: CallFacts) -> None:
        """The call is like this now. Never waits."""
        if facts.ended:
            self._numbers.pop(facts.id, None)
            return
        number = number_of(facts)
        if number is None or self._numbers.get(facts.id) == number:
            return
        self._numbers[facts.id] = number
        self._known.pop(facts.id, None)
        self.ask(facts.id)

    def forget(self, call_id: UUID) -> None:
        """The call is over and told."""
        self._numbers.pop(call_id, None)
        self._known.pop(call_id, None)

    def ask(self, call_id: UUID) -> None:
        """Ask (again), as soon as an asker is free."""
        if call_id in self._numbers and call_id not in self._waiting:
            self._waiting.add(call_id)
            self._line.put_nowait(call_id)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._records.book_news.follow(self.hear), name="callers: news of the book")
            tasks.create_task(self._sweep(), name="callers: all again")
            for _asker in range(ASKERS):
                tasks.create_task(self._work(), name="callers: asking")

    def hear(self, what: str, which: UUID | None) -> None:
        """Something changed in the book."""
        if what == "missed":
            return
        if what == "call" and which is not None:
            self.ask(which)
            return
        if what == "client" and which is not None and len(self._touched) < TOUCHED_MOST:
            self._touched.add(which)
        else:
            self._all_touched = True
        self._changed.set()

    async def _sweep(self) -> None:
        """An entry or a deal changed: whichever live call it may be of is asked again."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            touched, self._touched = self._touched, set()
            every, self._all_touched = self._all_touched, False
            for call_id in list(self._numbers):
                known = self._known.get(call_id)
                if every or known is None or known.may_change_with(touched):
                    self.ask(call_id)
            await asyncio.sleep(SWEEP_SECONDS)

    async def _work(self) -> None:
        while True:
            call_id = await self._line.get()
            self._waiting.discard(call_id)
            number = self._numbers.get(call_id)
            if number is None:
                continue
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    found = await identify(self._records, call_id, number)
            except (SwitchhookError, TimeoutError, OSError):
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, self.ask, call_id)
                continue
            if self._numbers.get(call_id) == number and self._known.get(call_id) != found:
                self._known[call_id] = found
                self._tell(call_id)


def number_of(facts: CallFacts) -> str | None:
    """By which number the outside party is found; None for calls inside the house and withheld numbers."""
    if facts.direction is Direction.INTERNAL:
        return None
    return outside_of(facts).number


async def identify(records: Records, call_id: UUID, number: str) -> Identity:
    """Who this call is with. Raises TryLater."""
    place = (await records.timelines.places([call_id])).get(call_id)
    if place is not None and not _is_guess(place):
        return await _filed(records, place, number)
    match = await records.matching.match(number)
    return await _matched(records, match, place)


def known_of(place: CallPlace) -> Known | None:
    """Who the call is filed with; None where nobody is certain."""
    return None if _is_guess(place) else _known_place(place)


def _is_guess(place: CallPlace) -> bool:
    return not place.data.get("by_hand") and place.data.get("rule") in (None, MatchRule.LAST_SPOKEN.value)


async def _filed(records: Records, place: CallPlace, number: str) -> Identity:
    data = place.data
    return Identity(
        asked=number,
        client=_known_place(place),
        deal=_deal_of_place(place) or await _open_deal(records, place.client_id, by_hand=_by_hand(data)),
        rule=_rule(data.get("rule")),
        field=str(data.get("field") or ""),
        written=str(data.get("written") or ""),
        others=tuple(_others(data)),
        by_hand=_by_hand(data),
        made=bool(data.get("made")) and data.get("made") != "deal",
        filed=True,
    )


def _by_hand(data: Mapping[str, Any]) -> bool:
    return bool(data.get("by_hand"))


def _known_place(place: CallPlace) -> Known | None:
    if place.client_id is None or place.kind is None:
        return None
    return Known(place.client_id, place.name or "", place.kind, place.company)


def _deal_of_place(place: CallPlace) -> KnownDeal | None:
    if place.deal_id is None:
        return None
    return KnownDeal(place.deal_id, place.deal or "", place.stage or "", place.amount, place.currency or "")


def _rule(told: object) -> MatchRule | None:
    return MatchRule(str(told)) if told in list(MatchRule) else None


def _others(data: Mapping[str, Any]) -> Iterator[Known]:
    for one in (data.get("others") or ())[:OTHERS_MOST]:
        yield Known(UUID(one["id"]), one["name"], ClientKind(one.get("kind", ClientKind.CONTACT)))


async def _matched(records: Records, match: Match, place: CallPlace | None) -> Identity:
    chosen = match.chosen
    deal = _deal_of_place(place) if place and chosen and place.client_id == chosen.id else None
    return Identity(
        asked=match.asked,
        client=_candidate(chosen) if chosen else None,
        deal=deal or (await _open_deal(records, chosen.id) if chosen and chosen.open_deals else None),
        rule=match.rule,
        field=chosen.field if chosen else "",
        written=chosen.written if chosen else "",
        others=tuple(_candidate(one) for one in match.others[:OTHERS_MOST]),
    )


def _candidate(one: Candidate) -> Known:
    return Known(one.id, one.name, one.kind, one.company, one.spoken_at, one.open_deals)


async def _open_deal(records: Records, client_id: UUID | None, *, by_hand: bool = False) -> KnownDeal | None:
    """What is being sold to them just now; a person who put a call to no deal meant it."""
    if client_id is None or by_hand:
        return None
    deals = await records.deals.of_client(client_id, limit=1)  # open ones come first
    deal = next((one for one in deals if one.state == "open"), None)
    return _known_deal(deal) if deal else None


def _known_deal(deal: Deal) -> KnownDeal:
    return KnownDeal(deal.id, deal.title, deal.stage, deal.amount, deal.currency)

"""Somebody who may not see numbers walks through everything they can open: no client's number is told them anywhere.

Not page by page, as each page's own tests do: every address that any page names is opened, so that a page which is added
later is walked through too.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urldefrag, urljoin, urlsplit
from uuid import UUID

import aiohttp
import pytest

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.steps import steps_for
from call_records.crm.types import NewClient, NewDeal, NewTask
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.web.conftest import SETTINGS, Person
from tests.web.fakes import FakeLive
from tests.web.kept import add_everybody, serving, signed_in
from tests.web.office import missed, outgoing, over, picked_up, ringing, target_answers, transferred

pytestmark = pytest.mark.postgres

OLGA, SHARED, STRANGER, OWED, LIVE = (
    "+79163184627",
    "+79167295183",
    "+79165826394",
    "+79164719358",
    "+79162857416",
)
OFFICE, FOREIGN, UNWRITTEN = "+74957362815", "+4989735281946", "816-35-29-74"
NUMBERS = (OLGA, SHARED, STRANGER, OWED, LIVE, OFFICE, FOREIGN, UNWRITTEN)
ENOUGH = 60
"""Addresses a walk finds at least: fewer, and it did not get anywhere. It was 90 when this was written."""
MOST = 400  # a page that links to itself with something new each time must not keep the walk going

MASKED = replace(SETTINGS, mask_numbers_for=frozenset({Role.MANAGER}))
_LINK = re.compile(r'(?:href|action|src|data-[a-z-]+)="(/[^"]*)"')
_NOT_WALKED = re.compile(r"/static/|/sign-out|/audio$")


def told_number(text: str) -> str | None:
    """The first client's number in it, written in whatever way, whole or its last seven digits."""
    for number in NUMBERS:
        digits = re.sub(r"\D", "", number)[-7:]
        if re.search(r"(?:[\s().+\-–/]|&nbsp;|\xa0)*".join(digits), text):
            return number
    return None


@dataclass
class Walk:
    """Every address that may be opened, once."""

    person: Person
    seen: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    """Where a number was told."""

    async def everything(self, *first: str) -> None:
        """From these on."""
        waiting = list(first)
        while waiting and len(self.seen) < MOST:
            path = waiting.pop()
            if path in self.seen or _NOT_WALKED.search(path):
                continue
            self.seen.add(path)
            waiting += await self._open(path)

    async def _open(self, path: str) -> list[str]:
        async with self.person.http.get(path) as answer:
            if "text/event-stream" in answer.content_type:
                return []
            assert answer.status < 500, path
            text = (await answer.read()).decode("utf-8", "replace")
        self.told += [
            f"{path}: {line.strip()[:200]}" for line in unescape(text).splitlines() if told_number(line)
        ]
        found = (urldefrag(urljoin(path, unescape(link))).url for link in _LINK.findall(text))
        return [link for link in found if not urlsplit(link).netloc]


@dataclass(frozen=True)
class Known:
    """What pages that nobody links to are asked about."""

    calls: tuple[UUID, ...]
    ring: CallFacts


async def fill(records: RecordsStore) -> Known:
    """Clients of every kind with calls of every kind, numbers in names, notes, tasks and deals; two share a number."""
    manager = (await add_everybody(records))[Role.MANAGER]
    book, by, now = records.book, manager.id, datetime.now(UTC)
    firm = await book.add(NewClient(ClientKind.COMPANY, f"Gardens {OFFICE}", (OFFICE,)), by=by)
    olga = await book.add(
        NewClient(
            ClientKind.CONTACT,
            "Olga Sokolova",
            ("8 (916) 318-46-27", FOREIGN, UNWRITTEN),
            company_id=firm.id,
            owner_id=manager.person_id,
            fields={"second phone": SHARED},
        ),
        by=by,
    )
    for name in ("Anna Elm", "Boris Oak", f"Clara {SHARED}"):
        await book.add(NewClient(ClientKind.CONTACT, name, (SHARED,)), by=by)
    await book.add(NewClient(ClientKind.CONTACT, "O. Sokolova", (OLGA,)), by=None)
    lead = await book.add(NewClient(ClientKind.LEAD, STRANGER, (STRANGER,), source="call"), by=None)
    deal = await records.deals.add(NewDeal(f"Roses for {OLGA}", olga.id, firm.id), by=by)
    await records.deals.add(NewDeal("Hedge, call 8 916 582-63-94", lead.id), by=by)
    other = (await records.accounts.by_login("supervisor")) or manager
    await records.tasks.add(
        NewTask(f"Call back {OWED}", now, olga.id, owner_id=manager.person_id), by=other.id
    )
    await records.timelines.add_note(
        client_id=olga.id, deal_id=deal.id, text=f"Her own: {SHARED}", by=other.id
    )
    times = [now - timedelta(minutes=10 * place) for place in range(1, 7)]
    rang = [
        ringing("101", number=number, name=name, begin=begin, queue=queue)
        for begin, number, name, queue in (
            (times[0], OLGA, None, None),
            (times[1], SHARED, SHARED, None),
            (times[2], STRANGER, None, None),
            (times[3], OWED, f"tel {OWED}", "sales"),
            (times[4], OLGA, "Olga", None),
        )
    ]
    handed = transferred(picked_up(rang[0], "101"), "101", "555", 30)
    calls = [
        over(target_answers(handed, "555", 40), 60),
        *(over(picked_up(one, "101"), 60) for one in rang[1:3]),
        *(missed(one) for one in rang[3:]),
        outgoing("101", FOREIGN, begin=times[5]),
    ]
    await records.journal.record([change(one) for one in calls])
    keeper = Bookkeeper(records.engine, steps_for(records.home))
    while await keeper.take_some():
        pass
    assert keeper.failures == 0
    await records.timelines.move_call(calls[0].id, client_id=olga.id, deal_id=deal.id, by=by)
    await records.notes.save(call_id=calls[0].id, account_id=other.id, text=f"Ring her at {SHARED}")
    return Known(tuple(one.id for one in calls), ringing("101", "102", number=SHARED, name=SHARED, begin=now))


async def test_no_number_is_told_on_any_page(records: RecordsStore) -> None:
    """Every page a masked manager can get to, and the answers behind search boxes, choosers and cards."""
    known = await fill(records)
    live = FakeLive()
    live.publish(known.ring)
    await records.journal.record([change(known.ring)])
    async with serving(records, MASKED, live) as address, signed_in(address, "manager") as manager:
        walk = Walk(manager)
        await walk.everything("/", *asked_of(known))
    assert not walk.told, "\n".join(walk.told)
    assert ENOUGH <= len(walk.seen) < MOST


def asked_of(known: Known) -> list[str]:
    """What scripts ask; no link names these."""
    of_calls = [
        f"/api/v1/calls/{call}{what}"
        for call in (*known.calls, known.ring.id)
        for what in ("", "/who", "/card", "/people?q=a", "/people?q=ol")
    ]
    searches = [
        f"/{where}?q={text}" for where in ("search", "people", "people/find") for text in ("so", "3162")
    ]
    return [
        *of_calls,
        *searches,
        "/api/v1/calls",
        "/api/v1/recordings",
        "/people/find?q=a&field=with",
        f"/people/same?phones={SHARED[1:]}",
        "/people?kind=lead",
        "/deals?view=list",
        "/missed?period=all",
        "/calls/export.csv",
        "/people/export.csv?kind=all",
        "/deals/export.csv?owner=all",
        "/missed/export.csv?period=all&whose=all",
        "/missed?settled=yes",
        f"/calls/{known.ring.id}",
    ]


async def test_no_number_is_told_on_the_live_stream(records: RecordsStore) -> None:
    """Calls that ring and are answered while they listen, in a browser and with a program: of a client, of several with one
    number, of a lead, of nobody.
    """
    await fill(records)
    live = FakeLive()
    async with serving(records, MASKED, live) as address, signed_in(address, "manager") as manager:
        for view in ("page", "facts"):
            async with manager.http.get(f"/api/v1/live?view={view}") as answer:
                told = [
                    line
                    for number in (OLGA, SHARED, STRANGER, LIVE, OFFICE, FOREIGN)
                    for line in await call_heard(live, answer, number, "who" if view == "page" else "")
                ]
            assert any(FOREIGN[-2:] in line for line in told), view  # it was told of, hidden
            assert [line for line in told if told_number(line)] == []


async def call_heard(live: FakeLive, answer: aiohttp.ClientResponse, number: str, wanted: str) -> list[str]:
    """A call from that number, from the first ring to its end, as the stream tells it."""
    call = ringing("101", "102", number=number, name=f"tel {number}", begin=datetime.now(UTC))
    live.publish(call)
    told = await heard_until(answer, str(call.id), wanted)
    talking = picked_up(call, "101")
    live.publish(talking)
    live.publish(over(transferred(talking, "101", "555", 20), 30))
    return told + await heard_until(answer, str(call.id), "gone")


async def heard_until(answer: aiohttp.ClientResponse, call: str, wanted: str) -> list[str]:
    """What the stream says until it says that of the call: who it is (as far as the book knows), or that it is gone."""
    told: list[str] = []
    event = ""
    while True:
        async with asyncio.timeout(5):
            line = (await answer.content.readline()).decode()
        told.append(line)
        event = line[7:].strip() if line.startswith("event: ") else event
        if not line.startswith("data: ") or call not in line:
            continue
        if wanted == "gone" and event == "gone":
            return told
        if wanted == "who" and event == "card" and json.loads(line[6:])["who"] is not None:
            return told
        if not wanted and event == "call":
            return told

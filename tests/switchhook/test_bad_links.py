"""The line from a real Asterisk to the journal over a wire that goes silent, and with a reader that is too slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ami_bridge.cel.csv_file import CelFile
from ami_bridge.observer import Observer
from ami_bridge.stream import LinkUp, SnapshotEnd, StreamItem
from ami_bridge.wire.connection import PbxLink, Timings
from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.store import RecordsStore
from call_records.types import CallFilter
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.pbx.cel_sources import CelFromFile
from switchhook.pbx.monitor import Bridge
from telephony.call_facts.facts import CallFacts, Certainty, State
from telephony.numbers.numbers import Numbering
from telephony.ports import LinkState
from tests.asterisk_fixtures import PhoneRoom
from tests.call_facts_builder import call, change
from tests.service.running_service import eventually
from tests.service.tcp_proxy import TcpProxy
from tests.service.test_restarts import ANNA, PATIENCE_SECONDS, PETER, kept, kept_calls, talking

pytestmark = pytest.mark.postgres

NUMBERING = Numbering(pbx="lab")
SWEPT_SECONDS = 120.0  # rows are believed whole when the last is 20 s old; a bound
QUICK = Timings(ping_after_seconds=0.5, pong_within_seconds=0.5, backoff_first_seconds=0.1)
SMALL_QUEUE = 40  # messages; a login with its snapshot takes about 20 of this office, a call about 60


@dataclass
class Slow:
    """An observer whose reader can be held up."""

    observer: Observer
    go_on: asyncio.Event

    async def run(self) -> None:
        """Watch until cancelled."""
        await self.observer.run()

    async def items(self) -> AsyncIterator[StreamItem]:
        """The stream, while it may go on."""
        async for item in self.observer.items():
            await self.go_on.wait()
            yield item

    def link_state(self) -> LinkState:
        """As the observer says."""
        return self.observer.link_state()


@asynccontextmanager
async def bridge_over(
    records: RecordsStore, directory: Path, asterisk: PrivateAsterisk, port: int, *, queue_items: int = 20_000
) -> AsyncIterator[Slow]:
    """A bridge at work between this Asterisk and this journal."""
    link = PbxLink("lab", "127.0.0.1", port, asterisk.ami_user, asterisk.ami_secret, timings=QUICK)
    feed = Slow(Observer(link, queue_items=queue_items), asyncio.Event())
    feed.go_on.set()
    spool = SpoolingJournal(records.journal, directory)
    asterisk.cel_csv.write_bytes(b"")
    cel = CelFromFile(CelFile(asterisk.cel_csv))
    bridge = Bridge(feed, NUMBERING, records, LiveBoard(), spool, cel, sweep_after_gap_seconds=1.0)
    ready = asyncio.Event()
    ready.set()
    running = [asyncio.create_task(spool.run()), asyncio.create_task(bridge.run(ready))]
    try:
        await eventually(lambda: bridge.teller.sure, PATIENCE_SECONDS, "a snapshot was taken")
        yield feed
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        spool.close()


@pytest.mark.asterisk
async def test_the_link_goes_silent_without_a_word(
    asterisk: PrivateAsterisk, phones: PhoneRoom, records: RecordsStore, tmp_path: Path
) -> None:
    """Half-open: no packet, no end. It is noticed by a ping; the call that ended meanwhile has its end from CEL."""
    async with (
        TcpProxy(asterisk.ports.ami) as wire,
        bridge_over(records, tmp_path, asterisk, wire.port) as feed,
    ):
        anna, boris, vera = await phones.handsets("101", "102", "103")
        carrier = await phones.carrier()
        ending, _ = await talking(carrier, ANNA, anna, PETER)
        lasting, _ = await talking(boris, "103", vera)
        before = await kept_calls(records, 2, ended=False)
        wire.stall()
        await ending.hang_up()
        await eventually(lambda: not feed.link_state().connected, PATIENCE_SECONDS, "the silence was noticed")
        wire.cut()

        async def one_ended() -> bool:
            return sum(call.ended for call in await kept(records)) == 1

        await eventually(one_ended, PATIENCE_SECONDS, "the call that ended in the silence is told as ended")
        await lasting.hang_up()
        after = await kept_calls(records, 2, ended=True)
    assert {one.id for one in after} == {one.id for one in before}
    told = {one.caller.number or one.caller.raw: one.certainty for one in after}
    assert told == {
        PETER: Certainty.RECONSTRUCTED,
        "102": Certainty.RECONSTRUCTED,
    }  # a hold may have been missed


@pytest.mark.asterisk
async def test_a_reader_too_slow_for_the_stream_loses_no_call(
    asterisk: PrivateAsterisk, phones: PhoneRoom, records: RecordsStore, tmp_path: Path
) -> None:
    """The queue of messages overflows while nobody reads: the link is dropped, and the calls are right all the same."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    port = asterisk.ports.ami
    async with bridge_over(records, tmp_path, asterisk, port, queue_items=SMALL_QUEUE) as feed:
        first, _ = await talking(carrier, ANNA, anna, PETER)
        feed.go_on.clear()
        await first.hang_up()
        numbers = [PETER]
        while not feed.observer.counters.overflows and len(numbers) < 10:
            numbers.append(f"+7916111100{len(numbers)}")
            next_one, inside = await talking(carrier, ANNA, anna, numbers[-1])
            await next_one.hang_up()
            await inside.ended()
        assert feed.observer.counters.overflows > 0
        feed.go_on.set()
        async with asyncio.timeout(SWEPT_SECONDS):
            # The last call's rows may be written after the link is back: then the sweep tells who answered.
            while await _answered(records, len(numbers)) != dict.fromkeys(numbers, "101"):
                await asyncio.sleep(0.1)


async def _answered(records: RecordsStore, count: int) -> dict[str | None, str | None]:
    calls = await kept_calls(records, count, ended=True, within=SWEPT_SECONDS)
    return {one.caller.number: one.answered_by for one in calls}


class Restarted:
    """A PBX on which nothing lives, as the first minute after a start of Switchhook shows it."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    async def run(self) -> None:
        """Nothing to watch."""
        await asyncio.Event().wait()

    async def items(self) -> AsyncIterator[StreamItem]:
        """A login and a snapshot without a channel."""
        now = datetime.now(UTC)
        yield LinkUp("lab", now, 86_400.0)
        yield SnapshotEnd("lab", now, True)
        self.told.set()
        await asyncio.Event().wait()

    def link_state(self) -> LinkState:
        """Connected."""
        return LinkState(pbx="lab", connected=True, since=datetime.now(UTC), lag_seconds=0.0, problem=None)


async def test_a_call_open_in_the_journal_that_nothing_is_known_of_is_laid_to_rest(
    records: RecordsStore, tmp_path: Path
) -> None:
    """Its channels are gone and its messages were not kept: after a restart no ghost is shown as in progress."""
    told = call(started_at=datetime.now(UTC) - timedelta(hours=1))
    ghost = change(replace(told, pbx="lab"), aliases=("lab-1795313139.1",))
    await records.journal.record([ghost])
    spool = SpoolingJournal(records.journal, tmp_path)
    feed, board = Restarted(), LiveBoard()
    bridge = Bridge(feed, NUMBERING, records, board, spool)
    ready = asyncio.Event()
    ready.set()
    running = [asyncio.create_task(spool.run()), asyncio.create_task(bridge.run(ready))]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await feed.told.wait()
    assert await spool.emptied(within_seconds=PATIENCE_SECONDS)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    spool.close()
    (rest,) = await all_calls(records)
    assert (rest.id, rest.state, rest.certainty) == (told.id, State.ENDED, Certainty.BOUNDED)
    assert rest.ended_at is not None
    assert await records.journal.unfinished("lab") == []


async def all_calls(records: RecordsStore) -> list[CallFacts]:
    """What the list of calls shows."""
    return list((await records.calls.page(CallFilter())).calls)

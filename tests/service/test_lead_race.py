"""Two bridges, real calls, a kill in the middle: an unknown caller is exactly one lead, with every call on its timeline."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from call_records.store import RecordsStore
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.phones import answers
from tests.asterisk_fixtures import PhoneRoom
from tests.service.conftest import configuration, database_at
from tests.service.running_service import RunningService, eventually

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]

ANNA, STRANGER = "74951000001", "+79161234567"
CALLS = 5
SETTLED_SECONDS = 60.0  # a few seconds when nothing else runs; the killed bridge reads what it missed


async def test_five_calls_two_bridges_and_a_kill_make_one_lead(
    asterisk: PrivateAsterisk, phones: PhoneRoom, database_url: str, records: RecordsStore, short_dir: Path
) -> None:
    """An unknown number calls five times at once. Two bridges, each with a name of its own for the PBX, tell and book all
    five; one is killed while people talk and started again. One lead, ten entries, none of them twice.
    """
    bridges = [bridge(short_dir / name, name, asterisk, database_url) for name in ("north", "south")]
    try:
        for one in bridges:
            await one.start()
        anna, carrier = await phones.handset("101"), await phones.carrier()
        anna.policy = answers(0.1)
        calls = [await carrier.dial(ANNA, caller=STRANGER) for _call in range(CALLS)]
        await asyncio.gather(*(call.answered(timeout=20) for call in calls))
        bridges[0].kill()
        await asyncio.gather(*(call.hang_up() for call in calls[:3]))
        await bridges[0].start()
        await asyncio.gather(*(call.hang_up() for call in calls[3:]))

        async def settled() -> bool:
            return await counted(records, UNSETTLED) == 0 and await counted(records, ALL) == 2 * CALLS

        await eventually(settled, SETTLED_SECONDS, "every call of both bridges ended and booked")
    finally:
        for one in bridges:
            one.kill()
            print(one.log.read_text(encoding="utf-8", errors="replace"))  # shown when the test failed
    assert await counted(records, "SELECT count(*) FROM clients") == 1
    assert (
        await counted(records, "SELECT count(*) FROM clients WHERE kind = 'lead' AND name = '+79161234567'")
        == 1
    )
    on_it = "SELECT count(DISTINCT call_id) FROM timeline t JOIN clients c ON c.id = t.client_id WHERE t.kind = 'call'"
    assert await counted(records, on_it) == 2 * CALLS
    assert await counted(records, "SELECT count(*) FROM call_rulings WHERE made = 'lead'") == 1


ALL = "SELECT count(*) FROM calls"
UNSETTLED = "SELECT count(*) FROM calls WHERE state <> 'ended' OR booked IS DISTINCT FROM revision"


def bridge(directory: Path, name: str, asterisk: PrivateAsterisk, database_url: str) -> RunningService:
    """A bridge of that name, with a directory and so a spool of its own."""
    directory.mkdir()
    database = f'{database_at(database_url)}\nstate_dir = "{directory}"'
    told = configuration(asterisk, database=database).replace('id = "lab"', f'id = "{name}"')
    return RunningService(directory, told, only="bridge")


async def counted(records: RecordsStore, statement: str) -> int:
    """What the database counts."""
    async with records.engine.connect() as connection:
        return int(await connection.scalar(text(statement)) or 0)

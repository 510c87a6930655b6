"""Live calls across processes, for `--only bridge|web`: the bridge's commits wake the web side through PostgreSQL.

A notice carries ids only. The web side reads the rows and publishes them on its own board, so that pages see the same
`LiveCalls` in both modes. Notices are not durable: after every (re)connect the whole present is read again, the calls
that have not ended and those the board still shows. That is a few hundred rows at most, and cannot miss a commit the
way "newer than the last revision" can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.calls.journal import CALLS_CHANNEL
from call_records.calls.live import LiveBoard
from call_records.db.errors import plain_errors
from call_records.db.tables import call_redirects, calls, pbx_links
from telephony.call_facts.facts import facts_from_json
from telephony.errors import SwitchhookError
from telephony.ports import LinkState

log = structlog.get_logger(__name__)

LINKS_CHANNEL = "switchhook_links"
"""NOTIFY channel: the payload is the PBX's name, for the reader of a log; all links are read again."""
NOTICES = 1_000  # waiting ones; when more come, everything is read again instead
LOOK_SECONDS = 10.0  # a connection cut without a word is noticed by this question
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)  # the last one repeats; the page says meanwhile how old it is
HEALTHY_SECONDS = (
    10.0  # a connection that lasted so long was well: the next loss begins with the short pauses again
)
CLOSE_SECONDS = 2.0


class CallRelay:
    """Both ends of the wire between the bridge and the web process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def tell_link(self, link: LinkState) -> None:
        """Bridge side: how the link to a PBX is now. Raises TryLater."""
        putting = insert(pbx_links).values(
            pbx=link.pbx,
            connected=link.connected,
            since=link.since,
            lag_seconds=link.lag_seconds,
            problem=link.problem,
        )
        fresh = {name: putting.excluded[name] for name in ("connected", "since", "lag_seconds", "problem")}
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(putting.on_conflict_do_update(index_elements=["pbx"], set_=fresh))
                await connection.exec_driver_sql("SELECT pg_notify($1, $2)", (LINKS_CHANNEL, link.pbx))

    async def follow(self, board: LiveBoard) -> None:
        """Web side: keep the board as the bridge's commits say. Runs until cancelled; reconnects by itself."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began_at = loop.time()
            try:
                with plain_errors():
                    await self._follow_once(board)
            except SwitchhookError as trouble:
                log.warning("relay_lost", problem=str(trouble))
            failures = 1 if loop.time() - began_at >= HEALTHY_SECONDS else failures + 1
            await asyncio.sleep(reconnect_pause(failures))

    async def _follow_once(self, board: LiveBoard) -> None:
        notices: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue(NOTICES)
        connection = await asyncpg.connect(**plain_address(self._engine.url), timeout=5)
        try:

            def heard(_: object, __: int, channel: str, payload: object) -> None:
                if notices.full():
                    connection.terminate()  # read everything again
                else:
                    notices.put_nowait((channel, str(payload)))

            def gone(_: object) -> None:
                with suppress(asyncio.QueueFull):
                    notices.put_nowait(None)

            connection.add_termination_listener(gone)
            await connection.add_listener(CALLS_CHANNEL, heard)
            await connection.add_listener(LINKS_CHANNEL, heard)
            await self._read_all(board)
            while not connection.is_closed():
                await self._next(board, connection, notices)
        finally:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await connection.close(timeout=CLOSE_SECONDS)

    async def _next(
        self, board: LiveBoard, connection: Any, notices: asyncio.Queue[tuple[str, str] | None]
    ) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                notice = await notices.get()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=LOOK_SECONDS)
            return
        if notice is None:
            return
        channel, payload = notice
        if channel == LINKS_CHANNEL:
            await self._read_links(board)
        else:
            await self._read_calls(board, [UUID(one) for one in payload.split()])

    async def _read_all(self, board: LiveBoard) -> None:
        shown = [facts.id for facts in board.calls()]
        await self._read_links(board)
        async with self._engine.connect() as connection:
            unfinished = (await connection.scalars(select(calls.c.id).where(calls.c.state != "ended"))).all()
        await self._read_calls(board, {*shown, *unfinished})

    async def _read_calls(self, board: LiveBoard, ids: Iterable[UUID]) -> None:
        """Publish these calls as they are now; those that were absorbed leave the board."""
        wanted = list(ids)
        gone = select(call_redirects.c.old_id).where(
            or_(call_redirects.c.old_id.in_(wanted), call_redirects.c.new_id.in_(wanted))
        )
        rows = select(calls.c.facts).where(calls.c.id.in_(wanted)).order_by(calls.c.revision)
        async with self._engine.connect() as connection:
            board.forget((await connection.scalars(gone)).all())
            for facts in (await connection.scalars(rows)).all():
                board.publish(facts_from_json(facts))

    async def _read_links(self, board: LiveBoard) -> None:
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(pbx_links))).all()
        for row in rows:
            board.publish(LinkState(row.pbx, row.connected, row.since, row.lag_seconds, row.problem))


def reconnect_pause(failures: int) -> float:
    """Seconds before the next try, after so many losses in a row."""
    return RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS)) - 1]


def plain_address(url: URL) -> dict[str, Any]:
    """The same database for asyncpg alone: a listener needs a connection outside the pool."""
    query = dict(url.query)
    known: dict[str, Any] = {"user": url.username, "password": url.password, "database": url.database}
    return {**known, "host": url.host or query.pop("host", None), "port": url.port, "ssl": query.get("ssl")}

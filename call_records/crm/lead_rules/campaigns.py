"""Which campaign a number of ours stands for: what was printed on the leaflet tells where a caller comes from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.lead_rules.types import Campaign, OwnLine
from call_records.crm.tables import campaigns
from call_records.crm.writes import Home
from call_records.db import json_text
from call_records.db.errors import plain_errors
from telephony.edit_version import check_edit_version, edit_version
from telephony.errors import PeerMistake, read_together

NAME_MOST = 120  # characters
DIDS_MOST = 50  # numbers of one campaign
KNOWN_DAYS = 90  # a line nobody called for three months is no suggestion


class Campaigns:
    """The campaigns, as pages read and change them."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home

    async def all(self) -> Sequence[Campaign]:
        """Running ones first, newest first."""
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(_ALL, {"days": KNOWN_DAYS})
                return [
                    Campaign(r.id, r.name, tuple(r.dids), r.created_at, r.ended_at, r.made, r.calls)
                    for r in rows
                ]

    async def lines(self) -> Sequence[OwnLine]:
        """Our numbers that were called within 90 days, the busiest first."""
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(_LINES, {"days": KNOWN_DAYS})
                return [OwnLine(row.did, row.calls, row.last_at) for row in rows]

    async def add(self, *, name: str, dids: Sequence[str]) -> UUID:
        """A new campaign that runs from now on. Raises PeerMistake for a name or number that is none, and for a number
        of another running campaign.
        """
        campaign_id = uuid4()
        values = read_together(name=lambda: self._name(name), dids=lambda: self._dids(dids))
        with plain_errors():
            async with self._engine.begin() as connection:
                await _turns(connection)
                await self._free(connection, values["dids"], None)
                await connection.execute(insert(campaigns).values(id=campaign_id, **values))
        return campaign_id

    async def change(
        self, campaign_id: UUID, *, name: str, dids: Sequence[str], seen: str | None = None
    ) -> None:
        """Other words or other numbers; what came by it stays with it. Raises PeerMistake as `add`, ChangedMeanwhile
        unless its edit version is still `seen`.
        """
        values = read_together(name=lambda: self._name(name), dids=lambda: self._dids(dids))
        with plain_errors():
            async with self._engine.begin() as connection:
                await _turns(connection)
                kept = select(campaigns.c.name, campaigns.c.dids).where(campaigns.c.id == campaign_id)
                row = (await connection.execute(kept)).one_or_none()
                if row is None:
                    raise PeerMistake("There is no such campaign any more.", remedy="Load the page again.")
                check_edit_version(edit_version((row.name, sorted(row.dids))), seen)
                await self._free(connection, values["dids"], campaign_id)
                await connection.execute(
                    update(campaigns).where(campaigns.c.id == campaign_id).values(**values)
                )

    async def end(self, campaign_id: UUID, *, ended: bool) -> None:
        """Its numbers stand for it no longer, or again. Raises PeerMistake when another one has them meanwhile."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await _turns(connection)
                if not ended:
                    dids = await connection.scalar(
                        select(campaigns.c.dids).where(campaigns.c.id == campaign_id)
                    )
                    await self._free(connection, dids or [], campaign_id)
                at = func.coalesce(campaigns.c.ended_at, func.now()) if ended else None
                await connection.execute(
                    update(campaigns).where(campaigns.c.id == campaign_id).values(ended_at=at)
                )

    def _name(self, typed: str) -> str:
        name = json_text.clean(" ".join(typed.split())[:NAME_MOST])
        if not name:
            raise PeerMistake(
                "A campaign needs a name.", remedy="Write one that people will know it by.", field="name"
            )
        return name

    def _dids(self, typed: Sequence[str]) -> list[str]:
        told = [one for each in typed if each.strip() for one in self._home.written(each)]
        wrong = next((one.raw for one in told if one.key is None), None)
        if wrong is not None:
            raise PeerMistake(
                "“{wrong}” is not a number.",
                remedy="Write numbers of yours, one in each line.",
                field="dids",
                values={"wrong": wrong.strip()},
            )
        keys = list(dict.fromkeys(one.key for one in told if one.key))
        if not keys:
            raise PeerMistake(
                "A campaign needs a number.", remedy="Choose one of your lines, or write it.", field="dids"
            )
        return keys[:DIDS_MOST]

    async def _free(self, connection: AsyncConnection, dids: Sequence[str], but: UUID | None) -> None:
        taken = select(campaigns.c.name).where(
            campaigns.c.ended_at.is_(None),
            campaigns.c.dids.overlap(list(dids)),
            campaigns.c.id != (but or uuid4()),
        )
        name = await connection.scalar(taken.limit(1))
        if name is not None:
            raise PeerMistake(
                "One of these numbers stands for the campaign “{name}”.",
                remedy="End that one first.",
                field="dids",
                values={"name": name},
            )


async def campaign_of(connection: AsyncConnection, did: str | None, at: datetime) -> UUID | None:
    """The campaign that this number of ours stood for at that moment."""
    if did is None:
        return None
    standing = select(campaigns.c.id).where(
        campaigns.c.dids.contains([did]),
        campaigns.c.ended_at.is_(None) | (campaigns.c.ended_at > at),
    )
    return await connection.scalar(standing.order_by(campaigns.c.created_at.desc(), campaigns.c.id).limit(1))


async def _turns(connection: AsyncConnection) -> None:
    """Two people who change campaigns take turns, or one number could stand for two."""
    await connection.execute(text("LOCK TABLE campaigns IN SHARE ROW EXCLUSIVE MODE"))


_ALL = text("""
    SELECT g.id, g.name, g.dids, g.created_at, g.ended_at,
        (SELECT count(*) FROM clients c WHERE c.campaign_id = g.id AND c.removed_at IS NULL) AS made,
        (SELECT count(*) FROM calls k WHERE k.direction = 'inbound' AND k.did = ANY (g.dids)
            AND k.started_at >= greatest(g.created_at, now() - make_interval(days => :days))
            AND k.started_at < coalesce(g.ended_at, 'infinity')) AS calls
    FROM campaigns g ORDER BY (g.ended_at IS NOT NULL), g.created_at DESC, g.id
""")
_LINES = text("""
    SELECT did, count(*) AS calls, max(started_at) AS last_at FROM calls
    WHERE direction = 'inbound' AND did IS NOT NULL AND started_at >= now() - make_interval(days => :days)
    GROUP BY did ORDER BY count(*) DESC, did LIMIT 50
""")

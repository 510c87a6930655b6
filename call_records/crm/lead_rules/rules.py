"""The lead rules as a table that people read and change, and the answer to "what would happen if they called now?".

Every change keeps the table as it was before, so that the last one can be undone. The answer is found by what a real
call would run (`making.decide`), in a transaction that PostgreSQL itself forbids to write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.contacts.lookup import entry, find
from call_records.crm.lead_rules.apply import (
    LIMITS_KEY,
    Asked,
    Who,
    decide,
    flood_most,
    rule_from,
    rule_row,
    rules_of,
)
from call_records.crm.lead_rules.types import Flood, Verdict, WhatIf
from call_records.crm.tables import campaigns, lead_rules, office, pipelines, stages
from call_records.crm.writes import Home
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import people
from telephony.contacts import Match
from telephony.edit_version import check_edit_version, edit_version
from telephony.errors import PeerMistake, raise_mistakes
from telephony.lead_rules import FLOOD_MINUTES, Known, LeadRule, Making, Outcome, OwnerRule, Refusal

LINES_MOST = 60  # more than anybody can read as one table
TASK_MOST = 200  # characters
MINUTES_MOST = 60 * 24 * 60  # two months of round-the-clock minutes
FLOOD_HIGHEST = 10_000  # as good as without a limit
FLOOD_SHOWN_HOURS = 24  # how long the page tells of a flood that is over
BEFORE_KEY = "lead_rules_before"
"""In the office's values: the table before the last change."""

Change = Callable[[list[LeadRule]], list[LeadRule]]


class LeadRuleBook:
    """The table of lead rules."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home

    async def all(self) -> Sequence[LeadRule]:
        """The lines in their order."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await rules_of(connection)

    async def replace(self, rules: Sequence[LeadRule], *, by: UUID | None) -> None:
        """Exactly these lines, in this order. Raises PeerMistake for a line that could not be followed."""
        await self.change(lambda _before: list(rules), by=by)

    async def change(self, how: Change, *, by: UUID | None) -> None:
        """The table as `how` makes it of what it is now; two people who change it at once take turns."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_TURNS)
                before = await rules_of(connection)
                wanted = how(list(before))
                if [replace(one, place=0) for one in wanted] == [replace(one, place=0) for one in before]:
                    return
                await self._write(connection, wanted)
                await _keep(connection, before, by)

    async def put(self, rule: LeadRule, *, by: UUID | None, seen: str | None = None) -> None:
        """A changed line in its place, or a new one at the end. Raises PeerMistake as `replace`, ChangedMeanwhile
        unless the line's edit version (`line_version`) is still `seen`.
        """

        def with_it(before: list[LeadRule]) -> list[LeadRule]:
            present = next((one for one in before if one.id == rule.id), None)
            check_edit_version(line_version(present), seen)
            if present is not None:
                return [rule if one.id == rule.id else one for one in before]
            return [*before, rule]

        await self.change(with_it, by=by)

    async def move(self, rule_id: UUID, *, up: bool, by: UUID | None) -> None:
        """One line up or down. One that is gone, or at the end already, is no mistake."""

        def moved(before: list[LeadRule]) -> list[LeadRule]:
            at = next((place for place, one in enumerate(before) if one.id == rule_id), None)
            if at is not None:
                before.insert(max(0, at + (-1 if up else 1)), before.pop(at))
            return before

        await self.change(moved, by=by)

    async def remove(self, rule_id: UUID, *, by: UUID | None) -> None:
        """Take a line out."""
        await self.change(lambda before: [one for one in before if one.id != rule_id], by=by)

    async def can_undo(self) -> bool:
        """Whether there was a change."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await _kept(connection) is not None

    async def undo(self, *, by: UUID | None) -> None:
        """The table before the last change; doing it twice is doing it again."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_TURNS)
                kept = await _kept(connection)
                if kept is None:
                    return
                now = await rules_of(connection)
                await self._write(connection, kept)
                await _keep(connection, now, by)

    async def _write(self, connection: AsyncConnection, rules: Sequence[LeadRule]) -> None:
        if len(rules) > LINES_MOST:
            raise PeerMistake(
                "A table has {most} lines at most.",
                remedy="Take some out first.",
                values={"most": LINES_MOST},
            )
        checked = [await self._checked(connection, replace(one, place=at)) for at, one in enumerate(rules)]
        await connection.execute(delete(lead_rules))
        if checked:
            await connection.execute(insert(lead_rules), [rule_row(one) for one in checked])

    async def _checked(self, connection: AsyncConnection, rule: LeadRule) -> LeadRule:
        """The line as it is kept, with nothing in it that it does not use."""
        deal = rule.making is Making.DEAL
        mistakes: list[PeerMistake] = []
        did: str | None = None
        try:
            did = self._line(rule.did)
        except PeerMistake as mistake:
            mistakes.append(mistake)
        pipeline_id = await _pipeline_of(connection, rule, mistakes) if deal else None
        mistakes += await _owner_mistakes(connection, rule)
        if rule.task_minutes is not None and not 0 <= rule.task_minutes <= MINUTES_MOST:
            said = f"The deadline is a number of working minutes up to {MINUTES_MOST}."
            mistakes.append(PeerMistake(said, remedy="60 is an hour.", field="minutes"))
        raise_mistakes(mistakes)
        task = json_text.clean(" ".join((rule.task or "").split())[:TASK_MOST]) or None
        return replace(
            rule,
            did=did,
            pipeline_id=pipeline_id,
            stage_id=rule.stage_id if deal else None,
            owner_id=rule.owner_id if rule.owner is OwnerRule.NAMED else None,
            team=rule.team if rule.owner is OwnerRule.TEAM_ROTA else None,
            task=task,
            task_minutes=rule.task_minutes if task else None,
        )

    def _line(self, did: str | None) -> str | None:
        if not did or not did.strip():
            return None
        found = self._home.written(did)
        if len(found) != 1 or found[0].key is None:
            said = f"“{did.strip()}” is not a number."
            raise PeerMistake(said, remedy="Write one number of yours.", field="did")
        return found[0].key

    # -- trying out --

    async def what_if(
        self,
        number: str,
        *,
        did: str | None,
        outcome: Outcome,
        at: datetime,
        phone: str | None = None,
    ) -> WhatIf:
        """What would happen if that number called that line at that moment; `phone` is who rings first and answers.
        Writes nothing, and takes nobody's turn. Raises PeerMistake for a line that is no number.
        """
        found = self._home.written(number)
        key = found[0].key if len(found) == 1 else None
        with plain_errors():
            async with self._engine.connect() as connection, connection.begin():
                await connection.execute(text("SET TRANSACTION READ ONLY"))
                if key is None:
                    nothing = Verdict(Known.UNKNOWN, Making.NOTHING, Refusal.NOBODY)
                    return WhatIf(number, None, Match(number, None, None), nothing)
                return await self._tried(connection, number, key, self._line(did), outcome, at, phone)

    async def _tried(
        self,
        connection: AsyncConnection,
        number: str,
        key: str,
        did: str | None,
        outcome: Outcome,
        at: datetime,
        phone: str | None,
    ) -> WhatIf:
        match = await find(connection, key)
        whose = await entry(connection, match.chosen.id) if match.chosen else None
        who = Who(whose, several=whose is None and match.known)
        asked = Asked(number, key, outcome, at, at, did=did, talker=phone, rung=phone)
        verdict = await decide(connection, asked, who, home=self._home, hold=False)
        return WhatIf(
            number,
            key,
            match,
            verdict,
            entry=whose.name if whose else None,
            entry_id=whose.id if whose else None,
            owner=await _name(connection, people, verdict.owner_id),
            stage=await _stage_name(connection, verdict.stage_id),
            campaign=await _name(connection, campaigns, verdict.campaign_id),
            blocked_because=await _reason(connection, verdict.blocked_by),
        )

    # -- floods --

    async def flood_most(self) -> int:
        """How many entries of unknown callers one line may make within ten minutes."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await flood_most(connection)

    async def limit(self, most: int, *, by: UUID | None) -> None:
        """Set it. Raises PeerMistake for a number that is none."""
        if not 1 <= most <= FLOOD_HIGHEST:
            raise PeerMistake(
                "The limit is a number from 1 to {highest}.",
                remedy="30 suits most offices.",
                field="most",
                values={"highest": FLOOD_HIGHEST},
            )
        with plain_errors():
            async with self._engine.begin() as connection:
                await _put(connection, LIMITS_KEY, {"flood_most": most}, by)

    async def floods(self) -> Sequence[Flood]:
        """Of the last day, by line, the newest first."""
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(
                    _FLOODS, {"hours": FLOOD_SHOWN_HOURS, "minutes": int(FLOOD_MINUTES)}
                )
                return [Flood(r.did, r.calls, r.since, r.until, r.going_on) for r in rows]


_TURNS = text("LOCK TABLE lead_rules IN SHARE ROW EXCLUSIVE MODE")
_FLOODS = text("""
    SELECT did, count(*) AS calls, min(at) AS since, max(at) AS until,
        max(at) > now() - make_interval(mins => :minutes) AS going_on
    FROM call_rulings WHERE refusal = 'flood' AND at > now() - make_interval(hours => :hours)
    GROUP BY did ORDER BY max(at) DESC
""")


async def _keep(connection: AsyncConnection, rules: Sequence[LeadRule], by: UUID | None) -> None:
    plain = [
        {name: str(one) if isinstance(one, UUID) else one for name, one in rule_row(rule).items()}
        for rule in rules
    ]
    await _put(connection, BEFORE_KEY, {"rules": plain}, by)


async def _kept(connection: AsyncConnection) -> Sequence[LeadRule] | None:
    kept = await connection.scalar(select(office.c.value).where(office.c.key == BEFORE_KEY))
    return [rule_from(one) for one in kept["rules"]] if isinstance(kept, Mapping) else None


async def _put(connection: AsyncConnection, key: str, value: Any, by: UUID | None) -> None:
    putting = upsert(office).values(key=key, value=value, account_id=by)
    fresh = {"value": putting.excluded.value, "account_id": by, "updated_at": func.now()}
    await connection.execute(putting.on_conflict_do_update(index_elements=["key"], set_=fresh))


async def _is_there(connection: AsyncConnection, table: Any, which: UUID | None) -> bool:
    return which is not None and await _name(connection, table, which) is not None


async def _name(connection: AsyncConnection, table: Any, which: UUID | None) -> str | None:
    if which is None:
        return None
    name: str | None = await connection.scalar(select(table.c.name).where(table.c.id == which))
    return name


async def _owner_mistakes(connection: AsyncConnection, rule: LeadRule) -> list[PeerMistake]:
    """What is wrong with the way to an owner."""
    remedy = "Choose {what}, or another way to an owner."
    if rule.owner is OwnerRule.NAMED and not await _is_there(connection, people, rule.owner_id):
        said = "The line names nobody."
        return [PeerMistake(said, remedy=remedy.format(what="a colleague"), field="person")]
    if rule.owner is OwnerRule.TEAM_ROTA and not rule.team:
        return [PeerMistake("The line names no team.", remedy=remedy.format(what="a team"), field="team")]
    return []


async def _pipeline_of(
    connection: AsyncConnection, rule: LeadRule, mistakes: list[PeerMistake]
) -> UUID | None:
    """The pipeline of the line's stage, else its own; it is a mistake when either is gone."""
    if rule.stage_id is not None:
        of_stage: UUID | None = await connection.scalar(
            select(stages.c.pipeline_id).where(stages.c.id == rule.stage_id, stages.c.ends == "open")
        )
        if of_stage is None:
            mistakes.append(
                PeerMistake("There is no such open stage.", remedy="Choose another stage.", field="stage")
            )
        return of_stage
    if rule.pipeline_id is not None and not await _is_there(connection, pipelines, rule.pipeline_id):
        mistakes.append(
            PeerMistake("There is no such pipeline.", remedy="Choose another one.", field="stage")
        )
    return rule.pipeline_id


async def _stage_name(connection: AsyncConnection, stage_id: UUID | None) -> str | None:
    if stage_id is None:
        return None
    both = select(pipelines.c.name, stages.c.name.label("stage")).join(
        stages, stages.c.pipeline_id == pipelines.c.id
    )
    row = (await connection.execute(both.where(stages.c.id == stage_id))).one()
    return f"{row.name}: {row.stage}"


async def _reason(connection: AsyncConnection, pattern: str | None) -> str | None:
    if pattern is None:
        return None
    reason: str | None = await connection.scalar(
        text("SELECT reason FROM blocklist WHERE pattern = :pattern"), {"pattern": pattern}
    )
    return reason


def line_version(rule: LeadRule | None) -> str:
    """The edit version of a line, wherever it stands; empty where there is none (any more)."""
    return edit_version(replace(rule, place=0)) if rule is not None else ""


def new_line() -> LeadRule:
    """What a new line of the table begins with."""
    return LeadRule(uuid4(), 0, None, Outcome.INBOUND_ANSWERED, Known.UNKNOWN, Making.LEAD)

"""What the lead rules make of somebody who got in touch: decided first, without writing anything; then carried out.

The page's question "what would happen if …" and a real call are answered by the same `decide`. Whoever carries out holds
the lock on the number (`rows.lock_number`) from before they looked who has it until they commit: between the look and the
making nobody else can make anything for that number, in this process or another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.contacts.lookup import Entry
from call_records.crm.deals.deals import insert_deal
from call_records.crm.lead_rules.blocklist import blocking
from call_records.crm.lead_rules.campaigns import campaign_of
from call_records.crm.lead_rules.types import Verdict
from call_records.crm.tables import lead_rules, office, pipelines, stages
from call_records.crm.types import NewClient, NewDeal, NewTask
from call_records.crm.writes import Home, insert_client, insert_task
from call_records.db import json_text, locks
from call_records.db.tables import extensions, people
from telephony.contacts import ClientKind
from telephony.hours import add_working_minutes, hours_from_json
from telephony.lead_rules import (
    FLOOD_MINUTES,
    FLOOD_MOST,
    Known,
    LeadRule,
    Making,
    Outcome,
    OwnerRule,
    Refusal,
    can_be_called_back,
    deciding,
    makes_of,
    next_in_turn,
)

LIMITS_KEY = "lead_rules"
"""In the office's values: {"flood_most": 30}."""
ROTA_KEY = "rota:{team}"
"""In the office's values: whose turn it was last, {"last": person's id}."""
HOURS_KEY = "working_hours"
"""In the office's values: when it answers (`telephony.hours`)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody got in touch, as far as rules care."""

    number: str
    """As it came."""
    key: str
    """What it is known by (`telephony.numbers.numbers.written`); empty for a form without a number."""
    outcome: Outcome
    at: datetime
    """The moment of the outcome: deadlines count from it."""
    began_at: datetime
    did: str | None = None
    """Our line that was called (or shown)."""
    name: str | None = None
    """What they are called by, where something told: the caller's name, a form's field."""
    talker: str | None = None
    """Our extension that talked first."""
    rung: str | None = None
    """Our extension that rang first."""
    call_id: UUID | None = None
    source: str = "call"
    campaign_id: UUID | None = None
    """Where it does not follow from the line."""
    emails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Who:
    """What the book knew of the number. Neither an entry nor several: nobody knows it."""

    entry: Entry | None = None
    several: bool = False

    @property
    def known(self) -> Known:
        """In the words of the rules."""
        if self.entry is None:
            return Known.KNOWN if self.several else Known.UNKNOWN
        return Known.KNOWN if self.entry.deal_id is not None else Known.KNOWN_WITHOUT_OPEN_DEAL


@dataclass(frozen=True, slots=True)
class Made:
    """What was made; None where nothing was."""

    client_id: UUID | None = None
    deal_id: UUID | None = None
    task_id: UUID | None = None


# -- deciding --


async def decide(
    connection: AsyncConnection, asked: Asked, who: Who, *, home: Home, hold: bool = True
) -> Verdict:
    """What the rules say now. `hold` takes the locks that carrying it out needs (a line's flood limit, a team's turn)."""
    known = who.known
    refusal, pattern = await _refused(connection, asked, who)
    if refusal is not None:
        return Verdict(known, Making.NOTHING, refusal, blocked_by=pattern)
    line = deciding(await rules_of(connection), did=asked.did, outcome=asked.outcome, known=known)
    if line is None:
        return Verdict(known, Making.NOTHING, Refusal.NO_LINE)
    return await follow(connection, line, asked, who, home=home, hold=hold)


async def follow(
    connection: AsyncConnection, line: LeadRule, asked: Asked, who: Who, *, home: Home, hold: bool
) -> Verdict:
    """What this line makes of them."""
    known = who.known
    making = makes_of(line, known, lead=who.entry is not None and who.entry.is_lead)
    if known is Known.UNKNOWN and making is not Making.NOTHING and await _flooded(connection, asked, hold):
        return Verdict(known, Making.NOTHING, Refusal.FLOOD, line)
    stage_id = await _stage_of(connection, line) if making is Making.DEAL else None
    if making is Making.DEAL and stage_id is None:
        making = Making.CONTACT if known is Known.UNKNOWN else Making.NOTHING  # every pipeline was put away
    somebody = making is not Making.NOTHING or who.entry is not None
    extension = {OwnerRule.ANSWERED_BY: asked.talker, OwnerRule.FIRST_RUNG: asked.rung}.get(line.owner)
    task = line.task if somebody else None
    wanted = making is not Making.NOTHING or task is not None
    return Verdict(
        known=known,
        making=making,
        line=line,
        owner_id=await owner_of(connection, line, asked, who, hold=hold) if wanted else None,
        extension=extension,
        stage_id=stage_id,
        task=task,
        due_at=await due_at(connection, asked.at, line.task_minutes, home) if task else None,
        campaign_id=asked.campaign_id or await campaign_of(connection, _called(asked), asked.began_at),
    )


def _called(asked: Asked) -> str | None:
    """Only who calls us comes by a campaign; a number we show to others is none."""
    ours = asked.outcome in (Outcome.OUTBOUND_ANSWERED, Outcome.OUTBOUND_UNANSWERED)
    return None if ours else asked.did


async def _refused(connection: AsyncConnection, asked: Asked, who: Who) -> tuple[Refusal | None, str | None]:
    by_phone = can_be_called_back(asked.number) and can_be_called_back(asked.key)
    if not by_phone and not asked.emails:  # a form may have been filled in with an e-mail address only
        return Refusal.SHORT, None
    pattern = await blocking(connection, asked.key)
    if pattern is not None:
        return Refusal.BLOCKED, pattern
    return (Refusal.SEVERAL if who.several else None), None


async def rules_of(connection: AsyncConnection) -> Sequence[LeadRule]:
    """The table, in its order."""
    rows = await connection.execute(select(lead_rules).order_by(lead_rules.c.place, lead_rules.c.id))
    return [rule_from(row._asdict()) for row in rows]


def rule_from(row: Mapping[str, Any]) -> LeadRule:
    """A line as it is kept: a row of the table, or the JSON of a ruling."""
    return LeadRule(
        id=_uuid(row["id"]) or uuid4(),
        place=row["place"],
        did=row["did"],
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        known=Known(row["known"]) if row["known"] else None,
        making=Making(row["making"]),
        pipeline_id=_uuid(row["pipeline_id"]),
        stage_id=_uuid(row["stage_id"]),
        owner=OwnerRule(row["owner"]),
        owner_id=_uuid(row["owner_id"]),
        team=row["team"],
        task=row["task"],
        task_minutes=row["task_minutes"],
    )


def rule_row(rule: LeadRule) -> dict[str, Any]:
    """A line as plain values."""
    return {
        "id": rule.id,
        "place": rule.place,
        "did": rule.did,
        "outcome": rule.outcome and rule.outcome.value,
        "known": rule.known and rule.known.value,
        "making": rule.making.value,
        "pipeline_id": rule.pipeline_id,
        "stage_id": rule.stage_id,
        "owner": rule.owner.value,
        "owner_id": rule.owner_id,
        "team": rule.team,
        "task": rule.task,
        "task_minutes": rule.task_minutes,
    }


def _uuid(value: Any) -> UUID | None:
    return value if value is None or isinstance(value, UUID) else UUID(value)


# -- a flood of unknown callers --


async def flood_most(connection: AsyncConnection) -> int:
    """How many new entries one line may make within ten minutes."""
    kept = await connection.scalar(select(office.c.value).where(office.c.key == LIMITS_KEY))
    most = kept.get("flood_most") if isinstance(kept, dict) else None
    return most if isinstance(most, int) and most > 0 else FLOOD_MOST


async def _flooded(connection: AsyncConnection, asked: Asked, hold: bool) -> bool:
    """Counted by when calls began, so that an hour's calls told at once after an outage are no flood."""
    if hold:
        await connection.execute(_LOCK_LINE, {"did": asked.did or "", "seed": locks.FLOOD})
    since = asked.began_at - timedelta(minutes=FLOOD_MINUTES)
    within = {"did": asked.did, "since": since, "until": asked.began_at, "call": asked.call_id}
    made = await connection.scalar(_MADE, within)
    return int(made or 0) >= await flood_most(connection)


_LOCK_LINE = text("SELECT pg_advisory_xact_lock(hashtextextended(:did, :seed))")
_MADE = text("""
    SELECT count(*) FROM call_rulings
    WHERE did IS NOT DISTINCT FROM :did AND made <> 'nothing' AND known = 'unknown' AND at > :since AND at <= :until
        AND call_id IS DISTINCT FROM CAST(:call AS uuid)
""")


# -- whose it becomes --


async def owner_of(
    connection: AsyncConnection, line: LeadRule, asked: Asked, who: Who, *, hold: bool
) -> UUID | None:
    """The person of ours, or None: nobody's. Somebody who has left is nobody."""
    match line.owner:
        case OwnerRule.ANSWERED_BY:
            return await person_at(connection, asked.talker)
        case OwnerRule.FIRST_RUNG:
            return await person_at(connection, asked.rung)
        case OwnerRule.OWNER_OF_CONTACT:
            return who.entry.owner_id if who.entry else None
        case OwnerRule.TEAM_ROTA:
            return await whose_turn(connection, line.team, hold=hold) if line.team else None
        case OwnerRule.NAMED:
            return await connection.scalar(
                select(people.c.id).where(people.c.id == line.owner_id, people.c.left_at.is_(None))
            )
        case OwnerRule.NOBODY:
            return None


async def person_at(connection: AsyncConnection, extension: str | None) -> UUID | None:
    """Who has this handset; None for a handset that is nobody's (the warehouse's)."""
    if extension is None:
        return None
    having = select(people.c.id).join(extensions, extensions.c.person_id == people.c.id)
    found: UUID | None = await connection.scalar(
        having.where(extensions.c.extension == extension, people.c.left_at.is_(None))
    )
    return found


async def whose_turn(connection: AsyncConnection, team: str, *, hold: bool) -> UUID | None:
    """The member of the team whose turn it is. With `hold` it is locked until the transaction ends, and then taken."""
    key = ROTA_KEY.format(team=team)
    if hold:
        await connection.execute(_BEGIN_ROTA, {"key": key})
    turn = select(office.c.value).where(office.c.key == key)
    kept = await connection.scalar(turn.with_for_update() if hold else turn)
    last = _uuid(kept.get("last")) if isinstance(kept, dict) else None
    members = select(people.c.id).where(people.c.team == team, people.c.left_at.is_(None))
    ordered = (await connection.scalars(members.order_by(func.lower(people.c.name), people.c.id))).all()
    return next_in_turn(ordered, last)


_BEGIN_ROTA = text("INSERT INTO office (key, value) VALUES (:key, '{}') ON CONFLICT (key) DO NOTHING")
_TAKE_TURN = text("""
    UPDATE office SET value = jsonb_build_object('last', CAST(:person AS text)), updated_at = now() WHERE key = :key
""")


async def take_turn(connection: AsyncConnection, verdict: Verdict) -> None:
    """Where a team takes turns: it was this member's."""
    line = verdict.line
    if line and line.owner is OwnerRule.TEAM_ROTA and line.team and verdict.owner_id:
        key = ROTA_KEY.format(team=line.team)
        await connection.execute(_TAKE_TURN, {"key": key, "person": str(verdict.owner_id)})


async def due_at(
    connection: AsyncConnection, since: datetime, minutes: int | None, home: Home
) -> datetime | None:
    """When so many working minutes after that moment are over; None when the office does not work that long in a year."""
    if minutes is None:
        return None
    kept = await connection.scalar(select(office.c.value).where(office.c.key == HOURS_KEY))
    return add_working_minutes(hours_from_json(kept, zone=home.zone), since, minutes)


# -- carrying out --


async def carry_out(
    connection: AsyncConnection, asked: Asked, who: Who, verdict: Verdict, *, home: Home
) -> Made:
    """Make it, in the caller's transaction. The owner of somebody who was known stays who they are."""
    client_id, deal_id = (who.entry.id, who.entry.deal_id) if who.entry else (None, None)
    made_client = made_deal = None
    if verdict.known is Known.UNKNOWN and verdict.making is not Making.NOTHING:
        client_id = made_client = await _new_client(connection, asked, verdict, home)
    if verdict.making is Making.DEAL and client_id is not None and verdict.stage_id is not None:
        deal_id = made_deal = await _new_deal(connection, asked, verdict, client_id, who, home)
    task_id = None
    if verdict.task and client_id is not None:
        new = NewTask(
            verdict.task,
            due_at=verdict.due_at,
            client_id=client_id,
            deal_id=deal_id,
            call_id=asked.call_id,
            owner_id=verdict.owner_id,
        )
        task_id = await insert_task(connection, new, by=None, at=asked.at)
    if made_client or made_deal or task_id:
        await take_turn(connection, verdict)
    return Made(made_client, made_deal, task_id)


async def _new_client(connection: AsyncConnection, asked: Asked, verdict: Verdict, home: Home) -> UUID:
    new = NewClient(
        kind=ClientKind.LEAD if verdict.making is Making.LEAD else ClientKind.CONTACT,
        name=name_of(asked),
        phones=(asked.key if asked.key.startswith("+") else asked.number,) if asked.key else (),
        emails=asked.emails,
        owner_id=verdict.owner_id,
        source=asked.source,
        campaign_id=verdict.campaign_id,
    )
    return await insert_client(connection, new, home=home, by=None, at=asked.at)


def name_of(asked: Asked) -> str:
    """What a new entry is called until somebody types a name: the name that was told, else the number or the e-mail."""
    name = json_text.clean(" ".join((asked.name or "").split()))
    return name if any(char.isalpha() for char in name) else asked.key or next(iter(asked.emails), "")


async def _stage_of(connection: AsyncConnection, line: LeadRule) -> UUID | None:
    """The line's stage, else the first open one of its pipeline, else of the office's first pipeline."""
    in_order = (
        select(stages.c.id)
        .join(pipelines, pipelines.c.id == stages.c.pipeline_id)
        .where(pipelines.c.archived_at.is_(None), stages.c.ends == "open")
        .order_by(
            (stages.c.id == line.stage_id).desc() if line.stage_id else stages.c.place,
            (pipelines.c.id == line.pipeline_id).desc() if line.pipeline_id else pipelines.c.place,
            pipelines.c.place,
            pipelines.c.id,
            stages.c.place,
        )
    )
    found: UUID | None = await connection.scalar(in_order.limit(1))
    return found


async def _new_deal(
    connection: AsyncConnection, asked: Asked, verdict: Verdict, client_id: UUID, who: Who, home: Home
) -> UUID:
    company = who.entry is not None and who.entry.kind is ClientKind.COMPANY
    new = NewDeal(
        title=who.entry.name if who.entry and who.entry.name else name_of(asked),
        contact_id=None if company else client_id,
        company_id=client_id if company else None,
        stage_id=verdict.stage_id,
        owner_id=verdict.owner_id,
        source=asked.source,
        campaign_id=verdict.campaign_id,
    )
    return await insert_deal(connection, new, by=None, at=asked.at, home=home)

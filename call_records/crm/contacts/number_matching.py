"""Whose number is this? One indexed question, asked while the phone rings; the policy is `telephony.contacts.decide`.

The question finds everybody with exactly this number and whom a person taught for it, follows merged and converted
entries to whom they became, and leaves out the removed. Only where one side is written without a certain country are
the last ten digits asked too: +7 916 123-45-67 and +1 916 123-45-67 are two people. Two spellings of one line (Argentina
with and without its 9) are found so as well, and are not certain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.writes import Home, lock_number, notice
from call_records.db.engine import STATEMENT_SECONDS
from call_records.db.errors import plain_errors
from telephony.contacts import Candidate, ClientKind, LeadState, Match, decide
from telephony.errors import OurMistake, PeerMistake
from telephony.numbers.numbers import WHOLE, Written, is_certain, may_be_one_line

MOST = (
    200  # entries on one number that are looked at; a person reads a dozen, a switchboard may be on thousands
)
ALIKE = 20  # numbers that end in the same ten digits: two are a question already, and there are not that many countries
STEPS = 8  # merges and conversions followed from one entry; the book keeps such ways short

CANDIDATES = """
    WITH RECURSIVE hits AS (
        (SELECT client_id, label, place, raw, key, TRUE AS exact FROM client_phones WHERE key = $1 LIMIT $3)
        UNION ALL
        (SELECT client_id, label, place, raw, key, FALSE FROM client_phones WHERE last10 = $2 AND key <> $1 LIMIT $4)
        UNION ALL
        SELECT client_id, NULL, NULL, NULL, $1, TRUE FROM number_lessons WHERE key = $1 AND verdict = 'is'
    ), met AS (
        SELECT h.*, c.id, c.kind, c.name, c.company_id, c.owner_id, c.spoken_at, c.state, c.removed_at,
            COALESCE(c.merged_into, c.became_id) AS next_id
        FROM hits h CROSS JOIN LATERAL (SELECT * FROM clients WHERE id = h.client_id OFFSET 0) c
    ), way AS (
        SELECT DISTINCT client_id AS first_id, next_id AS id, 1 AS step FROM met WHERE next_id IS NOT NULL
        UNION ALL
        SELECT way.first_id, COALESCE(c.merged_into, c.became_id), way.step + 1
        FROM way JOIN clients c ON c.id = way.id
        WHERE COALESCE(c.merged_into, c.became_id) IS NOT NULL AND way.step < $6
    ), found AS (
        SELECT client_id, id, kind, name, company_id, owner_id, spoken_at, state, label, place, raw, key, exact
        FROM met WHERE next_id IS NULL AND removed_at IS NULL
        UNION ALL
        SELECT h.client_id, c.id, c.kind, c.name, c.company_id, c.owner_id, c.spoken_at, c.state, h.label, h.place, h.raw,
            h.key, h.exact
        FROM way
        CROSS JOIN LATERAL (SELECT * FROM clients WHERE id = way.id AND merged_into IS NULL AND became_id IS NULL
            AND removed_at IS NULL OFFSET 0) c
        JOIN hits h ON h.client_id = way.first_id
    ), foremost AS (
        SELECT * FROM found ORDER BY exact DESC, spoken_at DESC NULLS LAST LIMIT $5
    )
    SELECT f.id, f.kind, f.name, f.company_id, f.owner_id, f.spoken_at, f.state, f.label, f.place, f.raw, f.key, f.exact,
        COALESCE(own.verdict, first.verdict) AS verdict,
        (SELECT name FROM clients company WHERE company.id = f.company_id) AS company,
        (SELECT count(*) FROM deals d WHERE d.contact_id = f.id AND d.state = 'open' AND d.removed_at IS NULL)
        + CASE WHEN f.kind = 'company' THEN
            (SELECT count(*) FROM deals d WHERE d.company_id = f.id AND d.state = 'open' AND d.removed_at IS NULL) ELSE 0 END
            AS open_deals
    FROM foremost f
    LEFT JOIN number_lessons own ON own.key = $1 AND own.client_id = f.id
    LEFT JOIN number_lessons first ON first.key = $1 AND first.client_id = f.client_id
"""
"""`verdict` is what was taught of the entry itself, else of the one that became it. OFFSET 0 keeps the look-up by id: the
planner takes a recursive question for thousands of rows, and read the whole book instead (31 ms at 100 000 entries).
It is put to the driver itself: through SQLAlchemy's layers it takes nearly twice as long (docs/explanation/matching.md), and
a phone is ringing."""
BOUNDS = (10 * MOST, ALIKE, MOST, STEPS)


class NumberMatcher:
    """Implements `call_records.crm.types.Matching`."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        # One statement needs no transaction: two of three round trips are spared.
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._engine = engine
        self._home = home

    async def match(self, number: str) -> Match:
        """Who this number stands for. `number` is E.164 or as it came in. Raises TryLater."""
        asked = self._read(number)
        if asked is None:
            return Match(number, None, None)
        with plain_errors():
            async with self._reading.connect() as connection:
                return await _match(connection, number, asked)

    async def teach(self, number: str, *, client_id: UUID, right: bool, by: UUID) -> None:
        """This number is (or is not) this client's. Raises PeerMistake for what is no number, and TryLater."""
        asked = self._read(number)
        if asked is None or asked.key is None:
            raise PeerMistake(
                "A withheld number belongs to nobody.", remedy="Put this one call where it belongs instead."
            )
        with plain_errors():
            async with self._engine.begin() as connection:
                await teach(connection, asked.key, client_id=client_id, right=right, by=by)

    def _read(self, number: str) -> Written | None:
        first = next(iter(self._home.written(number)), None)
        return first if first is not None and first.key is not None else None


async def match_key(connection: AsyncConnection, key: str) -> Match:
    """The same within the caller's transaction, for a number that is already known by its key."""
    digits = "".join(one for one in key if one.isdigit())
    last10 = digits[-WHOLE:] if len(digits) >= WHOLE else None
    return await _match(connection, key, Written(key, key, last10))


async def _match(connection: AsyncConnection, number: str, asked: Written) -> Match:
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, asyncpg.Connection):
        raise OurMistake("Matching asks PostgreSQL through asyncpg only.")
    async with asyncio.timeout(STATEMENT_SECONDS):
        rows = await driver.fetch(CANDIDATES, asked.key, asked.last10, *BOUNDS)
    return _decided(number, asked.key or "", rows)


async def teach(connection: AsyncConnection, key: str, *, client_id: UUID, right: bool, by: UUID) -> None:
    """The same within the caller's transaction. A number is one client's at most; the last word counts."""
    await lock_number(connection, key)
    values = {"key": key, "client_id": client_id, "by": by, "verdict": "is" if right else "is_not"}
    if right:
        await connection.execute(_FORGET_OTHER, values)
    await connection.execute(_TEACH, values)
    await notice(connection, "client", client_id)


_FORGET_OTHER = text(
    "DELETE FROM number_lessons WHERE key = :key AND verdict = 'is' AND client_id <> :client_id"
)
_TEACH = text("""
    INSERT INTO number_lessons (key, client_id, verdict, account_id) VALUES (:key, :client_id, :verdict, :by)
    ON CONFLICT (key, client_id) DO UPDATE SET verdict = excluded.verdict, account_id = excluded.account_id, at = now()
""")


def _decided(number: str, key: str, rows: Any) -> Match:
    candidates: dict[UUID, Candidate] = {}
    verdicts: dict[UUID, set[str | None]] = {}
    for row in rows:
        if (
            not row["exact"]
            and is_certain(key)
            and is_certain(row["key"])
            and not may_be_one_line(key, row["key"])
        ):
            continue  # two countries' numbers
        verdicts.setdefault(row["id"], set()).add(row["verdict"])
        known = candidates.get(row["id"])
        if known is None or (row["exact"], row["raw"] is not None) > (known.exact, known.written != number):
            candidates[row["id"]] = _candidate(row, number)
    chosen = next((one for one, told in verdicts.items() if "is" in told), None)
    never = {one for one, told in verdicts.items() if told == {"is_not"}}
    return decide(number, candidates.values(), chosen, never)


def _candidate(row: Mapping[str, Any], number: str) -> Candidate:
    place: int | None = row["place"]
    spoken_at: datetime | None = row["spoken_at"]
    return Candidate(
        id=row["id"],
        kind=ClientKind(row["kind"]),
        name=row["name"],
        company=row["company"],
        owner_id=row["owner_id"],
        field=row["label"] or ("" if place is None else f"phone {place + 1}" if place else "phone"),
        written=row["raw"] or number,
        exact=row["exact"],
        spoken_at=spoken_at,
        open_deals=row["open_deals"],
        state=LeadState(row["state"]) if row["state"] else None,
        company_id=row["company_id"],
    )

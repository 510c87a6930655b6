"""An office of many years in a database, made by SQL in minutes: what `bench pages` opens its pages on.

Everything hangs together as in a real one: calls with the numbers of contacts stand on their timelines, missed calls are
owed, deals have clients, recordings have calls. One company has thousands of people and deals, one number is shared by a
hundred contacts, three hundred people of ours share the work. Ids are counted, so that a page can be asked for by number.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.store import FILL_SECONDS, vacuum
from call_records.store import RecordsStore
from telephony.call_facts.facts import Direction, Disposition
from tests.call_facts_builder import answered, call, ended, outbound

SIZES = {"small": 20_000, "medium": 100_000, "full": 1_000_000}
"""Calls, contacts and timeline entries; everything else in proportion."""
STAFF = 300
SHARED, SHARING = "+79990000100", 100
CLIENT, COMPANY, CALL, DEAL, PERSON = "a000", "9000", "b000", "c000", "d000"
FIRST_NUMBER = 9_160_000_000  # of the first contact, within Russia


def made_id(kind: str, n: int | str) -> str:
    """The id of the n-th of a kind, as SQL makes it."""
    return f"00000000-0000-4000-{kind}-{int(n):012x}"


def _id(kind: str, n: str) -> str:
    return f"('00000000-0000-4000-{kind}-' || lpad(to_hex(CAST({n} AS bigint)), 12, '0'))::uuid"


_NAMES = "(ARRAY['Ivan','Anna','Petr','Olga','Sergey','Maria','Dmitry','Elena','Alexey','Natalia','Andrey','Irina'])"
_SURNAMES = "(ARRAY['Ivanov','Petrov','Sidorov','Kuznetsov','Smirnov','Popov','Volkov','Orlov','Lebedev','Kozlov','Zaytsev'])"

FILL: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("people", (), f"""
        INSERT INTO people (id, name, team)
        SELECT {_id(PERSON, "n")}, 'Colleague ' || n, (ARRAY['Sales','Support','Office'])[1 + n % 3]
        FROM generate_series(1, {STAFF}) n"""),
    ("extensions", (), f"""
        INSERT INTO extensions (extension, person_id) SELECT (100 + n)::text, {_id(PERSON, "n")}
        FROM generate_series(1, {STAFF}) n"""),
    ("campaigns", (), """
        INSERT INTO campaigns (id, name, dids)
        SELECT gen_random_uuid(), 'Campaign ' || n, ARRAY['+7495000000' || n] FROM generate_series(1, 9) n"""),
    ("companies", ("clients",), f"""
        INSERT INTO clients (id, kind, name, source, search, updated_at)
        SELECT {_id(COMPANY, "n")}, 'company', 'Firma ' || n, 'import', ' firma ' || n || ' ',
            now() - n * interval '3 minutes' FROM generate_series(1, :rows / 50) n"""),
    ("contacts", ("clients",), f"""
        INSERT INTO clients (id, kind, name, company_id, owner_id, emails, tags, fields, source, search, spoken_at,
            created_at, updated_at, state)
        SELECT {_id(CLIENT, "n")}, CASE WHEN n % 20 = 0 THEN 'lead' ELSE 'contact' END, name,
            {_id(COMPANY, "CASE WHEN n <= :rows / 200 THEN 1 ELSE 1 + n % (:rows / 50) END")},
            CASE WHEN n % 3 > 0 THEN {_id(PERSON, f"1 + n % {STAFF}")} END,
            ARRAY['p' || n || '@example.org'], CASE WHEN n % 100 = 0 THEN ARRAY['vip'] ELSE '{{}}' END,
            CASE WHEN n % 4 = 0 THEN '{{"City": "Tver"}}'::jsonb ELSE '{{}}' END, 'import',
            ' ' || lower(name) || ' firma ' || n % (:rows / 50) || ' p' || n || ' example org '
                || CASE WHEN n % 100 = 0 THEN 'vip ' ELSE '' END || '7' || ({FIRST_NUMBER} + n) || ' ',
            now() - n * interval '29 seconds', now() - n * interval '29 seconds',
            now() - n * interval '29 seconds', CASE WHEN n % 20 = 0 THEN 'open' END
        FROM generate_series(1, :rows) n CROSS JOIN LATERAL (SELECT
            {_NAMES}[1 + n % 12] || ' ' || {_SURNAMES}[1 + n / 12 % 11]
            || CASE WHEN n % 2 = 0 THEN 'a' ELSE '' END
            || CASE WHEN n % 50000 = 7 THEN 'quist' ELSE '' END AS name) AS named"""),
    ("numbers", ("client_phones",), f"""
        INSERT INTO client_phones (client_id, place, raw, key, last10, reversed)
        SELECT {_id(CLIENT, "n")}, 0, '8 ' || d, '+7' || d, d, reverse('7' || d)
        FROM generate_series(1, :rows) n, LATERAL (SELECT ({FIRST_NUMBER} + n)::text AS d) AS numbered
        UNION ALL
        SELECT {_id(CLIENT, "n * 150")}, 1, '{SHARED}', '{SHARED}', right('{SHARED}', 10), reverse(substr('{SHARED}', 2))
        FROM generate_series(1, {SHARING}) n"""),
    ("calls", ("calls",), f"""
        INSERT INTO calls (id, pbx, direction, disposition, state, started_at, answered_at, ended_at, caller_number, did,
            outside_number, outside_last10, outside_reversed, other_last10, parties, facts, revision, booked)
        SELECT id, 'hq', facts->>'direction', facts->>'disposition', 'ended', at,
            CASE WHEN facts->>'answered_at' IS NULL THEN NULL ELSE at + interval '5 seconds' END,
            at + interval '65 seconds', CASE WHEN outside THEN '+7' || d ELSE extension END, facts->>'did',
            CASE WHEN outside THEN '+7' || d END, CASE WHEN outside THEN d END,
            CASE WHEN outside THEN reverse('7' || d) END, '{{}}', ARRAY[extension],
            facts || jsonb_build_object('id', id, 'started_at', to_json(at)) || CASE WHEN n % 9 = 0 AND outside THEN
                jsonb_build_object('queue', jsonb_build_object('name', 'queue' || n % 27, 'wait_seconds', 5,
                    'tried', jsonb_build_array(extension), 'answered_by', extension, 'joined_at', to_json(at))) ELSE '{{}}' END,
            n, n
        FROM generate_series(1, :rows) n CROSS JOIN LATERAL (SELECT {_id(CALL, "n")} AS id,
            now() - n * interval '31 seconds' AS at, (101 + n % {STAFF})::text AS extension,
            ({FIRST_NUMBER} + 1 + CAST(n AS bigint) * 7919 % :rows)::text AS d,
            n % 10 <> 9 AS outside,
            CAST(:patterns AS jsonb) -> CASE WHEN n % 10 = 9 THEN 3 WHEN n % 10 = 8 THEN 2 WHEN n % 7 = 0 THEN 1 ELSE 0 END
                AS facts) AS one"""),
    ("timeline", ("timeline",), f"""
        INSERT INTO timeline (id, client_id, kind, at, call_id, data)
        SELECT gen_random_uuid(), {_id(CLIENT, "1 + CAST(n AS bigint) * 7919 % :rows")}, 'call', now() - n * interval '31 seconds',
            {_id(CALL, "n")}, '{{"rule": "only", "key": "", "field": "phone"}}'
        FROM generate_series(1, :rows) n WHERE n % 10 <> 9"""),
    ("pipelines", (), """
        INSERT INTO pipelines (id, name, place) SELECT gen_random_uuid(), 'Bench', 0
        WHERE NOT EXISTS (SELECT 1 FROM pipelines)"""),
    ("stages", (), """
        INSERT INTO stages (id, pipeline_id, name, place, ends)
        SELECT gen_random_uuid(), p.id, s.name, s.place, s.ends FROM pipelines p,
            (VALUES ('New', 0, 'open'), ('Talks', 1, 'open'), ('Won', 2, 'won'), ('Lost', 3, 'lost')) AS s (name, place, ends)
        WHERE NOT EXISTS (SELECT 1 FROM stages)"""),
    ("deals", ("deals",), f"""
        INSERT INTO deals (id, title, contact_id, company_id, pipeline_id, stage_id, state, amount, currency, owner_id, source,
            place, spoken_at, stage_since, created_at, updated_at, closed_at)
        SELECT {_id(DEAL, "n")}, CASE WHEN n % 50000 = 7 THEN 'Northern light' ELSE 'Supply ' || n END,
            {_id(CLIENT, "n * 10 - 9")},
            CASE WHEN n * 10 - 9 <= :rows / 200 THEN {_id(COMPANY, "1")} ELSE {_id(COMPANY, "1 + (n * 10 - 9) % (:rows / 50)")} END,
            s.pipeline_id, s.id, s.ends, n % 1000 * 100, CASE WHEN n % 5 = 0 THEN 'USD' ELSE 'EUR' END,
            CASE WHEN n % 11 > 0 THEN {_id(PERSON, f"1 + n % {STAFF}")} END, 'hand', n,
            now() - n * interval '3 minutes', now() - n * interval '3 minutes', now() - n * interval '5 minutes',
            now() - n * interval '3 minutes', CASE WHEN s.ends <> 'open' THEN now() - n * interval '3 minutes' END
        FROM generate_series(1, :rows / 10) n JOIN (SELECT *, row_number() OVER (
                PARTITION BY ends = 'open' ORDER BY place, id) AS nth, count(*) OVER (PARTITION BY ends = 'open') AS many
            FROM stages) s ON (s.ends = 'open') = (n % 2 = 0) AND s.nth = 1 + n / 2 % s.many"""),
    ("tasks", ("tasks",), f"""
        INSERT INTO tasks (id, text, due_at, client_id, deal_id, owner_id, done_at)
        SELECT gen_random_uuid(), 'Call again ' || n, now() + (n % 2000 - 1000) * interval '1 hour', {_id(CLIENT, "n * 10 - 9")},
            {_id(DEAL, "n")}, {_id(PERSON, f"1 + n % {STAFF}")}, CASE WHEN n % 4 > 0 THEN now() END
        FROM generate_series(1, :rows / 10) n"""),
    ("missed", ("missed",), f"""
        INSERT INTO missed (id, key, number, client_id, state, owner_id, owner_why, did, times, first_at, owed_since, last_at,
            last_call_id, due_at, reminded_at, escalated_at, closed_at, closed_how, closed_call_id)
        SELECT gen_random_uuid(), key, key, {_id(CLIENT, "n")}, CASE WHEN closed THEN 'called_back' ELSE 'new' END,
            CASE WHEN n % 4 > 0 THEN {_id(PERSON, f"1 + n % {STAFF}")} END, 'last_rung', '+74951000001', 1 + n % 3, at, at, at,
            {_id(CALL, "n")}, at + interval '30 minutes', at, at, CASE WHEN closed THEN at + interval '20 minutes' END,
            CASE WHEN closed THEN 'called_back' END, CASE WHEN closed THEN {_id(CALL, "n + 1")} END
        FROM generate_series(1, :rows / 10) n, LATERAL (SELECT '+7' || ({FIRST_NUMBER} + n) AS key,
            now() - n * interval '5 minutes' AS at, n > :rows / 200 AS closed) AS one"""),
    ("missed calls", ("missed_calls",), """
        INSERT INTO missed_calls (call_id, missed_id, at) SELECT last_call_id, id, last_at FROM missed"""),
    ("rulings", ("call_rulings",), f"""
        INSERT INTO call_rulings (call_id, key, did, at, outcome, known, made, client_id)
        SELECT {_id(CALL, "n")}, '', '+74951000001', now() - n * interval '31 seconds', 'missed', 'contact',
            CASE WHEN n % 20 = 0 THEN 'lead' ELSE 'nothing' END, {_id(CLIENT, "n")} FROM generate_series(1, :rows) n"""),
    ("recordings", ("recordings",), f"""
        INSERT INTO recordings (id, pbx, name, call_id, state, listed_at, arrived_at, ready_at, direction, parties,
            outside_last10, outside_reversed, started_at, duration_seconds, layout, faults, due_at)
        SELECT gen_random_uuid(), 'hq', 'rec-' || n, c.id, CASE WHEN n % 500 = 0 THEN 'failed' ELSE 'ready' END, c.started_at,
            c.started_at, c.started_at, c.direction, c.parties, c.outside_last10, c.outside_reversed, c.started_at,
            20 + n % 600, 'stereo', CASE WHEN n % 200 = 0 THEN ARRAY['silent'] ELSE '{{}}' END, now() + interval '9 days'
        FROM generate_series(1, :rows / 5) n JOIN calls c ON c.id = {_id(CALL, "n * 5")}"""),
    ("outbox", ("outbox",), f"""
        INSERT INTO outbox (call_id, kind, key, happened_at, owed_at, due_at)
        SELECT {_id(CALL, "n")}, kind, '', now() - n * interval '31 seconds', now() - n * interval '31 seconds',
            now() - n * interval '31 seconds'
        FROM generate_series(1, :rows) n, unnest(ARRAY['call_started', 'call_answered', 'call_ended']) AS kind"""),
)  # fmt: skip
"""What is made, the tables whose indexes are built afterwards, how."""


def call_patterns() -> str:
    """The facts of an answered, a missed, an outbound and an internal call."""
    missed = replace(ended(call()), disposition=Disposition.MISSED)
    internal = replace(ended(answered(outbound("102", by="101"))), direction=Direction.INTERNAL)
    facts = (ended(answered(call())), missed, ended(answered(outbound("+79161110005"))), internal)
    return json.dumps([one.as_json() for one in facts])


def written_out(statement: str, rows: int) -> str:
    """The statement with its values in it: as parameters they would have no type where only sums are made of them."""
    patterns = call_patterns().replace("'", "''")
    return statement.replace(":rows", str(rows)).replace(":patterns", f"'{patterns}'")


async def fill(store: RecordsStore, rows: int) -> None:
    """Make everything, if it is not there."""
    began = time.perf_counter()
    async with store.engine.begin() as connection:
        if await connection.scalar(text("SELECT 1 FROM people LIMIT 1")):
            return
        await connection.execute(text(f"SET LOCAL statement_timeout = '{FILL_SECONDS}s'"))
        await connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        indexes = await _drop_indexes(connection)
        for what, _tables, statement in FILL:
            started = time.perf_counter()
            await connection.exec_driver_sql(written_out(statement, rows))
            print(f"  {what:<14} {time.perf_counter() - started:6.1f} s", flush=True)
        await connection.execute(text("SELECT setval('call_revisions', :rows)"), {"rows": rows + 1})
        started = time.perf_counter()
        for definition in indexes:
            await connection.exec_driver_sql(definition)
        print(f"  {'indexes':<14} {time.perf_counter() - started:6.1f} s", flush=True)
    filled = sorted({table for _what, tables, _statement in FILL for table in tables})
    await vacuum(store, *filled)
    print(f"{rows} calls and all that belongs to them in {time.perf_counter() - began:.0f} s", flush=True)


async def _drop_indexes(connection: AsyncConnection) -> list[str]:
    """The indexes of the filled tables are built at the end, many times faster; how, is returned."""
    tables = sorted({table for _what, tables, _statement in FILL for table in tables})
    rows = await connection.execute(_SECONDARY, {"tables": tables})
    found = [(row.name, row.definition) for row in rows]
    for name, _definition in found:
        await connection.execute(text(f"DROP INDEX {name}"))
    return [definition for _name, definition in found]


_SECONDARY = text("""
    SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
    FROM pg_index i WHERE i.indrelid::regclass::text = ANY(:tables) AND NOT i.indisunique
""")

"""How fast a long history is read: `python -m bench timeline [--rows N]`.

Starts its own PostgreSQL with full durability, puts N entries on one contact and as many on a company with 200 contacts
(each of whom somebody was merged or converted into), among a hundred thousand others, and reads pages of 30: the newest,
one in the middle, the last. The goal: a page in 20 ms, Python included.

Beside it, in the same run: the plain way, all entries of the family by `IN` and `ORDER BY at LIMIT 30`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from functools import partial
from uuid import UUID

from sqlalchemy import text

from bench.store import FILL_SECONDS, fresh_store, median_ms, server_cpu_ms, vacuum
from call_records.crm.types import ClientFilter
from call_records.store import RecordsStore
from telephony.contacts import ClientKind

TARGET_MS = 20.0
PEOPLE = 200
ROUNDS = 49  # the server's clock ticks in hundredths of a second

FILL = (
    """
    INSERT INTO clients (id, kind, name, source, search)
    SELECT gen_random_uuid(), 'contact', 'Other ' || n, 'import', ' other ' || n || ' '
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO timeline (id, client_id, kind, at, text)
    SELECT gen_random_uuid(), id, 'note', now() - random() * interval '1000 days', 'x'
    FROM clients, generate_series(1, 5)
    """,
    """
    INSERT INTO clients (id, kind, name, source, search) VALUES
        ('00000000-0000-4000-8000-000000000001', 'contact', 'Long history', 'hand', ' long history '),
        ('00000000-0000-4000-8000-000000000002', 'company', 'Large company', 'hand', ' large company ')
    """,
    """
    INSERT INTO clients (id, kind, name, source, search, company_id)
    SELECT gen_random_uuid(), 'contact', 'Person ' || n, 'hand', ' person ' || n || ' ',
        '00000000-0000-4000-8000-000000000002'
    FROM generate_series(1, CAST(:people AS int)) n
    """,
    """
    INSERT INTO clients (id, kind, name, source, search, merged_into, became_id, state)
    SELECT gen_random_uuid(), CASE WHEN became THEN 'lead' ELSE 'contact' END, 'Was ' || name, 'hand', ' was ',
        CASE WHEN NOT became THEN id END, CASE WHEN became THEN id END, CASE WHEN became THEN 'converted' END
    FROM (SELECT *, row_number() OVER (ORDER BY id) % 2 = 0 AS became FROM clients
          WHERE company_id IS NOT NULL OR name = 'Long history') AS person
    """,
    """
    INSERT INTO timeline (id, client_id, kind, at, call_id, text, data)
    SELECT gen_random_uuid(), CASE WHEN n % 10 = 0 THEN was.id ELSE one.id END,
        CASE WHEN n % 3 = 0 THEN 'note' ELSE 'call' END, now() - n * interval '7 minutes', gen_random_uuid(),
        CASE WHEN n % 3 = 0 THEN 'What was said at length, a line or two of it, as people type.' END,
        '{"rule": "only", "field": "phone", "written": "+7 916 111-00-05", "asked": "+79161110005", "others": []}'
    FROM clients one JOIN clients was ON one.id IN (was.merged_into, was.became_id),
        generate_series(1, CAST(:rows AS int)) n
    WHERE one.name = 'Long history'
    """,
    """
    INSERT INTO timeline (id, client_id, kind, at, text)
    SELECT gen_random_uuid(), member.id, 'note', now() - n * interval '7 minutes', 'With one of its people.'
    FROM generate_series(1, CAST(:rows AS int)) n
    JOIN (SELECT c.id, row_number() OVER (ORDER BY c.id) - 1 AS place FROM clients c
          LEFT JOIN clients person ON person.id IN (c.merged_into, c.became_id)
          WHERE c.company_id IS NOT NULL OR person.company_id IS NOT NULL) AS member
        ON member.place = n % (2 * CAST(:people AS int))
    """,
)
PLAIN = text("""
    SELECT * FROM timeline WHERE client_id IN (
        SELECT c.id FROM clients c LEFT JOIN clients person ON person.id IN (c.merged_into, c.became_id)
        WHERE :id IN (c.id, c.company_id, c.merged_into, c.became_id, person.company_id))
    ORDER BY at DESC, id DESC LIMIT 30
""")


async def fill(store: RecordsStore, rows: int) -> None:
    """The bulk."""
    for statement in FILL:
        async with store.engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL statement_timeout = '{FILL_SECONDS}s'"))
            values = {"rows": rows, "people": PEOPLE}
            await connection.execute(
                text(statement), {name: value for name, value in values.items() if f":{name}" in statement}
            )
    await vacuum(store, "clients", "timeline")


async def walked(store: RecordsStore, client_id: UUID, rows: int) -> tuple[list[str], int]:
    """The marks of a page in the middle and of the last one, and how many entries there were in all."""
    marks: list[str] = []
    found, cursor = 0, None
    while True:
        page = await store.timelines.of_client(client_id, limit=200, cursor=cursor)
        found += len(page.entries)
        cursor = page.older
        if cursor is None:
            return [marks[len(marks) // 2], marks[-1]], found
        marks.append(cursor)
        if found > 2 * rows:
            raise SystemExit("the pages of a timeline do not end")


async def measure(rows: int) -> bool:
    """The whole measurement."""
    within = True
    async with fresh_store() as store:
        began = time.perf_counter()
        await fill(store, rows)
        print(f"{2 * rows} entries filled in {time.perf_counter() - began:.0f} s", flush=True)
        for number, name in ((1, "one contact and who he was"), (2, f"a company of {PEOPLE} contacts")):
            one = UUID(f"00000000-0000-4000-8000-{number:012}")
            marks, found = await walked(store, one, rows)
            if found != rows:
                raise SystemExit(f"{found} entries of {rows} were shown")
            for what, mark in (("newest", None), ("middle", marks[0]), ("last", marks[1])):
                before = await server_cpu_ms(store)
                took = await median_ms(partial(store.timelines.of_client, one, cursor=mark), ROUNDS)
                cpu = (await server_cpu_ms(store) - before) / (ROUNDS + 1)
                within &= took <= TARGET_MS
                print(
                    f"{name}, {rows} entries: {what:<8} {took:6.1f} ms (server's core {cpu:.1f} ms)",
                    flush=True,
                )
            async with store.engine.connect() as connection:
                theirs = await median_ms(partial(connection.execute, PLAIN, {"id": one}), 3)
            ours = await median_ms(partial(store.timelines.of_client, one))
            print(
                f"{name}: plain IN … ORDER BY {theirs:6.1f} ms, {theirs / ours:.0f} times ours",
                flush=True,
            )
        people = (await store.book.page(ClientFilter(kind=ClientKind.CONTACT, text="other"))).clients
        took = await median_ms(partial(store.timelines.of_client, people[0].id))
        print(f"somebody with five entries: {took:6.1f} ms")
        print(f"every page within {TARGET_MS:.0f} ms: {'yes' if within else 'NO'}")
        return within


def main() -> int:
    """Read the size and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="entries of each (default 100 000)")
    return 0 if asyncio.run(measure(parser.parse_args().rows)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Everything out again, in open formats: leaving must be as easy as coming.

Nothing is held whole: a table is walked by its key in pieces, each a short query of its own, so that a slow reader keeps
no transaction open. What is written while the walk goes on may or may not be in it. A cell that a spreadsheet would take
for a formula begins with an apostrophe; our own import takes it away again.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import xlsxwriter
from sqlalchemy import TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.types import Text, Uuid

from call_records.crm.contacts.queries import clients_of
from call_records.crm.imports.vcard import write_card
from call_records.crm.types import Client
from call_records.db import json_text
from call_records.db.errors import plain_errors
from telephony.contacts import ClientKind
from telephony.spreadsheet_cells import safe_cell

AT_ONCE = 100  # rows of one piece; 500 took the event loop up to 0.3 s of computing
FACTS_MOST = 60  # columns of own facts; an office that has more has another column for each
SHEET_ROWS = 1_000_000  # a spreadsheet holds 1 048 576
CELL_MOST = 32_000  # characters; a spreadsheet holds 32 767
BOM = b"\xef\xbb\xbf"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

KINDS: Mapping[str, ClientKind] = {
    "contacts": ClientKind.CONTACT,
    "companies": ClientKind.COMPANY,
    "leads": ClientKind.LEAD,
}
CLIENT_COLUMNS = (
    "Kind", "Name", "Company", "Position", "Phones", "E-mails", "Tags", "Owner", "State", "Source", "Campaign",
    "Added", "Last conversation",
)  # fmt: skip
"""As column_mapping.py reads them again; columns of own facts follow."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of one statement. `{after}` is where the walk goes on."""

    columns: tuple[str, ...]
    statement: str


TABLES: Mapping[str, Table] = {
    "deals": Table(
        ("Title", "Contact", "Company", "Pipeline", "Stage", "State", "Amount", "Currency", "Owner", "Tags", "Added",
         "Closed", "Last conversation"),
        """
        SELECT d.id, d.title, c.name, f.name, p.name, s.name, d.state, d.amount, d.currency, o.name, d.tags,
            d.created_at, d.closed_at, d.spoken_at
        FROM deals d JOIN stages s ON s.id = d.stage_id JOIN pipelines p ON p.id = d.pipeline_id
        LEFT JOIN clients c ON c.id = d.contact_id LEFT JOIN clients f ON f.id = d.company_id
        LEFT JOIN people o ON o.id = d.owner_id
        WHERE d.removed_at IS NULL AND d.id > :after ORDER BY d.id LIMIT :most
        """,
    ),
    "calls": Table(
        ("Started", "Direction", "Outcome", "Outside number", "Caller's name", "Our number", "Answered by", "Client",
         "Waited (s)", "Talked (s)", "Ended", "Call"),
        """
        SELECT k.id, k.started_at, k.direction, k.disposition, k.outside_number, k.facts#>>'{caller,name}', k.did,
            k.facts->>'answered_by', c.name, k.facts->>'wait_seconds', k.facts->>'talk_seconds', k.ended_at, k.id
        FROM calls k
        LEFT JOIN timeline t ON t.call_id = k.id AND t.kind = 'call'
        LEFT JOIN clients x ON x.id = t.client_id LEFT JOIN clients c ON c.id = coalesce(x.merged_into, x.id)
        WHERE k.id > :after ORDER BY k.id LIMIT :most
        """,
    ),
    "tasks": Table(
        ("Task", "Due", "Client", "Deal", "Owner", "Added", "Done"),
        """
        SELECT t.id, t.text, t.due_at, c.name, d.title, o.name, t.created_at, t.done_at
        FROM tasks t LEFT JOIN clients c ON c.id = t.client_id LEFT JOIN deals d ON d.id = t.deal_id
        LEFT JOIN people o ON o.id = t.owner_id
        WHERE t.id > :after ORDER BY t.id LIMIT :most
        """,
    ),
    "timeline": Table(
        ("At", "Client", "Deal", "What", "By", "Text", "Call"),
        """
        SELECT t.id, t.at, c.name, d.title, t.kind, a.name, coalesce(t.text, k.text), t.call_id
        FROM timeline t LEFT JOIN clients x ON x.id = t.client_id
        LEFT JOIN clients c ON c.id = coalesce(x.merged_into, x.id)
        LEFT JOIN deals d ON d.id = t.deal_id LEFT JOIN accounts a ON a.id = t.account_id
        LEFT JOIN tasks k ON k.id = t.task_id
        WHERE t.id > :after ORDER BY t.id LIMIT :most
        """,
    ),
}  # fmt: skip

WHOLE: Mapping[str, str] = {
    "clients": "SELECT id::text AS key, to_jsonb(t) - 'search' - 'own' FROM clients t",
    "client_phones": "SELECT lpad(id::text, 20, '0') AS key, to_jsonb(t) - 'reversed' FROM client_phones t",
    "client_merges": "SELECT id::text AS key, to_jsonb(t) FROM client_merges t",
    "pipelines": "SELECT id::text AS key, to_jsonb(t) FROM pipelines t",
    "stages": "SELECT id::text AS key, to_jsonb(t) FROM stages t",
    "deals": "SELECT id::text AS key, to_jsonb(t) FROM deals t",
    "tasks": "SELECT id::text AS key, to_jsonb(t) FROM tasks t",
    "timeline": "SELECT id::text AS key, to_jsonb(t) FROM timeline t",
    "calls": "SELECT id::text AS key, facts FROM calls t",
    "call_notes": "SELECT call_id::text || account_id::text AS key, to_jsonb(t) FROM notes t",
    "missed": "SELECT id::text AS key, to_jsonb(t) FROM missed t",
    "campaigns": "SELECT id::text AS key, to_jsonb(t) FROM campaigns t",
    "people": "SELECT id::text AS key, to_jsonb(t) FROM people t",
    "extensions": "SELECT extension AS key, to_jsonb(t) FROM extensions t",
    "accounts": "SELECT id::text AS key, jsonb_build_object('id', id, 'login', login, 'name', name) FROM accounts t",
}
"""What the archive holds, a file of JSON lines each; nothing in it opens a door (no hashes, no tokens, no keys)."""

Rows = AsyncIterator[Sequence[tuple[str, ...]]]


class ExportDesk:
    """Hands out what is in the book and the journal."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # -- tables --

    async def columns(self, what: str) -> tuple[str, ...]:
        """The headings: of clients also their own facts."""
        if what in TABLES:
            return TABLES[what].columns
        with plain_errors():
            async with self._engine.connect() as connection:
                asked = {"kind": KINDS[what].value, "most": FACTS_MOST}
                facts = (await connection.scalars(_FACTS, asked)).all()
        return (*CLIENT_COLUMNS, *(_fact_heading(one) for one in facts))

    async def rows(self, what: str, columns: Sequence[str], zone: tzinfo = UTC) -> Rows:
        """The rows in pieces, as texts; times by the clock of `zone`."""
        if what in TABLES:
            statement = text(TABLES[what].statement).bindparams(bindparam("after", type_=Uuid))
            async for piece in self._walk(statement, UUID(int=0)):
                yield [tuple(cell_text(value, zone) for value in row[1:]) for row in piece]
            return
        facts = facts_of(columns)
        async for clients in self.clients(KINDS[what]):
            yield [client_row(one, facts, zone, phone_texts(one)) for one in clients]

    async def clients(self, *kinds: ClientKind) -> AsyncIterator[Sequence[Client]]:
        """Everybody of these kinds who is in the book now, in pieces."""
        asked = {"kinds": [one.value for one in kinds]}
        async for piece in self._walk(_CLIENTS, UUID(int=0), asked):
            with plain_errors():
                async with self._engine.connect() as connection:
                    found = await clients_of(connection, [row.id for row in piece])
            yield [found[row.id] for row in piece if row.id in found]

    async def cards(self, version: str) -> AsyncIterator[bytes]:
        """Contacts and companies as vCards, 3.0 or 4.0."""
        async for piece in self.clients(ClientKind.CONTACT, ClientKind.COMPANY):
            yield "".join(
                write_card(
                    version=version,
                    name=one.name,
                    kind=one.kind,
                    phones=phone_texts(one),
                    emails=one.emails,
                    company=one.company,
                    position=one.position,
                    tags=one.tags,
                )
                for one in piece
            ).encode()

    async def json_lines(self, name: str) -> AsyncIterator[bytes]:
        """One table of the archive, a JSON object a line."""
        statement = text(
            f"SELECT * FROM ({WHOLE[name]}) AS whole WHERE key > :after ORDER BY key LIMIT :most"  # noqa: S608 - ours
        ).bindparams(bindparam("after", type_=Text()))
        async for piece in self._walk(statement, ""):
            yield "".join(f"{json_text.dumps(row[1])}\n" for row in piece).encode()

    async def _walk(
        self, statement: TextClause, after: Any, asked: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Sequence[Any]]:
        while True:
            with plain_errors():
                async with self._engine.connect() as connection:
                    wanted = {**(asked or {}), "after": after, "most": AT_ONCE}
                    piece = (await connection.execute(statement, wanted)).all()
            if piece:
                yield piece
                after = piece[-1][0]
            if len(piece) < AT_ONCE:
                return


_FACTS = text("""
    SELECT fact.name FROM clients c, LATERAL jsonb_object_keys(c.fields) AS fact (name)
    WHERE c.kind = :kind AND c.fields <> '{}' AND c.merged_into IS NULL AND c.removed_at IS NULL
    GROUP BY fact.name ORDER BY count(*) DESC, fact.name LIMIT :most
""")
_CLIENTS = text("""
    SELECT id FROM clients
    WHERE kind = ANY(:kinds) AND id > :after AND merged_into IS NULL AND removed_at IS NULL AND became_id IS NULL
    ORDER BY id LIMIT :most
""").bindparams(bindparam("after", type_=Uuid))


def _fact_heading(name: str) -> str:
    """A fact that is called as one of our columns keeps apart from it."""
    return f"{name} " if name in CLIENT_COLUMNS else name


def _fact_of(heading: str) -> str:
    return heading[:-1] if heading[:-1] in CLIENT_COLUMNS else heading


def facts_of(columns: Sequence[str]) -> list[str]:
    """The own facts that the columns behind ours hold."""
    return [_fact_of(one) for one in columns[len(CLIENT_COLUMNS) :]]


def phone_texts(one: Client) -> list[str]:
    """The entry's numbers as they are dialled from anywhere."""
    return [_phone(phone.raw, phone.key, phone.extension) for phone in one.phones]


def client_row(one: Client, facts: Sequence[str], zone: tzinfo, phones: Sequence[str]) -> tuple[str, ...]:
    """The entry under CLIENT_COLUMNS and the columns of `facts`."""
    return (
        one.kind.value,
        one.name,
        one.company or "",
        one.position or "",
        "; ".join(phones),
        "; ".join(one.emails),
        "; ".join(one.tags),
        one.owner or "",
        one.state.value if one.state else "",
        one.source,
        one.campaign or "",
        cell_text(one.created_at, zone),
        cell_text(one.spoken_at, zone),
        *(one.fields.get(name, "") for name in facts),
    )


def _phone(raw: str, key: str | None, extension: str | None) -> str:
    """So that whoever reads it, wherever, dials the same: E.164 where it is one."""
    if key is None or not key.startswith("+"):
        return " ".join(raw.split())
    return f"{key} ext. {extension}" if extension else key


def cell_text(value: Any, zone: tzinfo) -> str:
    """A value as its cell has it; times by the clock of `zone`."""
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
        case Decimal():
            return f"{value:f}"
        case list():
            return "; ".join(str(one) for one in value)
        case _:
            return str(value)


# -- formats --


def csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV, RFC 4180."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


async def as_csv(columns: Sequence[str], rows: Rows) -> AsyncIterator[bytes]:
    """A whole file; the mark at its head tells Excel that it is UTF-8."""
    yield BOM + csv_lines([columns])
    async for piece in rows:
        yield csv_lines(piece)


async def write_xlsx(path: Path, name: str, columns: Sequence[str], rows: Rows) -> None:
    """The same as a spreadsheet at `path`: rows go to disk as they come, every cell is text and none a formula."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = xlsxwriter.Workbook(str(path), options)
    try:
        sheet, at, number = _new_sheet(book, name, columns, 1), 1, 1
        async for piece in rows:
            if at + len(piece) > SHEET_ROWS:
                number += 1
                sheet, at = _new_sheet(book, name, columns, number), 1
            await asyncio.to_thread(_put_rows, sheet, at, piece)
            at += len(piece)
    finally:
        await asyncio.to_thread(book.close)


def _new_sheet(book: Any, name: str, columns: Sequence[str], number: int) -> Any:
    sheet = book.add_worksheet(f"{name.title()[:24]} {number}" if number > 1 else name.title()[:30])
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, list(columns), book.add_format({"bold": True}))
    return sheet


def _put_rows(sheet: Any, at: int, rows: Sequence[tuple[str, ...]]) -> None:
    for down, row in enumerate(rows):
        for across, cell in enumerate(row):
            if cell:
                sheet.write_string(at + down, across, _CONTROL.sub("\ufffd", cell)[:CELL_MOST])

"""`switchhook contacts import`: a file of contacts by the page's own rules, one line or one object a row.

A dry run compares with the database where there is one already (the configured one, or that of a running service) and
writes nothing into it; without one it compares the file with itself and says so. Nothing here makes a database.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from call_records.crm.imports.code_pages import ENCODINGS, page_of
from call_records.crm.imports.column_headings import FACT, LEFT_OUT
from call_records.crm.imports.column_mapping import FIELDS, Mapped
from call_records.crm.imports.contact_files import guess_mapping, read_file
from call_records.crm.imports.dry_run import Becoming, Decision, Plan, Reader
from call_records.crm.imports.spreadsheets import DELIMITERS, FileForm, Sheet
from call_records.crm.writes import Home
from switchhook.process import logs
from switchhook.settings.office_numbers import numbering_for
from switchhook.settings.settings import Settings
from telephony.contacts import ClientKind
from telephony.errors import NeedsPerson, PeerMistake
from telephony.numbers.regions import RegionCheck, RegionDoubt

WHAT = {
    Becoming.NEW: "new",
    Becoming.COMPLETES: "updated",
    Becoming.SAME: "unchanged",
    Becoming.PROBLEM: "refused",
}
Observer = Callable[[Sequence[Decision]], None]


class Report:
    """Prints each row as it is decided, and counts."""

    def __init__(self, region: str, *, as_json: bool) -> None:
        self._as_json = as_json
        self._check = RegionCheck(region)
        self._counts: Counter[str] = Counter()

    def take(self, decisions: Sequence[Decision]) -> None:
        """Some more rows."""
        for one in decisions:
            told = row_report(one)
            self._counts[told["what"]] += 1
            self._counts["problems"] += len(told["problems"])
            self._check.take(one.row.phones)
            print(json.dumps(told, ensure_ascii=False) if self._as_json else _row_in_words(told))

    def doubt(self) -> RegionDoubt | None:
        """What speaks against the country in which the numbers were read."""
        return self._check.doubt()

    def finish(
        self, sheet: Sheet, mapped: Mapped, doubt: RegionDoubt | None, *, dry_run: bool, compared_with: str
    ) -> None:
        """The totals."""
        names = (*WHAT.values(), "problems")
        totals = {
            "rows": sum(self._counts[name] for name in WHAT.values()),
            **{n: self._counts[n] for n in names},
        }
        columns = dict(zip(sheet.headings, mapped.columns, strict=False))
        told = {
            "totals": totals,
            "dry_run": dry_run,
            "compared_with": compared_with,
            "region_doubt": asdict(doubt) if doubt else None,
            "file": {
                "format": sheet.kind,
                "encoding": sheet.encoding or None,
                "sheet": sheet.sheet or None,
                "heading_row": sheet.heading_row if sheet.kind != "vcard" else None,
                "columns": columns,
            },
        }
        print(json.dumps(told, ensure_ascii=False) if self._as_json else _totals_in_words(told))


def warn_of_region(doubt: RegionDoubt | None) -> None:
    """On standard error, so that what reads the rows is not disturbed."""
    if doubt is None:
        return
    fits = f" Nearly all would be in {' or '.join(doubt.fits)}." if doubt.fits else ""
    print(
        f"{doubt.strange} of {doubt.numbers} numbers without a country code are none in {doubt.region}.{fits}\n"
        f"  If the list is from another country, name it: --region {doubt.fits[0] if doubt.fits else 'XX'}.",
        file=sys.stderr,
    )


def row_report(one: Decision) -> dict[str, Any]:
    """A row as it was decided."""
    row = one.row
    said = [f"{each.column}: {each.said}" if each.column else each.said for each in row.problems]
    if one.beside:
        said.append(f"shares a number or e-mail with “{one.beside}”")
    return {
        "row": row.number,
        "what": WHAT[one.what],
        "name": row.name,
        "numbers": [{"key": phone.key, "extension": phone.extension} for phone in row.phones],
        "emails": list(row.emails),
        "problems": said,
    }


def _row_in_words(told: dict[str, Any]) -> str:
    numbers = ", ".join(
        one["key"] + (f" ext. {one['extension']}" if one["extension"] else "") for one in told["numbers"]
    )
    parts = (
        str(told["row"]),
        told["what"],
        told["name"],
        numbers,
        ", ".join(told["emails"]),
        " ".join(told["problems"]),
    )
    return "\t".join(parts).rstrip()


def _totals_in_words(told: dict[str, Any]) -> str:
    totals = told["totals"]
    counts = ", ".join(f"{name} {totals[name]}" for name in (*WHAT.values(), "problems"))
    nothing = "" if told["compared_with"] == "database" else " There was no database to compare with."
    done = "Nothing was changed." if told["dry_run"] else "Imported."
    return f"Rows: {totals['rows']}: {counts}. {done}{nothing}"


async def main(
    file: Path,
    *,
    dry_run: bool,
    as_json: bool,
    region: str | None,
    kind: str | None,
    encoding: str | None,
    delimiter: str | None,
    heading_row: int | None,
    sheet: str | None,
    columns: Sequence[str],
    config: Path | None,
) -> None:
    """Import the file, or say what would become of it."""
    office, settings = numbering_for(config, region)
    home = Home(office.region, office.area_code, office.outside_prefix)
    logs.set_up(level="warning", form="console", mask_numbers=settings.logs.mask_numbers)
    form = _form(encoding, delimiter, heading_row, sheet)
    data = _bytes_of(file)
    table = await asyncio.to_thread(read_file, data, form)
    mapped = _chosen(table, guess_mapping(table), columns, kind)
    report = Report(home.region, as_json=as_json)
    if dry_run and not has_database(settings):
        _decide_alone(table, mapped, home, report.take)
        print(
            "There is no database to compare with: rows are compared with one another only.", file=sys.stderr
        )
        doubt = report.doubt()
        warn_of_region(doubt)
        report.finish(table, mapped, doubt, dry_run=True, compared_with="nothing")
        return
    doubt = await _in_database(settings, home, file.name, data, mapped, report.take, dry_run=dry_run)
    report.finish(table, mapped, doubt, dry_run=dry_run, compared_with="database")


def _form(
    encoding: str | None, delimiter: str | None, heading_row: int | None, sheet: str | None
) -> FileForm:
    if encoding is not None and page_of(encoding) is None:
        raise PeerMistake(
            f"The code page “{encoding[:40]}” is not read.", remedy=f"Choose of: {', '.join(ENCODINGS)}."
        )
    by = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    if by and by not in DELIMITERS:
        raise PeerMistake("Columns cannot be separated by that.", remedy="Choose ; , | or tab.")
    return FileForm(page_of(encoding) if encoding else None, by, None, heading_row, sheet)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as cause:
        raise NeedsPerson(
            f"{file} cannot be read ({cause.strerror}).", remedy="Give the file's right name."
        ) from cause


def _chosen(sheet: Sheet, mapped: Mapped, columns: Sequence[str], kind: str | None) -> Mapped:
    """The guess, with what was said instead."""
    chosen = list(mapped.columns)
    for one in columns:
        heading, equals, name = one.rpartition("=")
        places = [
            place
            for place, title in enumerate(sheet.headings)
            if title.casefold() == heading.strip().casefold()
        ]
        name = {"": LEFT_OUT, "-": LEFT_OUT, "leave_out": LEFT_OUT}.get(name.strip(), name.strip())
        if not equals or not places or name not in (*FIELDS, FACT, LEFT_OUT):
            fields = ", ".join((*FIELDS, FACT, "-"))
            raise PeerMistake(
                f"“{one[:80]}” is no choice for a column.", remedy=f"Write HEADING=FIELD; fields: {fields}."
            )
        for place in places:
            chosen[place] = name
    if not {"name", "first_name", "last_name", "phone", "email", "company"} & set(chosen):
        raise PeerMistake(
            "No column is a name, a number or an e-mail.", remedy="Say which is, with --column HEADING=FIELD."
        )
    return replace(mapped, columns=tuple(chosen), kind=ClientKind(kind) if kind else mapped.kind)


def has_database(settings: Settings) -> bool:
    """Whether there is one already, looked up without making anything. Raises NeedsPerson where it may not be used."""
    from switchhook.service_database import NoDatabase, find_database

    try:
        find_database(settings)
    except NoDatabase:
        return False
    return True


def _decide_alone(sheet: Sheet, mapped: Mapped, home: Home, observe: Observer) -> None:
    reader, plan = Reader(sheet.headings, mapped, home, {}), Plan()
    for row in sheet.rows:
        observe([plan.decide(reader.row(row))])


async def _in_database(
    settings: Settings,
    home: Home,
    name: str,
    data: bytes,
    mapped: Mapped,
    observe: Observer,
    *,
    dry_run: bool,
) -> RegionDoubt | None:
    from call_records.crm.imports.jobs import ImportDesk
    from switchhook.opening import open_store

    async with open_store(settings, migrate=not dry_run) as store:
        if dry_run:
            await store.refuse_other_tables()
        desk = ImportDesk(store.engine, home)
        import_id = await desk.take(name, data, by=None)
        try:
            await desk.choose_as(import_id, mapped)
            await desk.work(import_id, observe=observe if dry_run else None)
            tried = await desk.one(import_id)
            doubt = tried.region_doubt if tried else None
            warn_of_region(doubt)
            if not dry_run:
                await desk.begin(import_id)
                await desk.work(import_id, observe=observe)
            return doubt
        finally:
            with suppress(PeerMistake):
                await desk.forget(import_id)  # whatever was not begun leaves nothing behind

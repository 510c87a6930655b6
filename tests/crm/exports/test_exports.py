"""What goes out comes in again: any name, any fact, as CSV and as a card; formulas stay text."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from call_records.crm.exports.exports import CLIENT_COLUMNS, as_csv, csv_lines, write_xlsx
from call_records.crm.imports.column_mapping import Mapped, guess
from call_records.crm.imports.dry_run import Reader
from call_records.crm.imports.spreadsheets import read_sheet
from call_records.crm.imports.vcard import read_cards, write_card
from call_records.crm.writes import Home
from telephony.contacts import ClientKind
from telephony.spreadsheet_cells import original_text, safe_cell

TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs", "Cn", "Co", "Cf")) | st.sampled_from("=+-@';,\"| \\"),
    min_size=1, max_size=30,
).map(lambda text: " ".join(text.split())).filter(bool)  # fmt: skip
PLAIN = TEXT.filter(lambda text: not set(text) & set(";|") and not text.startswith("* "))
FORMULAS = ("=1+1", "+7", "-2", "@x", "\tx", "\rx", "'=1", "''+1")


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_is_guarded(cell: str) -> None:
    """What Excel would run begins with an apostrophe."""
    assert safe_cell(cell) == f"'{cell}"


READERS = (",", ";", "\t", "|")
HOSTILE = (
    "Bob;=cmd|' /C calc'!A0",
    'Bob;"=1+1"',
    "a\tb\t@x",
    "two\n+1",
    "x;'=1",
    "a;;-2",
    "p|=1",
)


@pytest.mark.parametrize("separator", READERS)
@pytest.mark.parametrize("cell", HOSTILE)
def test_no_cell_begins_a_formula_whatever_the_reader_separates_by(cell: str, separator: str) -> None:
    """The same file opened in Germany and in England; every column, also as the first and the last of a row."""
    for row in ([cell, "x"], ["x", cell], ["x", cell, "y, z"]):
        text = csv_lines([row]).decode()
        read = [
            found for line in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for found in line
        ]
        # A reader that was sent the wrong separator also leaves quotation marks in: it looks behind them.
        assert not [one for one in read if one.lstrip("\"'")[:1] in set("=+-@") and not one.startswith("'")]


@given(typed=st.text(st.sampled_from(list("=+-@';,\"|\t\n ab")), max_size=12))
def test_a_guarded_cell_comes_back_as_it_was(typed: str) -> None:
    """Whatever is exported is imported as it was; nothing more is guarded the second time than the first."""
    assert original_text(safe_cell(typed)) == typed


@pytest.mark.parametrize("cell", ["Irina", "'quoted'", "", "a=b", "8 916"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    """Nobody's name gets an apostrophe for nothing."""
    assert safe_cell(cell) == cell


@given(name=TEXT, company=TEXT, position=TEXT, tag=PLAIN, fact=TEXT, kind=st.sampled_from(list(ClientKind)))
def test_a_table_comes_in_as_it_went_out(
    name: str, company: str, position: str, tag: str, fact: str, kind: ClientKind
) -> None:
    """Any letters, quotes, delimiters and formulas."""
    columns = (*CLIENT_COLUMNS, "Town")
    row = (kind.value, name, company, position, "+79160000012 ext. 4; +79160000013", "a@x.example; b@x.example",
           tag, "", "", "hand", "", "2026-11-22 10:00:00", "", fact)  # fmt: skip
    sheet = read_sheet(b"\xef\xbb\xbf" + csv_lines([columns, row]))
    guessed, rows_are, preset = guess(sheet.headings)
    assert preset.id == "own"
    read = Reader(sheet.headings, Mapped(guessed, rows_are), Home(), {}).row(sheet.rows[0])
    assert (read.kind, read.name, read.position) == (kind, name, position)
    assert read.company == (company if company != name else None)
    assert read.tags == (tag,)
    assert read.facts == {"Town": fact}
    assert [(one.key, one.extension) for one in read.phones] == [
        ("+79160000012", "4"),
        ("+79160000013", None),
    ]
    assert read.emails == ("a@x.example", "b@x.example")


@given(name=TEXT, company=TEXT, tag=TEXT, version=st.sampled_from(["3.0", "4.0"]))
def test_a_card_comes_in_as_it_went_out(name: str, company: str, tag: str, version: str) -> None:
    """Commas, semicolons, backslashes and long lines of any script."""
    card = write_card(
        version=version, name=name, kind=ClientKind.CONTACT, phones=["+79160000012 ext. 4"], emails=["a@x.example"],
        company=company, position="boss", tags=[tag],
    )  # fmt: skip
    assert all(len(line.encode()) <= 75 for line in card.split("\r\n"))
    (row,) = read_cards(card.encode()).rows
    assert row.problem is None
    assert row.cells[:6] == (name, "+79160000012 ext. 4", "a@x.example", company, "boss", tag)


async def _rows(*pieces: Sequence[tuple[str, ...]]) -> AsyncIterator[Sequence[tuple[str, ...]]]:
    for piece in pieces:
        yield piece


async def test_csv_begins_with_its_mark_and_one_line_of_headings() -> None:
    """However many pieces there are."""
    told = b"".join([piece async for piece in as_csv(("A", "B"), _rows([("1", "=2")], [("3", 'x"y\nz')]))])
    assert told.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(told.decode("utf-8-sig"), newline="")))
    assert lines == [["A", "B"], ["1", "'=2"], ["3", 'x"y\nz']]


async def test_a_spreadsheet_holds_text_only(tmp_path: Path) -> None:
    """Formulas, links and control characters are letters; what is too long is cut."""
    place = tmp_path / "x.xlsx"
    await write_xlsx(
        place, "contacts", ("A",), _rows([("=1+1",), ("http://x.example",), ("a\x01b",), ("9" * 40_000,)])
    )
    book = zipfile.ZipFile(place)
    assert book.testzip() is None
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert "\x01" not in sheet

"""What is understood of a file before anything of it is imported: letters, columns, headings, names."""

from __future__ import annotations

import csv

import pytest

from call_records.crm.imports.code_pages import guess_encoding
from call_records.crm.imports.column_headings import FACT, LEFT_OUT
from call_records.crm.imports.column_mapping import guess, preset_of
from call_records.crm.imports.dry_run import agree
from call_records.crm.imports.spreadsheets import CELL_MOST, read_sheet
from call_records.crm.imports.vcard import read_cards
from telephony.errors import PeerMistake

# -- reading files --

TABLE = 'Имя;Телефон;Примечание\r\nЖанна Эйфель;8 (916) 000-11-22;"две\r\nстроки; и точка"\r\n'


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TABLE.encode(), "utf-8"),
        (TABLE.encode("utf-8-sig"), "utf-8"),
        (TABLE.encode("utf-16"), "utf-16"),
        (TABLE.encode("utf-16-le"), "utf-16"),
        (TABLE.encode("utf-16-be"), "utf-16"),
        (TABLE.encode("cp1251"), "cp1251"),
    ],
)
def test_letters_are_guessed(data: bytes, encoding: str) -> None:
    """The same table as six programs write it; the line break within quotes stays in its cell."""
    sheet = read_sheet(data)
    assert sheet.encoding == encoding
    assert sheet.headings == ("Имя", "Телефон", "Примечание")
    assert sheet.rows[0].cells[0] == "Жанна Эйфель"
    assert sheet.rows[0].cells[2].splitlines() == ["две", "строки; и точка"]


def test_west_european_letters_are_no_cyrillic() -> None:
    """Excel on a German Windows."""
    assert guess_encoding("Name;Straße;Müller;Zoë;François\n".encode("cp1252")) == "cp1252"


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_what_parts_columns_is_guessed(delimiter: str) -> None:
    """Each habit; a comma within quotes is none."""
    lines = [
        ["Name", "Phone", "Company"],
        ['"Bell, A."', "+7 916 000-00-01", "A|B;C" if delimiter == "," else "x"],
    ]
    sheet = read_sheet("\n".join(delimiter.join(line) for line in lines).encode())
    assert sheet.delimiter == delimiter
    assert sheet.rows[0].cells[0] == "Bell, A."


def test_excels_own_note_of_the_delimiter_is_obeyed() -> None:
    """`sep=;` on the first line is no heading."""
    sheet = read_sheet(b"sep=;\r\nName;Phone\r\nAda;1,2,3,4\r\n")
    assert (sheet.headings, sheet.delimiter) == (("Name", "Phone"), ";")


def test_a_file_without_headings_is_told_by_its_first_line() -> None:
    """Names and numbers from the first line on."""
    sheet = read_sheet(b"Ada Bell;+7 916 000-00-01\nZoe;+7 916 000-00-02\n")
    assert not sheet.headed
    assert sheet.headings == ("Column 1", "Column 2")
    assert len(sheet.rows) == 2


def test_hostile_cells_cost_only_their_rows() -> None:
    """NUL, a megabyte in a cell, rows too long and too short, a quotation mark never closed."""
    csv.field_size_limit(65_536)  # as the reader of Asterisk's event log leaves it
    data = b"Name,Phone\nA\0da,1\nB," + b"9" * 1_000_000 + b'\nC\nD,1,2,3\nE,1,,\n"F,1\n'
    sheet = read_sheet(data)
    problems = {row.cells[0]: row.problem for row in sheet.rows}
    assert problems["Ada"] is None
    assert str(CELL_MOST) in str(problems["B"])
    assert problems["C"] is None
    assert "4 cells" in str(problems["D"])
    assert problems["E"] is None
    assert [row.number for row in sheet.rows][:5] == [2, 3, 4, 5, 6]
    assert csv.field_size_limit() == 65_536


@pytest.mark.parametrize("data", [b"", b"\n\n  \n", b"\xff\xfe", b"\xef\xbb\xbf"])
def test_an_empty_file_is_said_to_be_empty(data: bytes) -> None:
    """Nothing in it, however it is written."""
    with pytest.raises(PeerMistake, match="empty"):
        read_sheet(data)


def test_two_columns_of_one_name_are_two() -> None:
    """Bitrix24 repeats headings."""
    assert read_sheet(b"Name,Phone,Phone\nA,1,2\n").headings == ("Name", "Phone", "Phone (3)")


# -- what columns are --


@pytest.mark.parametrize(
    ("headings", "preset", "kind", "columns"),
    [
        ("ФИО;Телефон;E-mail;Примечание", "general", "contact", "name phone email note"),
        ("Название компании;Рабочий телефон;Тип компании;Логотип", "bitrix24-company", "company", "name phone fact -"),
        (
            "ID;Название лида;Имя;Фамилия;Мобильный телефон;Источник;Статус", "bitrix24-lead", "lead",
            "- name first_name last_name phone fact -",
        ),
        (
            "Имя;Отчество;Фамилия;Рабочий телефон;Рабочий e-mail;Компания;Должность;Тип контакта;Ответственный",
            "bitrix24-contact", "contact", "first_name middle_name last_name phone email company position fact owner",
        ),
        ("Наименование;ИНН;КПП;Телефон;Основной менеджер", "1c", "company", "name fact fact phone owner"),
        (
            "First Name,Last Name,Company,Job Title,Business Phone,Mobile Phone,E-mail Address,E-mail 2 Address,Notes",
            "outlook", "contact", "first_name last_name company position phone phone email email note",
        ),
        (
            "First Name,Last Name,Organization Name,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,"
            "Phone 1 - Value",
            "google", "contact", "first_name last_name company tags - email - phone",
        ),
        ("Компания;Телефон", "general", "company", "name phone"),
        ("Kind,Name,Phones,E-mails,Source,Colour", "own", "contact", "kind name phone email - fact"),
    ],
)  # fmt: skip
def test_headings_of_other_programs_are_known(headings: str, preset: str, kind: str, columns: str) -> None:
    """The columns of their exports, and what they are with us."""
    names = headings.split(";" if ";" in headings else ",")
    guessed, rows_are, found = guess(names)
    wanted = [LEFT_OUT if one == "-" else FACT if one == "fact" else one for one in columns.split()]
    assert (found.id, rows_are.value, list(guessed)) == (preset, kind, wanted)
    assert preset_of(names).id == preset


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Irina Sokolova", "I. Sokolova", True),
        ("Ирина Соколова", "Irina Sokolova", True),
        ("Irina Sokolova", "Petr Orlov", False),
        ("ООО Ромашка", "ООО Василёк", False),
        ("+7 916 000-00-12", "Irina", True),
        ("irina@garden.example", "Petr", True),
    ],
)
def test_names_agree(one: str, other: str, same: bool) -> None:
    """Who may be the same client when a number is shared."""
    assert agree(one, other) is same


def test_a_file_of_cards_with_none_says_so() -> None:
    """It begins like one."""
    with pytest.raises(PeerMistake, match="no card"):
        read_cards(b"BEGIN:VCARD\nVERSION:3.0\n")

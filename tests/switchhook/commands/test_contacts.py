"""`switchhook number` and `switchhook contacts import --dry-run`: one object a text, one a row, without a database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from switchhook.cli import run_command


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration and no database of this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHHOOK_DATABASE__STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_numbers_in_texts(capsys: pytest.CaptureFixture[str]) -> None:
    """A number with its extension, none, withheld, another country's."""
    assert run_command(["number", "8 495 123-45-67 доб. 12", "abc", "Anonymous", "--format", "json"]) == 0
    assert told(capsys) == [
        {
            "text": "8 495 123-45-67 доб. 12",
            "numbers": [{"key": "+74951234567", "extension": "12", "valid": True}],
            "withheld": False,
        },
        {"text": "abc", "numbers": [], "withheld": False},
        {"text": "Anonymous", "numbers": [], "withheld": True},
    ]
    assert run_command(["number", "601 000 001", "999-12345", "--region", "PL", "--format", "json"]) == 0
    polish, uncertain = told(capsys)
    assert polish["numbers"] == [{"key": "+48601000001", "extension": None, "valid": True}]
    assert [one["valid"] for one in uncertain["numbers"]] == [False]


@pytest.mark.parametrize(
    ("text", "withheld"), [("", False), ("—", False), (" - ", False), ("0", True), ("скрыт", True)]
)
def test_an_empty_field_is_nobody_s_wish(
    text: str, withheld: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exchange says it in a word; a list's empty cell, or the dash that stands in it, says nothing."""
    assert run_command(["number", "--format", "json", "--", text]) == 0
    assert told(capsys) == [{"text": text, "numbers": [], "withheld": withheld}]


def test_what_is_no_utf_8_is_printed_as_utf_8(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """An argument may hold any bytes; a program that reads our JSON gets text."""
    assert (
        run_command(
            ["number", b"8 495 123-45-67 \xff".decode("utf-8", "surrogateescape"), "--format", "json"]
        )
        == 0
    )
    told = json.loads(capfdbinary.readouterr().out.decode("utf-8"))
    assert (told["text"], told["numbers"][0]["key"]) == (
        "8 495 123-45-67 \N{REPLACEMENT CHARACTER}",
        "+74951234567",
    )


def test_a_country_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """UK is written by many; GB is meant."""
    assert run_command(["number", "1", "--region", "UK"]) != 0
    assert "GB for the United Kingdom" in capsys.readouterr().err


def test_a_file_is_tried_out_without_a_database(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object a row, then the totals; a second row of one person completes the first."""
    ada = "Ada Gray;8 916 000-00-01;"
    rows = f"{ada}a@x.example\n{ada}\n;;\nBo;12;\n{ada}b@x.example\n-;;\n"
    (elsewhere / "list.csv").write_text(f"Name;Phone;E-mail\n{rows}", "utf-8")
    assert run_command(["contacts", "import", "list.csv", "--dry-run", "--format", "json"]) == 0
    *each, totals = told(capsys)
    assert [(one["row"], one["what"]) for one in each][:4] == [
        (2, "new"),
        (3, "unchanged"),
        (5, "new"),
        (6, "updated"),
    ]
    assert each[0]["numbers"] == [{"key": "+79160000001", "extension": None}]
    assert each[0]["emails"] == ["a@x.example"]
    assert "No number recognised" in each[2]["problems"][0]
    assert totals["compared_with"] == "nothing"
    assert totals["totals"]["new"] == sum(one["what"] == "new" for one in each)


def test_columns_and_letters_can_be_said(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A heading that nobody knows, a code page by its usual name."""
    (elsewhere / "list.csv").write_bytes("Wer;Womit\nŁucja;601 000 001\n".encode("cp1250"))
    command = ["contacts", "import", "list.csv", "--dry-run", "--format", "json", "--region", "PL"]
    assert (
        run_command(
            [*command, "--encoding", "windows-1250", "--column", "Wer=name", "--column", "Womit=phone"]
        )
        == 0
    )
    row, _totals = told(capsys)
    assert (row["name"], row["numbers"][0]["key"]) == ("Łucja", "+48601000001")
    assert run_command([*command, "--encoding", "klingon"]) != 0
    assert run_command([*command, "--column", "Nobody=name"]) != 0


def test_an_import_without_a_database_makes_none(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says whose move it is."""
    (elsewhere / "list.csv").write_text("Name;Phone\nAda;8 916 000-00-01\n")
    assert run_command(["contacts", "import", "list.csv"]) == 3
    assert "There is no database in" in capsys.readouterr().err
    assert not list(elsewhere.rglob("PG_VERSION"))


def test_looking_for_a_database_makes_nothing(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No directory, and not a word in the log."""
    (elsewhere / "list.csv").write_text("Name;Phone\nAda;8 916 000-00-01\n", "utf-8")
    assert run_command(["contacts", "import", "list.csv", "--dry-run"]) == 0
    assert [one.name for one in elsewhere.iterdir()] == ["list.csv"]
    assert "postgres" not in capsys.readouterr().err


@pytest.mark.postgres
def test_a_file_is_imported_once(
    elsewhere: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tried out, imported, and again: new, new, unchanged; trying out leaves nothing."""
    monkeypatch.setenv("SWITCHHOOK_DATABASE__URL", database_url.replace("+asyncpg", ""))
    (elsewhere / "list.csv").write_text("Name;Phone\nAda;8 916 000-00-01\nBo;8 916 000-00-02\n", "utf-8")
    command = ["contacts", "import", "list.csv", "--format", "json"]
    seen = []
    for more in (["--dry-run"], ["--dry-run"], [], [], ["--dry-run"]):
        assert run_command([*command, *more]) == 0
        *rows, totals = told(capsys)
        seen.append([one["what"] for one in rows])
        assert (totals["compared_with"], totals["dry_run"]) == ("database", bool(more))
    assert seen == [["new", "new"]] * 3 + [["unchanged", "unchanged"]] * 2


@pytest.mark.parametrize("page", ["utf-16", "utf-16-le", "utf-16-be"])
def test_text_of_two_bytes_a_letter(elsewhere: Path, capsys: pytest.CaptureFixture[str], page: str) -> None:
    """Half the bytes of Cyrillic in UTF-16 are control characters; it is text all the same, with a mark or without."""
    rows = "Имя\tТелефон\r\nАнна\t+7 916 123 00 01\r\nБорис\t+7 916 123 00 02\r\n"
    (elsewhere / "list.txt").write_bytes(rows.encode(page))
    assert run_command(["contacts", "import", "list.txt", "--dry-run", "--format", "json"]) == 0
    *each, _totals = told(capsys)
    assert [one["name"] for one in each] == ["Анна", "Борис"]


GERMAN_LIST = "Name;Telefon\n" + "".join(
    f"Anna {number};030 {line}\n"
    for number, line in enumerate(("1234567", "22334455", "90100200", "2273220", "25002333"))
)


def test_a_list_from_another_country_is_told_before_it_is_imported(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """How many numbers exist nowhere here, where they would, and what to write; said once, and not when it fits."""
    (elsewhere / "list.csv").write_text(GERMAN_LIST, "utf-8")
    command = ["contacts", "import", "list.csv", "--dry-run"]
    assert run_command([*command, "--format", "json"]) == 0
    said = capsys.readouterr()
    totals = json.loads(said.out.splitlines()[-1])
    doubt = totals["region_doubt"]
    assert (doubt["region"], doubt["numbers"], doubt["strange"]) == ("RU", 5, 5)
    assert "DE" in doubt["fits"]
    assert "5 of 5 numbers without a country code are none in RU." in said.err
    assert "--region" in said.err
    assert run_command([*command, "--region", "DE"]) == 0
    assert "country code" not in capsys.readouterr().err


@pytest.mark.postgres
def test_the_warning_comes_before_the_first_row_is_written(
    elsewhere: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever imports without trying out hears it too, once."""
    monkeypatch.setenv("SWITCHHOOK_DATABASE__URL", database_url.replace("+asyncpg", ""))
    (elsewhere / "list.csv").write_text(GERMAN_LIST, "utf-8")
    assert run_command(["contacts", "import", "list.csv", "--format", "json"]) == 0
    said = capsys.readouterr()
    assert said.err.count("none in RU") == 1
    totals = json.loads(said.out.splitlines()[-1])
    assert (totals["totals"]["new"], "DE" in totals["region_doubt"]["fits"]) == (5, True)

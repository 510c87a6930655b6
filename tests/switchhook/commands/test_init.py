"""`switchhook init`: what is asked, what is proposed, and the lines that Asterisk gets."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchhook import cli
from switchhook.pbx.config import CONFIG_FILES
from switchhook.settings import machine_place
from switchhook.settings.settings import load


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory of its own, a machine in Riga."""
    for name in [*os.environ]:
        if name.startswith(("SWITCHHOOK_", "LC_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "Europe/Riga")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person types, line by line; the questions are left in `asked`."""
    lines: list[str] = []

    def typed(prompt: str) -> str:
        print(prompt)
        if not lines:
            raise EOFError
        return lines.pop(0)

    monkeypatch.setattr("builtins.input", typed)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    return lines


def test_a_wrong_answer_is_asked_for_again_and_the_others_are_kept(
    answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A name with a space, a port that is an address, a country by another name: each is corrected where it was."""
    answers += ["Head Office", "office", "", "127.0.0.1", "5039", "", "UK", "gb", "", "0"]
    assert cli.run_command(["init", "--no-test"]) == 0
    [pbx] = load(Path("switchhook.toml")).pbx
    assert (pbx.id, pbx.port, pbx.default_region, pbx.outside_prefix) == ("office", 5039, "GB", "0")
    told = capsys.readouterr().out
    assert "GB is meant" in told
    assert told.count("On which port?") == 2
    assert told.count("A short name") == 2


def test_input_that_never_fits_comes_to_an_end(
    answers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that answers something else: a sentence and code 2, nothing written."""
    answers += ["Head Office"] * 20
    assert cli.run_command(["init", "--no-test"]) == 2
    assert "no usable answer" in capsys.readouterr().err
    assert not Path("switchhook.toml").exists()


def test_country_and_time_zone_are_proposed_from_the_machine(answers: list[str]) -> None:
    """Enter to everything: an office in Riga is an office in Latvia."""
    answers += [""] * 7
    assert cli.run_command(["init", "--no-test"]) == 0
    settings = load(Path("switchhook.toml"))
    assert (settings.pbx[0].default_region, settings.web.time_zone) == ("LV", "Europe/Riga")


@pytest.fixture
def zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without a place, and without a language of its own."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("LANG", raising=False)
    monkeypatch.setattr(machine_place, "LOCALE_FILE", tmp_path / "locale")
    return iter(())


def test_a_server_in_utc_has_the_country_of_its_language(
    zones: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many servers run in UTC; German ones speak German."""
    assert machine_place.propose_region() is None
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert (machine_place.propose_region(), machine_place.propose_time_zone()) == ("DE", None)


def test_all_the_lines_are_printed_with_their_places(capsys: pytest.CaptureFixture[str]) -> None:
    """The general section, the user, the name of the system and the event log; and what to reload."""
    assert cli.run_command(["init", "--yes", "--no-test", "--region", "LV", "--pbx", "head-office"]) == 0
    told = capsys.readouterr().out
    for line in (
        "timestampevents = yes",
        "channelvars = CALLERID(num-pres)",
        "[switchhook]",
        "systemname = headoffice",
        "/etc/asterisk/cel.conf",
        "/etc/asterisk/cel_custom.conf",
        "manager reload",
        "module reload cel",
        "core restart when convenient",
        "doctor --test-call",
    ):
        assert line in told, line
    assert told.count("#include") == 1


def test_a_pbx_elsewhere_is_not_told_to_listen_on_loopback(capsys: pytest.CaptureFixture[str]) -> None:
    """Pasted there, that line would close the door to us."""
    assert cli.run_command(["init", "--yes", "--no-test", "--host", "192.0.2.7"]) == 0
    assert "bindaddr = 127.0.0.1" not in capsys.readouterr().out


@pytest.mark.parametrize("variant", ["plain", "freepbx"])
def test_the_lines_are_written_as_files(
    variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--write`: to be copied to the PBX; only their owner reads them, and the secret is not printed."""
    assert cli.run_command(["init", "--yes", "--no-test", "--variant", variant, "--write", "lines"]) == 0
    files = {file.name: file for file in (tmp_path / "lines").iterdir()}
    secret = Path("switchhook.ami-secret").read_text().strip()
    user = files["manager_switchhook.conf" if variant == "plain" else "manager_custom.conf"]
    assert f"secret = {secret}" in user.read_text()
    assert any(name.startswith("cel") for name in files)
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o600}
    assert secret not in capsys.readouterr().out


def test_freepbx_gets_all_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The user, the event log with its own time and applications, and the dialplan for recordings and names."""
    assert cli.run_command(["init", "--yes", "--no-test", "--region", "LV", "--variant", "freepbx"]) == 0
    told = capsys.readouterr().out
    for line in (
        "[general](+)",
        "[switchhook]",
        "switchhook.csv =>",
        "apps=dial,park",
        "dateformat=%s.%6q",
        "[switchhook-from-carrier]",
        "include = from-pstn",
        "[switchhook-record]",
        "[switchhook-names]",
        "fwconsole reload",
    ):
        assert line in told, line
    for file in sorted((CONFIG_FILES / "freepbx").iterdir()):
        assert f"goes to /etc/asterisk/{file.name}" in told


def test_the_table_of_phones_works_once_its_marks_are_taken_off() -> None:
    """It stands where it belongs to the PBX: below the PBX's own settings, above the next table."""
    assert (
        cli.run_command(["init", "--yes", "--no-test", "--region", "LV", "--time-zone", "Europe/Riga"]) == 0
    )
    file = Path("switchhook.toml")
    written = file.read_text(encoding="utf-8")
    file.write_text(
        written.replace("# [pbx.phones]", "[pbx.phones]").replace("# alice", "alice"), encoding="utf-8"
    )
    settings = load(file)
    assert settings.pbx[0].phones == {"alice": "101"}
    assert settings.web.time_zone == "Europe/Riga"


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--host", "a..b"), ("--host", "no such host"), ("--permit", "foo"), ("--permit", "192.0.2.10/x")],
)
def test_a_flag_that_cannot_be_used(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It would end in Asterisk's files, where nobody is told what is wrong with it."""
    assert cli.run_command(["init", "-y", "--no-test", flag, value]) == 2
    assert f"{flag} {value} cannot be used" in capsys.readouterr().err
    assert not Path("switchhook.toml").exists()


@pytest.mark.parametrize("host", ["pbx.example.com", "192.0.2.10", "2001:db8::1", "pbx_1"])
def test_a_host_of_any_kind(host: str) -> None:
    """Names and both kinds of addresses."""
    assert (
        cli.run_command(["init", "-y", "--no-test", "--host", host, "--permit", "192.0.2.10/255.255.255.0"])
        == 0
    )
    assert load(Path("switchhook.toml")).pbx[0].host == host

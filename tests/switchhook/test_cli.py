"""The command line as a person meets it: words, exit codes, and never a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import types
from pathlib import Path

import pytest

from ami_bridge.doctor import doctor
from ami_bridge.wire.connection import PbxLink
from switchhook import cli
from switchhook.doctor.findings import Level
from switchhook.doctor.trial_call import try_call
from switchhook.settings.settings import load
from telephony.errors import NeedsPerson, OurMistake, PeerMistake, SwitchhookError, TryLater

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory without a configuration, a state directory of its own, an environment without ours."""
    for name in [*os.environ]:
        if name.startswith("SWITCHHOOK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **functions: object) -> None:
    """A module of that name which holds only these functions."""
    module = types.ModuleType(name)
    for function, body in functions.items():
        setattr(module, function, body)
    monkeypatch.setitem(sys.modules, name, module)


def test_help_names_every_command_without_importing_the_product() -> None:
    """`--help` answers at once: neither the database, the web, nor asyncio is loaded for it."""
    program = (
        "import sys; from switchhook.cli import run_command; code = run_command(['--help']); "
        "print(*(m for m in ('sqlalchemy', 'fastapi', 'aiohttp', 'asyncpg', 'pydantic') if m in sys.modules)); "
        "sys.exit(code)"
    )
    told = subprocess.run(
        (sys.executable, "-c", program), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    *help_lines, loaded = told.stdout.splitlines()
    assert loaded == ""
    for word in (
        "run",
        "init",
        "doctor",
        "replay",
        "capture",
        "trace",
        "recompute",
        "token",
        "account",
        "demo",
    ):
        assert re.search(rf"^\s+{word}\s", "\n".join(help_lines), re.MULTILINE), word


@pytest.mark.parametrize(
    ("mistake", "code"),
    [(NeedsPerson, 3), (TryLater, 4), (PeerMistake, 5), (OurMistake, 70), (SwitchhookError, 70)],
)
def test_an_error_becomes_a_sentence_a_remedy_and_a_code(
    mistake: type[SwitchhookError],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever a command stumbles over, the person reads what happened and what to do."""

    def stumble(**_: object) -> None:
        raise mistake("It rains.", remedy="Take an umbrella.")

    stand_in(monkeypatch, "switchhook.demo.demo", run=stumble)
    assert cli.run_command(["demo"]) == code
    told = capsys.readouterr().err
    assert "It rains." in told
    assert "Take an umbrella." in told
    assert "Traceback" not in told


def test_an_unforeseen_exception_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Our own mistake: exit code 70 and how to report it."""

    async def stumble(**_: object) -> None:
        raise KeyError("uniqueid")

    stand_in(monkeypatch, "switchhook.demo.demo", run=stumble)
    assert cli.run_command(["demo"]) == 70
    told = capsys.readouterr().err
    assert "KeyError" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "words",
    [
        ["rnu"],
        ["replay"],
        ["run", "--only", "phones"],
        ["demo", "--then-exit"],
        ["recompute"],
        ["trace", "not-an-id"],
        ["run", "--config", "gone.toml"],
        ["run"],
    ],
)
def test_misuse_ends_with_code_two_and_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped command line or a missing configuration."""
    assert cli.run_command(words) == 2
    told = capsys.readouterr().err
    assert told.startswith("switchhook: ")
    assert "Traceback" not in told


def test_no_command_is_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever types the name alone wants to know what there is."""
    assert cli.run_command([]) == 0
    assert "doctor" in capsys.readouterr().out


def test_what_is_no_backup_makes_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is looked at first: an empty database that nobody asked for would be found by every later command."""
    Path("switchhook.toml").write_text('[[pbx]]\nid = "hq"\nusername = "u"\nsecret = "s"\n')
    assert cli.run_command(["restore", "nowhere", "--config", "switchhook.toml"]) == 5
    assert "is no backup" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_the_test_call_sends_nobody_to_a_phone_while_no_pbx_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing listens on the only PBX's port: that is the finding, before anybody is invited and anything is started."""
    Path("switchhook.toml").write_text('[[pbx]]\nid = "hq"\nport = 1\nusername = "u"\nsecret = "s"\n')
    [finding] = asyncio.run(try_call(load(Path("switchhook.toml")), None))
    assert (finding.level, "Nothing listens on 127.0.0.1:1" in finding.what) == (Level.FAULT, True)
    assert "Pick up" not in capsys.readouterr().err


def test_a_body_may_be_a_coroutine_and_its_number_is_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay found nothing to tell: its 1 becomes the command's."""
    seen: list[object] = []

    async def main(*given: object) -> int:
        seen.extend(given)
        return 1

    stand_in(monkeypatch, "switchhook.commands.replay", main=main)
    words = ["replay", "a.jsonl", "b.jsonl", "--format", "json", "--trunks", "^gw", "--phones", "alice=101"]
    assert cli.run_command(words) == 1
    assert seen == [[Path("a.jsonl"), Path("b.jsonl")], "json", None, "^gw", [], ["alice=101"]]


def test_init_writes_what_run_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal nothing is asked; file and secret are private, and the printed lines carry the same secret."""
    assert (
        cli.run_command(
            ["init", "--yes", "--no-test", "--pbx", "branch", "--permit", "10.0.0.2/255.255.255.255"]
        )
        == 0
    )
    from switchhook.settings.settings import load_for_observing

    [pbx] = load_for_observing(Path("switchhook.toml")).pbx
    assert pbx.id == "branch"
    assert pbx.secret is not None
    told = capsys.readouterr().out
    assert f"secret = {pbx.secret.get_secret_value()}" in told
    assert "permit = 10.0.0.2/255.255.255.255" in told
    assert len(pbx.secret.get_secret_value()) >= 32
    for file in (tmp_path / "switchhook.toml", tmp_path / "switchhook.ami-secret"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_init_never_overwrites_unless_told_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second init would lock the PBX out; it needs --force."""
    quiet = ["init", "--yes", "--no-test"]
    assert cli.run_command(quiet) == 0
    before = Path("switchhook.ami-secret").read_text()
    assert cli.run_command(quiet) == 3
    assert Path("switchhook.ami-secret").read_text() == before
    assert "--force" in capsys.readouterr().err
    assert cli.run_command([*quiet, "--force"]) == 0
    assert Path("switchhook.ami-secret").read_text() != before


def test_init_says_which_answer_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written for an answer that the next command would refuse."""
    assert cli.run_command(["init", "--yes", "--no-test", "--pbx", "Head Quarters"]) == 2
    assert "Lower-case letters, digits and hyphens" in capsys.readouterr().err
    assert not Path("switchhook.toml").exists()


def test_the_doctor_names_each_fault_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """No PBX, a database that refuses, a state directory that is a file: three faults, one report, exit code 1."""
    Path("taken").write_text("")
    Path("switchhook.toml").write_text(
        '[database]\nurl = "postgresql://nobody@127.0.0.1:1/none"\nstate_dir = "taken"\n[web]\nport = 0\n'
    )
    assert cli.run_command(["doctor", "--format", "json"]) == 1
    findings = json.loads(capsys.readouterr().out)
    faults = {finding["area"]: finding for finding in findings if finding["level"] == "fault"}
    assert {"settings", "database", "state"} <= set(faults)
    assert all(finding["remedy"] for finding in faults.values())


def test_the_doctor_tells_of_a_broken_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Even without settings there is a report."""
    Path("switchhook.toml").write_text("[web\n")
    assert cli.run_command(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "FAULT   settings" in told
    assert "→" in told


def test_the_doctor_asks_the_bridge_about_each_pbx(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the bridge finds is shown under the PBX's own name; a PBX that cannot be examined hides no other."""
    Path("switchhook.toml").write_text(
        '[[pbx]]\nid = "hq"\nsecret = "x"\n[[pbx]]\nid = "branch"\nsecret = "y"\n[web]\nport = 0\n'
    )

    async def examine(link: PbxLink) -> list[doctor.Finding]:
        if link.pbx_id == "branch":
            raise ConnectionRefusedError("refused")
        return [doctor.Finding(doctor.Level.FAULT, "Class call is missing.", "Add call to read.")]

    monkeypatch.setattr(doctor, "examine", examine)
    assert cli.run_command(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "FAULT   hq: Class call is missing." in told
    assert "FAULT   branch: It cannot be reached or used: refused" in told

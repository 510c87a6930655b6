"""Every command of the application: its help, and a sentence with a remedy whatever is wrong around it.

The commands are those that the application has: a new one fails here until its words stand in `ARGUMENTS`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import typer

from switchhook.cli import app, run_command

pytestmark = pytest.mark.slow  # each command with each mistake in the configuration

SOME_CALL = "0193a0a0-0000-7000-8000-000000000000"
ARGUMENTS = {
    "run": "",
    "doctor": "",
    "capture": "capture.jsonl --seconds 0.1",
    "trace": SOME_CALL,
    "recompute": "--since 2026-01-01",
    "token": "anna",
    "account": "anna --password-file password",
    "migrate": "",
    "backup": "backup",
    "restore": "backup",
    "recordings import": "monitor --pbx hq",
    "recordings verify": "",
    "recordings rotate-keys": "",
    "number": "101",
    "contacts import": "list.csv",
    "crm check": "sales",
}
"""Commands that read a configuration → words with which each would do something."""
WITHOUT_CONFIGURATION = {"init", "replay", "demo", "version", "settings-reference"}
WIDTH = 80  # characters of a terminal


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """The application, its groups and its commands, each with the words that call it."""
    yield " ".join(path), command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*path, name))


EVERYTHING = dict(walk(typer.main.get_command(app)))
COMMANDS = {path: command for path, command in EVERYTHING.items() if not hasattr(command, "commands")}


@pytest.fixture(autouse=True)
def office(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory with all that the commands are pointed at, and an environment without ours."""
    for name in [*os.environ]:
        if name.startswith("SWITCHHOOK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "monitor").mkdir()
    (tmp_path / "password").write_text("a quiet heron at dawn\n")
    (tmp_path / "list.csv").write_text("Name;Phone\nAda;8 916 000-00-01\n", "utf-8")
    return tmp_path


def test_every_command_is_in_the_table() -> None:
    """A new command is tried with every fault, too."""
    reading = {path for path, command in COMMANDS.items() if _reads_configuration(command)}
    assert reading == ARGUMENTS.keys()
    assert COMMANDS.keys() - reading == WITHOUT_CONFIGURATION


def _reads_configuration(command: Any) -> bool:
    return any(
        parameter.name == "config" and parameter.default != Path("switchhook.toml")
        for parameter in command.params
    )


# -- help --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERYTHING)
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help(
    path: str, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is there, fits a terminal, is cut nowhere, and speaks of files and numbers, not of a language's types."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    assert run_command([*path.split(), word]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"Usage: switchhook {path}".rstrip())
    usage, *lines = said.out.splitlines()
    assert len(usage) <= WIDTH
    for line in lines:
        assert len(line) <= WIDTH
        assert not line.rstrip().endswith("..."), line
        assert not re.match(r" +-.*<(str|int|float|path|UUID|list|.* range)\b", line), line


@pytest.mark.parametrize("path", EVERYTHING)
def test_every_option_has_a_help_text(path: str) -> None:
    """A sentence, with its full stop."""
    command = EVERYTHING[path]
    assert (command.help or "").strip()
    for parameter in command.params:
        text = getattr(parameter, "help", None) or ""
        assert text, (path, parameter.name)
        assert text.rstrip(").").strip(), (path, parameter.name)
        assert text[-1] == ".", (path, parameter.name, text)


# -- a configuration that cannot be used -------------------------------------------------------------------------------

PBX = '[[pbx]]\nid = "hq"\nport = 1\nsecret = "nobody listens there"\n'


@dataclass(frozen=True)
class Mistake:
    """A configuration, variables, and what is to be said of them."""

    text: str | None = PBX
    variables: tuple[tuple[str, str], ...] = ()
    sentence: str = ""
    prepare: Callable[[Path, pytest.MonkeyPatch], None] = lambda _file, _patch: None


def _a_directory(file: Path, _patch: pytest.MonkeyPatch) -> None:
    file.mkdir()


def _not_text(file: Path, _patch: pytest.MonkeyPatch) -> None:
    file.write_bytes(b"[web]\n# \xff\xfe\n")


def _closed(file: Path, patch: pytest.MonkeyPatch) -> None:
    _refuse(patch, file, "read_text")


def _in_a_closed_directory(file: Path, patch: pytest.MonkeyPatch) -> None:
    for act in ("stat", "read_text"):
        _refuse(patch, file, act)


def _refuse(patch: pytest.MonkeyPatch, file: Path, act: str) -> None:
    """As the system refuses whoever is not root, whom these tests may run as."""
    usual = getattr(Path, act)

    def refused(self: Path, *given: Any, **named: Any) -> Any:
        if self == file:
            raise PermissionError(13, "Permission denied", str(self))
        return usual(self, *given, **named)

    patch.setattr(Path, act, refused)


MISTAKES = {
    "no file": Mistake(None, (), "There is no configuration file"),
    "a directory": Mistake(None, (), "cannot be read: Is a directory", _a_directory),
    "not readable": Mistake(PBX, (), "cannot be read: Permission denied", _closed),
    "directory not readable": Mistake(PBX, (), "cannot be read: Permission denied", _in_a_closed_directory),
    "not UTF-8": Mistake(None, (), "line 2: this is not UTF-8", _not_text),
    "not TOML": Mistake("[web\n", (), "line 1: this is not TOML"),
    "unknown section": Mistake("[wep]\nport = 1\n", (), "there is no setting [wep]"),
    "unknown key": Mistake("[web]\nprot = 1\n", (), "line 2: there is no setting [web] prot"),
    "wrong type": Mistake('[web]\nport = "many"\n', (), "line 2: [web] port cannot be used"),
    "pbx without brackets": Mistake('[pbx]\nid = "hq"\n', (), "pbx is not a list of tables"),
    "pbx without id": Mistake("[[pbx]]\nport = 1\n", (), "has no id"),
    "no such country": Mistake(PBX + 'default_region = "UK"\n', (), "default_region cannot be used"),
    "secret file is not there": Mistake('[[pbx]]\nid = "hq"\nsecret_file = "gone"\n', (), "gone"),
    "variable of a wrong type": Mistake(
        PBX, (("SWITCHHOOK_WEB__PORT", "many"),), "environment, SWITCHHOOK_WEB__PORT"
    ),
    "variable that is no setting": Mistake(
        PBX, (("SWITCHHOOK_PBX__HQ__PROT", "1"),), "environment, SWITCHHOOK_PBX__HQ__PROT"
    ),
    "variable that is no table": Mistake(PBX, (("SWITCHHOOK_WEB", "many"),), "SWITCHHOOK_WEB"),
}


def judged(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Carries the command out; whatever it says on failure is a sentence and a remedy, and no traceback."""
    capsys.readouterr()
    code = run_command(words)
    said = capsys.readouterr()
    text = said.out + said.err
    for bad in ("Traceback", "unforeseen", "Report it"):
        assert bad not in text, text
    assert not re.search(r"\b[A-Z][A-Za-z]*(Error|Exception)\b", text), text
    return code, text


@pytest.mark.parametrize("path", ARGUMENTS)
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_configuration(
    path: str, name: str, office: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is, what is wrong with it, what to do; code 2. The doctor reports it as a fault and ends with 1."""
    mistake, file = MISTAKES[name], office / "bad.toml"
    if mistake.text is not None:
        file.write_text(mistake.text)
    mistake.prepare(file, monkeypatch)
    for variable, value in mistake.variables:
        monkeypatch.setenv(variable, value)
    code, text = judged([*path.split(), *ARGUMENTS[path].split(), "--config", str(file)], capsys)
    assert mistake.sentence in text, text
    if path == "doctor":
        assert code == 1
        assert re.search(r"FAULT .*settings: .*\n\s+→ \w", text), text
        return
    assert code == 2, text
    sentence, remedy, *rest = [line for line in text.splitlines() if line.strip()]
    assert sentence.startswith("switchhook: ")
    assert remedy.startswith("  ")
    assert rest == []


# -- a database that cannot be used ------------------------------------------------------------------------------------

WITHOUT_DATABASE = {"run", "doctor", "capture", "number", "crm check"}
"""The service is tried in a process of its own (tests/service): it goes on without a database for a while."""
USING_DATABASE = sorted(ARGUMENTS.keys() - WITHOUT_DATABASE)
MAKING_NONE = [path for path in USING_DATABASE if path != "restore"]


def configured(office: Path, url: str) -> str:
    """A configuration with that database."""
    file = office / "switchhook.toml"
    file.write_text(f'{PBX}[database]\nurl = "{url.replace("+asyncpg", "")}"\n')
    return str(file)


def refused(path: str, config: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The code, and the one sentence that is said."""
    code, text = judged([*path.split(), *ARGUMENTS[path].split(), "--config", config], capsys)
    lines = [line for line in text.splitlines() if line.strip()]
    said = [place for place, line in enumerate(lines) if line.startswith("switchhook: ")]
    assert len(said) == 1, text
    assert lines[said[0] + 1].startswith("  "), text
    return code, text


@pytest.mark.parametrize("path", MAKING_NONE)
def test_a_database_that_is_away(path: str, office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens there: try again later."""
    code, text = refused(path, configured(office, "postgresql://me:pw@127.0.0.1:1/calls"), capsys)
    assert (code, "does not answer" in text) == (4, True), text


@pytest.mark.parametrize("path", MAKING_NONE)
def test_no_database_at_all(path: str, office: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fresh machine: no command but the service and `restore` makes one."""
    (office / "switchhook.toml").write_text(PBX)
    code, text = refused(path, "switchhook.toml", capsys)
    assert (code, "There is no database in" in text) == (3, True), text
    assert not (office / "state").exists()


@pytest.mark.postgres
class TestOnARealServer:
    """What only a server can say."""

    @pytest.fixture(params=USING_DATABASE)
    def path(self, request: pytest.FixtureRequest) -> str:
        """Each command that uses the database."""
        return str(request.param)

    @pytest.fixture(autouse=True)
    async def _something_to_restore(self, office: Path, database_url: str, path: str) -> None:
        """A backup of an empty office."""
        if path == "restore":
            made = ["backup", "backup", "--config", configured(office, database_url)]
            assert await asyncio.to_thread(run_command, made) == 0

    async def _as_owner(self, url: str, *statements: str) -> None:
        host, name = url.partition("host=")[2], url.partition("@/")[2].partition("?")[0]
        connection = await asyncpg.connect(host=host, user="switchhook", database=name)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def test_a_newer_database(
        self, path: str, office: Path, database_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """After a downgrade: nothing is told from it and nothing written into it. A backup takes the tables as they are."""
        await self._as_owner(database_url, "UPDATE alembic_version SET version_num = '9999'")
        config = configured(office, database_url)
        if path == "backup":
            code, _said = await asyncio.to_thread(judged, ["backup", "b", "--config", config], capsys)
            assert code == 0
            return
        code, text = await asyncio.to_thread(refused, path, config, capsys)
        if path == "restore":
            assert (code, "is not empty" in text) == (3, True), text
        else:
            assert (code, "newer Switchhook" in text) == (3, True), text

    async def test_a_role_without_rights(
        self, path: str, office: Path, database_url: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It may connect and nothing else."""
        name = database_url.partition("@/")[2].partition("?")[0]
        role = f"guest_{name[-12:]}"
        await self._as_owner(database_url, f'CREATE ROLE "{role}" LOGIN')
        try:
            config = configured(office, database_url.replace("switchhook@/", f"{role}@/"))
            code, text = await asyncio.to_thread(refused, path, config, capsys)
        finally:
            await self._as_owner(database_url, f'DROP ROLE "{role}"')
        assert (code, ("is not empty" if path == "restore" else "right") in text) == (3, True), text

    async def test_a_database_that_does_not_exist(
        self, path: str, office: Path, postgres_server: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A slip in the name."""
        host = postgres_server.partition("host=")[2]
        config = configured(office, f"postgresql://switchhook@/nowhere?host={host}")
        code, text = await asyncio.to_thread(refused, path, config, capsys)
        assert (code, "does not exist" in text) == (3, True), text


@pytest.mark.postgres
async def test_trying_a_file_out_refuses_tables_of_another_release(
    office: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run changes nothing, so it brings no tables up to date either; and reads none that it does not know."""
    command = ["contacts", "import", "list.csv", "--dry-run", "--config", configured(office, database_url)]
    host, name = database_url.partition("host=")[2], database_url.partition("@/")[2].partition("?")[0]
    for revision, sentence in (("9999", "newer Switchhook"), ("0013", "are not those of this release")):
        connection = await asyncpg.connect(host=host, user="switchhook", database=name)
        try:
            await connection.execute(f"UPDATE alembic_version SET version_num = '{revision}'")
        finally:
            await connection.close()
        code, text = await asyncio.to_thread(judged, command, capsys)
        assert (code, sentence in text) == (3, True), text


@pytest.mark.postgres
async def test_a_role_that_may_make_no_tables_restores_nothing(
    office: Path, database_url: str, empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty database of somebody else's."""
    made = ["backup", "backup", "--config", configured(office, database_url)]
    assert await asyncio.to_thread(run_command, made) == 0
    host, name = (
        empty_database_url.partition("host=")[2],
        empty_database_url.partition("@/")[2].partition("?")[0],
    )
    role = f"guest_{name[-12:]}"
    owner = await asyncpg.connect(host=host, user="switchhook", database=name)
    try:
        await owner.execute(f'CREATE ROLE "{role}" LOGIN')
        config = configured(office, empty_database_url.replace("switchhook@/", f"{role}@/"))
        code, text = await asyncio.to_thread(refused, "restore", config, capsys)
        await owner.execute(f'DROP ROLE "{role}"')
    finally:
        await owner.close()
    assert (code, "right" in text) == (3, True), text

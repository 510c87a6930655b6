"""The command line: which words exist and which module carries each out. Nothing is done here.

Modules are imported inside the commands, so that `switchhook --help` answers at once and a fault in one part cannot
keep another part's command from running. Whatever goes wrong is told as one sentence with its remedy.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the doctor, a backup, `recordings verify` or `crm check` found a fault |
| 2 | the command line or the configuration cannot be used |
| 3 | cannot start or go on until a person changes something |
| 4 | the other side cannot answer just now; try again later |
| 5 | the other side broke its own rules |
| 70 | a mistake of Switchhook; please report it |
| 130 | interrupted |
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from switchhook import __version__
from switchhook.commands import contacts as contacts_commands
from switchhook.commands import crm as crm_commands
from switchhook.commands import recordings as recordings_commands
from switchhook.commands.options import HELP_WORDS, Config, ReportForm
from switchhook.process.service_parts import Part
from telephony.errors import NeedsPerson, OurMistake, PeerMistake, SwitchhookError, TryLater
from telephony.staff import Role

INTERRUPTED = 130
MISUSED = 2
OUR_MISTAKE = 70  # EX_SOFTWARE of sysexits.h

EXIT_CODES: tuple[tuple[type[SwitchhookError], int], ...] = (
    (NeedsPerson, 3),
    (TryLater, 4),
    (PeerMistake, 5),
    (OurMistake, OUR_MISTAKE),
)

app = typer.Typer(
    name="switchhook",
    help="Observes an Asterisk PBX and tells the truth about every call.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP_WORDS,
)


class CallForm(StrEnum):
    """How replayed calls are printed."""

    TABLE = "table"
    JSON = "json"


class Variant(StrEnum):
    """Which kind of Asterisk the lines are for."""

    PLAIN = "plain"
    FREEPBX = "freepbx"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"switchhook {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    del version


def main() -> None:
    """The console script."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit code; every failure is told in words on standard error."""
    try:
        done = app(_with_any_call(arguments or ["--help"]), prog_name="switchhook", standalone_mode=False)
    except typer.TyperException as mistake:
        print(f"switchhook: {_usage_words(mistake)}", file=sys.stderr)
        print("  See: switchhook --help, or switchhook COMMAND --help.", file=sys.stderr)
        return MISUSED
    except SwitchhookError as mistake:
        return _tell(mistake)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # `switchhook replay … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as mistake:  # the last line of defence: a person gets a sentence, not a traceback
        return _tell_unexpected(mistake)
    return done if isinstance(done, int) else 0


def _with_any_call(arguments: Sequence[str]) -> list[str]:
    """`--test-call` alone means any extension; the library knows no option whose value may be left out."""
    given: list[str] = []
    for word, following in pairwise([*arguments, "-"]):
        given.append(f"{word}=any" if word == "--test-call" and following.startswith("-") else word)
    return given


def _usage_words(mistake: typer.TyperException) -> str:
    told = getattr(mistake, "format_message", mistake.__str__)()
    return str(told).removeprefix("Invalid value: ")


def _tell(mistake: SwitchhookError) -> int:
    from switchhook.settings.mistakes import BadSettings

    print(f"switchhook: {mistake}", file=sys.stderr)
    if mistake.remedy:
        print(f"  {mistake.remedy}", file=sys.stderr)
    if isinstance(mistake, BadSettings):
        return MISUSED
    return next((code for kind, code in EXIT_CODES if isinstance(mistake, kind)), OUR_MISTAKE)


def _tell_unexpected(mistake: Exception) -> int:
    if os.environ.get("SWITCHHOOK_TRACEBACK"):
        raise mistake
    print(f"switchhook: something unforeseen happened: {type(mistake).__name__}: {mistake}", file=sys.stderr)
    print("  Run it again with SWITCHHOOK_TRACEBACK=1 and report what it prints.", file=sys.stderr)
    return OUR_MISTAKE


def _do(module: str, function: str, *given: Any, **named: Any) -> Any:
    """Import late, call, and await if there is something to await."""
    body: Callable[..., Any] = getattr(import_module(module), function)
    result = body(*given, **named)
    if inspect.iscoroutine(result):
        import asyncio

        return asyncio.run(result)
    return result


def _finish(result: Any) -> None:
    """A body that returns a number ends the command with it."""
    if isinstance(result, int) and result:
        raise typer.Exit(result)


def _settings(config: Path | None, *, observing: bool = False) -> Any:
    from switchhook.process import logs
    from switchhook.settings import settings

    loaded = settings.load_for_observing(config) if observing else settings.load(config)
    logs.set_up(level=loaded.logs.level, form=loaded.logs.format, mask_numbers=loaded.logs.mask_numbers)
    return loaded


@app.command()
def run(
    config: Config = None,
    only: Annotated[
        Part | None, typer.Option(help="Run one part; the other runs elsewhere over the same database.")
    ] = None,
) -> None:
    """Observe the configured PBXes and serve the pages."""
    loaded = _settings(config, observing=only is not Part.WEB)
    _finish(_do("switchhook.assembly", "run", loaded, only=only))


@app.command()
def init(
    config: Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The file to write.")] = Path(
        "switchhook.toml"
    ),
    pbx: Annotated[str | None, typer.Option(metavar="ID", help="Short name of the PBX.")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where its manager interface is.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port of the manager interface.", min=1, max=65535)
    ] = None,
    username: Annotated[str | None, typer.Option(metavar="NAME", help="AMI user.")] = None,
    permit: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address Switchhook connects from, as Asterisk sees it."),
    ] = None,
    region: Annotated[str | None, typer.Option(metavar="XX", help="Country of the PBX, two letters.")] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The office's time zone, as Europe/Riga.")
    ] = None,
    outside_prefix: Annotated[
        str | None, typer.Option(metavar="DIGITS", help="Digits dialled to get a line.")
    ] = None,
    variant: Annotated[
        Variant, typer.Option(help="Which Asterisk the printed lines are for.")
    ] = Variant.PLAIN,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing; take flags and defaults.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    test: Annotated[bool, typer.Option(help="Try to reach the PBX afterwards.")] = True,
    directory: Annotated[
        Path | None,
        typer.Option("--write", metavar="DIRECTORY", help="Write the lines Asterisk needs as files into it."),
    ] = None,
) -> None:
    """Ask a few questions and write the configuration.

    Prints the lines that Asterisk needs.
    """
    from switchhook.commands.init import Answers, write

    given = Answers(
        pbx=pbx,
        host=host,
        port=port,
        username=username,
        permit=permit,
        region=region,
        time_zone=time_zone,
        outside_prefix=outside_prefix,
    )
    ask = not yes and sys.stdin.isatty()
    write(config, given, variant=variant.value, ask=ask, force=force, test=test, directory=directory)


@app.command()
def doctor(
    config: Config = None,
    form: Annotated[ReportForm, typer.Option("--format", help="text or json.")] = ReportForm.TEXT,
    test_call: Annotated[
        str | None,
        typer.Option(
            metavar="[EXTENSION]",
            help="Wait for a call (of that extension, or any) and prove the way from event to recording.",
        ),
    ] = None,
) -> None:
    """Name each fault of the installation with its remedy.

    Tries everything that can be reached.
    """
    from switchhook.doctor.doctor import examine_and_print

    _finish(examine_and_print(config, as_json=form is ReportForm.JSON, test_call=test_call))


@app.command()
def replay(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Captures, in order; several are one stream.")
    ] = None,
    form: Annotated[
        CallForm, typer.Option("--format", help="json (one object a line) or table.")
    ] = CallForm.JSON,
    extensions: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Endpoints that are extensions (regular expression)."),
    ] = None,
    trunks: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Endpoints that are trunks (regular expression).")
    ] = None,
    cel: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="CEL as CSV, to close gaps; may be repeated.")
    ] = None,
    phones: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=EXTENSION", help="Whose phones endpoints are: alice=101,bob=102."),
    ] = None,
) -> None:
    """Tell the calls of captured AMI streams. Needs no configuration, database or network."""
    if not files and not cel:
        raise typer.BadParameter("name at least one capture, or --cel FILE.csv")
    for pattern in (extensions, trunks):
        _check_pattern(pattern or "")
    _finish(
        _do(
            "switchhook.commands.replay",
            "main",
            files or [],
            form.value,
            extensions,
            trunks,
            cel or [],
            phones or [],
        )
    )


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as fault:
        raise typer.BadParameter(f"{pattern!r} is no regular expression: {fault}") from fault


@app.command()
def capture(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The capture to write; must not exist.")],
    config: Config = None,
    pbx: Annotated[
        str | None, typer.Option(metavar="ID", help="Which PBX, where several are configured.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop after so long (default: until Ctrl-C).", min=0.1),
    ] = None,
    raw_numbers: Annotated[
        bool, typer.Option("--raw-numbers", help="Keep numbers and names as they are.")
    ] = False,
) -> None:
    """Write what a PBX says to a file that `replay` reads.

    Numbers and names are replaced.
    """
    loaded = _settings(config, observing=True)
    _finish(_do("switchhook.commands.capture", "main", loaded, file, pbx, seconds, raw_numbers=raw_numbers))


@app.command()
def trace(
    call: Annotated[UUID, typer.Argument(metavar="ID", help="The call's id.")],
    config: Config = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The messages themselves, one JSON object a line.")
    ] = False,
    capture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write them to this file, as a capture for `replay`.")
    ] = None,
    raw_numbers: Annotated[
        bool,
        typer.Option(
            "--raw-numbers", help="Keep numbers and names as they are, in what is printed or written."
        ),
    ] = False,
) -> None:
    """Tell in words what was heard of a call.

    The facts that made it what it is.
    """
    _finish(
        _do(
            "switchhook.commands.trace",
            "main",
            _settings(config),
            call,
            raw=raw,
            capture=capture,
            numbers=raw_numbers,
        )
    )


@app.command()
def recompute(
    calls: Annotated[
        list[UUID] | None, typer.Option("--call", metavar="ID", help="The call's id; may be repeated.")
    ] = None,
    config: Config = None,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="All calls since this day (YYYY-MM-DD, UTC).")
    ] = None,
) -> None:
    """Tell kept calls again from their raw messages.

    After a correction of Switchhook, or of what it knows of your phones.
    """
    if bool(calls) == bool(since):
        raise typer.BadParameter("name calls with --call, or a day with --since; one of them")
    _finish(_do("switchhook.commands.trace", "recompute", _settings(config), calls or [], since))


@app.command()
def token(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="Whose token.")],
    config: Config = None,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="What it is for; shown in the list of tokens.")
    ] = "command line",
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Take back the token of that name instead.")
    ] = False,
) -> None:
    """Make a personal token for the API; it is printed once."""
    _finish(_do("switchhook.commands.accounts", "token", _settings(config), login, name, revoke=revoke))


@app.command()
def account(
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="The name to sign in with.")],
    config: Config = None,
    role: Annotated[Role | None, typer.Option(help="What the account may see and do.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="The person's name.")] = None,
    extension: Annotated[
        list[str] | None, typer.Option(metavar="EXTENSION", help="Extension of the person; may be repeated.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the password (default: asked for).")
    ] = None,
) -> None:
    """Make an account, or change its role, extensions or password."""
    _finish(
        _do(
            "switchhook.commands.accounts",
            "account",
            _settings(config),
            login,
            role=role and role.value,
            name=name,
            extensions=extension,
            password_file=password_file,
        )
    )


@app.command()
def demo(
    calls: Annotated[int | None, typer.Option(metavar="NUMBER", help="Place so many calls.", min=1)] = None,
    then_exit: Annotated[bool, typer.Option("--then-exit", help="Stop after them.")] = False,
) -> None:
    """Show a small simulated office, ready to look at.

    With a private Asterisk and Switchhook of its own.
    """
    if then_exit and calls is None:
        raise typer.BadParameter("--then-exit needs --calls N")
    _do("switchhook.demo.demo", "run", calls=calls, then_exit=then_exit)


@app.command("settings-reference", hidden=True)
def settings_reference() -> None:
    """Print docs/reference/settings.md."""
    from switchhook.settings.reference import reference

    print(reference(), end="")


@app.command()
def migrate(config: Config = None) -> None:
    """Bring the database's tables to this release.

    `run` does it by itself at its start.
    """
    _finish(_do("switchhook.assembly", "migrate", _settings(config)))


@app.command()
def backup(
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="Where to: empty, or with an earlier backup.")
    ],
    config: Config = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Believe the length of audio that is there already.")
    ] = False,
) -> None:
    """Back up database and recordings into a directory.

    The service may run meanwhile.
    """
    _finish(_do("switchhook.commands.storage", "backup", _settings(config), directory, quick=quick))


@app.command()
def restore(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="What `switchhook backup` wrote.")],
    config: Config = None,
) -> None:
    """Put a backup back, into an empty database."""
    _finish(_do("switchhook.commands.storage", "restore", _settings(config), directory))


recordings = recordings_commands.app


@recordings.command()
def verify(
    config: Config = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Delete stored objects that no recording names.")
    ] = False,
) -> None:
    """Compare every stored recording with its checksum."""
    _finish(_do("switchhook.commands.storage", "verify", _settings(config), sweep=sweep))


@recordings.command("rotate-keys")
def rotate_keys(config: Config = None) -> None:
    """Wrap the key of every recording by the newest storage key.

    Older ones can be dropped afterwards.
    """
    _finish(_do("switchhook.commands.storage", "rotate_keys", _settings(config)))


@app.command("version")
def version_command() -> None:
    """Print the version."""
    print(f"switchhook {__version__}")


app.add_typer(recordings_commands.app)
app.add_typer(crm_commands.app)
contacts_commands.register(app)

"""`switchhook recordings …`: which words exist. What they do is in modules of their own, imported when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from switchhook.commands.options import HELP_WORDS, Config

app = typer.Typer(
    name="recordings",
    help="Look after recordings.",
    no_args_is_help=True,
    context_settings=HELP_WORDS,
)


@app.command("import")
def import_recordings(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIRECTORY", help="Where the PBX's recordings are, folders included."),
    ],
    pbx: Annotated[str, typer.Option(metavar="ID", help="Which PBX made them: its id in the configuration.")],
    config: Config = None,
    cdr: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="CDR as CSV: names the call of each file; may be repeated."),
    ] = None,
    cel: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="CEL as CSV: tells calls that are not known; may be repeated."),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", help="Time zone of the CDR, as Europe/Riga (default: that of the pages)."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; print what would become of each.")
    ] = False,
) -> None:
    """Take in recordings that are there already.

    Each with its call. Repeat it to go on after an interruption.
    """
    from switchhook.cli import _do, _finish, _settings

    _finish(
        _do(
            "switchhook.imports.recordings",
            "main",
            _settings(config),
            directory,
            pbx,
            cdr=cdr or [],
            cel=cel or [],
            zone=zone,
            dry_run=dry_run,
        )
    )

"""`switchhook number` and `switchhook contacts …`: which words exist.

What they do is in `number_report` and `contacts_import`, imported when asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from switchhook.commands.options import HELP_WORDS, Config, ReportForm
from telephony.contacts import ClientKind

contacts = typer.Typer(
    name="contacts",
    help="Bring contacts in from files.",
    no_args_is_help=True,
    context_settings=HELP_WORDS,
)


Region = Annotated[
    str | None,
    typer.Option(
        metavar="XX",
        help="Country of numbers without a country code, two letters (default: the first PBX's).",
    ),
]
Format = Annotated[ReportForm, typer.Option("--format", help="text, or one JSON object a line.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command("number")(read_numbers)
    app.add_typer(contacts)


def read_numbers(
    texts: Annotated[list[str], typer.Argument(metavar="TEXT", help="What somebody wrote.")],
    region: Region = None,
    area_code: Annotated[
        str | None, typer.Option(metavar="DIGITS", help="Put before a local number of seven or eight digits.")
    ] = None,
    outside_prefix: Annotated[
        str | None, typer.Option(metavar="DIGITS", help="Dialled here to get a line.")
    ] = None,
    form: Format = ReportForm.TEXT,
    config: Config = None,
) -> None:
    """Say which telephone numbers are in a text.

    As pages and imports read it. Needs no database.
    """
    from switchhook.cli import _do

    _do(
        "switchhook.commands.number_report",
        "main",
        texts,
        region=region,
        area_code=area_code,
        outside_prefix=outside_prefix,
        as_json=form is ReportForm.JSON,
        config=config,
    )


@contacts.command("import")
def import_contacts(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table (CSV, XLSX, XLS, ODS) or contact cards (vCard).")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; print what would become of each row.")
    ] = False,
    form: Format = ReportForm.TEXT,
    region: Region = None,
    kind: Annotated[
        ClientKind | None, typer.Option(help="What the rows are (default: guessed by the headings).")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Code page, as cp1250 or gbk (default: guessed).")
    ] = None,
    delimiter: Annotated[
        str | None, typer.Option(metavar="SIGN", help="What separates columns (default: guessed).")
    ] = None,
    heading_row: Annotated[
        int | None, typer.Option(metavar="ROW", help="The row that names the columns; 0: none does.", min=0)
    ] = None,
    sheet: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which sheet of a workbook (default: the first).")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEADING=FIELD", help="What a column is, as 'Ansprechpartner=name'; may be repeated."
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Import contacts as the page does.

    With --dry-run no database is needed; there is then nothing to compare with.
    """
    from switchhook.cli import _do, _finish

    _finish(
        _do(
            "switchhook.imports.contacts",
            "main",
            file,
            dry_run=dry_run,
            as_json=form is ReportForm.JSON,
            region=region,
            kind=kind and kind.value,
            encoding=encoding,
            delimiter=delimiter,
            heading_row=heading_row,
            sheet=sheet,
            columns=column or [],
            config=config,
        )
    )

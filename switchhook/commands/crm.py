"""`switchhook crm …`: which words exist. What they do is in `switchhook.crm`, imported when asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from switchhook.commands.options import HELP_WORDS, Config

app = typer.Typer(
    name="crm",
    help="Look after connections to CRMs.",
    no_args_is_help=True,
    context_settings=HELP_WORDS,
)


@app.callback()
def _group() -> None:
    """Look after connections to CRMs."""


@app.command("check")
def check_connection(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection's name in the configuration.")],
    config: Config = None,
) -> None:
    """Ask a CRM whether calls can be delivered.

    Changes nothing there; says in words what is missing.
    """
    from switchhook.cli import _do, _finish, _settings

    _finish(_do("switchhook.crm.check", "check", _settings(config), name))

"""Options that several commands have, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HELP_WORDS = {"help_option_names": ["-h", "--help"]}

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file (default: ./switchhook.toml, then /etc).",
    ),
]

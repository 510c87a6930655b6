"""Options that several commands have, written once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

HELP_WORDS = {"help_option_names": ["-h", "--help"]}


class ReportForm(StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="The configuration file (default: ./switchhook.toml, then /etc).",
    ),
]

"""A mistake in the configuration, told as one sentence with its place and its remedy."""

from __future__ import annotations

import os
import re
from pathlib import Path

from pydantic_core import ErrorDetails

from switchhook.setting_tables import SECTIONS
from telephony.errors import NeedsPerson

ENVIRONMENT_PREFIX = "SWITCHHOOK_"


class BadSettings(NeedsPerson):
    """The configuration cannot be used."""


def told(error: ErrorDetails, file: Path | None, text: str) -> BadSettings:
    """One sentence for the first mistake pydantic found."""
    place = error["loc"]
    if len(place) > 2 and isinstance(place[-1], int):
        place = place[:-1]  # one value of a list: its reader looks for the list's name
    name = _spelled(place)
    variable = ENVIRONMENT_PREFIX + "__".join(str(part) for part in place).upper()
    line = _line_of(text, place)
    where = (
        f"{file}, line {line}"
        if file and line
        else f"environment, {variable}"
        if _in_environment(place)
        else str(file)
    )
    if error["type"] == "extra_forbidden":
        return BadSettings(
            f"{where}: there is no setting {name}.",
            remedy=f"Remove it or correct its spelling; known here: {', '.join(_known(place))}.",
        )
    if error["type"] == "missing":
        return BadSettings(f"{where}: the setting {name} is missing.", remedy=f"Add it: {place[-1]} = …")
    return BadSettings(
        f"{where}: {name} cannot be used: {_plainly(error)}.",
        remedy="See docs/reference/settings.md for what it may be.",
    )


def _plainly(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _spelled(place: tuple[int | str, ...]) -> str:
    """`[[pbx]] port` or `[web] port`, as it stands in the file."""
    if len(place) == 1:
        return f"[{place[0]}]"
    section = f"[[{place[0]}]]" if place[0] == "pbx" else f"[{place[0]}]"
    return f"{section} {place[-1]}"


def _known(place: tuple[int | str, ...]) -> tuple[str, ...]:
    if len(place) > 1 and place[0] in SECTIONS:
        return tuple(SECTIONS[str(place[0])].model_fields)
    return tuple(SECTIONS)


def _in_environment(place: tuple[int | str, ...]) -> bool:
    start = (ENVIRONMENT_PREFIX + str(place[0])).upper()
    return any(name.upper().startswith(start) for name in os.environ)


def _line_of(text: str, place: tuple[int | str, ...]) -> int | None:
    """The line on which a setting stands (or else its section), None when the file does not mention it."""
    wanted, nth = str(place[0]), place[1] if len(place) > 1 and isinstance(place[1], int) else 0
    key = str(place[-1]) if len(place) > 1 else ""
    section, seen, heading = "", -1, None
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[+\s*([\w.-]+)\s*\]+", line):
            section = found[1]
            if section == wanted:
                seen += 1
                heading = number if seen == nth else heading
        elif (_assigns(line, key) and section == wanted and seen == nth) or (
            _assigns(line, wanted) and not section
        ):
            return number
    return heading


def _assigns(line: str, key: str) -> bool:
    return re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line) is not None


def first_line(mistake: Exception) -> str:
    """What a library said, without its explanations."""
    return str(mistake).splitlines()[0].rstrip(".")

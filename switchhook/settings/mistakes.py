"""A mistake in the configuration, told as one sentence with its place and its remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic_core import ErrorDetails

from switchhook.settings.tables import SECTIONS, TABLES_IN
from telephony.errors import NeedsPerson

ENVIRONMENT_PREFIX = "SWITCHHOOK_"


class BadSettings(NeedsPerson):
    """The configuration cannot be used."""


def told(
    error: ErrorDetails,
    file: Path | None,
    text: str,
    names: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> BadSettings:
    """One sentence for the first mistake pydantic found. `names` are those of repeated tables, in the file's order."""
    place = _flatten(error["loc"])
    if len(place) > 2 and isinstance(place[-1], int):
        place = place[:-1]  # one value of a list: its reader looks for the list's name
    name = _spelled(place)
    where = _where(place, file, text, names)
    if error["type"] == "extra_forbidden":
        return BadSettings(
            f"{where}: there is no setting {name}.",
            remedy=f"Remove it or correct its spelling; known here: {', '.join(_known(place))}.",
        )
    if error["type"] == "missing":
        return BadSettings(f"{where}: the setting {name} is missing.", remedy=f"Add it: {place[-1]} = …")
    return BadSettings(
        f"{where}: {name} cannot be used: {_plainly(error)}.",
        remedy=_what_it_may_be(place),
    )


def _flatten(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """A table inside a table is named by both, as in its heading."""
    path = ".".join(map(str, place[:2]))
    return (path, *place[2:]) if path in TABLES_IN else place


def told_of_variable(mistake: ValueError) -> BadSettings:
    """One sentence for a variable that stands for a whole section and holds none."""
    section = re.search(r'field "(\w+)"', str(mistake))
    found = next(_variables(section[1]), None) if section else None
    if found is None:
        return BadSettings(
            f"The environment cannot be understood: {first_line(mistake)}.",
            remedy=f"Correct the {ENVIRONMENT_PREFIX}… variables; see docs/reference/settings.md.",
        )
    return BadSettings(
        f"environment, {found}: this is no section of the configuration.",
        remedy=f"Name the setting behind two underscores, as {found}__NAME=value; docs/reference/settings.md has them.",
    )


def _where(
    place: tuple[int | str, ...], file: Path | None, text: str, names: Mapping[str, Sequence[str]]
) -> str:
    """The environment stands above the file, so what both set is the environment's."""
    variable = _variable_of(place, names)
    if variable is not None:
        return f"environment, {variable}"
    line = _line_of(text, place)
    if file and line:
        return f"{file}, line {line}"
    begun = next(iter(_variables(str(place[0]))), None)
    return f"environment, {begun}" if begun else str(file)


def _variable_of(place: tuple[int | str, ...], names: Mapping[str, Sequence[str]]) -> str | None:
    """The variable that sets exactly this; None when none does."""
    wanted = [str(part) for part in place]
    section, number = str(place[0]), place[1] if len(place) > 1 else None
    if section in REPEATED and isinstance(number, int):
        listed = names.get(section, ())
        if number < len(listed):
            wanted[1] = listed[number]
        else:  # one that only the environment names
            ending = "__" + wanted[-1].upper()
            return next((name for name in _variables(section) if name.upper().endswith(ending)), None)
    name = _variable_name("__".join(wanted))
    return next((each for each in os.environ if each.upper() == name), None)


def _variables(section: str) -> Iterator[str]:
    start = _variable_name(section)
    return (name for name in sorted(os.environ) if name.upper().startswith(start))


def _variable_name(setting: str) -> str:
    return (ENVIRONMENT_PREFIX + setting.replace(".", "__")).upper()


REPEATED = frozenset({"pbx", *TABLES_IN})
TABLES = {**SECTIONS, **TABLES_IN}

FORMATS = {
    (
        "crm.connections",
        "name",
    ): "Lower-case letters, digits and hyphens, at most 32, beginning with a letter or digit.",
    ("crm.connections", "adapter"): "One of bitrix24_webhook, amocrm, odoo and webhook.",
    ("crm.connections", "url"): 'Such as "https://odoo.example.com".',
    ("pbx", "id"): "Lower-case letters, digits and hyphens, at most 32, beginning with a letter or digit.",
    ("pbx", "default_region"): 'Two capital letters, such as "DE".',
    ("pbx", "outside_prefix"): 'One to three digits in quotes, such as "0".',
    ("pbx", "area_code"): 'Digits in quotes, such as "495".',
    ("web", "public_url"): 'Such as "https://calls.example.com".',
}
"""What a setting may be, where its meaning does not say it."""


def _what_it_may_be(place: tuple[int | str, ...]) -> str:
    section, name = str(place[0]), str(place[-1])
    if (section, name) in FORMATS:
        return FORMATS[section, name]
    field = TABLES[section].model_fields.get(name) if section in TABLES else None
    return f"It is: {field.description}" if field and field.description else "Correct it or remove it."


def _plainly(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _spelled(place: tuple[int | str, ...]) -> str:
    """`[[pbx]] port` or `[web] port`, as it stands in the file."""
    if len(place) == 1:
        return f"[{place[0]}]"
    section = f"[[{place[0]}]]" if place[0] in REPEATED else f"[{place[0]}]"
    return f"{section} {place[-1]}"


def _known(place: tuple[int | str, ...]) -> tuple[str, ...]:
    if len(place) > 1 and place[0] in TABLES:
        return tuple(TABLES[str(place[0])].model_fields)
    return tuple(SECTIONS)


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

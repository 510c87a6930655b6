"""What may be written where an extension is asked for: one rule for accounts, staff, recording rules and the command line.

Accepted is every extension that a PBX has, whatever it looks like, and a number of two to eight digits for a phone that is
not plugged in yet. Refused is a trunk, the name of a phone whose extension is another, and whatever nobody could dial.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from telephony.endpoint_directory import TECHNOLOGIES, Endpoint
from telephony.numbers.numbers import Numbering

EXTENSIONS_MOST = 50  # of one person

_PLANNED = re.compile(r"[0-9]{2,8}", re.ASCII)


class ExtensionFault(Enum):
    """Why something is no extension."""

    NOT_ONE = "not one"
    """Neither the PBX has it, nor is it a number of two to eight digits."""
    TRUNK = "trunk"
    PHONE_OF_ANOTHER = "phone of another"
    """It is the name of a phone; the extension is `ExtensionProblem.instead`."""


@dataclass(frozen=True, slots=True)
class ExtensionProblem:
    """What is wrong with one text."""

    text: str
    fault: ExtensionFault
    instead: str = ""

    @property
    def sentence(self) -> str:
        """For the command line and the log; pages have words of their own."""
        match self.fault:
            case ExtensionFault.TRUNK:
                return f"{self.text} is a trunk, not an extension."
            case ExtensionFault.PHONE_OF_ANOTHER:
                return f"{self.text} is a phone of extension {self.instead}."
            case ExtensionFault.NOT_ONE:
                return f"{self.text} is no extension of the phone system."

    @property
    def remedy(self) -> str:
        """What to write instead."""
        if self.fault is ExtensionFault.PHONE_OF_ANOTHER:
            return f"Write {self.instead}."
        return "Write the number that colleagues dial, two to eight digits, or an extension that the phone system has."


@dataclass(frozen=True, slots=True)
class ExtensionRule:
    """The rule, for all PBXes together. `known`: extensions that were seen on one of them."""

    numberings: tuple[Numbering, ...] = ()
    known: frozenset[str] = frozenset()

    def problem_with(self, text: str) -> ExtensionProblem | None:
        """What is wrong with that as an extension; None when nothing is."""
        if any(text in numbering.directory.extensions for numbering in self.numberings):
            return None
        named = {whose for n in self.numberings for whose in _whose_phone(text, n) if whose != text}
        if named:
            return ExtensionProblem(text, ExtensionFault.PHONE_OF_ANOTHER, min(named))
        if any(_is_trunk(text, numbering) for numbering in self.numberings):
            return ExtensionProblem(text, ExtensionFault.TRUNK)
        if text in self.known or _PLANNED.fullmatch(text):
            return None
        if any(_is_writable(text) and numbering.looks_like_extension(text) for numbering in self.numberings):
            return None
        return ExtensionProblem(text, ExtensionFault.NOT_ONE)

    def first_problem(self, texts: Iterable[str]) -> ExtensionProblem | None:
        """What is wrong with the first of these that is no extension."""
        return next((problem for text in texts if (problem := self.problem_with(text)) is not None), None)


def rule_of(numberings: Iterable[Numbering], known: Collection[str] = ()) -> ExtensionRule:
    """The rule for these PBXes, with the extensions that were seen on them."""
    return ExtensionRule(tuple(numberings), frozenset(known))


def _is_writable(text: str) -> bool:
    """No blanks, commas and the like, with which extensions are listed and dialled together."""
    return re.fullmatch(r"[0-9A-Za-z][\w.-]{0,39}", text, re.ASCII) is not None


def _whose_phone(text: str, numbering: Numbering) -> Iterable[str]:
    found = (numbering.extension_of(text, tech) for tech in ("", *TECHNOLOGIES))
    return {whose for whose in found if whose is not None}


def _is_trunk(text: str, numbering: Numbering) -> bool:
    return any(numbering.is_known_line(Endpoint(tech, text)) for tech in ("", *TECHNOLOGIES))

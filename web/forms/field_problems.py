"""What is wrong with a form, by field: all of it at once, so that it is corrected in one go.

The page carries the list; `form-problems.js` says each at its field and puts the focus on the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from telephony.errors import PeerMistake
from web.languages.errors import translate_sentence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that was not understood."""

    field: str
    """Its name in the form."""
    message: str
    """What is wrong and what would be right."""


@dataclass(slots=True)
class FieldReader:
    """Reads the fields of a form one after the other and collects what was not understood."""

    problems: list[FieldProblem] = field(default_factory=list)

    def read(self, name: str, parse: Callable[[], T], otherwise: T) -> T:
        """The field's value; `otherwise` stands for one that was not understood."""
        try:
            return parse()
        except PeerMistake as mistake:
            self.add(name, translate_sentence(mistake))
            return otherwise

    def add(self, name: str, message: str) -> None:
        """Something is wrong with a field."""
        self.problems.append(FieldProblem(name, message))


def refusal_of(mistake: PeerMistake) -> tuple[str | None, list[FieldProblem]]:
    """What is wrong with the whole, and what at which field."""
    mistakes = (mistake, *mistake.others)
    said = " ".join(translate_sentence(one) for one in mistakes if one.field is None)
    return said or None, [FieldProblem(one.field, translate_sentence(one)) for one in mistakes if one.field]

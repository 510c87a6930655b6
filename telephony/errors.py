"""Errors that say whose move it is. The class docstring is the default message.

Foreign exceptions are translated at the edge into one of these, with the cause kept. What Asterisk, a CRM or a
person sends is never asserted on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from telephony.languages.phrases import N_


class SwitchhookError(Exception):
    """Something went wrong in Switchhook."""

    def __init__(
        self,
        message: str | None = None,
        *,
        remedy: str | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        """The sentence in English, with `{names}` where its values stand: what a catalogue has."""
        self.values = dict(values or {})
        self.remedy_message = remedy
        super().__init__(self.fill(self.message))

    @property
    def remedy(self) -> str | None:
        """What the person on duty can do about it, in one sentence; shown wherever the error is shown."""
        return self.fill(self.remedy_message) if self.remedy_message else None

    @property
    def sentence(self) -> str:
        """What went wrong and, where there is one, the remedy: for places that show one text."""
        return f"{self} {self.remedy or ''}".strip()

    def fill(self, text: str) -> str:
        """The values put in their places; a text without values may hold braces of its own."""
        return text.format(**self.values) if self.values else text


class TryLater(SwitchhookError):
    """The other side cannot answer just now; the same request may succeed later."""


class NeedsPerson(SwitchhookError):
    """Nothing will change until a person changes a setting, a right or a network."""


class PeerMistake(SwitchhookError):
    """The other side sent something that its own rules do not allow."""

    def __init__(
        self,
        message: str | None = None,
        *,
        remedy: str | None = None,
        field: str | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, values=values)
        self.field = field
        """Which value of what was sent is wrong, where it is one."""
        self.others: tuple[PeerMistake, ...] = ()
        """Further mistakes of the same request, so that all are corrected at once."""


def raise_mistakes(mistakes: Sequence[PeerMistake]) -> None:
    """Raise the first mistake, which names the others; nothing where there are none."""
    if mistakes:
        first, *others = mistakes
        first.others = tuple(others)
        raise first


def read_together(**readings: Callable[[], Any]) -> dict[str, Any]:
    """What each reading gives, by its name. Raises PeerMistake with all that is wrong, not only the first."""
    read: dict[str, Any] = {}
    mistakes: list[PeerMistake] = []
    for name, reading in readings.items():
        try:
            read[name] = reading()
        except PeerMistake as mistake:
            mistakes.append(mistake)
    raise_mistakes(mistakes)
    return read


LOOK_AGAIN = N_("Look at what it says now, then enter your change again.")


class ChangedMeanwhile(PeerMistake):
    """Somebody else changed this meanwhile, so your change was not saved."""

    def __init__(
        self,
        message: str | None = None,
        *,
        remedy: str | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy or LOOK_AGAIN, values=values)


class OurMistake(SwitchhookError):
    """Switchhook did something it should not have; please report it with a capture."""

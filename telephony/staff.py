"""Our people and the extensions their phones answer to. An account or a CRM user is never needed to be told of."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class PopPreference(StrEnum):
    """When a person wants a card to open."""

    NEVER = "never"
    ON_RING = "on_ring"
    ON_ANSWER = "on_answer"


class RingAlert(StrEnum):
    """How a person is told of a ringing phone, beside the card."""

    SOUND = "sound"
    NOTIFY = "notify"


DEFAULT_ALERTS = frozenset({RingAlert.NOTIFY})
"""The browser asks before it shows a notification; a sound is heard by the whole room."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a phone. `extensions` may be several handsets of one person."""

    name: str
    extensions: frozenset[str]
    team: str | None = None
    id: UUID | None = None
    """What they own is kept under it."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Who answers to which extension. Unknown extensions are shown by their number."""

    people: tuple[Person, ...] = ()
    by_extension: dict[str, Person] = field(init=False, repr=False, compare=False)
    by_id: dict[UUID, Person] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        table = {extension: person for person in self.people for extension in person.extensions}
        object.__setattr__(self, "by_extension", table)
        object.__setattr__(self, "by_id", {person.id: person for person in self.people if person.id})

    def name_of(self, extension: str) -> str | None:
        """The person's name, or None."""
        person = self.by_extension.get(extension)
        return person.name if person else None


class Role(StrEnum):
    """What an account may see and do. Finer rights come with recordings and teams."""

    MANAGER = "manager"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"


class TokenScope(StrEnum):
    """What a program with a personal token may do. Never more than its owner: a scope only takes away."""

    READ_CALLS = "calls:read"  # calls, their stories, who called, the live stream
    WRITE_CALLS = "calls:write"  # notes, whose a call is, pausing its recording
    READ_RECORDINGS = "recordings:read"  # list, sound, comments
    WRITE_RECORDINGS = "recordings:write"  # comments, links, redactions

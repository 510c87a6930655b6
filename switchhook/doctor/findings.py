"""What the doctor found, and how an examination that stumbles becomes a finding of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from telephony.errors import SwitchhookError


class Level(StrEnum):
    """How bad it is. Only faults make the command fail."""

    FINE = "fine"
    NOTICE = "notice"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    area: str
    """Where: settings, machine, state, database, web, or a PBX by its id."""
    what: str
    """What was found, one sentence."""
    remedy: str | None = None
    """What to do about it, one sentence."""


def guarded(area: str, examination: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What it finds; what it stumbles over is a finding too."""
    try:
        yield from examination()
    except Exception as mistake:  # the doctor must finish the round
        yield stumbled(area, mistake)


def stumbled(area: str, mistake: BaseException) -> Finding:
    """A finding in words for whatever went wrong while looking."""
    if isinstance(mistake, SwitchhookError):
        return Finding(Level.FAULT, area, str(mistake), mistake.remedy)
    if isinstance(mistake, TimeoutError):
        return Finding(
            Level.FAULT,
            area,
            "It did not answer in time.",
            "Check the address, the network and the firewall.",
        )
    if isinstance(mistake, OSError):
        return Finding(
            Level.FAULT, area, f"It cannot be reached or used: {mistake.strerror or mistake}.", NETWORK
        )
    return Finding(
        Level.FAULT,
        area,
        f"This could not be examined ({type(mistake).__name__}: {mistake}).",
        "Report it with this line, please.",
    )


NETWORK = "Check the address, the network, and the rights of the user who runs Switchhook."
GROUP_REMEDY = (
    "Put the user who runs Switchhook into the group that owns it (often asterisk): usermod -aG asterisk switchhook; "
    "our unit has SupplementaryGroups=asterisk for it. Then restart the service."
)
"""How the service's user comes to read what Asterisk writes."""

"""Whether the PBX's clock agrees with ours: the answer to a `Ping` bears the time there, between question and answer."""

from __future__ import annotations

from dataclasses import dataclass

CLOCK_SECONDS = 1.0  # two machines under NTP agree within milliseconds; beyond a second people see it
REMEDY = "Let both machines keep the time by NTP: timedatectl set-ntp true (or chrony), on each of them."


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the PBX's clock showed, and when we asked and heard of it."""

    asked_at: float
    heard_at: float
    stamp: float

    @property
    def ahead_seconds(self) -> float:
        """How far the PBX is ahead of us; negative when it is behind."""
        return self.stamp - (self.asked_at + self.heard_at) / 2

    @property
    def is_off(self) -> bool:
        """Whether the difference is certain: beyond a second and what the way there and back may explain."""
        return abs(self.ahead_seconds) > CLOCK_SECONDS + (self.heard_at - self.asked_at) / 2


def describe_difference(reading: ClockReading) -> str:
    """In a sentence, for people."""
    if not reading.is_off:
        return "The clock of the PBX agrees with ours."
    off = reading.ahead_seconds
    amount = f"{abs(off):.0f} s" if abs(off) < 120 else f"{abs(off) / 60:.0f} min"
    return f"The clock of the PBX is {amount} {'ahead of' if off > 0 else 'behind'} ours."

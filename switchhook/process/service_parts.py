"""The parts of the service that can run in a process of their own."""

from __future__ import annotations

from enum import StrEnum


class Part(StrEnum):
    """A part of the service that can run alone, over one shared database."""

    BRIDGE = "bridge"
    WEB = "web"

"""What a PBX lists of its endpoints: hints say whose phones they are, outbound registrations that they are trunks.

All of it may be asked with `write = reporting`, which the snapshot needs anyway. `PJSIPShowEndpoints`, which knows each
endpoint's `identify`, wants `system`, which could run programs on the PBX (measured on 16.28 and 22.10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from telephony.endpoint_directory import DEVICES_MOST, EndpointListing, Hint, read_hint

QUESTIONS = ("ExtensionStateList", "PJSIPShowRegistrationsOutbound")
"""The actions that are answered by lists of endpoints."""

_WIZARD_SUFFIX = re.compile(r"-reg-\d+$")  # what res_pjsip_config_wizard puts behind the name of the trunk


class EndpointLists:
    """Collects the events of the lists. `take` says when one has come to its end."""

    def __init__(self) -> None:
        self._hints: list[Hint] = []
        self._lines: set[str] = set()

    def take(self, kind: str, fields: Mapping[str, str]) -> EndpointListing | None:
        """An event of a list; what was listed, once that list is complete."""
        if kind == "ExtensionStatus":
            hint = read_hint(fields.get("Exten", ""), fields.get("Hint", ""))
            if hint is not None and len(self._hints) < DEVICES_MOST:
                self._hints.append(hint)
        elif kind == "OutboundRegistrationDetail":
            if len(self._lines) < DEVICES_MOST:
                self._lines.add(_registered(fields))
        elif kind == "ExtensionStateListComplete":
            hints, self._hints = tuple(self._hints), []
            return EndpointListing(hints=hints)
        elif kind == "OutboundRegistrationDetailComplete":
            lines, self._lines = frozenset(self._lines - {""}), set()
            return EndpointListing(lines=lines)
        return None


LISTED_ENDPOINTS = frozenset(
    {
        "ExtensionStatus",
        "ExtensionStateListComplete",
        "OutboundRegistrationDetail",
        "OutboundRegistrationDetailComplete",
    }
)
"""Kinds of events that the lists consist of. `ExtensionStatus` with a Privilege is news of a lamp instead."""


def _registered(fields: Mapping[str, str]) -> str:
    """The endpoint of an outbound registration: named by `line = yes`, else the registration is called after it."""
    named = str(fields.get("Endpoint", ""))
    return named or _WIZARD_SUFFIX.sub("", str(fields.get("ObjectName", "")))

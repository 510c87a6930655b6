"""Asking a PBX what is going on at this moment, and knowing when it has told everything.

Done after every login, so that start, restart and reconnect are one path. The AMI user needs `write =
reporting` for it; `ParkedCalls` wants `call` besides, and a PBX without queues or parking refuses those. A
refusal is noted, not a failure. Answers are not interpreted here: they pass on in wire order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ami_bridge.endpoint_listing import QUESTIONS as ENDPOINT_QUESTIONS
from ami_bridge.wire.message import Message

STATUS_VARIABLES = (
    "CDR(start)",  # when the call began, though we were not there
    "CDR(answer)",  # blank on a caller that still waits
    "MIXMONITOR_FILENAME",  # the recording's file
    "DIALEDPEERNUMBER",
    "BRIDGEPEER",
    "CALLED_DID",  # the outside number that was called, where the dialplan keeps it
)

Headers = tuple[tuple[str, str], ...]

ACTIONS: tuple[tuple[str, Headers], ...] = (
    # First whose phones the endpoints are: the calls of this moment are told by it.
    *((action, ()) for action in ENDPOINT_QUESTIONS),
    ("CoreStatus", ()),
    ("CoreShowChannels", ()),
    ("Status", (("Variables", ",".join(STATUS_VARIABLES)),)),
    ("BridgeList", ()),
    ("QueueStatus", ()),
    ("ParkedCalls", ()),
)
"""What is asked, in this order: action and further headers."""


@dataclass(slots=True)
class Snapshot:
    """The questions still open. `mark` is the link's random text."""

    mark: str
    refused: list[str] = field(default_factory=list)
    """Actions that were answered by an error."""
    _open: dict[str, str] = field(default_factory=dict)
    _asked: int = 0

    def questions(self) -> Iterator[Headers]:
        """The actions to send at once after the login."""
        for action, headers in ACTIONS:
            yield self._question(action, headers)

    def hear(self, message: Message) -> Headers | None:
        """Takes a message into account; returns a further question when the message raises one."""
        action_id = message.fields.get("ActionID", "")
        action = self._open.get(action_id)
        if action is None:
            return None
        if message.kind == "BridgeListItem":
            return self._question("BridgeInfo", (("BridgeUniqueid", message.get("BridgeUniqueid")),))
        if message.kind == "Response":
            self._hear_response(action_id, action, message)
        elif message.get("EventList") == "Complete" or message.kind.endswith("Complete"):
            del self._open[action_id]
        return None

    @property
    def done(self) -> bool:
        """Whether every question has its last answer."""
        return not self._open

    def _hear_response(self, action_id: str, action: str, message: Message) -> None:
        if message.get("Response") == "Error":
            # A bridge that ended between list and question is no refusal.
            if action != "BridgeInfo" and action not in self.refused:
                self.refused.append(action)
            del self._open[action_id]
        elif action == "CoreStatus":
            del self._open[action_id]

    def _question(self, action: str, headers: Headers) -> Headers:
        self._asked += 1
        action_id = f"snap-{self.mark}-{self._asked}"
        self._open[action_id] = action
        return (("Action", action), ("ActionID", action_id), *headers)

"""A call change as one line of JSON and back: what the spool file is made of."""

from __future__ import annotations

import json
from datetime import datetime
from uuid import UUID

from call_records.db import json_text
from telephony.call_facts.facts import facts_from_json, iso
from telephony.events import CallEvent, EventKind
from telephony.ports import CallChange


def to_line(change: CallChange) -> str:
    """One line, its end included."""
    told = {
        "facts": change.facts.as_json(),
        "events": [[one.kind.value, str(one.call_id), iso(one.at), one.party] for one in change.events],
        "aliases": list(change.aliases),
        "absorbed": [str(old) for old in change.absorbed],
        "trace": [dict(line) for line in change.trace],
    }
    return json_text.dumps(told) + "\n"


def from_line(line: str) -> CallChange:
    """Raises ValueError, KeyError or TypeError for a line we did not write, or wrote only half of."""
    told = json.loads(line)
    return CallChange(
        facts=facts_from_json(told["facts"]),
        events=tuple(
            CallEvent(EventKind(kind), UUID(call_id), datetime.fromisoformat(at), party)
            for kind, call_id, at, party in told["events"]
        ),
        aliases=tuple(told["aliases"]),
        absorbed=tuple(UUID(old) for old in told["absorbed"]),
        trace=tuple(told["trace"]),
    )

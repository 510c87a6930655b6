"""What is done with each call that is taken into the book, in order: each step may rely on what those before it wrote."""

from __future__ import annotations

from call_records.crm.call_worker import Step
from call_records.crm.missed_calls.recompute import MissedTaking
from call_records.crm.timeline.filing import filing
from call_records.crm.writes import Home


def steps_for(home: Home) -> tuple[Step, ...]:
    """The steps of this office."""
    return (filing(home), MissedTaking(home).take)

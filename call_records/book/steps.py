"""What is done with each call that is taken into the book, in order: each step may rely on what those before it wrote."""

from __future__ import annotations

from call_records.book.filing import filing
from call_records.book.missed_taking import MissedTaking
from call_records.book.rows import Home
from call_records.book.worker import Step


def steps_for(home: Home) -> tuple[Step, ...]:
    """The steps of this office."""
    return (filing(home), MissedTaking(home).take)

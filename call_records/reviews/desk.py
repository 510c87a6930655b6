"""The parts of reviewing over one database, put together."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.reviews.forms import FormBook
from call_records.reviews.grades import GradeBook
from call_records.reviews.picks import PickList
from call_records.reviews.rules import RuleBook


class ReviewDesk:
    """What `Records.reviews` is in the real store."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.rules = RuleBook(engine)
        self.picks = PickList(engine)
        self.forms = FormBook(engine)
        self.grades = GradeBook(engine)

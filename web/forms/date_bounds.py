"""Days and moments from outside, within the years that a telephone system can mean.

A date near the ends of the calendar overflows as soon as a day is added or a time zone is applied to it; nobody means
one. It is refused like any other date that is none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator

EARLIEST_YEAR = 1970
LATEST_YEAR = 2200


def bounded(moment: datetime) -> datetime:
    """The moment itself. Raises ValueError for one that nobody means."""
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"The year must lie between {EARLIEST_YEAR} and {LATEST_YEAR}.")
    return moment


Moment = Annotated[datetime, AfterValidator(bounded)]
"""For the parameters of the API."""

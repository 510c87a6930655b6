"""Where a page of a list ends: the moment and id of its last row, as text a browser can carry.

Pages are cut by key, not by offset: nothing is shown twice or left out while new rows arrive.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from uuid import UUID

from telephony.errors import PeerMistake


def page_mark(at: datetime, row_id: UUID) -> str:
    """The mark after the row with this moment and id, to be passed back for the next page."""
    return base64.urlsafe_b64encode(f"{at.isoformat()} {row_id}".encode()).decode().rstrip("=")


def key_of_mark(mark: str) -> tuple[datetime, UUID]:
    """The moment and id in it. Raises PeerMistake for a mark we did not make."""
    try:
        padded = mark + "=" * (-len(mark) % 4)
        moment, row_id = base64.urlsafe_b64decode(padded.encode()).decode().split(" ")
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            raise ValueError(moment)
        return at, UUID(row_id)
    except (ValueError, binascii.Error) as cause:
        raise PeerMistake(
            "This page link is invalid.", remedy="Start again from the first page of the list."
        ) from cause

"""How a day is read that somebody typed: `2026-12-31`, `31.12.2026`, and with strokes as the office's region writes it."""

from __future__ import annotations

import re
from datetime import date

from telephony.errors import PeerMistake
from web.wording import _

_MONTH_FIRST = frozenset({"US", "PH"})  # regions that write 12/31/2026 (CLDR); everybody else 31/12/2026
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
DAY = r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{4}"
"""What a day may look like, for texts with several."""


def read_date(text: str, region: str | None = None) -> date:
    """The day. Raises PeerMistake."""
    typed = text.strip()
    try:
        if found := _ISO.fullmatch(typed):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _DOTTED.fullmatch(typed):
            return date(int(found[3]), int(found[2]), int(found[1]))
        if found := _SLASHED.fullmatch(typed):
            day, month = (2, 1) if region in _MONTH_FIRST else (1, 2)
            return date(int(found[3]), int(found[month]), int(found[day]))
    except ValueError:
        pass
    raise PeerMistake(
        _("“{text}” is not a date.").format(text=typed[:40]),
        remedy=_("Write it like 2026-12-31 or 31.12.2026."),
    )

"""JSON as PostgreSQL and the spool file can keep it.

A SIP phone may put anything into a name. PostgreSQL's jsonb refuses NUL, and UTF-8 has no lone surrogates (which is
how Python carries bytes that were not UTF-8); both become U+FFFD here, so that one odd name never stops the journal.
"""

from __future__ import annotations

import json
import re
from typing import Any

_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_SUSPICIOUS = re.compile("\\\\u0000|[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def dumps(value: Any) -> str:
    """Compact JSON without anything PostgreSQL would refuse."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if _SUSPICIOUS.search(text):
        text = json.dumps(_cleaned(value), ensure_ascii=False, separators=(",", ":"))
    return text


def clean(text: str) -> str:
    """The text without what PostgreSQL would refuse."""
    if (
        text.isprintable()
    ):  # nearly every text; neither NUL nor surrogates are, and this costs a tenth of the pattern
        return text
    return _UNKEEPABLE.sub(REPLACEMENT, text)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(name)): _cleaned(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(part) for part in value]
    return value

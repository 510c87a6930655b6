"""Optimistic locking without a column: a form carries a fingerprint of what it showed, and a change is refused when the
thing no longer is what its author looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from telephony.errors import ChangedMeanwhile

FINGERPRINT_BYTES = 12  # 96 bits; two states of one thing never meet by chance


def edit_version(value: object) -> str:
    """The fingerprint of a value: the same for equal values, in every process."""
    plain = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(plain.encode(), digest_size=FINGERPRINT_BYTES).hexdigest()


def check_edit_version(present: str, seen: str | None) -> None:
    """Raises ChangedMeanwhile unless the thing is still what was seen. None: its author did not look first."""
    if seen is not None and present != seen:
        raise ChangedMeanwhile


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value) if one.compare}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(_plain(item), sort_keys=True, default=str) for item in value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value

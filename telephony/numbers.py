"""Numbers: which are ours, and what an outside number is in E.164.

`101`, `112` and feature codes are never parsed as telephone numbers (a parser makes `+7101` of `101`): extensions are
matched first, then short numbers are kept as they are, and only then phonenumbers is asked (`telephony.dialling`). How
numbers are found in what people write is `telephony.number_texts`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from telephony.dialling import SHORTEST_OUTSIDE, e164, is_certain
from telephony.national_numbers import may_be_one_line
from telephony.number_texts import WHOLE, Written, is_recognised, without_extension, written
from telephony.withheld import is_row_of_one_digit, is_withheld

__all__ = [
    "DEFAULT_EXTENSIONS",
    "SHORTEST_OUTSIDE",
    "WHOLE",
    "Numbering",
    "Written",
    "e164",
    "is_certain",
    "is_recognised",
    "is_withheld",
    "may_be_one_line",
    "without_extension",
    "written",
]

DEFAULT_EXTENSIONS = r"\d{2,6}"


@dataclass(frozen=True, slots=True)
class Numbering:
    """How one PBX numbers its phones and lines."""

    pbx: str = "pbx"
    extensions: str = DEFAULT_EXTENSIONS
    """Regular expression of endpoints that are extensions; without `^` or `$` in it the whole name must match."""
    trunks: str | None = None
    """Regular expression of endpoints that are trunks although they look like extensions."""
    region: str = "RU"
    """Country of numbers written without a country code (ISO 3166, two letters)."""
    area_code: str = ""
    """Digits put before a 7-digit local number."""
    outside_prefix: str = ""
    """Digits dialled to get a line, such as 9 or 0."""
    _extension: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _trunk: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_extension", _whole(self.extensions))
        object.__setattr__(self, "_trunk", _whole(self.trunks) if self.trunks else None)

    def is_extension(self, endpoint: str) -> bool:
        """Whether an endpoint of that name is one of our phones; otherwise it is a trunk."""
        if self._trunk is not None and self._trunk.search(endpoint):
            return False
        return self._extension.search(endpoint) is not None

    def outside(self, raw: str, *, dialled_here: bool = False) -> str | None:
        """The number in E.164, or None when it is withheld, short or not a number at all.

        `dialled_here`: one of our phones dialled it, so that what looks like the outside prefix is the outside prefix.
        """
        return e164(raw, self.region, self.area_code, self.outside_prefix, dialled_here=dialled_here)

    def party(self, raw: str, *, dialled_here: bool = False) -> str:
        """How a dialled or shown number is told: an extension as it is, an outside number in E.164, else the raw text."""
        if self._extension.search(raw):
            return raw
        return self.outside(raw, dialled_here=dialled_here) or raw

    def is_withheld(self, raw: str) -> bool:
        """Whether a caller id says that the caller did not want to be known, here: 777777777 is a number in Poland."""
        return is_withheld(raw) or (is_row_of_one_digit(raw) and self.outside(raw) is None)


def _whole(pattern: str) -> re.Pattern[str]:
    """`10[0-9]` means the whole name, as everybody writes it; who writes `^gw` has said where it ends himself."""
    anchored = pattern.startswith("^") or (pattern.endswith("$") and not pattern.endswith("\\$"))
    return re.compile(pattern if anchored else rf"\A(?:{pattern})\Z")

"""Numbers: which are ours, and what an outside number is in E.164.

`101`, `112` and feature codes are never parsed as telephone numbers (a parser makes `+7101` of `101`): extensions are
matched first, then short numbers are kept as they are, and only then phonenumbers is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

import phonenumbers

SHORTEST_OUTSIDE = (
    7  # digits; anything shorter is a service number, an extension of somebody else, or a mistake
)
_DIALABLE = re.compile(r"[^0-9+*#]")
_WITHHELD = frozenset(
    {"", "anonymous", "unknown", "restricted", "private", "unavailable", "withheld", "<unknown>"}
)
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

    def outside(self, raw: str) -> str | None:
        """The number in E.164, or None when it is withheld, short or not a number at all."""
        return e164(raw, self.region, self.area_code)

    def party(self, raw: str) -> str:
        """How a dialled or shown number is told: an extension as it is, an outside number in E.164, else the raw text."""
        if self._extension.search(raw):
            return raw
        return self.outside(raw) or raw


def _whole(pattern: str) -> re.Pattern[str]:
    """`10[0-9]` means the whole name, as everybody writes it; who writes `^gw` has said where it ends himself."""
    anchored = pattern.startswith("^") or (pattern.endswith("$") and not pattern.endswith("\\$"))
    return re.compile(pattern if anchored else rf"\A(?:{pattern})\Z")


def is_withheld(raw: str) -> bool:
    """Whether a caller id means that the caller did not want to be known."""
    return raw.strip().lower() in _WITHHELD


@lru_cache(maxsize=16_384)  # one office's callers of some days; a normalisation costs about 70 µs
def e164(raw: str, region: str, area_code: str = "") -> str | None:
    """E.164 of a written number, or None.

    A number that is possible but not assigned keeps its E.164 form: new ranges appear before the library knows them.
    """
    if is_withheld(raw) or "*" in raw or "#" in raw:
        return None
    digits = _DIALABLE.sub("", raw)
    if len(digits.lstrip("+")) < SHORTEST_OUTSIDE:
        return None
    if area_code and len(digits) == SHORTEST_OUTSIDE:
        digits = area_code + digits
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    for candidate in (digits, "+" + digits) if not digits.startswith("+") else (digits,):
        try:
            number = phonenumbers.parse(candidate, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return digits if digits.startswith("+") and 8 <= len(digits) <= 16 else _possible(digits, region)


def _possible(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=16_384)
def is_certain(key: str | None) -> bool:
    """Whether a key is a number of a certain country: E.164, in a range that exists."""
    if key is None or not key.startswith("+"):
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(key, None))
    except phonenumbers.NumberParseException:
        return False


@dataclass(frozen=True, slots=True)
class Written:
    """One number as somebody wrote it."""

    raw: str
    key: str | None
    """What it is known by: E.164, else the digits as they are; None when there is no number in it at all."""
    last10: str | None
    """The last ten digits of a whole number."""
    extension: str | None = None
    """Their own extension behind it."""


def written(text: str, region: str, area_code: str = "") -> tuple[Written, ...]:
    """The numbers in a field, in order; text without any is kept with no key."""
    number = e164(text, region, area_code)
    digits = "".join(char for char in text if char.isdigit())
    key = number or digits or None
    return (Written(text, key, digits[-10:] if number else None),)

"""What digits mean that were dialled, shown or written in some country: E.164 with its trunk rules.

Pure: phonenumbers knows the countries, this module what people and exchanges put before a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

SHORTEST_OUTSIDE = (
    7  # digits; anything shorter is a service number, an extension of somebody else, or a mistake
)
_DIALABLE = re.compile(r"[^0-9+*#]")
_WITHHELD = frozenset(
    {"", "anonymous", "unknown", "restricted", "private", "unavailable", "withheld", "<unknown>"}
)


def is_withheld(raw: str) -> bool:
    """Whether a caller id means that the caller did not want to be known."""
    return raw.strip().lower() in _WITHHELD


@lru_cache(maxsize=16_384)  # one office's callers of some days; a normalisation costs about 70 µs
def e164(raw: str, region: str, area_code: str = "", outside_prefix: str = "") -> str | None:
    """E.164 of a written number, or None.

    A number that is possible but not assigned keeps its E.164 form: new ranges appear before the library knows them.
    """
    if is_withheld(raw) or "*" in raw or "#" in raw:
        return None
    digits = _DIALABLE.sub("", raw)
    digits = digits[:1] + digits[1:].replace("+", "")
    if len(digits.lstrip("+")) < SHORTEST_OUTSIDE:
        return None
    readings = _readings(raw, digits, region, area_code, outside_prefix)
    found = next(filter(None, (_valid(one, region) for one in readings)), None)
    if found is not None:
        return found
    if area_code and len(digits) == SHORTEST_OUTSIDE:
        digits = area_code + digits
    digits = _without_00(digits)
    return digits if digits.startswith("+") and 8 <= len(digits) <= 16 else _possible(digits, region)


def _readings(raw: str, digits: str, region: str, area_code: str, outside_prefix: str) -> Iterator[str]:
    """What these digits may mean, likeliest first; the first that exists somewhere is meant."""
    if region in TRUNK_EIGHT and _PLUS_BEFORE_EIGHT.match(raw):
        yield digits[1:]
    yield from _at_home(digits, area_code)
    if region in TRUNK_EIGHT and digits.startswith("+8"):
        yield digits[1:]
    if digits.startswith("+"):
        return
    line = digits.removeprefix(outside_prefix)
    if line != digits and len(line) >= SHORTEST_OUTSIDE:
        # Before a foreign number without its plus: 9 8 916 123-45-67 is also a mobile in Iran.
        yield from _at_home(line, area_code)
    yield "+" + digits


TRUNK_EIGHT = ("RU", "KZ")  # 8 is dialled before the area code, and people put a plus before it
_PLUS_BEFORE_EIGHT = re.compile(r"\s*\+\s*8[\s(\-]")  # without the gap it may be Vietnam's +84 95…


def _at_home(digits: str, area_code: str) -> Iterator[str]:
    if area_code and len(digits) == SHORTEST_OUTSIDE:
        yield area_code + digits
    else:
        yield _without_00(digits)
    if digits[:1] == "0" != digits[1:2]:
        yield digits[1:]  # where the trunk's 0 was given up, people go on writing it


def _without_00(digits: str) -> str:
    return "+" + digits[2:] if digits.startswith("00") else digits


def _valid(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _possible(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    # Not "possible within its city": seven digits without their area code are nobody's E.164.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=16_384)
def is_certain(key: str | None) -> bool:
    """Whether a key is a number of a certain country: E.164, in a range that exists."""
    return key is not None and key.startswith("+") and _valid(key, "ZZ") is not None

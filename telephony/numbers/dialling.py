"""What digits mean that were dialled, shown or written in some country: E.164 with its trunk rules.

Pure: phonenumbers knows the countries, this module what people and exchanges put before a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers

from telephony.numbers.national_numbers import other_readings
from telephony.numbers.withheld import is_row_of_one_digit, is_withheld

SHORTEST_OUTSIDE = (
    7  # digits; anything shorter is a service number, an extension of somebody else, or a mistake
)
LOCAL_LONG = 8  # digits of a local number in the largest cities (Beijing, Buenos Aires)
_DIALABLE = re.compile(r"[^0-9+*#]")
LONGEST_TEXT = 100  # characters; no way of writing one number is longer


@lru_cache(maxsize=16_384)  # one office's callers of some days; a normalisation costs about 70 µs
def e164(
    raw: str, region: str, area_code: str = "", outside_prefix: str = "", *, dialled_here: bool = False
) -> str | None:
    """E.164 of a written number, or None.

    A number that is possible but not assigned keeps its E.164 form: new ranges appear before the library knows them.
    `dialled_here`: one of our own phones dialled it, so that the outside prefix, where it stands, is one for certain.
    """
    if len(raw) > LONGEST_TEXT or is_withheld(raw) or "*" in raw or "#" in raw:
        return None
    digits = _DIALABLE.sub("", raw)
    digits = digits[:1] + digits[1:].replace("+", "")
    if len(digits.lstrip("+")) < SHORTEST_OUTSIDE:
        return None
    readings = list(_readings(raw, digits, region, area_code, outside_prefix))
    if dialled_here and outside_prefix and digits.startswith(outside_prefix):
        line = digits.removeprefix(outside_prefix)
        readings = [*_readings(line, line, region, area_code, ""), *readings]
    found = next(filter(None, (_valid(one, region) for one in readings)), None)
    if found is None:
        found = next(filter(None, (_valid(one, region) for one in other_readings(raw, digits, region))), None)
    if found is not None or is_row_of_one_digit(digits):
        return found
    if area_code and len(digits) == SHORTEST_OUTSIDE:
        digits = area_code + digits
    digits = _without_00(digits)
    return digits if digits.startswith("+") and 8 <= len(digits) <= 16 else _possible(digits, region)


def _readings(raw: str, digits: str, region: str, area_code: str, outside_prefix: str) -> Iterator[str]:
    """What these digits may mean, likeliest first; the first that exists somewhere is meant."""
    if region in TRUNK_EIGHT and _PLUS_BEFORE_EIGHT.match(raw):
        yield digits[1:]
    yield from _at_home(digits, region, area_code)
    if region in TRUNK_EIGHT and digits.startswith("+8"):
        yield digits[1:]
    if digits.startswith("+"):
        return
    line = digits.removeprefix(outside_prefix)
    if line != digits and len(line) >= SHORTEST_OUTSIDE:
        # Before a foreign number without its plus: 9 8 916 123-45-67 is also a mobile in Iran.
        yield from _at_home(line, region, area_code)
    yield "+" + digits


TRUNK_EIGHT = ("RU", "KZ")  # 8 is dialled before the area code, and people put a plus before it
_PLUS_BEFORE_EIGHT = re.compile(r"\s*\+\s*8[\s(\-]")  # without the gap it may be Vietnam's +84 95…


def _at_home(digits: str, region: str, area_code: str) -> Iterator[str]:
    if area_code and len(digits) == LOCAL_LONG:
        yield area_code + digits
    if area_code and len(digits) == SHORTEST_OUTSIDE:
        yield area_code + digits
    else:
        yield _without_00(digits)
    if digits[:1] == "0" != digits[1:2] and has_no_trunk_prefix(region):
        yield digits[1:]  # where the trunk's 0 was given up, people go on writing it
    if digits.startswith("00"):
        yield digits  # 00 may be the beginning of another way abroad, such as Australia's 0011


@lru_cache(maxsize=256)
def has_no_trunk_prefix(region: str) -> bool:
    """Whether nothing is dialled before an area code there, as in Poland since 2010.

    Elsewhere a 0 is the country's own prefix, or tells that the number is of another country: Berlin's 030 12345678
    without its 0 would ring in Buryatia (+7 301), or in Maryland (+1 301).
    """
    told = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return told is not None and told.national_prefix is None


def _without_00(digits: str) -> str:
    return "+" + digits[2:] if digits.startswith("00") else digits


def _valid(digits: str, region: str) -> str | None:
    """With its country code it is the same number everywhere, and asked for again at once by `is_certain`."""
    return _valid_number(digits, ANYWHERE if digits.startswith("+") else region)


ANYWHERE = "ZZ"  # the library's code for no country


@lru_cache(maxsize=16_384)
def _valid_number(digits: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return _as_it_rings(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _as_it_rings(key: str) -> str:
    """One key for one line: Mexico's mobiles were dialled with a 1 from abroad until 2019 and ring without it."""
    return "+52" + key[4:] if key.startswith("+521") and len(key) == MEXICAN_MOBILE else key


MEXICAN_MOBILE = 14  # characters of +52 1 and ten digits


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
    return key is not None and key.startswith("+") and _valid(key, ANYWHERE) is not None

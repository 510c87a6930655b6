"""What people in some countries go on writing although the numbering has changed, and what their phones show instead.

Each rule gives further readings of digits that nobody could make a number of as they are; whether such a number exists
is asked of phonenumbers (`telephony.numbers.dialling`). A country is a row here, never a condition elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import phonenumbers

_ZERO_IN_BRACKETS = re.compile(r"\(\s{0,3}0\s{0,3}\)")
_NOT_DIGITS = re.compile(r"[^0-9+]")


def other_readings(raw: str, digits: str, region: str) -> Iterator[str]:
    """What else these digits may mean, likeliest first."""
    yield from _without_trunk_zero(raw, digits)
    rule = _BY_REGION.get(_region_of(digits, region))
    if rule is not None:
        yield from rule(digits)
        code = _CODE_BY_REGION.get(region, "")
        if code and digits.startswith(code):
            yield from rule(
                "+" + digits
            )  # with the country's code and without the plus, as exchanges show it


def _region_of(digits: str, region: str) -> str:
    """Whose rules apply: the country's that the digits begin with, else the office's."""
    international = _international(digits)
    if international is None:
        return region
    code = next((code for code in _REGION_BY_CODE if international.startswith(code)), None)
    return _REGION_BY_CODE[code] if code is not None else "ZZ"


_REGION_BY_CODE = {"55": "BR", "52": "MX", "54": "AR"}
_CODE_BY_REGION = {region: code for code, region in _REGION_BY_CODE.items()}


def _international(digits: str) -> str | None:
    """The digits behind + or 00; None where they are a country's own."""
    if digits.startswith("+"):
        return digits[1:]
    return digits[2:] if digits.startswith("00") else None


def _without_trunk_zero(raw: str, digits: str) -> Iterator[str]:
    """`+48 (0) 22 625 12 34`, `0048 022 625 12 34`: a trunk's 0 behind the country code is not dialled from abroad."""
    international = _international(digits)
    if international is None:
        if _ZERO_IN_BRACKETS.search(raw):
            yield _NOT_DIGITS.sub("", _ZERO_IN_BRACKETS.sub("", raw))
        return
    for length in (1, 2, 3):
        code, rest = international[:length], international[length:]
        if rest.startswith("0") and code.isdigit() and _is_country_code(int(code)):
            yield f"+{code}{rest.lstrip('0')}"


def _is_country_code(code: int) -> bool:
    return code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE


def _brazilian(digits: str) -> Iterator[str]:
    """A mobile from before the ninth digit (2012 to 2016), with or without the carrier that was dialled before it."""
    international = _international(digits)
    national = international[2:] if international is not None else digits
    for hit in filter(None, (one.fullmatch(national) for one in _BRAZILIAN)):
        ninth = "9" if len(hit["own"]) == 8 and hit["own"][0] in "6789" else ""
        yield f"+55{hit['area']}{ninth}{hit['own']}"


_BRAZILIAN = (
    re.compile(r"0?(?P<area>[1-9][1-9])(?P<own>\d{8,9})"),
    re.compile(r"(?:0|90)(?:\d\d)(?P<area>[1-9][1-9])(?P<own>\d{8,9})"),  # 0, carrier, area
)


def _mexican(digits: str) -> Iterator[str]:
    """01 before a number of another town, 044 and 045 before a mobile, 1 from abroad: all given up in 2019."""
    international = _international(digits)
    national = international[2:] if international is not None else digits
    hit = re.fullmatch(r"(?:01|044|045|1)(\d{10})", national)
    if hit:
        yield f"+52{hit[1]}"


def _argentine(digits: str) -> Iterator[str]:
    """A mobile written with both marks: 9 from abroad and 15 at home."""
    international = _international(digits)
    national = international[2:] if international is not None else digits
    for area in (2, 3, 4):
        hit = re.fullmatch(rf"9?0?(\d{{{area}}})15(\d{{{10 - area}}})", national)
        if hit:
            yield f"+549{hit[1]}{hit[2]}"


_BY_REGION: dict[str, Callable[[str], Iterator[str]]] = {
    "BR": _brazilian,
    "MX": _mexican,
    "AR": _argentine,
}

# -- two keys of one line --

_CORES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\+549(\d{10})"), r"+54\1"),  # 9 marks a mobile that is called from abroad; it rings without
    (re.compile(r"\+521(\d{10})"), r"+52\1"),
    (re.compile(r"\+55(\d\d)9([6-9]\d{7})"), r"+55\1\2"),  # the ninth digit
)


def core_of(key: str) -> str:
    """A key without the mark that some exchanges add to it and others leave out."""
    for pattern, plain in _CORES:
        if hit := pattern.fullmatch(key):
            return hit.expand(plain)
    return key


def may_be_one_line(one: str, other: str) -> bool:
    """Whether two different numbers of one country may ring one phone: never certain, but worth a question."""
    return core_of(one) == core_of(other)

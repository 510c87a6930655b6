"""Whether a list's numbers were written in the country in which they are read.

`030 12345678` is a number in Germany and none in Russia. One such number is a slip; a whole list of them was written
elsewhere, and everybody in it would be kept under a number that never calls. So they are counted before anything is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import phonenumbers

from telephony.numbers.numbers import Written, is_certain

LEAST_NUMBERS = 3  # two numbers are two slips
STRANGE_SHARE = 0.3  # of what was written without a country code: fewer are slips
STRANGE_ANYWHERE_SHARE = 0.5  # from here on it is said although no other country fits
FITTING_SHARE = 0.9  # in the country in which a list was written nearly all of it exists
LOOKED_AT_FIRST = 8  # numbers tried in each of the 245 countries, some 0.1 s; then only where they fit
LOOKED_AT = 60
COUNTRIES_MOST = 6  # where more fit, numbers are so short that they say nothing
SHORTEST_TELLING = 8  # digits; seven are a number in some country whatever they are
LONGEST_KEPT = 15  # digits of E.164
COUNTRIES: Mapping[str, int] = {
    region: phonenumbers.country_code_for_region(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)
}
"""Every country that a list may have been written in → its code, without the plus."""
_DIGITS = re.compile(r"\D")


@dataclass(frozen=True, slots=True)
class RegionDoubt:
    """What speaks against the country in which a list was read."""

    region: str
    """In which it was read."""
    numbers: int
    """How many numbers stand without a country code."""
    strange: int
    """How many of those exist nowhere in that country."""
    fits: tuple[str, ...]
    """Countries in which nearly all of them exist, best first."""


class RegionCheck:
    """Takes the numbers of a list, and says at its end whether another country is meant."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._numbers = 0
        self._strange = 0
        self._sample: dict[str, None] = {}

    def take(self, numbers: Iterable[Written]) -> None:
        """Some more of them."""
        for one in numbers:
            digits = _DIGITS.sub("", one.raw)
            if one.extension or not _says_no_country(one, digits):
                continue
            self._numbers += 1
            self._strange += not is_certain(one.key)
            if len(self._sample) < LOOKED_AT:
                self._sample.setdefault(digits)

    def doubt(self) -> RegionDoubt | None:
        """What there is to say; None when the list fits, or says too little."""
        if self._numbers < LEAST_NUMBERS or self._strange < STRANGE_SHARE * self._numbers:
            return None
        fits = self._fitting()
        if not fits and self._strange < STRANGE_ANYWHERE_SHARE * self._numbers:
            return None
        return RegionDoubt(self._region, self._numbers, self._strange, fits)

    def _fitting(self) -> tuple[str, ...]:
        sample = list(self._sample)
        first = sample[:: max(1, len(sample) // LOOKED_AT_FIRST)]
        found = {}
        for region in [other for other in COUNTRIES if other != self._region]:
            if _share(first, region) >= FITTING_SHARE and (share := _share(sample, region)) >= FITTING_SHARE:
                found[region] = share
        for region in [one for one in found if _stands_for(one) in found.keys() - {one}]:
            del found[region]  # Åland beside Finland
        best = sorted(found, key=lambda region: (-found[region], region))
        return tuple(best) if len(best) <= COUNTRIES_MOST else ()


def _says_no_country(one: Written, digits: str) -> bool:
    """Whether it was written without a country code, and is long enough to tell a country."""
    if not SHORTEST_TELLING <= len(digits) <= LONGEST_KEPT:
        return False
    if one.raw.lstrip(" (").startswith(("+", "00")):
        return False
    return not (is_certain(one.key) and one.key == f"+{digits}")


def _stands_for(region: str) -> str:
    """The country that a code is known for."""
    return phonenumbers.region_code_for_country_code(COUNTRIES[region])


def _share(sample: list[str], region: str) -> float:
    return sum(_exists(digits, region) for digits in sample) / len(sample)


def _exists(digits: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number_for_region(phonenumbers.parse(digits, region), region)
    except phonenumbers.NumberParseException:
        return False

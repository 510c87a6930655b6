"""How a typed number finds the calls with it.

Numbers are kept as E.164 where the PBX's rules could tell, else as they came. People type them in any spelling, with
or without country and trunk prefix, so two digits strings are compared from their end: whole numbers by the last ten
digits, shorter ones as "ends with".
"""

from __future__ import annotations

import unicodedata

from telephony.errors import PeerMistake
from telephony.numbers.numbers import without_extension

WHOLE = (
    10  # digits that name a subscriber within a country; shorter national numbers are found as "ends with"
)
FEWEST = 3  # fewer would match a tenth of all calls
_ZERO_PREFIXED = (
    8  # from this many digits on a leading zero is a trunk or international prefix, not part of a tail
)


def digits_of(text: str) -> str:
    """Only the digits, those of other scripts as 0 to 9."""
    return "".join(str(unicodedata.decimal(character)) for character in text if character.isdecimal())


def last_ten(number: str) -> str:
    """What a whole number is found by."""
    return digits_of(number)[-WHOLE:]


def typed_digits(typed: str) -> str:
    """The digits to look for at the end of numbers: no extension, no trunk or international prefix, at most ten.

    Raises PeerMistake when there are fewer than three.
    """
    digits = digits_of(without_extension(typed))
    if len(digits) >= _ZERO_PREFIXED:
        digits = digits.lstrip("0") or digits
    if len(digits) < FEWEST:
        raise PeerMistake(
            "A number can be searched by three digits or more.", remedy="Type the last digits of the number."
        )
    return digits[-WHOLE:]

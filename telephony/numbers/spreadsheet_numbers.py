"""What spreadsheets and programs for tables make of a telephone number: a figure to reckon with.

`79161230001.0` is a number that went through a program as a floating-point figure; `7,9161230001E+10` is one that can be
read back digit by digit; `7,91612E+10` has lost its last digits for good. Each is a rule of its own.
"""

from __future__ import annotations

import re

_FLOAT = re.compile(r"(?<![\d.,])(\d{7,18})[.,]0{1,6}(?![\d.,])")
_SCIENTIFIC = re.compile(
    r"(?<![\w.,])\+?(\d)(?:[.,](\d{1,17}))?[eEеЕ]\+?(\d{1,2})(?![\w.,])"
)  # both alphabets' E
SHORTEST = 7  # digits; 1,5E+3 is a price


def is_shortened(text: str) -> bool:
    """Whether a figure in the text lost digits of a telephone number: `7,91612E+10`."""
    return any(_whole(hit) is None and int(hit[3]) + 1 >= SHORTEST for hit in _SCIENTIFIC.finditer(text))


def restore_figures(text: str, *, filler: str) -> str:
    """The text with numbers as they were before a program reckoned with them, at the same places.

    What cannot be restored becomes `filler`, letter by letter; so does what was left over.
    """
    text = _FLOAT.sub(lambda hit: hit[1] + " " * (len(hit[0]) - len(hit[1])), text)
    return _SCIENTIFIC.sub(
        lambda hit: (_whole(hit) or "").ljust(len(hit[0]), " " if _whole(hit) else filler), text
    )


def _whole(hit: re.Match[str]) -> str | None:
    """Every digit of the figure, where it tells every digit; a zero at the end of a fraction is not written."""
    digits, exponent = hit[1] + (hit[2] or ""), int(hit[3])
    if not SHORTEST <= exponent + 1 <= 15 or len(digits) > exponent + 1 or len(digits) < exponent:
        return None
    return digits.ljust(exponent + 1, "0")

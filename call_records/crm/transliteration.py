"""How a name and a typed word are spelled so that they meet: small Latin letters, digits and single spaces, nothing else.

The same is done to what is kept (`clients.search`) and to what is typed. So `müller`, `Muller` and `МЮЛЛЕР` are looked for
alike, `ё` is `е`, a quotation mark before a name is no part of it, and nothing typed can mean anything to LIKE. It
also keeps the trigram index honest: a database whose locale is C takes no letter beyond ASCII for a letter, and would read
the whole index for every Cyrillic word.

Scripts without a table here (Georgian, Greek, Chinese, …) are spelled by their code points: they are found by
themselves, only not by a transliteration.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

LETTERS = {
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "ye", "ж": "zh", "з": "z",
    "и": "i", "і": "i", "ї": "yi", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r",
    "с": "s", "т": "t", "у": "u", "ў": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "",
    "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya", "ł": "l", "ø": "o", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe",
    "ı": "i", "þ": "th", "ð": "d", "'": "", "’": "", "`": "",
}  # fmt: skip
"""Apostrophes are left out: O'Neil and ONeil, Мар'яна and Марьяна are the same people."""


_ASCII_LETTERS = {
    code: LETTERS.get(chr(code), chr(code) if chr(code).isalnum() else " ") for code in range(128)
}
"""What most names and every digit need; one pass of `str.translate` costs a tenth of a letter at a time."""


def spelled(text: str) -> str:
    """The words of the text, a space between them."""
    if text.isascii():
        return " ".join(text.lower().translate(_ASCII_LETTERS).split())
    letters = "".join(_letter(char) for char in unicodedata.normalize("NFKC", text).lower())
    return " ".join(letters.split())


@lru_cache(maxsize=4096)  # the letters of a few scripts; a name has thirty
def _letter(char: str) -> str:
    known = LETTERS.get(char)
    if known is not None:
        return known
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char.isascii():
        return char if char.isalnum() else " "
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
    if plain != char:
        return "".join(_letter(part) for part in plain)
    return f"u{ord(char):x}" if char.isalnum() else " "

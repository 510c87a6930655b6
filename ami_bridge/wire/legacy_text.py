"""Text that is not UTF-8: names as older PBXes and gateways send them, in the code page of their country.

A name is told as it was meant, or not at all: a page that fits one name as well as another decides nothing. What is
never done is to show replacement characters. Numbers and the PBX's own words are ASCII and are not concerned.
"""

from __future__ import annotations

import re
import unicodedata

UNREADABLE = "\N{REPLACEMENT CHARACTER}"
CYRILLIC_PAGES = ("cp1251", "koi8-r", "cp866", "iso8859-5")
"""The likeliest first. What one writes in small letters is capitals in the next: such names decide nothing."""
LATIN_PAGES = ("cp1252", "cp1250", "cp1254")
LEAST_VOWELS = 0.2  # of the letters of a Cyrillic name; Scriabin and Alexander have 0.29 and more
_WORD = re.compile(r"[^\W\d_]+")
_CUT = re.compile(f"{UNREADABLE}+")
_VOWELS = frozenset("аеёиоуыэюяіїєў")
_LETTERS = frozenset("абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў")
_BESIDE_WORDS = "№"
_WESTERN = re.compile("ñ[aeiouáéíóú]|ã[oe]|õe", re.IGNORECASE)
"""What no language of Central Europe writes: with one of these the Western page is meant."""
_MOST_CONSONANTS = re.compile(r"[бвгджзйклмнпрстфхцчшщ]{5}")


def text_of(data: bytes) -> str:
    """The text; each line that is not UTF-8 is read in the one code page that makes words of it, if there is one."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(_line(line) for line in data.split(b"\n"))


def _line(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return old_text(data) or _without_a_cut(data.decode("utf-8", "replace"))


def _without_a_cut(text: str) -> str:
    """A name in UTF-8 that was cut within a letter loses that letter only: Asterisk cuts at 79 bytes."""
    cuts = _CUT.findall(text)
    sound = any(not letter.isascii() for letter in text.replace(UNREADABLE, ""))
    return _CUT.sub("", text) if len(cuts) == 1 and sound else text


def old_text(data: bytes) -> str | None:
    """The one way to read these bytes as words of a language; None when there is none, or more than one."""
    for page in CYRILLIC_PAGES:
        text = _as(data, page)
        if text and _reads_as_cyrillic(text) and (page == CYRILLIC_PAGES[0] or not _in_capitals(text)):
            return text
    latin = {page: text for page in LATIN_PAGES if (text := _as(data, page)) and _reads_as_latin(text)}
    western = latin.get(LATIN_PAGES[0], "")
    if _WESTERN.search(western):
        return western
    readings = set(latin.values())
    return readings.pop() if len(readings) == 1 else None


def _as(data: bytes, page: str) -> str | None:
    try:
        return data.decode(page)
    except UnicodeDecodeError:
        return None


def _foreign(text: str) -> list[str]:
    """The words with letters beyond ASCII; empty when something beyond ASCII is no letter at all."""
    if not all(_belongs_to_text(letter) for letter in text if not letter.isascii()):
        return []
    return [word for word in _WORD.findall(text) if not word.isascii()]


def _in_capitals(text: str) -> bool:
    return all(map(str.isupper, _foreign(text)))


def _belongs_to_text(letter: str) -> bool:
    return letter.isalpha() or letter in _BESIDE_WORDS or unicodedata.category(letter) in ("Pi", "Pf", "Pd")


def _reads_as_cyrillic(text: str) -> bool:
    words = _foreign(text)
    letters = "".join(words).lower()
    return (
        bool(words)
        and _LETTERS.issuperset(letters)
        and all(map(_cased, words))
        and not all(map(str.islower, words))
        and sum(letter in _VOWELS for letter in letters) >= LEAST_VOWELS * len(letters)
        and not _MOST_CONSONANTS.search(letters)
    )


def _reads_as_latin(text: str) -> bool:
    words = _foreign(text)
    return bool(words) and all(
        _is_latin(word) and _cased(word) and any(map(str.isascii, word)) for word in words
    )


def _is_latin(word: str) -> bool:
    return all(unicodedata.name(letter, "").startswith("LATIN") for letter in word)


def _cased(word: str) -> bool:
    """As names are written: Anna, ANNA, anna; never aNNA or AnNa."""
    return word in (word.upper(), word.lower(), word[:1].upper() + word[1:].lower())

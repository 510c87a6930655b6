"""How names and typed words are spelled so that they meet. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from call_records.crm.contacts.search import patterns
from call_records.crm.transliteration import _letter, spelled
from call_records.crm.writes import Home


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("ООО «Ромашка»", "ooo romashka"),
        ("Müller-Lüdenscheid", "muller ludenscheid"),
        ("Семён", "semen"),
        ("O'Neil", "oneil"),
        ("ivan_p@mail.ru", "ivan p mail ru"),
        ("٣٤", "34"),
        ("50%_\\", "50"),
        ("\x00\ud800", ""),
    ],
)
def test_how_words_are_spelled(typed: str, expected: str) -> None:
    """The same for what is kept and for what is typed; nothing that means anything to LIKE is left."""
    assert spelled(typed) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_letters_are_spelled_as_one_by_one(typed: str) -> None:
    """ASCII goes another, quicker way to the same spelling."""
    letters = "".join(_letter(char) for char in typed.lower())
    assert spelled(typed) == " ".join(letters.split())


@given(st.text())
def test_whatever_is_typed_only_letters_and_digits_are_asked_for(typed: str) -> None:
    """No typed text reaches the database as a pattern."""
    for way in patterns(typed, Home()):
        for part in way:
            assert part.replace(" ", "").isalnum()
            assert part.isascii()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Ivan Щукин", [["ivan", "shchukin"]]),
        ("ив 4107", [[" iv", "4107"]]),
        ("4107", [["4107 "], [" 4107"]]),
        ("+7 (916) 555-41-07", [["9165554107 "]]),
        ("8 916 555 41 07", [["9165554107 "]]),
        ("тел. 8 916 555-41-07", [["tel", " 8", "916", "555 41 07"], ["9165554107 "]]),
        ("12", [[" 12"]]),
        ("36,6", [["36 6"], ["366 "], [" 366"]]),
        ("***", []),
    ],
)
def test_what_is_looked_for(typed: str, expected: list[list[str]]) -> None:
    """Words anywhere, short ones at the beginning of a word; a number by its end or its beginning."""
    assert list(patterns(typed, Home())) == expected

"""Acceptance 9: what people write as a telephone number, and what it is known by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from telephony.numbers.dialling import ANYWHERE, _valid_number
from telephony.numbers.numbers import Numbering, Written, is_certain, without_extension, written
from telephony.numbers.phone_labels import EXTENSION_WORDS
from telephony.numbers.phone_text_parser import _LABEL, _NO_NUMBERS, _SCHEME, _plain, _plain_character
from telephony.numbers.spreadsheet_numbers import restore_figures

TABLE = Path(__file__).with_name("written_numbers.tsv")
FORMS_LEAST = 200


@dataclass(frozen=True)
class Form:
    """A line of the table: what is written in which office, and what it is known by."""

    text: str
    expected: str
    region: str
    area_code: str
    outside_prefix: str

    def read(self) -> tuple[Written, ...]:
        return written(self.text, self.region, self.area_code, self.outside_prefix)


def forms() -> list[Form]:
    """The table. `\\n` and `\\u00a0` in it stand for what cannot be seen; a line with `#` says whose office it is."""
    found, office = [], {"region": "RU"}
    for line in TABLE.read_text("utf-8").splitlines():
        if line.startswith("# "):
            office = dict(pair.split("=") for pair in line.split("|")[1].split())
            continue
        expected, _, text = line.partition("\t")
        text = re.sub(r"\\u([0-9a-f]{4})", lambda hit: chr(int(hit[1], 16)), text)
        for shown, meant in (("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ('\\"', '"')):
            text = text.replace(shown, meant)
        found.append(Form(text, expected, office["region"], office.get("area", ""), office.get("prefix", "")))
    return found


def told(found: tuple[Written, ...]) -> str:
    """`+74951234567 x12, 112`; `-` for a text without a number."""
    return ", ".join((one.key or "-") + (f" x{one.extension}" if one.extension else "") for one in found)


@pytest.mark.parametrize("form", forms(), ids=lambda form: f"{form.region} {form.text!a}")
def test_a_written_form(form: Form) -> None:
    """Each line of the table."""
    assert told(form.read()) == form.expected


def test_the_table_is_long_enough() -> None:
    """At least two hundred forms, each once."""
    lines = forms()
    assert len({(one.text, one.region, one.area_code, one.outside_prefix) for one in lines}) == len(lines)
    assert len(lines) >= FORMS_LEAST


def test_what_was_written_is_kept() -> None:
    """One number keeps its whole text; of several each keeps its own piece, with its extension."""
    (one,) = written("call Anna 8 (495) 123-45-67 after 6", "RU")
    assert one.raw == "call Anna 8 (495) 123-45-67 after 6"
    pieces = written("8 (495) 123-45-67 доб. 12, моб. 8 916 123-45-67", "RU")
    assert [one.raw for one in pieces] == ["8 (495) 123-45-67 доб. 12", "8 916 123-45-67"]
    assert [one.last10 for one in pieces] == ["4951234567", "9161234567"]


def test_a_line_is_got_before_a_number_is_dialled() -> None:
    """The office dials 9 first: the call is told as the number that was called, with or without it."""
    office = Numbering(outside_prefix="9")
    assert {office.party(raw) for raw in ("989161234567", "89161234567", "+79161234567")} == {"+79161234567"}
    assert office.party("9112") == "9112"


DECORATIONS = st.lists(
    st.sampled_from(["", " ", "-", ".", " - ", "\u00a0", "\u2009", "/", "("]), min_size=10, max_size=10
)
NATIONAL = (
    st.sampled_from(["916", "495", "812", "905", "343"])
    .flatmap(lambda area: st.integers(1_000_000, 9_999_999).map(lambda rest: f"{area}{rest}"))
    .filter(lambda national: is_certain("+7" + national))
)


@given(
    national=NATIONAL,
    before=st.sampled_from(
        ["+7", "8", "7", "+7 ", "8 ", "007", "810 7", "8 10 7 ", "tel:+7", "тел. 8 ", "Anna +7"]
    ),
    between=DECORATIONS,
    behind=st.sampled_from(["", " ", ", Анна", " (work)", ";"]),
)
def test_any_spelling_of_a_number_is_the_same_number(
    national: str, before: str, between: list[str], behind: str
) -> None:
    """Whatever stands between, before and behind the digits."""
    spelled = "".join(digit + gap for digit, gap in zip(national, [*between[:9], ""], strict=True))
    (one,) = written(before + spelled.replace("(", " (") + behind, "RU")
    assert one.key == f"+7{national}"


@given(text=st.text(max_size=60) | st.text(alphabet="0123456789+()-. /,;#*xдобext\n", max_size=40))
@example("8 (495) 123-45-67, доб. 12; +7 916 1234567")
@example("²")
@example("٣٤+-")
def test_reading_a_text_never_fails_and_a_key_is_known_by_itself(text: str) -> None:
    """Arbitrary text: something comes back, nothing is lost, and reading a key again gives that key."""
    found = written(text, "RU", "495", "9")
    assert found
    assert len(found) > 1 or found[0].raw == text
    for one in found:
        if one.key is not None and is_certain(one.key):
            assert [each.key for each in written(one.key, "RU", "495", "9")] == [one.key]


@given(
    word=st.sampled_from([word for words in EXTENSION_WORDS.values() for word in words]), dot=st.booleans()
)
def test_every_word_for_an_extension_is_one(word: str, dot: bool) -> None:
    """In the table of words, in both cases, with and without a dot; also where a number is typed to be searched."""
    for spelled in (word, word.upper(), word.title()):
        text = f"8 (495) 123-45-67 {spelled}{'.' if dot else ''} 12"
        assert told(written(text, "RU")) == "+74951234567 x12"
        assert without_extension(text).strip() == "8 (495) 123-45-67"


@pytest.mark.parametrize("region", ["RU", "KZ", "US", "DE", "IT", "MX", "BR"])
@given(digits=st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z"))
@example(digits="+5215512345678")
@example(digits="+390612345678")
@example(digits="+78001234567")
def test_a_number_with_its_country_is_the_same_everywhere(region: str, digits: str) -> None:
    """It is looked up once, whoever asks."""
    assert _valid_number(digits, region) == _valid_number(digits, ANYWHERE)


@given(st.from_regex(r"\A[0-9+() ]{0,24}\Z"))
def test_digits_alone_have_nothing_to_cover(text: str) -> None:
    """What is looked for in words, dates and addresses is not looked for in digits and brackets."""
    every_rule = _SCHEME.sub("?", restore_figures(text, filler="?"))
    assert _NO_NUMBERS.sub("?", every_rule) == _LABEL.sub("?", every_rule) == text


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_is_read_as_one_by_one(text: str) -> None:
    """ASCII goes another, quicker way to the same text."""
    assert _plain(text) == "".join(_plain_character(one) for one in text)

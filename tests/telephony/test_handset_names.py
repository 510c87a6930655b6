"""What a desk phone shows of a caller."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.handset_names import (
    BYTES,
    COLUMNS,
    HandsetDisplay,
    clean,
    dialable,
    handset_display,
    to_latin,
    width,
)
from telephony.ports import CallerAnswer
from tests.examples import examples

SAFE_IN_QUOTES = set('"\\`$<>{}|;^[]')


def shown(name: str | None, company: str | None = None) -> HandsetDisplay:
    return handset_display(CallerAnswer(name, company))


@pytest.mark.parametrize(
    ("name", "company", "full", "latin"),
    [
        ("Иванов Пётр", "ООО «Ромашка»", "Иванов Пётр, ООО «Ромашка»", "Ivanov Pyotr, OOO Romashka"),
        ("Anna Belova", None, "Anna Belova", "Anna Belova"),
        (None, "Größe & Söhne", "Größe & Söhne", "Grosse & Sohne"),
        ("Ромашка", "РОМАШКА", "Ромашка", "Romashka"),
        ("李小龍", "Dragon Ltd", "李小龍, Dragon Ltd", "Dragon Ltd"),
        ("王", None, "王", ""),
        (None, None, "", ""),
        ("  ", "??", "", ""),
        (
            "Константинопольская Александра",
            "ООО",
            "Константинопольская Александра",
            "Konstantinopolskaya Aleksandra",
        ),
        (
            "Иванов Пётр",
            "Управляющая компания «Домовой»",
            "Иванов Пётр, Управляющая компани",
            "Ivanov Pyotr, Upravlyayushchaya",
        ),
    ],
)
def test_name_and_company(name: str | None, company: str | None, full: str, latin: str) -> None:
    """The company gives way to the name; what cannot be written in Latin letters is left out, never `????`."""
    assert shown(name, company) == HandsetDisplay(full, latin, ())


@pytest.mark.parametrize(
    ("written", "latin"),
    [
        ("Щукина Юлия", "Shchukina Yuliya"),
        ("ЩУКИНА ЮЛИЯ", "SHCHUKINA YULIYA"),
        ("Подъячев Илья", "Podyachev Ilya"),
        ("Ж. Иванов", "Zh. Ivanov"),
        ("Григорій Їжак", "Hryhoriy Yizhak"),
        ("Мар'яна Гнатюк, Є.", "Mar'yana Hnatyuk, Ye."),
        ("Сяргей Ўладзіміравіч", "Syarhey Uladzimiravich"),
        ("Гүлім Игоревна", "Gulim Igorevna"),
        ("Нұрсұлтан Әбішұлы", "Nursultan Abishuly"),
        ("Ђорђе Његош", "Djordje Njegosh"),
        ("Γιώργος Παπαδόπουλος", "Giorgos Papadopoulos"),
        ("ΟΥΡΑΝΟΣ Μπάμπης", "OURANOS Bampis"),
        ("Łukasz Żółć", "Lukasz Zolc"),
        ("Þórður Æsir", "Thordur Aesir"),
        ("Çağrı Şahin", "Cagri Sahin"),
        ("Nguyễn Thị Đào", "Nguyen Thi Dao"),
        ("Əliyev", "Aliyev"),
        ("“Ромашка” — №1", "Romashka - No1"),
        ("ﬁn Ⅷ", "fin VIII"),
        ("გიორგი", ""),
        ("Иван 李", ""),
        ("😀 Анна", ""),
    ],
)
def test_latin_letters(written: str, latin: str) -> None:
    """Each language's own letters; half a name is a wrong name, so one unknown letter leaves all of it out."""
    assert to_latin(written) == latin


@pytest.mark.parametrize(
    ("evil", "harmless"),
    [
        ("Ivan\r\nEXEC System rm", "Ivan EXEC System rm"),
        ('Ivan" <sip:evil@x>;tag', "Ivan sip:evil@x tag"),
        ("${SHELL(id)} $[1+1]", "SHELL(id) 1+1"),
        ("Ivan\u202enavI\u2066", "IvannavI"),
        ("a\x00b\x1b[31mc", "a b 31mc"),
        ("\u2028line\u2029", "line"),
        ("soft\u00adhyphen z\u200bero", "softhyphen zero"),
        ("\ud800half", "half"),
    ],
)
def test_what_a_phone_or_dialplan_could_obey(evil: str, harmless: str) -> None:
    """Line breaks, quotes, expressions, terminal and direction codes are gone; the letters stay."""
    assert clean(evil) == harmless


def test_quotes_that_only_look_different() -> None:
    """Full-width quotes and braces would become plain ones on their way into ASCII."""
    display = shown("＂a＂ ＄｛SHELL｝")
    assert display.latin == "a SHELL"


@settings(max_examples=examples(60))
@given(st.text(max_size=200) | st.none(), st.text(max_size=200) | st.none())
def test_whatever_the_book_holds(name: str | None, company: str | None) -> None:
    """One short line that may stand between quotes anywhere, and Latin is Latin."""
    display = shown(name, company)
    for text in (display.full, display.latin):
        assert not SAFE_IN_QUOTES & set(text)
        assert not any(unicodedata.category(character)[0] == "C" for character in text)
        assert width(text) <= COLUMNS
        assert len(text.encode()) <= BYTES
        assert text == text.strip()
    assert display.latin.isascii()


def test_a_field_of_a_megabyte() -> None:
    """An import went wrong. Looked at in a moment, cut to a line."""
    assert width(shown("Я" * 1_000_000).full) == COLUMNS
    assert len(shown("e" + "\u0301" * 1_000_000).full.encode()) <= BYTES


def test_only_extensions_are_rung() -> None:
    """Dial strings, outside numbers and repetitions are left out; three phones at most."""
    told = (
        "102",
        "&Local/101@x",
        "102",
        "8",
        "+79161234567",
        "123456789",
        "１０３",
        "103",
        "104\n",
        "104",
        "105",
        "106",
    )
    assert dialable(told) == ("102", "103", "104")

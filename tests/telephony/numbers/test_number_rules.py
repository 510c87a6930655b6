"""What dialled, withheld and hostile texts mean: rules that hold beside the table of written forms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ami_bridge.translate import translate
from ami_bridge.wire.message import message_from_headers
from telephony.numbers import phone_text_parser
from telephony.numbers.national_numbers import may_be_one_line
from telephony.numbers.numbers import Numbering, is_recognised, is_withheld, without_extension, written
from telephony.numbers.phone_text_parser import READINGS_MOST, RUNS_MOST
from telephony.numbers.spreadsheet_numbers import is_shortened
from telephony.numbers.withheld import SPELLINGS
from telephony.state import signals
from tests.growth import check_growth


@pytest.mark.parametrize(
    ("dialled", "meant"),
    [
        ("0017699988877", "+4917699988877"),
        ("0015112345678", "+4915112345678"),
        ("0015712345678", "+4915712345678"),
        ("017699988877", "+4917699988877"),
        ("0030123456", "+4930123456"),
        ("00049301234567", "+49301234567"),
        ("000442079460958", "+442079460958"),
    ],
)
def test_a_prefix_that_an_own_phone_dialled_is_a_prefix(dialled: str, meant: str) -> None:
    """In Germany a line is got with 0: what follows may begin with another 0, and is no number abroad."""
    office = Numbering(region="DE", area_code="", outside_prefix="0")
    assert office.party(dialled, dialled_here=True) == meant


def test_what_a_caller_shows_has_no_prefix() -> None:
    """The same digits as a caller id are a number in the USA."""
    assert Numbering(region="DE", outside_prefix="0").outside("0017699988877") == "+17699988877"


@pytest.mark.parametrize(
    "spelled",
    [
        *sorted({spelling for spellings in SPELLINGS.values() for spelling in spellings}),
        *(
            "Anonymous",
            "ANONYMOUS",
            '"Anonymous"',
            "<unknown>",
            "Unavailable",
            "RESTRICTED",
            "Private",
            "0",
            "-",
            "--",
        ),
        *(
            "sip:anonymous@anonymous.invalid",
            "anonymous@anonymous.invalid",
            "Anonymous <anonymous>",
            "0000000000",
        ),
        *("no_number", "Private Number", "Номер скрыт", "unknown@192.0.2.1"),
    ],
)
def test_spellings_of_withheld(spelled: str) -> None:
    """Carriers have many words for it."""
    assert is_withheld(spelled)


@pytest.mark.parametrize(
    "shown", ["101", "00", "112", "+79161234567", "Anna", "anna@example.com", "000000", "*97", "70000000000"]
)
def test_what_is_not_withheld(shown: str) -> None:
    """Neighbours of the spellings."""
    assert not is_withheld(shown)


def test_a_row_of_sevens_is_withheld_only_where_it_is_no_number() -> None:
    """777777777 exists in Poland and in Czechia."""
    assert Numbering(region="RU").is_withheld("777777777")
    assert Numbering(region="RU").is_withheld("9999999999999")
    assert not Numbering(region="PL").is_withheld("777777777")
    assert not Numbering(region="RU").is_withheld("+79161234567")


@pytest.mark.parametrize("before", [[], ["CDR(x)=1"], ["a=1", "b=2"]])
def test_a_presentation_that_is_not_the_first_variable(before: list[str]) -> None:
    """manager.conf may ask for several variables of a channel; each comes as a header of its own."""
    headers = [
        ("Event", "Newchannel"),
        ("Channel", "PJSIP/trunk-1"),
        ("Uniqueid", "1.1"),
        ("CallerIDNum", "89161234567"),
    ]
    variables = [*before, "CALLERID(num-pres)=prohib_passed_screen"]
    message = message_from_headers([*headers, *(("ChanVariable", one) for one in variables)], 1.0)
    assert message is not None
    (began,) = translate(message)
    assert isinstance(began, signals.ChannelBegan)
    assert began.look.withheld


def test_a_presentation_that_is_allowed() -> None:
    """The neighbour: several variables and a number that may be shown."""
    headers = [
        ("Event", "Newchannel"),
        ("Channel", "PJSIP/trunk-1"),
        ("Uniqueid", "1.1"),
        ("ChanVariable", "a=1"),
    ]
    message = message_from_headers(
        [*headers, ("ChanVariable", "CALLERID(num-pres)=allowed_not_screened")], 1.0
    )
    assert message is not None
    (began,) = translate(message)
    assert isinstance(began, signals.ChannelBegan)
    assert not began.look.withheld


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("+5491123456789", "+541123456789", True),
        ("+5215512345678", "+525512345678", True),
        ("+5511981234567", "+551181234567", True),
        ("+5493415123456", "+541123456789", False),
        ("+79161234567", "+19161234567", False),
        ("+5511281234567", "+551181234567", False),
    ],
)
def test_two_spellings_of_one_line(one: str, other: str, alike: bool) -> None:
    """Argentina's 9, Mexico's 1, Brazil's ninth digit; and two countries' numbers that end alike."""
    assert may_be_one_line(one, other) is alike


@pytest.mark.parametrize(
    ("text", "kept"),
    [("abc", False), ("12", False), ("", False), ("доб. 12", False), ("112", True), ("101", True), ("*97", True),
     ("8 916 123-45-67", True), ("7,91612E+10", False), ("***", False), ("###", False)],
)  # fmt: skip
def test_what_may_be_kept_as_a_number(text: str, kept: bool) -> None:
    """Nothing is stored as a number that holds none."""
    assert any(is_recognised(one) for one in written(text, "RU")) is kept


@pytest.mark.parametrize(
    ("text", "shortened"),
    [("7,91612E+10", True), ("7.91612e+10", True), ("8E+10", True), ("7.9161230001E+10", False), ("1,5E+3", False),
     ("79161230001.0", False), ("E+10", False)],
)  # fmt: skip
def test_a_number_that_a_spreadsheet_shortened(text: str, shortened: bool) -> None:
    """Said only where digits are lost."""
    assert is_shortened(text) is shortened


# -- hostile text --

SHAPES = (
    "_", "a", " ", "1 ", "1,", "1-", "1.", "1/", "1:", "1;", "1x", "1(", "+ ", "+", "(", "(0)", "@", "a@", "a.", "a@1",
    "12345 ", "8 916 123 45 67 ", "1 2 3 4 5 6 7 a", "ext ", "доб ", "8доб", "#1", "*1", "1E+", "1,5E+10", "инн 1 ",
    "http://", "de12 3456 ", "tel:", "wa.me/1", "12.03.", "\u202e1", "０xx1", "777777777 ",
)  # fmt: skip
"""What one may be tempted to read twice."""


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_a_text_asks_a_bounded_number_of_times(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 kB of it: what costs, asking whether digits are a number, is counted and not measured."""
    asked, runs = 0, 0
    real = phone_text_parser.e164
    real_pieces = phone_text_parser._pieces

    def counting(*given: str) -> str | None:
        nonlocal asked
        asked += 1
        return real(*given)

    def counting_pieces(*given, **named):  # type: ignore[no-untyped-def]
        nonlocal runs
        runs += 1
        return real_pieces(*given, **named)

    monkeypatch.setattr(phone_text_parser, "e164", counting)
    monkeypatch.setattr(phone_text_parser, "_pieces", counting_pieces)
    text = (shape * 20_000)[:20_000]
    for region in ("RU", "BR", "CN"):
        asked = runs = 0
        phone_text_parser.written.__wrapped__(text, region, "495", "9")
        assert asked <= READINGS_MOST
        assert runs <= 8 * RUNS_MOST  # a run of slashes is several


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "function", [without_extension, lambda text: written.__wrapped__(text, "RU", "495", "9"), is_withheld]
)
@pytest.mark.slow
def test_reading_a_text_grows_with_its_length(function: Callable[[str], object], shape: str) -> None:
    """Cubic reading took 13 s for 2,000 characters; four times the text would cost it 64 times as much."""
    check_growth(lambda size: function((shape * size)[:size] + "a"), 450)

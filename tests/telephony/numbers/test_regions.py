"""A list of numbers that was written in another country than it is read in is noticed; an ordinary list is not."""

from __future__ import annotations

import pytest

from telephony.numbers.numbers import is_certain, written
from telephony.numbers.regions import COUNTRIES, LEAST_NUMBERS, RegionCheck, RegionDoubt

GERMAN = [
    *(
        f"030 {line}"
        for line in ("1234567", "22334455", "39800", "90100200", "2273220", "25002333", "18681868")
    ),
    *("0151 12345678", "089 21800", "(0711) 2160", "040/428280", "0221-4710"),
]
FRENCH = ["06 12 34 56 78", "01 42 68 53 00", "07 60 12 34 56", "04 91 13 89 00", "05 56 10 20 30"]
AMERICAN = ["(415) 555-2671", "212-555-2368", "650 253 0000", "1-800-692-7753"]
RUSSIAN = ["8 916 123-45-67", "495 123 45 67", "8 (812) 123 45 67", "9161234567", "79161234568"]


def doubt(region: str, *texts: str) -> RegionDoubt | None:
    """What is said of these texts, read in that country."""
    check = RegionCheck(region)
    for text in texts:
        check.take(written(text, region, "", ""))
    return check.doubt()


@pytest.mark.parametrize(
    ("region", "texts", "meant"),
    [
        ("RU", GERMAN, "DE"),
        ("US", GERMAN, "DE"),
        ("PL", GERMAN, "DE"),
        ("RU", FRENCH, "FR"),
        ("RU", AMERICAN, "US"),
        ("KZ", FRENCH, "FR"),
    ],
)
def test_a_list_from_another_country(region: str, texts: list[str], meant: str) -> None:
    """It is said how many numbers exist nowhere here, and where they would."""
    told = doubt(region, *texts)
    assert told is not None
    assert told.region == region
    assert LEAST_NUMBERS <= told.numbers <= len(texts)
    assert told.strange >= 0.3 * told.numbers
    assert meant in told.fits
    assert set(told.fits) <= COUNTRIES.keys()


@pytest.mark.parametrize(
    ("region", "texts"),
    [
        ("DE", GERMAN),
        ("FR", FRENCH),
        ("US", AMERICAN),
        ("RU", RUSSIAN),
        # With a country code they are the same everywhere.
        ("RU", [f"+49{text[1:]}" for text in GERMAN if text[0] == "0"]),
        ("RU", ["0049 30 1234567", "0048 601 000 001", "0033 1 42 68 53 00"]),
        # Poland gave its 0 up, and old lists have it.
        ("PL", ["0-22 625 12 34", "0 22 625 12 35", "(0-12) 625 12 36"]),
        # Local numbers, short ones and words tell no country.
        ("RU", ["123-45-67", "765-43-21", "101", "112", "ask Anna", ""]),
        # Two slips in an ordinary list, and a list of two.
        ("RU", [*RUSSIAN, *RUSSIAN, "030 1234567", "22 625 12 34"]),
        ("RU", GERMAN[:2]),
        ("RU", []),
    ],
)
def test_an_ordinary_list_is_read_without_a_word(region: str, texts: list[str]) -> None:
    """Whoever is warned of nothing reads no warning."""
    assert doubt(region, *texts) is None


def test_numbers_that_exist_nowhere_are_said_without_a_country() -> None:
    """A column of something else."""
    told = doubt("RU", *(f"99{number:07}" for number in range(20)), *(f"00{number}" for number in range(3)))
    assert told is None or told.strange == told.numbers


def test_a_berlin_number_without_its_country_is_no_number_in_buryatia() -> None:
    """The list may be imported all the same: what nobody knows is found by its last ten digits, and by nothing wrong."""
    for region in ("RU", "KZ", "US"):
        (one,) = written("030 12345678", region, "", "")
        (caller,) = written("+49 30 12345678", region, "", "")
        assert not is_certain(one.key)
        assert one.last10 == caller.last10


def test_almaty_has_no_number_that_begins_with_1() -> None:
    """`valid` says whether the range exists: 727 312 does, 727 123 does not. Both are known by their digits, so that
    whoever calls from there tomorrow is found.
    """
    (made_up,) = written("+7 (727) 123-45-67", "RU", "", "")
    (real,) = written("+7 (727) 312-34-56", "RU", "", "")
    assert (made_up.key, is_certain(made_up.key)) == ("+77271234567", False)
    assert (real.key, is_certain(real.key)) == ("+77273123456", True)
    assert {written(text, "KZ", "", "")[0].key for text in ("8 727 123 45 67", "77271234567")} == {
        made_up.key
    }

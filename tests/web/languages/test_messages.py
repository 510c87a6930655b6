"""One process, several languages: sentences, tables of words, numbers of things, dates."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest
from babel import Locale
from babel.messages.catalog import Catalog

from telephony.errors import PeerMistake, SwitchhookError
from web.languages.catalogues import ENGLISH, Language, make_language
from web.languages.errors import translate_error, translate_sentence
from web.languages.formats import (
    full_date,
    full_date_with_weekday,
    month_name,
    short_date,
    sort_by_name,
    weekday,
)
from web.languages.messages import N_, Phrases, _, ngettext, speaking, use_language

WORDS = Phrases({"note": N_("Note"), "call": N_("Call")})


def polish() -> Language:
    """A language with three forms, and little in its catalogue."""
    catalogue = Catalog(locale="pl")
    catalogue.add("Note", "Notatka")
    catalogue.add(("1 deal", "{n} deals"), ("{n} transakcja", "{n} transakcje", "{n} transakcji"))
    catalogue.add("“{text}” is not a date.", "„{text}” nie jest datą.")
    catalogue.add("Something went wrong in Switchhook.", "Coś poszło nie tak.")
    return make_language("pl", Locale("pl"), catalogue)


def test_a_table_is_translated_when_it_is_read_not_when_it_was_made() -> None:
    assert WORDS["note"] == "Note"
    with speaking(polish()):
        assert WORDS["note"] == "Notatka"
        assert dict(WORDS) == {"note": "Notatka", "call": "Call"}
    assert WORDS.get("note") == "Note"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 transakcji"),
        (1, "1 transakcja"),
        (2, "2 transakcje"),
        (22, "22 transakcje"),
        (25, "25 transakcji"),
    ],
)
def test_a_number_of_things_has_the_form_of_the_language(number: int, said: str) -> None:
    with speaking(polish()):
        assert ngettext("1 deal", "{n} deals", number).format(n=number) == said


def test_what_a_catalogue_lacks_stays_english_and_the_empty_text_empty() -> None:
    with speaking(polish()):
        assert (_("Live"), _("")) == ("Live", "")


async def test_two_requests_at_once_speak_two_languages() -> None:
    both_here = asyncio.Barrier(2)

    async def request(language: Language) -> str:
        use_language(language)
        await both_here.wait()
        return _("Note")

    said = await asyncio.gather(*(asyncio.create_task(request(one)) for one in (ENGLISH, polish())))
    assert said == ["Note", "Notatka"]


def test_an_error_carries_its_values_apart_from_its_sentence() -> None:
    error = PeerMistake(
        "“{text}” is not a date.",
        remedy="Write it like {example}.",
        values={"text": "{x}", "example": "1.2."},
    )
    assert str(error) == "“{x}” is not a date."
    assert error.sentence == translate_sentence(error) == "“{x}” is not a date. Write it like 1.2.."
    with speaking(polish()):
        assert translate_error(error) == "„{x}” nie jest datą."
        assert translate_error(SwitchhookError()) == "Coś poszło nie tak."
    assert str(PeerMistake("a {brace} of somebody")) == "a {brace} of somebody"


def test_dates_are_written_as_the_language_does() -> None:
    day = date(2026, 9, 24)
    assert (short_date(day), full_date(day), month_name(day)) == ("24 Sep", "24 Sep 2026", "Sep 2026")
    assert (full_date_with_weekday(day), weekday(0), weekday(6, "wide")) == (
        "Thu 24 Sep 2026",
        "Mon",
        "Sunday",
    )
    with speaking(polish()):
        assert (short_date(day), full_date(day), weekday(6, "wide")) == ("24 wrz", "24 wrz 2026", "niedziela")


def test_names_are_sorted_as_in_a_dictionary() -> None:
    assert sort_by_name(["Zoe", "Östen", "adam", "Olga", "Ádam", "Adam"]) == [
        "adam",
        "Adam",
        "Ádam",
        "Olga",
        "Östen",
        "Zoe",
    ]

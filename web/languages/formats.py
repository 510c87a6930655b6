"""Dates, months, weekdays, lists and the order of names, as the language of the request writes them (CLDR, by Babel).

English is written as offices in Europe do, the day first. How sums and typed dates look belongs to the office's region
instead (`web/presenters/money.py`, `web/forms/date_fields.py`): two people of one office, each in a language of their own,
read and type the same figures.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from datetime import date
from typing import Literal, TypeVar

from babel.dates import format_date, format_skeleton, get_day_names
from babel.lists import format_list as format_list_of
from babel.numbers import format_decimal

from web.languages.catalogues import ENGLISH
from web.languages.messages import current_language

Item = TypeVar("Item")
_ENGLISH = {"MMMd": "d MMM", "yMMMd": "d MMM y", "yMMM": "MMM y", "yMMMEd": "EEE d MMM y"}


def short_date(day: date) -> str:
    """`20 Nov`: where the year is plain from what stands beside it."""
    return _by_skeleton("MMMd", day)


def full_date(day: date) -> str:
    """`20 Nov 2025`."""
    return _by_skeleton("yMMMd", day)


def full_date_with_weekday(day: date) -> str:
    """`Thu 20 Nov 2025`."""
    return _by_skeleton("yMMMEd", day)


def month_name(day: date) -> str:
    """`Dec 2025`: a month as it stands under a chart."""
    return _by_skeleton("yMMM", day)


def weekday(number: int, width: Literal["wide", "abbreviated"] = "abbreviated") -> str:
    """`Mon` or `Monday` for 0."""
    # Where a name stands alone, as in a list: some languages inflect it within a date.
    names = get_day_names(width, context="stand-alone", locale=current_language().locale)
    return str(names[number])


def whole_number(number: int) -> str:
    """`12,000`, `12 000`."""
    return format_decimal(number, locale=current_language().locale)


def list_of(items: Iterable[str]) -> str:
    """`Ada, Ben and Cem`."""
    return format_list_of(list(items), locale=current_language().locale)


def sort_by_name(items: Iterable[Item], name: Callable[[Item], str] = str) -> list[Item]:
    """In the order of a dictionary: marks and capitals count only between names that are else alike, so that Ö stands at
    O. (Which letters a language puts last, as Swedish does with Ö, would need the tables of ICU.)
    """
    return sorted(items, key=lambda item: sort_key(name(item)))


def sort_key(name: str) -> tuple[str, str]:
    """By what a name is sorted."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return plain.casefold(), name.casefold()


def _by_skeleton(skeleton: str, day: date) -> str:
    language = current_language()
    if language is ENGLISH:
        return format_date(day, _ENGLISH[skeleton], locale=language.locale)
    return format_skeleton(skeleton, day, locale=language.locale)

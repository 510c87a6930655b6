"""A made-up language that shows what is not ready for languages: made from every sentence in the sources, right to left.

Every sentence stands in brackets, so that what is not translated, or put together from pieces, is seen at once; its letters
carry accents; it is some 40 % longer, as German or Finnish is; and it has the six plural forms of Arabic, whose dates and
direction it takes. Its tag is the one that CLDR reserves for the purpose.
"""

from __future__ import annotations

import re
from functools import cache

from babel import Locale
from babel.messages.catalog import Catalog, Message

from web.languages.catalogues import Language, make_language, read_languages

TAG = "ar-XB"
OPENING, CLOSING = "⟦", "⟧"
LONGER = 0.4  # of the length; what short English words need is often more, sentences need less
_PLACEHOLDER = re.compile(r"(\{[^{}]*\})")
_ACCENTS = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "ÅƁÇÐÉƑĜĤÎĴĶĻṀÑÖÞǪŔŠŢÛṼŴẊÝŽåƀçðéƒĝĥîĵķļɱñöþǫŕšţûṽŵẋýž",
)
_VOWELS = frozenset("AEIOUaeiou")


def pseudo_text(message: str) -> str:
    """`⟦Ñöţéé⟧` for `Note`; the places of values stay as they are."""
    pieces = _PLACEHOLDER.split(message)
    missing = round(sum(len(piece) for piece in pieces[::2]) * LONGER)
    written = []
    for number, piece in enumerate(pieces):
        is_placeholder = number % 2 == 1
        if not is_placeholder:
            piece, missing = _lengthen(piece, missing)
            piece = piece.translate(_ACCENTS)
        written.append(piece)
    return OPENING + "".join(written) + CLOSING


def _lengthen(text: str, missing: int) -> tuple[str, int]:
    """Vowels are written twice until it is long enough; and how much is still missing."""
    longer = []
    for char in text:
        longer.append(char)
        if char in _VOWELS and missing > 0:
            longer.append(char.lower())
            missing -= 1
    return "".join(longer), missing


def pseudo_catalogue(template: Catalog) -> Catalog:
    """The template, translated."""
    catalogue = Catalog(locale="ar")
    for message in template:
        if message.id:
            catalogue.add(
                message.id, _forms(message, catalogue.num_plurals), message.locations, context=message.context
            )
    return catalogue


def _forms(message: Message, count: int) -> str | tuple[str, ...]:
    if isinstance(message.id, str):
        return pseudo_text(message.id)
    one, many = (pseudo_text(form) for form in message.id)
    return tuple(one if form == 1 else many for form in range(count))  # 1 is the form of a single thing


@cache
def pseudo_language() -> Language:
    """The language itself; gathering the sentences takes some seconds, once in a process."""
    from web.languages.extraction import make_template  # parsers that no service needs

    return make_language(TAG, Locale("ar"), pseudo_catalogue(make_template()), name=pseudo_text("Pseudo"))


def offered_languages(*, pseudo: bool) -> tuple[Language, ...]:
    """What an installation offers."""
    return (*read_languages(), pseudo_language()) if pseudo else read_languages()

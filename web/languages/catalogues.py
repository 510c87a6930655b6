"""The languages there are: a folder of `web/locale` each, with the catalogue as translators write it.

Catalogues are read from `messages.po` itself when the service starts, not from a compiled `.mo`: nothing has to be built
before a checkout or a package runs, and no compiled file can be older than what it was made of. It costs 0.2 s of computing
for each language, once; after that a sentence is one look-up in a dictionary.
"""

from __future__ import annotations

import gettext
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALE = Path(__file__).parents[1] / "locale"
SCRIPTS = "web/static/js/"
"""Sentences from here are sent to the browser."""
COUNTED = (1_000_000, *range(200, -1, -1))
"""Numbers in which every plural rule shows itself; the smallest number of a kind has the last word."""
TAGS_MOST = 20  # of an Accept-Language; browsers send five


@dataclass(frozen=True, slots=True)
class Language:
    """A language the pages speak."""

    tag: str
    """As HTML, HTTP and the account name it (BCP 47): `en`, `pt-BR`."""
    name: str
    """In the language itself."""
    locale: Locale
    """Whose dates, numbers and order of letters."""
    translations: gettext.NullTranslations = field(default_factory=gettext.NullTranslations, compare=False)
    script: bytes | None = field(default=None, compare=False)
    """What the scripts of the pages say, as a script that they load before themselves; None: English, which they hold."""

    @property
    def script_name(self) -> str | None:
        """Under which the pages load it."""
        return f"messages/{self.tag}.js" if self.script is not None else None

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`, for `dir`."""
        return self.locale.text_direction


ENGLISH = Language("en", "English", Locale("en"))


def read_catalogue(path: Path) -> Catalog:
    """A catalogue as it is written."""
    with path.open("rb") as file:
        return read_po(file)


def make_language(tag: str, locale: Locale, catalogue: Catalog, name: str | None = None) -> Language:
    """The language of a catalogue."""
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    own_name = name or (locale.get_display_name(locale) or tag).capitalize()
    translations = gettext.GNUTranslations(compiled)
    return Language(tag, own_name, locale, translations, _script(tag, locale, catalogue, translations))


def read_languages(folder: Path = LOCALE) -> tuple[Language, ...]:
    """English, then every language that has a catalogue."""
    others = (
        make_language(path.parent.name, Locale.parse(path.parent.name, sep="-"), read_catalogue(path))
        for path in sorted(folder.glob("*/messages.po"))
    )
    return (ENGLISH, *others)


def _script(tag: str, locale: Locale, catalogue: Catalog, translations: gettext.GNUTranslations) -> bytes:
    told = {
        "language": tag,
        "forms": _form_of_category(locale, translations),
        "messages": dict(_script_messages(catalogue)),
    }
    return f"globalThis.switchhookMessages = {json.dumps(told, ensure_ascii=False)};\n".encode()


def _form_of_category(locale: Locale, translations: gettext.GNUTranslations) -> dict[str, int]:
    """Which form of a catalogue belongs to what a browser calls `few`: found by counting, as both go by numbers."""
    form_of: Callable[[int], int] = translations.plural  # type: ignore[attr-defined]  # made of the catalogue's head
    return {locale.plural_form(number): form_of(number) for number in COUNTED}


def _script_messages(catalogue: Catalog) -> list[tuple[str, Any]]:
    return [
        (message.id if isinstance(message.id, str) else message.id[0], _forms(message.string))
        for message in catalogue
        if message.id
        and "fuzzy" not in message.flags
        and any(place.startswith(SCRIPTS) for place, _line in message.locations)
    ]


def _forms(said: Any) -> str | list[str]:
    return said if isinstance(said, str) else list(said or ())


class Languages:
    """What is on offer, and which of it somebody is answered in."""

    def __init__(self, offered: Sequence[Language] = (ENGLISH,)) -> None:
        self.offered = tuple(offered)
        self._by_tag = {language.tag.lower(): language for language in self.offered}

    def scripts(self) -> dict[str, bytes]:
        """The catalogues that scripts of the pages load, by name."""
        return {one.script_name: one.script for one in self.offered if one.script_name and one.script}

    def get(self, tag: str | None) -> Language | None:
        """The language of this tag, if we have it."""
        return self._by_tag.get(tag.lower()) if tag else None

    def choose(self, *, account: str | None, cookie: str | None, accepted: str) -> Language:
        """What an account says, else what was last used in this browser, else what the browser asks for, else English."""
        return self.get(account) or self.get(cookie) or self._accepted(accepted) or ENGLISH

    def _accepted(self, header: str) -> Language | None:
        for tag in accepted_tags(header):
            found = self.get(tag) or self.get(tag.partition("-")[0])
            if found is not None:
                return found
        return None


def accepted_tags(header: str) -> list[str]:
    """The tags of an `Accept-Language`, the dearest first; those with weight 0 and what cannot be read are left out."""
    weighed = []
    for wish in header.split(",")[:TAGS_MOST]:
        tag, _semicolon, parameter = wish.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter.strip() else 1.0
        except ValueError:
            continue
        if tag.strip() and weight > 0:
            weighed.append((weight, tag.strip()))
    return [tag for _weight, tag in sorted(weighed, key=lambda one: -one[0])]

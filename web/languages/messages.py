"""Sentences in the language of whoever reads them: `_` for one, `ngettext` for a number of things.

English is the source: a sentence is its own key, and what a catalogue does not have stays English. Values stand in a
sentence by name, `_("{name} was removed").format(name=name)`, so that a translation can put them where its grammar wants
them; a sentence is never put together from pieces.

Which language that is belongs to the request (`use_language`), or to whoever a stream renders for (`speaking`). So nothing
may be translated while a module is imported: a table of words is made of `N_`, which only marks a sentence for the
catalogues, inside `Phrases`, which translates when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from telephony.languages.phrases import N_, NN_
from web.languages.catalogues import ENGLISH, Language

__all__ = [
    "NN_",
    "N_",
    "Phrases",
    "_",
    "current_language",
    "gettext",
    "ngettext",
    "pgettext",
    "speaking",
    "use_language",
]

_spoken: ContextVar[Language] = ContextVar("language", default=ENGLISH)
Key = TypeVar("Key")


def current_language() -> Language:
    """What this request, or whoever is rendered for, reads."""
    return _spoken.get()


def use_language(language: Language) -> None:
    """From here on, to the end of this request."""
    _spoken.set(language)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """For the time of a block: one process renders for many."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def gettext(message: str) -> str:
    """The sentence in the language of the request."""
    # The empty text is the key of a catalogue's head.
    return _spoken.get().translations.gettext(message) if message else message


def ngettext(one: str, many: str, number: float) -> str:
    """The sentence for so many: a language may have up to six forms."""
    return _spoken.get().translations.ngettext(one, many, _whole(number))


def pgettext(context: str, message: str) -> str:
    """As `gettext`, where the same English words are two words elsewhere ("Open" a page, an "Open" deal)."""
    return _spoken.get().translations.pgettext(context, message)


_ = gettext


class Phrases(Mapping[Key, str]):
    """A table of words, each said in the language of whoever asks."""

    def __init__(self, words: Mapping[Key, str]) -> None:
        self._words = words

    def __getitem__(self, key: Key) -> str:
        return gettext(self._words[key])

    def __iter__(self) -> Iterator[Key]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, key: object) -> bool:
        return key in self._words


def _whole(number: float) -> int:
    """Plural rules of a catalogue count whole things; 1.5 of them are more than one in every language of ours."""
    return int(number) if number == int(number) else int(number) + 1

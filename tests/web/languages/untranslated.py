"""What a page in the made-up language still says in English: every letter of that language carries an accent, so a word of
plain letters is either somebody's data or was not translated.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from html.parser import HTMLParser

WORD = re.compile(r"[A-Za-z][A-Za-z’']+")
ADDRESS = re.compile(r"\S+@\S+|https?://\S+|(?<!\S)/\S*")
SAID_IN = frozenset({"title", "placeholder", "aria-label", "aria-valuetext", "alt"})
"""Attributes that people read or hear."""
DATA_IN = frozenset({"bdi", "code", "kbd", "script", "style", "textarea"})
"""Elements whose content is somebody's data, a key or a program."""
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)


class _Texts(HTMLParser):
    """Every text of a page that is not marked as data."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        # Another language than the page's, as a list of languages has, is meant.
        is_foreign = tag != "html" and "lang" in told
        is_data = tag in DATA_IN or is_foreign
        if not is_foreign and not self._is_data:
            self.texts += [told[name] or "" for name in SAID_IN & told.keys()]
            if tag == "input" and told.get("type") in ("submit", "button"):
                self.texts.append(told.get("value") or "")
        if tag not in VOID:
            self._open.append((tag, is_data))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, -1, -1):
            if self._open[place][0] == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._is_data:
            self.texts.append(data.strip())

    @property
    def _is_data(self) -> bool:
        return any(is_data for _tag, is_data in self._open)


def texts_of(html: str) -> list[str]:
    """Every text of a page that is not marked as data."""
    reader = _Texts()
    reader.feed(html)
    return reader.texts


def untranslated(html: str, data: Collection[str] = ()) -> list[str]:
    """The texts with a word in plain letters that is none of the `data`."""
    return [
        text
        for text in texts_of(html)
        if any(_is_english(word, data) for word in WORD.findall(ADDRESS.sub("", text)))
    ]


def _is_english(word: str, data: Collection[str]) -> bool:
    """Codes of countries, currencies and formats (`RU`, `EUR`, `CSV`) are the same in every language."""
    return not word.isupper() and word not in data

"""Words that no identifier contains, and why: the one list that the measures and the tests read.

A banned word had several meanings in this code, or means nothing to a stranger who searches for the word of the trade.
`docs/glossary.md` says what stands in its place.
"""

from __future__ import annotations

import re

BANNED_WORDS: dict[str, frozenset[str]] = {
    "tell": frozenset({"tell", "tells", "told", "telling"}),
    "line": frozenset({"line", "lines"}),
    "part": frozenset({"part", "parts"}),
    "place": frozenset({"place", "places"}),
    "known": frozenset({"known"}),
    "kept": frozenset({"kept"}),
    "whose": frozenset({"whose"}),
    "asked": frozenset({"asked"}),
    "owe": frozenset({"owe", "owes", "owed"}),
    "book": frozenset({"book", "books"}),
    "desk": frozenset({"desk", "desks"}),
    "shelf": frozenset({"shelf", "shelves"}),
    "fate": frozenset({"fate", "fates"}),
    "words": frozenset({"words"}),
    # Names of what a thing is in the code, not of what it is for.
    "utils": frozenset({"util", "utils"}),
    "helpers": frozenset({"helper", "helpers"}),
    "manager": frozenset({"manager", "managers"}),
    "base": frozenset({"base"}),
    "impl": frozenset({"impl"}),
}
"""Banned word → the forms in which it is looked for."""

BANNED_ALONE = frozenset({"one", "each"})
"""Functions and methods that others call are not named so; within a longer name the words are good English."""

ALLOWED_NAMES = re.compile(
    r"phone_?lines?"  # what a telephone hangs on
    r"|line_?(number|length|break|height|end)s?"  # of a text, as every editor calls it
    r"|account_?managers?|context_?managers?|manager_conf"  # a role, Python's word, Asterisk's file
    r"|base_(url|path)",
    re.IGNORECASE,
)
"""What a name may contain all the same; it is taken out of the name before the name is judged."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(name: str) -> list[str]:
    """`MissedCall`, `missed_call` and `MISSED_CALL` have the same two; digits belong to none."""
    return [word.lower() for word in _WORD.findall(name)]


def banned_in(name: str) -> list[str]:
    """The banned words in an identifier, each in the form in which the list names it."""
    words = set(words_of(ALLOWED_NAMES.sub("_", name)))
    return [banned for banned, forms in BANNED_WORDS.items() if forms & words]

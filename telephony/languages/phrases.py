"""Sentences written here and shown elsewhere, in the reader's language."""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - the name that every translator's tool knows
    """Marks a sentence for the catalogues of translators; whoever shows it translates it."""
    return message


def NN_(one: str, many: str) -> tuple[str, str]:  # noqa: N802
    """Marks a sentence about a number of things, in its two English forms."""
    return one, many

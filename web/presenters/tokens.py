"""What a token may do, in words: one table for My settings and the accounts' pages."""

from __future__ import annotations

from telephony.staff import TokenScope
from web.presenters.labels import _

SCOPE_WORDS: dict[TokenScope, str] = {
    TokenScope.READ_CALLS: _("Read calls and the live stream"),
    TokenScope.WRITE_CALLS: _("Write notes, say whose a call is, pause recordings"),
    TokenScope.READ_RECORDINGS: _("List and hear recordings, read comments"),
    TokenScope.WRITE_RECORDINGS: _("Comment, share and cover recordings"),
}
"""Never more than the account itself may do."""


def scopes_of(scopes: frozenset[TokenScope]) -> str:
    """`Read calls and the live stream · …`, in the usual order."""
    if scopes == frozenset(TokenScope):
        return _("Everything a program can do")
    return " · ".join(word for scope, word in SCOPE_WORDS.items() if scope in scopes)

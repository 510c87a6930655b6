"""What a token may do, in words: one table for My settings and the accounts' pages."""

from __future__ import annotations

from telephony.staff import TokenScope
from web.languages.messages import N_, Phrases, _

SCOPE_WORDS: Phrases[TokenScope] = Phrases(
    {
        TokenScope.READ_CALLS: N_("Read calls and the live stream"),
        TokenScope.WRITE_CALLS: N_("Write notes, say whose a call is, pause recordings"),
        TokenScope.READ_RECORDINGS: N_("List and hear recordings, read comments"),
        TokenScope.WRITE_RECORDINGS: N_("Comment, share and cover recordings"),
    }
)
"""Never more than the account itself may do."""


def scopes_of(scopes: frozenset[TokenScope]) -> str:
    """`Read calls and the live stream · …`, in the usual order."""
    if scopes == frozenset(TokenScope):
        return _("Everything a program can do")
    return " · ".join(word for scope, word in SCOPE_WORDS.items() if scope in scopes)

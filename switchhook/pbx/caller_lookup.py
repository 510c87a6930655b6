"""Who calls, for the displays of the phones: the book's answer, in the time that a caller can wait.

One indexed query for the number; who answers which phone is asked seldom and remembered. Of several people with one number
nobody is picked: what they have in common, their company, is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from call_records.store import RecordsStore
from telephony.contacts import Candidate, ClientKind, Match
from telephony.numbers.numbers import Numbering
from telephony.ports import CallerAnswer, CallerQuestion
from telephony.staff import Directory

DIRECTORY_SECONDS = 15.0  # how soon a contact's new owner rings first


class BookLookup:
    """Implements `telephony.ports.CallerLookup` over the book, for one PBX."""

    def __init__(self, store: RecordsStore, numbering: Callable[[], Numbering]) -> None:
        """`numbering`: how the PBX numbers its phones, as it is known at the moment of the question."""
        self._store = store
        self._numbering = numbering
        self._directory = Directory()
        self._directory_at = float("-inf")

    async def ask(self, question: CallerQuestion) -> CallerAnswer | None:
        """The caller, None when they are not known."""
        number = self._numbering().outside(question.raw) or question.raw
        match = await self._store.matching.match(number)
        if match.chosen is None:
            company = _common_company(match)
            return CallerAnswer(None, company) if company else None
        return await self._told(match.chosen)

    async def _told(self, client: Candidate) -> CallerAnswer:
        is_company = client.kind is ClientKind.COMPANY
        owner = (await self._people()).by_id.get(client.owner_id) if client.owner_id else None
        extensions = tuple(sorted(owner.extensions)) if owner else ()
        return CallerAnswer(
            name=None if is_company or _is_number(client.name) else client.name,
            company=client.name if is_company else client.company,
            owner_extensions=extensions,
            owner_phones=self._phones_of(extensions),
        )

    def _phones_of(self, extensions: tuple[str, ...]) -> tuple[str, ...]:
        """What is dialled for these extensions; empty when that is just the extensions."""
        directory = self._numbering().directory
        phones = tuple(
            phone for extension in extensions for phone in directory.endpoints_of(extension) or (extension,)
        )
        return () if phones == extensions else phones

    async def _people(self) -> Directory:
        now = time.monotonic()
        if now - self._directory_at > DIRECTORY_SECONDS:
            self._directory = await self._store.staff.directory()
            self._directory_at = now
        return self._directory


def _common_company(match: Match) -> str | None:
    companies = {one.name if one.kind is ClientKind.COMPANY else one.company for one in match.others}
    return next(iter(companies)) if len(companies) == 1 else None


def _is_number(name: str) -> bool:
    """A lead that a call made has no name yet but its number, which the phone shows anyway."""
    return not any(char.isalpha() for char in name)

"""Finding who a page or a form of People is about, and who else it may be."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from fastapi import Request
from starlette.exceptions import HTTPException

from call_records.crm.types import Client, ClientFilter
from telephony.numbers.numbers import written
from telephony.staff import Person
from web.auth.access import Viewer
from web.languages.messages import _
from web.number_search import count_number_tries
from web.site import Site, site_of

CHOICES = 8  # in a chooser; whoever is not among them is found by another word
FEWEST_WHOLE = 7  # digits; a shorter number is an extension or half typed
NUMBERS_MOST = 20  # looked for at once; nobody types more


async def found_client(request: Request, client_id: UUID) -> tuple[Site, Client]:
    """The entry, or the one it was merged into. Raises 404."""
    site = site_of(request)
    client = await site.records.book.one(client_id)
    if client is None:
        raise HTTPException(404, _("This person or company was not found."))
    return site, client


async def one_or_none(site: Site, text: str | None) -> Client | None:
    """The entry with the id in this text, if there is one."""
    client_id = uuid_of(text)
    return await site.records.book.one(client_id) if client_id else None


def uuid_of(text: str | None) -> UUID | None:
    """The id in it, or None."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


LINES_MOST = 40  # as many numbers as an entry can have
LINE_MOST = 100  # characters; one number with its extension and what stands beside it


def owners(site: Site) -> Sequence[Person]:
    """Whom an entry can belong to, by name."""
    return sorted(
        (person for person in site.hub.names.directory.people if person.id is not None),
        key=lambda person: person.name.casefold(),
    )


async def with_numbers(site: Site, text: str, viewer: Viewer) -> list[Client]:
    """Entries that have one of the numbers in this text."""
    region = site.settings.region or "RU"
    lines = [line.strip()[:LINE_MOST] for line in text[: LINES_MOST * LINE_MOST].splitlines() if line.strip()]
    numbers = [one.raw for line in lines[:LINES_MOST] for one in written(line, region)][:NUMBERS_MOST]
    count_number_tries(viewer, len(numbers))
    found: dict[UUID, Client] = {}
    for number in numbers:
        if sum(char.isdecimal() for char in number) >= FEWEST_WHOLE:
            match = await site.records.matching.match(number)
            ids = [one.id for one in (match.chosen, *match.others) if one is not None]
            found |= await site.records.book.several(ids)
    return list(found.values())


async def choices(site: Site, text: str, but: UUID) -> list[Client]:
    """The best fits for what was typed, without the one it is about."""
    if not text:
        return []
    page = await site.records.book.page(ClientFilter(text=text), limit=CHOICES + 1)
    return [client for client in page.clients if client.id != but][:CHOICES]

"""Names of clients for calls that are listed: one question for a whole page, and none that a page would wait for long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from uuid import UUID

from call_records.types import Records
from telephony.call_facts.facts import CallFacts
from telephony.errors import SwitchhookError
from web.callers import known_of
from web.presenters.callers import named_client
from web.presenters.labels import ClientName, Names
from web.presenters.masking import View

ASK_SECONDS = 2.0  # a list without names is better than none


async def names_for(records: Records, names: Names, calls: Iterable[CallFacts], view: View) -> Names:
    """The same names, with those of the clients where these calls are filed. With the store away: without them."""
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await known_names(records, names, calls, view)
    except (SwitchhookError, TimeoutError, OSError):
        return names


async def known_names(records: Records, names: Names, calls: Iterable[CallFacts], view: View) -> Names:
    """The same for a file that is kept: without the store there are no names, and no file. Raises TryLater."""
    places = await records.timelines.places([facts.id for facts in calls])
    clients: dict[UUID, ClientName] = {}
    for call_id, place in places.items():
        known = known_of(place)
        if known is not None:
            clients[call_id] = named_client(known, view)
    return names.with_clients(clients)

"""Contacts, companies and leads: looked for, made, changed, merged and converted.

Every write is one transaction: the row, its numbers, what is told on the timeline and the notice to whoever shows it.
Who changes an entry says which version they saw; a newer one is never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.contacts import conversion, duplicates, editing, merging, search
from call_records.crm.contacts.queries import clients_of, one_client, survivor_of, survivors_of
from call_records.crm.contacts.search import Question, mark_after, question
from call_records.crm.last_contact import file_earlier_calls
from call_records.crm.tables import clients
from call_records.crm.types import Client, ClientFilter, ClientPage, Conversion, Converted, NewClient
from call_records.crm.writes import (
    Home,
    Told,
    check_phones,
    insert_client,
    lock_number,
    notice,
    phones_of,
    tell,
    touch,
)
from call_records.db.errors import plain_errors
from telephony.contacts import LeadState
from telephony.errors import PeerMistake

MOST_ON_A_PAGE = 500
TAGGED = 20_000  # entries changed last whose tags are offered; read in 30 ms

_TAGS = text("""
    SELECT tag FROM (
        SELECT tags FROM clients
        WHERE tags <> '{}' AND merged_into IS NULL AND removed_at IS NULL
        ORDER BY updated_at DESC LIMIT :most
    ) AS tagged, unnest(tagged.tags) AS tag
    GROUP BY tag ORDER BY lower(tag), tag
""").bindparams(bindparam("most", TAGGED, literal_execute=True))
_PLAN_ANEW = text("""
    SELECT set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true)
""")
"""Until the transaction ends. The planner takes a limit for a reason to read the table until so many are found (of a word
that nobody has that is all of it), and a plan made for any word is good for none."""


class ClientBook:
    """Implements `call_records.crm.types.Book`."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home

    async def one(self, client_id: UUID) -> Client | None:
        """The entry, or the one it was merged into; removed ones too."""
        return (await self.several([client_id])).get(client_id)

    async def several(self, ids: Sequence[UUID]) -> Mapping[UUID, Client]:
        """The same for several; unknown ids are left out."""
        with plain_errors():
            async with self._engine.connect() as connection:
                survivors = await survivors_of(connection, ids)
                found = await clients_of(connection, survivors.values())
        return {asked: found[kept] for asked, kept in survivors.items() if kept in found}

    async def page(self, wanted: ClientFilter, *, limit: int = 50, cursor: str | None = None) -> ClientPage:
        """What changed last comes first, or by name. Raises PeerMistake for a cursor that is not one of this list."""
        size = max(1, min(limit, MOST_ON_A_PAGE))
        asked = question(wanted, size + 1, cursor)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await _found(connection, asked, self._home)
                found = await clients_of(connection, [row.id for row in rows[:size]])
        more = mark_after(asked, rows[size - 1].key, rows[size - 1].id) if len(rows) > size else None
        return ClientPage(tuple(found[row.id] for row in rows[:size] if row.id in found), more)

    async def tags(self) -> Sequence[str]:
        """What entries that changed lately are tagged with, in order."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return (await connection.scalars(_TAGS)).all()

    async def add(self, new: NewClient, *, by: UUID | None) -> Client:
        """A new entry. Earlier calls with its numbers that are on no timeline are on its own from now on."""
        _checked(new.name)
        if new.source == "hand":
            check_phones(new.phones, self._home)
        phones = phones_of(new.phones, self._home)
        with plain_errors():
            async with self._engine.begin() as connection:
                await editing.hold_company(connection, new.company_id)
                await editing.check_owner(connection, new.owner_id)
                for key in sorted({one.key for one in phones if one.key is not None}):
                    await lock_number(connection, key)
                client_id = await insert_client(connection, new, home=self._home, by=by, at=datetime.now(UTC))
                made = await one_client(connection, client_id)
                for missed_id in await file_earlier_calls(connection, client_id, made.phones):
                    await notice(connection, "missed", missed_id)
                return await one_client(connection, client_id)

    async def change(self, client: Client, *, by: UUID | None) -> Client:
        """Store its fields and phones. Raises PeerMistake when somebody else changed it since `client.version`."""
        _checked(client.name)
        with plain_errors():
            async with self._engine.begin() as connection:
                await editing.change(connection, client, home=self._home, by=by)
                return await one_client(connection, client.id)

    async def remove(self, client_id: UUID, *, by: UUID | None) -> None:
        """Neither found nor matched from now on; what happened is kept, and it can be restored."""
        await self._set_removed(client_id, datetime.now(UTC), by)

    async def restore(self, client_id: UUID, *, by: UUID | None) -> None:
        """As if it had never been removed."""
        await self._set_removed(client_id, None, by)

    async def duplicates_of(self, client_id: UUID) -> Sequence[Client]:
        """Entries that share a number, an e-mail or the very name, likeliest first."""
        with plain_errors():
            async with self._engine.connect() as connection:
                target = await survivor_of(connection, client_id)
                ids = await duplicates.alike(connection, target)
                found = await clients_of(connection, ids)
        return [found[one] for one in ids if one in found]

    async def keep_apart(self, client_id: UUID, other_id: UUID, *, by: UUID | None) -> None:
        """Somebody knows that they are two: neither is suggested for the other any more."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await duplicates.keep_apart(
                    connection, *await self._pair(connection, client_id, other_id), by=by
                )

    async def allow_again(self, client_id: UUID, other_id: UUID) -> None:
        """Take that back."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await duplicates.allow_again(connection, *await self._pair(connection, client_id, other_id))

    async def _pair(self, connection: AsyncConnection, one: UUID, other: UUID) -> tuple[UUID, UUID]:
        return await survivor_of(connection, one), await survivor_of(connection, other)

    async def merge(self, survivor_id: UUID, absorbed_id: UUID, *, by: UUID | None) -> UUID:
        """The absorbed one's numbers, deals and history are the survivor's from now on. Returns the id for undoing."""
        with plain_errors():
            async with self._engine.begin() as connection:
                return await merging.merge(connection, survivor_id, absorbed_id, by=by)

    async def undo_merge(self, merge_id: UUID, *, by: UUID | None) -> None:
        """Both are as they were, but for what was done since. Raises PeerMistake when it is undone already."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await merging.undo(connection, merge_id, by=by)

    async def convert(self, lead_id: UUID, into: Conversion, *, by: UUID | None) -> Converted:
        """In one step, all or nothing. Raises PeerMistake when it is converted already."""
        with plain_errors():
            async with self._engine.begin() as connection:
                return await conversion.convert(connection, lead_id, into, home=self._home, by=by)

    async def undo_convert(self, contact_id: UUID, *, by: UUID | None) -> UUID | None:
        """The lead that became this contact is open again, the contact removed. None: it came of no single lead."""
        with plain_errors():
            async with self._engine.begin() as connection:
                return await conversion.undo_convert(connection, contact_id, by=by)

    async def reject(self, lead_id: UUID, *, reason: str, by: UUID | None) -> None:
        """Not worth more; its number is unknown again."""
        await self._set_state(lead_id, LeadState.REJECTED, reason, by)

    async def reopen(self, lead_id: UUID, *, by: UUID | None) -> None:
        """It is worth something after all."""
        await self._set_state(lead_id, LeadState.OPEN, None, by)

    async def _set_state(self, lead_id: UUID, state: LeadState, reason: str | None, by: UUID | None) -> None:
        with plain_errors():
            async with self._engine.begin() as connection:
                await conversion.set_state(connection, lead_id, state, reason=reason, by=by)

    async def _set_removed(self, client_id: UUID, removed_at: datetime | None, by: UUID | None) -> None:
        with plain_errors():
            async with self._engine.begin() as connection:
                target = await survivor_of(connection, client_id)
                other = clients.c.removed_at.is_(None) if removed_at else clients.c.removed_at.is_not(None)
                changed = update(clients).where(clients.c.id == target, other).values(removed_at=removed_at)
                if (await connection.execute(changed)).rowcount:
                    at = datetime.now(UTC)
                    what = {"what": "removed" if removed_at else "restored"}
                    await tell(connection, Told("changed", at, client_id=target, account_id=by, data=what))
                    await touch(connection, target, at)


def _checked(name: str) -> None:
    if not name.strip():
        raise PeerMistake("An entry needs a name.", remedy="Type a name.")


async def _found(connection: AsyncConnection, asked: Question, home: Home) -> list[Row[Any]]:
    """The keys of the page's entries and of the one behind it."""
    await connection.execute(_PLAN_ANEW)
    if search.looks_for_nothing(asked):
        return list(await connection.execute(search.listed(asked)))
    rows = list(await connection.execute(search.near(asked, home)))
    if len(rows) == asked.size:
        return rows
    rows = list(await connection.execute(search.few(asked, home)))
    if not rows or rows[0].found <= search.FEW:
        return rows
    return list(await connection.execute(search.far(asked, home)))

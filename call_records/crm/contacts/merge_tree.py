"""An entry and those that were merged into it: what is whose own, and what they show together.

What is an entry's own is never mixed up with what came to it by a merge. The columns of a survivor show both (so that
one row answers every filter and every page), `clients.own` keeps its own apart, and each merged entry keeps its row. So
undoing any merge, the middle one of three too, is leaving out one branch and folding again.

An edit of a merged entry is taken as the difference it makes: what is new is the survivor's own, what is taken away is
taken away wherever it came from. Whatever writes a column without asking here (a rule that sets the owner, an import)
is understood the same way, the next time the family is folded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import bindparam, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from call_records.crm.contacts.queries import IDS
from call_records.crm.tables import client_merges, clients
from call_records.crm.writes import search_text
from call_records.db import locks

_T = TypeVar("_T")
REFRESH_AT_ONCE = 1000  # entries whose search text is written by one statement, about 100 ms


@dataclass(frozen=True, slots=True)
class Traits:
    """What merged entries share with each other."""

    emails: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    company_id: UUID | None = None
    position: str | None = None
    owner_id: UUID | None = None

    def as_json(self) -> dict[str, Any]:
        """As `clients.own` keeps it."""
        return {
            **self.columns(),
            "company_id": self.company_id and str(self.company_id),
            "owner_id": self.owner_id and str(self.owner_id),
        }

    def columns(self) -> dict[str, Any]:
        """As the columns of the row."""
        return {
            "emails": list(self.emails),
            "tags": list(self.tags),
            "fields": dict(self.fields),
            "company_id": self.company_id,
            "position": self.position,
            "owner_id": self.owner_id,
        }


def traits_of(row: Any) -> Traits:
    """From the row's columns, or from what `as_json` made."""
    return Traits(
        emails=tuple(row["emails"]),
        tags=tuple(row["tags"]),
        fields=dict(row["fields"]),
        company_id=_uuid(row["company_id"]),
        position=row["position"],
        owner_id=_uuid(row["owner_id"]),
    )


def _uuid(kept: UUID | str | None) -> UUID | None:
    return UUID(kept) if isinstance(kept, str) else kept


def fold(own: Traits, others: Iterable[Traits]) -> Traits:
    """What they show together: one's own first, and what it lacks from the others in order."""
    shown = own
    for other in others:
        shown = Traits(
            emails=_joined(shown.emails, other.emails),
            tags=_joined(shown.tags, other.tags),
            fields={
                **shown.fields,
                **{name: value for name, value in other.fields.items() if name not in shown.fields},
            },
            company_id=shown.company_id or other.company_id,
            position=shown.position or other.position,
            owner_id=shown.owner_id or other.owner_id,
        )
    return shown


def _joined(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, letter case aside."""
    there = {one.lower() for one in ours}
    return ours + tuple(one for one in theirs if one.lower() not in there)


@dataclass(slots=True)
class Member:
    """One entry of a family; `merged` are those that were merged into this very one, in order."""

    id: UUID
    own: Traits
    row: Traits
    """As the columns are now."""
    merged: list[Member] = field(default_factory=list)

    def shown(self) -> Traits:
        """What the columns ought to show."""
        return fold(self.own, (each.shown() for each in self.merged))

    def everybody(self) -> Iterator[Member]:
        """Itself and all that are below it."""
        yield self
        for each in self.merged:
            yield from each.everybody()

    def edit(self, wanted: Traits) -> None:
        """Make it show `wanted`."""
        before = self.shown()
        self.own = Traits(
            emails=_kept(self.own.emails, before.emails, wanted.emails),
            tags=_kept(self.own.tags, before.tags, wanted.tags),
            fields={
                name: value
                for name, value in wanted.fields.items()
                if name in self.own.fields or before.fields.get(name) != value
            },
            company_id=_own(self.own.company_id, before.company_id, wanted.company_id),
            position=_own(self.own.position, before.position, wanted.position),
            owner_id=_own(self.own.owner_id, before.owner_id, wanted.owner_id),
        )
        for each in self.merged:
            for member in each.everybody():
                member.own = _without(member.own, before, wanted)


def _kept(own: tuple[str, ...], before: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in wanted if one in own or one not in before)


def _own(own: _T | None, before: _T | None, wanted: _T | None) -> _T | None:
    return own if wanted == before else wanted


def _without(own: Traits, before: Traits, wanted: Traits) -> Traits:
    """What was taken away is taken away here too."""
    emails, tags = set(before.emails) - set(wanted.emails), set(before.tags) - set(wanted.tags)
    return replace(
        own,
        emails=tuple(one for one in own.emails if one not in emails),
        tags=tuple(one for one in own.tags if one not in tags),
        fields={
            name: value
            for name, value in own.fields.items()
            if name in wanted.fields or name not in before.fields
        },
        company_id=own.company_id if wanted.company_id or not before.company_id else None,
        position=own.position if wanted.position or not before.position else None,
        owner_id=own.owner_id if wanted.owner_id or not before.owner_id else None,
    )


async def take_turns(connection: AsyncConnection) -> None:
    """No family changes until the transaction ends but by the caller."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.MERGES})


async def family_of(connection: AsyncConnection, survivor_id: UUID) -> Member:
    """The survivor with all its branches, their rows locked. The caller has its turn.

    Columns that somebody wrote since are understood as edits.
    """
    rows = (
        await connection.execute(
            select(clients)
            .where(or_(clients.c.id == survivor_id, clients.c.merged_into == survivor_id))
            .order_by(clients.c.id)
            .with_for_update(key_share=True)
        )
    ).mappings()
    members = {row["id"]: Member(row["id"], traits_of(row["own"] or row), traits_of(row)) for row in rows}
    merges = await connection.execute(
        select(client_merges.c.survivor_id, client_merges.c.absorbed_id)
        .where(client_merges.c.absorbed_id.in_(list(members)), client_merges.c.undone_at.is_(None))
        .order_by(client_merges.c.at, client_merges.c.id)
    )
    for row in merges:
        members[row.survivor_id].merged.append(members[row.absorbed_id])
    survivor = members[survivor_id]
    _settle(survivor)
    return survivor


def _settle(member: Member) -> None:
    for each in member.merged:
        _settle(each)
    if member.shown() != member.row:
        member.edit(member.row)


async def keep_family(connection: AsyncConnection, survivor: Member) -> None:
    """Write what changed of the rows, and what the survivor is found by."""
    for member in survivor.everybody():
        values: dict[str, Any] = {"merged_into": None if member is survivor else survivor.id}
        values["own"] = member.own.as_json() if member.merged else None
        values.update(member.shown().columns())
        await connection.execute(update(clients).where(clients.c.id == member.id).values(**values))
    await refresh_search(connection, [survivor.id])


async def refresh_search(connection: AsyncConnection, ids: Sequence[UUID]) -> None:
    """What these entries are found by: the words and numbers of their families."""
    for first in range(0, len(ids), REFRESH_AT_ONCE):
        await _refresh(connection, list(ids[first : first + REFRESH_AT_ONCE]))


async def refresh_people_of(connection: AsyncConnection, company_id: UUID) -> None:
    """The company has another name: its people are found by it from now on.

    In the same transaction, so that it cannot be lost or seen half done; in bounded statements. A company of ten
    thousand people takes some seconds, and it is renamed once.
    """
    wanted = select(clients.c.id, clients.c.merged_into).where(clients.c.company_id == company_id)
    rows = (await connection.execute(wanted)).all()
    await refresh_search(connection, sorted({one for row in rows for one in row if one is not None}))


async def _refresh(connection: AsyncConnection, ids: list[UUID]) -> None:
    texts: dict[UUID, list[str]] = {}
    for row in await connection.execute(_WORDS, {"ids": ids}):
        texts.setdefault(row.root, []).append(
            search_text(row.name, row.company, row.emails, row.tags, row.keys)
        )
    rows = [(one, "".join(dict.fromkeys(parts))) for one, parts in sorted(texts.items())]
    await connection.execute(_PUT, {"ids": [one for one, _ in rows], "texts": [found for _, found in rows]})


_WORDS = text("""
    SELECT family.root, c.name, company.name AS company, c.emails, c.tags,
        ARRAY(SELECT key FROM client_phones p WHERE p.client_id = c.id ORDER BY place) AS keys
    FROM (
        SELECT id AS root, id FROM clients WHERE id = ANY(:ids)
        UNION ALL
        SELECT merged_into, id FROM clients WHERE merged_into = ANY(:ids)
    ) AS family
    JOIN clients c ON c.id = family.id
    LEFT JOIN clients company ON company.id = c.company_id
    ORDER BY family.id <> family.root, c.created_at, c.id
""").bindparams(IDS)
_PUT = text("""
    UPDATE clients SET search = told.search
    FROM unnest(:ids, :texts) AS told (id, search)
    WHERE clients.id = told.id AND clients.search IS DISTINCT FROM told.search
""").bindparams(IDS, bindparam("texts", type_=ARRAY(Text)))

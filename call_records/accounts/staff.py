"""Everybody with a phone: people and the extensions they answer, with or without an account.

Nobody needs an account to be named in a call. The one table of extensions says who answers which; it is given away by
`give_phones` alone, which also corrects the copy that an account carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts, extensions, people
from call_records.types import KnownPhone, StaffMember
from telephony.edit_version import check_edit_version
from telephony.errors import PeerMistake
from telephony.staff import Directory, Person


class StaffPages:
    """People and their extensions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def directory(self) -> Directory:
        """Everybody who has not left and answers a phone."""
        phones = (
            select(
                people.c.id,
                people.c.name,
                people.c.team,
                func.array_agg(extensions.c.extension).label("phones"),
            )
            .join(extensions)
            .where(people.c.left_at.is_(None))
            .group_by(people.c.id)
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(phones)).all()
        everybody = (Person(row.name, frozenset(row.phones), row.team, row.id) for row in rows)
        return Directory(tuple(sorted(everybody, key=lambda one: (one.name, sorted(one.extensions)))))

    async def put_person(self, *, name: str, extensions: Sequence[str], team: str | None = None) -> None:
        """Add or rename a person without an account, found by extension. What is in use by accounts stays theirs."""
        with plain_errors():
            async with self._engine.begin() as connection:
                theirs = set((await connection.scalars(_OF_ACCOUNTS, {"phones": list(extensions)})).all())
                phones = [one for one in extensions if one not in theirs]
                if not phones:
                    raise PeerMistake(
                        "A person needs at least one extension.", remedy="Name a phone that is nobody else's."
                    )
                found = await connection.scalar(_OWNER, {"phones": phones})
                person_id = found or await new_person(connection, name=name, team=team)
                await rename_person(connection, person_id, name=name, team=team)
                await give_phones(connection, person_id, phones)

    async def seen(self, pbx: str, extensions: Sequence[str], *, at: datetime) -> None:
        """These are the phones of that PBX now. A new one waits for a name; one that is gone keeps the one it had."""
        values = {"pbx": pbx, "phones": [json_text.clean(one) for one in extensions], "at": at}
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_SEEN, values)
                await connection.execute(_GONE, values)

    async def members(self) -> Sequence[StaffMember]:
        """Everybody, by name; those who left last."""
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(_MEMBERS)).all()
        return [_member(row) for row in rows]

    async def put_member(self, member: StaffMember, *, seen: str | None = None) -> StaffMember:
        """Store them; see StaffBook."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await _check_seen(connection, member.id, seen)
                owner = accounts.c.person_id == member.id
                person_id, account_id = member.id, await connection.scalar(select(accounts.c.id).where(owner))
                if account_id is None:
                    person_id = await _put(connection, member)
                changed = {"email": _clean(member.email), "crm_user": _clean(member.crm_user)}
                done = update(people).where(people.c.id == person_id).values(changed).returning(people.c.id)
                if await connection.scalar(done) is None:
                    raise PeerMistake("There is no such person.", remedy="Load the page again.")
        return next(one for one in await self.members() if one.id == person_id)

    async def leave(self, person_id: UUID, *, at: datetime | None) -> None:
        """They left, or are back; see StaffBook."""
        with plain_errors():
            async with self._engine.begin() as connection:
                if await connection.scalar(
                    select(accounts.c.id).where(accounts.c.person_id == person_id, accounts.c.active)
                ):
                    raise PeerMistake(
                        "This person can sign in.", remedy="Switch the account off first, on its own page."
                    )
                if at is not None:
                    await give_phones(connection, person_id, (), keep=True)
                await connection.execute(update(people).where(people.c.id == person_id).values(left_at=at))

    async def phones(self) -> Sequence[KnownPhone]:
        """Every extension that was ever seen or named, by number."""
        wanted = select(extensions).order_by(func.length(extensions.c.extension), extensions.c.extension)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(wanted)).all()
        return [
            KnownPhone(row.extension, row.person_id, row.pbx, row.label, row.seen_at, row.gone_at)
            for row in rows
        ]


async def _check_seen(connection: AsyncConnection, person_id: UUID | None, seen: str | None) -> None:
    if person_id is None or seen is None:
        return
    await connection.execute(select(people.c.id).where(people.c.id == person_id).with_for_update())
    rows = (await connection.execute(_MEMBERS)).all()
    present = next((_member(row) for row in rows if row.id == person_id), None)
    check_edit_version(present.edit_version if present else "", seen)


def _member(row: Row[Any]) -> StaffMember:
    return StaffMember(
        row.id,
        row.name,
        tuple(row.phones),
        row.team,
        row.email,
        row.crm_user,
        row.account_id,
        row.left_at,
    )


async def _put(connection: AsyncConnection, member: StaffMember) -> UUID:
    """Name, team and phones of somebody without an account."""
    taken = (await connection.execute(_OF_ACCOUNTS, {"phones": list(member.extensions)})).first()
    if taken is not None:
        raise PeerMistake(
            "Extension {extension} belongs to the account of {name}.",
            remedy="Take it from that account first.",
            field="extensions",
            values={"extension": taken.extension, "name": taken.name},
        )
    team = member.team and " ".join(member.team.split())
    person_id = member.id or await new_person(connection, name=member.name, team=team)
    await rename_person(connection, person_id, name=member.name, team=team)
    await give_phones(connection, person_id, member.extensions, keep=True)
    return person_id


def _clean(text_or_none: str | None) -> str | None:
    return json_text.clean(text_or_none.strip()) or None if text_or_none else None


async def new_person(
    connection: AsyncConnection, *, name: str, team: str | None = None, origin: str = "hand"
) -> UUID:
    """Somebody of ours, as yet without a phone."""
    person_id = uuid4()
    values = {
        "id": person_id,
        "name": json_text.clean(name),
        "team": team and json_text.clean(team),
        "origin": origin,
    }
    await connection.execute(insert(people).values(values))
    return person_id


async def rename_person(connection: AsyncConnection, person_id: UUID, *, name: str, team: str | None) -> None:
    """The name and team, of the person and of the account that is theirs."""
    values = {"name": json_text.clean(name), "team": team and json_text.clean(team)}
    await connection.execute(update(people).where(people.c.id == person_id).values(values))
    await connection.execute(update(accounts).where(accounts.c.person_id == person_id).values(values))


async def person_for_account(connection: AsyncConnection, *, name: str, phones: Sequence[str]) -> UUID:
    """Whose the new account is: the one person without an account who answers one of these phones, else a new one."""
    found = (await connection.scalars(_WITHOUT_ACCOUNT, {"phones": list(phones)})).all()
    if len(found) != 1:
        return await new_person(connection, name=name, origin="account")
    await rename_person(connection, found[0], name=name, team=None)
    return UUID(str(found[0]))


async def give_phones(
    connection: AsyncConnection, person_id: UUID, phones: Sequence[str], *, keep: bool = False
) -> None:
    """Exactly these extensions are theirs. Whom they were taken from keeps the rest; who has none left and no account is
    forgotten, unless they own something or it is that person and `keep` is said.
    """
    await connection.execute(text("LOCK TABLE extensions IN SHARE ROW EXCLUSIVE MODE"))
    his = {"person": person_id, "phones": sorted(set(phones))}
    losers = (await connection.scalars(_LOSERS, his)).all()
    await connection.execute(_GIVE_BACK, his)
    await connection.execute(_HAND_OUT, his)
    for one in {person_id, *losers}:
        await connection.execute(_COPY, {"person": one})
    await connection.execute(_WITHOUT_PHONE, {"but": person_id if keep else None})


_SEEN = text("""
    INSERT INTO extensions (extension, pbx, seen_at)
    SELECT phone, CAST(:pbx AS text), CAST(:at AS timestamptz) FROM unnest(CAST(:phones AS text[])) AS phone
    ON CONFLICT (extension) DO UPDATE SET pbx = excluded.pbx, seen_at = excluded.seen_at, gone_at = NULL
""")
_GONE = text("""
    UPDATE extensions SET gone_at = :at
    WHERE pbx = :pbx AND gone_at IS NULL AND extension <> ALL(CAST(:phones AS text[]))
""")
_OWNER = text(
    "SELECT person_id FROM extensions WHERE extension = ANY(CAST(:phones AS text[])) AND person_id IS NOT NULL "
    "ORDER BY extension LIMIT 1"
)
_OF_ACCOUNTS = text("""
    SELECT e.extension, a.name FROM extensions e JOIN accounts a ON a.person_id = e.person_id
    WHERE e.extension = ANY(CAST(:phones AS text[]))
""")
_WITHOUT_ACCOUNT = text("""
    SELECT DISTINCT e.person_id FROM extensions e
    WHERE e.extension = ANY(CAST(:phones AS text[])) AND e.person_id IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.person_id = e.person_id)
""")
_LOSERS = text("""
    SELECT DISTINCT person_id FROM extensions
    WHERE extension = ANY(CAST(:phones AS text[])) AND person_id IS NOT NULL AND person_id <> :person
""")
# What the PBX told of an extension stays when nobody answers it any more.
_GIVE_BACK = text(
    "UPDATE extensions SET person_id = NULL WHERE person_id = :person AND extension <> ALL(CAST(:phones AS text[]))"
)
_HAND_OUT = text("""
    INSERT INTO extensions (extension, person_id) SELECT phone, :person FROM unnest(CAST(:phones AS text[])) AS phone
    ON CONFLICT (extension) DO UPDATE SET person_id = excluded.person_id
""")
# The order in which an account's handsets were named is kept.
_COPY = text("""
    UPDATE accounts a SET extensions = ARRAY(
        SELECT e.extension FROM extensions e WHERE e.person_id = a.person_id
        ORDER BY array_position(a.extensions, e.extension), e.extension)
    WHERE a.person_id = :person
""")
_WITHOUT_PHONE = text("""
    DELETE FROM people p WHERE origin <> 'account' AND left_at IS NULL
      AND id IS DISTINCT FROM CAST(:but AS uuid)
      AND NOT EXISTS (SELECT 1 FROM extensions e WHERE e.person_id = p.id)
      AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.person_id = p.id)
      AND NOT EXISTS (SELECT 1 FROM clients c WHERE c.owner_id = p.id)
      AND NOT EXISTS (SELECT 1 FROM deals d WHERE d.owner_id = p.id)
""")
_MEMBERS = text("""
    SELECT p.id, p.name, p.team, p.email, p.crm_user, p.left_at, a.id AS account_id,
        ARRAY(SELECT e.extension FROM extensions e WHERE e.person_id = p.id
              ORDER BY length(e.extension), e.extension) AS phones
    FROM people p LEFT JOIN accounts a ON a.person_id = p.id
    ORDER BY p.left_at IS NOT NULL, lower(p.name), p.id
""")

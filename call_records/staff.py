"""Everybody with a phone: people and the extensions they answer, with or without an account.

Nobody needs an account to be named in a call. The one table of extensions says who answers which; it is given away by
`give_phones` alone, which also corrects the copy that an account carries.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records import wire
from call_records.models import accounts, extensions, people
from call_records.troubles import plain_errors
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


async def new_person(
    connection: AsyncConnection, *, name: str, team: str | None = None, origin: str = "hand"
) -> UUID:
    """Somebody of ours, as yet without a phone."""
    person_id = uuid4()
    values = {"id": person_id, "name": wire.clean(name), "team": team and wire.clean(team), "origin": origin}
    await connection.execute(insert(people).values(values))
    return person_id


async def rename_person(connection: AsyncConnection, person_id: UUID, *, name: str, team: str | None) -> None:
    """The name and team, of the person and of the account that is his."""
    values = {"name": wire.clean(name), "team": team and wire.clean(team)}
    await connection.execute(update(people).where(people.c.id == person_id).values(values))
    await connection.execute(update(accounts).where(accounts.c.person_id == person_id).values(values))


async def person_for_account(connection: AsyncConnection, *, name: str, phones: Sequence[str]) -> UUID:
    """Whose the new account is: the one person without an account who answers one of these phones, else a new one."""
    found = (await connection.scalars(_WITHOUT_ACCOUNT, {"phones": list(phones)})).all()
    if len(found) != 1:
        return await new_person(connection, name=name, origin="account")
    await rename_person(connection, found[0], name=name, team=None)
    return UUID(str(found[0]))


async def give_phones(connection: AsyncConnection, person_id: UUID, phones: Sequence[str]) -> None:
    """Exactly these extensions are his. Whom they were taken from keeps the rest; without any he stays, if he has an
    account, and is forgotten otherwise.
    """
    await connection.execute(text("LOCK TABLE extensions IN SHARE ROW EXCLUSIVE MODE"))
    his = {"person": person_id, "phones": sorted(set(phones))}
    losers = (await connection.scalars(_LOSERS, his)).all()
    await connection.execute(_GIVE_BACK, his)
    await connection.execute(_HAND_OUT, his)
    for one in {person_id, *losers}:
        await connection.execute(_COPY, {"person": one})
    await connection.execute(_WITHOUT_PHONE)


_OWNER = text(
    "SELECT person_id FROM extensions WHERE extension = ANY(CAST(:phones AS text[])) AND person_id IS NOT NULL "
    "ORDER BY extension LIMIT 1"
)
_OF_ACCOUNTS = text("""
    SELECT e.extension FROM extensions e JOIN accounts a ON a.person_id = e.person_id
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
    DELETE FROM people p WHERE origin <> 'account'
      AND NOT EXISTS (SELECT 1 FROM extensions e WHERE e.person_id = p.id)
      AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.person_id = p.id)
""")

"""People who sign in, their browsers and programs.

An account belongs to a person of `call_records.staff`: name, team and handsets are the person's. The account's row carries
them too, because every list of authors reads it; both are written in one transaction, by `staff` alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records import wire
from call_records.models import accounts, sessions, tokens
from call_records.shapes import Account, ApiToken, Session
from call_records.staff import give_phones, person_for_account, rename_person
from call_records.troubles import plain_errors
from telephony.errors import PeerMistake
from telephony.recordings import HearScope, RecordingRight
from telephony.staff import PopPreference, RingAlert, Role

FIRST_ACCOUNT_LOCK = 0x4669_7273_74  # "First"; two browsers at the first-run page take turns by it
SEEN_EVERY = "60 seconds"  # how exactly "last seen" is kept; without it every request would write a row
BROWSER_LENGTH = 200  # characters of the User-Agent that are kept


class AccountBook:
    """Accounts. A login is the same in any letter case."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def any_exist(self) -> bool:
        """Whether the first-run page is over."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return bool(await connection.scalar(select(exists().select_from(accounts))))

    async def create(
        self,
        *,
        login: str,
        name: str,
        role: Role,
        password_hash: str,
        extensions: Sequence[str],
        pop: PopPreference,
    ) -> Account:
        """A new active account. Raises PeerMistake when the login is taken."""
        values = _new_account(login, name, role, password_hash, extensions, pop)
        with plain_errors(), _login_taken():
            async with self._engine.begin() as connection:
                return await _make(connection, values)

    async def create_first(self, *, login: str, name: str, password_hash: str) -> Account | None:
        """The first administrator; None when somebody was quicker (decided by the database)."""
        values = _new_account(login, name, Role.ADMINISTRATOR, password_hash, (), PopPreference.ON_RING)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": FIRST_ACCOUNT_LOCK}
                )
                if await connection.scalar(select(exists().select_from(accounts))):
                    return None
                return await _make(connection, values)

    async def by_login(self, login: str) -> Account | None:
        """The account, active or not."""
        return await self._one(func.lower(accounts.c.login) == func.lower(wire.clean(login)))

    async def by_id(self, account_id: UUID) -> Account | None:
        """The account, active or not."""
        return await self._one(accounts.c.id == account_id)

    async def all(self) -> Sequence[Account]:
        """Everybody, by name."""
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(select(accounts).order_by(accounts.c.name, accounts.c.id))
        return [_account(row) for row in rows]

    async def update(self, account: Account) -> Account:
        """Store every field of the account. Raises PeerMistake when its login is taken or it does not exist."""
        changed = (
            update(accounts)
            .where(accounts.c.id == account.id)
            .values(
                login=wire.clean(account.login),
                name=wire.clean(account.name),
                role=account.role.value,
                extensions=list(account.extensions),
                pop=account.pop.value,
                password_hash=account.password_hash,
                active=account.active,
                team=account.team and wire.clean(account.team),
                hears=account.hears_chosen,
                recording_rights=None if account.rights_chosen is None else sorted(account.rights_chosen),
            )
            .returning(accounts)
        )
        with plain_errors(), _login_taken():
            async with self._engine.begin() as connection:
                row = (await connection.execute(changed)).one_or_none()
                if row is None:
                    raise PeerMistake("Nobody with this account exists.", remedy="Load the page again.")
                await rename_person(connection, row.person_id, name=row.name, team=row.team)
                await give_phones(connection, row.person_id, row.extensions)
        return _account(row)

    async def set_alerts(self, account_id: UUID, alerts: Collection[RingAlert]) -> None:
        """How this account is told that its phone rings. Nothing else of it is touched."""
        changed = update(accounts).where(accounts.c.id == account_id).values(alerts=sorted(alerts))
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(changed)

    async def _one(self, which: Any) -> Account | None:
        with plain_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(select(accounts).where(which))).one_or_none()
        return _account(row) if row else None


class SessionBook:
    """Signed-in browsers, revocable one by one. A revoked one is gone, not marked."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(
        self, *, account_id: UUID, token_hash: bytes, expires_at: datetime, browser: str
    ) -> Session:
        """A new session; sessions that ran out are swept on the way."""
        values = {"id": uuid4(), "account_id": account_id, "token_hash": token_hash, "expires_at": expires_at}
        kept = wire.clean(browser)[:BROWSER_LENGTH]
        adding = insert(sessions).values(**values, browser=kept).returning(sessions)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(sessions).where(sessions.c.expires_at <= func.now()))
                return _session((await connection.execute(adding)).one())

    async def find(self, token_hash: bytes) -> tuple[Session, Account] | None:
        """The live session and its active account; None when unknown, expired, revoked or the account is off."""
        live = (sessions.c.token_hash == token_hash) & (sessions.c.expires_at > func.now())
        stale = sessions.c.seen_at < func.now() - text(f"interval '{SEEN_EVERY}'")
        wanted = select(accounts).join(sessions).where(live, accounts.c.active)
        with plain_errors():
            async with self._engine.begin() as connection:
                owner = (await connection.execute(wanted)).one_or_none()
                if owner is None:
                    return None
                await connection.execute(update(sessions).where(live, stale).values(seen_at=func.now()))
                session = (await connection.execute(select(sessions).where(live))).one_or_none()
        return (_session(session), _account(owner)) if session else None

    async def of_account(self, account_id: UUID) -> Sequence[Session]:
        """The account's live sessions, newest first."""
        wanted = select(sessions).where(
            sessions.c.account_id == account_id, sessions.c.expires_at > func.now()
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(wanted.order_by(sessions.c.created_at.desc(), sessions.c.id))
        return [_session(row) for row in rows]

    async def revoke(self, session_id: UUID) -> None:
        """End one session at once."""
        await self._forget(sessions.c.id == session_id)

    async def revoke_all(self, account_id: UUID, *, keep: UUID | None = None) -> None:
        """End every session of the account, except the one to keep."""
        others = sessions.c.account_id == account_id
        await self._forget(others if keep is None else others & (sessions.c.id != keep))

    async def _forget(self, which: Any) -> None:
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(sessions).where(which))


class TokenBook:
    """Tokens for programs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, *, account_id: UUID, name: str, token_hash: bytes) -> ApiToken:
        """A new token; only its hash is kept."""
        values = {"id": uuid4(), "account_id": account_id, "name": wire.clean(name), "token_hash": token_hash}
        with plain_errors():
            async with self._engine.begin() as connection:
                return _token(
                    (await connection.execute(insert(tokens).values(values).returning(tokens))).one()
                )

    async def find(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """The token and its active account; None when unknown, revoked or the account is off."""
        same = tokens.c.token_hash == token_hash
        stale = tokens.c.used_at.is_(None) | (
            tokens.c.used_at < func.now() - text(f"interval '{SEEN_EVERY}'")
        )
        wanted = select(accounts).join(tokens).where(same, accounts.c.active)
        with plain_errors():
            async with self._engine.begin() as connection:
                owner = (await connection.execute(wanted)).one_or_none()
                if owner is None:
                    return None
                await connection.execute(update(tokens).where(same, stale).values(used_at=func.now()))
                token = (await connection.execute(select(tokens).where(same))).one_or_none()
        return (_token(token), _account(owner)) if token else None

    async def of_account(self, account_id: UUID) -> Sequence[ApiToken]:
        """The account's tokens, newest first."""
        wanted = select(tokens).where(tokens.c.account_id == account_id)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(wanted.order_by(tokens.c.created_at.desc(), tokens.c.id))
        return [_token(row) for row in rows]

    async def revoke(self, token_id: UUID, *, account_id: UUID) -> None:
        """Remove the account's token; somebody else's is left alone."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    delete(tokens).where(tokens.c.id == token_id, tokens.c.account_id == account_id)
                )


@contextmanager
def _login_taken() -> Iterator[None]:
    """Turns the unique index on logins into a sentence."""
    try:
        yield
    except IntegrityError as error:
        if "accounts_login" in str(error.orig):
            raise PeerMistake("This login is taken.", remedy="Choose another one.") from error
        raise


async def _make(connection: AsyncConnection, values: dict[str, Any]) -> Account:
    """The account, and the person it belongs to: the one who has these handsets and no account, or a new one."""
    person_id = await person_for_account(connection, name=values["name"], phones=values["extensions"])
    row = await connection.execute(
        insert(accounts).values({**values, "person_id": person_id}).returning(accounts)
    )
    await give_phones(connection, person_id, values["extensions"])
    return _account(row.one())


def _new_account(
    login: str, name: str, role: Role, password_hash: str, phones: Sequence[str], pop: PopPreference
) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "login": wire.clean(login),
        "name": wire.clean(name),
        "role": role.value,
        "extensions": list(phones),
        "pop": pop.value,
        "password_hash": password_hash,
        "active": True,
    }


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        login=row.login,
        name=row.name,
        role=Role(row.role),
        extensions=tuple(row.extensions),
        pop=PopPreference(row.pop),
        password_hash=row.password_hash,
        active=row.active,
        created_at=row.created_at,
        team=row.team,
        person_id=row.person_id,
        hears_chosen=HearScope(row.hears) if row.hears else None,
        rights_chosen=_rights(row.recording_rights),
        alerts=frozenset(RingAlert(one) for one in row.alerts if one in set(RingAlert)),
    )


def _rights(kept: Sequence[str] | None) -> frozenset[RecordingRight] | None:
    """What was chosen for the account; a right that a later release knew is left out."""
    return (
        None if kept is None else frozenset(RecordingRight(one) for one in kept if one in set(RecordingRight))
    )


def _session(row: Row[Any]) -> Session:
    return Session(
        id=row.id,
        account_id=row.account_id,
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        browser=row.browser,
    )


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id, account_id=row.account_id, name=row.name, created_at=row.created_at, used_at=row.used_at
    )

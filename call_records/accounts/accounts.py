"""People who sign in, their browsers and programs.

An account belongs to a person of `staff.py`: name, team and handsets are the person's. The account's row carries
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

from call_records.accounts.staff import give_phones, person_for_account, rename_person
from call_records.db import json_text, locks
from call_records.db.errors import plain_errors
from call_records.db.tables import accounts, sessions, tokens
from call_records.types import Account, ApiToken, Session
from telephony.errors import ChangedMeanwhile, PeerMistake
from telephony.recordings import HearScope, RecordingRight
from telephony.staff import PopPreference, RingAlert, Role, TokenScope

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
        password_temporary: bool = False,
    ) -> Account:
        """A new active account. Raises PeerMistake when the login is taken."""
        values = _new_account(login, name, role, password_hash, extensions, pop)
        values["password_temporary"] = password_temporary
        with plain_errors(), _login_taken():
            async with self._engine.begin() as connection:
                return await _make(connection, values)

    async def create_first(self, *, login: str, name: str, password_hash: str) -> Account | None:
        """The first administrator; None when somebody was quicker (decided by the database)."""
        values = _new_account(login, name, Role.ADMINISTRATOR, password_hash, (), PopPreference.ON_RING)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.FIRST_ACCOUNT}
                )
                if await connection.scalar(select(exists().select_from(accounts))):
                    return None
                return await _make(connection, values)

    async def by_login(self, login: str) -> Account | None:
        """The account, active or not."""
        return await self._one(func.lower(accounts.c.login) == func.lower(json_text.clean(login)))

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
        """Store what administrators decide; see Accounts. Neither the password nor the card's preference is written."""
        changed = (
            update(accounts)
            .where(accounts.c.id == account.id, accounts.c.version == account.version)
            .values(**_decided(account), version=account.version + 1)
            .returning(accounts)
        )
        with plain_errors(), _login_taken():
            async with self._engine.begin() as connection:
                await _administrators_take_turns(connection)
                led = await _has_administrator(connection)
                row = (await connection.execute(changed)).one_or_none()
                if row is None:
                    await _require_account(connection, account.id)
                    raise ChangedMeanwhile("Somebody else changed this account meanwhile.")
                if led and not await _has_administrator(connection):
                    raise PeerMistake(
                        "This is the only administrator.",
                        remedy="Make somebody else one first.",
                        field="role",
                    )
                if not row.active:
                    await _end_all_access(connection, account.id)
                await rename_person(connection, row.person_id, name=row.name, team=row.team)
                await give_phones(connection, row.person_id, row.extensions)
        return _account(row)

    async def set_alerts(self, account_id: UUID, alerts: Collection[RingAlert]) -> None:
        """How this account is told that its phone rings. Nothing else of it is touched."""
        changed = update(accounts).where(accounts.c.id == account_id).values(alerts=sorted(alerts))
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(changed)

    async def set_language(self, account_id: UUID, language: str | None) -> Account:
        """What it reads the pages in, and nothing else."""
        return await self._set(account_id, accounts.c.id == account_id, language=language)

    async def set_pop(self, account_id: UUID, pop: PopPreference) -> Account:
        """When its card opens, and nothing else."""
        return await self._set(account_id, accounts.c.id == account_id, pop=pop.value)

    async def set_password(
        self, account_id: UUID, password_hash: str, *, instead_of: str | None, temporary: bool = False
    ) -> Account:
        """Another password, and nothing else; see Accounts."""
        which = accounts.c.id == account_id
        if instead_of is not None:
            which &= accounts.c.password_hash == instead_of
        return await self._set(account_id, which, password_hash=password_hash, password_temporary=temporary)

    async def reset_password(
        self, account_id: UUID, password_hash: str, *, temporary: bool, keep_session: UUID | None = None
    ) -> Account:
        """Another password; everything that was opened with the old one ends with it."""
        values = {"password_hash": password_hash, "password_temporary": temporary}
        changed = update(accounts).where(accounts.c.id == account_id).values(values).returning(accounts)
        with plain_errors():
            async with self._engine.begin() as connection:
                row = (await connection.execute(changed)).one_or_none()
                if row is None:
                    raise _no_account()
                await _end_all_access(connection, account_id, keep_session=keep_session)
        return _account(row)

    async def _set(self, account_id: UUID, which: Any, **values: Any) -> Account:
        changed = update(accounts).where(which).values(values).returning(accounts)
        with plain_errors():
            async with self._engine.begin() as connection:
                row = (await connection.execute(changed)).one_or_none()
                if row is None:
                    await _require_account(connection, account_id)
                    raise ChangedMeanwhile("The password was changed meanwhile.", remedy="Sign in again.")
        return _account(row)

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
        self,
        *,
        account_id: UUID,
        token_hash: bytes,
        expires_at: datetime,
        browser: str,
        password_hash: str | None = None,
    ) -> Session:
        """A new session, while the password that was proven still is the account's; those that ran out are swept."""
        values = {"id": uuid4(), "account_id": account_id, "token_hash": token_hash, "expires_at": expires_at}
        kept = json_text.clean(browser)[:BROWSER_LENGTH]
        adding = insert(sessions).values(**values, browser=kept).returning(sessions)
        with plain_errors():
            async with self._engine.begin() as connection:
                await _require_password(connection, account_id, password_hash)
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

    async def create(
        self,
        *,
        account_id: UUID,
        name: str,
        token_hash: bytes,
        scopes: frozenset[TokenScope] = frozenset(TokenScope),
        expires_at: datetime | None = None,
        password_hash: str | None = None,
    ) -> ApiToken:
        """A new token; only its hash is kept."""
        values = {
            "id": uuid4(),
            "account_id": account_id,
            "name": json_text.clean(name),
            "token_hash": token_hash,
            "scopes": sorted(scopes),
            "expires_at": expires_at,
        }
        with plain_errors():
            async with self._engine.begin() as connection:
                await _require_password(connection, account_id, password_hash)
                return _token(
                    (await connection.execute(insert(tokens).values(values).returning(tokens))).one()
                )

    async def find(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """The token and its active account; None when unknown, expired, revoked or the account is off."""
        same = (tokens.c.token_hash == token_hash) & (
            tokens.c.expires_at.is_(None) | (tokens.c.expires_at > func.now())
        )
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

    async def revoke_all(self, account_id: UUID) -> int:
        """End every token of the account; how many there were."""
        with plain_errors():
            async with self._engine.begin() as connection:
                done = await connection.execute(delete(tokens).where(tokens.c.account_id == account_id))
                return done.rowcount


@contextmanager
def _login_taken() -> Iterator[None]:
    """Turns the unique index on logins into a sentence."""
    try:
        yield
    except IntegrityError as error:
        if "accounts_login" in str(error.orig):
            raise PeerMistake(
                "This sign-in name is taken.", remedy="Choose another one.", field="login"
            ) from error
        raise


async def _make(connection: AsyncConnection, values: dict[str, Any]) -> Account:
    """The account, and the person it belongs to: the one who has these handsets and no account, or a new one."""
    person_id = await person_for_account(connection, name=values["name"], phones=values["extensions"])
    row = await connection.execute(
        insert(accounts).values({**values, "person_id": person_id}).returning(accounts)
    )
    await give_phones(connection, person_id, values["extensions"])
    return _account(row.one())


async def _administrators_take_turns(connection: AsyncConnection) -> None:
    """Two administrators who demote each other at the same moment: the second finds that nobody else is left."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.FIRST_ACCOUNT})


async def _has_administrator(connection: AsyncConnection) -> bool:
    leading = exists().where(accounts.c.active, accounts.c.role == Role.ADMINISTRATOR.value)
    return bool(await connection.scalar(select(leading)))


async def _require_account(connection: AsyncConnection, account_id: UUID) -> None:
    if not await connection.scalar(select(exists().where(accounts.c.id == account_id))):
        raise _no_account()


async def _require_password(connection: AsyncConnection, account_id: UUID, password_hash: str | None) -> None:
    """Waits for whoever resets the password at this moment: what is opened afterwards was opened with the old one."""
    if password_hash is None:
        return
    present = select(accounts.c.password_hash).where(accounts.c.id == account_id, accounts.c.active)
    if await connection.scalar(present.with_for_update(read=True)) != password_hash:
        raise ChangedMeanwhile("The password was changed meanwhile.", remedy="Sign in with the new one.")


async def _end_all_access(
    connection: AsyncConnection, account_id: UUID, *, keep_session: UUID | None = None
) -> None:
    others = sessions.c.account_id == account_id
    if keep_session is not None:
        others &= sessions.c.id != keep_session
    await connection.execute(delete(sessions).where(others))
    await connection.execute(delete(tokens).where(tokens.c.account_id == account_id))


def _no_account() -> PeerMistake:
    return PeerMistake("Nobody with this account exists.", remedy="Load the page again.")


def _decided(account: Account) -> dict[str, Any]:
    """The columns that only administrators decide about."""
    return {
        "login": json_text.clean(account.login),
        "name": json_text.clean(account.name),
        "role": account.role.value,
        "extensions": list(account.extensions),
        "active": account.active,
        "team": account.team and json_text.clean(account.team),
        "hears": account.hears_chosen,
        "recording_rights": None if account.rights_chosen is None else sorted(account.rights_chosen),
    }


def _new_account(
    login: str, name: str, role: Role, password_hash: str, phones: Sequence[str], pop: PopPreference
) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "login": json_text.clean(login),
        "name": json_text.clean(name),
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
        language=row.language,
        password_temporary=row.password_temporary,
        version=row.version,
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
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        created_at=row.created_at,
        used_at=row.used_at,
        scopes=_scopes(row.scopes),
        expires_at=row.expires_at,
    )


def _scopes(kept: Sequence[str] | None) -> frozenset[TokenScope]:
    """What was chosen for the token; NULL was made before there were scopes."""
    return frozenset(TokenScope) if kept is None else frozenset(TokenScope) & frozenset(kept)

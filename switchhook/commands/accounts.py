"""`switchhook account` and `switchhook token`: people who sign in, and tokens for programs, from the command line."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from call_records.store import RecordsStore
from call_records.types import Account
from switchhook.opening import open_store
from switchhook.pbx.numbering import read_numberings
from switchhook.settings.settings import Settings
from telephony.errors import NeedsPerson
from telephony.numbers.extension_rule import rule_of
from telephony.recordings import AuditAction
from telephony.staff import PopPreference, Role
from web.auth.access import Passwords, new_token, password_problem

PASSWORD_FILE_BYTES = 4096  # a password is a line; more than this is a wrong path


async def account(
    settings: Settings,
    login: str,
    *,
    role: str | None,
    name: str | None,
    extensions: Sequence[str] | None,
    password_file: Path | None,
) -> int:
    """Make the account, or change what was named. A new one needs a password, from the file or asked for."""
    async with open_store(settings) as store:
        existing = await store.accounts.by_login(login)
        await _check_extensions(store, settings, extensions or ())
        password = await _password(login, password_file, needed=existing is None)
        hashed = await Passwords().hash(password) if password is not None else None
        if existing is None:
            await store.accounts.create(
                login=login,
                name=name or login,
                role=Role(role) if role else Role.MANAGER,
                password_hash=hashed or "",
                extensions=tuple(extensions or ()),
                pop=PopPreference.ON_RING,
            )
            print(f"The account {login} was made.")
            return 0
        changed = replace(
            existing,
            name=name or existing.name,
            role=Role(role) if role else existing.role,
            extensions=tuple(extensions) if extensions else existing.extensions,
        )
        await _refuse_to_lose_the_last_administrator(store, existing, changed)
        await store.accounts.update(changed)
        if hashed is not None:
            who, details = "command line", {"account": existing.login}
            await store.audit.write(AuditAction.PASSWORD_RESET, who=who, details=details)
            await store.accounts.reset_password(existing.id, hashed, temporary=False)
        print(f"The account {login} was changed.")
    return 0


async def token(settings: Settings, login: str, name: str, *, revoke: bool) -> int:
    """Make a token and print it, once; or take back the tokens of that name."""
    async with open_store(settings) as store:
        owner = await store.accounts.by_login(login)
        if owner is None:
            raise NeedsPerson(
                f"Nobody signs in as {login}.", remedy="Make the account: switchhook account " + login
            )
        if revoke:
            return await _revoke(store, owner, name)
        fresh, hashed = new_token()
        details = {"account": owner.login, "name": name}
        await store.audit.write(AuditAction.TOKEN_MADE, who="command line", details=details)
        await store.tokens.create(account_id=owner.id, name=name, token_hash=hashed)
    print(fresh)
    print("It is shown this once; keep it like a password.", file=sys.stderr)
    return 0


async def _revoke(store: RecordsStore, owner: Account, name: str) -> int:
    found = [one for one in await store.tokens.of_account(owner.id) if one.name == name]
    if not found:
        raise NeedsPerson(
            f"{owner.login} has no token called {name}.", remedy="See My settings for the names."
        )
    for one in found:
        await store.tokens.revoke(one.id, account_id=owner.id)
    print(f"{len(found)} taken back.")
    return 0


async def _password(login: str, file: Path | None, *, needed: bool) -> str | None:
    if file is not None:
        try:
            with file.open("rb") as source:
                password = source.read(PASSWORD_FILE_BYTES).decode("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as mistake:
            raise NeedsPerson(
                f"The password cannot be read from {file}.",
                remedy="Give a readable file with one line of text.",
            ) from mistake
    elif not needed:
        return None
    elif sys.stdin.isatty():
        password = await asyncio.to_thread(getpass.getpass, f"Password for {login}: ")
    else:
        raise NeedsPerson("A new account needs a password.", remedy="Give --password-file FILE.")
    problem = password_problem(password, login)
    if problem is not None:
        raise NeedsPerson(problem)
    return password


async def _check_extensions(store: RecordsStore, settings: Settings, extensions: Sequence[str]) -> None:
    """Raises NeedsPerson for what is no extension of any PBX."""
    if not extensions:
        return
    numberings = await read_numberings(store.endpoints, settings)
    seen = {phone.extension for phone in await store.staff.phones() if phone.gone_at is None}
    problem = rule_of(numberings, seen).first_problem(extensions)
    if problem is not None:
        raise NeedsPerson(problem.sentence, remedy=problem.remedy)


async def _refuse_to_lose_the_last_administrator(
    store: RecordsStore, before: Account, after: Account
) -> None:
    if before.role is not Role.ADMINISTRATOR or after.role is Role.ADMINISTRATOR:
        return
    others = [one for one in await store.accounts.all() if one.role is Role.ADMINISTRATOR and one.active]
    if all(one.id == before.id for one in others):
        raise NeedsPerson(
            "This is the last administrator.", remedy="Make another one first, then change this one's role."
        )

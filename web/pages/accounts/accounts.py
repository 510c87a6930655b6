"""Accounts: who may sign in, as what, and which phones are theirs. For administrators."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from call_records.types import Account
from telephony.errors import ChangedMeanwhile, PeerMistake
from telephony.recordings import AuditAction, HearScope, RecordingRight
from telephony.staff import PopPreference, Role
from web.auth.access import ADMINISTRATORS, Viewer, guard, password_problem
from web.auth.access_log import log_access
from web.forms.extensions import extension_rule, read_extensions
from web.forms.field_problems import FieldProblem, refusal_of
from web.languages.errors import translate_sentence
from web.languages.formats import sort_by_name, sort_key
from web.languages.messages import N_, Phrases, _
from web.presenters.recordings import RIGHT_WORDS, SCOPE_WORDS, role_says_rights, role_says_scope
from web.presenters.tokens import scopes_of
from web.recordings.permissions import note_use
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

TEAM_LENGTH = 60  # characters

SAVED = Phrases(
    {
        "made": N_("The account was made."),
        "changed": N_("Saved."),
        "password": N_("The password was changed."),
        "token": N_("That token was ended."),
    }
)


@router.get("/accounts")
async def accounts(request: Request, viewer: Administrator) -> Response:
    """The list and the form for a new one."""
    return await _list(request, viewer, said=SAVED.get(request.query_params.get("saved", "")))


@router.post("/accounts")
async def create(request: Request, viewer: Administrator) -> Response:
    """Make an account."""
    site = site_of(request)
    told = await fields(request)
    login, name = told.get("login", "").strip()[:200], told.get("name", "").strip()[:200]
    extensions, problems = await _read_extensions(site, told, None)
    problems += _names_problems(name, login)
    if weak := password_problem(told.get("password", ""), login):
        problems.append(FieldProblem("password", weak))
    problem = None
    if not problems:
        try:
            made = await site.records.accounts.create(
                login=login,
                name=name,
                role=_role(told.get("role", "")),
                password_hash=await site.gate.passwords.hash(told["password"]),
                extensions=extensions,
                pop=PopPreference.ON_RING,
                password_temporary=True,  # whoever typed it here knows it
            )
        except PeerMistake as error:
            problem, problems = refusal_of(error)
        else:
            await _note_rights(request, viewer, None, made)
            await site.hub.refresh_names()
            return RedirectResponse("/accounts?saved=made", 303)
    told.pop("password", None)
    return await _list(request, viewer, problem=problem, problems=problems, told=told, status=400)


def _names_problems(name: str, login: str) -> list[FieldProblem]:
    """What is missing of both names."""
    missing = {
        "name": None if name else _("Please fill in the name."),
        "login": None if login else _("Please fill in the sign-in name."),
    }
    return [FieldProblem(field, said) for field, said in missing.items() if said]


async def _read_extensions(
    site: Site, told: dict[str, str], owner: UUID | None
) -> tuple[tuple[str, ...], list[FieldProblem]]:
    """The phones that were typed, and what is wrong with them."""
    extensions, wrong = read_extensions(told.get("extensions", ""), await extension_rule(site))
    wrong = wrong or await _taken(site, extensions, owner)
    return extensions, [FieldProblem("extensions", wrong)] if wrong else []


@router.get("/accounts/{account_id:uuid}")
async def account(request: Request, account_id: UUID, viewer: Administrator) -> Response:
    """One account's form."""
    found = await _found(site_of(request), account_id)
    return await _one(request, viewer, found, said=SAVED.get(request.query_params.get("saved", "")))


@router.post("/accounts/{account_id:uuid}")
async def change(request: Request, account_id: UUID, viewer: Administrator) -> Response:
    """Change role, extensions, name, or switch it off."""
    site = site_of(request)
    found = await _found(site, account_id)
    told = await fields(request)
    extensions, problems = await _read_extensions(site, told, account_id)
    changed = replace(
        found,
        name=told.get("name", found.name).strip()[:200],
        login=told.get("login", found.login).strip()[:200],
        role=_role(told.get("role", found.role.value)),
        extensions=extensions,
        active=told.get("active") == "yes",
        version=int(told["version"]) if told.get("version", "").isdecimal() else found.version,
        **read_rights(told),
    )
    problems += _names_problems(changed.name, changed.login)
    if alone := await _last_administrator(site, changed):
        problems.append(FieldProblem("role", alone))
    problem = None
    if not problems:
        try:
            if changed.version != found.version:
                raise ChangedMeanwhile(_("Somebody else changed this account meanwhile."))
            await _note_rights(request, viewer, found, changed)
            await site.hub.account_changed(await site.records.accounts.update(changed))
        except ChangedMeanwhile as error:
            found = await _found(site, account_id)
            return await _one(request, viewer, found, problem=translate_sentence(error), status=400)
        except PeerMistake as error:
            problem, problems = refusal_of(error)
    if problem or problems:
        return await _one(request, viewer, changed, problem=problem, problems=problems, status=400)
    return RedirectResponse("/accounts?saved=changed", 303)


@router.post("/accounts/{account_id:uuid}/password")
async def reset(request: Request, account_id: UUID, viewer: Administrator) -> Response:
    """A new password, made here and shown once; sign-ins and tokens of that account end. Whoever signs in with it
    chooses another one first: the administrator has seen this one.
    """
    site = site_of(request)
    found = await _found(site, account_id)
    await log_access(site, request, viewer, AuditAction.PASSWORD_RESET, of=found)
    password = "-".join(secrets.token_hex(2) for _step in range(4))  # 64 bits, readable over a telephone
    own = account_id == viewer.account.id
    keep = viewer.session.id if viewer.session and own else None
    changed = await site.records.accounts.reset_password(
        account_id,
        await site.gate.passwords.hash(password),
        temporary=not own,
        keep_session=keep,
    )
    site.hub.end_account(account_id, keep=keep)
    return await _one(request, viewer, changed, new_password=password)


@router.post("/accounts/{account_id:uuid}/tokens/{token_id:uuid}/end")
async def end_token(request: Request, account_id: UUID, token_id: UUID, viewer: Administrator) -> Response:
    """End somebody's token: the program that used it can no longer sign in."""
    site = site_of(request)
    found = await _found(site, account_id)
    theirs = {token.id: token for token in await site.records.tokens.of_account(account_id)}
    if token_id in theirs:
        details = {"name": theirs[token_id].name}
        await log_access(site, request, viewer, AuditAction.TOKEN_REMOVED, of=found, details=details)
        await site.records.tokens.revoke(token_id, account_id=account_id)
    return RedirectResponse(f"/accounts/{account_id}?saved=token", 303)


def read_rights(told: dict[str, str]) -> dict[str, Any]:
    """Team, scope and rights as the form says; what it does not mention stays. Empty or unknown: as the role says."""
    chosen: dict[str, Any] = {}
    if "team" in told:
        chosen["team"] = " ".join(told["team"].split())[:TEAM_LENGTH] or None
    if "hears" in told:
        chosen["hears_chosen"] = HearScope(told["hears"]) if told["hears"] in list(HearScope) else None
    if "rights" in told:
        ticked = frozenset(right for right in RecordingRight if told.get(f"right_{right.value}") == "yes")
        chosen["rights_chosen"] = ticked if told["rights"] == "chosen" else None
    return chosen


async def _note_rights(request: Request, viewer: Viewer, before: Account | None, after: Account) -> None:
    """Whatever decides who hears what is written down: role, phones, team, scope and rights."""
    told = _rights_told(after)
    was = _rights_told(before) if before else {}
    if told != was:
        details = {"account": after.login, "before": was, "after": told}
        await note_use(site_of(request), request, viewer, AuditAction.RIGHTS_CHANGED, None, details=details)


def _rights_told(account: Account) -> dict[str, Any]:
    return {
        "sign-in name": account.login,
        "role": account.role.value,
        "may sign in": account.active,
        "extensions": sorted(account.extensions),
        "team": account.team,
        "hears": account.hears.value,
        "rights": sorted(account.recording_rights),
    }


async def _taken(site: Site, extensions: tuple[str, ...], owner: UUID | None) -> str | None:
    """Two people with one phone would both get its cards: say whose it is."""
    for other in await site.records.accounts.all():
        shared = set(other.extensions) & set(extensions)
        if other.id != owner and other.active and shared:
            return _("Extension {extension} belongs to {name}.").format(
                extension=min(shared), name=other.name
            )
    return None


async def _last_administrator(site: Site, changed: Account) -> str | None:
    if changed.active and changed.role is Role.ADMINISTRATOR:
        return None
    others = [a for a in await site.records.accounts.all() if a.id != changed.id]
    if any(a.active and a.role is Role.ADMINISTRATOR for a in others):
        return None
    return _("This is the only administrator. Make somebody else one first.")


def _role(told: str) -> Role:
    return Role(told) if told in list(Role) else Role.MANAGER


async def _found(site: Site, account_id: UUID) -> Account:
    found = await site.records.accounts.by_id(account_id)
    if found is None:
        raise HTTPException(404, _("There is no such account."))
    return found


async def _list(
    request: Request,
    viewer: Viewer,
    *,
    said: str | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    told: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    site = site_of(request)
    everybody = sorted(await site.records.accounts.all(), key=lambda a: (not a.active, sort_key(a.name)))
    return site.renderer.page(
        request,
        viewer,
        "accounts/accounts.html",
        status=status,
        accounts=everybody,
        said=said,
        problem=problem,
        problems=problems,
        told=told or {},
        roles=Role,
    )


async def _one(
    request: Request,
    viewer: Viewer,
    found: Account,
    *,
    said: str | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    new_password: str | None = None,
    status: int = 200,
) -> Response:
    site = site_of(request)
    teams = sort_by_name({person.team for person in site.hub.names.directory.people if person.team})
    return site.renderer.page(
        request,
        viewer,
        "accounts/account.html",
        status=status,
        account=found,
        said=said,
        problem=problem,
        problems=problems,
        new_password=new_password,
        roles=Role,
        teams=teams,
        scopes=SCOPE_WORDS,
        tokens=await site.records.tokens.of_account(found.id),
        scopes_of=scopes_of,
        rights=RIGHT_WORDS,
        role_scope=role_says_scope(found.role),
        role_rights=role_says_rights(found.role),
    )

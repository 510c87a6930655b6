"""Who signed in, whose password was reset, which tokens were made: written to the audit log with names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from call_records.types import Account
from telephony.recordings import AuditAction
from web.auth.access import Viewer, address_of, browser_name
from web.site import Site, site_of

UNKNOWN_NAME = "an unknown sign-in name"  # in the log, which is written in one language
"""Not what was typed: people type their password into the wrong field."""


async def log_sign_in(
    site: Site, request: Request, account: Account | None, action: AuditAction, **details: Any
) -> None:
    """Somebody came, went, or was not let in. Raises TryLater when it cannot be written down: then nobody comes in."""
    await site.records.audit.write(
        action,
        who=account.login if account else UNKNOWN_NAME,
        account_id=account.id if account else None,
        address=address_of(request),
        browser=browser_name(request.headers.get("user-agent", "")),
        details=details,
    )


async def note_rules(request: Request, viewer: Viewer, what: str, before: object, after: object) -> None:
    """Something that holds for the whole office was changed: hours, pipelines, sources, forms, staff."""
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):  # what stayed is of no use in the log
        same = {name for name in before if name in after and before[name] == after[name]}
        before = {name: value for name, value in before.items() if name not in same}
        after = {name: value for name, value in after.items() if name not in same}
    details = {"of": what, "before": before, "after": after}
    await log_access(site_of(request), request, viewer, AuditAction.RULES_CHANGED, details=details)


async def log_access(
    site: Site,
    request: Request,
    viewer: Viewer,
    action: AuditAction,
    *,
    of: Account | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Somebody did something about an account: their own, or that of somebody else."""
    named = {"account": of.login} if of is not None and of.id != viewer.account.id else {}
    await site.records.audit.write(
        action,
        who=viewer.account.login,
        account_id=viewer.account.id,
        address=address_of(request),
        browser=browser_name(request.headers.get("user-agent", "")),
        details={**named, **(details or {})},
    )

"""What did not reach a CRM, with the reason: tried again or dismissed here. For administrators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from crm_sync.delivery import Delivery, DeliveryKey
from crm_sync.operations import OperationKind
from crm_sync.states import DeliveryState
from telephony.errors import SwitchhookError
from telephony.recordings import AuditAction
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.auth.access_log import log_access
from web.crm_desk import CrmDesk
from web.languages.messages import N_, Phrases, _
from web.site import fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

PAGE = "/connections/crm"
KINDS: Phrases[OperationKind] = Phrases(
    {
        OperationKind.OPEN_CALL: N_("Register the call"),
        OperationKind.SHOW_POPUP: N_("Show the card"),
        OperationKind.CREATE_LEAD: N_("Find or create the contact"),
        OperationKind.HIDE_POPUP: N_("Hide the card"),
        OperationKind.CLOSE_CALL: N_("Log the call"),
        OperationKind.ATTACH_RECORDING: N_("Attach the recording"),
        OperationKind.ADD_NOTE: N_("Add a note"),
    }
)
SAID: Phrases[str] = Phrases(
    {
        "retry": N_("It is tried again now."),
        "again": N_("It is sent again now."),
        "dismiss": N_("Dismissed: it is not delivered."),
    }
)
ACTIONS = {
    "retry": AuditAction.CRM_RETRIED,
    "again": AuditAction.CRM_RETRIED,
    "dismiss": AuditAction.CRM_DISMISSED,
}


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """One delivery that waits for a person, or was given up with a reason."""

    connection: str
    call_id: UUID
    leg: int
    kind: str
    what: str
    phone: str | None
    started_at: datetime
    reason: str
    needs_decision: bool
    may_be_there: bool
    """The CRM may have it: a retry looks there first, sending again does not."""


@router.get(PAGE)
async def show_exceptions(request: Request, viewer: Administrator) -> Response:
    """The page."""
    return await _page(request, viewer, said=SAID.get(request.query_params.get("saved", "")))


@router.post(PAGE)
async def decide(request: Request, viewer: Administrator) -> Response:
    """Retry, send again or dismiss one."""
    site, given = site_of(request), await fields(request)
    act = given.get("act", "")
    if site.crm is None or act not in ACTIONS:
        raise HTTPException(404, _("There is nothing here."))
    key = _read_key(given)
    details = {"connection": key.connection, "call": str(key.call_id), "what": str(key.kind)}
    try:
        await _carry_out(site.crm, act, key, viewer.account.name)
    except SwitchhookError as refused:
        return await _page(request, viewer, problem=refused.sentence, status=409)
    await log_access(site, request, viewer, ACTIONS[act], details=details)
    return RedirectResponse(f"{PAGE}?saved={act}", 303)


async def _carry_out(desk: CrmDesk, act: str, key: DeliveryKey, who: str) -> None:
    match act:
        case "retry":
            await desk.retry(key)
        case "again":
            await desk.send_again(key)
        case _:
            await desk.dismiss(key, who)


def _read_key(given: Mapping[str, str]) -> DeliveryKey:
    try:
        return DeliveryKey(
            given.get("connection", ""),
            UUID(given.get("call", "")),
            int(given.get("leg", "")),
            OperationKind(given.get("kind", "")),
        )
    except ValueError as odd:
        raise HTTPException(404, _("There is nothing here.")) from odd


def build_row(delivery: Delivery) -> ExceptionRow:
    """A delivery as the page shows it."""
    call = delivery.operation.call
    return ExceptionRow(
        delivery.connection,
        call.call_id,
        call.leg,
        str(delivery.kind),
        KINDS[delivery.kind],
        call.phone,
        call.started_at,
        delivery.reason,
        delivery.state is DeliveryState.FAILED,
        delivery.sent_at is not None,
    )


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    said: str | None = None,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    site = site_of(request)
    found = await site.crm.list_exceptions() if site.crm is not None else ()
    failed = [build_row(delivery) for delivery in found if delivery.state is DeliveryState.FAILED]
    held = [build_row(delivery) for delivery in found if delivery.state is DeliveryState.HELD]
    skipped = [build_row(delivery) for delivery in found if delivery.state is DeliveryState.SKIPPED]
    return site.renderer.page(
        request,
        viewer,
        "crm_deliveries.html",
        status=status,
        is_connected=site.crm is not None,
        failed=failed,
        held=held,
        skipped=skipped,
        said=said,
        problem=problem,
    )

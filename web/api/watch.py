"""For machines that watch over us: alive, ready, and what is counted."""

from __future__ import annotations

import hmac
from ipaddress import ip_address

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from web.access import NotAllowed, address_of
from web.pages import site_of
from web.wording import _

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """200 when calls are seen and kept; 503 with the reasons otherwise. No names, no addresses."""
    site = site_of(request)
    reasons = [f"phone system {link.pbx}: not connected" for link in site.live.links() if not link.connected]
    if await site.hub.check_store() is not None:
        reasons.append("database: not ready")
    return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text; for this machine, or with the metrics token."""
    site = site_of(request)
    if not (_on_this_machine(request) or _has_token(request, site.settings.metrics_token)):
        raise NotAllowed(
            _("Metrics are read from this machine, or with the metrics token."),
            remedy=_("Send “Authorization: Bearer …” with the token from the configuration."),
        )
    return Response(generate_latest(site.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _on_this_machine(request: Request) -> bool:
    """A proxy on this machine speaks for others: what it forwards is not ours."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ip_address(address_of(request)).is_loopback
    except ValueError:
        return False


def _has_token(request: Request, token: str | None) -> bool:
    told = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    return token is not None and hmac.compare_digest(told.encode(), token.encode())

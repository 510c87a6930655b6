"""For machines that watch over us: alive, ready, and what is counted."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from web.auth.access import NotAllowed, address_of
from web.http.proxies import came_through_proxy, host_name, is_local_name, is_loopback
from web.languages.messages import _
from web.site import site_of

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
    if not (
        is_on_this_machine(request, behind_proxy=site.settings.behind_proxy)
        or has_token(request, site.settings.metrics_token)
    ):
        raise NotAllowed(
            _(
                "Metrics are read with the metrics token, or from this machine where no proxy stands before us."
            ),
            remedy=_("Set metrics_token_file under [web], and send that token as “Authorization: Bearer …”."),
        )
    return Response(generate_latest(site.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def is_on_this_machine(request: Request, *, behind_proxy: bool) -> bool:
    """Whether a program of this machine asks, and nothing on this machine that speaks for somebody elsewhere. A proxy
    that adds no header cannot be told from one: behind a proxy nobody is believed.
    """
    peer = getattr(request.state, "peer", None) or address_of(request)
    local = is_loopback(peer) and is_local_name(host_name(request.headers.get("host", "localhost")))
    return local and not behind_proxy and not came_through_proxy(request.headers)


def has_token(request: Request, token: str | None) -> bool:
    told = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    return token is not None and hmac.compare_digest(told.encode(), token.encode())

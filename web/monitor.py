"""What watches over a process that has no pages: `run --only bridge` answers whether it lives, whether it is ready, and
what it counts. Nothing else, to nobody else than /metrics of the pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from web.api.watch import has_token, is_on_this_machine
from web.http.host_names import HostNames
from web.http.proxies import ForwardedFor, ProxyMemory
from web.http.request_limits import RequestLimit
from web.settings import WebSettings


def create_monitor(
    settings: WebSettings,
    registry: CollectorRegistry,
    not_ready: Callable[[], Awaitable[Sequence[str]]],
) -> FastAPI:
    """The application. `not_ready` gives the reasons, none when all is well."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz")
    async def readyz() -> Response:
        reasons = list(await not_ready())
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        local = is_on_this_machine(request, behind_proxy=settings.behind_proxy)
        if not (local or has_token(request, settings.metrics_token)):
            return PlainTextResponse("Metrics are read with the metrics token.\n", 403)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app.add_middleware(HostNames, public_url=settings.public_url)
    app.add_middleware(RequestLimit, allowance=settings.requests_of_address)
    app.add_middleware(
        ForwardedFor, trust=settings.trust, memory=ProxyMemory(), public_url=settings.public_url
    )
    return app

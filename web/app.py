"""The application: puts the pages, the API and the live hub together. Opens nothing itself; it is handed
its parts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry

from call_records.recordings.ingest.uploads import UploadDesk
from call_records.types import Records
from telephony.ports import LiveCalls, PbxDetails, RecordingControl
from web.api import forms as forms_api
from web.api import recording_list, v1, watch
from web.api import recordings as recordings_api
from web.api import uploads as upload_api
from web.auth.access import Gate, Passwords
from web.crm_desk import CrmDesk
from web.forms.form_posts import FormPosts
from web.http.assets import Assets
from web.http.compression import Compression, takes_gzip
from web.http.host_names import HostNames
from web.http.proxies import ForwardedFor, ProxyMemory
from web.http.request_limits import RequestLimit
from web.http.security_headers import Shield
from web.languages.catalogues import Languages
from web.languages.pseudo import offered_languages
from web.languages.requests import RequestLanguage
from web.live import Hub
from web.metrics import WebMetrics
from web.pages import connections, crm_deliveries, exports, form_echo, imports, list_exports
from web.pages.accounts import accounts, my_settings, new_password, session_state, sign_in, staff
from web.pages.calls import calls, card, live
from web.pages.contacts import actions as people_changes
from web.pages.contacts import detail as people_one
from web.pages.contacts import dialogs as people_forms
from web.pages.contacts import list as people
from web.pages.deals import board as deals
from web.pages.deals import detail as deal
from web.pages.deals import pipelines
from web.pages.lead_rules import rules as lead_rules
from web.pages.lead_rules import sources, web_forms
from web.pages.missed_calls import missed_calls, working_hours
from web.pages.recordings import audit, shared_link
from web.pages.recordings import list as recordings
from web.pages.recordings import player as recordings_player
from web.pages.recordings import retention as recording_rules
from web.pages.reviews import feedback, scores
from web.pages.reviews import forms as review_forms
from web.pages.reviews import queue as review
from web.pages.reviews import rules as review_rules
from web.problems import answer_problems
from web.rendering import Renderer
from web.settings import WebSettings
from web.site import Site

DESCRIPTION = """Calls of an Asterisk PBX, as they happen and as they happened.

Make a personal token under My settings and send it as `Authorization: Bearer …`. Errors are RFC 9457
problem details
with a `remedy`. The fields of a call are described in `docs/reference/call-facts.md`."""

PARTS = (
    sign_in,
    session_state,
    form_echo,
    new_password,
    live,
    list_exports,
    calls,
    card,
    imports,
    exports,
    people_changes,
    people,
    people_forms,
    people_one,
    pipelines,
    deals,
    deal,
    missed_calls,
    staff,
    lead_rules,
    sources,
    web_forms,
    working_hours,
    recording_rules,
    recordings,
    recordings_player,
    shared_link,
    review_forms,
    review_rules,
    scores,
    review,
    feedback,
    my_settings,
    accounts,
    connections,
    crm_deliveries,
    audit,
    v1,
    recordings_api,
    recording_list,
    watch,
    forms_api,
)
"""Every page and address. Their order means nothing: no two of them match the same address."""


def create_app(
    records: Records,
    live_calls: LiveCalls,
    web_settings: WebSettings,
    *,
    registry: CollectorRegistry | None = None,
    passwords: Passwords | None = None,
    troubles: Callable[[], Sequence[str]] = tuple,
    pbx_details: Callable[[], Sequence[PbxDetails]] = tuple,
    control: RecordingControl | None = None,
    uploads: UploadDesk | None = None,
    crm: CrmDesk | None = None,
    languages: Languages | None = None,
) -> FastAPI:
    """The whole web part over an opened store and the live calls.

    `troubles` says what else an administrator should know now, one sentence each. `pbx_details` is shown with
    each PBX on Connections. `control` pauses recordings; without
    it (this process watches no PBX) nobody is offered that. `uploads` takes recordings from remote PBXes; without it
    there is no such address. `crm` shows deliveries to CRMs; without it none is configured. `languages` are read here
    unless they were before: 0.2 s of computing for each.
    """
    languages = languages or Languages(offered_languages(pseudo=web_settings.pseudo_language))
    assets = Assets(made=languages.scripts())
    proxy_memory = ProxyMemory()
    metrics = WebMetrics(registry)
    renderer = Renderer(web_settings, assets, can_pause=control is not None)
    gate = Gate(records, web_settings, passwords or Passwords(), languages)
    hub = Hub(live_calls, records, web_settings, metrics, renderer.row, troubles, pbx_details)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(hub.run(), name="live hub")
        compiling = asyncio.create_task(renderer.compile_templates(), name="templates")
        app.state.hub_task = task
        try:
            yield
        finally:
            hub.close()
            task.cancel()
            compiling.cancel()
            await asyncio.wait([task, compiling])

    app = FastAPI(
        title="Switchhook",
        version=web_settings.version or "1",
        description=DESCRIPTION,
        openapi_url=None,  # served by the API itself, to whoever is signed in
        docs_url=None,  # both viewers load scripts from elsewhere, which our pages never do
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.gate = gate
    app.state.hub = hub
    app.state.site = Site(
        records=records,
        live=live_calls,
        settings=web_settings,
        gate=gate,
        hub=hub,
        renderer=renderer,
        assets=assets,
        metrics=metrics,
        control=control,
        crm=crm,
        proxy_faults=proxy_memory.faults,
    )

    @app.get("/static/{version}/{name:path}", include_in_schema=False)
    async def static(request: Request, version: str, name: str) -> Response:
        return assets.answer(version, name, gzipped=takes_gzip(request.headers))

    for part in PARTS:
        app.include_router(part.router)
    app.state.uploads = uploads
    if uploads is not None:
        app.include_router(upload_api.router)
    answer_problems(app, renderer)
    app.add_middleware(FormPosts, answers=records.form_answers)
    own_bound = upload_api.PREFIX if uploads is not None else None
    bounds = {imports.UPLOAD: imports.UPLOAD_MOST}
    # The last one added sees a request first.
    app.add_middleware(Compression)
    app.add_middleware(Shield, https=web_settings.https, bounded_elsewhere=own_bound, bounds=bounds)
    app.add_middleware(HostNames, public_url=web_settings.public_url)
    app.add_middleware(RequestLimit, allowance=web_settings.requests_of_address)
    app.add_middleware(
        ForwardedFor, trust=web_settings.trust, memory=proxy_memory, public_url=web_settings.public_url
    )
    app.add_middleware(RequestLanguage, languages=languages)
    return app

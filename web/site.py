"""What all pages, the API and the live stream share of one application: `Site`, and how a request's form is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import Request

from call_records.types import Records
from telephony.ports import LiveCalls, RecordingControl
from web.auth.access import Gate
from web.crm_desk import CrmDesk
from web.forms.date_ranges import DateRange, read_date_range
from web.http.assets import Assets
from web.live import Hub
from web.metrics import WebMetrics
from web.recordings.recently_logged import Noted
from web.rendering import Renderer
from web.settings import WebSettings

FIELD_MOST = 12_000  # characters of one form field; a note holds 10 000


@dataclass(frozen=True, slots=True)
class Site:
    """The parts of one application, made by `create_app`."""

    records: Records
    live: LiveCalls
    settings: WebSettings
    gate: Gate
    hub: Hub
    renderer: Renderer
    assets: Assets
    metrics: WebMetrics
    control: RecordingControl | None = None
    """Pauses the recording of a live call; None where this process watches no PBX."""
    crm: CrmDesk | None = None
    """Deliveries to CRMs; None where no CRM is configured."""
    proxy_faults: Callable[[], Sequence[str]] = tuple
    """What the reverse proxy does wrong, one sentence each."""
    noted: Noted = field(default_factory=Noted)


def site_of(request: Request) -> Site:
    """The application this request belongs to."""
    site = request.app.state.site
    if not isinstance(site, Site):
        raise TypeError("the application was not made by create_app")
    return site


def read_dates(site: Site, asked: Mapping[str, str]) -> DateRange:
    """The days that an address asks for, on the office's clock and in its format."""
    return read_date_range(asked, site.settings.time_zone, datetime.now(UTC), site.settings.region)


async def fields(request: Request) -> dict[str, str]:
    """The form's text fields, without NUL (no database keeps it) and cut to a sane length."""
    form = await request.form(max_files=0, max_fields=50)
    return {
        name: value.replace("\0", "")[:FIELD_MOST]
        for name, value in form.multi_items()
        if isinstance(value, str)
    }

"""Connections: is all well? Each link in a plain sentence, with the remedy when it is not. For
administrators.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from call_records.deliveries.connections import ConnectionStatus
from telephony.endpoint_directory import pattern_of, toml_key
from telephony.errors import SwitchhookError
from telephony.ports import PbxDetails
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.endpoint_rows import list_names, undecided_names
from web.languages.messages import N_, NN_, Phrases, _, ngettext
from web.live import STALE_AFTER
from web.presenters.labels import display_number, duration
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Connection:
    """One line of the page."""

    name: str
    well: bool
    sentence: str
    remedy: str | None
    since: datetime | None
    details: tuple[str, ...] = ()
    """What is known of it besides, short."""
    more: tuple[str, str] | None = None
    """Where there is more of it: address and word."""


@router.get("/connections")
async def connections(
    request: Request, viewer: Annotated[Viewer, Depends(guard(ADMINISTRATORS))]
) -> Response:
    """The page."""
    site = site_of(request)
    now = datetime.now(UTC)
    lines: list[Connection] = []
    details = {each.pbx: describe_pbx(each, now) for each in site.hub.pbx_details()}
    for link in site.live.links():
        name = _("Phone system {pbx}").format(pbx=link.pbx)
        if not link.connected:
            remedy = link.problem or _(
                "Check that the phone system is running and reachable from this machine."
            )
            lines.append(
                Connection(
                    name,
                    False,
                    _("Not connected. We keep trying."),
                    remedy,
                    link.since,
                    details.get(link.pbx, ()),
                )
            )
        elif link.lag_seconds > STALE_AFTER:
            text = _("Connected, but its news arrives {time} late.").format(time=duration(link.lag_seconds))
            remedy = _("Check that the clocks of both machines agree, then the load of the phone system.")
            lines.append(Connection(name, False, text, remedy, link.since, details.get(link.pbx, ())))
        elif link.problem:
            text = _("Connected, but not all is as it should be.")
            lines.append(Connection(name, False, text, link.problem, link.since, details.get(link.pbx, ())))
        else:
            lines.append(
                Connection(
                    name,
                    True,
                    _("Connected. Calls are seen as they happen."),
                    None,
                    link.since,
                    details.get(link.pbx, ()),
                )
            )
    if not lines:
        remedy = _(
            "Run “switchhook init”; it asks a few questions and prints the lines to add to the phone system."
        )
        lines.append(Connection(_("Phone system"), False, _("None is set up yet."), remedy, None))
    lines += await _undecided(site)
    lines += await _crm_connections(site)
    problem = await site.hub.check_store()
    well = problem is None
    text = (
        _("Calls and notes are kept.") if well else _("Calls are seen, but cannot be kept for good just now.")
    )
    lines.append(Connection(_("Database"), well, text, problem, None))
    for trouble in site.hub.troubles():
        lines.append(Connection(_("Keeping calls"), False, trouble, None, None))
    lines += await _floods(site)
    for fault in site.proxy_faults():
        lines.append(Connection(_("Reverse proxy"), False, fault, None, None))
    return site.renderer.page(request, viewer, "connections.html", connections=lines, now=now)


async def _crm_connections(site: Site) -> list[Connection]:
    """A line for each CRM."""
    if site.crm is None:
        return []
    try:
        found = await site.crm.list_connections()
    except SwitchhookError:
        return []  # the line about the database says it
    return [describe_crm(status, site.settings.time_zone) for status in found]


CRM_SENTENCES: Phrases[str] = Phrases(
    {
        "working": N_("Calls are delivered."),
        "unreachable": N_("Cannot be reached. Calls wait and are delivered when it answers again."),
        "needs_administrator": N_("Refuses calls until somebody changes something. They wait."),
    }
)
CRM_PAGE = "/connections/crm"


def _say_decisions(deliveries: int) -> str:
    return ngettext(
        "Calls are delivered, but {n} waits for a decision.",
        "Calls are delivered, but {n} wait for a decision.",
        deliveries,
    ).format(n=deliveries)


def describe_crm(status: ConnectionStatus, zone: tzinfo) -> Connection:
    """How a CRM is, what waits for it, and whether somebody must decide."""
    well = status.state == "working" and not status.failed
    asks_person = status.state == "working" and bool(status.failed)
    details = [
        _("last delivery {day}").format(day=f"{status.last_success_at.astimezone(zone):%Y-%m-%d %H:%M}")
        if status.last_success_at
        else _("nothing was delivered yet"),
        _("waiting: {n}").format(n=status.waiting),
    ]
    if status.failed and not asks_person:
        details += [_("need a decision: {n}").format(n=status.failed)]
    details += [_("not delivered, with a reason: {n}").format(n=status.skipped)] if status.skipped else []
    has_more = bool(status.failed or status.skipped)
    return Connection(
        _("CRM {name} ({adapter})").format(name=status.name, adapter=status.adapter),
        well,
        _say_decisions(status.failed) if asks_person else CRM_SENTENCES.get(status.state, status.state),
        status.reason or None,
        status.since if status.state != "working" else None,
        tuple(details),
        (CRM_PAGE, _("Show what was not delivered")) if has_more else None,
    )


_NO_LEADS = NN_(
    "{n} call of an unknown caller made no lead, because too many came at once.",
    "{n} calls of unknown callers made no lead, because too many came at once.",
)
_NOT_MISSED = NN_(
    "{n} call of an unknown caller is not among the missed, because too many came at once.",
    "{n} calls of unknown callers are not among the missed, because too many came at once.",
)


async def _floods(site: Site) -> list[Connection]:
    """Lines of ours on which more unknown callers came within minutes than anybody can call back."""
    try:
        leads, missed = await site.records.rules.floods(), await site.records.missed.floods()
    except SwitchhookError:
        return []  # the line about the database says it
    region = site.settings.region
    remedy = _(
        "All calls are in the list of calls. The limit is under Lead rules, where numbers can be blocked too."
    )
    lines = []
    for said, floods in ((_NO_LEADS, leads), (_NOT_MISSED, missed)):
        for flood in floods:
            line = display_number(flood.did, region) if flood.did else _("without a number")
            lines.append(
                Connection(
                    _("Line {line}").format(line=line),
                    False,
                    ngettext(*said, flood.calls).format(n=flood.calls),
                    remedy,
                    flood.until,
                )
            )
    return lines


async def _undecided(site: Site) -> list[Connection]:
    """Endpoints of which nobody knows whether they are phones or trunks, a line for each phone system."""
    try:
        known = await site.records.endpoints.list_all()
    except SwitchhookError:
        return []  # the line about the database says it
    lines = []
    for pbx, rows in known.items():
        names = undecided_names(rows)
        if not names:
            continue
        sentence = _(
            "No hint of the dialplan and no setting says whose these {n} are: {names}. They count as trunks, so their "
            "calls are told as calls with somebody outside."
        ).format(n=len(names), names=list_names(names))
        lines.append(
            Connection(_("Phones of {pbx}").format(pbx=pbx), False, sentence, _remedy(pbx, names), None)
        )
    return lines


def _remedy(pbx: str, names: list[str]) -> str:
    return _(
        "Say on the Staff page whose phones they are, or which are trunks. Or write below the [[pbx]] table “{pbx}”: "
        'trunks = "{trunks}" for trunks; for phones a table [pbx.phones] with lines such as {phones} = "101". '
        "A hint in the dialplan does it too: exten => 101,hint,PJSIP/{name}"
    ).format(pbx=pbx, trunks=pattern_of(names[:1]), phones=toml_key(names[0]), name=names[0])


def describe_pbx(details: PbxDetails, now: datetime) -> tuple[str, ...]:
    """Its version and name, how many phones count as such, and how old the newest event of its log is."""
    told: list[str] = []
    if details.asterisk_version:
        told.append(_("Asterisk {version}").format(version=details.asterisk_version))
        told.append(
            _("systemname {name}").format(name=details.system_name)
            if details.system_name
            else _("no systemname is set")
        )
    told.append(_("phones: {count}").format(count=details.phones))
    if not details.has_event_log:
        told.append(_("no event log (CEL) is configured"))
    elif details.event_log_newest_at is None:
        told.append(_("nothing was read from the event log (CEL) yet"))
    else:
        age = max((now - details.event_log_newest_at).total_seconds(), 0.0)
        told.append(_("newest entry of the event log (CEL): {time} ago").format(time=duration(age)))
    return tuple(told)

"""Phones of the PBX whose extension nobody knows: administrators say whose they are, on the staff page.

Shown are endpoints that match neither `extensions` nor a hint, and those of which somebody has said something here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from telephony.endpoint_directory import EndpointSource, KnownEndpoint
from web.languages.messages import ngettext
from web.site import Site

SHOWN_MOST = 500  # endpoints on the page; an office with more writes a pattern into `extensions`
NAMES_SHOWN = 8  # in a sentence


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint as the page shows it."""

    pbx: str
    endpoint: str
    extension: str | None
    said: bool
    """Whether an administrator has decided it here."""

    @property
    def name(self) -> str:
        """Without the technology."""
        return self.endpoint.rpartition("/")[2]


async def list_endpoint_rows(site: Site) -> list[EndpointRow]:
    """Those that wait for a decision first, then those that were decided here."""
    wanted = (EndpointSource.UNDECIDED, EndpointSource.STAFF)
    rows = [
        EndpointRow(pbx, one.endpoint, one.extension, one.source is EndpointSource.STAFF)
        for pbx, known in (await site.records.endpoints.list_all()).items()
        for one in known
        if one.source in wanted
    ]
    return sorted(rows, key=lambda row: (row.said, row.pbx, row.endpoint))[:SHOWN_MOST]


def undecided_names(known: Iterable[KnownEndpoint]) -> list[str]:
    """Names of the endpoints that wait for a decision."""
    return [one.endpoint.rpartition("/")[2] for one in known if one.source is EndpointSource.UNDECIDED]


def list_names(names: list[str]) -> str:
    """The first of them, and how many more."""
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return (
        ngettext("{names} and {n} more", "{names} and {n} more", more).format(names=shown, n=more)
        if more > 0
        else shown
    )

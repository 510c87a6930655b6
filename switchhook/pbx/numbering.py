"""How each PBX numbers its phones and lines: as the configuration says, and as its calls and lists have shown since."""

from __future__ import annotations

from call_records.types import Endpoints
from switchhook.settings.settings import Settings
from switchhook.settings.tables import PbxSettings
from telephony.endpoint_directory import directory_of
from telephony.numbers.numbers import Numbering


def numbering_of(pbx: PbxSettings) -> Numbering:
    """How this PBX numbers its phones and lines."""
    return Numbering(
        pbx=pbx.id,
        extensions=pbx.extensions,
        trunks=pbx.trunks,
        region=pbx.default_region,
        area_code=pbx.area_code or "",
        outside_prefix=pbx.outside_prefix or "",
        directory=directory_of((), pbx.phones),
    )


async def read_numbering(store: Endpoints, settings: Settings, pbx: str) -> Numbering:
    """As the running service tells: what is set, and what was learned of the endpoints."""
    known = await store.list_known(pbx)
    for one in settings.pbx:
        if one.id == pbx:
            return numbering_of(one).with_directory(directory_of(known, one.phones))
    return Numbering(pbx=pbx, directory=directory_of(known))


async def read_numberings(store: Endpoints, settings: Settings) -> list[Numbering]:
    """Of every PBX in the configuration."""
    return [await read_numbering(store, settings, pbx.id) for pbx in settings.pbx]

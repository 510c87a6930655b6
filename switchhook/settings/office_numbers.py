"""How numbers are written in this office, for commands: by the configuration where there is one, else as they are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import phonenumbers

from switchhook.settings import settings
from telephony.errors import PeerMistake
from telephony.numbers.numbers import Numbering


def numbering_for(
    config: Path | None, region: str | None, area_code: str | None = None, outside_prefix: str | None = None
) -> tuple[Numbering, settings.Settings]:
    """The office, and the configuration. Raises PeerMistake for a country that is none, and what loading raises."""
    loaded = settings.load(config)
    office = Numbering()
    if loaded.pbx:
        first = loaded.pbx[0]
        office = Numbering(
            region=first.default_region,
            area_code=first.area_code or "",
            outside_prefix=first.outside_prefix or "",
        )
    if region is not None:
        office = Numbering(
            region=_country(region)
        )  # another country has neither our area code nor our prefix
    if area_code is not None:
        office = replace(office, area_code=area_code)
    if outside_prefix is not None:
        office = replace(office, outside_prefix=outside_prefix)
    return office, loaded


def _country(region: str) -> str:
    code = region.strip().upper()
    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise PeerMistake(
            f"There is no country “{region[:20]}”.",
            remedy="Write its two letters, such as PL, or GB for the United Kingdom.",
        )
    return code

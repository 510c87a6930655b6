"""In which country and time zone this machine stands, as far as its own settings say: proposals for `init`."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from switchhook.settings.settings import machine_time_zone

ZONE_TABLES = (Path("/usr/share/zoneinfo/zone1970.tab"), Path("/usr/share/zoneinfo/zone.tab"))
"""Columns: countries, coordinates, zone. Both come with the system's time zones."""
LOCALE_FILE = Path("/etc/default/locale")
_COUNTRY = re.compile(r"^[a-z]{2,3}_([A-Z]{2})")


def propose_time_zone() -> str | None:
    """The machine's zone by name; None where it has none, or the one of servers without a place."""
    key = getattr(machine_time_zone(), "key", None)
    return None if key is None or key in ("UTC", "Etc/UTC", "Universal", "Zulu", "GMT") else str(key)


def propose_region() -> str | None:
    """The country of the time zone, else that of the language settings; None where neither names one."""
    zone = propose_time_zone()
    return (zone and _country_of(zone)) or _country_of_locale()


def _country_of(zone: str) -> str | None:
    """A zone of several countries (Europe/Berlin: DE, DK, …) names the one it lies in first."""
    for table in ZONE_TABLES:
        try:
            lines = table.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        for line in lines:
            columns = line.split("\t")
            if not line.startswith("#") and len(columns) > 2 and columns[2] == zone:
                return columns[0].partition(",")[0]
    return None


def _country_of_locale() -> str | None:
    told = [os.environ.get(name, "") for name in ("LC_ALL", "LC_TELEPHONE", "LANG")]
    with suppress(OSError):
        told += re.findall(r'(?m)^LANG="?([^"\n]*)', LOCALE_FILE.read_text(encoding="utf-8"))
    found = (_COUNTRY.match(text) for text in told)
    return next((match[1] for match in found if match), None)

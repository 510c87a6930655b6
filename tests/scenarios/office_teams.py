"""The office of the scenarios: teams of six phones each, so that scenarios played at the same time never meet.

Team 207 has the phones 20701-20706, the outside numbers 7495207 00NN (what each does is in `office/extensions.conf`),
customers +7916207 000N, queues, a parking lot and a conference of its own.
"""

from __future__ import annotations

from pathlib import Path

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.pbx.config import fill

OFFICE = Path(__file__).parent / "office"
FIRST_TEAM = 200
LAST_TEAM = 599
PHONES = 6


def additions(teams: range) -> dict[str, str]:
    """What the teams add to the office's configuration files, by file name."""
    handsets = [
        _filled(
            "handset.template",
            EXTENSION=(extension := f"{team}{number:02}"),
            TEAM=str(team),
            PASSWORD=PrivateAsterisk.password_of(extension),
        )
        for team in teams
        for number in range(1, PHONES + 1)
    ]
    parking = "[from-staff](+)\n" + "".join(f"include = parked-{team}\n" for team in teams)
    return {
        "extensions.conf": (OFFICE / "extensions.conf").read_text(encoding="utf-8") + parking,
        "pjsip.conf": "\n".join(handsets),
        "queues.conf": _for_each("queues.template", teams),
        "res_parking.conf": _for_each("parking.template", teams),
        "followme.conf": _for_each("followme.template", teams),
        # Shorter than in an office, so that nobody has to wait for a colleague who does not answer.
        "features.conf": "[general](+)\natxfernoanswertimeout = 3\natxferloopdelay = 1\natxfercallbackretries = 1\n",
    }


def _for_each(template: str, teams: range) -> str:
    return "\n".join(_filled(template, TEAM=str(team)) for team in teams)


def _filled(template: str, **values: str) -> str:
    return fill((OFFICE / template).read_text(encoding="utf-8"), values)

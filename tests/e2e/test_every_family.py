"""One call of every family through the running service: what its API tells afterwards is what the phones did.

`tests/scenarios` judges all of them at the tracker; here database and API are in between.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from telephony.call_facts.facts import CallFacts
from telephony.staff import Role
from tests.e2e.line import straight_line
from tests.scenarios.catalogue import CATALOGUE
from tests.scenarios.office_teams import FIRST_TEAM, additions
from tests.scenarios.play import Played, Silences, all_known, play_one
from tests.scenarios.stage import Outside, Stage
from tests.scenarios.truth import differences
from tests.scenarios.watch import concerns

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]

AT_ONCE = 4
FAMILIES = {
    "inbound": "direct",
    "missed": "ring_group_none",
    "outbound": "outbound",
    "internal": "internal",
    "queue": "queue_answered",
    "blind transfer": "blind_refer_extension_answered",
    "attended transfer": "attended_refer_extension",
    "blonde transfer": "blonde_refer_extension_answered",
    "feature code": "attended_code_extension",
    "parking": "park_retrieved",
    "pickup": "pickup_directed",
    "voicemail": "voice_mail",
    "conference": "conference",
}


async def test_every_family_is_told_as_it_was(
    asterisk_install: AsteriskInstall, database_url: str, tmp_path: Path
) -> None:
    """Played a few at a time by teams that share one PBX; nobody's call is told as anybody else's."""
    scenarios = [next(one for one in CATALOGUE if one.name == name) for name in FAMILIES.values()]
    teams = range(FIRST_TEAM, FIRST_TEAM + len(scenarios))
    async with AsyncExitStack() as room:
        asterisk = await room.enter_async_context(
            PrivateAsterisk(asterisk_install, additions=additions(teams))
        )
        line = await room.enter_async_context(straight_line(asterisk, database_url, tmp_path))
        await line.account("admin", role=Role.ADMINISTRATOR)
        outside = Outside(asterisk)
        await room.enter_async_context(outside.carrier)
        carrier = asyncio.create_task(outside.run())
        try:
            stages = [
                await room.enter_async_context(Stage(asterisk, str(team), outside, scenario.phones))
                for team, scenario in zip(teams, scenarios, strict=True)
            ]
            await all_known(asterisk, stages)
            limit = asyncio.Semaphore(AT_ONCE)
            silences = Silences()
            plays = (
                play_one(stage, one, limit, silences) for stage, one in zip(stages, scenarios, strict=True)
            )
            played = await asyncio.gather(*plays)
            await asyncio.gather(*(stage.hang_up_all() for stage in stages))
        finally:
            carrier.cancel()
            await asyncio.gather(carrier, return_exceptions=True)
        async with line.program("admin") as api:
            told = await api.ended(sum(len(one.truths) for one in played))
    wrong = {
        one.scenario.name: faults
        for team, one in zip(teams, played, strict=True)
        if (faults := _faults(one, [facts for facts in told if concerns(facts, str(team))]))
    }
    assert not wrong


def _faults(played: Played, told: list[CallFacts]) -> list[str]:
    if played.failure or len(played.truths) != len(told):
        return [played.failure or f"{len(played.truths)} calls were made, {len(told)} told"]
    return [
        fault for truth, facts in zip(played.truths, told, strict=True) for fault in differences(truth, facts)
    ]

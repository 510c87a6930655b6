"""The simulated office plays what it says it plays."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.office import BRISK, SimulatedOffice, told_by_scenario
from switchhook.lab.scenarios import SCENARIOS, TransferTruth

pytestmark = pytest.mark.asterisk


@pytest.fixture
async def office(asterisk: PrivateAsterisk) -> AsyncIterator[SimulatedOffice]:
    async with SimulatedOffice(asterisk, seed=7, pace=BRISK, audible=False) as opened:
        yield opened


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
async def test_every_scenario_plays_as_written(office: SimulatedOffice, name: str) -> None:
    """Each kind of call, alone: the phones see exactly what the scenario says, and talk time only where people talked."""
    truth = await office.play_once(name)
    assert truth.scenario == name
    assert (truth.talk_seconds > 0) == (truth.disposition == "answered")
    assert (truth.answered_by is not None) == (truth.disposition == "answered")


async def test_a_transfer_is_told_with_both_people(office: SimulatedOffice) -> None:
    """Anna hands over: she answered, her colleague had the customer last."""
    truth = await office.play_once("blind_transfer")
    assert truth.transfers == (TransferTruth("blind", "101", truth.final_party or ""),)
    assert truth.answered_by == "101" != truth.final_party


async def test_a_busy_quarter_of_an_hour(office: SimulatedOffice, asterisk: PrivateAsterisk) -> None:
    """Fifteen calls, several at once, people shared: every one ends as intended and none stays."""
    await office.run(calls=15)
    assert office.problems == []
    assert sum(told_by_scenario(office.truth).values()) == 15
    assert "0 active channels" in await asterisk.cli("core show channels count")


async def test_people_speak(asterisk: PrivateAsterisk) -> None:
    """In the demo one hears Asterisk's prompts: a recording of a call is not silent."""
    async with SimulatedOffice(asterisk, seed=7, pace=BRISK) as office:
        await office.play_once("answered")
        anna = office.phones["101"].calls[-1]
    assert anna.audio.received_packets > 10
    spoken = max(asterisk.recordings.glob("*-in.wav"), key=lambda path: path.stat().st_mtime).read_bytes()[
        44:
    ]
    assert len(set(spoken)) > 50  # silence has one or two values

"""Plays many scenarios at once in one private Asterisk, and keeps what was told of each beside what was true.

    python -m tests.scenarios.play NAME DIRECTORY

plays one scenario alone and writes its stream as a capture with what was true of it: a bug begins like that. NAME may
be a pattern; SWITCHHOOK_ASTERISK chooses the version.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from switchhook.commands.replay import replay
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import DEFAULT_SUITE, AsteriskInstall, find_asterisk
from switchhook.lab.phones import PbxSilent
from telephony.call_facts.facts import CallFacts
from tests.scenarios.office_teams import FIRST_TEAM, additions
from tests.scenarios.stage import Outside, Stage
from tests.scenarios.truth import Truth
from tests.scenarios.watch import LOOK_SECONDS, Watch, concerns

AT_ONCE = 24  # scenarios; two cores carry them with room to spare, and more make the phones' clocks late
SILENCES_MOST = (
    5  # scenarios without an answer; seen once: Asterisk stood still, and all later ones took their 45 s
)
SCENARIO_SECONDS = 45.0  # the longest takes ten; a stuck one must not hold up the others
_AWAY = re.compile("Unavailable|Invalid|Unknown")

Play = Callable[[Stage], Awaitable[list[Truth]]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that happens in an office. `phones` of its team are registered, no others."""

    name: str
    play: Play
    phones: tuple[int, ...]
    since: int = 0
    """The first major version of Asterisk that can do it."""


@dataclass(slots=True)
class Played:
    """What was true of one scenario and what the two users told of it."""

    scenario: Scenario
    truths: list[Truth] = field(default_factory=list)
    failure: str = ""
    """What went wrong with the play itself."""
    recommended: list[CallFacts] = field(default_factory=list)
    unfiltered: list[CallFacts] = field(default_factory=list)
    from_cel: list[CallFacts] = field(default_factory=list)
    """Told afterwards from the channel event log alone, as after an outage that lasted the whole evening."""
    ended_times: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Evening:
    """All scenarios of one run."""

    played: dict[str, Played]
    left_over: bool
    """Whether any tracker still held state after everybody had hung up."""


async def play_all(
    install: AsteriskInstall,
    scenarios: Sequence[Scenario],
    *,
    system_name: str | None = "lab",
    timestamp_events: bool = True,
    capture: Path | None = None,
    at_once: int = AT_ONCE,
) -> Evening:
    """Play those that this Asterisk can do, so many at a time, each with a team of its own."""
    scenarios = [one for one in scenarios if install.major >= one.since]
    teams = range(FIRST_TEAM, FIRST_TEAM + len(scenarios))
    async with AsyncExitStack() as room:
        asterisk = await room.enter_async_context(
            PrivateAsterisk(
                install,
                system_name=system_name,
                timestamp_events=timestamp_events,
                additions=additions(teams),
            )
        )
        outside = Outside(asterisk)
        await room.enter_async_context(outside.carrier)
        recommended, unfiltered = Watch.recommended(asterisk), Watch.unfiltered(asterisk)
        running = [asyncio.create_task(work.run()) for work in (recommended, unfiltered, outside)]
        try:
            await asyncio.gather(recommended.ready.wait(), unfiltered.ready.wait())
            stages = [
                await room.enter_async_context(Stage(asterisk, str(team), outside, scenario.phones))
                for team, scenario in zip(teams, scenarios, strict=True)
            ]
            await all_known(asterisk, stages)
            limit = asyncio.Semaphore(at_once)
            silences = Silences()
            async with asyncio.TaskGroup() as plays:
                tasks = [
                    plays.create_task(play_one(stage, one, limit, silences))
                    for stage, one in zip(stages, scenarios, strict=True)
                ]
            played = [task.result() for task in tasks]
            await asyncio.gather(*(stage.hang_up_all() for stage in stages))
            await recommended.all_ended()
            await unfiltered.all_ended()
            from_cel = replay([], cel=[asterisk.cel_csv])
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if capture is not None:
                _write(capture, unfiltered, asterisk.cel_csv)
    for team, one in zip(teams, played, strict=True):
        one.recommended = recommended.calls_of(str(team))
        one.unfiltered = unfiltered.calls_of(str(team))
        one.from_cel = [facts for facts in from_cel if concerns(facts, str(team))]
        one.ended_times = [recommended.ended_times[facts.id] for facts in one.recommended]
    left_over = not (recommended.tracker.idle and unfiltered.tracker.idle)
    return Evening({one.scenario.name: one for one in played}, left_over)


async def all_known(asterisk: PrivateAsterisk, stages: Sequence[Stage]) -> None:
    """Wait until the queues have noticed who registered: they ring nobody else."""
    wanted = {extension for stage in stages for extension in stage.extensions}
    async with asyncio.timeout(SCENARIO_SECONDS):
        while True:
            lines = (await asterisk.cli("queue show")).splitlines()
            away = {
                number for line in lines if _AWAY.search(line) for number in re.findall(r"PJSIP/(\d+)", line)
            }
            if not wanted & away:
                return
            await asyncio.sleep(LOOK_SECONDS)


class Silences:
    """Counts the scenarios in which the PBX did not answer a phone at all."""

    def __init__(self) -> None:
        self._scenarios = 0

    def add(self, silence: PbxSilent) -> None:
        """One more. Raises PbxSilent when it is the PBX and no accident of one call."""
        self._scenarios += 1
        if self._scenarios == SILENCES_MOST:
            raise silence


async def play_one(stage: Stage, scenario: Scenario, limit: asyncio.Semaphore, silences: Silences) -> Played:
    played = Played(scenario)
    async with limit:
        try:
            async with asyncio.timeout(SCENARIO_SECONDS):
                played.truths = await scenario.play(stage)
        except PbxSilent as silence:
            silences.add(silence)
            played.failure = str(silence)
        except Exception as failure:  # told by the scenario's own test; the others go on
            played.failure = f"{type(failure).__name__}: {failure}"
    return played


DULL = frozenset(
    {"RTCPSent", "RTCPReceived", "TestEvent", "SuccessfulAuth", "ChallengeSent", "ContactStatus"}
)
"""Events that say nothing of calls, by the hundred: left out of captures to keep them small."""


def _write(directory: Path, watch: Watch, cel: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    lines = (
        json.dumps(message.as_capture(), ensure_ascii=False, separators=(",", ":"))
        for message in watch.messages
        if message.kind not in DULL and not message.get("Variable").startswith("RTPAUDIO")
    )
    text = "\n".join(lines) + "\n"
    (directory / "ami.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (directory / "cel.csv.gz").write_bytes(gzip.compress(cel.read_bytes(), mtime=0))


def main() -> None:
    """Play the named scenario alone, or all; write the capture; print what is wrong."""
    from tests.scenarios.catalogue import CATALOGUE
    from tests.scenarios.truth import differences

    *names, last = sys.argv[1:]
    directory = Path(last)
    chosen = [one for one in CATALOGUE if not names or any(fnmatch(one.name, name) for name in names)]
    install = find_asterisk(os.environ.get("SWITCHHOOK_ASTERISK", DEFAULT_SUITE))
    evening = asyncio.run(play_all(install, chosen, capture=directory))
    truths = {name: [asdict(truth) for truth in one.truths] for name, one in evening.played.items()}
    (directory / "expected.json").write_text(json.dumps(truths, indent=1) + "\n", encoding="utf-8")
    for name, one in evening.played.items():
        if one.failure:
            print(name, "NOT PLAYED", one.failure)
        for who, told in (("recommended", one.recommended), ("unfiltered", one.unfiltered)):
            if len(told) != len(one.truths):
                print(
                    name,
                    who,
                    "COUNT",
                    len(one.truths),
                    "told",
                    len(told),
                    [(f.caller.raw, f.requested, str(f.disposition)) for f in told],
                )
            for truth, facts in zip(one.truths, told, strict=False):
                wrong = differences(truth, facts)
                if wrong:
                    print(name, who, truth.caller, "; ".join(wrong))
    print(len(evening.played), "scenarios", "LEFT OVER" if evening.left_over else "")


if __name__ == "__main__":
    main()

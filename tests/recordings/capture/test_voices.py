"""What the caller is told and asked: that the call is recorded, whether they agree, how they liked it.

Played by phones through the dialplan that is given to any Asterisk; told to Switchhook by AMI, and by the event log to
whoever was away.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from switchhook.commands.replay import replay
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phone_media import Audio
from telephony.call_facts.facts import Disposition
from tests.recordings.office import AGENT, CUSTOMER, Proof, Scene, Talk, ToneStage, moment, now, prove_all
from tests.scenarios.office_teams import FIRST_TEAM, additions
from tests.scenarios.stage import ARRIVAL_SECONDS, Outside

pytestmark = pytest.mark.asterisk

DIALPLAN = """
[team-did](+)
; 80: the first phone, and when our side has hung up: how was it?
exten = route-80,1,Dial(PJSIP/${TEAM}01,15,tkg)
 same = n,Gosub(switchhook-rate,s,1)
 same = n,Hangup()
"""
HEADER_BYTES = 44  # a file of a call that was never answered has no more
ASKS = (
    "switchhook-consent prompt beep",
    "switchhook-consent refuse 2",
    "switchhook-consent agree 1",
    "switchhook-rate prompt beep",
)


async def asked(s: ToneStage, consent: str = "", rating: str = "") -> list[Talk]:
    """The customer hears the question, maybe presses a key, talks, and when the agent has hung up maybe rates them."""
    outside = await s.customer_dials(80)
    await outside.answered(ARRIVAL_SECONDS)
    if consent:
        await _hears_the_beep(outside.audio)
        await outside.press(consent)
    inside = await s.rings(1)
    await inside.answer()
    since = await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    until = now()
    await inside.hang_up()
    if rating:
        await s.pause()
        await outside.press(rating)
        await outside.ended(ARRIVAL_SECONDS)
    else:
        await outside.hang_up()
    return [Talk(AGENT, since, until, moment(inside.answered_at), now())]


async def _hears_the_beep(audio: Audio) -> None:
    """The beep is all that they are sent so far."""
    async with asyncio.timeout(ARRIVAL_SECONDS):
        await audio.more()


SCENES = [
    Scene("announced", asked, (1,)),
    Scene("agreed", partial(asked, consent="1"), (1,)),
    Scene("refused", partial(asked, consent="2"), (1,)),
    Scene("rated_5", partial(asked, consent="1", rating="5"), (1,)),
    Scene("rated_1", partial(asked, consent="1", rating="1"), (1,)),
    Scene("rated_9", partial(asked, consent="1", rating="9"), (1,)),
]


@pytest.fixture(scope="module")
def proofs(asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """All played."""
    directory = tmp_path_factory.mktemp("recordings")
    return asyncio.run(prove_all(asterisk_install, SCENES, directory, DIALPLAN, ASKS))


@pytest.mark.parametrize(
    ("name", "consent", "rating", "recordings"),
    [
        ("announced", "announced", None, 1),
        ("agreed", "given", None, 1),
        ("refused", "refused", None, 0),
        ("rated_5", "given", 5, 1),
        ("rated_1", "given", 1, 1),
        ("rated_9", "given", None, 1),
    ],
)
def test_what_the_caller_said(
    proofs: dict[str, Proof], name: str, consent: str, rating: int | None, recordings: int
) -> None:
    """Their keys are told with the call; who refuses is not recorded; a key that is no rating is none."""
    proof = proofs[name]
    assert not proof.failure, proof.failure
    (facts,) = proof.told
    assert (facts.consent, facts.rating) == (consent, rating)
    assert len(facts.recorded) == recordings
    assert facts.disposition is Disposition.ANSWERED
    talked = (proof.talks[0].until - proof.talks[0].since).total_seconds()
    assert talked - 0.2 < facts.talk_seconds < talked + 1.0  # the question is no talk


@pytest.mark.parametrize("name", ["announced", "refused", "rated_5"])
def test_the_event_log_alone_tells_it_too(proofs: dict[str, Proof], name: str) -> None:
    """Had Switchhook been away all evening, consent and rating would still be known."""
    live, later = proofs[name].told, proofs[name].from_event_log
    assert [(one.consent, one.rating) for one in later] == [(one.consent, one.rating) for one in live]


def _office(install: AsteriskInstall, recordings: Path) -> PrivateAsterisk:
    """An Asterisk in which something of recording will be wrong; nobody watches it."""
    added = additions(range(FIRST_TEAM, FIRST_TEAM + 1))
    added["extensions.conf"] += DIALPLAN
    return PrivateAsterisk(install, recordings=recordings, additions=added)


def _sizes(directory: Path) -> list[int]:
    """Of our sides' files."""
    return [path.stat().st_size for path in directory.glob("*-out.wav")]


async def _talk(asterisk: PrivateAsterisk) -> None:
    """A customer calls the first phone, and both hear each other until the agent hangs up."""
    outside = Outside(asterisk)
    outside.carrier.voice = lambda: None
    async with outside.carrier, ToneStage(asterisk, str(FIRST_TEAM), outside, (1,)) as stage:
        customer, agent = await stage.reached(80)
        await stage.meets(customer, CUSTOMER, agent, AGENT)
        await stage.hangs_up(agent, customer)


async def test_calls_work_and_are_recorded_when_the_sound_files_are_missing(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    """An announcement and a question are named whose sound files do not exist: nobody waits, the call is recorded, and no
    consent is claimed.
    """
    async with _office(asterisk_install, tmp_path) as asterisk:
        await asterisk.cli("database put switchhook-consent prompt no-such-sound")
        await asterisk.cli("database put switchhook-rate prompt no-such-sound")
        await _talk(asterisk)
        await asterisk.cli("database put switchhook-consent agree 1")
        await _talk(asterisk)
        assert [(facts.consent, facts.rating) for facts in replay([], cel=[asterisk.cel_csv])] == [
            (None, None)
        ] * 2
    sizes = await asyncio.to_thread(_sizes, tmp_path)
    assert len(sizes) == 2
    assert min(sizes) > HEADER_BYTES


async def test_calls_work_when_recordings_cannot_be_written(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    """Where the recordings' directory should be there is a file: nothing is recorded, and everybody talks."""
    directory = tmp_path / "recordings"
    async with _office(asterisk_install, directory) as asterisk:
        directory.rmdir()
        directory.write_text("in the way")
        await _talk(asterisk)
    assert directory.read_text() == "in the way"


async def test_calls_work_and_are_recorded_with_an_empty_database(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    """Nobody chose anything: no question is asked, and the call is recorded."""
    async with _office(asterisk_install, tmp_path) as asterisk:
        await _talk(asterisk)
    (size,) = await asyncio.to_thread(_sizes, tmp_path)
    assert size > HEADER_BYTES

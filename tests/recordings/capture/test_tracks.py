"""Each channel recorded on a track of its own: nobody is lost, whatever numbers the phones' audio begins with.

The phones begin on both sides of 32767, the second colleague below the first: Debian's Asterisk 22 leaves such people out
of recordings of both sides, after companded music and after a transfer. Every call is played, its tracks joined and
encoded as the service does it, and the tones in the result are held against who truly talked with whom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phone_call import Call
from telephony.call_facts.conversations import without
from tests.recordings.capture.test_choices import by_key, inbound, outbound
from tests.recordings.capture.test_transfers import attended, blind, blonde, comes_back
from tests.recordings.joined_office import Joined, join
from tests.recordings.office import (
    AGENT,
    CUSTOMER,
    EDGE_SECONDS,
    OTHER,
    PHONE_TONES,
    TARGET,
    Proof,
    Scene,
    Talk,
    ToneStage,
    hums,
    moment,
    now,
    prove_all,
    proven,
)
from tests.scenarios.stage import ARRIVAL_SECONDS

pytestmark = pytest.mark.asterisk

WITH_TRACKS = "\n[globals](+)\nSWITCHHOOK_TRACKS = yes\n"
HIGH, LOW = 40_000, 1_000  # on both sides of 32767
BEHIND = 20_000  # behind HIGH; LOW would be ahead of it, for the numbers go round at 65,536
HEARD_SHARE = 0.98  # of each talk, by both tones
JOIN_EDGE_SECONDS = (
    0.2  # a hold's clock and the file's differ by a packet or two; the encoder's first packet is soft
)


async def _talk(s: ToneStage, outside: Call, inside: Call, hz: float, earliest: datetime) -> Talk:
    since = await s.meets(outside, CUSTOMER, inside, hz)
    await s.talk()
    return Talk(hz, since, now(), earliest, now())


async def held(s: ToneStage, line: int = 1, phone: int = 1) -> list[Talk]:
    """They talk, our side holds for a while and sends nothing, and they talk on."""
    outside, inside = await s.reached(line, phone)
    hz = PHONE_TONES[phone]
    first = await _talk(s, outside, inside, hz, moment(inside.answered_at))
    await _hold(s, inside)
    again = await _talk(s, outside, inside, hz, now())
    await s.hangs_up(outside, inside)
    return [first, again]


async def held_outbound(s: ToneStage) -> list[Talk]:
    """The same when we have called."""
    inside = await s.dials(1, s.dialled(1))
    outside = hums(await s.rings_outside(1), CUSTOMER)
    await s.connect(inside, outside)
    hums(outside, CUSTOMER)
    first = await _talk(s, outside, inside, AGENT, moment(outside.answered_at))
    await _hold(s, inside)
    again = await _talk(s, outside, inside, AGENT, now())
    await s.hangs_up(outside, inside)
    return [first, again]


async def _hold(s: ToneStage, inside: Call) -> None:
    await inside.hold()
    inside.audio.muted = True
    await s.talk()
    inside.audio.muted = False
    await inside.resume()


async def parked(s: ToneStage) -> list[Talk]:
    """Parked, and taken back by a colleague."""
    outside, inside = await s.reached()
    first = await _talk(s, outside, inside, AGENT, moment(inside.answered_at))
    await inside.press("*7")
    await inside.ended(ARRIVAL_SECONDS)
    earliest = now()
    taking = await s.dials(2, s.ext(71))
    await taking.answered(ARRIVAL_SECONDS)
    second = await _talk(s, outside, taking, TARGET, earliest)
    await s.hangs_up(outside, taking)
    return [first, second]


async def picked_up(s: ToneStage) -> list[Talk]:
    """A colleague takes the call that rings elsewhere: recorded twice, under the rung phone's Uniqueid and their own."""
    outside = await s.customer_dials(1)
    await s.rings(1)
    await s.pause()
    taking = await s.dials(2, f"*8{s.ext(1)}")
    await taking.answered(ARRIVAL_SECONDS)
    talk = await _talk(s, outside, taking, TARGET, now())
    await s.hangs_up(outside, taking)
    return [talk]


async def internal(s: ToneStage) -> list[Talk]:
    """Two colleagues; nobody outside."""
    asking = await s.dials(1, s.ext(2))
    target = await s.rings(2)
    await s.connect(asking, target)
    await s.meets(asking, AGENT, target, TARGET)
    await s.talk()
    await s.hangs_up(asking, target)
    return []


async def paused(s: ToneStage) -> list[Talk]:
    """While the customer tells their card's number no track is recorded."""
    outside, inside = await s.reached()
    first = await _talk(s, outside, inside, AGENT, moment(inside.answered_at))
    channels = [
        await s.other_client.channel_with_number(s.customer()),
        await s.other_client.channel_of(s.ext(1)),
    ]
    for state in ("1", "0"):
        for channel in channels:
            await s.other_client.ask("MixMonitorMute", Channel=channel, Direction="both", State=state)
        if state == "1":
            first = replace(first, latest=now())  # the PBX was asked while they still talked
            await s.talk()
    again = await _talk(s, outside, inside, AGENT, now())
    await s.hangs_up(outside, inside)
    return [first, again]


ONE, TWO, ALL = (1,), (1, 2), (1, 2, 3)
TRANSFERS = [
    (f"{play.__name__}_{via}_{kind}", partial(play, via=via, kind=kind), ALL)
    for play, via, kind in (
        (blind, "refer", "extension"), (blind, "code", "extension"), (blind, "refer", "outside"),
        (attended, "refer", "extension"), (attended, "code", "extension"), (attended, "refer", "queue"),
        (attended, "code", "outside"), (blonde, "refer", "group"), (blonde, "code", "extension"),
    )
]  # fmt: skip
CALLS: list[tuple[str, Callable[[ToneStage], object], tuple[int, ...]]] = [
    ("plain", inbound, ONE),
    ("hold", held, ONE),
    ("queue_hold", partial(held, line=3), ONE),
    ("queue_local_hold", partial(held, line=7, phone=4), (4,)),
    ("outbound", outbound, ONE),
    ("outbound_hold", held_outbound, ONE),
    ("park", parked, TWO),
    ("pickup", picked_up, TWO),
    ("consultation_refer", partial(comes_back, via="refer", kind="extension", end="aborted"), ALL),
    ("consultation_code", partial(comes_back, via="code", kind="extension", end="aborted"), ALL),
    *TRANSFERS,
]  # fmt: skip
STARTS = {"high": (HIGH, BEHIND, BEHIND), "low": (LOW, HIGH, HIGH)}
SCENES = [
    *(
        Scene(f"{name}_{start}", play, phones, starts=STARTS[start])
        for name, play, phones in CALLS
        for start in STARTS
    ),  # type: ignore[arg-type]
]
CHOICES = [
    Scene("by_key", by_key, ONE, (("916TTT0001", "on-demand"),)),
    Scene("never", inbound, ONE, (("916TTT0001", "never"),)),
    Scene("outbound_never", outbound, ONE, (("TTT01", "never"),)),
    Scene("paused", paused, ONE),
    Scene("internal", internal, TWO),
]
NAMES = [scene.name for scene in SCENES]


@pytest.fixture(scope="module")
def proofs(asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """All played, customers on both sides too; the few that went wrong once more with the machine to themselves."""
    directory = tmp_path_factory.mktemp("tracks")
    return proven(
        asterisk_install,
        SCENES,
        directory,
        partial(judge, directory),
        WITH_TRACKS,
        customer_starts=(HIGH, LOW),
    )


def _joined(proof: Proof, directory: Path) -> list[Joined]:
    calls = [call for call in proof.told if call.consultation_of is None]
    return [one for call in calls for one in join(call, directory / f"{proof.name}.m4a")]


def judge(directory: Path, proof: Proof) -> None:
    """Fails with the first thing that is not as it should be."""
    assert not proof.failure, f"the call could not be played: {proof.failure}"
    (joined,) = _joined(proof, directory)
    edge = timedelta(seconds=JOIN_EDGE_SECONDS)
    for talk in proof.talks:
        for side, hz in ((joined.outside, CUSTOMER), (joined.ours, talk.partner)):
            share = joined.share(side, hz, talk.since + edge, talk.until - edge)
            assert share >= HEARD_SHARE, f"{hz:g} Hz is heard for {share:.2f} of its talk"
    assert _strangers(proof, joined) == []


def _strangers(proof: Proof, joined: Joined) -> list[str]:
    """Voices of ours on the outside's side, or at a time when they did not talk with the customer."""
    wrong = [f"{hz:g} Hz on the outside's side" for hz in (AGENT, TARGET, OTHER) if joined.outside.heard(hz)]
    for hz in (AGENT, TARGET, OTHER):
        allowed = [
            (
                talk.earliest.timestamp() - joined.began_at - EDGE_SECONDS,
                talk.latest.timestamp() - joined.began_at + EDGE_SECONDS,
            )
            for talk in proof.talks
            if talk.partner == hz
        ]
        outside = without(joined.ours.heard(hz), allowed)
        wrong += [f"{hz:g} Hz is heard at {outside}, and should be only in {allowed}"] if outside else []
    return wrong


@pytest.mark.parametrize("name", NAMES)
def test_everybody_is_heard_for_all_of_the_talk(proofs: dict[str, Proof], tmp_path: Path, name: str) -> None:
    """Each on their side, at the right time, and at no other: consultations are not in it."""
    judge(tmp_path, proofs[name])


def test_each_person_of_ours_has_a_share_of_the_talk(proofs: dict[str, Proof], tmp_path: Path) -> None:
    """Two colleagues talked one after the other; the shares are of the whole recording."""
    (joined,) = _joined(proofs["blind_refer_extension_high"], tmp_path)
    first, second = joined.people
    assert (first.party[-2:], second.party[-2:]) == ("01", "02")
    assert 0.2 < first.talk_share < 0.7
    assert 0.2 < second.talk_share < 0.7


@pytest.fixture(scope="module")
def choices(asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """What is recorded is a choice with tracks too."""
    directory = tmp_path_factory.mktemp("choices")
    return asyncio.run(prove_all(asterisk_install, CHOICES, directory, WITH_TRACKS))


@pytest.mark.parametrize("name", ["never", "outbound_never"])
def test_never_means_nobody_s_track(choices: dict[str, Proof], name: str) -> None:
    """Neither the customer's nor ours, in or out."""
    proof = choices[name]
    assert not proof.failure, proof.failure
    written = [Path(one.file) for call in proof.told for one in call.recorded]
    assert [path for path in written if path.exists() and path.stat().st_size > 44] == []
    assert not any(one.until is None for call in proof.told for one in call.recorded)


def test_a_pause_reaches_every_track(choices: dict[str, Proof], tmp_path: Path) -> None:
    """Nothing of either side between the two moments, and all of it around them."""
    proof = choices["paused"]
    judge(tmp_path, proof)
    tracks = proof.told[0].recorded
    assert [len(one.pauses) for one in tracks] == [1, 1]
    (joined,) = _joined(proof, tmp_path)
    pause = tracks[0].pauses[0]
    since, until = (at.timestamp() - joined.began_at for at in (pause.at, moment(pause.until)))
    for side, hz in ((joined.outside, CUSTOMER), (joined.ours, AGENT)):
        assert side.share(hz, since + 0.2, until - 0.2) == 0.0


def test_a_key_records_from_here_to_there_on_both_sides(choices: dict[str, Proof], tmp_path: Path) -> None:
    """Before and after *5 the file of our side has sound; the recording has none of it."""
    proof = choices["by_key"]
    judge(tmp_path, proof)
    (joined,) = _joined(proof, tmp_path)
    assert abs(joined.ours.seconds - joined.outside.seconds) < EDGE_SECONDS
    assert joined.ours.seconds < (proof.talks[0].latest - proof.talks[0].earliest).total_seconds() + 1.0


def test_an_internal_conversation_is_no_recording(choices: dict[str, Proof], tmp_path: Path) -> None:
    """Its tracks are written, for they might have become a customer's; nothing leads, so nothing is joined."""
    proof = choices["internal"]
    assert not proof.failure, proof.failure
    assert proof.told[0].recorded
    assert _joined(proof, tmp_path) == []

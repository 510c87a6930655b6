"""What is recorded is the office's choice: by number, extension and called number, by key, paused; told as it was.

All calls are played at once before the first test; each test then looks at one.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phone_call import Call
from telephony.call_facts.facts import Direction, PartyKind
from tests.recordings.office import (
    AGENT,
    COVERED,
    CUSTOMER,
    EDGE_SECONDS,
    HEARD,
    Proof,
    Scene,
    Talk,
    ToneStage,
    covered,
    hums,
    moment,
    now,
    proven,
    share_heard,
    strangers,
)

pytestmark = pytest.mark.asterisk

SILENCE_SECONDS = 2.0
MARKER_SECONDS = 0.2  # between a pause as it is told and the silence in the audio

_PATH = "${SWITCHHOOK_RECORDINGS}${UNIQUEID}"
DIALPLAN = f"""
[team-did](+)
; 81: an extension with a policy of its own.
exten = route-81,1,Gosub(switchhook-extension,s,1(${{TEAM}}01))
 same = n,Dial(PJSIP/${{TEAM}}01,15,tk)
 same = n,Hangup()
[from-staff](+)
; 98...: recorded on the handset's own channel, as many a dialplan does.
exten = _98XXXXXXXXXX,1,MixMonitor({_PATH}.wav,r({_PATH}-in.wav)t({_PATH}-out.wav)S)
 same = n,Dial(PJSIP/+7${{EXTEN:2}}@trunk,30)
 same = n,Hangup()
"""


async def _talks(s: ToneStage, outside: Call, inside: Call) -> list[Talk]:
    since = await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    until = now()
    await s.hangs_up(outside, inside)
    return [Talk(AGENT, since, until, moment(inside.answered_at), now())]


async def inbound(s: ToneStage, line: int = 1) -> list[Talk]:
    """A customer calls and talks with the first phone."""
    return await _talks(s, *await s.reached(line))


async def outbound(s: ToneStage, prefix: str = "") -> list[Talk]:
    """One of ours calls a customer."""
    inside = await s.dials(1, prefix + s.dialled(1))
    outside = await s.rings_outside(1)
    await s.connect(inside, outside)
    return await _talks(s, hums(outside, CUSTOMER), inside)


async def by_key(s: ToneStage) -> list[Talk]:
    """They talk, the agent presses *5, they talk, they press it again, they talk on."""
    outside, inside = await s.reached()
    await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    pressed = now()
    await inside.press("*5")
    await s.pause()
    since = await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    until = now()
    await inside.press("*5")
    await s.talk()
    await s.hangs_up(outside, inside)
    return [Talk(AGENT, since, until, pressed, now())]


async def paused(s: ToneStage) -> list[Talk]:
    """While the customer tells their card's number nothing is recorded."""
    outside, inside = await s.reached()
    since = await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    until = now()
    channel = await s.other_client.channel_with_number(s.customer())
    await s.other_client.ask("MixMonitorMute", Channel=channel, Direction="both", State="1")
    await s.talk()
    await s.other_client.ask("MixMonitorMute", Channel=channel, Direction="both", State="0")
    again = now()
    await s.talk()
    over = now()
    await s.hangs_up(outside, inside)
    first = Talk(AGENT, since, until, moment(inside.answered_at), now())
    return [first, Talk(AGENT, again, over, again, now())]


async def nobody_sends(s: ToneStage) -> list[Talk]:
    """Both fall silent for two seconds, as handsets that send nothing while nobody speaks."""
    outside, inside = await s.reached()
    since = await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    until = now()
    for call in (outside, inside):
        call.audio.muted = True
    await asyncio.sleep(SILENCE_SECONDS)
    for call in (outside, inside):
        call.audio.muted = False
    await s.talk()
    await s.hangs_up(outside, inside)
    return [Talk(AGENT, since, until, moment(inside.answered_at), now())]


def _on(name: str, play: object, **policy: str) -> Scene:
    keys = {"number": "916TTT0001", "extension": "TTT01", "called": "495TTT0001", "queue": "495TTT0003"}
    return Scene(name, play, (1,), tuple((keys[key], value) for key, value in policy.items()))  # type: ignore[arg-type]


async def _by_policy(s: ToneStage) -> list[Talk]:
    return await inbound(s, 81)


async def _queue(s: ToneStage) -> list[Talk]:
    return await inbound(s, 3)


async def _handset_channel(s: ToneStage) -> list[Talk]:
    return await outbound(s, "9")


SCENES = [
    _on("inbound", inbound),
    _on("queue", _queue),
    _on("outbound", outbound),
    _on("outbound_on_the_handset", _handset_channel),
    _on("number_never", inbound, number="never"),
    _on("called_never", inbound, called="never"),
    _on("extension_never", _by_policy, extension="never"),
    _on("extension_never_number_always", _by_policy, extension="never", number="always"),
    _on("outbound_extension_never", outbound, extension="never"),
    _on("by_key", by_key, number="on-demand"),
    _on("key_when_never", by_key, number="never"),
    _on("key_when_always", by_key),
    _on("paused", paused),
    _on("nobody_sends", nobody_sends),
]


def judge(proof: Proof) -> None:
    """What every played call must be: played, and nobody on a wrong side."""
    assert not proof.failure, f"the call could not be played: {proof.failure}"
    assert len(proof.told) == 1
    assert proof.name == "key_when_always" or strangers(proof) == []
    if proof.name in WHOLE:
        assert covered(proof) >= COVERED
        assert share_heard(proof, proof.talks[0]) >= HEARD


WHOLE = ("inbound", "queue", "outbound", "outbound_on_the_handset", "extension_never_number_always", "by_key")


@pytest.fixture(scope="module")
def proofs(asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """All played."""
    return proven(asterisk_install, SCENES, tmp_path_factory.mktemp("recordings"), judge, DIALPLAN)


@pytest.mark.parametrize("name", WHOLE)
def test_both_sides_are_recorded(proofs: dict[str, Proof], name: str) -> None:
    """Direct, through a queue and outbound: each is heard on their side for all of the talk."""
    judge(proofs[name])
    assert len(proofs[name].pieces) == 1


def test_the_name_is_the_uniqueid_and_nothing_else(proofs: dict[str, Proof]) -> None:
    """Nothing that a caller can choose gets into a file's name."""
    (piece,) = proofs["inbound"].pieces
    uid = piece.told.uniqueid
    assert proofs["inbound"].files == [f"{uid}-in.wav", f"{uid}-out.wav", f"{uid}.wav"]


def test_an_outbound_call_is_recorded_on_the_customer_s_channel(proofs: dict[str, Proof]) -> None:
    """So that its receiving side is the customer, as in an inbound call."""
    told = proofs["outbound"].told[0]
    assert told.direction is Direction.OUTBOUND
    assert [(one.party, one.kind) for one in told.recorded] == [(told.requested, PartyKind.OUTSIDE)]


def test_a_recording_on_the_handset_s_channel_says_so(proofs: dict[str, Proof]) -> None:
    """There the receiving side is ours: whoever lays the sides out needs to know."""
    told = proofs["outbound_on_the_handset"].told[0]
    assert [(one.party, one.kind) for one in told.recorded] == [(told.caller.number, PartyKind.EXTENSION)]


@pytest.mark.parametrize(
    "name", ["number_never", "called_never", "outbound_extension_never", "key_when_never"]
)
def test_never_means_never(proofs: dict[str, Proof], name: str) -> None:
    """For such a number, extension or called number no file is made, not by a key either."""
    judge(proofs[name])
    assert proofs[name].told[0].recorded == ()
    assert proofs[name].files == []


def test_a_recording_stops_before_it_rings_at_an_extension_that_is_never_recorded(
    proofs: dict[str, Proof],
) -> None:
    """It began when the customer arrived; of the talk there is nothing."""
    judge(proofs["extension_never"])
    assert [piece.received.seconds for piece in proofs["extension_never"].pieces] == [0.0]


def test_a_key_records_from_here_to_there(proofs: dict[str, Proof]) -> None:
    """With *5 what was said before and after is not in the file; the recording's end is told."""
    judge(proofs["by_key"])
    (piece,) = proofs["by_key"].pieces
    talk = proofs["by_key"].talks[0]
    assert piece.told.kind is PartyKind.OUTSIDE
    assert piece.began_at > talk.earliest - timedelta(seconds=EDGE_SECONDS)
    assert moment(piece.told.until) < talk.latest - timedelta(seconds=EDGE_SECONDS)


def test_a_key_does_not_end_what_must_be_recorded(proofs: dict[str, Proof]) -> None:
    """*5 in a call that is always recorded changes nothing."""
    judge(proofs["key_when_always"])
    proof = proofs["key_when_always"]
    assert len(proof.pieces) == 1
    assert covered(proof) >= COVERED
    left = moment(proof.told[0].ended_at) - moment(proof.pieces[0].told.until)
    assert left < timedelta(seconds=EDGE_SECONDS)  # the two channels of a call end one after the other


def test_a_pause_is_exact_silence_and_told_when(proofs: dict[str, Proof]) -> None:
    """Every sample of both sides is zero, from and to the moments that the call's facts tell, within 0.2 s."""
    judge(proofs["paused"])
    (piece,) = proofs["paused"].pieces
    (pause,) = piece.told.pauses
    began, ended = piece.inside(pause.at), piece.inside(moment(pause.until))
    assert ended - began > 1.0
    for side in (piece.received, piece.sent):
        silences = [span for span in side.zeros() if span[1] > began and span[0] < ended]
        assert len(silences) == 1
        assert silences[0] == pytest.approx((began, ended), abs=MARKER_SECONDS)
    for talk in proofs["paused"].talks:
        assert share_heard(proofs["paused"], talk) >= HEARD


@pytest.mark.parametrize("name", ["inbound", "outbound", "paused", "nobody_sends"])
def test_a_recording_begins_with_the_answer(proofs: dict[str, Proof], name: str) -> None:
    """Its first sample is of that moment; also where nobody sent for a while and the file is shorter by that time."""
    (piece,) = proofs[name].pieces
    assert proofs[name].failure == ""
    assert abs(piece.inside(moment(proofs[name].told[0].answered_at))) < MARKER_SECONDS
    if name == "nobody_sends":
        whole = (moment(piece.told.until) - piece.began_at).total_seconds()
        assert whole - piece.received.seconds == pytest.approx(SILENCE_SECONDS, abs=2 * MARKER_SECONDS)


def test_a_queue_s_recording_begins_before_somebody_answers(proofs: dict[str, Proof]) -> None:
    """The queue's music is in it: audio begins when the PBX answered, which is when it began to record."""
    (piece,) = proofs["queue"].pieces
    assert abs(piece.inside(piece.told.at)) < MARKER_SECONDS
    assert piece.inside(moment(proofs["queue"].told[0].answered_at)) > MARKER_SECONDS

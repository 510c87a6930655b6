"""Through every transfer the whole call is recorded, with each party on the right side: heard by their tones.

Acceptance statement 1: {blind, attended, blonde} × {handset key, feature code} × {extension, ring group, queue, outside}.
All calls are played at once before the first test; each test then listens to one.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import pytest

from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phone_call import Call
from telephony.call_facts.facts import PartyKind
from tests.recordings.office import (
    AGENT,
    COVERED,
    CUSTOMER,
    HEARD,
    TARGET,
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
from tests.scenarios.stage import ARRIVAL_SECONDS

pytestmark = pytest.mark.asterisk

TARGETS = {"extension": 2, "group": 90, "queue": 91}


def _number(s: ToneStage, kind: str) -> str:
    return s.dialled(7) if kind == "outside" else s.ext(TARGETS[kind])


async def _rung(s: ToneStage, kind: str) -> Call:
    if kind == "outside":
        return await s.rings_outside(7)
    if kind != "extension":
        await s.rings(3)
    return await s.rings(2)


async def _picks_up(target: Call, kind: str) -> None:
    await target.answer()
    if kind == "outside":
        hums(target, TARGET)


async def _first_talk(s: ToneStage, outside: Call, inside: Call) -> tuple[datetime, datetime]:
    """The customer and the first agent talk. Returns since when, and the moment after which they may be parted."""
    since = await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    return since, now()


async def _last_talk(s: ToneStage, outside: Call, target: Call, earliest: datetime) -> Talk:
    """The customer and the target talk until the customer hangs up."""
    since = await s.meets(outside, CUSTOMER, target, TARGET)
    await s.talk()
    until = now()
    await s.hangs_up(outside, target)
    return Talk(TARGET, since, until, earliest, now())


async def blind(s: ToneStage, via: str, kind: str) -> list[Talk]:
    """The customer is sent on without asking."""
    outside, inside = await s.reached()
    since, until = await _first_talk(s, outside, inside)
    if via == "refer":
        await inside.transfer(_number(s, kind))
    else:
        await s.key(inside, "##", _number(s, kind))
    target = await _rung(s, kind)
    await inside.ended(ARRIVAL_SECONDS)
    first = Talk(AGENT, since, until, moment(inside.answered_at), moment(inside.ended_at))
    await s.pause()
    earliest = now()
    await _picks_up(target, kind)
    return [first, await _last_talk(s, outside, target, earliest)]


async def _asks(s: ToneStage, via: str, inside: Call, number: str) -> Call:
    if via == "refer":
        return await s.asks(inside, number)
    await s.key(inside, "*2", number)
    return inside


async def _lets_go(via: str, inside: Call, asking: Call) -> None:
    if via == "refer":
        await inside.transfer_to(asking)
        await inside.ended(ARRIVAL_SECONDS)
    else:
        await inside.hang_up()


async def _consults(s: ToneStage, via: str, asking: Call, target: Call, kind: str) -> None:
    await _picks_up(target, kind)
    if via == "refer":
        await asking.answered(ARRIVAL_SECONDS)
    await s.meets(asking, AGENT, target, TARGET)
    await s.talk()


async def attended(s: ToneStage, via: str, kind: str) -> list[Talk]:
    """The agent asks the target first; what the two say to each other is not for the customer's recording."""
    outside, inside = await s.reached()
    since, until = await _first_talk(s, outside, inside)
    asking = await _asks(s, via, inside, _number(s, kind))
    first = Talk(AGENT, since, until, moment(inside.answered_at), now())
    target = await _rung(s, kind)
    await s.pause()
    await _consults(s, via, asking, target, kind)
    earliest = now()
    await _lets_go(via, inside, asking)
    return [first, await _last_talk(s, outside, target, earliest)]


async def blonde(s: ToneStage, via: str, kind: str) -> list[Talk]:
    """The agent lets go while it still rings at the target."""
    outside, inside = await s.reached()
    since, until = await _first_talk(s, outside, inside)
    asking = await _asks(s, via, inside, _number(s, kind))
    first = Talk(AGENT, since, until, moment(inside.answered_at), now())
    target = await _rung(s, kind)
    if via == "refer":
        await asking.ringing(ARRIVAL_SECONDS)
    await s.pause()
    await _lets_go(via, inside, asking)
    await s.pause()
    earliest = now()
    await _picks_up(target, kind)
    return [first, await _last_talk(s, outside, target, earliest)]


async def comes_back(s: ToneStage, via: str, kind: str, end: str) -> list[Talk]:
    """The consultation is given up, or the target is busy: the agent goes back to the customer and they talk on."""
    outside, inside = await s.reached()
    since, until = await _first_talk(s, outside, inside)
    asking = await _asks(s, via, inside, _number(s, kind))
    first = Talk(AGENT, since, until, moment(inside.answered_at), now())
    target = await _rung(s, kind)
    await s.pause()
    if end == "busy":
        target.refuse(486)
        if via == "refer":
            await asking.ended(ARRIVAL_SECONDS)
    else:
        await _consults(s, via, asking, target, kind)
    earliest = now()
    if via == "refer":
        if end != "busy":
            await s.hangs_up(asking, target)
        inside.audio.muted = False
        await inside.resume()
    elif end != "busy":
        await inside.press("*1")
    again = await s.meets(outside, CUSTOMER, inside, AGENT)
    await s.talk()
    over = now()
    await s.hangs_up(outside, inside)
    return [first, Talk(AGENT, again, over, earliest, now())]


KINDS = ("extension", "group", "queue", "outside")
SCENES = [
    *(
        Scene(f"{play.__name__}_{via}_{kind}", partial(play, via=via, kind=kind), phones=(1, 2, 3))
        for play in (blind, attended, blonde)
        for via in ("refer", "code")
        for kind in KINDS
    ),
    *(
        Scene(f"back_{via}_{kind}_{end}", partial(comes_back, via=via, kind=kind, end=end))
        for via in ("refer", "code")
        for kind in ("extension", "outside")
        for end in ("aborted", "busy")
    ),
]
NAMES = [scene.name for scene in SCENES]


@pytest.fixture(scope="module")
def proofs(asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proof]:
    """All played, the few that went wrong once more with the machine to themselves."""
    return proven(asterisk_install, SCENES, tmp_path_factory.mktemp("recordings"), judge)


def judge(proof: Proof) -> None:
    """Fails with the first thing that is not as it should be."""
    assert not proof.failure, f"the call could not be played: {proof.failure}"
    assert proof.pieces, "nothing was recorded"
    assert covered(proof) >= COVERED
    for talk in proof.talks:
        assert share_heard(proof, talk) >= HEARD, f"{talk.partner:g} Hz"
    assert strangers(proof) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_call_is_recorded_with_each_party_on_its_side(proofs: dict[str, Proof], name: str) -> None:
    """Who talked is heard on their side, all the time they talked with the customer, and at no other time."""
    judge(proofs[name])


@pytest.mark.parametrize("name", [name for name in NAMES if "outside" not in name])
def test_one_recording_goes_through_the_whole_call(proofs: dict[str, Proof], name: str) -> None:
    """The recording is the customer's: it follows them, and says that it is of the outside party's channel."""
    customers = [call for call in proofs[name].told if call.consultation_of is None]
    assert [one.kind for call in customers for one in call.recorded] == [PartyKind.OUTSIDE]
    assert [call.recordings for call in customers] == [tuple(one.file for one in customers[0].recorded)]

"""Somebody asks a colleague while the customer waits, by feature code; and conversations that go on in a conference room.

What was true is measured by the phones: a person who waits has waited since the other pressed the code.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

from switchhook.lab.phone_call import Call
from tests.scenarios.play import Scenario
from tests.scenarios.stage import ARRIVAL_SECONDS, LISTEN_SECONDS, Stage, seconds
from tests.scenarios.truth import Handover, Truth

BUSY_TONE_SECONDS = 6.0  # s; the PBX plays it to the one who asked before it brings the customer back


async def _ask(s: Stage, asking: Call, number: str) -> datetime:
    """Press the code, then the number; returns when the customer was left waiting."""
    before = asking.audio.received_packets
    await asking.press("*2")
    waits_since = datetime.now(UTC)
    async with asyncio.timeout(ARRIVAL_SECONDS):
        while asking.audio.received_packets == before:
            await asyncio.sleep(LISTEN_SECONDS)
    await asking.press(number)
    return waits_since


async def _taken(s: Stage, target: Call) -> datetime:
    await s.pause()
    await target.answer()
    await s.talk()
    return datetime.now(UTC)


def _consultation(s: Stage, asked: str, target: Call, direction: str = "internal") -> Truth:
    talk = seconds(target.answered_at, target.ended_at)
    outside = direction == "outbound"
    asker = s.ext(1)
    return Truth(
        direction, "answered", asker, requested=asked, answered_by=asked,
        final_party=asker if outside else asked, talk_seconds=talk, consultation=True,
        talks={asker: talk, asked: talk},
        leg_seconds={asker: seconds(target.rang_at, target.ended_at)}, hold_seconds=0.0,
    )  # fmt: skip


async def aborted(s: Stage, how: str) -> list[Truth]:
    """The colleague is asked, and the customer is taken back: by the abort code, or because the colleague hangs up."""
    outside, inside = await s.reached()
    since = await _ask(s, inside, s.ext(2))
    target = await s.rings(2)
    await _taken(s, target)
    if how == "abort_code":
        await inside.press("*1")
        await target.ended(ARRIVAL_SECONDS)
    else:
        await target.hang_up()
    back = datetime.now(UTC)
    await s.talk()
    await s.hangs_up(outside, inside)
    waited = seconds(since, back)
    call = s.inbound(outside, inside, held_by=(s.ext(1),), hold_seconds=waited)
    return [call, _consultation(s, s.ext(2), target)]


async def outside_number_aborted(s: Stage) -> list[Truth]:
    """A number outside is asked, and the customer is taken back."""
    outside, inside = await s.reached()
    since = await _ask(s, inside, s.dialled(7))
    target = await s.rings_outside(7)
    await _taken(s, target)
    await inside.press("*1")
    await target.ended(ARRIVAL_SECONDS)
    waited = seconds(since, datetime.now(UTC))
    await s.talk()
    await s.hangs_up(outside, inside)
    call = s.inbound(outside, inside, held_by=(s.ext(1),), hold_seconds=waited)
    return [call, _consultation(s, s.customer(7), target, "outbound")]


async def completed(s: Stage) -> list[Truth]:
    """The colleague is asked and takes the customer over."""
    outside, inside = await s.reached()
    since = await _ask(s, inside, s.ext(2))
    target = await s.rings(2)
    over = await _taken(s, target)
    await inside.hang_up()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("attended", "feature_code", s.ext(1), s.ext(2))
    return [
        s.inbound(
            outside, inside, transfers=(handover,), final_party=s.ext(2), held_by=(s.ext(1),),
            hold_seconds=seconds(since, over),
            talks={s.ext(1): seconds(inside.answered_at, since), s.ext(2): seconds(over, outside.ended_at)},
        )
    ]  # fmt: skip


async def completed_from_queue(s: Stage) -> list[Truth]:
    """As `completed`, of a customer who waited in a queue first."""
    outside = await s.customer_dials(3)
    ringing = [await s.rings(n) for n in (1, 2, 3)]
    inside = ringing[0]
    await s.connect(outside, inside)
    await s.talk()
    since = await _ask(s, inside, s.ext(4))
    target = await s.rings(4)
    over = await _taken(s, target)
    await inside.hang_up()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("attended", "feature_code", s.ext(1), s.ext(4))
    return [
        s.inbound(
            outside, inside, transfers=(handover,), final_party=s.ext(4), held_by=(s.ext(1),),
            hold_seconds=seconds(since, over), queue=f"all-{s.team}",
            talks={s.ext(1): seconds(inside.answered_at, since), s.ext(4): seconds(over, outside.ended_at)},
        )
    ]  # fmt: skip


async def two_in_one_call(s: Stage) -> list[Truth]:
    """Two colleagues are asked one after the other; the customer waits twice."""
    outside, inside = await s.reached()
    waited, asked = 0.0, []
    for colleague in (2, 3):
        since = await _ask(s, inside, s.ext(colleague))
        target = await s.rings(colleague)
        await _taken(s, target)
        await inside.press("*1")
        await target.ended(ARRIVAL_SECONDS)
        waited += seconds(since, datetime.now(UTC))
        asked.append(_consultation(s, s.ext(colleague), target))
        await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, held_by=(s.ext(1), s.ext(1)), hold_seconds=waited), *asked]


async def internal_callee_asks(s: Stage) -> list[Truth]:
    """In a call between colleagues the one who was called asks a third: the caller waits."""
    dialling = await s.dials(2, s.ext(1))
    answering = await s.rings(1)
    await s.connect(dialling, answering)
    await s.talk()
    since = await _ask(s, answering, s.ext(3))
    target = await s.rings(3)
    await _taken(s, target)
    await answering.press("*1")
    await target.ended(ARRIVAL_SECONDS)
    waited = seconds(since, datetime.now(UTC))
    await s.talk()
    await s.hangs_up(dialling, answering)
    call = s.internal(dialling, answering, held_by=(s.ext(1),), hold_seconds=waited)
    return [call, _consultation(s, s.ext(3), target)]


async def internal_caller_asks(s: Stage) -> list[Truth]:
    """The one who called asks a third: the one who was called waits."""
    dialling = await s.dials(1, s.ext(2))
    answering = await s.rings(2)
    await s.connect(dialling, answering)
    await s.talk()
    since = await _ask(s, dialling, s.ext(3))
    target = await s.rings(3)
    await _taken(s, target)
    await dialling.press("*1")
    await target.ended(ARRIVAL_SECONDS)
    waited = seconds(since, datetime.now(UTC))
    await s.talk()
    await s.hangs_up(dialling, answering)
    call = s.internal(dialling, answering, held_by=(s.ext(1),), hold_seconds=waited)
    return [call, _consultation(s, s.ext(3), target)]


async def _sent_to_room(s: Stage, outside: Call, inside: Call) -> None:
    """Another program sends both sides of the conversation into the team's conference room."""
    channel = await s.other_client.channel_with_number(s.customer())
    extra = await s.other_client.channel_of(inside.phone.number)
    where = {"Context": "from-staff", "Exten": s.ext(95), "Priority": "1"}
    also = {f"Extra{name}": value for name, value in where.items()}
    await s.other_client.ask("Redirect", Channel=channel, ExtraChannel=extra, **where, **also)
    await s.room_holds(2)


async def two_in_room(s: Stage) -> list[Truth]:
    """Both sides are sent into a room: the call goes on there."""
    outside, inside = await s.reached()
    await _sent_to_room(s, outside, inside)
    await s.talk()
    await s.hangs_up(outside)
    await s.hangs_up(inside)
    return [s.inbound(outside, inside, legs={s.ext(1): "answered"}, ended_by=None)]


async def three_in_room(s: Stage, first_to_leave: str) -> list[Truth]:
    """Both sides are sent into a room, and a colleague dials in: all three are in the customer's call."""
    outside, inside = await s.reached()
    await _sent_to_room(s, outside, inside)
    third = await s.dials(2, s.ext(95))
    await third.answered(ARRIVAL_SECONDS)
    await s.room_holds(3)
    await s.talk()
    leaving = (outside, inside, third) if first_to_leave == "customer" else (third, inside, outside)
    await leaving[0].hang_up()
    await s.room_holds(2)
    await s.talk()
    for call in leaving[1:]:
        await call.hang_up()
    together = min(end for end in (outside.ended_at, third.ended_at) if end is not None)
    talked = min(end for end in (outside.ended_at, inside.ended_at) if end is not None)
    own = s.internal(third, None, disposition="answered", talk_seconds=None, ended_by="caller")
    return [
        s.inbound(
            outside, inside, legs={s.ext(1): "answered", s.ext(2): "answered"}, ended_by=None,
            talk_seconds=seconds(inside.answered_at, max(talked, together)),
            talks={s.ext(2): seconds(third.answered_at, together)},
            final_party=s.ext(2) if first_to_leave == "customer" else s.ext(1),
        ),
        own,
    ]  # fmt: skip


async def strangers_in_room(s: Stage) -> list[Truth]:
    """Three dial the same room, a customer among them: nobody was sent there, so these are three calls."""
    outside = await s.customer_dials(19)
    await outside.answered(ARRIVAL_SECONDS)
    ours = [await s.dials(n, s.ext(95)) for n in (1, 2)]
    for call in ours:
        await call.answered(ARRIVAL_SECONDS)
    await s.room_holds(3)
    await s.talk()
    for call in (outside, *ours):
        await call.hang_up()
    guest = s.inbound(outside, None, disposition="answered", talk_seconds=None)
    return [
        guest,
        *(
            s.internal(call, None, disposition="answered", talk_seconds=None, ended_by="caller")
            for call in ours
        ),
    ]


CONSULTATIONS = (
    Scenario("consult_aborted", partial(aborted, how="abort_code"), (1, 2)),
    Scenario("consult_colleague_hangs_up", partial(aborted, how="colleague"), (1, 2)),
    Scenario("consult_outside_aborted", outside_number_aborted, (1,)),
    Scenario("consult_completed", completed, (1, 2)),
    Scenario("consult_from_queue_completed", completed_from_queue, (1, 2, 3, 4)),
    Scenario("consult_two_in_one_call", two_in_one_call, (1, 2, 3)),
    Scenario("consult_internal_callee", internal_callee_asks, (1, 2, 3)),
    Scenario("consult_internal_caller", internal_caller_asks, (1, 2, 3)),
    Scenario("room_two", two_in_room, (1,)),
    Scenario("room_three_customer_first", partial(three_in_room, first_to_leave="customer"), (1, 2)),
    Scenario("room_three_guest_first", partial(three_in_room, first_to_leave="guest"), (1, 2)),
    Scenario("room_strangers", strangers_in_room, (1, 2)),
)

"""Rarer things: another program that ends, parks or redirects; targets that are not there; calls that meet."""

from __future__ import annotations

from functools import partial

from tests.scenarios.play import Scenario
from tests.scenarios.stage import ARRIVAL_SECONDS, Stage, seconds
from tests.scenarios.truth import Handover, Truth

LONG = 12.0  # s; longer than any time-out of the teams' numbers but parking


async def hung_up_by_a_program(s: Stage) -> list[Truth]:
    """Another program ends the customer's channel: neither of the two hung up."""
    outside, inside = await s.reached()
    channel = await s.other_client.channel_with_number(s.customer())
    await s.other_client.ask("Hangup", Channel=channel)
    await outside.ended(ARRIVAL_SECONDS)
    await inside.ended(ARRIVAL_SECONDS)
    return [s.inbound(outside, inside)]


async def parked_by_a_program(s: Stage) -> list[Truth]:
    """Another program parks the customer; a colleague fetches them."""
    outside, inside = await s.reached()
    channel = await s.other_client.channel_with_number(s.customer())
    await s.other_client.ask("Park", Channel=channel, Parkinglot=f"lot-{s.team}", Timeout="20000")
    await inside.ended(ARRIVAL_SECONDS)
    await s.pause()
    taking = await s.dials(2, s.ext(71))
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, taking)
    told = s.inbound(
        outside, inside, final_party=s.ext(2), talk_seconds=None, parked=((None, s.ext(2), False),)
    )
    return [told]


async def queue_picked_up(s: Stage) -> list[Truth]:
    """A queue rings its member; a colleague takes it with *8."""
    outside = await s.customer_dials(4)
    rang = await s.rings(4)
    await s.pause()
    taking = await s.dials(1, f"*8{s.ext(4)}")
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, taking, rang)
    return [s.inbound(outside, taking, queue=f"line-{s.team}")]


async def blind_to_unregistered(s: Stage, via: str) -> list[Truth]:
    """Sent to a phone that is not registered: nobody got the customer."""
    outside, inside = await s.reached()
    if via == "refer":
        await inside.transfer(s.ext(6))
    else:
        await s.key(inside, "##", s.ext(6))
    await outside.ended(LONG)
    over = outside.ended_at
    if via == "refer":
        await inside.hang_up()  # the PBX leaves it to the handset to tell its user that it did not work
    await inside.ended(LONG)
    handover = Handover("blind", "sip" if via == "refer" else "feature_code", s.ext(1), s.ext(6), "failed")
    talk = seconds(inside.answered_at, over)
    return [s.inbound(outside, inside, transfers=(handover,), talk_seconds=talk)]


async def attended_target_leaves(s: Stage) -> list[Truth]:
    """Asked, the colleague hangs up; the transferer goes back to the customer."""
    outside, inside = await s.reached()
    await s.key(inside, "*2", s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await target.answer()
    await s.talk()
    await target.hang_up()
    await s.talk()
    await s.hangs_up(outside, inside)
    asked = Truth(
        "internal", "answered", s.ext(1), s.ext(2), s.ext(2), s.ext(2),
        talk_seconds=seconds(target.answered_at, target.ended_at), consultation=True, ended_by="callee",
    )  # fmt: skip
    return [s.inbound(outside, inside, held_by=(s.ext(1),)), asked]


async def asked_twice(s: Stage) -> list[Truth]:
    """One colleague is asked and says no; another is asked and takes the customer."""
    outside, inside = await s.reached()
    await s.key(inside, "*2", s.ext(2))
    first = await s.rings(2)
    await s.pause()
    await first.answer()
    await s.talk()
    await inside.press("*1")
    await first.ended(ARRIVAL_SECONDS)
    await s.talk()
    await s.key(inside, "*2", s.ext(3))
    second = await s.rings(3)
    await s.pause()
    await second.answer()
    await s.talk()
    await inside.hang_up()
    await s.talk()
    await s.hangs_up(outside, second)
    handover = Handover("attended", "feature_code", s.ext(1), s.ext(3))
    asked = Truth(
        "internal", "answered", s.ext(1), s.ext(2), s.ext(2), s.ext(2),
        talk_seconds=seconds(first.answered_at, first.ended_at), consultation=True,
    )  # fmt: skip
    return [
        s.inbound(outside, inside, transfers=(handover,), final_party=s.ext(3), held_by=(s.ext(1), s.ext(1))),
        asked,
    ]


async def originate_not_answered(s: Stage) -> list[Truth]:
    """Rung by a program, our phone is up; the customer does not answer and ours gives up."""
    await s.other_client.ask(
        "Originate", Channel=f"PJSIP/{s.ext(1)}", Context="from-staff", Exten=s.dialled(1), Priority="1",
        Async="true",
    )  # fmt: skip
    inside = await s.rings(1)
    await s.pause()
    await inside.answer()
    outside = await s.rings_outside(1)
    await s.pause()
    await s.hangs_up(inside, outside)
    return [s.outbound(inside, None, ended_by="caller")]


async def originate_busy(s: Stage) -> list[Truth]:
    """Rung by a program, our phone is up; the customer is busy."""
    await s.other_client.ask(
        "Originate", Channel=f"PJSIP/{s.ext(1)}", Context="from-staff", Exten=s.dialled(1), Priority="1",
        Async="true",
    )  # fmt: skip
    inside = await s.rings(1)
    await s.pause()
    await inside.answer()
    (await s.rings_outside(1)).refuse(486)
    await inside.ended(LONG)
    return [s.outbound(inside, None, disposition="busy")]


async def originate_internal(s: Stage) -> list[Truth]:
    """A program connects two colleagues."""
    await s.other_client.ask(
        "Originate", Channel=f"PJSIP/{s.ext(1)}", Context="from-staff", Exten=s.ext(2), Priority="1",
        Async="true",
    )  # fmt: skip
    inside = await s.rings(1)
    await s.pause()
    await inside.answer()
    other = await s.rings(2)
    await s.pause()
    await other.answer()
    await s.talk()
    await s.hangs_up(other, inside)
    return [s.internal(inside, other, requested=s.ext(2), ended_by="callee")]


async def internal_attended(s: Stage) -> list[Truth]:
    """Between colleagues, the one who was called asks a third and hands over, with the transfer key."""
    dialling = await s.dials(1, s.ext(2))
    answering = await s.rings(2)
    await s.connect(dialling, answering)
    await s.talk()
    await answering.hold()
    asking = await s.dials(2, s.ext(3))
    third = await s.rings(3)
    await s.connect(asking, third)
    await s.talk()
    await answering.transfer_to(asking)
    await answering.ended(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(dialling, third)
    handover = Handover("attended", "sip", s.ext(2), s.ext(3))
    return [s.internal(dialling, answering, transfers=(handover,), final_party=s.ext(3), held_by=(s.ext(2),))]


async def internal_picked_up(s: Stage) -> list[Truth]:
    """A colleague takes a call between colleagues with *8."""
    dialling = await s.dials(1, s.ext(2))
    rang = await s.rings(2)
    await dialling.ringing(ARRIVAL_SECONDS)
    await s.pause()
    taking = await s.dials(3, f"*8{s.ext(2)}")
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(dialling, taking, rang)
    return [s.internal(dialling, taking)]


async def follow_me_nobody(s: Stage) -> list[Truth]:
    """Follow me: nobody answers and the customer gives up."""
    outside = await s.customer_dials(9)
    inside = await s.rings(1)
    await s.pause()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, None, disposition="missed", missed_by=(s.ext(1),), ended_by="caller")]


async def held_twice(s: Stage) -> list[Truth]:
    """The customer is put on hold twice."""
    outside, inside = await s.reached()
    for _ in range(2):
        await inside.hold()
        await s.talk()
        await inside.resume()
        await s.talk()
    await s.hangs_up(inside, outside)
    return [s.inbound(outside, inside, held_by=(s.ext(1), s.ext(1)), hold_seconds=1.2, ended_by="callee")]


async def recorded_by_code(s: Stage) -> list[Truth]:
    """*5 records: nothing else changes."""
    outside, inside = await s.reached()
    await inside.press("*5")
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside)]


async def blind_to_menu(s: Stage) -> list[Truth]:
    """Sent into the menu, where the customer chooses somebody."""
    outside, inside = await s.reached()
    await inside.transfer(s.ext(94))
    await inside.ended(ARRIVAL_SECONDS)
    await s.pause()
    await outside.press("1")
    target = await s.rings(1)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("blind", "sip", s.ext(1), s.ext(94), "returned")
    return [s.inbound(outside, inside, transfers=(handover,))]


async def blind_to_conference(s: Stage) -> list[Truth]:
    """Sent into the conference room: that is where the customer was meant to go."""
    outside, inside = await s.reached()
    await inside.transfer(s.ext(95))
    await inside.ended(ARRIVAL_SECONDS)
    await s.talk()
    await outside.hang_up()
    handover = Handover("blind", "sip", s.ext(1), s.ext(95))
    return [s.inbound(outside, inside, transfers=(handover,), talk_seconds=None)]


async def two_customers_connected(s: Stage) -> list[Truth]:
    """A colleague talks with two customers and connects them with the transfer key: one call from then on."""
    one, first = await s.reached(1, 1, 1)
    await first.hold()
    second, other = await s.reaches_out(1, 2)
    await first.transfer_to(second)
    await first.ended(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(one, other)
    handover = Handover("attended", "sip", s.ext(1), s.customer(2))
    return [s.inbound(one, first, transfers=(handover,), final_party=s.customer(2), held_by=(s.ext(1),))]


async def forwarded_by_a_group_member(s: Stage) -> list[Truth]:
    """Three phones ring, one sends its calls on to a fourth, who takes it."""
    outside = await s.customer_dials(2)
    (await s.rings(1)).forward(s.ext(4))
    await s.rings(2)
    last = await s.rings(4)
    await s.connect(outside, last)
    await s.talk()
    await s.hangs_up(outside, last)
    return [s.inbound(outside, last)]


async def parked_twice(s: Stage) -> list[Truth]:
    """Parked, fetched by a colleague, parked again by them, fetched by the first."""
    outside, inside = await s.reached()
    await inside.press("*7")
    await inside.ended(ARRIVAL_SECONDS)
    fetching = await s.dials(2, s.ext(71))
    await fetching.answered(ARRIVAL_SECONDS)
    await s.talk()
    await fetching.press("*7")
    await fetching.ended(ARRIVAL_SECONDS)
    again = await s.dials(1, s.ext(71))
    await again.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(again, outside)
    parked = ((s.ext(1), s.ext(2), False), (s.ext(2), s.ext(1), False))
    return [s.inbound(outside, inside, parked=parked, talk_seconds=None, ended_by="callee")]


ODDITIES = (
    Scenario("hung_up_by_a_program", hung_up_by_a_program, (1,)),
    Scenario("parked_by_a_program", parked_by_a_program, (1, 2)),
    Scenario("queue_picked_up", queue_picked_up, (1, 4)),
    Scenario("blind_refer_to_unregistered", partial(blind_to_unregistered, via="refer"), (1,)),
    Scenario("blind_code_to_unregistered", partial(blind_to_unregistered, via="code"), (1,)),
    Scenario("attended_target_leaves", attended_target_leaves, (1, 2)),
    Scenario("asked_twice", asked_twice, (1, 2, 3)),
    Scenario("originate_not_answered", originate_not_answered, (1,)),
    Scenario("originate_busy", originate_busy, (1,)),
    Scenario("originate_internal", originate_internal, (1, 2)),
    Scenario("internal_attended", internal_attended, (1, 2, 3)),
    Scenario("internal_picked_up", internal_picked_up, (1, 2, 3)),
    Scenario("follow_me_nobody", follow_me_nobody, (1,)),
    Scenario("held_twice", held_twice, (1,)),
    Scenario("recorded_by_code", recorded_by_code, (1,)),
    Scenario("blind_to_menu", blind_to_menu, (1,)),
    Scenario("blind_to_conference", blind_to_conference, (1,)),
    Scenario("two_customers_connected", two_customers_connected, (1,)),
    Scenario("forwarded_by_a_group_member", forwarded_by_a_group_member, (1, 2, 3, 4)),
    Scenario("parked_twice", parked_twice, (1, 2)),
)

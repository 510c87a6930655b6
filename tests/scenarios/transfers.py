"""Calls that are handed over: blind, attended and blonde, by handset key, feature code and another AMI client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from switchhook.lab.phone_call import Call
from tests.scenarios.play import Scenario
from tests.scenarios.stage import ARRIVAL_SECONDS, Stage, seconds
from tests.scenarios.truth import Handover, Truth

LONG = 12.0  # s; longer than any time-out of the teams' numbers
VIA = {"refer": "sip", "code": "feature_code", "ami": "ami"}
ATTENDED_VIA = {"refer": "sip", "code": "feature_code", "ami": "feature_code"}
"""Another client's Atxfer presses the feature code on the handset's behalf: nobody can tell the two apart."""


def _target(s: Stage, kind: str) -> tuple[str, str]:
    """What the transferer keys, and how it is told."""
    if kind == "outside":
        return s.dialled(7), s.customer(7)
    number = s.ext({"extension": 2, "group": 90, "queue": 91}[kind])
    return number, number


async def _rung(s: Stage, kind: str) -> Call:
    """The end of the target that will answer."""
    if kind == "outside":
        return await s.rings_outside(7)
    if kind == "group":
        await s.rings(3)
    return await s.rings(2)


async def _blind(s: Stage, via: str, inside: Call, number: str) -> None:
    if via == "refer":
        await inside.transfer(number)
    elif via == "code":
        await s.key(inside, "##", number)
    else:
        channel = await s.other_client.channel_of(inside.phone.number)
        await s.other_client.ask("BlindTransfer", Channel=channel, Context="from-staff", Exten=number)


def _queued(kind: str, target: Call) -> float:
    """How long the customer heard the queue's music: that is no talk."""
    return seconds(target.rang_at, target.answered_at) if kind == "queue" else 0.0


def _name(call: Call, s: Stage, kind: str) -> str:
    return s.customer(7) if kind == "outside" else call.phone.number


async def blind(s: Stage, via: str, kind: str, end: str) -> list[Truth]:
    """A customer is sent on without asking; the target answers, or the customer gives up, or the target is busy."""
    outside, inside = await s.reached()
    number, told = _target(s, kind)
    await _blind(s, via, inside, number)
    target = await _rung(s, kind)
    await inside.ended(ARRIVAL_SECONDS)
    result, last = "failed", s.ext(1)
    by: str | None = "caller"
    talk = seconds(inside.answered_at, inside.ended_at)
    if end == "answered":
        await s.pause()
        await target.answer()
        await s.talk()
        await s.hangs_up(outside, target)
        result, last = "completed", _name(target, s, kind)
        talk = seconds(inside.answered_at, outside.ended_at) - _queued(kind, target)
    elif end == "gives_up":
        await s.pause()
        await s.hangs_up(outside, target)
    else:
        target.refuse(486)
        await outside.ended(LONG)
        by = None
    handover = Handover("blind", VIA[via], s.ext(1), told, result)
    queue = f"all-{s.team}" if kind == "queue" else None
    return [
        s.inbound(
            outside,
            inside,
            transfers=(handover,),
            final_party=last,
            talk_seconds=talk,
            ended_by=by,
            queue=queue,
        )
    ]


async def _ask(s: Stage, via: str, inside: Call, number: str) -> Call:
    """Begin the consultation; returns the end with which the transferer asks."""
    if via == "refer":
        await inside.hold()
        return await inside.phone.dial(number)
    if via == "code":
        await s.key(inside, "*2", number)
        return inside
    channel = await s.other_client.channel_of(inside.phone.number)
    await s.other_client.ask("Atxfer", Channel=channel, Context="from-staff", Exten=number)
    return inside


async def _hand_over(s: Stage, via: str, inside: Call, asking: Call) -> None:
    if via == "refer":
        await inside.transfer_to(asking)
        await inside.ended(ARRIVAL_SECONDS)
        await asking.ended(ARRIVAL_SECONDS)
    else:
        await inside.hang_up()


async def attended(s: Stage, via: str, kind: str) -> list[Truth]:
    """The transferer asks the target first, then connects the two."""
    outside, inside = await s.reached()
    number, told = _target(s, kind)
    asking = await _ask(s, via, inside, number)
    target = await _rung(s, kind)
    await s.pause()
    await target.answer()
    if via == "refer":
        await asking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await _hand_over(s, via, inside, asking)
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("attended", ATTENDED_VIA[via], s.ext(1), told)
    held = (s.ext(1),)
    last = _name(target, s, kind)
    talk = seconds(inside.answered_at, outside.ended_at)
    return [
        s.inbound(outside, inside, transfers=(handover,), final_party=last, held_by=held, talk_seconds=talk)
    ]


async def attended_aborted(s: Stage, via: str, kind: str) -> list[Truth]:
    """The transferer asks, and goes back to the customer: two calls and no transfer."""
    outside, inside = await s.reached()
    number, told = _target(s, kind)
    asking = await _ask(s, via, inside, number)
    target = await _rung(s, kind)
    await s.pause()
    await target.answer()
    if via == "refer":
        await asking.answered(ARRIVAL_SECONDS)
    await s.talk()
    if via == "refer":
        await s.hangs_up(asking, target)
        await inside.resume()
    elif via == "code":
        await inside.press("*1")
        await target.ended(ARRIVAL_SECONDS)
    else:
        channel = await s.other_client.channel_of(inside.phone.number)
        await s.other_client.ask("CancelAtxfer", Channel=channel)
        await target.ended(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, inside)
    held = (s.ext(1),)
    direction = "outbound" if kind == "outside" else "internal"
    queue = f"all-{s.team}" if kind == "queue" else None
    last = _name(target, s, kind)
    consultation = Truth(
        direction,
        "answered",
        s.ext(1),
        requested=told,
        answered_by=last,
        final_party=s.ext(1) if kind == "outside" else last,
        talk_seconds=seconds(target.answered_at, target.ended_at),
        consultation=True,
        queue=queue,
    )
    return [s.inbound(outside, inside, held_by=held), consultation]


async def attended_not_taken(s: Stage, via: str, kind: str, end: str) -> list[Truth]:
    """The transferer asks, the target is busy or does not answer, the transferer goes back to the customer."""
    outside, inside = await s.reached()
    number, told = _target(s, kind)
    asking = await _ask(s, via, inside, number)
    target = await _rung(s, kind)
    if end == "busy":
        target.refuse(486)
        if via == "refer":
            await asking.ended(LONG)
    elif via == "refer":
        await s.pause()
        await s.hangs_up(asking, target)
    else:
        await target.ended(LONG)  # the PBX brings the customer back after a while
    if via == "refer":
        await inside.resume()
    await s.talk()
    if end == "busy" and via != "refer":
        await asyncio.sleep(2)  # the busy tone is played to the transferer before the customer comes back
    await s.hangs_up(outside, inside)
    held = (s.ext(1),)
    direction = "outbound" if kind == "outside" else "internal"
    disposition = "busy" if end == "busy" else "no_answer" if kind == "outside" else "missed"
    missed = (s.ext(2),) if kind == "extension" else ()
    consultation = Truth(
        direction,
        disposition,
        s.ext(1),
        requested=told,
        consultation=True,
        missed_by=missed,
        talk_seconds=0.0,
    )
    return [s.inbound(outside, inside, held_by=held), consultation]


async def attended_customer_leaves(s: Stage, via: str) -> list[Truth]:
    """The customer hangs up while the transferer asks: the two colleagues go on talking."""
    outside, inside = await s.reached()
    asking = await _ask(s, via, inside, s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await target.answer()
    if via == "refer":
        await asking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await outside.hang_up()
    await s.talk()
    await s.hangs_up(asking, target)
    if via == "refer":
        await inside.ended(ARRIVAL_SECONDS)
    held = (s.ext(1),)
    consultation = Truth(
        "internal", "answered", s.ext(1), s.ext(2), s.ext(2), s.ext(2),
        talk_seconds=seconds(target.answered_at, target.ended_at), consultation=True,
    )  # fmt: skip
    return [s.inbound(outside, inside, held_by=held), consultation]


async def blonde(s: Stage, via: str, kind: str, end: str) -> list[Truth]:
    """The transferer lets it ring at the target and connects before it is answered."""
    outside, inside = await s.reached()
    number, told = _target(s, kind)
    asking = await _ask(s, via, inside, number)
    target = await _rung(s, kind)
    if via == "refer":
        await asking.ringing(ARRIVAL_SECONDS)
    await s.pause()
    await _hand_over(s, via, inside, asking)
    await s.pause()
    result, last = "failed", s.ext(1)
    talk = seconds(inside.answered_at, inside.ended_at)
    if end == "answered":
        await target.answer()
        await s.talk()
        result, last = "completed", _name(target, s, kind)
    await s.hangs_up(outside, target)
    if end == "answered":
        queued = seconds(inside.ended_at, target.answered_at) if kind == "queue" else 0.0
        talk = seconds(inside.answered_at, outside.ended_at) - queued
    handover = Handover("blonde", ATTENDED_VIA[via], s.ext(1), told, result)
    held = (s.ext(1),)
    queue = f"all-{s.team}" if kind == "queue" else None
    return [
        s.inbound(
            outside, inside, transfers=(handover,), final_party=last, held_by=held,
            talk_seconds=talk if via != "refer" or end == "answered" else None, queue=queue,
        )
    ]  # fmt: skip


async def blonde_comes_back(s: Stage) -> list[Truth]:
    """By code, let go while it rings; the target is busy; the PBX rings the transferer again, who takes the customer."""
    outside, inside = await s.reached()
    await s.key(inside, "*2", s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await inside.hang_up()
    await s.pause()
    target.refuse(486)  # left to ring out, the PBX now and then loses the customer while it calls back
    again = await s.rings(1)
    await s.pause()
    await again.answer()
    await s.talk()
    await s.hangs_up(outside, again)
    handover = Handover("blonde", "feature_code", s.ext(1), s.ext(2), "returned")
    return [s.inbound(outside, inside, transfers=(handover,), held_by=(s.ext(1),))]


async def three_way(s: Stage) -> list[Truth]:
    """By code *3 the transferer, the customer and the colleague all talk."""
    outside, inside = await s.reached()
    await s.key(inside, "*2", s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await target.answer()
    await s.talk()
    await inside.press("*3")
    await s.talk()
    await inside.hang_up()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("attended", "feature_code", s.ext(1), s.ext(2), "completed", three_way=True)
    return [s.inbound(outside, inside, transfers=(handover,), final_party=s.ext(2), held_by=(s.ext(1),))]


async def attended_completed_by_code(s: Stage) -> list[Truth]:
    """By code, completed with *2 instead of hanging up."""
    outside, inside = await s.reached()
    await s.key(inside, "*2", s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await target.answer()
    await s.talk()
    await inside.press("*2")
    await inside.ended(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(target, outside)
    handover = Handover("attended", "feature_code", s.ext(1), s.ext(2))
    return [
        s.inbound(
            outside,
            inside,
            transfers=(handover,),
            final_party=s.ext(2),
            ended_by="callee",
            held_by=(s.ext(1),),
        )
    ]


async def attended_swapped(s: Stage) -> list[Truth]:
    """By code, the transferer goes back and forth with *4 before they connect the two."""
    outside, inside = await s.reached()
    await s.key(inside, "*2", s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await target.answer()
    await s.talk()
    await inside.press("*4")
    await s.talk()
    await inside.press("*4")
    await s.talk()
    await inside.hang_up()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("attended", "feature_code", s.ext(1), s.ext(2))
    return [
        s.inbound(outside, inside, transfers=(handover,), final_party=s.ext(2), held_by=(s.ext(1), s.ext(1)))
    ]


async def blind_then_attended(s: Stage) -> list[Truth]:
    """Sent on blindly; who took it asks a third first and connects."""
    outside, inside = await s.reached()
    await inside.transfer(s.ext(2))
    second = await s.rings(2)
    await s.pause()
    await second.answer()
    await s.talk()
    await second.hold()
    asking = await s.dials(2, s.ext(3))
    third = await s.rings(3)
    await s.connect(asking, third)
    await s.talk()
    await _hand_over(s, "refer", second, asking)
    await s.talk()
    await s.hangs_up(outside, third)
    handovers = (
        Handover("blind", "sip", s.ext(1), s.ext(2)),
        Handover("attended", "sip", s.ext(2), s.ext(3)),
    )
    return [s.inbound(outside, inside, transfers=handovers, final_party=s.ext(3), held_by=(s.ext(2),))]


async def blind_twice(s: Stage, via: str) -> list[Truth]:
    """Sent on twice."""
    outside, inside = await s.reached()
    await _blind(s, via, inside, s.ext(2))
    second = await s.rings(2)
    await s.pause()
    await second.answer()
    await s.talk()
    await _blind(s, via, second, s.ext(3))
    third = await s.rings(3)
    await s.pause()
    await third.answer()
    await s.talk()
    await s.hangs_up(outside, third)
    handovers = (
        Handover("blind", VIA[via], s.ext(1), s.ext(2)),
        Handover("blind", VIA[via], s.ext(2), s.ext(3)),
    )
    return [s.inbound(outside, inside, transfers=handovers, final_party=s.ext(3))]


async def attended_and_back(s: Stage, via: str) -> list[Truth]:
    """Handed over after asking, and handed back the same way."""
    outside, inside = await s.reached()
    asking = await _ask(s, via, inside, s.ext(2))
    second = await s.rings(2)
    await s.pause()
    await second.answer()
    if via == "refer":
        await asking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await _hand_over(s, via, inside, asking)
    await s.talk()
    back = await _ask(s, via, second, s.ext(1))
    again = await s.rings(1)
    await s.pause()
    await again.answer()
    if via == "refer":
        await back.answered(ARRIVAL_SECONDS)
    await s.talk()
    await _hand_over(s, via, second, back)
    await s.talk()
    await s.hangs_up(outside, again)
    handovers = (
        Handover("attended", ATTENDED_VIA[via], s.ext(1), s.ext(2)),
        Handover("attended", ATTENDED_VIA[via], s.ext(2), s.ext(1)),
    )
    held = (s.ext(1), s.ext(2))
    return [s.inbound(outside, inside, transfers=handovers, held_by=held)]


async def attended_then_blind(s: Stage) -> list[Truth]:
    """Handed over after asking, then sent on outside without asking."""
    outside, inside = await s.reached()
    await s.key(inside, "*2", s.ext(2))
    second = await s.rings(2)
    await s.pause()
    await second.answer()
    await s.talk()
    await inside.hang_up()
    await s.talk()
    await second.transfer(s.dialled(7))
    third = await s.rings_outside(7)
    await s.pause()
    await third.answer()
    await s.talk()
    await s.hangs_up(outside, third)
    handovers = (
        Handover("attended", "feature_code", s.ext(1), s.ext(2)),
        Handover("blind", "sip", s.ext(2), s.customer(7)),
    )
    return [s.inbound(outside, inside, transfers=handovers, final_party=s.customer(7), held_by=(s.ext(1),))]


async def blind_back_to_the_first(s: Stage) -> list[Truth]:
    """Sent on, and sent back."""
    outside, inside = await s.reached()
    await inside.transfer(s.ext(2))
    second = await s.rings(2)
    await s.pause()
    await second.answer()
    await s.talk()
    await second.transfer(s.ext(1))
    again = await s.rings(1)
    await s.pause()
    await again.answer()
    await s.talk()
    await s.hangs_up(outside, again)
    handovers = (Handover("blind", "sip", s.ext(1), s.ext(2)), Handover("blind", "sip", s.ext(2), s.ext(1)))
    return [s.inbound(outside, inside, transfers=handovers, final_party=s.ext(1))]


async def blind_to_nowhere(s: Stage) -> list[Truth]:
    """Sent to a number that does not exist: the PBX refuses, they talk on, and nothing was transferred."""
    outside, inside = await s.reached()
    await inside.transfer(s.ext(99))
    await inside.transferred(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside)]


async def blind_to_voice_mail(s: Stage) -> list[Truth]:
    """Sent to voice mail: that is where it was meant to go."""
    outside, inside = await s.reached()
    await inside.transfer(s.ext(98))
    await inside.ended(ARRIVAL_SECONDS)
    await s.talk()
    await outside.hang_up()
    handover = Handover("blind", "sip", s.ext(1), s.ext(98))
    return [s.inbound(outside, inside, transfers=(handover,), talk_seconds=None)]


async def blind_from_queue(s: Stage, via: str) -> list[Truth]:
    """Taken from a queue and sent on."""
    outside = await s.customer_dials(3)
    ringing = [await s.rings(n) for n in (1, 2, 3)]
    await s.connect(outside, ringing[0])
    await s.talk()
    await _blind(s, via, ringing[0], s.ext(4))
    target = await s.rings(4)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("blind", VIA[via], s.ext(1), s.ext(4))
    return [
        s.inbound(outside, ringing[0], transfers=(handover,), final_party=s.ext(4), queue=f"all-{s.team}")
    ]


async def attended_from_local_queue(s: Stage, via: str) -> list[Truth]:
    """Taken from a queue with Local members, and handed over after asking."""
    outside = await s.customer_dials(7)
    inside = await s.rings(4)
    await s.connect(outside, inside)
    await s.talk()
    asking = await _ask(s, via, inside, s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await target.answer()
    if via == "refer":
        await asking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await _hand_over(s, via, inside, asking)
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("attended", ATTENDED_VIA[via], s.ext(4), s.ext(2))
    held = (s.ext(4),)
    queue = f"local-{s.team}"
    return [
        s.inbound(outside, inside, transfers=(handover,), final_party=s.ext(2), queue=queue, held_by=held)
    ]


async def redirect(s: Stage, kind: str) -> list[Truth]:
    """Somebody else's program redirects the customer's channel."""
    outside, inside = await s.reached()
    number, told = _target(s, kind)
    channel = await s.other_client.channel_with_number(s.customer())
    await s.other_client.ask("Redirect", Channel=channel, Context="from-staff", Exten=number, Priority="1")
    target = await _rung(s, kind)
    await inside.ended(ARRIVAL_SECONDS)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("blind", "ami", s.ext(1), told)
    queue = f"all-{s.team}" if kind == "queue" else None
    last = _name(target, s, kind)
    talk = seconds(inside.answered_at, outside.ended_at) - _queued(kind, target)
    return [
        s.inbound(outside, inside, transfers=(handover,), final_party=last, queue=queue, talk_seconds=talk)
    ]


async def redirect_not_answered(s: Stage) -> list[Truth]:
    """Redirected by somebody else's program, and the customer gives up."""
    outside, inside = await s.reached()
    channel = await s.other_client.channel_with_number(s.customer())
    await s.other_client.ask("Redirect", Channel=channel, Context="from-staff", Exten=s.ext(2), Priority="1")
    target = await s.rings(2)
    await inside.ended(ARRIVAL_SECONDS)
    await s.pause()
    await s.hangs_up(outside, target)
    handover = Handover("blind", "ami", s.ext(1), s.ext(2), "failed")
    talk = seconds(inside.answered_at, inside.ended_at)
    return [s.inbound(outside, inside, transfers=(handover,), talk_seconds=talk)]


async def redirect_while_ringing(s: Stage) -> list[Truth]:
    """A program moves a customer who is still ringing to another phone: nobody transferred them, they were routed."""
    outside = await s.customer_dials(1)
    rang = await s.rings(1)
    await outside.ringing(ARRIVAL_SECONDS)
    await s.pause()
    channel = await s.other_client.channel_with_number(s.customer())
    await s.other_client.ask("Redirect", Channel=channel, Context="from-staff", Exten=s.ext(2), Priority="1")
    target = await s.rings(2)
    await rang.ended(ARRIVAL_SECONDS)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(outside, target)
    return [s.inbound(outside, target)]


async def internal_caller_transfers(s: Stage, via: str) -> list[Truth]:
    """In a call between colleagues the one who called sends the other on."""
    dialling = await s.dials(1, s.ext(2))
    answering = await s.rings(2)
    await s.connect(dialling, answering)
    await s.talk()
    await _blind(s, via, dialling, s.ext(3))
    target = await s.rings(3)
    await dialling.ended(ARRIVAL_SECONDS)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(answering, target)
    handover = Handover("blind", VIA[via], s.ext(1), s.ext(3))
    return [
        s.internal(
            dialling, answering, transfers=(handover,), final_party=s.ext(3), talk_seconds=None, ended_by=None
        )
    ]


async def internal_callee_transfers(s: Stage) -> list[Truth]:
    """In a call between colleagues the one who was called sends the other on."""
    dialling = await s.dials(1, s.ext(2))
    answering = await s.rings(2)
    await s.connect(dialling, answering)
    await s.talk()
    await answering.transfer(s.ext(3))
    target = await s.rings(3)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(dialling, target)
    handover = Handover("blind", "sip", s.ext(2), s.ext(3))
    return [s.internal(dialling, answering, transfers=(handover,), final_party=s.ext(3))]


async def outbound_then_blind(s: Stage, via: str) -> list[Truth]:
    """Our caller sends the customer they called on to a colleague."""
    inside, outside = await s.reaches_out()
    await _blind(s, via, inside, s.ext(2))
    target = await s.rings(2)
    await inside.ended(ARRIVAL_SECONDS)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("blind", VIA[via], s.ext(1), s.ext(2))
    return [s.outbound(inside, outside, transfers=(handover,), final_party=s.ext(2))]


async def outbound_then_attended(s: Stage, via: str) -> list[Truth]:
    """Our caller hands the customer they called to a colleague after asking."""
    inside, outside = await s.reaches_out()
    asking = await _ask(s, via, inside, s.ext(2))
    target = await s.rings(2)
    await s.pause()
    await target.answer()
    if via == "refer":
        await asking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await _hand_over(s, via, inside, asking)
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("attended", ATTENDED_VIA[via], s.ext(1), s.ext(2))
    held = (s.ext(1),)
    return [s.outbound(inside, outside, transfers=(handover,), final_party=s.ext(2), held_by=held)]


async def park_then_blind(s: Stage) -> list[Truth]:
    """Parked, fetched by a colleague, sent on."""
    outside, inside = await s.reached()
    await inside.press("*7")
    await inside.ended(ARRIVAL_SECONDS)
    fetching = await s.dials(2, s.ext(71))
    await fetching.answered(ARRIVAL_SECONDS)
    await s.talk()
    await fetching.transfer(s.ext(3))
    target = await s.rings(3)
    await s.pause()
    await target.answer()
    await s.talk()
    await s.hangs_up(outside, target)
    handover = Handover("blind", "sip", s.ext(2), s.ext(3))
    return [
        s.inbound(
            outside, inside, transfers=(handover,), final_party=s.ext(3),
            parked=((s.ext(1), s.ext(2), False),), talk_seconds=None,
        )
    ]  # fmt: skip


async def pickup_then_attended(s: Stage) -> list[Truth]:
    """A call picked up elsewhere, then handed over after asking."""
    outside = await s.customer_dials(1)
    await s.rings(1)
    await s.pause()
    taking = await s.dials(2, f"*8{s.ext(1)}")
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    asking = await _ask(s, "refer", taking, s.ext(3))
    third = await s.rings(3)
    await s.connect(asking, third)
    await s.talk()
    await _hand_over(s, "refer", taking, asking)
    await s.talk()
    await s.hangs_up(outside, third)
    handover = Handover("attended", "sip", s.ext(2), s.ext(3))
    return [s.inbound(outside, taking, transfers=(handover,), final_party=s.ext(3), held_by=(s.ext(2),))]


async def two_transfers_at_once(s: Stage) -> list[Truth]:
    """Two customers are handed over at the same time by two colleagues: nothing gets mixed up."""
    one, first = await s.reached()
    second, other = await s.reaches_out(6, 2)
    await asyncio.gather(first.transfer(s.ext(2)), second.transfer(s.ext(3)))
    here, there = await s.rings(2), await s.rings(3)
    await s.pause()
    await asyncio.gather(here.answer(), there.answer())
    await s.talk()
    await s.hangs_up(other, there)
    await s.hangs_up(one, here)
    outbound = Handover("blind", "sip", s.ext(6), s.ext(3))
    return [
        s.inbound(
            one, first, transfers=(Handover("blind", "sip", s.ext(1), s.ext(2)),), final_party=s.ext(2)
        ),
        s.outbound(second, other, 2, transfers=(outbound,), final_party=s.ext(3)),
    ]


def _crossed() -> list[Scenario]:
    """Every kind of hand-over, by every way, to every kind of target, with every end."""
    found: list[tuple[str, Callable[[Stage], Awaitable[list[Truth]]]]] = []
    for via in ("refer", "code", "ami"):
        for kind in ("extension", "group", "queue", "outside"):
            for end in ("answered", "gives_up", "busy"):
                if end == "busy" and kind in ("queue", "group"):
                    continue  # one busy phone of several decides nothing
                found.append((f"blind_{via}_{kind}_{end}", partial(blind, via=via, kind=kind, end=end)))
            found.append((f"attended_{via}_{kind}", partial(attended, via=via, kind=kind)))
            if kind != "group":
                aborted = partial(attended_aborted, via=via, kind=kind)
                found.append((f"attended_{via}_{kind}_aborted", aborted))
        for kind in ("extension", "outside"):
            for end in ("busy", "no_answer"):
                not_taken = partial(attended_not_taken, via=via, kind=kind, end=end)
                found.append((f"attended_{via}_{kind}_{end}", not_taken))
        found.append((f"attended_{via}_customer_leaves", partial(attended_customer_leaves, via=via)))
    for via in ("refer", "code"):
        for kind in ("extension", "group", "queue", "outside"):
            for end in ("answered", "never"):
                found.append((f"blonde_{via}_{kind}_{end}", partial(blonde, via=via, kind=kind, end=end)))
        found.append((f"attended_{via}_and_back", partial(attended_and_back, via=via)))
        found.append((f"blind_{via}_from_queue", partial(blind_from_queue, via=via)))
        found.append((f"attended_{via}_from_local_queue", partial(attended_from_local_queue, via=via)))
        found.append((f"outbound_then_blind_{via}", partial(outbound_then_blind, via=via)))
        found.append((f"outbound_then_attended_{via}", partial(outbound_then_attended, via=via)))
        found.append((f"internal_caller_transfers_{via}", partial(internal_caller_transfers, via=via)))
        found.append((f"blind_twice_{via}", partial(blind_twice, via=via)))
    for kind in ("extension", "group", "queue", "outside"):
        found.append((f"redirect_{kind}", partial(redirect, kind=kind)))
    return [Scenario(name, play, (1, 2, 3, 4) if "_from_" in name else (1, 2, 3)) for name, play in found]


TRANSFERS = (
    *_crossed(),
    Scenario("blonde_comes_back", blonde_comes_back, (1, 2)),
    Scenario("three_way", three_way, (1, 2)),
    Scenario("attended_completed_by_code", attended_completed_by_code, (1, 2)),
    Scenario("attended_swapped", attended_swapped, (1, 2)),
    Scenario("blind_then_attended", blind_then_attended, (1, 2, 3)),
    Scenario("attended_then_blind", attended_then_blind, (1, 2)),
    Scenario("blind_back_to_the_first", blind_back_to_the_first, (1, 2)),
    Scenario("blind_to_nowhere", blind_to_nowhere, (1,)),
    Scenario("blind_to_voice_mail", blind_to_voice_mail, (1,)),
    Scenario("redirect_not_answered", redirect_not_answered, (1, 2)),
    Scenario("redirect_while_ringing", redirect_while_ringing, (1, 2)),
    Scenario("internal_callee_transfers", internal_callee_transfers, (1, 2, 3)),
    Scenario("park_then_blind", park_then_blind, (1, 2, 3)),
    Scenario("pickup_then_attended", pickup_then_attended, (1, 2, 3)),
    Scenario("two_transfers_at_once", two_transfers_at_once, (1, 2, 3, 6)),
)

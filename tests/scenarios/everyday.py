"""Calls without a transfer: reached, missed, queued, menu, voice mail, forwarded, picked up, outbound."""

from __future__ import annotations

import asyncio

from switchhook.lab.phone_call import Call
from tests.scenarios.play import Scenario
from tests.scenarios.stage import ARRIVAL_SECONDS, Stage, seconds
from tests.scenarios.truth import Truth

LONG = 12.0  # s; longer than any time-out of the teams' numbers


async def direct(s: Stage) -> list[Truth]:
    """A customer calls, is answered, and hangs up."""
    outside, inside = await s.reached()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, requested=s.ext(1), legs={s.ext(1): "answered"})]


async def direct_callee_ends(s: Stage) -> list[Truth]:
    """A customer calls, is answered, and our side hangs up."""
    outside, inside = await s.reached()
    await s.hangs_up(inside, outside)
    return [s.inbound(outside, inside, ended_by="callee")]


async def not_answered(s: Stage) -> list[Truth]:
    """The phone rings until the PBX gives up."""
    outside = await s.customer_dials(5)
    await s.rings(1)
    await outside.ended(LONG)
    return [s.inbound(outside, None, missed_by=(s.ext(1),), ended_by="pbx", legs={s.ext(1): "no_answer"})]


async def caller_gives_up(s: Stage) -> list[Truth]:
    """The customer hangs up while it rings."""
    outside = await s.customer_dials(1)
    inside = await s.rings(1)
    await outside.ringing(ARRIVAL_SECONDS)
    await s.pause()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, None, missed_by=(s.ext(1),), ended_by="caller")]


async def busy(s: Stage) -> list[Truth]:
    """The phone says busy."""
    outside = await s.customer_dials(1)
    (await s.rings(1)).refuse(486)
    await outside.ended(LONG)
    return [s.inbound(outside, None, disposition="busy", missed_by=(s.ext(1),), legs={s.ext(1): "busy"})]


async def declined(s: Stage) -> list[Truth]:
    """They press the red key: 603."""
    outside = await s.customer_dials(1)
    (await s.rings(1)).refuse(603)
    await outside.ended(LONG)
    return [
        s.inbound(outside, None, disposition="declined", missed_by=(s.ext(1),), legs={s.ext(1): "declined"})
    ]


async def unregistered(s: Stage) -> list[Truth]:
    """The phone that is called is not registered."""
    outside = await s.customer_dials(1)
    await outside.ended(LONG)
    return [s.inbound(outside, None, disposition="failed")]


async def anonymous(s: Stage) -> list[Truth]:
    """The customer withholds their number; the carrier tells it to nobody."""
    outside = await s.outside.carrier.dial_withheld(s.did(1))
    inside = await s.rings(1)
    await s.connect(outside, inside)
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, caller="anonymous")]


async def anonymous_with_identity(s: Stage) -> list[Truth]:
    """The customer withholds their number; the carrier tells it to the PBX only."""
    outside = await s.outside.carrier.dial_withheld(s.did(1), real=s.customer())
    inside = await s.rings(1)
    await s.connect(outside, inside)
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, caller="anonymous")]


async def ring_group(s: Stage) -> list[Truth]:
    """Three phones ring, the second takes it."""
    outside = await s.customer_dials(2)
    ringing = [await s.rings(n) for n in (1, 2, 3)]
    await s.connect(outside, ringing[1])
    await s.talk()
    await s.hangs_up(outside, ringing[1])
    others = {s.ext(1): "answered_elsewhere", s.ext(3): "answered_elsewhere"}
    return [s.inbound(outside, ringing[1], legs=others)]


async def ring_group_none(s: Stage) -> list[Truth]:
    """Three phones ring, nobody takes it."""
    outside = await s.customer_dials(12)
    for n in (1, 2, 3):
        await s.rings(n)
    await outside.ended(LONG)
    return [s.inbound(outside, None, missed_by=(s.ext(1), s.ext(2), s.ext(3)), ended_by="pbx")]


async def ring_group_one_declines(s: Stage) -> list[Truth]:
    """One declines, another answers: nobody missed it."""
    outside = await s.customer_dials(2)
    ringing = [await s.rings(n) for n in (1, 2, 3)]
    ringing[0].refuse(603)
    await s.connect(outside, ringing[2])
    await s.talk()
    await s.hangs_up(ringing[2], outside)
    return [s.inbound(outside, ringing[2], ended_by="callee", legs={s.ext(1): "declined"})]


async def one_after_the_other(s: Stage) -> list[Truth]:
    """The first does not take it, then the second phone is rung and does."""
    outside = await s.customer_dials(17)
    first = await s.rings(1)
    second = await s.rings(2)
    await first.ended(LONG)
    await s.connect(outside, second)
    await s.talk()
    await s.hangs_up(outside, second)
    return [s.inbound(outside, second, legs={s.ext(1): "no_answer"})]


async def queue_answered(s: Stage) -> list[Truth]:
    """A queue rings three phones, one takes it."""
    outside = await s.customer_dials(3)
    ringing = [await s.rings(n) for n in (1, 2, 3)]
    await s.connect(outside, ringing[0])
    await s.talk()
    await s.hangs_up(outside, ringing[0])
    waited = seconds(ringing[0].rang_at, ringing[0].answered_at)
    return [
        s.inbound(
            outside,
            ringing[0],
            queue=f"all-{s.team}",
            tried=(s.ext(1), s.ext(2), s.ext(3)),
            wait_seconds=waited,
        )
    ]


async def queue_abandoned(s: Stage) -> list[Truth]:
    """The customer loses patience in the queue."""
    outside = await s.customer_dials(3)
    await outside.answered(ARRIVAL_SECONDS)
    ringing = [await s.rings(n) for n in (1, 2, 3)]
    await s.talk()
    await s.hangs_up(outside, *ringing)
    missed = (s.ext(1), s.ext(2), s.ext(3))
    return [
        s.inbound(
            outside, None, disposition="abandoned", queue=f"all-{s.team}", missed_by=missed, ended_by="caller"
        )
    ]


async def queue_times_out(s: Stage) -> list[Truth]:
    """The queue gives up by itself: the customer did not leave."""
    outside = await s.customer_dials(13)
    for n in (1, 2, 3):
        await s.rings(n)
    await outside.ended(LONG)
    missed = (s.ext(1), s.ext(2), s.ext(3))
    return [s.inbound(outside, None, queue=f"all-{s.team}", missed_by=missed, ended_by="pbx")]


async def queue_then_direct(s: Stage) -> list[Truth]:
    """The queue's time is up, then a single phone is rung and answers."""
    outside = await s.customer_dials(14)
    await s.rings(1)
    last = await s.rings(6)
    await s.connect(outside, last)
    await s.talk()
    await s.hangs_up(outside, last)
    return [s.inbound(outside, last, queue=f"all-{s.team}", tried=(s.ext(1),))]


async def queue_next_member(s: Stage) -> list[Truth]:
    """The first member does not answer, the next one does."""
    outside = await s.customer_dials(4)
    first = await s.rings(4)
    second = await s.rings(5)
    await first.ended(LONG)
    await s.connect(outside, second)
    await s.talk()
    await s.hangs_up(second, outside)
    queue = f"line-{s.team}"
    return [s.inbound(outside, second, queue=queue, tried=(s.ext(4), s.ext(5)), ended_by="callee")]


async def queue_local_members(s: Stage) -> list[Truth]:
    """The members are rung through Local channels, as FreePBX does; the first answers."""
    outside = await s.customer_dials(7)
    inside = await s.rings(4)
    await s.connect(outside, inside)
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, queue=f"local-{s.team}", tried=(s.ext(4),))]


async def queue_local_next(s: Stage) -> list[Truth]:
    """Through Local channels, the first does not answer, the next does."""
    outside = await s.customer_dials(7)
    first = await s.rings(4)
    second = await s.rings(5)
    await first.ended(LONG)
    await s.connect(outside, second)
    await s.talk()
    await s.hangs_up(outside, second)
    return [s.inbound(outside, second, queue=f"local-{s.team}", tried=(s.ext(4), s.ext(5)))]


async def queue_local_abandoned(s: Stage) -> list[Truth]:
    """Through Local channels, the customer loses patience."""
    outside = await s.customer_dials(7)
    first = await s.rings(4)
    await outside.answered(ARRIVAL_SECONDS)
    await s.pause()
    await s.hangs_up(outside, first)
    queue = f"local-{s.team}"
    return [
        s.inbound(
            outside, None, disposition="abandoned", queue=queue, missed_by=(s.ext(4),), ended_by="caller"
        )
    ]


async def menu_answered(s: Stage) -> list[Truth]:
    """The customer presses 1 in the menu and reaches somebody."""
    outside = await s.customer_dials(6)
    await outside.answered(ARRIVAL_SECONDS)
    await outside.press("1")
    inside = await s.rings(1)
    await s.pause()
    await inside.answer()
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, talk_seconds=seconds(inside.answered_at, outside.ended_at))]


async def menu_abandoned(s: Stage) -> list[Truth]:
    """The customer hangs up in the menu."""
    outside = await s.customer_dials(6)
    await outside.answered(ARRIVAL_SECONDS)
    await s.talk()
    await outside.hang_up()
    return [s.inbound(outside, None, disposition="abandoned", ended_by="caller")]


async def menu_then_given_up(s: Stage) -> list[Truth]:
    """They press 1, it rings, and they hang up: the phone that rang missed it."""
    outside = await s.customer_dials(6)
    await outside.answered(ARRIVAL_SECONDS)
    await outside.press("1")
    inside = await s.rings(1)
    await s.pause()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, None, missed_by=(s.ext(1),), ended_by="caller")]


async def menu_queue(s: Stage) -> list[Truth]:
    """They press 2 and wait in the queue, where somebody takes them."""
    outside = await s.customer_dials(6)
    await outside.answered(ARRIVAL_SECONDS)
    await outside.press("2")
    inside = await s.rings(2)
    await s.pause()
    await inside.answer()
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, queue=f"all-{s.team}", tried=(s.ext(2),))]


async def follow_me_desk(s: Stage) -> list[Truth]:
    """Follow me: taken at the desk."""
    outside = await s.customer_dials(9)
    inside = await s.rings(1)
    await s.pause()
    await inside.answer()
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside)]


async def follow_me_mobile(s: Stage) -> list[Truth]:
    """Follow me: not at the desk, the mobile phone answers. (16 never goes on to the second step without its prompt.)"""
    outside = await s.customer_dials(9)
    await s.rings(1)
    mobile = await s.rings_outside(9)
    await s.pause()
    await mobile.answer()
    await s.talk()
    await s.hangs_up(outside, mobile)
    return [s.inbound(outside, mobile, answered_by=s.customer(9), final_party=s.customer(9))]


async def forwarded(s: Stage) -> list[Truth]:
    """The phone sends its calls on to a colleague (302)."""
    outside = await s.customer_dials(1)
    (await s.rings(1)).forward(s.ext(2))
    inside = await s.rings(2)
    await s.connect(outside, inside)
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, requested=s.ext(1))]


async def forwarded_outside(s: Stage) -> list[Truth]:
    """The phone sends its calls on to a mobile phone (302)."""
    outside = await s.customer_dials(1)
    (await s.rings(1)).forward(s.dialled(9))
    mobile = await s.rings_outside(9)
    await s.connect(outside, mobile)
    await s.talk()
    await s.hangs_up(outside, mobile)
    nine = s.customer(9)
    return [s.inbound(outside, mobile, requested=s.ext(1), answered_by=nine, final_party=nine)]


async def forwarded_not_answered(s: Stage) -> list[Truth]:
    """The phone sends its calls on to a colleague, who does not answer either."""
    outside = await s.customer_dials(5)
    (await s.rings(1)).forward(s.ext(2))
    inside = await s.rings(2)
    await outside.ended(LONG)
    await inside.ended(LONG)
    return [s.inbound(outside, None, missed_by=(s.ext(2),), ended_by="pbx")]


async def voice_mail(s: Stage) -> list[Truth]:
    """Nobody takes it, the customer leaves a message."""
    outside = await s.customer_dials(10)
    await s.rings(1)
    await outside.answered(LONG)
    await s.talk()
    await outside.hang_up()
    return [s.inbound(outside, None, disposition="voicemail", missed_by=(s.ext(1),), ended_by="caller")]


async def voice_mail_at_once(s: Stage) -> list[Truth]:
    """The number leads straight to voice mail."""
    outside = await s.customer_dials(8)
    await outside.answered(ARRIVAL_SECONDS)
    await s.talk()
    await outside.hang_up()
    return [s.inbound(outside, None, disposition="voicemail", ended_by="caller")]


async def pickup_directed(s: Stage) -> list[Truth]:
    """A colleague dials *8 and the extension that rings."""
    outside = await s.customer_dials(1)
    rang = await s.rings(1)
    await s.pause()
    taking = await s.dials(2, f"*8{s.ext(1)}")
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, taking, rang)
    return [s.inbound(outside, taking, legs={s.ext(1): "answered_elsewhere"})]


async def pickup_group(s: Stage) -> list[Truth]:
    """A colleague dials *8 alone and gets what rings in their group."""
    outside = await s.customer_dials(1)
    rang = await s.rings(1)
    await s.pause()
    taking = await s.dials(2, "*8")
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(taking, outside, rang)
    return [s.inbound(outside, taking, ended_by="callee")]


async def pickup_from_group(s: Stage) -> list[Truth]:
    """Three phones ring, a fourth picks it up."""
    outside = await s.customer_dials(2)
    rang = [await s.rings(n) for n in (1, 2, 3)]
    await s.pause()
    taking = await s.dials(4, f"*8{s.ext(2)}")
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, taking, *rang)
    return [s.inbound(outside, taking)]


async def hold(s: Stage) -> list[Truth]:
    """The customer is put on hold and taken back."""
    outside, inside = await s.reached()
    await inside.hold()
    await s.talk()
    await inside.resume()
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, held_by=(s.ext(1),), hold_seconds=0.6)]


async def hold_until_the_end(s: Stage) -> list[Truth]:
    """The customer hangs up while they are on hold."""
    outside, inside = await s.reached()
    await inside.hold()
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside, held_by=(s.ext(1),), hold_seconds=0.6)]


async def call_waiting(s: Stage) -> list[Truth]:
    """A second customer calls a phone that talks: the first is held, then the second is left."""
    first, inside = await s.reached()
    second = await s.customer_dials(1, 2)
    waiting = await s.rings(1)
    await second.ringing(ARRIVAL_SECONDS)
    await inside.hold()
    await s.connect(second, waiting)
    await s.talk()
    await s.hangs_up(waiting, second)
    await inside.resume()
    await s.talk()
    await s.hangs_up(first, inside)
    held = seconds(waiting.answered_at, waiting.ended_at) + 0.3
    return [
        s.inbound(first, inside, held_by=(s.ext(1),), hold_seconds=held),
        s.inbound(second, waiting, caller=s.customer(2), ended_by="callee"),
    ]


async def call_waiting_missed(s: Stage) -> list[Truth]:
    """A second customer calls a phone that talks, and gives up."""
    first, inside = await s.reached()
    second = await s.customer_dials(1, 2)
    waiting = await s.rings(1)
    await second.ringing(ARRIVAL_SECONDS)
    await s.pause()
    await s.hangs_up(second, waiting)
    await s.hangs_up(first, inside)
    return [
        s.inbound(first, inside),
        s.inbound(second, None, caller=s.customer(2), missed_by=(s.ext(1),), ended_by="caller"),
    ]


async def mixed_in_the_handset(s: Stage) -> list[Truth]:
    """The handset itself mixes two calls: the PBX has two calls, and so have we."""
    first, inside = await s.reached()
    asking = await s.dials(1, s.ext(2))
    colleague = await s.rings(2)
    await s.connect(asking, colleague)
    await s.talk()
    await s.hangs_up(asking, colleague)
    await s.hangs_up(first, inside)
    return [s.inbound(first, inside), s.internal(asking, colleague, consultation=True)]


async def same_customer_twice(s: Stage) -> list[Truth]:
    """One customer calls twice at once, two of ours answer: two calls."""
    one = await s.customer_dials(1)
    first = await s.rings(1)
    other = await s.customer_dials(17)
    waiting = await s.rings(1)
    await s.connect(one, first)
    second = await s.rings(2)
    await waiting.ended(LONG)
    await s.connect(other, second)
    await s.talk()
    await s.hangs_up(one, first)
    await s.hangs_up(other, second)
    return [s.inbound(one, first), s.inbound(other, second)]


async def five_interleaved(s: Stage) -> list[Truth]:
    """Five calls at once, begun and ended in different order."""
    lines: list[tuple[Call, Call]] = []
    for n in range(1, 5):
        dialling = await s.dials(n, s.dialled(n))
        lines.append((dialling, await s.rings_outside(n)))
    inbound = await s.customer_dials(14, 5)
    last = await s.rings(6)
    for dialling, there in reversed(lines):
        await s.connect(dialling, there)
    await s.connect(inbound, last)
    await s.talk()
    for dialling, there in lines[1::2] + lines[::2]:
        await s.hangs_up(there, dialling)
    await s.hangs_up(inbound, last)
    told = [s.outbound(dialling, there, n) for n, (dialling, there) in enumerate(lines, 1)]
    return [*told, s.inbound(inbound, last, caller=s.customer(5), queue=f"all-{s.team}", tried=())]


async def conference(s: Stage) -> list[Truth]:
    """Two of ours meet in the conference room: two calls, each answered by the room."""
    one = await s.dials(1, s.ext(95))
    await one.answered(ARRIVAL_SECONDS)
    other = await s.dials(2, s.ext(95))
    await other.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(one)
    await s.hangs_up(other)
    return [
        s.internal(call, None, disposition="answered", talk_seconds=None, ended_by="caller")
        for call in (one, other)
    ]


async def outbound(s: Stage) -> list[Truth]:
    """One of ours calls a customer and hangs up."""
    inside, outside = await s.reaches_out()
    await s.hangs_up(inside, outside)
    return [s.outbound(inside, outside)]


async def outbound_callee_ends(s: Stage) -> list[Truth]:
    """One of ours calls a customer, who hangs up."""
    inside, outside = await s.reaches_out()
    await s.hangs_up(outside, inside)
    return [s.outbound(inside, outside)]


async def _outbound_refused(s: Stage, code: int, disposition: str) -> list[Truth]:
    inside = await s.dials(1, s.dialled(1))
    (await s.rings_outside(1)).refuse(code)
    await inside.ended(LONG)
    return [s.outbound(inside, None, disposition=disposition)]


async def outbound_busy(s: Stage) -> list[Truth]:
    """The customer is busy."""
    return await _outbound_refused(s, 486, "busy")


async def outbound_no_such_number(s: Stage) -> list[Truth]:
    """There is no such number."""
    return await _outbound_refused(s, 404, "failed")


async def outbound_no_line(s: Stage) -> list[Truth]:
    """The carrier has no line."""
    return await _outbound_refused(s, 503, "failed")


async def outbound_declined(s: Stage) -> list[Truth]:
    """The customer presses the red key."""
    return await _outbound_refused(s, 603, "declined")


async def outbound_unavailable(s: Stage) -> list[Truth]:
    """The customer's phone is off: nobody answered."""
    return await _outbound_refused(s, 480, "no_answer")


async def outbound_cancelled(s: Stage) -> list[Truth]:
    """One of ours gives up before the customer answers."""
    inside = await s.dials(1, s.dialled(1))
    outside = await s.rings_outside(1)
    await inside.ringing(ARRIVAL_SECONDS)
    await s.pause()
    await s.hangs_up(inside, outside)
    return [s.outbound(inside, None, ended_by="caller")]


async def outbound_on_hold(s: Stage) -> list[Truth]:
    """The customer puts us on hold with their own phone system."""
    inside, outside = await s.reaches_out()
    await outside.hold()
    await s.talk()
    await outside.resume()
    await s.hangs_up(inside, outside)
    return [s.outbound(inside, outside, held_by=(s.customer(),), hold_seconds=0.6)]


async def internal(s: Stage) -> list[Truth]:
    """Two colleagues talk."""
    dialling = await s.dials(1, s.ext(2))
    answering = await s.rings(2)
    await s.connect(dialling, answering)
    await s.talk()
    await s.hangs_up(answering, dialling)
    return [s.internal(dialling, answering, requested=s.ext(2))]


async def internal_missed(s: Stage) -> list[Truth]:
    """A colleague does not answer."""
    dialling = await s.dials(1, s.ext(2))
    answering = await s.rings(2)
    await dialling.ringing(ARRIVAL_SECONDS)
    await s.pause()
    await s.hangs_up(dialling, answering)
    return [s.internal(dialling, None, missed_by=(s.ext(2),), ended_by="caller")]


async def internal_busy(s: Stage) -> list[Truth]:
    """A colleague is busy."""
    dialling = await s.dials(1, s.ext(2))
    (await s.rings(2)).refuse(486)
    await dialling.ended(LONG)
    return [s.internal(dialling, None, disposition="busy", missed_by=(s.ext(2),))]


async def internal_group(s: Stage) -> list[Truth]:
    """A colleague calls the group by its number."""
    dialling = await s.dials(1, s.ext(90))
    ringing = [await s.rings(n) for n in (2, 3)]
    await s.connect(dialling, ringing[1])
    await s.talk()
    await s.hangs_up(dialling, ringing[1])
    return [s.internal(dialling, ringing[1], requested=s.ext(90), legs={s.ext(2): "answered_elsewhere"})]


async def local_that_stays(s: Stage) -> list[Truth]:
    """The route goes through a Local channel that stays (/n)."""
    outside, inside = await s.reached(11)
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, inside)]


async def local_optimised(s: Stage) -> list[Truth]:
    """The route goes through a Local channel that is taken away once both talk."""
    outside, inside = await s.reached(16)
    await s.hangs_up(inside, outside)
    return [s.inbound(outside, inside, ended_by="callee")]


async def local_missed(s: Stage) -> list[Truth]:
    """Through a Local channel, and the customer gives up."""
    outside = await s.customer_dials(11)
    inside = await s.rings(1)
    await outside.ringing(ARRIVAL_SECONDS)
    await s.pause()
    await s.hangs_up(outside, inside)
    return [s.inbound(outside, None, missed_by=(s.ext(1),), ended_by="caller")]


async def straight_outside(s: Stage) -> list[Truth]:
    """The number leads straight to a mobile phone outside."""
    outside = await s.customer_dials(18)
    mobile = await s.rings_outside(9)
    await s.connect(outside, mobile)
    await s.talk()
    await s.hangs_up(outside, mobile)
    return [s.inbound(outside, mobile, answered_by=s.customer(9), final_party=s.customer(9))]


async def _park(s: Stage, inside: Call) -> None:
    await inside.press("*7")
    await inside.ended(ARRIVAL_SECONDS)


async def park_retrieved(s: Stage) -> list[Truth]:
    """Parked with *7, a colleague dials the place."""
    outside, inside = await s.reached()
    await _park(s, inside)
    parked_from = inside.ended_at
    taking = await s.dials(2, s.ext(71))
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, taking)
    assert parked_from is not None
    parked = ((s.ext(1), s.ext(2), False),)
    return [s.inbound(outside, inside, final_party=s.ext(2), parked=parked, talk_seconds=None)]


async def park_times_out(s: Stage) -> list[Truth]:
    """Nobody takes the parked call: it comes back to who parked it, and they answer."""
    outside, inside = await s.reached()
    await _park(s, inside)
    again = await s.phone(1).incoming(LONG + 8)
    await s.pause()
    await again.answer()
    await s.talk()
    await s.hangs_up(outside, again)
    return [s.inbound(outside, inside, parked=((s.ext(1), None, True),), talk_seconds=None)]


async def park_abandoned(s: Stage) -> list[Truth]:
    """The customer hangs up in the parking place: they had been answered before."""
    outside, inside = await s.reached()
    await _park(s, inside)
    await s.pause()
    await outside.hang_up()
    return [s.inbound(outside, inside, parked=((s.ext(1), None, False),), talk_seconds=None)]


async def park_by_transfer(s: Stage) -> list[Truth]:
    """Parked with the handset's transfer key to the parking number; taken back by who parked."""
    outside, inside = await s.reached()
    await inside.transfer(s.ext(70))
    await inside.ended(ARRIVAL_SECONDS)
    await s.pause()
    taking = await s.dials(1, s.ext(71))
    await taking.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(outside, taking)
    return [s.inbound(outside, inside, parked=((s.ext(1), s.ext(1), False),), talk_seconds=None)]


async def park_two(s: Stage) -> list[Truth]:
    """Two customers in one parking lot, fetched by two colleagues: still two calls."""
    one, first = await s.reached(1, 1, 1)
    await _park(s, first)
    other, second = await s.reached(1, 1, 2)
    await _park(s, second)
    taking = await s.dials(3, s.ext(72))
    await taking.answered(ARRIVAL_SECONDS)
    fetching = await s.dials(2, s.ext(71))
    await fetching.answered(ARRIVAL_SECONDS)
    await s.talk()
    await s.hangs_up(one, fetching)
    await s.hangs_up(other, taking)
    return [
        s.inbound(one, first, final_party=s.ext(2), parked=((s.ext(1), s.ext(2), False),), talk_seconds=None),
        s.inbound(
            other,
            second,
            caller=s.customer(2),
            final_party=s.ext(3),
            parked=((s.ext(1), s.ext(3), False),),
            talk_seconds=None,
        ),
    ]


async def originate_one_leg(s: Stage) -> list[Truth]:
    """Somebody else's program rings our phone and then dials the customer for it."""
    asked = asyncio.create_task(
        s.other_client.ask(
            "Originate", Channel=f"PJSIP/{s.ext(1)}", Context="from-staff", Exten=s.dialled(1),
            Priority="1", Async="true", CallerID=s.customer(1),
        )
    )  # fmt: skip
    inside = await s.rings(1)
    await asked
    await s.pause()
    await inside.answer()
    outside = await s.rings_outside(1)
    await s.pause()
    await outside.answer()
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.outbound(inside, outside)]


async def originate_refused(s: Stage) -> list[Truth]:
    """Somebody else's program rings our phone, and they do not want to: no call was made."""
    await s.other_client.ask(
        "Originate", Channel=f"PJSIP/{s.ext(1)}", Context="from-staff", Exten=s.dialled(1), Priority="1",
        Async="true",
    )  # fmt: skip
    inside = await s.rings(1)
    await s.pause()
    inside.refuse(603)
    return []


async def originate_two_legs(s: Stage) -> list[Truth]:
    """Through a Local channel: one half rings our phone, the other the customer."""
    await s.other_client.ask(
        "Originate", Channel=f"Local/{s.ext(1)}@from-staff", Context="from-staff", Exten=s.dialled(1),
        Priority="1", Async="true",
    )  # fmt: skip
    inside = await s.rings(1)
    await s.pause()
    await inside.answer()
    outside = await s.rings_outside(1)
    await s.pause()
    await outside.answer()
    await s.talk()
    await s.hangs_up(inside, outside)
    return [s.outbound(inside, outside)]


async def originate_two_legs_stay(s: Stage) -> list[Truth]:
    """The same, and the Local channel stays (/n)."""
    await s.other_client.ask(
        "Originate", Channel=f"Local/{s.ext(1)}@from-staff/n", Context="from-staff", Exten=s.dialled(1),
        Priority="1", Async="true",
    )  # fmt: skip
    inside = await s.rings(1)
    await s.pause()
    await inside.answer()
    outside = await s.rings_outside(1)
    await s.pause()
    await outside.answer()
    await s.talk()
    await s.hangs_up(outside, inside)
    return [s.outbound(inside, outside)]


EVERYDAY = (
    Scenario("direct", direct, (1,)),
    Scenario("direct_callee_ends", direct_callee_ends, (1,)),
    Scenario("not_answered", not_answered, (1,)),
    Scenario("caller_gives_up", caller_gives_up, (1,)),
    Scenario("busy", busy, (1,)),
    Scenario("declined", declined, (1,)),
    Scenario("unregistered", unregistered, ()),
    Scenario("anonymous", anonymous, (1,)),
    Scenario("anonymous_with_identity", anonymous_with_identity, (1,)),
    Scenario("ring_group", ring_group, (1, 2, 3)),
    Scenario("ring_group_none", ring_group_none, (1, 2, 3)),
    Scenario("ring_group_one_declines", ring_group_one_declines, (1, 2, 3)),
    Scenario("one_after_the_other", one_after_the_other, (1, 2)),
    Scenario("queue_answered", queue_answered, (1, 2, 3)),
    Scenario("queue_abandoned", queue_abandoned, (1, 2, 3)),
    Scenario("queue_times_out", queue_times_out, (1, 2, 3)),
    Scenario("queue_then_direct", queue_then_direct, (1, 6)),
    Scenario("queue_next_member", queue_next_member, (4, 5)),
    Scenario("queue_local_members", queue_local_members, (4,)),
    Scenario("queue_local_next", queue_local_next, (4, 5)),
    Scenario("queue_local_abandoned", queue_local_abandoned, (4,)),
    Scenario("menu_answered", menu_answered, (1,)),
    Scenario("menu_abandoned", menu_abandoned, ()),
    Scenario("menu_then_given_up", menu_then_given_up, (1,)),
    Scenario("menu_queue", menu_queue, (2,)),
    Scenario("follow_me_desk", follow_me_desk, (1,)),
    Scenario("follow_me_mobile", follow_me_mobile, (1, 2), since=18),
    Scenario("forwarded", forwarded, (1, 2)),
    Scenario("forwarded_outside", forwarded_outside, (1,)),
    Scenario("forwarded_not_answered", forwarded_not_answered, (1, 2)),
    Scenario("voice_mail", voice_mail, (1,)),
    Scenario("voice_mail_at_once", voice_mail_at_once, ()),
    Scenario("pickup_directed", pickup_directed, (1, 2)),
    Scenario("pickup_group", pickup_group, (1, 2)),
    Scenario("pickup_from_group", pickup_from_group, (1, 2, 3, 4)),
    Scenario("hold", hold, (1,)),
    Scenario("hold_until_the_end", hold_until_the_end, (1,)),
    Scenario("call_waiting", call_waiting, (1,)),
    Scenario("call_waiting_missed", call_waiting_missed, (1,)),
    Scenario("mixed_in_the_handset", mixed_in_the_handset, (1, 2)),
    Scenario("same_customer_twice", same_customer_twice, (1, 2)),
    Scenario("five_interleaved", five_interleaved, (1, 2, 3, 4, 6)),
    Scenario("conference", conference, (1, 2)),
    Scenario("outbound", outbound, (1,)),
    Scenario("outbound_callee_ends", outbound_callee_ends, (1,)),
    Scenario("outbound_busy", outbound_busy, (1,)),
    Scenario("outbound_no_such_number", outbound_no_such_number, (1,)),
    Scenario("outbound_no_line", outbound_no_line, (1,)),
    Scenario("outbound_declined", outbound_declined, (1,)),
    Scenario("outbound_unavailable", outbound_unavailable, (1,)),
    Scenario("outbound_cancelled", outbound_cancelled, (1,)),
    Scenario("outbound_on_hold", outbound_on_hold, (1,)),
    Scenario("internal", internal, (1, 2)),
    Scenario("internal_missed", internal_missed, (1, 2)),
    Scenario("internal_busy", internal_busy, (1, 2)),
    Scenario("internal_group", internal_group, (1, 2, 3)),
    Scenario("local_that_stays", local_that_stays, (1,)),
    Scenario("local_optimised", local_optimised, (1,)),
    Scenario("local_missed", local_missed, (1,)),
    Scenario("straight_outside", straight_outside, ()),
    Scenario("park_retrieved", park_retrieved, (1, 2)),
    Scenario("park_times_out", park_times_out, (1,)),
    Scenario("park_abandoned", park_abandoned, (1,)),
    Scenario("park_by_transfer", park_by_transfer, (1,)),
    Scenario("park_two", park_two, (1, 2, 3)),
    Scenario("originate_one_leg", originate_one_leg, (1,)),
    Scenario("originate_refused", originate_refused, (1,)),
    Scenario("originate_two_legs", originate_two_legs, (1,)),
    Scenario("originate_two_legs_stay", originate_two_legs_stay, (1,)),
)

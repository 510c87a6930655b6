"""Phones through a real Asterisk. Who talks to whom is told by ear: every phone speaks with a tone of its own."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.call_progress import CallState
from switchhook.lab.phone_call import Call
from switchhook.lab.phone_media import tone
from switchhook.lab.phones import Phone, answers, forwards, refuses
from telephony.errors import PeerMistake
from tests.asterisk_fixtures import PhoneRoom

pytestmark = pytest.mark.asterisk

CUSTOMER = "+79161110005"
TONES = {
    "carrier": 400,
    "101": 1000,
    "102": 1500,
    "103": 700,
}  # Hz; none is a harmonic of another that is used with it


def give_voice(*phones: Phone) -> None:
    """Each phone speaks with its own tone in every call from now on."""
    for phone in phones:
        phone.voice = partial(tone, TONES[phone.number])


async def talking(dialler: Phone, dialled: str, callee: Phone, **how: str) -> tuple[Call, Call]:
    """A conversation: the end of who dialled and the end of who was called.

    It is one only when they hear each other: the PBX joins the two a moment after the answer, and refuses to transfer
    before that.
    """
    give_voice(dialler, callee)
    outgoing = await dialler.dial(dialled, **how)
    incoming = await callee.incoming()
    await incoming.answer()
    await outgoing.answered()
    await incoming.hears(TONES[dialler.number])
    return outgoing, incoming


async def test_a_customer_calls_anna_and_both_hear_each_other(phones: PhoneRoom) -> None:
    """An outside call reaches the handset with number and name, and audio flows both ways until one hangs up."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER, name="Пётр Ильин")
    assert (inside.other_number, inside.other_name) == (CUSTOMER, "Пётр Ильин")
    await outside.hears(TONES["101"])
    await inside.hears(TONES["carrier"])
    await outside.hang_up()
    await inside.ended()
    assert not inside.ended_by_us


async def test_two_colleagues_talk(phones: PhoneRoom) -> None:
    """An internal call shows the colleague's extension and name."""
    anna, boris = await phones.handsets("101", "102")
    _, incoming = await talking(anna, "102", boris)
    assert (incoming.other_number, incoming.other_name) == ("101", "Anna Belova")


async def test_a_wrong_password_does_not_register(asterisk: PrivateAsterisk) -> None:
    """A handset with the wrong password is told so, instead of being silently unreachable."""
    with pytest.raises(PeerMistake, match="refused to register 101"):
        async with Phone("101", asterisk.sip_address, password="wrong"):
            pass


async def test_the_caller_gives_up(phones: PhoneRoom) -> None:
    """They hang up while it rings: the handset stops ringing, nobody was answered."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    outgoing = await carrier.dial("74951000001", caller=CUSTOMER)
    incoming = await anna.incoming()
    await outgoing.ringing()
    await outgoing.hang_up()
    assert await incoming.ended() == 487
    assert outgoing.answered_at is None
    assert not incoming.answered_elsewhere


@pytest.mark.parametrize(("carrier_says", "handset_hears"), [(486, 486), (404, 404), (503, 503)])
async def test_outbound_refusals_reach_the_handset(
    phones: PhoneRoom, carrier_says: int, handset_hears: int
) -> None:
    """Busy stays busy, no such number stays no such number, no line stays no line."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    carrier.policy = refuses(carrier_says)
    outgoing = await anna.dial("89161234567")
    assert await outgoing.ended() == handset_hears


async def test_outbound_shows_the_company_number(phones: PhoneRoom) -> None:
    """Calling out, the customer sees the company's number and the carrier gets the number in E.164."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    outgoing, at_customer = await talking(anna, "89161234567", carrier)
    assert (at_customer.other_number, at_customer.dialled) == ("74951000001", "+79161234567")
    assert outgoing.state is CallState.UP


async def test_a_withheld_number_is_not_shown(phones: PhoneRoom) -> None:
    """The carrier tells the real number with Privacy: the handset must not show it."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    await carrier.dial_withheld("74951000001", real=CUSTOMER)
    incoming = await anna.incoming()
    assert CUSTOMER not in incoming.remote


async def test_hold_and_resume(phones: PhoneRoom) -> None:
    """On hold the customer no longer hears Anna; resumed they do."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await outside.hears(TONES["101"])
    await inside.hold()
    outside.audio.forget_heard()
    await asyncio.sleep(0.6)  # half a second of audio is what `hears` judges by
    assert not outside.audio.hears(TONES["101"])
    await inside.resume()
    await outside.hears(TONES["101"])


async def test_blind_transfer_by_handset(phones: PhoneRoom) -> None:
    """Anna sends the customer to Boris without asking; she is out, they talk."""
    anna, boris = await phones.handsets("101", "102")
    carrier = await phones.carrier()
    give_voice(boris)
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.transfer("102")
    at_boris = await boris.incoming()
    await at_boris.answer()
    assert await inside.transferred() == 200
    await inside.ended()
    await outside.hears(TONES["102"])
    await at_boris.hears(TONES["carrier"])


async def test_blind_transfer_to_nowhere(phones: PhoneRoom) -> None:
    """There is no such extension: the handset is told, and the customer is still there."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.transfer("199")
    assert await inside.transferred() == 404
    assert (inside.state, outside.state) == (CallState.UP, CallState.UP)


async def test_attended_transfer_by_handset(phones: PhoneRoom) -> None:
    """Anna asks Boris first, then connects the two."""
    anna, boris = await phones.handsets("101", "102")
    carrier = await phones.carrier()
    give_voice(boris)
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.hold()
    asking, at_boris = await talking(anna, "102", boris)
    await at_boris.hears(TONES["101"])
    await inside.transfer_to(asking)
    assert await inside.transferred() == 200
    await inside.ended()
    await asking.ended()
    await outside.hears(TONES["102"])
    await at_boris.hears(TONES["carrier"])


async def test_blonde_transfer_by_handset(phones: PhoneRoom) -> None:
    """Anna lets go while Boris still rings; they pick up and have the customer."""
    anna, boris = await phones.handsets("101", "102")
    carrier = await phones.carrier()
    give_voice(boris)
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.hold()
    asking = await anna.dial("102")
    at_boris = await boris.incoming()
    await asking.ringing()
    await inside.transfer_to(asking)
    await inside.ended()
    assert at_boris.state is CallState.RINGING
    await at_boris.answer()
    await outside.hears(TONES["102"])


async def test_blind_transfer_by_keys(phones: PhoneRoom) -> None:
    """##102 on an old handset does the same as the transfer key."""
    anna, boris = await phones.handsets("101", "102")
    carrier = await phones.carrier()
    give_voice(boris)
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.press("##102")
    await (await boris.incoming()).answer()
    await inside.ended()
    await outside.hears(TONES["102"])


async def test_attended_transfer_by_keys(phones: PhoneRoom) -> None:
    """*2 102, a word with Boris, then Anna hangs up: the customer talks to Boris."""
    anna, boris = await phones.handsets("101", "102")
    carrier = await phones.carrier()
    give_voice(boris)
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.press("*2102")
    at_boris = await boris.incoming()
    await at_boris.answer()
    await at_boris.hears(TONES["101"])
    await inside.hang_up()
    await outside.hears(TONES["102"])


async def test_call_forwarding_in_the_handset(phones: PhoneRoom) -> None:
    """Anna's phone sends callers on to Vera (302)."""
    anna, vera = await phones.handsets("101", "103")
    carrier = await phones.carrier()
    anna.policy = forwards("103")
    outside = await carrier.dial("74951000001", caller=CUSTOMER)
    await (await vera.incoming()).answer()
    await outside.answered()


async def test_ring_group_stops_ringing_when_one_answers(phones: PhoneRoom) -> None:
    """Three phones ring; Boris takes it; the others know that it was answered elsewhere."""
    anna, boris, vera = await phones.handsets("101", "102", "103")
    carrier = await phones.carrier()
    outside = await carrier.dial("74951000002", caller=CUSTOMER)
    ringing = [await phone.incoming() for phone in (anna, boris, vera)]
    await ringing[1].answer()
    await outside.answered()
    await ringing[0].ended()
    await ringing[2].ended()
    assert ringing[0].answered_elsewhere
    assert ringing[2].answered_elsewhere


async def test_queue_waits_for_somebody(phones: PhoneRoom) -> None:
    """The sales queue answers at once and rings everybody; the customer hears who takes it."""
    anna, boris = await phones.handsets("101", "102")
    carrier = await phones.carrier()
    give_voice(boris, carrier)
    outside = await carrier.dial("74951000003", caller=CUSTOMER)
    await outside.answered()
    await anna.incoming()
    await (await boris.incoming()).answer()
    await outside.hears(TONES["102"])


async def test_linear_queue_goes_on_to_the_next(phones: PhoneRoom) -> None:
    """Dina does not pick up within three seconds; Egor is rung and does."""
    dina, egor = await phones.handsets("105", "106")
    egor.policy = answers()
    carrier = await phones.carrier()
    await carrier.dial("74951000004", caller=CUSTOMER)
    missed = await dina.incoming()
    await (await egor.incoming()).answered()
    await missed.ended()
    assert missed.answered_at is None


async def test_parked_and_taken_back_by_somebody_else(phones: PhoneRoom) -> None:
    """Anna parks the customer with *7; Vera dials the place and has them."""
    anna, vera = await phones.handsets("101", "103")
    carrier = await phones.carrier()
    give_voice(vera)
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.press("*7")
    taking = await retrieve(vera, "701")
    await outside.hears(TONES["103"])
    await taking.hears(TONES["carrier"])


async def retrieve(phone: Phone, place: str) -> Call:
    """Dial a parking place until the call has arrived there: the PBX needs a moment, and tells phones nothing."""
    async with asyncio.timeout(8):
        while True:
            call = await phone.dial(place)
            try:
                await call.answered()
            except PeerMistake:
                continue
            return call


async def test_a_colleague_picks_up_a_ringing_call(phones: PhoneRoom) -> None:
    """Vera dials *8101 while Anna's phone rings, and has the customer."""
    anna, vera = await phones.handsets("101", "103")
    carrier = await phones.carrier()
    give_voice(vera, carrier)
    outside = await carrier.dial("74951000001", caller=CUSTOMER)
    rang = await anna.incoming()
    taking = await vera.dial("*8101")
    await taking.answered()
    await outside.hears(TONES["103"])
    assert await rang.ended() == 487


async def test_the_menu_listens_to_keys(phones: PhoneRoom) -> None:
    """Pressing 1 in the menu rings Anna."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    outside = await carrier.dial("74951000006", caller=CUSTOMER)
    await outside.answered()
    await outside.press("1")
    incoming = await anna.incoming()
    assert incoming.other_number == CUSTOMER


async def test_follow_me_reaches_the_mobile_phone(asterisk: PrivateAsterisk, phones: PhoneRoom) -> None:
    """Galina is not at her desk; after some seconds her mobile phone rings and answers."""
    galina, carrier = await phones.handset("107"), await phones.carrier()
    carrier.policy = answers()
    outside = await carrier.dial("74951000009", caller=CUSTOMER)
    at_desk = await galina.incoming()
    if asterisk.install.major < 18:
        return  # 16.28 keeps ringing the desk beyond its 3 s and was not seen to go on within 15 s
    mobile = await carrier.incoming(15)
    await mobile.answered()
    await at_desk.ended()
    assert at_desk.answered_at is None
    assert mobile.dialled == "+79165550107"
    assert outside.state is CallState.UP


async def test_a_conference(phones: PhoneRoom) -> None:
    """Two dial the conference room and hear each other."""
    anna, boris = await phones.handsets("101", "102")
    give_voice(anna, boris)
    first, second = await anna.dial("800"), await boris.dial("800")
    await first.answered()
    await second.answered()
    await first.hears(TONES["102"])
    await second.hears(TONES["101"])


async def test_a_forged_number_reaches_no_handset(phones: PhoneRoom) -> None:
    """A line break smuggled into the caller's number is cut away by the dialplan before anything rings."""
    anna, carrier = await phones.handset("101"), await phones.carrier()
    await carrier.dial("74951000001", caller="%2B7916%0D%0AEvent:%20Hangup")
    incoming = await anna.incoming()
    assert incoming.other_number.replace("+", "").isdigit()

"""An office that plays for hours: the hundredth call rings as the first did, and nothing of ended calls is kept for ever."""

from __future__ import annotations

import asyncio
import os
from typing import cast

import pytest

from switchhook.lab import phones
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.call_progress import CallState
from switchhook.lab.office import BRISK, SimulatedOffice
from switchhook.lab.phone_call import Call
from switchhook.lab.phones import CALLS_KEPT, INCOMING_LIMIT, Phone, refuses
from switchhook.lab.scenarios import SCENARIOS
from telephony.errors import TryLater

LONG = os.environ.get("SWITCHHOOK_LONG") == "1"
"""The real limits, and as many calls as the demo's office has in five hours: some twenty minutes."""
CALLS = CALLS_KEPT + INCOMING_LIMIT
OFFICE_CALLS = 3300 if LONG else 40
RINGS_ANNA = {one.name for one in SCENARIOS if "101" in one.needs} | {"ring_group", "sales_queue"}
DISCARD = ("127.0.0.1", 9)


def invite(number: int, method: str = "INVITE") -> bytes:
    """The call from outside with this number."""
    return "\r\n".join(
        (
            f"{method} sip:101@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{number}",
            f"From: <sip:+7916555{number:04}@127.0.0.1>;tag=t{number}",
            "To: <sip:101@127.0.0.1>",
            f"Call-ID: call-{number}",
            f"CSeq: 1 {method}",
            "Contact: <sip:pbx@127.0.0.1:9>",
            "Content-Length: 0",
            "",
            "",
        )
    ).encode()


async def test_a_phone_nobody_asks_for_its_calls_goes_on_ringing() -> None:
    """A policy takes every call and nobody waits for one with `incoming`: the three hundredth call meets it too."""
    met = 0

    async def policy(call: Call) -> None:
        nonlocal met
        met += 1
        await refuses(486)(call)

    phone = Phone("101", DISCARD)
    phone.policy = policy
    async with phone:
        for number in range(CALLS):
            phone.datagram_received(invite(number), DISCARD)
            while met <= number:
                await asyncio.sleep(0)
            phone.datagram_received(invite(number, "ACK"), DISCARD)
        assert met == CALLS
        assert len(phone.calls) == len(phone._by_id) == CALLS_KEPT
        waiting = [await phone.incoming() for _ in range(INCOMING_LIMIT)]
        assert waiting == phone.calls[-INCOMING_LIMIT:]
        with pytest.raises(TryLater):
            await phone.incoming(timeout=0.01)


class RegisteringPhone(Phone):
    """Counts its registrations; the PBX refuses the second."""

    registrations = 0

    async def register(self, *, expires: int = 3600) -> None:
        self.registrations += 1
        if self.registrations == 2:
            raise TryLater("The PBX is starting.")


async def test_a_handset_registers_again_before_its_time_is_over() -> None:
    """Again and again, also after the PBX did not answer once."""
    phone = RegisteringPhone("101", DISCARD)
    staying = asyncio.create_task(phone._stay_registered(0.001))
    async with asyncio.timeout(10):
        while phone.registrations < 4:
            await asyncio.sleep(0.001)
    staying.cancel()
    await asyncio.wait([staying])


async def test_a_transfer_that_comes_before_both_sides_are_joined_is_pressed_again() -> None:
    """Asterisk takes a transfer only once it has joined both sides, some milliseconds after the answer: 400 until then."""
    phone = Phone("101", DISCARD)
    call = Call(phone, outgoing=False, call_id="one", local="<sip:101@x>", remote="<sip:1@x>")
    pressed: list[str] = []

    async def refer(refer_to: str) -> None:
        pressed.append(refer_to)

    call._refer = refer  # type: ignore[method-assign]
    call._refer_to = "<sip:102@x>"
    async with phone:
        call._move(CallState.UP, 200)
        call._on_transfer_progress(400)
        async with asyncio.timeout(10):
            while not pressed:
                await asyncio.sleep(0.01)
        call._on_transfer_progress(404)
        assert (pressed, call.transfer_codes) == (["<sip:102@x>"], [404])
        call._end(200)


class EmptyPbx:
    """Only what an office asks for before it opens."""

    sip_address = DISCARD

    class ports:  # noqa: N801 - an attribute of that name
        carrier = 0


async def test_a_call_nobody_took_is_not_the_next_one() -> None:
    """An old call that rang in vain does not stand in for the one that rings now."""
    office = SimulatedOffice(cast(PrivateAsterisk, EmptyPbx()), audible=False)
    phone = office.phones["101"] = Phone("101", DISCARD)
    office._prepare(phone, [])
    scene = office._scene(SCENARIOS[0], {"101", "102", "103"})
    calls = []
    async with phone:
        for number in range(12):
            call = Call(phone, outgoing=False, call_id=str(number), local="<sip:101@x>", remote="<sip:102@x>")
            call._reply_to_invite = lambda *_: None  # type: ignore[method-assign]
            await phone.policy(call)
            calls.append(call)
        for call in calls[:-1]:
            call._end(487)
        assert await scene.rings_at("101", "102") is calls[-1]
        calls[-1]._end(487)


@pytest.mark.asterisk
@pytest.mark.timeout(3 * 3600 if LONG else 300)
async def test_an_office_plays_for_hours_and_answers_every_call(
    asterisk: PrivateAsterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times as fast as in the demo, and what fills up in hours fills up in seconds: the lists of calls hold a tenth,
    registrations are renewed every few seconds. Every call ends as its people meant it to: who should be talked with is.
    """
    if not LONG:
        monkeypatch.setattr(phones, "INCOMING_LIMIT", 4)
        monkeypatch.setattr(phones, "CALLS_KEPT", 8)
        monkeypatch.setattr(phones, "REFRESH_SHARE", 5 / phones.REGISTERED_SECONDS)
    async with SimulatedOffice(asterisk, seed=11, pace=BRISK, audible=False, customers=40) as office:
        await office.run(calls=OFFICE_CALLS)
        assert office.problems == []
        assert len(office.truth) == OFFICE_CALLS
        silent = [
            call for call in office.truth if (call.talk_seconds > 0) != (call.disposition == "answered")
        ]
        assert silent == []
        assert sum(call.scenario in RINGS_ANNA for call in office.truth) > phones.INCOMING_LIMIT
        most = phones.CALLS_KEPT + 4  # those that have not ended
        assert [p.number for p in office.phones.values() if len(p.calls) > most] == []
    assert "0 active channels" in await asterisk.cli("core show channels count")


async def test_a_customer_whom_nobody_answered_is_called_back() -> None:
    """In an office whose customers call again: the longest owed first, and nobody who is in a call just now."""
    office = SimulatedOffice(cast(PrivateAsterisk, EmptyPbx()), audible=False, customers=3)
    by_name = {scenario.name: scenario for scenario in SCENARIOS}
    phones_free = {"101", "102", "103"}
    first = office._scene(by_name["missed"], phones_free)
    second = office._scene(by_name["gave_up"], phones_free)
    office._note_debt(first.inbound("missed", None, "1"), first.customer)  # type: ignore[arg-type]
    office._note_debt(second.inbound("missed", None, "1"), second.customer)  # type: ignore[arg-type]
    office._calling.clear()
    back = office._scene(by_name["outbound"], phones_free)
    assert back.customer == first.customer
    assert office._scene(by_name["outbound"], phones_free).customer == second.customer
    office._note_debt(first.inbound("answered", None, "1"), first.customer)  # type: ignore[arg-type]
    assert list(office._owed) == [second.customer]

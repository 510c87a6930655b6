"""The simulated office: ten handsets and customers outside, who place real SIP calls at a believable pace.

    async with SimulatedOffice(asterisk, seed=1) as office:
        await office.run(calls=20)
    print(office.truth)

The seed gives the people their habits; the machine's own timing decides the rest. What truly happened is in `truth`,
taken from the phones, so that a test can hold the journal against it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.call_progress import CallState
from switchhook.lab.phone_call import Call
from switchhook.lab.phone_media import Frames, spoken
from switchhook.lab.phones import Carrier, Phone
from switchhook.lab.scenarios import MANAGER, SCENARIOS, CallTruth, Scenario, TransferTruth
from switchhook.lab.staff import STAFF
from telephony.errors import OurMistake, SwitchhookError

log = structlog.get_logger(__name__)

MANAGER_SHARE = 0.6  # of the calls begun while the demo's manager is free: her card is looked at
OWED_MOST = 4  # so many callers who got nobody, and the next call is one back to them
TRIES_AGAIN = 0.3  # of the calls from outside while somebody is owed one: they were quicker than the office
LIVE_LIMIT = 4  # calls at once: an office of ten in which somebody is still free to take the next
SCENE_SECONDS = 120  # the longest takes about 90 s; a stuck one must not hold people for ever
ARRIVE_SECONDS = 8  # from dialling to ringing; a queue of one phone after the other takes some seconds

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds, each drawn evenly between two values."""

    between_calls: Span = (4.0, 8.0)
    ringing: Span = (1.5, 4.5)
    talking: Span = (6.0, 18.0)


BELIEVABLE = Pace()
BRISK = Pace(between_calls=(0.1, 0.3), ringing=(0.2, 0.5), talking=(0.4, 1.0))
"""For tests: the same calls, hurried."""


def customer_number(place: int) -> str:
    """The so-manieth customer's number. 555 in the middle: the numbers of films, here in a mobile range."""
    return f"+7916555{place:04}"


class SimulatedOffice:
    """Ten handsets, a carrier, and people who use them."""

    def __init__(
        self,
        asterisk: PrivateAsterisk,
        *,
        seed: int = 1,
        pace: Pace = BELIEVABLE,
        audible: bool = True,
        customers: int | None = None,
    ) -> None:
        """`audible`: everybody speaks with Asterisk's own prompts; otherwise the calls are silent and cheaper.
        `customers`: so many numbers call again and again, and whoever got nobody is called back; None: every call is
        with a number of its own.
        """
        self.truth: list[CallTruth] = []
        """Every call that ended as intended, in the order of their ends."""
        self.problems: list[str] = []
        """Calls that did not go as intended, in a sentence each; empty when all is well."""
        self.phones: dict[str, Phone] = {}
        self.prompts: tuple[Path, ...] = ()
        """What they speak, once the office is open; none where it is silent."""
        self.carrier = Carrier(asterisk)
        self.pace = pace
        self._asterisk = asterisk
        self._random = random.Random(seed)  # noqa: S311 - people's habits, not secrets
        self._audible = audible
        self._occupied: set[str] = set()
        self._playing: list[str] = []
        self._arrivals: dict[tuple[str, str], asyncio.Queue[Call]] = {}
        self._customers = customers
        self._next_customer = 0
        self._calling: set[str] = set()
        self._owed: dict[str, None] = {}
        """Customers who got nobody, the longest first."""
        self._room = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as room:
            prompts = await spoken_prompts(self._asterisk) if self._audible else []
            self.prompts = tuple(prompts)
            for extension in STAFF:
                phone = Phone.handset(extension, self._asterisk)
                self._prepare(phone, prompts)
                self.phones[extension] = await room.enter_async_context(phone)
            self._prepare(self.carrier, prompts)
            await room.enter_async_context(self.carrier)
            self._room = room.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._room.aclose()

    async def run(self, *, calls: int | None = None) -> None:
        """Play so many calls and return when the last has ended; without a number, play until cancelled."""
        started = 0
        live: set[asyncio.Task[None]] = set()
        try:
            while calls is None or started < calls:
                scene = self._next_scene() if len(live) < LIVE_LIMIT else None
                if scene is not None:
                    live.add(asyncio.create_task(self._play(scene)))
                    started += 1
                # Nobody talks at all: the next call comes soon.
                pause = self._draw(self.pace.between_calls) if live else min(self.pace.between_calls)
                if live:
                    _, live = await asyncio.wait(live, timeout=pause)
                else:
                    await asyncio.sleep(pause)
            if live:
                await asyncio.wait(live)
        finally:
            for task in live:
                task.cancel()
            await asyncio.gather(*live, return_exceptions=True)

    async def play_once(self, name: str) -> CallTruth:
        """Play the scenario of that name now and return what happened. Raises OurMistake when it went otherwise."""
        scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
        before = len(self.problems)
        await self._play(self._scene(scenario, set(STAFF) - self._occupied))
        if len(self.problems) > before:
            raise OurMistake(self.problems[-1])
        return self.truth[-1]

    def arrivals(self, phone: str, number: str) -> asyncio.Queue[Call]:
        """Calls that ring at a phone from a number (at the carrier: for a number)."""
        return self._arrivals.setdefault((phone, number), asyncio.Queue(maxsize=8))

    def occupy(self, scene: Scene, extension: str) -> bool:
        """Let one more person take part; False when they are in another scene."""
        if extension in self._occupied:
            return False
        self._occupied.add(extension)
        scene.people.add(extension)
        return True

    def draw(self, span: Span) -> float:
        """A duration in the span."""
        return self._draw(span)

    def one_of(self, *choices: Call) -> Call:
        """One of them, as the seed has it."""
        return self._random.choice(choices)

    def _draw(self, span: Span) -> float:
        return self._random.uniform(*span)

    def _prepare(self, phone: Phone, prompts: list[Path]) -> None:
        async def policy(call: Call) -> None:
            if phone is not self.carrier and any(other.state is CallState.UP for other in phone.calls):
                call.refuse(486)  # they are talking
                return
            call.ring()
            number = call.dialled if phone is self.carrier else call.other_number
            waiting = self.arrivals(phone.number, number)
            if waiting.full():  # nobody asked for it, and it has long ended
                waiting.get_nowait()
            waiting.put_nowait(call)

        phone.policy = policy
        if prompts:
            first = self._random.randrange(len(prompts))
            order = prompts[first:] + prompts[:first]

            def voice() -> Frames:
                return spoken(*order)

            phone.voice = voice

    def _next_scene(self) -> Scene | None:
        free = set(STAFF) - self._occupied
        possible = [
            scenario
            for scenario in SCENARIOS
            if _can_play(scenario, free) and not (scenario.alone and scenario.name in self._playing)
        ]
        with_manager = [scenario for scenario in possible if MANAGER in scenario.needs]
        if with_manager and self._random.random() < MANAGER_SHARE:
            possible = with_manager
        calls_back = [scenario for scenario in possible if scenario.name == "outbound"]
        if len(self._owed) > OWED_MOST and calls_back:
            possible = calls_back
        if not possible:
            return None
        return self._scene(
            self._random.choices(possible, [scenario.weight for scenario in possible])[0], free
        )

    def _scene(self, scenario: Scenario, free: set[str]) -> Scene:
        people = set(scenario.needs)
        person = colleague = ""
        if scenario.any_of:
            person = self._random.choice(sorted(scenario.any_of & free))
            people.add(person)
        if scenario.others:
            colleague = self._random.choice(sorted(free - people))
            people.add(colleague)
        self._occupied |= people
        customer = self._customer_for(scenario)
        self._calling.add(customer)
        return Scene(self, scenario, frozenset(people), customer, person, colleague)

    def _customer_for(self, scenario: Scenario) -> str:
        """Somebody who is in no other call now: who is owed one, else the next, else any of those who call again."""
        owed = next((number for number in self._owed if number not in self._calling), None)
        if owed and (scenario.name.startswith("outbound") or self._random.random() < TRIES_AGAIN):
            return owed
        self._next_customer += 1
        if self._customers is None:
            return customer_number(self._next_customer % 10_000)
        free = [
            number
            for place in range(1, self._customers + 1)
            if (number := customer_number(place)) not in self._calling
        ]
        return self._random.choice(free)

    def _note_debt(self, call: CallTruth, customer: str) -> None:
        """Whether a call is owed to them now; only an office whose customers call again pays."""
        if self._customers is None or call.direction == "internal" or call.caller is None:
            return
        if call.disposition == "answered":
            self._owed.pop(customer, None)
        elif call.direction == "inbound" or customer in self._owed:
            self._owed.pop(customer, None)  # tried in vain: the others come first
            self._owed[customer] = None

    async def _play(self, scene: Scene) -> None:
        name = scene.scenario.name
        self._playing.append(name)
        try:
            async with asyncio.timeout(SCENE_SECONDS):
                self.truth.append(call := await scene.scenario.play(scene))
                self._note_debt(call, scene.customer)
        except (SwitchhookError, TimeoutError) as fault:
            self.problems.append(f"{name}: {fault}")
            log.warning("a simulated call went otherwise", scenario=name, problem=str(fault))
        finally:
            await scene.everybody_hangs_up()
            self._playing.remove(name)
            self._occupied -= scene.people
            self._calling.discard(scene.customer)
            for key in [key for key in self._arrivals if key[1] == scene.customer]:
                del self._arrivals[key]  # what nobody took has long ended


def _can_play(scenario: Scenario, free: set[str]) -> bool:
    left = free - scenario.needs
    if not scenario.needs <= free or (scenario.any_of and not scenario.any_of & left):
        return False
    return len(left) >= scenario.others + bool(scenario.any_of)


class Scene:
    """One call being played: who plays, and what they can do."""

    def __init__(
        self,
        office: SimulatedOffice,
        scenario: Scenario,
        people: frozenset[str],
        customer: str,
        person: str,
        colleague: str,
    ) -> None:
        self.scenario = scenario
        self.people = set(people)
        self.customer = customer
        """The outside party's number, used by no other call."""
        self.person = person
        self.colleague = colleague
        self.carrier = office.carrier
        self._office = office
        self._started_at = self.now()
        self._calls: list[Call] = []

    @staticmethod
    def now() -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    async def talk(self) -> None:
        """Let them talk."""
        await asyncio.sleep(self._office.draw(self._office.pace.talking))

    async def ring_time(self) -> None:
        """Let it ring, or somebody wait."""
        await asyncio.sleep(self._office.draw(self._office.pace.ringing))

    async def customer_dials(self, did: str) -> Call:
        """The customer calls one of the office's numbers."""
        return self._mine(await self.carrier.dial(did, caller=self.customer))

    async def customer_reaches(self, did: str, extension: str) -> tuple[Call, Call]:
        """The customer calls, and that extension takes it: their end and ours."""
        outside = await self.customer_dials(did)
        inside = await self.taken_by(extension, self.customer)
        await outside.answered()
        return outside, inside

    async def customer_reaches_one_of(self, did: str, extensions: Sequence[str]) -> tuple[Call, Call]:
        """The customer calls a queue: the scene's person takes it, or, where the queue rang while that phone was not
        free, whoever else is free and rung.
        """
        outside = await self.customer_dials(did)
        ringing = {one: asyncio.create_task(self.rings_at(one, self.customer)) for one in extensions}
        try:
            inside = await self._first_free(ringing)
        finally:
            for task in ringing.values():
                task.cancel()
            await asyncio.gather(*ringing.values(), return_exceptions=True)
        await self.ring_time()
        await inside.answer()
        await outside.answered()
        return outside, inside

    async def _first_free(self, ringing: Mapping[str, asyncio.Task[Call]]) -> Call:
        waiting = set(ringing.values())
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            rung = [one for one, task in ringing.items() if task.done() and task.exception() is None]
            for one in sorted(rung, key=lambda extension: extension != self.person):
                if one == self.person or self._office.occupy(self, one):
                    return ringing[one].result()
        raise TimeoutError(f"nobody who is free was rung for {self.customer}")

    async def staff_dials_customer(self) -> Call:
        """The person calls the customer."""
        return self._mine(await self._office.phones[self.person].dial(self.customer.replace("+7", "8")))

    async def colleagues_talk(self, caller: str, callee: str) -> tuple[Call, Call]:
        """One extension calls another, which answers."""
        dialling = self._mine(await self._office.phones[caller].dial(callee))
        answering = await self.taken_by(callee, caller)
        await dialling.answered()
        return dialling, answering

    async def rings_at(self, extension: str, number: str) -> Call:
        """The call that rings at an extension from that number."""
        return await self.arrives(self._office.phones[extension], number)

    async def taken_by(self, extension: str, number: str) -> Call:
        """That call, picked up after some ringing."""
        call = await self.rings_at(extension, number)
        await self.ring_time()
        await call.answer()
        return call

    async def arrives(self, phone: Phone, number: str) -> Call:
        """The call that arrives at a phone from (at the carrier: for) that number."""
        async with asyncio.timeout(ARRIVE_SECONDS):
            waiting = self._office.arrivals(phone.number, number)
            while (call := await waiting.get()).state is CallState.ENDED:
                continue  # of an earlier scene, in which nobody took it
            return self._mine(call)

    async def either_hangs_up(self, one: Call, other: Call) -> None:
        """One of the two hangs up, by chance."""
        first = self._office.one_of(one, other)
        await first.hang_up()
        await (other if first is one else one).ended()

    async def everybody_hangs_up(self) -> None:
        """Nothing of the scene stays."""
        for call in self._calls:
            try:
                await call.hang_up()
            except SwitchhookError as fault:
                log.debug("hanging up was not answered", problem=str(fault))

    def inbound(
        self,
        disposition: str,
        outside: Call,
        did: str,
        inside: Call | None = None,
        *,
        withheld: bool = False,
        hold_seconds: float = 0.0,
        moved: tuple[str, str] | None = None,
    ) -> CallTruth:
        """The truth of a call from outside, answered at `inside`, perhaps handed over (kind, to whom)."""
        answered_by = inside.phone.number if inside else None
        return CallTruth(
            scenario=self.scenario.name,
            direction="inbound",
            disposition=disposition,
            started_at=self._started_at,
            caller=None if withheld else self.customer,
            did=did,
            answered_by=answered_by,
            final_party=moved[1] if moved else answered_by,
            talk_seconds=_seconds(inside, outside),
            hold_seconds=hold_seconds,
            transfers=(TransferTruth(moved[0], answered_by or "", moved[1]),) if moved else (),
        )

    def outbound(self, disposition: str, inside: Call, outside: Call | None = None) -> CallTruth:
        """The truth of a call to the customer."""
        return CallTruth(
            scenario=self.scenario.name,
            direction="outbound",
            disposition=disposition,
            started_at=self._started_at,
            caller=inside.phone.number,
            dialled=self.customer,
            answered_by=self.customer if outside else None,
            final_party=self.customer if outside else None,
            talk_seconds=_seconds(outside, inside),
        )

    def internal(self, disposition: str, dialling: Call, answering: Call) -> CallTruth:
        """The truth of a call between colleagues."""
        return CallTruth(
            scenario=self.scenario.name,
            direction="internal",
            disposition=disposition,
            started_at=self._started_at,
            caller=dialling.phone.number,
            dialled=answering.phone.number,
            answered_by=answering.phone.number,
            final_party=answering.phone.number,
            talk_seconds=_seconds(answering, dialling),
        )

    def _mine(self, call: Call) -> Call:
        self._calls.append(call)
        return call


def _seconds(answering: Call | None, whole: Call) -> float:
    """From the first human's answer to the end of the call that lasted."""
    if answering is None or answering.answered_at is None or whole.ended_at is None:
        return 0.0
    return (whole.ended_at - answering.answered_at).total_seconds()


PROMPTS = ("demo-congrats", "demo-instruct", "vm-intro", "demo-moreinfo", "basic-pbx-ivr-main", "tt-weasels")
"""Spoken texts of Asterisk's core sounds; those that are not there are left out."""


async def spoken_prompts(asterisk: PrivateAsterisk, names: Iterable[str] = PROMPTS) -> list[Path]:
    """The prompts as A-law files in the Asterisk's state directory, converted by Asterisk itself."""
    voices = asterisk.state / "voices"
    voices.mkdir(exist_ok=True)
    ready: list[Path] = []
    for name in names:
        source = next(iter(sorted((asterisk.install.data / "sounds" / "en").glob(f"{name}.*"))), None)
        target = voices / f"{name}.alaw"
        if source and not target.exists():
            await asterisk.cli(f"file convert {source} {target}")
        if target.exists() and target.stat().st_size:
            ready.append(target)
    return ready


async def run_office(
    asterisk: PrivateAsterisk, *, calls: int | None = None, seed: int = 1, pace: Pace = BELIEVABLE
) -> list[CallTruth]:
    """Open the office, play so many calls (None: until cancelled), close it, and tell what happened."""
    async with SimulatedOffice(asterisk, seed=seed, pace=pace) as office:
        await office.run(calls=calls)
        return office.truth


def told_by_scenario(truth: Iterable[CallTruth]) -> Mapping[str, int]:
    """How many calls of each scenario there were."""
    counts: dict[str, int] = {}
    for call in truth:
        counts[call.scenario] = counts.get(call.scenario, 0) + 1
    return counts

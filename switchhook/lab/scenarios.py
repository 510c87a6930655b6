"""What happens in an office: each function is one call from beginning to end, played by the people's phones.

A scenario gets the desk it plays at, does what people do, and returns what truly happened, as the phones saw it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchhook.lab.office import Scene


@dataclass(frozen=True, slots=True)
class TransferTruth:
    """One hand-over: blind, attended or blonde, by whom, to whom."""

    kind: str
    by: str
    to: str


@dataclass(frozen=True, slots=True)
class CallTruth:
    """What the people did in one call, by their phones' clocks. Words as in the call facts."""

    scenario: str
    direction: str
    disposition: str
    started_at: datetime
    caller: str | None
    """The outside number, or the extension that dialled; None when withheld."""
    did: str | None = None
    dialled: str | None = None
    answered_by: str | None = None
    final_party: str | None = None
    talk_seconds: float = 0.0
    """From the first human's answer to the end, as the outside party (or the dialling extension) has it."""
    hold_seconds: float = 0.0
    transfers: tuple[TransferTruth, ...] = ()


MANAGER = "101"  # whose card the demo shows: Anna Belova
DIRECT, GROUP, SALES, SUPPORT, SHORT, MENU, VOICE_MAIL = (
    f"7495100000{digit}" for digit in (1, 2, 3, 4, 5, 6, 8)
)

Play = Callable[["Scene"], Awaitable[CallTruth]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`weight`: how often, relative to the others. `needs`: who must be free. `others`: how many more people."""

    name: str
    play: Play
    weight: int
    needs: frozenset[str] = frozenset({MANAGER})
    any_of: frozenset[str] = frozenset()
    """One of these takes part too, if not empty."""
    others: int = 0
    alone: bool = False
    """Not while another of its kind is played: two queue calls may each ring only the other's person."""


async def answered(scene: Scene) -> CallTruth:
    """A customer calls Anna, they talk."""
    outside, inside = await scene.customer_reaches(DIRECT, MANAGER)
    await scene.talk()
    await scene.either_hangs_up(outside, inside)
    return scene.inbound("answered", outside, DIRECT, inside)


async def withheld(scene: Scene) -> CallTruth:
    """A customer who withholds their number calls Anna."""
    outside = await scene.carrier.dial_withheld(DIRECT, real=scene.customer)
    inside = await scene.taken_by(MANAGER, "anonymous")
    await outside.answered()
    await scene.talk()
    await scene.either_hangs_up(outside, inside)
    return scene.inbound("answered", outside, DIRECT, inside, withheld=True)


async def with_hold(scene: Scene) -> CallTruth:
    """Anna has to look something up and puts the customer on hold."""
    outside, inside = await scene.customer_reaches(DIRECT, MANAGER)
    await scene.talk()
    held_from = scene.now()
    await inside.hold()
    await scene.ring_time()
    await inside.resume()
    held = (scene.now() - held_from).total_seconds()
    await scene.talk()
    await scene.either_hangs_up(outside, inside)
    return scene.inbound("answered", outside, DIRECT, inside, hold_seconds=held)


async def ring_group(scene: Scene) -> CallTruth:
    """Six phones ring, one person takes it."""
    outside, inside = await scene.customer_reaches(GROUP, scene.person)
    await scene.talk()
    await scene.either_hangs_up(outside, inside)
    return scene.inbound("answered", outside, GROUP, inside)


async def sales_queue(scene: Scene) -> CallTruth:
    """A customer waits in the sales queue until somebody takes them."""
    outside, inside = await scene.customer_reaches_one_of(SALES, sorted(_SALES))
    await scene.talk()
    await scene.either_hangs_up(outside, inside)
    return scene.inbound("answered", outside, SALES, inside)


async def queue_abandoned(scene: Scene) -> CallTruth:
    """A customer loses patience in the support queue, where nobody picks up."""
    outside = await scene.customer_dials(SUPPORT)
    await outside.answered()
    await scene.ring_time()
    await outside.hang_up()
    return scene.inbound("abandoned", outside, SUPPORT)


async def menu_abandoned(scene: Scene) -> CallTruth:
    """A customer hangs up in the voice menu."""
    outside = await scene.customer_dials(MENU)
    await outside.answered()
    await scene.ring_time()
    await outside.hang_up()
    return scene.inbound("abandoned", outside, MENU)


async def missed(scene: Scene) -> CallTruth:
    """Anna's phone rings six seconds and nobody takes it."""
    outside = await scene.customer_dials(SHORT)
    await scene.rings_at(MANAGER, scene.customer)
    await outside.ended(12)
    return scene.inbound("missed", outside, SHORT)


async def gave_up(scene: Scene) -> CallTruth:
    """A customer hangs up while Anna's phone rings."""
    outside = await scene.customer_dials(DIRECT)
    await scene.rings_at(MANAGER, scene.customer)
    await outside.ringing()
    await scene.ring_time()
    await outside.hang_up()
    return scene.inbound("missed", outside, DIRECT)


async def busy(scene: Scene) -> CallTruth:
    """Anna's phone says busy."""
    outside = await scene.customer_dials(DIRECT)
    inside = await scene.rings_at(MANAGER, scene.customer)
    inside.refuse(486)
    await outside.ended()
    return scene.inbound("busy", outside, DIRECT)


async def voice_mail(scene: Scene) -> CallTruth:
    """A customer leaves a message."""
    outside = await scene.customer_dials(VOICE_MAIL)
    await outside.answered()
    await scene.talk()
    await outside.hang_up()
    return scene.inbound("voicemail", outside, VOICE_MAIL)


async def outbound(scene: Scene) -> CallTruth:
    """One of ours calls a customer, who answers."""
    inside = await scene.staff_dials_customer()
    outside = await scene.arrives(scene.carrier, scene.customer)
    await scene.ring_time()
    await outside.answer()
    await inside.answered()
    await scene.talk()
    await scene.either_hangs_up(inside, outside)
    return scene.outbound("answered", inside, outside)


async def outbound_busy(scene: Scene) -> CallTruth:
    """One of ours calls a customer who is busy."""
    inside = await scene.staff_dials_customer()
    outside = await scene.arrives(scene.carrier, scene.customer)
    outside.refuse(486)
    await inside.ended()
    return scene.outbound("busy", inside)


async def outbound_no_answer(scene: Scene) -> CallTruth:
    """One of ours calls a customer who does not answer, and gives up."""
    inside = await scene.staff_dials_customer()
    await scene.arrives(scene.carrier, scene.customer)
    await inside.ringing()
    await scene.ring_time()
    await inside.hang_up()
    return scene.outbound("no_answer", inside)


async def internal(scene: Scene) -> CallTruth:
    """Two colleagues talk."""
    dialling, answering = await scene.colleagues_talk(scene.person, scene.colleague)
    await scene.talk()
    await scene.either_hangs_up(dialling, answering)
    return scene.internal("answered", dialling, answering)


async def blind_transfer(scene: Scene) -> CallTruth:
    """Anna sends the customer on without asking, with her handset's key."""
    outside, inside = await scene.customer_reaches(DIRECT, MANAGER)
    await scene.talk()
    await inside.transfer(scene.colleague)
    target = await scene.taken_by(scene.colleague, scene.customer)
    await inside.ended()
    await scene.talk()
    await scene.either_hangs_up(outside, target)
    return scene.inbound("answered", outside, DIRECT, inside, moved=("blind", scene.colleague))


async def attended_transfer(scene: Scene) -> CallTruth:
    """Anna asks a colleague first, then connects the two."""
    outside, inside = await scene.customer_reaches(DIRECT, MANAGER)
    await scene.talk()
    await inside.hold()
    held_from = scene.now()
    asking, target = await scene.colleagues_talk(MANAGER, scene.colleague)
    await scene.talk()
    await inside.transfer_to(asking)
    await inside.ended()
    held = (scene.now() - held_from).total_seconds()
    await asking.ended()
    await scene.talk()
    await scene.either_hangs_up(outside, target)
    return scene.inbound(
        "answered", outside, DIRECT, inside, moved=("attended", scene.colleague), hold_seconds=held
    )


_ANYBODY = frozenset({"101", "102", "103", "104", "105", "106", "107", "108", "109", "110"})
_GROUP = frozenset({"101", "102", "103", "104", "105", "106"})
_SALES = frozenset({"101", "102", "103"})
_NOBODY: frozenset[str] = frozenset()

# 101 is in about two thirds of all calls, so that the manager's card has something to show.
SCENARIOS = (
    Scenario("answered", answered, 5),
    Scenario("withheld", withheld, 1),
    Scenario("with_hold", with_hold, 2),
    Scenario("ring_group", ring_group, 3, needs=_NOBODY, any_of=_GROUP),
    Scenario("sales_queue", sales_queue, 3, needs=_NOBODY, any_of=_SALES, alone=True),
    Scenario("queue_abandoned", queue_abandoned, 1, needs=frozenset({"105", "106"})),
    Scenario("menu_abandoned", menu_abandoned, 1, needs=_NOBODY),
    Scenario("missed", missed, 2),
    Scenario("gave_up", gave_up, 1),
    Scenario("busy", busy, 1),
    Scenario("voice_mail", voice_mail, 1, needs=_NOBODY),
    Scenario("outbound", outbound, 4, needs=_NOBODY, any_of=_ANYBODY),
    Scenario("outbound_busy", outbound_busy, 1, needs=_NOBODY, any_of=_ANYBODY),
    Scenario("outbound_no_answer", outbound_no_answer, 1, needs=_NOBODY, any_of=_ANYBODY),
    Scenario("internal", internal, 2, needs=_NOBODY, any_of=_ANYBODY, others=1),
    Scenario("blind_transfer", blind_transfer, 2, others=1),
    Scenario("attended_transfer", attended_transfer, 2, others=1),
)

"""The caller's name on the phones and their contact person first, in a real Asterisk; and a service that fails in every way.

101 shows Cyrillic, 102 Latin letters only, 103 no names at all. One Asterisk for all of it: each test leaves no call behind.
"""

from __future__ import annotations

import asyncio
import re
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ami_bridge.agi.server import FastAgiServer
from ami_bridge.doctor.agi import examine_dialplan
from ami_bridge.doctor.doctor import Level
from ami_bridge.wire.connection import PbxLink
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phone_call import Call
from switchhook.lab.phones import Carrier, Phone, refuses
from switchhook.pbx.config import CONFIG_FILES
from telephony.ports import CallerAnswer, CallerQuestion
from tests.ami_bridge.agi_running import running
from tests.scenarios.watch import Watch

pytestmark = pytest.mark.asterisk

CUSTOMER = "+79161110005"
CARRIER_SAYS = "PETROV P"  # the name that comes with the call
WITHOUT, WITH, OWNER_FIRST, QUEUE, FREEPBX, REMOVED = (f"7495100200{line}" for line in range(1, 7))
PROMISED_SECONDS = 0.3  # what a failing service may cost a call
OWNER_SECONDS = 1
PATIENCE_SECONDS = 2.5
IVANOV = CallerAnswer("Иванов Пётр", "ООО «Ромашка»", ("103",))

DIALPLAN = f"""
[globals](+)
SWITCHHOOK_OWNER_SECONDS = {OWNER_SECONDS}
[from-trunk]
exten = {WITHOUT},1,Dial(PJSIP/101&PJSIP/102,8,tk)
 same = n,Hangup()
exten = {WITH},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Dial(PJSIP/101&PJSIP/102,8,tkb(switchhook-display^s^1))
 same = n,Hangup()
exten = {OWNER_FIRST},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Gosub(switchhook-owner,s,1(tk))
 same = n,Dial(PJSIP/101&PJSIP/102,8,tkb(switchhook-display^s^1))
 same = n,Hangup()
exten = {QUEUE},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Answer()
 same = n,Queue(sales,tkb(switchhook-display^s^1),,,8)
 same = n,Hangup()
exten = {FREEPBX},1,Goto(switchhook-from-carrier,${{EXTEN}},1)
exten = {REMOVED},1,GosubIf($[${{DIALPLAN_EXISTS(switchhook-gone,s,1)}}]?switchhook-gone,s,1(${{EXTEN}}))
 same = n,Dial(PJSIP/101&PJSIP/102,8,tkb(switchhook-gone^s^1))
 same = n,Hangup()
; What FreePBX does with a call in the end.
[from-pstn]
exten = {FREEPBX},1,Dial(PJSIP/101&PJSIP/102,8,tk)
 same = n,Hangup()
"""
PHONES = """
[101](+type=endpoint)
trust_id_outbound = yes
send_pai = yes
send_rpid = yes
[102](+type=endpoint)
set_var = SWITCHHOOK_DISPLAY=latin
[103](+type=endpoint)
set_var = SWITCHHOOK_DISPLAY=none
"""


@pytest.fixture(scope="module")
def office(asterisk_install: AsteriskInstall) -> Iterator[PrivateAsterisk]:
    """An Asterisk with the lines of asterisk-config/plain that this is about."""
    names = (CONFIG_FILES / "plain" / "extensions_switchhook_names.conf").read_text(encoding="utf-8")
    freepbx = (CONFIG_FILES / "freepbx" / "extensions_custom.conf").read_text(encoding="utf-8")
    own = freepbx.partition("#tryinclude")[0]  # the office and the line above have included them
    additions = {"extensions.conf": DIALPLAN + names + own, "pjsip.conf": PHONES}
    asterisk = PrivateAsterisk(asterisk_install, additions=additions)
    with asyncio.Runner() as runner:
        runner.run(asterisk.__aenter__())
        yield asterisk
        runner.run(asterisk.__aexit__(None, None, None))


class Book:
    """A contact book of one contact that answers as it is told to."""

    def __init__(self, answer: CallerAnswer | None = IVANOV, *, after_seconds: float = 0.0) -> None:
        self.answer = answer
        self.after_seconds = after_seconds
        self.asked: list[CallerQuestion] = []

    async def ask(self, question: CallerQuestion) -> CallerAnswer | None:
        self.asked.append(question)
        await asyncio.sleep(self.after_seconds)
        return self.answer


@asynccontextmanager
async def serving(book: Book, path: Path | None = None) -> AsyncIterator[FastAgiServer]:
    server = FastAgiServer({"hq": book}, port=0, unix_socket=path)
    async with running(server):
        yield server


class Desk:
    """Two handsets, a carrier, and the dialplan's line that says whom to ask."""

    def __init__(
        self, asterisk: PrivateAsterisk, tmp_path: Path, short_path: Path, room: AsyncExitStack
    ) -> None:
        self.asterisk, self.path, self._room = asterisk, short_path / "handsets.sock", room
        self.phones: dict[str, Phone] = {}
        self.script = self._install(tmp_path / "switchhook-names")
        # For what is about names and not about time: on a machine that is busy the real one would be too late.
        self.patient_script = self._install(tmp_path / "switchhook-names-patient", deadline=PATIENCE_SECONDS)

    @staticmethod
    def _install(path: Path, *, deadline: float | None = None) -> Path:
        script = (CONFIG_FILES / "switchhook-names").read_text(encoding="utf-8").partition("\n")[2]
        if deadline is not None:
            script, replaced = re.subn(
                r"^DEADLINE_SECONDS = \S+", f"DEADLINE_SECONDS = {deadline}", script, flags=re.M
            )
            assert replaced == 1
        path.write_text(f"#!{sys.executable} -I\n{script}", encoding="utf-8")
        path.chmod(0o755)
        return path

    async def open(self, *extensions: str) -> None:
        for extension in extensions:
            phone = Phone.handset(extension, self.asterisk)
            self.phones[extension] = await self._room.enter_async_context(phone)
        self.carrier = await self._room.enter_async_context(Carrier(self.asterisk))

    async def ask_by_script(self, where: str = "") -> None:
        await self._ask(f"{self.script},{where or self.path},hq")

    async def ask_by_fastagi(self, port: int) -> None:
        await self._ask(f"agi://127.0.0.1:{port}/hq")

    async def ask_patiently(self) -> None:
        """By a script that is given more time, as is Asterisk's clock."""
        await self._ask(f"{self.patient_script},{self.path},hq")
        await self.asterisk.cli(f"dialplan set global SWITCHHOOK_WAIT {PATIENCE_SECONDS}")

    async def _ask(self, how: str) -> None:
        await self.asterisk.cli("dialplan set global SWITCHHOOK_WAIT 0")
        await self.asterisk.cli(f"dialplan set global SWITCHHOOK_ASK {how}")
        await self.forget_the_rest()

    async def forget_the_rest(self) -> None:
        """Ten seconds have passed since nobody answered."""
        await self.asterisk.cli("dialplan set global SWITCHHOOK_REST_UNTIL 0")

    async def call(self, did: str, *extensions: str, seconds: float = 4) -> tuple[float, dict[str, Call]]:
        """A customer calls: after how many seconds the first of these phones rang, and what each was told."""
        begun = time.perf_counter()
        self.outside = await self.carrier.dial(did, caller=CUSTOMER, name=CARRIER_SAYS)
        rung, first = {}, 0.0
        for extension in extensions:
            rung[extension] = await self.phones[extension].incoming(seconds)
            first = first or time.perf_counter() - begun
        return first, rung

    async def named(self, did: str, *extensions: str) -> tuple[float, dict[str, Call]]:
        """The same for a service that answers. Where the machine was too busy to ask it in time, again."""
        for tries_left in (3, 2, 1, 0):
            seconds, rung = await self.call(did, *extensions)
            late = "SWITCHHOOK_REST_UNTIL=0\n" not in await self.asterisk.cli("dialplan show globals")
            if not (late and tries_left):
                break
            await self.over(*rung.values())
            await self.forget_the_rest()
        return seconds, rung

    async def over(self, *calls: Call) -> None:
        """The customer gives up."""
        await self.outside.hang_up()
        for call in calls:
            await call.ended()

    async def shown(self, did: str, *extensions: str) -> dict[str, str]:
        """What each phone shows of a caller who then gives up; their number is right on every one."""
        _, rung = await self.named(did, *extensions)
        await self.over(*rung.values())
        assert {call.other_number for call in rung.values()} == {CUSTOMER}
        return {extension: call.other_name for extension, call in rung.items()}

    def identities(self, extension: str) -> list[str]:
        """Everywhere that the last INVITE told this phone who calls, for phones that show another header than From."""
        invite = self.phones[extension].calls[-1]._invite
        assert invite
        return [invite.get("from"), invite.get("p-asserted-identity"), invite.get("remote-party-id")]


@pytest.fixture
async def desk(office: PrivateAsterisk, tmp_path: Path, short_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as room:
        yield Desk(office, tmp_path, short_path, room)


Way = Callable[[Desk, FastAgiServer], Awaitable[None]]


async def by_script(desk: Desk, server: FastAgiServer) -> None:
    await desk.ask_patiently()


async def by_fastagi(desk: Desk, server: FastAgiServer) -> None:
    assert server.port
    await desk.ask_by_fastagi(server.port)


@pytest.mark.parametrize("way", [by_script, by_fastagi])
async def test_each_phone_of_a_ring_group_shows_the_name_in_its_own_letters(desk: Desk, way: Way) -> None:
    """Two phones ring at once: one has Cyrillic, the other Latin letters only. The caller's number is on both."""
    await desk.open("101", "102")
    async with serving(book := Book(), desk.path) as server:
        await way(desk, server)
        shown = await desk.shown(WITH, "101", "102")
    assert shown == {"101": "Иванов Пётр, ООО «Ромашка»", "102": "Ivanov Pyotr, OOO Romashka"}
    assert book.asked[-1] == CallerQuestion("hq", CUSTOMER, WITH)
    for told in desk.identities("101"):
        assert told.startswith(f'"Иванов Пётр, ООО «Ромашка»" <sip:{CUSTOMER}@')


async def test_the_phones_of_a_queue_show_it_too(desk: Desk) -> None:
    """The queue rings phones by itself; its b option shows them the name as Dial's does."""
    await desk.open("101", "102")
    async with serving(Book()) as server:
        await by_fastagi(desk, server)
        _, rung = await desk.named(QUEUE, "101", "102")
        await desk.over(*rung.values())
    assert [call.other_name for call in rung.values()] == [
        "Иванов Пётр, ООО «Ромашка»",
        "Ivanov Pyotr, OOO Romashka",
    ]


async def test_freepbx_shows_one_form_on_every_phone(desk: Desk) -> None:
    """FreePBX writes its own Dial, so the name is put on the caller's channel, in Latin letters here."""
    await desk.open("101", "102")
    async with serving(Book()) as server:
        await by_fastagi(desk, server)
        await desk.asterisk.cli("dialplan set global SWITCHHOOK_CALLERID latin")
        shown = await desk.shown(FREEPBX, "101", "102")
        await desk.asterisk.cli("dialplan set global SWITCHHOOK_CALLERID no")
    assert set(shown.values()) == {"Ivanov Pyotr, OOO Romashka"}


async def test_lines_that_were_removed_again_leave_the_call_alone(desk: Desk) -> None:
    """The file is gone, the lines that call it are still there: nobody notices."""
    await desk.open("101")
    assert await desk.shown(REMOVED, "101") == {"101": CARRIER_SAYS}


async def test_the_doctor_finds_the_lines_in_the_dialplan(
    office: PrivateAsterisk, asterisk: PrivateAsterisk
) -> None:
    """One PBX has them, the other has not; the right to observe is enough to see it."""
    found = {}
    for pbx in (office, asterisk):
        link = PbxLink("hq", "127.0.0.1", pbx.ports.ami, pbx.ami_user, pbx.ami_secret)
        found[pbx] = await examine_dialplan(link)
    assert (found[office].level, found[asterisk].level) == (Level.OK, Level.WARN)
    assert "no context switchhook-names" in found[asterisk].what


async def test_a_caller_nobody_knows_and_one_who_hides_keep_what_the_carrier_says(desk: Desk) -> None:
    """The first is asked about and unknown; the second is not even asked about, for their name must not show either."""
    await desk.open("101")
    async with serving(book := Book(None)) as server:
        await by_fastagi(desk, server)
        assert await desk.shown(WITH, "101") == {"101": CARRIER_SAYS}
        assert book.asked
        book.answer = IVANOV
        book.asked.clear()
        desk.outside = await desk.carrier.dial_withheld(WITH, real=CUSTOMER)
        hidden = await desk.phones["101"].incoming()
        await desk.over(hidden)
    assert book.asked == []
    assert "Иванов" not in hidden.remote
    assert CUSTOMER not in hidden.remote


# Their contact person first


@pytest.mark.parametrize(
    ("owners", "busy", "first_after"),
    [(("103",), False, 0.9), (("103",), True, 0.0), (("999",), False, 0.0), ((), False, 0.0)],
    ids=["does not answer", "busy", "no such extension", "nobody"],
)
async def test_the_owner_rings_first_and_then_everybody(
    desk: Desk, owners: tuple[str, ...], busy: bool, first_after: float
) -> None:
    """They ring alone, for a second here; where they cannot be had it goes on at once. 103 is never sent a name."""
    await desk.open("101", "102", "103")
    if busy:
        desk.phones["103"].policy = refuses(486)
    async with serving(Book(CallerAnswer("Иванов Пётр", None, owners))) as server:
        await by_fastagi(desk, server)
        seconds, rung = await desk.named(OWNER_FIRST, "101", "102")
        await desk.over(*rung.values())
    assert first_after <= seconds < first_after + OWNER_SECONDS * 0.9
    assert rung["101"].other_name == "Иванов Пётр"
    at_owner = desk.phones["103"].calls
    assert {call.other_name for call in at_owner} == ({CARRIER_SAYS} if owners == ("103",) else set())


async def test_an_owner_who_talks_is_left_alone(desk: Desk) -> None:
    """They have a call already: no second one knocks, the others ring at once."""
    await desk.open("101", "102", "103")
    talking = await desk.phones["103"].dial("801")  # the echo
    await talking.answered()
    async with serving(Book()) as server:
        await by_fastagi(desk, server)
        seconds, rung = await desk.named(OWNER_FIRST, "101", "102")
        await desk.over(*rung.values())
    await talking.hang_up()
    assert seconds < OWNER_SECONDS * 0.9
    assert len(desk.phones["103"].calls) == 1


async def test_the_call_is_told_as_one_call_of_real_phones(desk: Desk, office: PrivateAsterisk) -> None:
    """The owner does not answer, Anna does. The tracker tells one answered call from its caller, with three rung phones
    and no leg that nobody has; the caller's name stays what the carrier said."""
    await desk.open("101", "102", "103")
    watch = Watch.recommended(office)
    watching = asyncio.create_task(watch.run())
    await watch.ready.wait()
    async with serving(Book()) as server:
        await by_fastagi(desk, server)
        _, rung = await desk.named(OWNER_FIRST, "101", "102")
        await rung["101"].answer()
        await desk.outside.answered()
        await desk.outside.hang_up()
        await rung["101"].ended()
    await watch.all_ended()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    told = [facts for facts in watch.calls_of("") if (facts.did or "").endswith(OWNER_FIRST)][-1]
    assert (told.disposition, told.answered_by) == ("answered", "101")
    assert (told.caller.raw, told.caller.name) == (CUSTOMER, CARRIER_SAYS)
    assert sorted(leg.party for leg in told.legs) == [CUSTOMER, "101", "102", "103"]


# A service that fails


@asynccontextmanager
async def frozen_service(path: Path) -> AsyncIterator[int]:
    """A service in a process of its own that is stopped (SIGSTOP): the kernel goes on taking connections for it."""
    program = (
        "import asyncio, sys; from pathlib import Path; from ami_bridge.agi.server import FastAgiServer\n"
        "async def main():\n"
        "    server = FastAgiServer({}, port=0, unix_socket=Path(sys.argv[1]))\n"
        "    task = asyncio.create_task(server.run())\n"
        "    await server.listening.wait(); print(server.port, flush=True); await task\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, path, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout
    try:
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        yield port
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def liar(said: bytes) -> AsyncIterator[int]:
    """Whoever connects hears this, and then nothing: the connection stays open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(said)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def usual_seconds(desk: Desk) -> float:
    """What a call takes to ring without any of this."""
    taken = []
    for _ in range(3):
        seconds, rung = await desk.call(WITHOUT, "101")
        await desk.over(*rung.values())
        taken.append(seconds)
    return statistics.median(taken)


async def assert_nothing_changed(desk: Desk, usual: float) -> float:
    """It rings in time, shows what the carrier says, and can be answered. Returns the seconds that it took longer.

    A machine that is busy may be late by itself: the best of three counts. A call that waits for the service waits thrice.
    """
    for tries_left in (2, 1, 0):
        seconds, rung = await desk.call(WITH, "101")
        call = rung["101"]
        assert (call.other_number, call.other_name) == (CUSTOMER, CARRIER_SAYS)
        await call.answer()
        await desk.outside.answered()
        await desk.outside.hang_up()
        await call.ended()
        if seconds - usual < PROMISED_SECONDS:
            return seconds - usual
        if tries_left:
            await desk.forget_the_rest()
    pytest.fail(f"The call rang {seconds - usual:.3f} s later than usual.")


async def test_a_service_that_is_not_there_changes_nothing(desk: Desk) -> None:
    """Never started: no socket, no port, no script, no line in the dialplan."""
    await desk.open("101")
    usual = await usual_seconds(desk)
    for way in (
        f"{desk.script},{desk.path},hq",
        f"{desk.script},127.0.0.1:9,hq",
        "agi://127.0.0.1:9/hq",
        f"{desk.script}-that-was-removed,x,hq",
        "",
    ):
        await desk._ask(way)
        await assert_nothing_changed(desk, usual)


async def test_a_slow_service_changes_nothing(desk: Desk) -> None:
    """The contact book needs two seconds: the phones ring on time, without a name."""
    await desk.open("101")
    usual = await usual_seconds(desk)
    async with serving(Book(after_seconds=2), desk.path) as server:
        await desk.ask_by_script()
        await assert_nothing_changed(desk, usual)
        await by_fastagi(desk, server)
        await assert_nothing_changed(desk, usual)
    assert server.counts["late"] >= 1


async def test_a_stopped_service_changes_nothing(desk: Desk) -> None:
    """kill -STOP: connections are taken and nobody answers. After the first call nobody is asked for ten seconds."""
    await desk.open("101")
    usual = await usual_seconds(desk)
    async with frozen_service(desk.path) as port:
        for ask in (desk.ask_by_script(), desk.ask_by_fastagi(port)):
            await ask
            waited = await assert_nothing_changed(desk, usual)
            assert waited > 0.1  # it was asked, and did keep silent
            assert await assert_nothing_changed(desk, usual) < 0.2  # nobody was asked


async def test_a_caller_who_gives_up_while_a_stopped_service_is_asked(desk: Desk) -> None:
    """They are gone at once; no channel waits for the service."""
    await desk.open("101")
    async with frozen_service(desk.path) as port:
        await desk.ask_by_fastagi(port)
        outside = await desk.carrier.dial(WITH, caller=CUSTOMER)
        await outside.hang_up()
        await outside.ended()
        async with asyncio.timeout(3):
            while "0 active channels" not in await desk.asterisk.cli("core show channels count"):
                await asyncio.sleep(0.05)


LIES = {
    "binary": bytes(range(256)) * 8 + b"\n",
    "a megabyte without an end": b"A" * 1_000_000,
    "half a line": b'{"full": "Iva',
    "commands": b'SET VARIABLE __SWITCHHOOK_NAME "evil"\nEXEC Hangup\n',
    "no names": b'{"full": ["x"], "latin": 7, "owner": {"a": 1}}\n',
    "line breaks and quotes": b'{"full": "x\\"\\nEXEC Hangup\\n", "latin": "a\\"\\r\\nHANGUP"}\n',
    "expansions": b'{"full": "${SHELL(id)}", "latin": "${HANGUPCAUSE}", "owner": "103&Local/101@from-trunk"}\n',
}


async def test_a_liar_is_not_believed_by_the_script(desk: Desk) -> None:
    """Somebody else has taken the port and says whatever they like; half of it keeps the script waiting."""
    await desk.open("101")
    usual = await usual_seconds(desk)
    for said in LIES.values():
        async with liar(said) as port:
            await desk.ask_by_script(f"127.0.0.1:{port}")
            await assert_nothing_changed(desk, usual)


@pytest.mark.parametrize("way", [by_script, by_fastagi])
async def test_an_evil_contact_is_only_a_name(desk: Desk, way: Way) -> None:
    """The contact book was filled by an attacker: quotes, line breaks, dialplan expressions, overrides, dial strings."""
    await desk.open("101", "102")
    name = 'a"\r\nEXEC Hangup\r\nb) ${SHELL(id)}\u202e\x00 \\" c'
    async with serving(
        Book(CallerAnswer(name, "$[1+1]", ("&Local/101@from-trunk", "1031"))), desk.path
    ) as server:
        await way(desk, server)
        seconds, rung = await desk.named(OWNER_FIRST, "101", "102")
        await desk.over(*rung.values())
    assert seconds < OWNER_SECONDS * 0.9  # none of those is rung first
    assert [call.other_name for call in rung.values()] == ["a EXEC Hangup b) SHELL(id) c"] * 2


async def test_even_a_liar_on_the_fastagi_port_is_cut_short(desk: Desk) -> None:
    """Asterisk's own clock, as long as they say whole lines. (Half a line is another matter: see decision 9.)"""
    await desk.open("101")
    usual = await usual_seconds(desk)
    async with liar(LIES["binary"]) as port:
        await desk.ask_by_fastagi(port)
        await assert_nothing_changed(desk, usual)

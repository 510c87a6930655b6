"""`switchhook doctor --test-call`: one real call, and the way of its news from the PBX to the card and the recording.

Everything that examines without a call can be well while nothing is seen: a missing class of events, a lost filter line,
phones that count as trunks. So a person picks up a phone, and each stage is proved with its seconds: the event, the call
and its extension, the card, the journal, the recording. The running service is looked at where there is one; else a
private one runs for the length of the call, with a database that is thrown away, and only reads.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

from ami_bridge.wire.connection import AmiConnection
from call_records.store import RecordsStore
from call_records.types import Account
from switchhook.doctor.findings import Finding, Level, stumbled
from switchhook.doctor.live_stream import LiveStream, open_stream
from switchhook.doctor.web import EVERYWHERE, answers_as_switchhook
from switchhook.opening import open_store
from switchhook.process import logs
from switchhook.settings.settings import Settings
from switchhook.settings.tables import HandsetSettings, PbxSettings, RecordingSettings
from telephony.errors import NeedsPerson
from telephony.recordings import RecordingState
from telephony.staff import PopPreference, Role
from web.auth.access import new_token

ANY = "any"
AREA = "test call"
TOKEN_NAME = "doctor: test call"  # noqa: S105 - what the list of tokens shows
WAIT_SECONDS = 60.0  # for the call to begin: time to walk to a phone
STAGE_SECONDS = 10.0  # for each stage after the event; a healthy service takes tenths of a second
CALL_SECONDS = 180.0  # for the call to end; nobody talks longer to a test
RECORDING_SECONDS = 60.0  # for the sound to be taken in and made playable after the end
POLL_SECONDS = 0.1
START_SECONDS = 120.0  # a private service on a small, busy machine: its database is made first


@dataclass(slots=True)
class Target:
    """The service whose way is proved."""

    host: str
    port: int
    store: RecordsStore
    is_private: bool


@dataclass(slots=True)
class Observation:
    """What was seen of the call, each with the seconds since the PBX's first word of it."""

    began: float | None = None
    """When the first event came (the loop's clock)."""
    pbx: PbxSettings | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    extension: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


async def try_call(settings: Settings, extension: str | None) -> list[Finding]:
    """Wait for a call (of that extension, or any) and say how far its news came. Raises nothing of its own."""
    logs.set_up(level="error")
    try:
        unreachable = await _find_unreachable(settings)
        if unreachable is not None:
            return [unreachable]
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(_target(settings))
            account = await _administrator(target)
            return await Trial(settings, target, account, extension).run()
    except Exception as mistake:  # the doctor must finish the round
        return [stumbled(AREA, mistake)]


async def _find_unreachable(settings: Settings) -> Finding | None:
    """Why no call can be seen, where no PBX answers: nobody need go to a phone for that."""
    found: Finding | None = None
    for pbx in settings.pbx:
        try:
            await count_channels(pbx)
        except Exception as mistake:  # whatever it is, it is said
            found = stumbled(AREA, mistake)
        else:
            return None
    return found


# -- the service -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _target(settings: Settings) -> AsyncIterator[Target]:
    host = EVERYWHERE.get(settings.web.host, settings.web.host)
    if settings.web.port and await asyncio.to_thread(answers_as_switchhook, host, settings.web.port):
        async with open_store(settings, migrate=False) as store:
            yield Target(host, settings.web.port, store, is_private=False)
        return
    async with _private_service(settings) as target:
        yield target


@asynccontextmanager
async def _private_service(settings: Settings) -> AsyncIterator[Target]:
    """A service of its own, in a directory that is thrown away. It fetches no recordings and reads no old events."""
    from switchhook.assembly import Service, serve_until

    _say("Switchhook is not running; one is started for this call alone …")
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()

    def started(service: Service) -> None:
        if not ready.done():
            ready.set_result(service)

    with tempfile.TemporaryDirectory(prefix="switchhook-test-call-") as directory:
        os.chmod(directory, 0o755)  # noqa: S103 - root's database runs as another user, in a closed directory below  # fmt: skip
        serving = asyncio.create_task(
            serve_until(stop, _private_settings(settings, Path(directory)), started=started),
            name="test call: service",
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                await serving  # raises why
            service = ready.result()
            async with asyncio.timeout(START_SECONDS):
                await service.store_ready.wait()
            yield Target("127.0.0.1", service.web_port or 0, service.store, is_private=True)
        finally:
            stop.set()
            await asyncio.wait([serving], timeout=START_SECONDS)


def _private_settings(settings: Settings, directory: Path) -> Settings:
    silent = {"cel_file": None, "cel_url": None, "recordings_dir": None, "upload_token": None}
    return settings.model_copy(
        update={
            "pbx": tuple(pbx.model_copy(update=silent) for pbx in settings.pbx),
            "database": settings.database.model_copy(update={"url": None, "state_dir": directory}),
            "web": settings.web.model_copy(update={"host": "127.0.0.1", "port": 0, "public_url": None}),
            "recordings": RecordingSettings(directory=directory / "recordings"),
            "handsets": HandsetSettings(),
        }
    )


async def _administrator(target: Target) -> Account:
    """Who sees every call. A private service gets one; in yours nobody is made."""
    for account in await target.store.accounts.all():
        if account.role is Role.ADMINISTRATOR and account.active:
            return account
    if not target.is_private:
        raise NeedsPerson(
            "The service has no administrator yet, whose eyes the test call needs.",
            remedy="Make one: switchhook account LOGIN --role administrator",
        )
    return await target.store.accounts.create(
        login="doctor",
        name="Doctor",
        role=Role.ADMINISTRATOR,
        password_hash="",
        extensions=(),
        pop=PopPreference.ON_RING,
    )


# -- the call ----------------------------------------------------------------------------------------------------------


class Trial:
    """One call, watched."""

    def __init__(self, settings: Settings, target: Target, account: Account, wanted: str | None) -> None:
        self._settings = settings
        self._target = target
        self._account = account
        self._wanted = wanted
        self._seen = Observation()
        self._known: set[str] = set()
        self._ended = asyncio.Event()

    async def run(self) -> list[Finding]:
        """Everything, in the order of the stages."""
        loop = asyncio.get_running_loop()
        async with self._stream_of(self._account) as stream, AsyncExitStack() as stack:
            watching = [
                loop.create_task(self._watch(pbx), name=f"test call: {pbx.id}") for pbx in self._settings.pbx
            ]
            following = loop.create_task(self._follow(stream), name="test call: calls")
            stack.push_async_callback(_end, [*watching, following])
            _say(self._invitation())
            if not await self._wait_for("event", WAIT_SECONDS):
                return [await self._no_event()]
            return [finding async for finding in self._stages()]

    def _invitation(self) -> str:
        who = (
            f"Call {self._wanted} from another phone, or with it,"
            if self._wanted
            else "Pick up any phone and call another"
        )
        return f"{who} within {WAIT_SECONDS:.0f} seconds. Talk for some seconds, then hang up."

    async def _stages(self) -> AsyncIterator[Finding]:
        yield self._fine("event", "The PBX told of a call.")
        if not await self._wait_for("call", STAGE_SECONDS):
            yield _fault(
                "The PBX told of a channel, and the service shows no call.",
                "Look at Connections and at the service's log; report it with: switchhook capture.",
            )
            return
        yield self._fine("call", "The service shows the call.")
        if not await self._wait_for("extension", STAGE_SECONDS):
            yield self._no_extension()
            return
        yield self._fine("extension", f"One of its parties is your extension {self._seen.extension}.")
        card, kept = await asyncio.gather(self._card(), self._journal())
        yield card
        yield kept
        _say("Now hang up, please." if not self._ended.is_set() else "The call is over.")
        with suppress(TimeoutError):
            async with asyncio.timeout(CALL_SECONDS):
                await self._ended.wait()
        yield await self._recording()

    # -- what comes ----------------------------------------------------------------------------------------------------

    async def _watch(self, pbx: PbxSettings) -> None:
        """The PBX's own events, over a connection of this command's: the first new channel is the beginning."""
        from switchhook.doctor.doctor import link_to

        connection = await AmiConnection.open(link_to(pbx))
        try:
            while True:
                for message in await connection.receive():
                    if message.kind == "Newchannel" and "Privilege" in message.fields:
                        self._begin(pbx)
        finally:
            await connection.close()

    def _begin(self, pbx: PbxSettings) -> None:
        if self._seen.began is None:
            self._seen.began = asyncio.get_running_loop().time()
            self._seen.pbx = pbx
            self._note("event")

    async def _follow(self, stream: LiveStream) -> None:
        async for event in stream.events():
            if event.name == "snapshot":
                self._known |= {call["id"] for call in event.data.get("calls", ())}
            elif event.name == "call" and event.data.get("id") not in self._known:
                self._take(event.data)
            elif event.name == "gone" and event.data.get("id") == self._seen.facts.get("id"):
                self._ended.set()

    def _take(self, facts: dict[str, Any]) -> None:
        ours = [leg["party"] for leg in facts["legs"] if leg["kind"] == "extension"]
        chosen = self._seen.facts.get("id")
        if chosen not in (None, facts["id"]):
            if self._seen.extension is not None or not self._suits(ours):
                return
        elif self._wanted is not None and self._wanted not in ours and chosen is None and ours:
            return  # somebody else's call
        self._seen.facts = facts
        self._begin_with(facts)
        self._note("call")
        if self._suits(ours):
            self._seen.extension = self._wanted or ours[-1]
            self._note("extension")
        if facts["state"] == "ended":
            self._ended.set()

    def _suits(self, ours: Sequence[str]) -> bool:
        return bool(ours) and self._wanted in (None, *ours)

    def _begin_with(self, facts: dict[str, Any]) -> None:
        """The service may be quicker than this command's own connection."""
        pbx = next((each for each in self._settings.pbx if each.id == facts["pbx"]), None)
        if pbx is not None:
            self._begin(pbx)

    def _note(self, stage: str) -> None:
        now = asyncio.get_running_loop().time()
        self._seen.seconds.setdefault(stage, now - (self._seen.began or now))

    async def _wait_for(self, stage: str, seconds: float) -> bool:
        async def is_there() -> bool:
            return stage in self._seen.seconds

        return await _becomes_true(is_there, seconds)

    # -- what is proved ------------------------------------------------------------------------------------------------

    async def _no_event(self) -> Finding:
        channels = 0
        for pbx in self._settings.pbx:
            with suppress(Exception):  # that it cannot be reached is said elsewhere
                channels += await count_channels(pbx)
        if channels:
            return _fault(
                f"The PBX has {channels} channels and told nothing of them: the class call is missing, or filtered out.",
                "Give the AMI user read = system,call,dialplan,agent,user,cdr and the eventfilter lines of switchhook "
                "init, then: asterisk -rx 'manager reload'.",
            )
        return Finding(
            Level.NOTICE,
            AREA,
            f"No call came within {WAIT_SECONDS:.0f} s.",
            "Start it again, and pick up a phone.",
        )

    def _no_extension(self) -> Finding:
        parties = ", ".join(dict.fromkeys(str(leg["party"]) for leg in self._seen.facts["legs"])) or "nobody"
        wanted = f"the extension {self._wanted}" if self._wanted else "one of your phones"
        return _fault(
            f"The call is seen, and none of its parties ({parties}) is {wanted}: it is told as a call between lines.",
            _remedy_for(self._seen),
        )

    async def _card(self) -> Finding:
        extension = self._seen.extension or ""
        account = await self._account_of(extension)
        if account is None:
            return Finding(
                Level.NOTICE,
                AREA,
                f"Nobody's account has the extension {extension}, so its calls pop no card.",
                "Give it to somebody on Office → Accounts, or: switchhook account LOGIN --extension "
                + extension,
            )
        try:
            async with asyncio.timeout(STAGE_SECONDS), self._stream_of(account) as stream:
                async for event in stream.events():
                    cards = event.data.get("cards", ()) if event.name == "snapshot" else [event.data]
                    if event.name in ("snapshot", "card") and any(self._is_ours(card) for card in cards):
                        break
        except TimeoutError:
            return _fault(
                f"No card came for the extension {extension} of {account.login}.",
                "A call that was over at once pops none; else report it with: switchhook trace CALL-ID --capture FILE.",
            )
        self._note("card")
        return self._fine(
            "card",
            f"The card comes to {account.login}." if not self._target.is_private else "The card comes.",
        )

    def _is_ours(self, card: dict[str, Any]) -> bool:
        return bool(
            card.get("call_id") == self._seen.facts["id"] and card.get("extension") == self._seen.extension
        )

    async def _account_of(self, extension: str) -> Account | None:
        if self._target.is_private:
            given = replace(self._account, extensions=(extension,))
            self._account = await self._target.store.accounts.update(given)
            return self._account
        accounts = await self._target.store.accounts.all()
        return next((each for each in accounts if each.active and extension in each.extensions), None)

    async def _journal(self) -> Finding:
        call_id = UUID(self._seen.facts["id"])
        if not await _becomes_true(lambda: self._target.store.journal.kept([call_id]), STAGE_SECONDS):
            return _fault(
                "The call does not come into the journal.", "Look at the service's log for the database."
            )
        self._note("journal")
        return self._fine("journal", "The call is in the journal.")

    async def _recording(self) -> Finding:
        if not self._ended.is_set():
            return Finding(
                Level.NOTICE,
                AREA,
                "The call did not end, so its recording was not looked at.",
                "Hang up next time.",
            )
        recorded = [*self._seen.facts.get("recorded", ())]
        if not recorded:
            return Finding(
                Level.NOTICE,
                AREA,
                "The PBX did not record this call.",
                "If it should: docs/how-to/record-calls.md. Its file's name is told to an AMI user with read = dialplan.",
            )
        ended = asyncio.get_running_loop().time()
        look = self._file_there if self._target.is_private else self._playable
        if not await _becomes_true(lambda: look(recorded), RECORDING_SECONDS):
            return _fault(
                f"The recording did not come within {RECORDING_SECONDS:.0f} s after the end.",
                "Look at recordings_dir and its rights, and at Recordings → Exceptions.",
            )
        taken = asyncio.get_running_loop().time() - ended
        done = (
            "The recording's file can be read" if self._target.is_private else "The recording can be played"
        )
        return Finding(Level.FINE, AREA, f"recording: {done}, {taken:.1f} s after the end.")

    async def _playable(self, recorded: Sequence[dict[str, Any]]) -> bool:
        del recorded
        found = await self._target.store.catalogue.of_call(UUID(self._seen.facts["id"]))
        return any(each.state is RecordingState.READY for each in found)

    async def _file_there(self, recorded: Sequence[dict[str, Any]]) -> bool:
        directory = self._seen.pbx.recordings_dir if self._seen.pbx else None
        if directory is None:
            raise NeedsPerson(
                "The PBX recorded the call, and recordings_dir is not set.",
                remedy="Set it in the [[pbx]] table; docs/how-to/record-calls.md.",
            )
        names = {PurePosixPath(each["file"]).name for each in recorded}
        return await asyncio.to_thread(lambda: any(_readable(directory, name) for name in names))

    def _fine(self, stage: str, what: str) -> Finding:
        return Finding(Level.FINE, AREA, f"{stage}: {what[:-1]}, after {self._seen.seconds[stage]:.2f} s.")

    @asynccontextmanager
    async def _stream_of(self, account: Account) -> AsyncIterator[LiveStream]:
        """With a token that is taken back afterwards."""
        secret, hashed = new_token()
        tokens = self._target.store.tokens
        made = await tokens.create(account_id=account.id, name=TOKEN_NAME, token_hash=hashed)
        try:
            async with open_stream(self._target.host, self._target.port, secret) as stream:
                yield stream
        finally:
            await tokens.revoke(made.id, account_id=account.id)


async def _becomes_true(question: Callable[[], Awaitable[object]], seconds: float) -> bool:
    """Whether the answer is true within so long; asked again and again, for nobody tells when it changes."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                if await question():
                    return True
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False


async def count_channels(pbx: PbxSettings) -> int:
    """How many channels the PBX lists now."""
    from switchhook.doctor.doctor import link_to

    connection = await AmiConnection.open(link_to(pbx), events=False)
    mark = f"doctor-{connection.mark}-channels"
    try:
        connection.send(("Action", "CoreShowChannels"), ("ActionID", mark))
        count = 0
        async with asyncio.timeout(STAGE_SECONDS):
            while True:
                for message in await connection.receive():
                    if message.get("ActionID") != mark:
                        continue
                    if message.kind == "CoreShowChannelsComplete" or message.get("Response") == "Error":
                        return count
                    count += message.kind == "CoreShowChannel"
    finally:
        await connection.close()


def _readable(directory: Path, name: str) -> bool:
    return any(file.is_file() and os.access(file, os.R_OK) for file in directory.rglob(name))


def _remedy_for(seen: Observation) -> str:
    """The line of the settings that makes phones of the call's parties; the person leaves out what is a line."""
    names = [
        name for name in dict.fromkeys(str(leg["party"]) for leg in seen.facts["legs"]) if name[:1] != "+"
    ]
    trunks = seen.pbx.trunks if seen.pbx else None
    if trunks and (lines := [name for name in names if re.fullmatch(trunks, name)]):
        return f"In [[pbx]], trunks = '{trunks}' makes lines of {', '.join(lines)}: change it so that it leaves phones out."
    return f"Say which endpoints are phones, in [[pbx]]: extensions = '{'|'.join(names) or 'alice|bob'}'"


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            _say(f"{task.get_name()}: {task.exception()}")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _fault(what: str, remedy: str) -> Finding:
    return Finding(Level.FAULT, AREA, what, remedy)

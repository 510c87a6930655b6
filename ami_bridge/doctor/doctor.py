"""What is wrong between Switchhook and a PBX, found over AMI alone, each with the line that mends it.

The AMI user of the service is enough: nothing here needs `command`, `config` or `system`. Each check has its
timeout, and one that cannot be made says so instead of guessing. Some things AMI does not tell: which event
classes a user may read is seen only from events, so the doctor listens for a while and says what it did not
see.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from ami_bridge.doctor import recording_loss
from ami_bridge.doctor.clock import REMEDY as CLOCK_REMEDY
from ami_bridge.doctor.clock import ClockReading, describe_difference
from ami_bridge.doctor.recording_loss import loses_one_side
from ami_bridge.snapshot import Snapshot
from ami_bridge.translate import SERVICE_APPS
from ami_bridge.wire.asterisk_version import OLDEST_ASTERISK, AsteriskTooOld, major_of
from ami_bridge.wire.connection import AmiConnection, PbxLink
from ami_bridge.wire.message import Message
from telephony.errors import SwitchhookError

LISTEN_SECONDS = 5.0  # a call in progress shows within this; the doctor is run by a person who waits
ANSWER_SECONDS = 5.0
QUESTIONS = 4  # Ping, CoreSettings, CoreStatus, ListCommands
FLOOD_EVENTS_PER_SECOND = 200.0  # a hundred people at one call a second with the filters make 20

NEEDED_CLASSES: Mapping[str, str] = {
    "system": "start and stop of Asterisk are not seen",
    "call": "no call is seen at all",
    "agent": "queues are not seen",
    "cdr": "the PBX's own call records are not seen",
    "user": "events that the dialplan sends are not seen",
    "dialplan": "the file names of recordings are not seen",
}
"""Class of `read` → what is lost without it."""

FORBIDDEN_WRITE: Mapping[str, str] = {
    "command": "it may run any command on Asterisk's console",
    "config": "it may rewrite Asterisk's configuration",
    "system": "it may restart Asterisk and run programs",
}
"""Class of `write` that the service never needs → what a thief of the secret could do with it."""

UNFILTERED = frozenset({"RTCPSent", "RTCPReceived", "CEL", "Newexten", "TestEvent", "ExtensionStatus"})
"""Events that the allow-list filter leaves out: seeing one means that no filter is active."""

_COMMAND_CLASSES = re.compile(r"\(Priv: ([^)]*)\)")
# ListCommands names a class for actions that need any one of several; these need exactly one.
_TELLING_ACTIONS: Mapping[str, str] = {
    "Command": "command",
    "GetConfig": "config",
    "UpdateConfig": "config",
    "Filter": "system",
    "DBPut": "system",
}


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, but worse than it could."""
    FAULT = "fault"
    """Calls are missed or wrong until this is mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    remedy: str = ""
    """What to do; empty when all is well."""


@dataclass(slots=True)
class _Heard:
    """What came in while the doctor asked and listened."""

    answers: dict[str, Message] = field(default_factory=dict)
    events: list[Message] = field(default_factory=list)
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(""))
    listened_seconds: float = 0.0
    clock: ClockReading | None = None
    """What the PBX's clock showed; None when it did not say."""


async def examine(
    link: PbxLink,
    *,
    listen_seconds: float = LISTEN_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
    clock: Callable[[], float] = time.time,
) -> list[Finding]:
    """Everything that can be found over AMI about one PBX, in the order of the checks. Raises nothing of its
    own."""
    try:
        connection = await AmiConnection.open(link, clock=clock)
    except SwitchhookError as error:
        return [Finding(Level.FAULT, str(error), error.remedy or "")]
    findings = [
        _greeting(connection),
        _transport(link),
        Finding(Level.OK, f"Login as {link.username} works."),
    ]
    try:
        heard = await _listen(connection, listen_seconds, answer_seconds, clock)
    except SwitchhookError as error:
        return [*findings, Finding(Level.FAULT, str(error), error.remedy or "")]
    finally:
        await connection.close()
    for check in CHECKS:
        findings += check(heard)
    return findings


async def _listen(
    connection: AmiConnection, listen_seconds: float, answer_seconds: float, clock: Callable[[], float]
) -> _Heard:
    """Asks everything at once, and listens to what comes besides."""
    heard = _Heard(snapshot=Snapshot(connection.mark))
    asked_at = clock()
    connection.send(("Action", "Ping"), ("ActionID", f"doctor-{connection.mark}-Ping"))
    for action in ("CoreSettings", "CoreStatus", "ListCommands"):
        connection.send(("Action", action), ("ActionID", f"doctor-{connection.mark}-{action}"))
    for question in heard.snapshot.questions():
        connection.send(*question)
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        asked_all = heard.snapshot.done and len(heard.answers) >= QUESTIONS
        until = began + (listen_seconds if asked_all else max(listen_seconds, answer_seconds))
        try:
            async with asyncio.timeout_at(until):
                messages = await connection.receive()
        except TimeoutError:
            break
        for message in messages:
            _hear(heard, connection, message)
            _read_clock(heard, asked_at, message)
    heard.listened_seconds = loop.time() - began
    return heard


def _hear(heard: _Heard, connection: AmiConnection, message: Message) -> None:
    question = heard.snapshot.hear(message)
    if question is not None:
        connection.send(*question)
    prefix, _, action = message.get("ActionID").rpartition("-")
    if message.kind == "Response" and prefix == f"doctor-{connection.mark}":
        heard.answers[action] = message
    elif message.kind not in ("Response", "") and "ActionID" not in message.fields:
        heard.events.append(message)


def _read_clock(heard: _Heard, asked_at: float, message: Message) -> None:
    """Of the Ping's answer; Asterisk stamps it with microseconds."""
    if heard.clock is not None or not message.get("ActionID").endswith("-Ping"):
        return
    with suppress(ValueError):
        heard.clock = ClockReading(asked_at, message.arrived_at, float(message.get("Timestamp")))


def _greeting(connection: AmiConnection) -> Finding:
    return Finding(Level.OK, f"{connection.link.address} greets as {connection.framer.banner}.")


def _transport(link: PbxLink) -> Finding:
    if link.tls is not None:
        return Finding(Level.OK, "The link is encrypted by TLS.")
    if link.host in ("127.0.0.1", "::1", "localhost"):
        return Finding(Level.OK, "The link stays on this machine, so it needs no TLS.")
    return Finding(
        Level.WARN,
        "The link is not encrypted: who listens on the network reads callers' numbers.",
        "Set tlsenable = yes and tlsbindaddr in manager.conf and use that port, or keep the link inside a "
        "VPN.",
    )


def _succeeded(heard: _Heard, action: str) -> Message | None:
    answer = heard.answers.get(action)
    return answer if answer is not None and answer.get("Response") != "Error" else None


def check_reporting(heard: _Heard) -> list[Finding]:
    """Whether the state of calls may be asked for, and which Asterisk this is."""
    status = _succeeded(heard, "CoreStatus")
    settings = _succeeded(heard, "CoreSettings")
    if status is None:
        return [
            Finding(
                Level.FAULT,
                "The AMI user may not ask for the state of calls: after a reconnect live calls are lost.",
                "Add write = reporting to the user in manager.conf and run 'manager reload'.",
            )
        ]
    version = settings.get("AsteriskVersion", "unknown") if settings is not None else "unknown"
    major = major_of(version)
    if major is not None and major < OLDEST_ASTERISK:
        too_old = AsteriskTooOld(f"Asterisk {version}")
        return [Finding(Level.FAULT, str(too_old), too_old.remedy or "")]
    return [Finding(Level.OK, f"The state of calls can be asked for. Asterisk {version}.")]


def check_recording_loss(heard: _Heard) -> list[Finding]:
    """Whether this is a package whose recordings lose one side. Says nothing of any other Asterisk."""
    settings = _succeeded(heard, "CoreSettings")
    if settings is None or not loses_one_side(settings.get("AsteriskVersion")):
        return []
    return [Finding(Level.WARN, recording_loss.WHAT, recording_loss.REMEDY)]


def check_system_name(heard: _Heard) -> list[Finding]:
    """Whether ids of this PBX can be told from another's."""
    settings = _succeeded(heard, "CoreSettings")
    named = settings.get("SystemName") if settings is not None else ""
    if named or any("SystemName" in event.fields for event in heard.events):
        return [Finding(Level.OK, "systemname is set: ids of this PBX are its own.")]
    return [
        Finding(
            Level.WARN,
            "systemname is not set: forged events are harder to tell, and two PBXes may use the same ids.",
            "Set systemname in asterisk.conf, section [options], and restart Asterisk when no calls are up.",
        )
    ]


def check_timestamps(heard: _Heard) -> list[Finding]:
    """Whether events bear the time at which they happened."""
    stampable = [event for event in heard.events if event.kind != "FullyBooted"]
    if not stampable:
        return [
            Finding(
                Level.WARN,
                "No event came while listening, so timestampevents and the event classes could not be "
                "checked.",
                "Pick up any phone during: switchhook doctor --test-call.",
            )
        ]
    if all("Timestamp" in event.fields for event in stampable):
        return [Finding(Level.OK, "Events bear their own time.")]
    return [
        Finding(
            Level.FAULT,
            "Events bear no time of their own: talk times become wrong when the network is slow.",
            "Set timestampevents = yes in manager.conf, section [general], and run 'manager reload'.",
        )
    ]


def check_clock(heard: _Heard) -> list[Finding]:
    """Whether both machines know what time it is."""
    if heard.clock is None:
        return []
    told = describe_difference(heard.clock)
    if not heard.clock.is_off:
        return [Finding(Level.OK, told)]
    return [
        Finding(
            Level.WARN, f"{told} Times of live calls are corrected by it as far as possible.", CLOCK_REMEDY
        )
    ]


def check_classes(heard: _Heard) -> list[Finding]:
    """Which event classes came. FullyBooted is sent to every user who may read `system`."""
    seen = {event.get("Privilege").partition(",")[0] for event in heard.events}
    findings = []
    for name, loss in NEEDED_CLASSES.items():
        if name in seen:
            findings.append(Finding(Level.OK, f"Events of class {name} come."))
        elif name == "system":
            findings.append(Finding(Level.FAULT, f"No event of class system: {loss}.", _class_remedy(name)))
    missing = [name for name in NEEDED_CLASSES if name not in seen and name != "system"]
    if missing and seen - {"system", ""}:
        losses = "; ".join(f"without {name} {NEEDED_CLASSES[name]}" for name in missing)
        findings.append(
            Finding(
                Level.WARN,
                f"Not seen in {heard.listened_seconds:.0f} s: {losses}.",
                "If calls and queues were busy meanwhile: " + _class_remedy(",".join(NEEDED_CLASSES)),
            )
        )
    return findings


def _class_remedy(classes: str) -> str:
    return f"set read to include {classes} for the user in manager.conf and run 'manager reload'."


def check_snapshot(heard: _Heard) -> list[Finding]:
    """Whether the whole state can be read at a start."""
    snapshot = heard.snapshot
    if not snapshot.done:
        return [
            Finding(
                Level.FAULT,
                "Asterisk did not finish telling its state in time.",
                "Set writetimeout = 5000 for the user in manager.conf (FreePBX sets 100), and look at the "
                "load.",
            )
        ]
    needed = {"CoreShowChannels", "Status"}.intersection(snapshot.refused)
    if needed:
        return [
            Finding(
                Level.FAULT,
                f"The AMI user may not use {', '.join(sorted(needed))}: live calls are not found at a start.",
                "Add write = reporting to the user in manager.conf and run 'manager reload'.",
            )
        ]
    findings = [Finding(Level.OK, "The state of all calls can be read.")]
    if "ParkedCalls" in snapshot.refused:
        findings.append(
            Finding(
                Level.WARN,
                "Parked calls cannot be asked for, so one parked before a start shows as waiting.",
                "If parking is used, or recordings are to be paused from the card, add call to the user's write line; "
                "it is needed for transfers anyway.",
            )
        )
    return findings


def check_powers(heard: _Heard) -> list[Finding]:
    """Whether the AMI user may do more than the service ever needs."""
    listed = _succeeded(heard, "ListCommands")
    if listed is None:
        return []
    extra = {name for action, name in _TELLING_ACTIONS.items() if action in listed.fields}
    for value in listed.fields.values():
        classes = _COMMAND_CLASSES.search(value)
        if classes is not None:
            named = {name for name in classes[1].split(",") if name != "all"}
            extra |= named & FORBIDDEN_WRITE.keys() if len(named) == 1 else set()
    if not extra:
        return [
            Finding(Level.OK, "The AMI user has no power over the console, the configuration or the system.")
        ]
    return [
        Finding(
            Level.WARN,
            f"The AMI user has write = {name}: {FORBIDDEN_WRITE[name]}.",
            f"Take {name} out of the user's write line in manager.conf; Switchhook never uses it.",
        )
        for name in sorted(extra)
    ]


def check_filter(heard: _Heard) -> list[Finding]:
    """Whether the PBX sends only what is wanted."""
    unfiltered = sorted(
        {
            event.kind
            for event in heard.events
            if event.kind in UNFILTERED and event.get("Application") not in SERVICE_APPS
        }
    )
    rate = len(heard.events) / max(heard.listened_seconds, 0.1)
    if unfiltered or rate > FLOOD_EVENTS_PER_SECOND:
        named = f" (for one, {unfiltered[0]})" if unfiltered else ""
        return [
            Finding(
                Level.WARN,
                f"The PBX sends events that nobody needs{named}: about seven times the work on both sides.",
                "Add the eventfilter lines that 'switchhook init' prints to the user in manager.conf.",
            )
        ]
    if any(event.kind != "FullyBooted" for event in heard.events):
        return [Finding(Level.OK, "Only wanted events came.")]
    return []


CHECKS: tuple[Callable[[_Heard], list[Finding]], ...] = (
    check_reporting,
    check_recording_loss,
    check_system_name,
    check_timestamps,
    check_clock,
    check_classes,
    check_snapshot,
    check_powers,
    check_filter,
)
"""Asked in this order of what was heard after the login."""

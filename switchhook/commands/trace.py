"""`switchhook trace` and `switchhook recompute`: what made a call what it is, and telling it again.

The messages behind a call are kept for some weeks. In words they say why a call was told as it was; exported they are a
capture, which is a bug report; and after a correction of Switchhook they tell the call again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from ami_bridge.capture.kept_lines import as_capture, in_order
from ami_bridge.capture.redaction import Redactor
from call_records.calls.journal import OpenCall
from call_records.store import RecordsStore
from switchhook.commands.call_differences import differences
from switchhook.opening import open_store
from switchhook.pbx.call_assembler import Line, Teller
from switchhook.pbx.numbering import read_numbering
from switchhook.settings.settings import Settings
from telephony.call_facts.facts import CallFacts
from telephony.errors import NeedsPerson
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange
from telephony.state import signals as s

NO_MESSAGES = "No messages are kept of this call any more."
KEEP_LONGER = "Keep them longer with [keep] trace_days; the call's facts stay as they are."


async def main(
    settings: Settings, call: UUID, *, raw: bool = False, capture: Path | None = None, numbers: bool = False
) -> int:
    """Tell in words what was heard of the call; `raw`: as JSON lines; `capture`: into a file, redacted unless `numbers`."""
    async with open_store(settings) as store:
        family = await store.journal.kept(await store.journal.family(call))
    if not family:
        raise NeedsPerson(f"There is no call {call}.", remedy="Copy the id from the call's page.")
    lines = in_order(line for member in family for line in member.trace)
    if not lines:
        raise NeedsPerson(NO_MESSAGES, remedy=KEEP_LONGER)
    if capture is not None:
        redactor = None if numbers else Redactor()
        with capture.open("x", encoding="utf-8") as file:
            file.writelines(as_capture(lines, redactor))
        print(f"{len(lines)} lines in {capture}", file=sys.stderr)
    elif raw:
        sys.stdout.writelines(as_capture(lines, None if numbers else Redactor()))
    else:
        sys.stdout.writelines(f"{sentence}\n" for sentence in in_words(lines))
    return 0


# -- in words ------------------------------------------------------------------------------------------------------


def in_words(lines: Sequence[Line]) -> Iterator[str]:
    """One sentence for each thing the lines say, with its time (UTC)."""
    teller = Teller(Numbering())
    for line in lines:
        source = "CEL: " if "cel" in line else ""
        for signal in teller.signals_of(line):
            words = WORDS.get(type(signal))
            if words is not None:
                at = datetime.fromtimestamp(signal.at, UTC).strftime("%H:%M:%S.%f")[:-3]
                yield f"{at}  {source}{words(signal)}"


def _who(look: s.Look | None) -> str:
    if look is None:
        return "somebody unknown"
    number = f" ({look.number})" if look.number and look.number not in look.name else ""
    return f"{look.name}{number}"


def _changed(signal: s.ChannelChanged) -> str:
    state = {"Up": "is answered", "Ringing": "rings", "Ring": "dials"}.get(signal.look.state, "is seen")
    return f"{_who(signal.look)} {state}"


def _attended(signal: s.AttendedTransferred) -> str:
    where = f" into {signal.app}" if signal.app else ""
    failed = "" if signal.succeeded else ", which failed"
    return (
        f"{_who(signal.first)} joins {_who(signal.transferee)} and {_who(signal.target)}: "
        f"an attended transfer{where}{failed}"
    )


WORDS: dict[type[Any], Callable[[Any], str]] = {
    s.ChannelBegan: lambda x: (
        f"{_who(x.look)} begins" + (f", dialling {x.look.exten}" if x.look.exten else "")
    ),
    s.ChannelChanged: _changed,
    s.ChannelEnded: lambda x: f"{_who(x.look)} ends" + (f" (cause {x.cause})" if x.cause else ""),
    s.HangupAsked: lambda x: f"{_who(x.look)} hangs up",
    s.DialBegan: lambda x: f"{_who(x.source) if x.source else 'the PBX itself'} calls {_who(x.dest)}",
    s.DialEnded: lambda x: (
        f"calling {_who(x.dest)} comes out as {x.status or 'unknown'}"
        + (f", sent on to {x.forward}" if x.forward else "")
    ),
    s.BridgeEntered: lambda x: f"{_who(x.look)} comes into the {x.kind} bridge {x.bridge}",
    s.BridgeLeft: lambda x: f"{_who(x.look)} leaves the bridge {x.bridge}",
    s.LocalPaired: lambda x: f"{_who(x.one)} and {_who(x.two)} are two halves of one",
    s.ReferSeen: lambda x: (
        f"{_who(x.look)} uses the handset's transfer key" if x.by_handset else "transfers are told"
    ),
    s.BlindTransferred: lambda x: (
        f"{_who(x.transferer)} sends {_who(x.transferee)} blindly to {x.exten}"
        + ("" if x.succeeded else ", which failed")
    ),
    s.AttendedTransferred: _attended,
    s.PickedUp: lambda x: f"{_who(x.look)} picks up what rings at {_who(x.target)}",
    s.Parked: lambda x: f"{_who(x.look)} is parked by {x.parker or 'somebody'} in {x.slot or 'a slot'}",
    s.Unparked: lambda x: f"{_who(x.look)} leaves the parking lot: {x.how.replace('_', ' ')}",
    s.Held: lambda x: f"{_who(x.look)} puts the other side on hold",
    s.Resumed: lambda x: f"{_who(x.look)} takes the other side back",
    s.QueueJoined: lambda x: f"{_who(x.look)} joins the queue {x.queue}",
    s.QueueLeft: lambda x: (
        f"{_who(x.look)} leaves the queue {x.queue}" + (", giving up" if x.abandoned else "")
    ),
    s.QueueResult: lambda x: f"the queue lets {_who(x.look)} go: {x.status}",
    s.RecordingStarted: lambda x: f"{_who(x.look)} is recorded",
    s.RecordingNamed: lambda x: f"{_who(x.look)} was recorded",
    s.AppEntered: lambda x: f"{_who(x.look)} is served by {x.app}",
    s.ConferenceJoined: lambda x: f"{_who(x.look)} joins the conference {x.room}",
    s.ConferenceLeft: lambda x: f"{_who(x.look)} leaves the conference {x.room}",
    s.LinkLost: lambda _: "the link to the PBX is lost: nothing is seen from here on",
    s.Snapshot: lambda x: (
        "the PBX lists what lives: "
        + (", ".join(_who(one.look) for one in x.channels) or "nothing of this call")
    ),
    s.ClockSet: lambda _: "a clock was set: how long the call lasted is known only within limits",
    s.PbxStopped: lambda _: "the PBX, or what was left of the call, is gone",
}
"""What each signal says, for people."""


# -- again ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What telling a call again came to."""

    call_id: UUID
    changed: tuple[str, ...]
    """Fields that are told otherwise now; empty when nothing changed."""
    note: str = ""
    """Why it was left as it is, where it was."""
    started_at: datetime | None = None


async def recompute(settings: Settings, calls: Sequence[UUID], since: str | None) -> int:
    """Tell kept calls again and store what comes out; print what changed. Twice gives the same as once."""
    async with open_store(settings) as store:
        wanted = calls or await store.journal.ended_since(None, _day(since or ""))
        changed = 0
        done: set[UUID] = set()
        for call in wanted:
            if call in done:
                continue
            for result in await recompute_family(store, settings, call):
                done.add(result.call_id)
                changed += bool(result.changed)
                told = result.note or (", ".join(result.changed) if result.changed else "as before")
                print(f"{_call_line(result)}  {told}")
    print(f"{len(done)} calls told again, {changed} of them differently", file=sys.stderr)
    return 0


def _call_line(result: Recomputed) -> str:
    """Which call it is: for people its beginning, for programs its id."""
    at = f"{result.started_at:%Y-%m-%d %H:%M:%S}  " if result.started_at else ""
    return f"{result.call_id}  {at}".rstrip()


def _day(text: str) -> datetime:
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise NeedsPerson(
            f"{text} is not a day.", remedy="Write it as 2026-11-22, or with a time: 2026-11-22T09:00."
        ) from None
    return day if day.tzinfo else day.replace(tzinfo=UTC)


async def recompute_family(store: RecordsStore, settings: Settings, call: UUID) -> list[Recomputed]:
    """The call with those it shares channels with: consultations about it, or the call it was about."""
    family = await store.journal.kept(await store.journal.family(call))
    if not family:
        raise NeedsPerson(f"There is no call {call}.", remedy="Copy the id from the call's page.")
    numbering = await read_numbering(store.endpoints, settings, family[0].facts.pbx)
    told = _told_again(family, numbering)
    results: list[Recomputed] = []
    for kept in family:
        again, at = told.get(kept.id), kept.facts.started_at
        if not kept.facts.ended:
            results.append(Recomputed(kept.id, (), "left alone: it has not ended", at))
        elif not any("h" in line or "cel" in line for line in kept.trace):
            results.append(Recomputed(kept.id, (), "left alone: its messages are no longer kept", at))
        elif again is None or not again.facts.ended:
            results.append(
                Recomputed(kept.id, (), "left alone: its messages do not tell its end any more", at)
            )
        else:
            fields = _differences(kept.facts, again.facts)
            if fields:
                # Without a line behind it the statement stands, however old the messages are.
                await store.journal.record([replace(again, events=(), absorbed=(), trace=())])
            results.append(Recomputed(kept.id, fields, started_at=at))
    return results


def _told_again(family: Sequence[OpenCall], numbering: Numbering) -> dict[UUID, CallChange]:
    known = {alias: kept.id for kept in family for alias in kept.aliases}
    changes = Teller(numbering, known).tell_again(line for kept in family for line in kept.trace)
    return {change.facts.id: change for change in changes}


def _differences(before: CallFacts, after: CallFacts) -> tuple[str, ...]:
    """What is told otherwise, in words: `direction inbound → outbound`, `101 instead of alice`."""
    return differences(before.as_json(), after.as_json())

"""Whether the channel event log could close a gap: it can be read, is current, whole, and in a time that is known."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ami_bridge.cel import CelRow
from switchhook.cel_sources import cel_source
from switchhook.doctor_findings import Finding, Level, stumbled
from switchhook.setting_tables import PbxSettings
from telephony.errors import SwitchhookError
from telephony.ids import uid_order

LOOK_BACK_SECONDS = 7 * 86400.0  # a week without a single call is worth a question
CEL_SECONDS = 25.0  # a table of a busy year without an index on its time
OLD_SECONDS = 86400.0  # an office that was closed yesterday has older news; hence a notice, no fault
ZONE_SECONDS = (
    600.0  # zones differ by 15 minutes or more, a channel's id and its first row by less than a second
)
ENOUGH_ROWS = 200  # some twenty calls: what none of them has is not logged
NEEDED_KINDS = {
    "CHAN_START": "when a call begins",
    "ANSWER": "who answered",
    "HANGUP": "how a call ended",
    "BRIDGE_ENTER": "who talked with whom",
}
"""Kind of event that every office's day has → what is unknown without it."""

LOGGING = (
    "Paste asterisk-config/plain/cel_switchhook.conf into cel.conf, then: asterisk -rx 'module reload cel'."
)
ABSENT = (
    "Calls that begin and end while Switchhook is stopped or cut off are lost.",
    "Set cel_file or cel_url in its [[pbx]] table; docs/how-to/outages.md says how.",
)


async def examine_cel(pbx: PbxSettings) -> list[Finding]:
    """The log of one PBX. Raises nothing of its own."""
    area = pbx.id
    try:
        source = cel_source(pbx)
        if source is None:
            return [
                Finding(
                    Level.NOTICE, area, f"No channel event log (CEL) is configured. {ABSENT[0]}", ABSENT[1]
                )
            ]
        if pbx.cel_file is not None and (fault := _file_fault(area, pbx.cel_file)) is not None:
            return [fault]
        async with asyncio.timeout(CEL_SECONDS):
            rows = await source.since(time.time() - LOOK_BACK_SECONDS)
    except TimeoutError:
        return [
            _fault(
                area,
                "The channel event log did not answer in time.",
                "Make an index on its eventtime column.",
            )
        ]
    except SwitchhookError as trouble:
        return [_fault(area, f"The channel event log cannot be read: {trouble}", trouble.remedy or LOGGING)]
    except Exception as mistake:  # the doctor must finish the round
        return [stumbled(area, mistake)]
    return list(describe_log(area, pbx.cel_file, rows, time.time()))


def _file_fault(area: str, file: Path) -> Finding | None:
    try:
        file.stat()
        readable = os.access(file, os.R_OK)
    except PermissionError:
        readable = False
    except OSError:
        return _fault(
            area,
            f"There is no channel event log {file}.",
            "Asterisk makes it at the first call after cel.conf and cel_custom.conf were filled and loaded; else correct "
            "cel_file.",
        )
    if readable:
        return None
    return _fault(
        area,
        f"The channel event log {file} cannot be read by this user.",
        group_remedy(),
    )


def group_remedy() -> str:
    """How the service's user comes to read what Asterisk writes."""
    return (
        "Put the user who runs Switchhook into the group that owns it (often asterisk): usermod -aG asterisk switchhook; "
        "our unit has SupplementaryGroups=asterisk for it. Then restart the service."
    )


def describe_log(area: str, file: Path | None, rows: Sequence[CelRow], now: float) -> Iterator[Finding]:
    """What the rows of the last week say."""
    if not rows:
        yield _nothing(area, file)
        return
    age = now - max(row.at for row in rows)
    shift = zone_shift(rows)
    if shift:
        yield _fault(
            area,
            f"The times of the channel event log are off by {shift / 3600:+.4g} h: they are written in another time zone.",
            "Remove dateformat from cel.conf, or set usegmtime = yes for a table; then reload CEL.",
        )
    elif age > OLD_SECONDS:
        yield Finding(
            Level.NOTICE,
            area,
            f"The newest channel event is {age / 86400:.0f} days old.",
            "If calls came since, look whether CEL is loaded: asterisk -rx 'cel show status'.",
        )
    else:
        yield Finding(
            Level.FINE, area, f"The channel event log can be read; its newest event is {_ago(age)} old."
        )
    yield from _completeness(area, rows)


def _nothing(area: str, file: Path | None) -> Finding:
    if file is not None and file.stat().st_size > 0:
        return _fault(
            area,
            f"{file} holds no channel event of the last week that can be understood.",
            "Give cel_custom.conf the line of asterisk-config/plain/cel_custom_switchhook.conf, or correct cel_file.",
        )
    return Finding(Level.NOTICE, area, "The channel event log holds nothing of the last week.", LOGGING)


def zone_shift(rows: Sequence[CelRow]) -> float:
    """By how many seconds, whole quarters of an hour, rows differ from the moment in their channel's id; 0 when not."""
    shifts = Counter(
        round((row.at - uid_order(row.look.uid)[0]) / 900.0) * 900.0
        for row in rows
        if row.kind == "CHAN_START" and uid_order(row.look.uid)[0]
    )
    if not shifts:
        return 0.0
    usual = shifts.most_common(1)[0][0]
    return usual if abs(usual) >= ZONE_SECONDS else 0.0


def _completeness(area: str, rows: Sequence[CelRow]) -> Iterator[Finding]:
    if len(rows) < ENOUGH_ROWS:
        return
    kinds = {row.kind for row in rows}
    missing = [kind for kind in NEEDED_KINDS if kind not in kinds]
    if missing:
        losses = "; ".join(f"without {kind} {NEEDED_KINDS[kind]} is unknown" for kind in missing)
        yield _fault(area, f"The channel event log is not complete: {losses}.", LOGGING)
    if not any(row.extra for row in rows):
        yield Finding(
            Level.NOTICE,
            area,
            "The channel event log has no column eventextra (extra in a table): transfers are told with less certainty.",
            "Add it to the line in cel_custom.conf, or: ALTER TABLE cel ADD COLUMN extra text.",
        )


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _fault(area: str, what: str, remedy: str) -> Finding:
    return Finding(Level.FAULT, area, what, remedy)

"""What the doctor says of a PBX's channel event log: whether it could close a gap. It is looked at in `cel_examination`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from switchhook.doctor.cel_examination import CelExamination, examine_cel_source
from switchhook.doctor.findings import Finding, Level, stumbled
from switchhook.settings.tables import PbxSettings

OLD_SECONDS = 86400.0  # an office that was closed yesterday has older news; hence a notice, no fault
ENOUGH_ROWS = 200  # some twenty calls: what none of them has is not logged
NEEDED_EVENTS = {
    "CHAN_START": "when a call begins",
    "CHAN_END": "when a phone has left it",
    "ANSWER": "who answered",
    "HANGUP": "how a call ended",
    "BRIDGE_ENTER": "who talked with whom",
    "BRIDGE_EXIT": "how long they talked",
    "LINKEDID_END": "that a call is over",
}
"""Kind of event that every office's day has → what is unknown without it."""
LOGGING = (
    "Paste asterisk-config/plain/cel_switchhook.conf into cel.conf, then: asterisk -rx 'module reload cel'."
)


async def examine_cel(pbx: PbxSettings, *, now: Callable[[], float] = time.time) -> list[Finding]:
    """The log of one PBX. Raises nothing of its own."""
    try:
        found = await examine_cel_source(pbx, now=now)
    except Exception as mistake:  # the doctor must finish the round
        return [stumbled(pbx.id, mistake)]
    if found is None:
        return [
            Finding(
                Level.NOTICE,
                pbx.id,
                "No channel event log (CEL) is configured. Calls that begin and end while Switchhook is stopped or cut off "
                "are lost.",
                "Set cel_file or cel_url in its [[pbx]] table; docs/how-to/outages.md says how.",
            )
        ]
    return list(describe_log(pbx.id, found))


def describe_log(area: str, found: CelExamination) -> Iterator[Finding]:
    """Findings in the order in which a person would mend them."""
    if found.problem is not None:
        yield Finding(Level.FAULT, area, found.problem, found.remedy)
    elif found.newest_age_seconds is None:
        yield Finding(
            Level.NOTICE, area, f"The channel event log ({found.place}) holds nothing yet.", LOGGING
        )
    else:
        yield _age(area, found.newest_age_seconds)
    if found.rows:
        yield from _times(area, found)
        yield from _completeness(area, found)


def _age(area: str, seconds: float) -> Finding:
    if seconds > OLD_SECONDS:
        return Finding(
            Level.NOTICE,
            area,
            f"The newest channel event is {seconds / 86400:.0f} days old.",
            "If calls came since, look whether CEL is loaded: asterisk -rx 'cel show status'.",
        )
    return Finding(
        Level.FINE, area, f"The channel event log can be read; its newest event is {_ago(seconds)} old."
    )


def _times(area: str, found: CelExamination) -> Iterator[Finding]:
    losses = []
    if found.zone is not None:
        losses.append(f"are local ({found.zone}), which is corrected by the ids of the calls")
    if found.whole_seconds:
        losses.append("are whole seconds, so that lengths of calls are right to a second only")
    if losses:
        yield Finding(
            Level.NOTICE,
            area,
            f"The times of the channel event log {', and '.join(losses)}.",
            "Set dateformat = %s.%6q in cel.conf (a table: usegmtime = yes), then: asterisk -rx 'module reload cel'.",
        )


def _completeness(area: str, found: CelExamination) -> Iterator[Finding]:
    enough = found.rows >= ENOUGH_ROWS
    missing = [kind for kind in found.missing_events if kind in NEEDED_EVENTS and enough]
    if missing:
        losses = "; ".join(f"without {kind} {NEEDED_EVENTS[kind]} is unknown" for kind in missing)
        yield Finding(Level.FAULT, area, f"The channel event log is not complete: {losses}.", LOGGING)
    lacking = found.empty_columns if enough else found.missing_columns
    if "extra" in lacking:
        yield Finding(
            Level.NOTICE,
            area,
            "The channel event log has no column eventextra (extra in a table): transfers are told with less certainty.",
            "Add it to the line in cel_custom.conf, or: ALTER TABLE cel ADD COLUMN extra text.",
        )
    others = [name for name in lacking if name != "extra"]
    if others:
        yield Finding(
            Level.NOTICE,
            area,
            f"The channel event log tells nothing in {', '.join(others)}: who was dialled is told with less certainty.",
            "Add what is missing to the table or to the line in cel_custom.conf, and dial to apps in cel.conf.",
        )
    if enough and not found.tells_dialling and not others:
        yield Finding(
            Level.NOTICE,
            area,
            "The channel event log has no Dial: the number of an outside line is not known until it answers.",
            "Set apps=dial,park in cel.conf, then: asterisk -rx 'module reload cel'.",
        )


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"

"""The doctor's look at a PBX's endpoints: which of them nobody can place, with the line that places them."""

from __future__ import annotations

from collections.abc import Sequence

from ami_bridge.actions import ActionChannel
from ami_bridge.doctor.doctor import Finding, Level
from ami_bridge.roster import read_endpoint_lists, read_roster
from ami_bridge.wire.connection import PbxLink
from telephony.endpoint_directory import Endpoint, pattern_of, toml_key
from telephony.errors import SwitchhookError
from telephony.numbers.numbers import Numbering

NAMES_SHOWN = 8  # in one sentence


async def examine_endpoints(link: PbxLink, numbering: Numbering) -> list[Finding]:
    """Endpoints that are neither extensions nor known as trunks. Where the PBX does not answer, others say so."""
    try:
        async with ActionChannel(link) as actions:
            listing = await read_endpoint_lists(actions)
            numbering = numbering.with_directory(numbering.directory.with_listing(listing))
            roster = await read_roster(actions, numbering)
    except SwitchhookError:
        return []
    return endpoint_findings(numbering, roster.devices, extensions=len(roster.phones))


def endpoint_findings(numbering: Numbering, devices: Sequence[Endpoint], *, extensions: int) -> list[Finding]:
    """What is to be said of these devices."""
    undecided = sorted({one.name for one in numbering.undecided(devices)})
    if not undecided:
        if not devices:
            return []
        return [Finding(Level.OK, f"{extensions} extensions; every other endpoint is a known trunk.")]
    return [Finding(_level(extensions), _sentence(undecided), _remedy(undecided))]


def _level(extensions: int) -> Level:
    """Without a single extension every call is told wrongly; a trunk that has not rung yet is no fault."""
    return Level.WARN if extensions else Level.FAULT


def _sentence(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN]) + (
        f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    )
    noun, verb, count = (
        ("endpoint", "matches", "counts as a trunk")
        if len(names) == 1
        else ("endpoints", "match", "count as trunks")
    )
    pronoun = "it" if len(names) == 1 else "they"
    return f"{len(names)} {noun} ({shown}) {verb} neither `extensions` nor a hint of the dialplan; {pronoun} {count}."


def _remedy(names: Sequence[str]) -> str:
    lines = "; ".join(f'{toml_key(name)} = "…"' for name in names[:NAMES_SHOWN])
    return (
        f"Phones: write their extensions below the [[pbx]] table, [pbx.phones] {lines} (or a hint in the dialplan: "
        f'exten => 101,hint,PJSIP/{names[0]}). Trunks: trunks = "{pattern_of(names[:NAMES_SHOWN])}" in [[pbx]]. '
        "The Staff page takes both as well."
    )

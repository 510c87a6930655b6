"""Recordings by their few interesting fields: arrivals and what the pipeline makes of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from call_records.recordings.catalogue.catalogue import Arrival
from call_records.recordings.types import PEAKS, Peaks, Processed, SourceFile, SourceRole
from telephony.recordings import Layout, Measures
from tests.call_facts_builder import MONDAY

MEASURED = Measures(
    outside_talk_share=0.4,
    ours_talk_share=0.5,
    overlap_share=0.02,
    silence_share=0.12,
    longest_silence_seconds=2.5,
    longest_silence_at_seconds=10.0,
    loudest=0.7,
)
FLAT = Peaks(left=bytes(PEAKS), right=bytes(PEAKS))


def source(name: str, role: SourceRole = SourceRole.MIX, content: str = "sound") -> SourceFile:
    """A file of the PBX; the content is only told apart by its checksum."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    path = Path(f"/spool/{name}.wav")
    return SourceFile(path=path, role=role, bytes=1000, sha256=digest, modified_at=MONDAY)


def arrival(name: str, *, content: str = "sound", sides: bool = True, **different: Any) -> Arrival:
    """The three files of the recommended dialplan, or a single mixed one."""
    files = [source(name, SourceRole.MIX, content)]
    if sides:
        files += [
            source(f"{name}-in", SourceRole.IN, f"{content} in"),
            source(f"{name}-out", SourceRole.OUT, f"{content} out"),
        ]
    return replace(Arrival(pbx="hq", name=name, files=tuple(files)), **different)


def outcome(**different: Any) -> Processed:
    """A minute of two-sided sound without a fault."""
    plain = Processed(
        audio=Path("out.m4a"),
        layout=Layout.STEREO,
        duration_seconds=60.0,
        peaks=FLAT,
        measures=MEASURED,
        faults=(),
    )
    return replace(plain, **different)

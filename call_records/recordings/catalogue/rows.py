"""A row of the table `recordings` as a `Recording`, and its JSON parts back and forth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Label, Row, select

from call_records.recordings.tables import audio_objects, recordings
from call_records.recordings.types import Hold, Recording, Redaction, Removal, SourceFile, SourceRole
from telephony.recordings import HealthFault, Layout, Measures, PersonShare, RecordingState

_HEAVY = frozenset({"peaks_left", "peaks_right"})  # 2.4 kB a row, read only for the player
_SEARCHED = frozenset({"direction", "parties", "outside_last10", "outside_reversed", "other_last10"})
HAS_ORIGINAL: Label[bool] = (
    select(audio_objects.c.key)
    .where(audio_objects.c.recording_id == recordings.c.id, audio_objects.c.kind == "original")
    .exists()
    .label("has_original")
)
COLUMNS = (*(one for one in recordings.c if one.name not in _HEAVY | _SEARCHED), HAS_ORIGINAL)
"""What a `Recording` is made of."""


def recording_from(row: Row[Any]) -> Recording:
    """The row of a query over `COLUMNS`."""
    return Recording(
        id=row.id,
        pbx=row.pbx,
        name=row.name,
        call_id=row.call_id,
        channel=row.channel,
        state=RecordingState(row.state),
        reason=row.reason,
        files=tuple(file_from(one) for one in row.files),
        outside_first=row.outside_first,
        expected_at=row.expected_at,
        arrived_at=row.arrived_at,
        ready_at=row.ready_at,
        started_at=row.started_at,
        duration_seconds=row.duration_seconds,
        layout=Layout(row.layout) if row.layout else None,
        measures=_measures(row.measures) if row.measures else None,
        faults=tuple(HealthFault(one) for one in row.faults),
        has_original=row.has_original,
        redactions=tuple(_redaction(row.id, one) for one in row.redactions),
        keep_until=row.keep_until,
        hold=_hold(row.hold),
        removal=_removal(row.removal),
        attempts=row.attempts,
    )


def files_json(files: Iterable[SourceFile]) -> list[dict[str, Any]]:
    """As the column `files` keeps them."""
    return [
        {
            "path": str(one.path),
            "role": one.role.value,
            "bytes": one.bytes,
            "sha256": one.sha256,
            "modified_at": one.modified_at.isoformat(),
        }
        for one in files
    ]


def measures_json(measures: Measures) -> dict[str, Any]:
    """As the column `measures` keeps them."""
    return asdict(measures)


def _measures(told: dict[str, Any]) -> Measures:
    people = tuple(PersonShare(**one) for one in told.get("people") or ())
    return Measures(**{**told, "people": people})


def file_from(told: dict[str, Any]) -> SourceFile:
    """One entry of the column `files`."""
    return SourceFile(
        path=Path(told["path"]),
        role=SourceRole(told["role"]),
        bytes=told["bytes"],
        sha256=told["sha256"],
        modified_at=datetime.fromisoformat(told["modified_at"]),
    )


def redaction_id(recording_id: UUID, told: dict[str, Any]) -> UUID:
    """The same for ever: from what is kept of every redaction, also of those made before they had a name."""
    return uuid5(recording_id, f"{told['at']} {told['from_seconds']} {told['to_seconds']}")


def _redaction(recording_id: UUID, told: dict[str, Any]) -> Redaction:
    by_account = told.get("by_account")
    return Redaction(
        from_seconds=told["from_seconds"],
        to_seconds=told["to_seconds"],
        by=told["by"],
        at=datetime.fromisoformat(told["at"]),
        id=redaction_id(recording_id, told),
        by_account=UUID(by_account) if by_account else None,
        destroyed=bool(told.get("destroyed")),
    )


def _hold(told: dict[str, Any] | None) -> Hold | None:
    return Hold(by=told["by"], at=datetime.fromisoformat(told["at"]), why=told["why"]) if told else None


def _removal(told: dict[str, Any] | None) -> Removal | None:
    return Removal(by=told["by"], at=datetime.fromisoformat(told["at"]), why=told["why"]) if told else None

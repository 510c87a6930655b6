"""Which call a recording belongs to: the lines of SQL the journal runs in its own transaction, and the catalogue too.

The PBX names its recordings while the call runs, so a row can wait for its files before they come; a file can also
come first, and is filed by itself when its call appears. What a person filed by hand is never moved back. The columns
the list is searched by are copied from the call whenever it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Text, Uuid, bindparam, case, func, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.db import json_text
from call_records.recordings.catalogue.file_names import bare, channel_in, recording_of
from call_records.recordings.tables import recordings
from telephony.call_facts.facts import CallFacts, PartyKind
from telephony.recordings import Layout, RecordingState

RECORDINGS_CHANNEL = "switchhook_recordings"
"""NOTIFY channel: the payload is recording ids, space between them."""
IDS_PER_NOTICE = 200  # 37 bytes each; PostgreSQL allows 7999 bytes a payload


@dataclass(frozen=True, slots=True)
class Expected:
    """A recording the PBX said it makes."""

    pbx: str
    name: str
    call_id: UUID
    channel: str | None
    outside_first: bool
    """Whether the IN file is the outside party."""
    call_at: datetime
    follows: bool = False
    """Whether it is a track of one of ours, which will be in another's recording."""


def expected_of(facts: CallFacts, call_id: UUID, uniqueids: Sequence[str]) -> list[Expected]:
    """What the call's facts say of its recordings.

    Where only a file's name is known, it is taken for one of the recommended dialplan, which records on the
    customer's channel: IN is the outside party then.
    """
    told = {name: one for one in facts.recorded if (name := recording_of(json_text.clean(one.file)))}
    names = dict.fromkeys(name for path in facts.recordings if (name := recording_of(json_text.clean(path))))
    return [
        Expected(
            pbx=facts.pbx,
            name=name,
            call_id=call_id,
            channel=json_text.clean(told[name].uniqueid) if name in told else channel_in(name, uniqueids),
            outside_first=name not in told or told[name].kind is PartyKind.OUTSIDE,
            call_at=facts.started_at,
            follows=name in told and told[name].track and told[name].kind is PartyKind.EXTENSION,
        )
        for name in {**names, **told}
    ]


async def expect(connection: AsyncConnection, expected: Sequence[Expected]) -> None:
    """Rows that wait for their files; a row that is there gets its call, unless it has one."""
    if not expected:
        return
    told = insert(recordings).values(expected_at=func.now())
    await connection.execute(
        told.on_conflict_do_update(
            constraint="recordings_once",
            set_={
                "call_id": told.excluded.call_id,
                "channel": func.coalesce(told.excluded.channel, recordings.c.channel),
                # One mixed file has no sides: then it stays NULL.
                "outside_first": case(
                    (recordings.c.outside_first.is_not(None), told.excluded.outside_first), else_=None
                ),
                "expected_at": func.coalesce(recordings.c.expected_at, func.now()),
                "listed_at": func.coalesce(recordings.c.started_at, told.excluded.listed_at),
                "layout": func.coalesce(recordings.c.layout, told.excluded.layout),
            },
            where=recordings.c.call_id.is_(None),
        ),
        [_row(one) for one in sorted(expected, key=lambda one: (one.pbx, one.name))],
    )


def _row(one: Expected) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "pbx": one.pbx,
        "name": one.name,
        "call_id": one.call_id,
        "channel": one.channel,
        "state": RecordingState.EXPECTED.value,
        "outside_first": one.outside_first,
        "listed_at": one.call_at,
        "layout": Layout.TRACK.value if one.follows else None,
    }


async def file_homeless(
    connection: AsyncConnection, channels: Iterable[tuple[str, UUID, Sequence[str]]]
) -> None:
    """Recordings of no call whose name carries one of these channels (PBX, call, Uniqueids) now belong to that call."""
    told = [(pbx, call, json_text.clean(one)) for pbx, call, uniqueids in channels for one in uniqueids]
    if told:
        pbxes, call_ids, whole = zip(*told, strict=True)
        bares = [bare(one) or one for one in whole]
        given = {"pbx": list(pbxes), "call": list(call_ids), "bare": bares, "whole": list(whole)}
        await connection.execute(_FILE, given)


_FILE = text("""
    UPDATE recordings r SET call_id = told.call, channel = told.whole
    FROM unnest(:pbx, :call, :bare, :whole) AS told (pbx, call, bare, whole)
    WHERE r.pbx = told.pbx AND r.channel = told.bare AND r.call_id IS NULL
""").bindparams(
    bindparam("pbx", type_=ARRAY(Text)),
    bindparam("call", type_=ARRAY(Uuid)),
    bindparam("bare", type_=ARRAY(Text)),
    bindparam("whole", type_=ARRAY(Text)),
)


async def copy_search_columns(connection: AsyncConnection, call_ids: Sequence[UUID]) -> None:
    """Recordings are searched by what their calls are searched by; rows that are right already are not written.

    But their parties are those who talked: whose phone only rang may not hear the recording, nor list it.
    """
    if call_ids:
        await connection.execute(_COPY, {"calls": list(call_ids)})


_COPY = text("""
    UPDATE recordings r
    SET direction = c.direction, parties = c.talked, outside_last10 = c.outside_last10,
        outside_reversed = c.outside_reversed, other_last10 = c.other_last10,
        listed_at = coalesce(r.started_at, c.started_at)
    FROM (
        SELECT *, ARRAY(
            SELECT DISTINCT leg ->> 'party' FROM jsonb_array_elements(facts -> 'legs') AS leg
            WHERE leg ->> 'kind' = 'extension' AND leg ->> 'answered_at' IS NOT NULL ORDER BY 1
        ) AS talked
        FROM calls WHERE id = ANY(:calls)
    ) c
    WHERE r.call_id = c.id
      AND (r.direction, r.parties, r.outside_last10, r.outside_reversed, r.other_last10, r.listed_at)
          IS DISTINCT FROM (c.direction, c.talked, c.outside_last10, c.outside_reversed, c.other_last10,
                            coalesce(r.started_at, c.started_at))
""").bindparams(bindparam("calls", type_=ARRAY(Uuid)))


MOVES_WITH_THE_CALL = (
    "UPDATE recordings SET call_id = :new WHERE call_id = :old",
    """
    INSERT INTO call_tags (call_id, tag) SELECT :new, tag FROM call_tags WHERE call_id = :old
    ON CONFLICT DO NOTHING
    """,
    "DELETE FROM call_tags WHERE call_id = :old",
    """
    UPDATE review_picks SET call_id = :new WHERE call_id = :old AND NOT EXISTS (
        SELECT 1 FROM review_picks p
        WHERE p.call_id = :new AND p.kind = review_picks.kind AND p.extension = review_picks.extension)
    """,
    "DELETE FROM review_picks WHERE call_id = :old",
    "UPDATE grades SET call_id = :new WHERE call_id = :old",
)
"""When two calls turn out to be one. Of two picks for the same reason the survivor's stays."""


async def notify(connection: AsyncConnection, recording_ids: Sequence[UUID]) -> None:
    """Ids only, delivered at commit: whoever listens reads the rows."""
    for first in range(0, len(recording_ids), IDS_PER_NOTICE):
        payload = " ".join(str(one) for one in recording_ids[first : first + IDS_PER_NOTICE])
        await connection.execute(_NOTIFY, {"channel": RECORDINGS_CHANNEL, "payload": payload})


_NOTIFY = text("SELECT pg_notify(:channel, :payload)")

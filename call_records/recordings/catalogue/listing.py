"""How the list of recordings is asked for: every condition on columns of the recordings themselves, one query a page.

What a call is searched by is copied to its recordings (see `filing.py`), so that the database can walk one index in
order or take one that is selective, and need not guess how two large tables fit together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    case,
    func,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.types import Text

from call_records.calls.external_number import WHOLE, typed_digits
from call_records.db.page_marks import key_of_mark
from call_records.db.tables import calls
from call_records.recordings.catalogue.rows import COLUMNS
from call_records.recordings.tables import call_tags, recordings
from call_records.recordings.types import RecordingFilter
from telephony.recordings import SOMEBODY_SHOULD_LOOK, RecordingState

NEWEST_FIRST = (recordings.c.listed_at.desc(), recordings.c.id.desc())


FEW = 500  # recordings of some extensions; so many ids are found and sorted in 3 ms, and of more a page is found soon


def matches_query(parties: frozenset[str]) -> Select[Any]:
    """How many recordings these extensions have, counted no further than FEW.

    The database cannot tell an extension with three recordings from one with thousands, and for the former walks a
    million rows in order of time (measured: 330 ms). So it is asked first, which takes 3 ms at most.
    """
    some = select(recordings.c.id).where(recordings.c.parties.overlap(sorted(parties))).limit(FEW)
    return select(func.count()).select_from(some.subquery())


def page_query(
    wanted: RecordingFilter, limit: int, mark: str | None, *, rare_parties: bool = False
) -> Select[Any]:
    """The rows of one page with their calls' facts. Raises PeerMistake for a bad mark or fewer than three digits.

    `rare_parties`: `matches_query` told fewer than FEW.
    """
    ids = (
        select(recordings.c.id).where(*_conditions(wanted, rare_parties)).order_by(*NEWEST_FIRST).limit(limit)
    )
    if mark is not None:
        ids = ids.where(tuple_(recordings.c.listed_at, recordings.c.id) < tuple_(*key_of_mark(mark)))
    return _with_calls(ids)


_OUT_OF_SIGHT = (RecordingState.REMOVED.value, RecordingState.JOINED.value)


def exception_mark() -> ColumnElement[str]:
    """What is wrong with a recording, in one text: a dismissal holds only while this stays the same."""
    row = recordings.c
    faults = func.array_to_string(row.faults, ",")
    without_call = case((row.call_id.is_(None), "no call"), else_="")
    return func.concat_ws("|", row.state, faults, without_call, func.coalesce(row.reason, ""))


def exceptions_query(limit: int, *, dismissed: bool = False) -> Select[Any]:
    """What somebody should look at. Each kind by its own index, the newest of all of them."""
    hidden = recordings.c.dismissed_as == exception_mark()
    shown = hidden if dismissed else hidden.is_not(True)
    kinds = [
        *(recordings.c.state == state.value for state in sorted(SOMEBODY_SHOULD_LOOK)),
        and_(recordings.c.call_id.is_(None), recordings.c.state.not_in(_OUT_OF_SIGHT)),
        and_(_FAULTY, recordings.c.state.not_in(_OUT_OF_SIGHT)),
        and_(recordings.c.state == RecordingState.READY.value, recordings.c.reason.is_not(None)),
    ]
    key = select(recordings.c.id, recordings.c.listed_at)
    parts = [select(key.where(kind, shown).order_by(*NEWEST_FIRST).limit(limit).subquery()) for kind in kinds]
    found = union_all(*parts).subquery()
    newest = select(found.c.id).group_by(found.c.id, found.c.listed_at)
    return _with_calls(newest.order_by(found.c.listed_at.desc(), found.c.id.desc()).limit(limit))


def _with_calls(ids: Select[Any]) -> Select[Any]:
    chosen = ids.cte("chosen").prefix_with("MATERIALIZED")
    rows = select(*COLUMNS, calls.c.facts.label("facts")).select_from(
        recordings.outerjoin(calls, calls.c.id == recordings.c.call_id)
    )
    return rows.where(recordings.c.id.in_(select(chosen.c.id))).order_by(*NEWEST_FIRST)


_FAULTY = recordings.c.faults != array([], type_=Text)


def _conditions(wanted: RecordingFilter, rare_parties: bool) -> list[ColumnElement[bool]]:
    row = recordings.c
    given: list[ColumnElement[bool]] = []
    if wanted.call_ids is not None:
        given.append(row.call_id.in_(wanted.call_ids))
    if wanted.states is not None:
        given.append(_one_of_states(wanted.states))
    else:
        given.append(row.state != RecordingState.JOINED.value)
    if wanted.since is not None:
        given.append(row.listed_at >= wanted.since)
    if wanted.until is not None:
        given.append(row.listed_at < wanted.until)
    if wanted.direction is not None:
        given.append(row.direction == wanted.direction.value)
    if wanted.parties is not None:
        theirs = row.parties.overlap(sorted(wanted.parties))
        given.append(_by_ids(select(row.id).where(theirs), "theirs") if rare_parties else theirs)
    if wanted.number is not None and wanted.number.strip():
        given.append(_with_number(typed_digits(wanted.number)))
    if wanted.fault is not None:
        given += [_FAULTY, row.faults.contains([wanted.fault.value])]
    if wanted.at_least_seconds is not None:
        given.append(row.duration_seconds >= wanted.at_least_seconds)
    if wanted.tag is not None:
        given.append(row.call_id.in_(select(call_tags.c.call_id).where(call_tags.c.tag == wanted.tag)))
    if wanted.without_call:
        given.append(row.call_id.is_(None))
    return given or [true()]


def _one_of_states(states: frozenset[RecordingState]) -> ColumnElement[bool]:
    if len(states) == 1:
        return recordings.c.state == next(iter(states)).value
    return recordings.c.state.in_(sorted(state.value for state in states))


def _with_number(digits: str) -> ColumnElement[bool]:
    """As `call_records.calls.queries` finds calls: the ids first and kept, so that a rare number walks no list."""
    row = recordings.c
    if len(digits) == WHOLE:
        found: Select[Any] | CompoundSelect[Any] = (
            select(row.id)
            .where(row.outside_last10 == digits)
            .union(select(row.id).where(row.other_last10.contains([digits])))
        )
    else:
        found = select(row.id).where(row.outside_reversed.like(f"{digits[::-1]}%"))
    return _by_ids(found, "matches")


def _by_ids(found: Select[Any] | CompoundSelect[Any], name: str) -> ColumnElement[bool]:
    """The ids are found by their own index first, and kept: the planner cannot choose to walk by time instead."""
    ids = found.cte(name).prefix_with("MATERIALIZED")
    return recordings.c.id.in_(select(ids.c.id))

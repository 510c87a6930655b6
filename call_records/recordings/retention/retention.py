"""How long audio is kept, and its removal: by rule or by hand, never under a legal hold, and never half.

Removing begins with the tombstone. In one transaction the recording becomes REMOVED with who, when and why, its
waveform and comments go, its links stop opening, and what a rule removed is written into the audit log. From that
moment nobody hears it. Then the objects in the storage are destroyed and the PBX's own files deleted, where we may. A
crash or a storage that is away leaves a tombstone that still has objects; the next run finds and finishes it.

`run` does what is due every hour, a bounded batch at a time. Rows are locked one transaction long, so that two
processes share the work and a hold placed at the last moment is respected. What is due is decided again by the rules
of that moment before anything is removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Row, Uuid, bindparam, delete, func, insert, null, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import call_redirects
from call_records.recordings.catalogue import filing
from call_records.recordings.catalogue.rows import file_from
from call_records.recordings.retention.rules import (
    COUNT_DUE,
    DUE_AMONG,
    SET_ANEW,
    check_days,
    checked,
    deciding,
    keep_until,
    matter_of,
    rules_json,
)
from call_records.recordings.tables import (
    audit_log,
    call_tags,
    recording_comments,
    recording_policy,
    recordings,
    retention_rules,
    share_links,
)
from call_records.recordings.types import Recording, RetentionRule, Shelf, SourceFile
from telephony.call_facts.facts import CallFacts, Direction, iso
from telephony.edit_version import check_edit_version, edit_version
from telephony.errors import NeedsPerson, PeerMistake, SwitchhookError, TryLater
from telephony.recordings import AuditAction, RecordingPolicy, RecordingState

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3600.0  # a rule counts in days; an hour late is on time
AGAIN_SECONDS = 300.0  # after a database or storage that did not answer
BATCH = 100  # tombstones in one transaction; measured half a second to one
ANEW_BATCH = 2_000  # recordings in one transaction; at most half a second, when each of them changes
DAILY_HOURS = 24  # all is decided anew even when no rule changed: calls are merged, recordings refiled
PATIENCE_SECONDS = 5.0  # somebody waits for the page that changed a rule; measured: 25 000 changes fit
COUNT_SECONDS = 60  # a preview over a million recordings takes a few seconds
MOST_TAGS = 30  # of one call
TAG_LENGTH = 60  # characters
WHY_LENGTH = 1000  # characters; a sentence or two
OFFICE_DEFAULT = "the office's number of days"

DUE_STATES = (RecordingState.READY, RecordingState.REFUSED, RecordingState.FAILED)
"""What a rule removes: audio that can be played, and files that were kept as they came."""


@dataclass(frozen=True, slots=True)
class Done:
    """What one run did."""

    decided_anew: int
    removed: int
    finished: int
    """Removed recordings whose objects and files are gone now."""
    unfinished: str | None
    """Why some are not, in a sentence."""


class RetentionDesk:
    """Policy, rules, holds and tags over one database, and removal from one shelf."""

    def __init__(
        self,
        engine: AsyncEngine,
        shelf: Shelf,
        *,
        arrivals: Path | None = None,
        sweep: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        """`arrivals` is where remote PBXes upload to: the PBX's own copy of such a file is out of our reach.

        `sweep` takes objects away that no row names; once a day is enough.
        """
        self._engine = engine
        self._shelf = shelf
        self._arrivals = arrivals
        self._sweep = sweep
        self._anew_at: datetime | None = None

    # policy and rules

    async def policy(self) -> RecordingPolicy:
        """The office's choices; the defaults until somebody chooses."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return _policy_from(await _choices(connection))

    async def set_policy(self, policy: RecordingPolicy) -> None:
        """Store every choice. Raises PeerMistake for numbers nobody can mean."""
        check_policy(policy)
        with plain_errors():
            async with self._engine.begin() as connection:
                await _store_choices(connection, asdict(policy))
        await self.decide_anew(within_seconds=PATIENCE_SECONDS)

    async def rules(self) -> Sequence[RetentionRule]:
        """In the order they are tried."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await _rules(connection)

    async def put_rules(self, rules: Sequence[RetentionRule]) -> None:
        """Replace all rules; positions are those of the sequence. Every recording's keep_until is set anew.

        Raises PeerMistake naming the rule that cannot be. Should the process die between, the next run goes on.
        """
        rows = [_rule_row(rule, position) for position, rule in enumerate(checked(rules))]
        with plain_errors():
            async with self._engine.begin() as connection:
                await _store_choices(connection, {})
                await connection.execute(delete(retention_rules))
                if rows:
                    await connection.execute(insert(retention_rules), rows)
        await self.decide_anew(within_seconds=PATIENCE_SECONDS)

    async def set_all(
        self, policy: RecordingPolicy, rules: Sequence[RetentionRule], *, seen: str | None = None
    ) -> None:
        """The policy and the rules in one step, so that no recording is judged by half of them.

        Raises PeerMistake as `set_policy` and `put_rules`, ChangedMeanwhile unless `retention_version` of what holds is
        still `seen`.
        """
        check_policy(policy)
        rows = [_rule_row(rule, position) for position, rule in enumerate(checked(rules))]
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_TURNS)
                present = _policy_from(await _choices(connection)), await _rules(connection)
                check_edit_version(retention_version(*present), seen)
                await _store_choices(connection, asdict(policy))
                await connection.execute(delete(retention_rules))
                if rows:
                    await connection.execute(insert(retention_rules), rows)
        await self.decide_anew(within_seconds=PATIENCE_SECONDS)

    async def would_remove(self, rules: Sequence[RetentionRule], keep_days: int | None) -> int:
        """How many recordings these rules would remove tonight."""
        check_days(keep_days)
        given = {"rules": json_text.dumps(rules_json(checked(rules))), "keep_days": keep_days}
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(text(f"SET LOCAL statement_timeout = '{COUNT_SECONDS}s'"))
                return int(await connection.scalar(COUNT_DUE, given) or 0)

    async def keep_until_for(self, recording: Recording, call: CallFacts | None) -> datetime | None:
        """When the rules of this moment remove a recording that was just processed; None is never."""
        tags = await self.tags_of(call.id) if call else ()
        with plain_errors():
            async with self._engine.connect() as connection:
                policy = _policy_from(await _choices(connection))
                rules = await _rules(connection)
        rule = deciding(rules, matter_of(recording, call, tags))
        return keep_until(recording, rule, policy.keep_days)

    async def decide_anew(self, *, within_seconds: float | None = None) -> int:
        """Set every recording's keep_until by the rules of this moment; returns how many changed.

        What does not fit into `within_seconds` is left to the next run, which knows of it.
        """
        changed, after, began = 0, UUID(int=0), time.monotonic()
        while True:
            with plain_errors():
                async with self._engine.begin() as connection:
                    # Held until the batch is written: rules that change meanwhile decide it again afterwards.
                    choices = await _choices(connection, hold=True)
                    ids = (await connection.scalars(_NEXT_IDS, {"after": after, "rows": ANEW_BATCH})).all()
                    changed += await _set_anew(connection, ids, choices)
            if len(ids) < ANEW_BATCH:
                break
            after = ids[-1]
            if within_seconds is not None and time.monotonic() - began > within_seconds:
                return changed
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_ANEW_DONE, {"token": choices.get("anew")})
        self._anew_at = datetime.now(UTC)
        return changed

    # tags

    async def tags_of(self, call_id: UUID) -> Sequence[str]:
        """The tags of the call (or of the one it was merged into), in the order of the alphabet."""
        return (await self.tags_of_calls([call_id])).get(call_id, ())

    async def tags_of_calls(self, call_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[str]]:
        """For a page of a list: one query. Calls without a tag are left out."""
        found: dict[UUID, list[str]] = {}
        with plain_errors():
            async with self._engine.connect() as connection:
                for row in await connection.execute(_TAGS, {"ids": list(call_ids)}):
                    found.setdefault(row.asked, []).append(row.tag)
        return found

    async def set_tags(self, call_id: UUID, tags: Sequence[str]) -> None:
        """Replace the call's tags; its recordings' keep_until follows. Raises PeerMistake for too many or too long."""
        wanted = sorted({json_text.clean(tag).strip() for tag in tags} - {""})
        if len(wanted) > MOST_TAGS or any(len(tag) > TAG_LENGTH for tag in wanted):
            raise PeerMistake(
                "A call may have {most} tags of {tag_length} characters.",
                values={"most": MOST_TAGS, "tag_length": TAG_LENGTH},
            )
        with plain_errors():
            async with self._engine.begin() as connection:
                moved = select(call_redirects.c.new_id).where(call_redirects.c.old_id == call_id)
                target = await connection.scalar(moved) or call_id
                await connection.execute(delete(call_tags).where(call_tags.c.call_id == target))
                if wanted:
                    rows = [{"call_id": target, "tag": tag} for tag in wanted]
                    await connection.execute(upsert(call_tags).on_conflict_do_nothing(), rows)
                of_call = select(recordings.c.id).where(recordings.c.call_id == target)
                choices = await _choices(connection, hold=True)
                await _set_anew(connection, (await connection.scalars(of_call)).all(), choices)

    # holds

    async def place_hold(self, recording_id: UUID, *, by: str, why: str) -> None:
        """From now on nothing removes it. Raises PeerMistake when it was removed, or is held already."""
        async with self._locked(recording_id) as (connection, row):
            if row.hold is not None:
                raise PeerMistake(
                    "This recording is on hold already: {by}, {why}",
                    values={"by": row.hold["by"], "why": row.hold["why"]},
                )
            hold = {"by": json_text.clean(by), "at": iso(datetime.now(UTC)), "why": _why(why)}
            await _change(connection, recording_id, hold=hold)

    async def lift_hold(self, recording_id: UUID, *, by: str, why: str) -> None:
        """The rules apply again. Raises PeerMistake when there is no hold. Who and why are the caller's to log."""
        _why(why)
        async with self._locked(recording_id) as (connection, row):
            if row.hold is None:
                raise PeerMistake("This recording is not on hold.")
            await _change(connection, recording_id, hold=None)
            log.info("hold_lifted", recording=str(recording_id), by=by)

    # removal

    async def remove(self, recording_id: UUID, *, by: str, why: str) -> None:
        """Leave the tombstone, destroy the audio. Raises PeerMistake while a legal hold stands.

        When this returns nobody can hear it. Should the storage be away, its objects go as soon as it is back.
        """
        reason = _why(why)
        async with self._locked(recording_id) as (connection, row):
            if row.hold is not None:
                raise PeerMistake(
                    "This recording is on legal hold: {by}, {why}",
                    remedy="Lift the hold first.",
                    values={"by": row.hold["by"], "why": row.hold["why"]},
                )
            await _bury(connection, row, by=json_text.clean(by), why=reason)
        try:
            await self._finish(row.id, row.files)
        except SwitchhookError as trouble:
            log.warning("removal_unfinished", recording=str(recording_id), problem=str(trouble))

    async def run(self) -> None:
        """Do what is due, every hour, until cancelled. Trouble is logged once and tried again."""
        told: str | None = None
        while True:
            try:
                done = await self.once()
                problem = done.unfinished
                if done.removed or done.finished:
                    log.info("recordings_removed", removed=done.removed, finished=done.finished)
            except SwitchhookError as trouble:
                problem = trouble.sentence
            if problem is not None and problem != told:
                log.warning("retention_waits", problem=problem)
            told = problem
            await asyncio.sleep(EVERY_SECONDS if problem is None else AGAIN_SECONDS)

    async def once(self) -> Done:
        """One run: decide anew where that is due, remove what is due, finish what was begun."""
        daily = self._anew_at is None or datetime.now(UTC) - self._anew_at > timedelta(hours=DAILY_HOURS)
        anew = await self.decide_anew() if daily or await self._rules_changed() else 0
        removed = 0
        while (batch := await self._remove_due()) is not None:
            removed += batch
        finished, unfinished = await self._finish_all()
        if daily and self._sweep is not None and unfinished is None:
            await self._sweep()
        return Done(anew, removed, finished, unfinished)

    async def _rules_changed(self) -> bool:
        """Whether keep_until lags behind the rules: somebody changed them and could not wait, or died."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return "anew" in await _choices(connection)

    async def _remove_due(self) -> int | None:
        """A batch of tombstones; None when nothing was due."""
        row = recordings.c
        due = (
            select(recordings)
            .where(
                row.state.in_([state.value for state in DUE_STATES]),
                row.hold.is_(None),
                row.keep_until <= func.now(),
            )
            .order_by(row.keep_until)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                choices = await _choices(connection, hold=True)
                found = (await connection.execute(due)).all()
                if not found:
                    return None
                ids = [one.id for one in found]
                rules = await _rules(connection)
                # A tag or another call may say otherwise since keep_until was set.
                await _set_anew(connection, ids, choices)
                given = {"ids": ids, **_given(rules, choices)}
                still = {one.id: one.place for one in await connection.execute(DUE_AMONG, given)}
                for one in found:
                    if one.id in still:
                        await _bury_by_rule(connection, one, _deciding(rules, still[one.id]), choices)
                return len(still)

    async def _finish_all(self) -> tuple[int, str | None]:
        """Destroy what tombstones still have. A storage that does not answer ends it for now."""
        finished, after, problem = 0, UUID(int=0), None
        while True:
            with plain_errors():
                async with self._engine.connect() as connection:
                    rows = (await connection.execute(_UNFINISHED, {"rows": BATCH, "after": after})).all()
            for row in rows:
                try:
                    await self._finish(row.id, row.files)
                    finished += 1
                except NeedsPerson as trouble:
                    problem = trouble.sentence
                except TryLater as trouble:
                    return finished, trouble.sentence
            if len(rows) < BATCH:
                return finished, problem
            after = rows[-1].id

    async def _finish(self, recording_id: UUID, files: Sequence[dict[str, Any]]) -> None:
        """The objects first, then the PBX's files; what must stay is told in the tombstone."""
        await self._shelf.destroy(recording_id)
        sources = [file_from(one) for one in files]
        left = await asyncio.to_thread(_delete_sources, sources, self._arrivals)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_SOURCES_TOLD, {"id": recording_id, "left": " ".join(left)})

    @asynccontextmanager
    async def _locked(self, recording_id: UUID) -> AsyncIterator[tuple[AsyncConnection, Row[Any]]]:
        """A transaction that holds one recording which was not removed. Raises PeerMistake for any other."""
        wanted = select(recordings).where(recordings.c.id == recording_id).with_for_update()
        with plain_errors():
            async with self._engine.begin() as connection:
                row = (await connection.execute(wanted)).one_or_none()
                if row is None:
                    raise PeerMistake("There is no such recording.")
                if row.state == RecordingState.REMOVED:
                    raise PeerMistake(
                        "This recording was removed: {by}, {why}",
                        values={"by": row.removal["by"], "why": row.removal["why"]},
                    )
                yield connection, row


async def _bury_by_rule(
    connection: AsyncConnection, row: Row[Any], rule: RetentionRule | None, choices: Mapping[str, Any]
) -> None:
    days = rule.keep_days if rule else _policy_from(choices).keep_days
    by = f"rule: {(rule.note or f'number {rule.position + 1}') if rule else OFFICE_DEFAULT}"
    why = f"Kept {days} days since {row.listed_at.astimezone(UTC):%Y-%m-%d}."
    await _bury(connection, row, by=by, why=why)
    line = {
        "who": by,
        "action": AuditAction.REMOVED.value,
        "recording_id": row.id,
        "call_id": row.call_id,
        "seconds": row.duration_seconds,
        "reason": why,
        "details": {"pbx": row.pbx, "name": row.name, "rule": str(rule.id) if rule else None},
    }
    await connection.execute(insert(audit_log).values(line))


async def _bury(connection: AsyncConnection, row: Row[Any], *, by: str, why: str) -> None:
    """The tombstone. The names of the PBX's files stay, so that a file seen again is known to be removed."""
    of_it = share_links.c.recording_id == row.id
    await _change(
        connection,
        row.id,
        state=RecordingState.REMOVED.value,
        reason=None,
        removal={"by": by, "at": iso(datetime.now(UTC)), "why": why},
        peaks_left=None,
        peaks_right=None,
        faults=[],
        keep_until=None,
        claimed_until=None,
    )
    await connection.execute(delete(recording_comments).where(recording_comments.c.recording_id == row.id))
    await connection.execute(
        update(share_links).where(of_it, share_links.c.revoked_at.is_(None)).values(revoked_at=func.now())
    )


async def _change(connection: AsyncConnection, recording_id: UUID, **values: Any) -> None:
    nothing = {name: null() for name, value in values.items() if value is None}  # SQL's NULL, not JSON's
    await connection.execute(
        update(recordings).where(recordings.c.id == recording_id).values(**(values | nothing))
    )
    await filing.notify(connection, [recording_id])


_TURNS = text("LOCK TABLE retention_rules IN SHARE ROW EXCLUSIVE MODE")


def check_policy(policy: RecordingPolicy) -> None:
    """Raises PeerMistake for numbers nobody can mean."""
    check_days(policy.keep_days)
    check_days(policy.remove_at_pbx_after_days)
    check_days(policy.link_days_most)
    if policy.link_days_most < 1:
        raise PeerMistake("A link lives for a day at least.")


def retention_version(policy: RecordingPolicy, rules: Sequence[RetentionRule]) -> str:
    """The edit version of everything that decides how long sound is kept; a rule's id is made anew by each form."""
    return edit_version((policy, [{**asdict(rule), "id": None} for rule in rules]))


async def _choices(connection: AsyncConnection, *, hold: bool = False) -> dict[str, Any]:
    """What the policy row holds: the fields of RecordingPolicy, and `anew` while keep_until lags behind the rules."""
    wanted = select(recording_policy.c.choices)
    found = await connection.scalar(wanted.with_for_update(read=True) if hold else wanted)
    return dict(found or {})


async def _store_choices(connection: AsyncConnection, given: Mapping[str, Any]) -> None:
    stored = await connection.scalar(select(recording_policy.c.choices).with_for_update())
    choices = {**(stored or {}), **given, "anew": uuid4().hex}
    await connection.execute(
        upsert(recording_policy)
        .values(choices=choices)
        .on_conflict_do_update(index_elements=["one"], set_={"choices": choices})
    )


def _policy_from(choices: Mapping[str, Any]) -> RecordingPolicy:
    known = {one.name for one in fields(RecordingPolicy)}
    return RecordingPolicy(**{name: choice for name, choice in choices.items() if name in known})


async def _rules(connection: AsyncConnection) -> list[RetentionRule]:
    rows = await connection.execute(select(retention_rules).order_by(retention_rules.c.position))
    return [
        RetentionRule(
            id=row.id,
            position=row.position,
            direction=Direction(row.direction) if row.direction else None,
            number=row.number,
            extension=row.extension,
            tag=row.tag,
            shorter_than_seconds=row.shorter_than_seconds,
            keep_days=row.keep_days,
            note=row.note,
        )
        for row in rows
    ]


def _rule_row(rule: RetentionRule, position: int) -> dict[str, Any]:
    return {
        "id": rule.id,
        "position": position,
        "direction": rule.direction.value if rule.direction else None,
        "number": rule.number,
        "extension": json_text.clean(rule.extension) if rule.extension else None,
        "tag": json_text.clean(rule.tag) if rule.tag else None,
        "shorter_than_seconds": rule.shorter_than_seconds,
        "keep_days": rule.keep_days,
        "note": json_text.clean(rule.note),
    }


def _given(rules: Sequence[RetentionRule], choices: Mapping[str, Any]) -> dict[str, Any]:
    return {"rules": json_text.dumps(rules_json(rules)), "keep_days": _policy_from(choices).keep_days}


async def _set_anew(connection: AsyncConnection, ids: Sequence[UUID], choices: Mapping[str, Any]) -> int:
    given = {"ids": list(ids), **_given(await _rules(connection), choices)}
    return int((await connection.execute(SET_ANEW, given)).rowcount)


def _deciding(rules: Sequence[RetentionRule], place: int | None) -> RetentionRule | None:
    return None if place is None else rules[place]


def _why(why: str) -> str:
    told = json_text.clean(why).strip()[:WHY_LENGTH]
    if not told:
        raise PeerMistake("Say why.", remedy="A sentence is enough; it is kept.")
    return told


def _delete_sources(files: Sequence[SourceFile], arrivals: Path | None) -> list[str]:
    """Delete the PBX's files that are still what was taken in; a sentence for each copy that stays."""
    told = [sentence for one in files if (sentence := _delete_source(one)) is not None]
    if arrivals is not None and any(one.path.is_relative_to(arrivals) for one in files):
        told.append("The PBX is another machine; whether it has its own copy yet is not known here.")
    return told


def _delete_source(file: SourceFile) -> str | None:
    try:
        found = file.path.lstat()
        same = stat.S_ISREG(found.st_mode) and found.st_size == file.bytes
        if not (same and _digest(file.path) == file.sha256):
            return f"At the PBX {file.path.name} is another file now; it was left alone."
        file.path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as refusal:
        return f"The PBX's own copy {file.path.name} stays: {refusal.strerror}."
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_NEXT_IDS = text("""
    SELECT id FROM recordings WHERE id > :after AND state <> 'removed' ORDER BY id LIMIT :rows
""").bindparams(bindparam("after", type_=Uuid))

_ANEW_DONE = text("""
    UPDATE recording_policy SET choices = choices - 'anew' WHERE choices->>'anew' = CAST(:token AS text)
""")

_TAGS = text("""
    SELECT asked.id AS asked, t.tag FROM unnest(CAST(:ids AS uuid[])) AS asked(id)
    LEFT JOIN call_redirects moved ON moved.old_id = asked.id
    JOIN call_tags t ON t.call_id = coalesce(moved.new_id, asked.id)
    ORDER BY t.tag
""")

_UNFINISHED = text("""
    SELECT id, files FROM recordings
    WHERE state = 'removed' AND removal->>'sources' IS NULL AND id > :after ORDER BY id LIMIT :rows
""").bindparams(bindparam("after", type_=Uuid))

_SOURCES_TOLD = text("""
    UPDATE recordings
    SET removal = removal || CASE
            WHEN CAST(:left AS text) = '' THEN jsonb_build_object('sources', 'gone')
            ELSE jsonb_build_object('sources', 'left', 'why', (removal->>'why') || ' ' || CAST(:left AS text))
        END,
        source_removed_at = CASE WHEN CAST(:left AS text) = '' THEN now() ELSE source_removed_at END
    WHERE id = :id AND removal->>'sources' IS NULL
""").bindparams(bindparam("id", type_=Uuid))
"""`sources` marks a removal that is finished: no object is left, and the PBX's files are gone or told of."""

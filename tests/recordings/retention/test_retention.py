"""How long audio is kept, what removes it, and what a removal leaves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from call_records.recordings.retention.retention import RetentionDesk
from call_records.recordings.retention.rules import checked
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.tables import recordings
from call_records.recordings.types import AuditFilter, Peaks, Processed, RetentionRule
from call_records.store import RecordsStore, open_records
from telephony.call_facts.facts import CallFacts, Direction, PartyKind
from telephony.errors import PeerMistake, TryLater
from telephony.recordings import AuditAction, Layout, Measures, RecordingPolicy, RecordingState
from tests.call_facts_builder import call, change, leg, outbound
from tests.postgres_fixtures import TEMPLATE, own_database
from tests.recordings.rows import a_recording, an_account, some_audio

pytestmark = pytest.mark.postgres

LONG_AGO = datetime.now(UTC) - timedelta(days=400)
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
async def office(database_url: str, tmp_path: Path) -> AsyncIterator[RecordsStore]:
    """The store with a local shelf."""
    async with open_records(database_url, migrate=False, audio=AudioSettings(tmp_path / "audio")) as store:
        yield store


def a_rule(keep_days: int | None, **conditions: Any) -> RetentionRule:
    nothing: dict[str, Any] = {
        "direction": None,
        "number": None,
        "extension": None,
        "tag": None,
        "shorter_than_seconds": None,
        "note": "",
    }
    return RetentionRule(id=uuid4(), position=0, keep_days=keep_days, **(nothing | conditions))


def desk_of(records: RecordsStore) -> RetentionDesk:
    assert isinstance(records.retention, RetentionDesk)
    return records.retention


async def heard(records: RecordsStore, tmp_path: Path, at: datetime = LONG_AGO, **columns: Any) -> UUID:
    """A playable recording of that moment, its audio on the shelf."""
    recording = await a_recording(records, listed_at=at, started_at=at, **columns)
    await records.shelf.keep(recording, some_audio(tmp_path, 5_000)[0])
    return recording


async def of(records: RecordsStore, recording: UUID) -> Any:
    async with records.engine.connect() as connection:
        return (await connection.execute(select(recordings).where(recordings.c.id == recording))).one()


async def test_the_office_starts_with_defaults_and_keeps_what_it_chooses(office: RecordsStore) -> None:
    """Nobody chose anything yet; then somebody did."""
    assert await office.retention.policy() == RecordingPolicy()
    chosen = RecordingPolicy(
        reason_required=True,
        keep_days=None,
        destroy_redacted_original=True,
        link_days_most=3,
        remove_at_pbx_after_days=7,
    )
    await office.retention.set_policy(chosen)
    assert await office.retention.policy() == chosen
    for wrong in (RecordingPolicy(keep_days=-1), RecordingPolicy(link_days_most=0)):
        with pytest.raises(PeerMistake):
            await office.retention.set_policy(wrong)


async def test_what_is_due_is_removed_and_leaves_a_tombstone(office: RecordsStore, tmp_path: Path) -> None:
    """A recording of last year goes by the office's year; yesterday's stays. The audit log tells it."""
    old, fresh = await heard(office, tmp_path), await heard(office, tmp_path, YESTERDAY)
    author = await an_account(office)
    await office.comments.add(recording_id=old, account_id=author.id, at_seconds=1, text="rude")
    await office.links.make(
        recording_id=old,
        token_hash=b"h",
        from_seconds=None,
        to_seconds=None,
        made_by=author.id,
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    await desk_of(office).decide_anew()
    done = await desk_of(office).once()
    assert (done.removed, done.finished, done.unfinished) == (1, 1, None)
    row = await of(office, old)
    assert (row.state, row.peaks_left, row.keep_until) == ("removed", None, None)
    tombstone = await office.recordings.one(old)
    assert tombstone is not None
    assert tombstone.removal is not None
    assert tombstone.removal.by == "rule: the office's number of days"
    assert tombstone.removal.why == f"Kept 365 days since {LONG_AGO:%Y-%m-%d}."
    assert await office.shelf.size(old) is None
    assert await office.comments.of_recording(old) == []
    assert await office.links.find(b"h") is None
    assert [one.revoked_at is None for one in await office.links.of_recording(old)] == [False]
    (line,) = await office.audit.page(AuditFilter(recording_id=old))
    assert (line.action, line.who, line.reason) == (
        AuditAction.REMOVED,
        tombstone.removal.by,
        tombstone.removal.why,
    )
    assert await office.shelf.size(fresh) == 5_000
    assert (await desk_of(office).once()).removed == 0


async def test_the_first_rule_that_holds_decides(office: RecordsStore, tmp_path: Path) -> None:
    """A complaint is kept for ever, short calls go at once, the boss's phone is never kept, the rest for a year."""
    facts = {name: call(to=to) for name, to in (("complaint", "101"), ("boss", "100"), ("short", "101"))}
    await office.journal.record([change(one) for one in facts.values()])
    made = {
        name: await heard(office, tmp_path, YESTERDAY, call_id=facts[name].id, duration_seconds=seconds)
        for name, seconds in (("complaint", 4.0), ("boss", 60.0), ("short", 4.0))
    }
    await office.retention.set_tags(facts["complaint"].id, ["complaint"])
    rules = [
        a_rule(None, tag="complaint", note="complaints"),
        a_rule(0, extension="100", note="the boss"),
        a_rule(0, shorter_than_seconds=5.0, note="wrong numbers"),
    ]
    assert await office.retention.would_remove(rules, 365) == 2
    assert await office.retention.would_remove(rules[:1], 365) == 0
    await office.retention.put_rules(rules)
    assert [(one.position, one.note) for one in await office.retention.rules()] == [
        (0, "complaints"),
        (1, "the boss"),
        (2, "wrong numbers"),
    ]
    assert (await desk_of(office).once()).removed == 2
    assert (await of(office, made["complaint"])).state == "ready"
    assert (await of(office, made["boss"])).removal["by"] == "rule: the boss"
    assert (await of(office, made["short"])).removal["by"] == "rule: wrong numbers"


async def test_a_tag_changes_how_long_a_recording_is_kept(office: RecordsStore, tmp_path: Path) -> None:
    """The supervisor tags a call, through its old id; the tag is taken back later."""
    facts, consultation = call(), call(to="102")
    await office.journal.record([change(facts), change(consultation)])
    await office.journal.record([change(facts, at_seconds=1, absorbed=[consultation.id])])
    recording = await heard(office, tmp_path, YESTERDAY, call_id=facts.id)
    await office.retention.put_rules([a_rule(None, tag="contract")])
    assert (await of(office, recording)).keep_until == YESTERDAY + timedelta(days=365)
    await office.retention.set_tags(consultation.id, ["contract", " contract", "", "vip"])
    assert await office.retention.tags_of(facts.id) == ["contract", "vip"]
    assert await office.retention.tags_of_calls([consultation.id, uuid4()]) == {
        consultation.id: ["contract", "vip"]
    }
    assert (await of(office, recording)).keep_until is None
    await office.retention.set_tags(facts.id, [])
    assert (await of(office, recording)).keep_until == YESTERDAY + timedelta(days=365)
    with pytest.raises(PeerMistake):
        await office.retention.set_tags(facts.id, ["x" * 61])


async def test_nothing_is_removed_under_a_legal_hold(office: RecordsStore, tmp_path: Path) -> None:
    """A lawyer asks for a recording that is due tonight: no rule and no hand removes it until the hold is lifted."""
    recording = await heard(office, tmp_path)
    await office.retention.place_hold(recording, by="Anna", why="the court asked")
    await desk_of(office).decide_anew()
    assert await office.retention.would_remove([], 0) == 0
    assert (await desk_of(office).once()).removed == 0
    with pytest.raises(PeerMistake, match="the court asked"):
        await office.retention.remove(recording, by="Boris", why="the customer wishes")
    with pytest.raises(PeerMistake, match="already"):
        await office.retention.place_hold(recording, by="Boris", why="me too")
    held = await office.recordings.one(recording)
    assert held is not None
    assert held.hold is not None
    assert (held.hold.by, held.hold.why) == ("Anna", "the court asked")
    await office.retention.lift_hold(recording, by="Anna", why="closed")
    with pytest.raises(PeerMistake):
        await office.retention.lift_hold(recording, by="Anna", why="again")
    assert (await desk_of(office).once()).removed == 1


async def test_a_hand_removes_with_who_and_why(office: RecordsStore, tmp_path: Path) -> None:
    """The customer asks to be forgotten; clips and the unredacted original go too. A reason must be given."""
    recording, link = await heard(office, tmp_path, YESTERDAY), uuid4()
    file, _ = some_audio(tmp_path, 100)
    await office.shelf.keep(recording, file, kind="original")
    await office.shelf.keep(recording, file, kind=f"clip:{link}")
    with pytest.raises(PeerMistake, match="why"):
        await office.retention.remove(recording, by="Anna", why="  ")
    await office.retention.remove(recording, by="Anna", why="asked to be forgotten")
    assert await office.shelf.read_clip(link) is None
    assert await office.shelf.size(recording, original=True) is None
    row = await of(office, recording)
    assert (row.removal["by"], row.removal["why"]) == ("Anna", "asked to be forgotten")
    assert await office.audit.page(AuditFilter(recording_id=recording)) == []
    for again in (recording, uuid4()):
        with pytest.raises(PeerMistake):
            await office.retention.remove(again, by="Anna", why="again")
        with pytest.raises(PeerMistake):
            await office.retention.place_hold(again, by="Anna", why="again")
    with pytest.raises(PeerMistake, match="removed"):
        await office.shelf.keep(recording, file)


async def test_what_was_begun_before_a_removal_comes_too_late(office: RecordsStore, tmp_path: Path) -> None:
    """The worker had stored the audio and was about to say so when somebody removed the recording."""
    recording = await heard(office, tmp_path, YESTERDAY)
    await office.retention.remove(recording, by="Anna", why="asked to be forgotten")
    measures = Measures(0.5, 0.4, 0.1, 0.2, 3.0, 7.0, 0.8)
    outcome = Processed(tmp_path, Layout.STEREO, 60.0, Peaks(b"1", b"2"), measures, ())
    await office.catalogue.processed(recording, outcome, YESTERDAY, None)
    await office.catalogue.failed(recording, "the worker died")
    row = await of(office, recording)
    assert (row.state, row.peaks_left, row.removal["by"]) == ("removed", None, "Anna")


class BrokenShelf:
    """A storage that is away."""

    async def destroy(self, recording_id: UUID, *, only: str | None = None) -> None:
        raise TryLater("The storage does not answer.")


async def test_a_storage_that_is_away_delays_only_the_objects(office: RecordsStore, tmp_path: Path) -> None:
    """S3 is down in the hour of removal, and the process dies: nobody hears it; the next run takes the objects."""
    by_rule, by_hand = await heard(office, tmp_path), await heard(office, tmp_path, YESTERDAY)
    away = RetentionDesk(office.engine, BrokenShelf())  # type: ignore[arg-type]
    await away.remove(by_hand, by="Anna", why="asked to be forgotten")
    done = await away.once()
    assert (done.removed, done.finished, done.unfinished) == (1, 0, "The storage does not answer.")
    assert await office.shelf.size(by_rule) == 5_000
    assert [(await of(office, one)).state for one in (by_rule, by_hand)] == ["removed", "removed"]
    assert (await desk_of(office).once()).finished == 2
    assert await office.shelf.size(by_rule) is None
    assert (await desk_of(office).once()).finished == 0


def a_source(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {
        "path": str(file),
        "role": "mix",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "modified_at": LONG_AGO.isoformat(),
    }


async def test_the_files_of_the_pbx_go_too_if_they_are_still_the_same(
    office: RecordsStore, tmp_path: Path
) -> None:
    """One is as it was, one was replaced by another recording, one is gone, one is in a place we may not write."""
    same, other, gone, uploaded = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav", "d.wav"))
    for file in (same, other, gone, uploaded):
        file.write_bytes(b"RIFF" + file.name.encode())
    sources = [a_source(one) for one in (same, other, gone)]
    other.write_bytes(b"RIFF" + b"x.wav")
    gone.unlink()
    recording = await heard(office, tmp_path, files=sources)
    await office.retention.remove(recording, by="Anna", why="Wrong number.")
    assert not same.exists()
    assert other.exists()
    row = await of(office, recording)
    assert row.removal["why"] == "Wrong number. At the PBX b.wav is another file now; it was left alone."
    assert row.source_removed_at is None
    assert len(row.files) == 3


async def test_a_recording_that_was_refused_goes_by_the_same_rules(
    office: RecordsStore, tmp_path: Path
) -> None:
    """A file that cannot be read is kept as it came, but not for ever."""
    file = tmp_path / "broken.wav"
    file.write_bytes(b"not audio")
    refused = await a_recording(
        office, RecordingState.REFUSED, listed_at=LONG_AGO, started_at=None, files=[a_source(file)]
    )
    assert (await desk_of(office).once()).removed == 1
    assert (await of(office, refused)).state == "removed"
    assert not file.exists()


async def test_rules_that_were_stored_by_a_process_that_died_are_applied_by_the_next(
    office: RecordsStore, database_url: str, tmp_path: Path
) -> None:
    """keep_until lags behind the rules: what became due meanwhile goes, what a rule now protects stays."""
    first, second = call(), call(to="102")
    await office.journal.record([change(first), change(second)])
    protected = await heard(office, tmp_path, YESTERDAY, call_id=first.id)
    due = await heard(office, tmp_path, YESTERDAY, call_id=second.id)
    await desk_of(office).once()
    await office.retention.put_rules([a_rule(None, extension="101"), a_rule(0)])
    async with office.engine.begin() as connection:  # as the dead process left it
        await connection.execute(
            update(recordings)
            .where(recordings.c.id == protected)
            .values(keep_until=datetime.now(UTC) - timedelta(hours=1))
        )
        await connection.execute(update(recordings).where(recordings.c.id == due).values(keep_until=None))
    assert (await RetentionDesk(office.engine, office.shelf).once()).removed == 1
    assert (await of(office, protected)).state == "ready"
    assert (await of(office, due)).state == "removed"


async def test_two_processes_share_the_work(office: RecordsStore, tmp_path: Path) -> None:
    """Both wake at the same minute: each recording is removed once, each has one line in the log."""
    made = [await a_recording(office, listed_at=LONG_AGO) for _ in range(7)]
    desks = [RetentionDesk(office.engine, office.shelf) for _ in range(2)]
    await desks[0].decide_anew()
    done = await asyncio.gather(*(one.once() for one in desks))
    assert sum(one.removed for one in done) == 7
    lines = await office.audit.page(AuditFilter(action=AuditAction.REMOVED))
    assert sorted(one.recording_id for one in lines if one.recording_id) == sorted(made)


@pytest.mark.parametrize(
    "wrong",
    [
        a_rule(-1),
        a_rule(1_000_000),
        a_rule(1, number="+7 916"),
        a_rule(1, number="*"),
        a_rule(1, shorter_than_seconds=0.0),
        a_rule(1, shorter_than_seconds=float("nan")),
        a_rule(1, tag=" "),
        a_rule(1, note="x" * 201),
    ],
)
def test_a_rule_nobody_can_mean_is_refused_by_its_number(wrong: RetentionRule) -> None:
    """The page shows which of the rules is meant."""
    with pytest.raises(PeerMistake, match="Rule 2"):
        checked([a_rule(None), wrong])


NUMBERS = ("+79161110005", "+79161110006", "+74951110005", "112", "89161110005")
some = st.sampled_from
CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "direction": some(list(Direction)),
    "number": some([*NUMBERS, "+7916*", "+7*", "89*", "11*"]),
    "extension": some(["101", "102"]),
    "tag": some(["vip", "complaint"]),
    "shorter_than_seconds": some([5.0, 60.0]),
}


@st.composite
def rules_of_any_kind(draw: st.DrawFn) -> list[RetentionRule]:
    """Up to four rules with one or two conditions each, every one with days of its own."""
    named = draw(st.lists(st.sets(some(sorted(CONDITIONS)), min_size=1, max_size=2), min_size=1, max_size=4))
    return [
        a_rule(place, **{name: draw(CONDITIONS[name]) for name in sorted(names)})
        for place, names in enumerate(named, start=1)
    ]


@st.composite
def calls_of_any_kind(draw: st.DrawFn) -> CallFacts | None:
    kind = draw(some(["none", "in", "out", "withheld"]))
    phone = draw(some(["101", "102", "103"]))
    if kind == "none":
        return None
    if kind == "out":
        return outbound(draw(some(NUMBERS)), by=phone)
    facts = call(None if kind == "withheld" else draw(some(NUMBERS)), to=phone)
    further = draw(st.none() | some(NUMBERS))
    if further is None:
        return facts
    return replace(facts, legs=(*facts.legs, leg(further, kind=PartyKind.OUTSIDE)))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rules=rules_of_any_kind(),
    keep_days=st.none() | st.just(400),
    facts=calls_of_any_kind(),
    tags=st.sets(some(["vip", "complaint", "other"])),
    seconds=st.none() | some([4.0, 5.0, 60.0]),
)
def test_one_and_all_are_decided_alike(
    rule_examples: RuleExamples,
    rules: list[RetentionRule],
    keep_days: int | None,
    facts: CallFacts | None,
    tags: set[str],
    seconds: float | None,
) -> None:
    """Whatever the rules and the call: what processing computes is what the database computes for all."""
    one, all_of_them = rule_examples.decide(rules, keep_days, facts, tags, seconds)
    assert one == all_of_them


class RuleExamples:
    """Many examples over one database, each with a recording of its own."""

    def __init__(self, runner: asyncio.Runner, records: RecordsStore) -> None:
        self._runner = runner
        self._records = records

    def decide(
        self,
        rules: list[RetentionRule],
        keep_days: int | None,
        facts: CallFacts | None,
        tags: set[str],
        seconds: float | None,
    ) -> tuple[datetime | None, datetime | None]:
        """keep_until as processing computes it, and as the database does."""
        return self._runner.run(self._decide(rules, keep_days, facts, tags, seconds))

    async def _decide(
        self,
        rules: list[RetentionRule],
        keep_days: int | None,
        facts: CallFacts | None,
        tags: set[str],
        seconds: float | None,
    ) -> tuple[datetime | None, datetime | None]:
        records = self._records
        if facts is not None:
            await records.journal.record([change(facts)])
            await records.retention.set_tags(facts.id, sorted(tags))
        made = await a_recording(
            records, call_id=facts.id if facts else None, duration_seconds=seconds, listed_at=LONG_AGO,
            started_at=LONG_AGO,
        )  # fmt: skip
        await records.retention.set_policy(RecordingPolicy(keep_days=keep_days))
        await records.retention.put_rules(rules)
        stored = await records.recordings.one(made)
        assert stored is not None
        return await desk_of(records).keep_until_for(stored, facts), stored.keep_until


@pytest.fixture
def rule_examples(postgres_server: str) -> Any:
    """A database for all examples of one test, outside of the test's own event loop."""
    with asyncio.Runner() as runner:
        databases = own_database(postgres_server, TEMPLATE)
        url = runner.run(anext(databases))
        opened = open_records(url, migrate=False)
        records = runner.run(opened.__aenter__())
        yield RuleExamples(runner, records)
        runner.run(opened.__aexit__(None, None, None))
        runner.run(anext(databases, None))

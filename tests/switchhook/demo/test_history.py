"""The two weeks before the demo: believable, always the same, relative to now, and never there twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from call_records.crm.types import ClientFilter, Stage
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import RecordingFilter
from call_records.store import RecordsStore, open_records
from call_records.types import Account
from switchhook.demo import history, past_calls
from switchhook.demo.contacts import demo_entries, is_known
from switchhook.demo.demo import DEMO_LOGINS, TEAMS
from switchhook.demo.history import add_history, finish_history
from switchhook.demo.past_calls import DAYS, HOURS_OF_DAY, SOUND_SECONDS, TODAY_HOURS, build_past_calls
from switchhook.demo.sounds import Conversation, write_conversations
from switchhook.lab.staff import STAFF
from telephony.call_facts.facts import CallFacts, Direction, Disposition, PartyKind, facts_from_json
from telephony.hours import is_open
from telephony.recordings import RecordingState
from telephony.staff import PopPreference

MOSCOW = ZoneInfo("Europe/Moscow")
MOMENTS = {
    "a Monday morning": datetime(2026, 11, 30, 6, 10, tzinfo=UTC),
    "a Sunday night": datetime(2026, 11, 29, 1, 0, tzinfo=UTC),
    "New Year": datetime(2027, 1, 1, 12, 0, tzinfo=UTC),
    "the hour that comes twice": datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
}


@pytest.fixture(params=list(MOMENTS.values()), ids=list(MOMENTS))
def until(request: pytest.FixtureRequest) -> datetime:
    moment: datetime = request.param
    return moment


def test_two_weeks_of_calls_that_end_before_now(until: datetime) -> None:
    """Whenever the demo begins: enough calls of every kind, on every working day, the last of them some minutes ago."""
    calls = build_past_calls(until, MOSCOW)
    assert 300 <= len(calls) <= 600
    assert calls == build_past_calls(until, MOSCOW)  # the same every time
    assert len({one.id for one in calls}) == len(calls)
    assert all(until - timedelta(days=DAYS + 1) <= one.started_at for one in calls)
    assert all(one.ended_at is not None and one.started_at < one.ended_at <= until for one in calls)
    assert until - calls[-1].started_at < timedelta(hours=1)
    days = Counter(one.started_at.astimezone(MOSCOW).date() for one in calls)
    last = until.astimezone(MOSCOW).date()
    back = [last - timedelta(days=ago) for ago in range(1, DAYS)]
    assert [day for day in back if days[day] < (15 if day.weekday() < 5 else 1)] == []
    kinds = Counter((one.direction, one.disposition) for one in calls)
    for wanted in (Disposition.ANSWERED, Disposition.MISSED, Disposition.ABANDONED, Disposition.VOICEMAIL):
        assert kinds[Direction.INBOUND, wanted] >= 3, wanted
    assert kinds[Direction.OUTBOUND, Disposition.ANSWERED] > 50
    assert sum(bool(one.transfers) for one in calls) >= 5
    assert sum(bool(one.holds) for one in calls) >= 5


def test_calls_of_earlier_days_are_in_the_hours_of_the_office(until: datetime) -> None:
    """By the office's clock; a callback may take until the evening."""
    before = until - timedelta(hours=TODAY_HOURS)
    hours = Counter(
        one.started_at.astimezone(MOSCOW).hour
        for one in build_past_calls(until, MOSCOW)
        if one.started_at < before
    )
    assert set(hours) <= {*HOURS_OF_DAY, 18, 19, 20}
    assert sum(hours[one] for one in (18, 19, 20)) < 0.1 * sum(hours.values())


def test_calls_are_told_as_the_bridge_tells_them() -> None:
    """What a page relies on: parts that follow each other, sums that agree, JSON that can be read again."""
    for call in build_past_calls(MOMENTS["a Monday morning"], MOSCOW):
        assert facts_from_json(call.as_json()).as_json() == call.as_json()
        assert (call.talk_seconds > 0) == (call.disposition is Disposition.ANSWERED) == bool(call.answered_at)
        for leg in call.legs:
            assert leg.name == STAFF.get(leg.party), leg.party
            for one, following in pairwise(leg.intervals):
                assert one.until is not None
                assert one.until <= following.since, call
            assert all(each.until and each.until <= (call.ended_at or each.until) for each in leg.intervals)
        if call.recorded:
            assert any(0 <= sound - call.talk_seconds < 0.5 for sound in SOUND_SECONDS)


def test_nobody_talks_with_two_at_a_time() -> None:
    """Each of ours is in one conversation at once, but for whoever a call was handed to."""
    talks: dict[str, list[tuple[datetime, datetime]]] = {}
    for call in build_past_calls(MOMENTS["a Monday morning"], MOSCOW):
        for leg in call.legs if not call.transfers else ():
            if leg.kind is PartyKind.EXTENSION and leg.answered_at and leg.ended_at:
                talks.setdefault(leg.party, []).append((leg.answered_at, leg.ended_at))
    assert len(talks) == len(STAFF)
    for person, spans in talks.items():
        assert all(one[1] <= following[0] for one, following in pairwise(sorted(spans))), person


def test_whoever_got_nobody_is_talked_with_soon(until: datetime) -> None:
    """The office calls back: what was missed more than two hours ago is settled."""
    calls = build_past_calls(until, MOSCOW)
    missed = [one for one in calls if one.direction is Direction.INBOUND and not one.answered_at]
    old = [one for one in missed if one.started_at < until - timedelta(hours=4)]
    assert len(old) > 20
    assert [one for one in old if not _settled(one, calls)] == []


def _settled(missed: CallFacts, calls: list[CallFacts]) -> bool:
    number = missed.caller.number
    return any(
        number in (one.caller.number, one.requested)
        and one.answered_at
        and one.started_at > missed.started_at
        for one in calls
    )


def test_the_book_is_relative_to_now(until: datetime) -> None:
    """No entry of it is of the future, but for what is still to be done."""
    stages = [Stage(uuid4(), uuid4(), name, place, "open") for place, name in enumerate("abcde")]
    book = demo_entries(until, stages, [uuid4() for _ in range(10)], [uuid4(), uuid4()])
    moments = [one.at for kind in fields(book) for one in getattr(book, kind.name)]
    moments += [at for deal in book.deals for _, at in deal.moves]
    moments += [task.done_at for task in book.tasks if task.done_at]
    assert max(moments) < until
    open_tasks = [task.new.due_at for task in book.tasks if task.done_at is None and task.new.due_at]
    assert min(open_tasks) < until < max(open_tasks)
    assert is_known(1)
    assert not is_known(3)


def test_sounds_are_as_long_as_they_say(tmp_path: Path) -> None:
    """Both sides of one length, and both speak."""
    (made,) = write_conversations(tmp_path, [12])
    sides = [path.read_bytes()[44:] for path in (made.outside, made.ours)]
    assert [len(side) for side in sides] == [12 * 8000 * 2] * 2
    assert all(side.count(b"\0") < 0.9 * len(side) for side in sides)


def test_prompts_are_cut_into_phrases(tmp_path: Path) -> None:
    """Spoken prompts are said in turns: between two phrases there is a pause."""
    silent, loud = b"\xd5" * 4000, bytes((0x2A, 0xAA)) * 8000
    prompt = tmp_path / "prompt.alaw"
    prompt.write_bytes((loud + silent) * 5)
    (made,) = write_conversations(tmp_path, [20], [prompt])
    heard = made.ours.read_bytes()[44:]
    assert heard.count(bytes(640)) > 0
    assert max(heard) > 0


# -- over a real database --


@pytest.fixture
def small_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoding and long lists are measured elsewhere: short sounds, a third of the calls."""
    monkeypatch.setattr(past_calls, "CALLS_OF_WEEKDAY", (8, 10, 9, 10, 9, 3, 2))
    short = {seconds: min(seconds, 12) for seconds in SOUND_SECONDS}

    def write_short(
        directory: Path, lengths: tuple[int, ...], prompts: tuple[Path, ...]
    ) -> list[Conversation]:
        made: list[Conversation] = []
        for length in lengths:
            folder = directory / str(length)
            folder.mkdir()
            made += [
                replace(one, seconds=length) for one in write_conversations(folder, [short[length]], prompts)
            ]
        return made

    monkeypatch.setattr(history, "write_conversations", write_short)


async def _office(store: RecordsStore) -> list[Account]:
    for extension, name in STAFF.items():
        await store.staff.put_person(name=name, extensions=[extension], team=TEAMS.get(extension))
    return [
        await store.accounts.create(
            login=login, name=name, role=role, password_hash="x", extensions=phones, pop=PopPreference.ON_RING
        )
        for login, role, name, phones in DEMO_LOGINS
    ]


TABLES = [
    "calls",
    "clients",
    "deals",
    "tasks",
    "timeline",
    "notes",
    "recordings",
    "audio_objects",
    "missed",
    "grades",
    "review_picks",
]


async def _counts(store: RecordsStore) -> dict[str, int]:
    async with store.engine.connect() as connection:
        return {
            table: int(await connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)
            for table in TABLES
        }


@pytest.mark.postgres
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("small_history")
async def test_a_history_put_in_twice_is_there_once(database_url: str, tmp_path: Path) -> None:
    """Everything is there after the first time, every page of every sign-in has something, and nothing is left over."""
    async with open_records(database_url, migrate=False, audio=AudioSettings(tmp_path, None, ())) as store:
        accounts = await _office(store)
        await add_history(store, accounts, None)
        await finish_history(store, accounts, None)
        first = await _counts(store)
        assert [table for table, rows in first.items() if rows == 0] == []
        await add_history(store, accounts, None)
        await finish_history(store, accounts, None)
        assert await _counts(store) == first
        await _check_pages(store, accounts)


async def _check_pages(store: RecordsStore, accounts: list[Account]) -> None:
    manager, supervisor, _ = accounts
    assert is_open(await store.missed.hours(), datetime.now(UTC))
    assert await store.recordings.exceptions() == []
    ready = await store.recordings.page(RecordingFilter(states=frozenset({RecordingState.EXPECTED})))
    assert ready.listed == ()
    assert len((await store.book.page(ClientFilter(), limit=200)).clients) > 100
    assert await store.reviews.grades.unread(frozenset(manager.extensions), manager.id) > 2
    assert await store.reviews.picks.queue(None)
    assert manager.person_id
    assert await store.tasks.open_of(manager.person_id)
    assert len(await store.reviews.grades.since(None, datetime.now(UTC) - timedelta(days=DAYS))) > 10
    assert supervisor.extensions == ("102",)
    async with store.engine.connect() as connection:
        assert (
            await connection.scalar(text("SELECT count(*) FROM calls WHERE booked IS DISTINCT FROM revision"))
            == 0
        )
        late = text("SELECT count(*) FROM timeline WHERE at > now() - interval '1 minute'")
        assert await connection.scalar(late) == 0

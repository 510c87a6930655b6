"""The two weeks before the demo began: what is in the book, in the list of calls, in the player and among the reviews.

`add_history` puts the book and the calls in, in a second or two, before the pages open; `finish_history` makes the
sounds and the reviews while they are open already. Both may be done again and change nothing then: the moment the
history ends at is kept in the database, and everything follows from it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from call_records.crm.backfill.calls import enter_past_missed_calls, file_past_calls
from call_records.crm.backfill.entries import PastCallNote, PastClient, PastEntries, add_past_entries
from call_records.crm.types import ClientFilter, NewClient
from call_records.recordings.encoding.types import Sources
from call_records.recordings.encoding.worker_process import AudioWorker
from call_records.recordings.types import Recording
from call_records.reviews.types import FormVersion
from call_records.store import RecordsStore
from call_records.types import Account
from switchhook.demo.contacts import demo_entries
from switchhook.demo.past_calls import DAYS, SOUND_SECONDS, build_past_calls
from switchhook.demo.sounds import Conversation, write_conversations
from telephony.call_facts.facts import CallFacts, Direction, Disposition
from telephony.contacts import ClientKind
from telephony.hours import WorkingHours
from telephony.ports import CallChange
from telephony.recordings import RecordingState
from telephony.reviews import Answer, Question, QuestionKind

ANCHOR_KEY = "demo_history"
ALWAYS_OPEN = WorkingHours(days=tuple((day, time(0), time(0)) for day in range(7)))
"""The demo is looked at at any hour, and its office answers at any hour."""
NOTE_SHARE = 0.3  # of the answered conversations of those who have an account
GRADED = 16
GRADED_DAYS = 12
CHOSEN = 5
CALL_NOTES = (
    "Wants the offer by Friday.",
    "Delivery moved to next week, customer agrees.",
    "Asked about the warranty; sent the link.",
    "Address has changed, corrected in the order system.",
    "Interested, but only after the holidays. Call again in spring.",
    "Complained about the wait. Apologised, promised a callback within the hour next time.",
    "Paid today; will send the confirmation.",
    "Needs two more units, same colour.",
    "Compares with another supplier: price is what decides.",
    "Everything is in order, just said thank you.",
)
FEEDBACK = (
    "Calm and clear. The summary at the end was very good.",
    "You had the answer quickly. Next time, say your own name as well.",
    "Good questions at the beginning; the customer felt understood.",
    "The customer waited long without a word from you. Say why, and for how long.",
    "Agree on a date before you hang up: this one will call again.",
    "",
)


async def add_history(store: RecordsStore, accounts: Sequence[Account], recordings_dir: Path | None) -> None:
    """The book and the calls. `accounts`: who wrote notes and gave grades; the manager first, then the supervisor."""
    until = await _anchor(store)
    calls = _past_calls(store, until, recordings_dir)
    await store.missed.set_hours(replace(ALWAYS_OPEN, zone=store.home.zone), by=accounts[-1].id)
    if not (await store.book.page(ClientFilter(), limit=1)).clients:
        await _fill_book(store, calls, accounts, until)
    changes = [CallChange(call, (), tuple(one.uniqueid for one in call.recorded)) for call in calls]
    await store.journal.record(changes)
    await file_past_calls(store.engine, [call.id for call in calls])


async def finish_history(
    store: RecordsStore,
    accounts: Sequence[Account],
    recordings_dir: Path | None,
    prompts: Sequence[Path] = (),
) -> None:
    """Sounds for the calls, and what was reviewed. `prompts`: spoken A-law files, where there are any."""
    until = await _anchor(store)
    calls = _past_calls(store, until, recordings_dir)
    ids = [call.id for call in calls]
    await enter_past_missed_calls(store.engine, store.home, ids, calls[0].started_at)
    await _review(store, calls, accounts)
    await _add_recordings(store, calls, prompts)
    await store.reviews.picks.pick_now(thorough=True)


def _past_calls(store: RecordsStore, until: datetime, recordings_dir: Path | None) -> list[CallFacts]:
    spool = str(recordings_dir or "/var/spool/asterisk/monitor")
    return build_past_calls(until, ZoneInfo(store.home.zone), recordings_dir=spool)


async def _anchor(store: RecordsStore) -> datetime:
    """When the history ends: now, or as it was put in before."""
    kept = await store.office.get(ANCHOR_KEY)
    if kept is not None:
        return datetime.fromisoformat(str(kept))
    now = datetime.now(UTC)
    await store.office.put(ANCHOR_KEY, now.isoformat(), by=None)
    return now


# -- the book --


async def _fill_book(
    store: RecordsStore, calls: Sequence[CallFacts], accounts: Sequence[Account], until: datetime
) -> None:
    people = {phone: one.id for one in (await store.staff.directory()).people for phone in one.extensions}
    owners = [one for _, one in sorted(people.items()) if one is not None]
    (pipeline, *_) = await store.deals.pipelines()
    entries = demo_entries(until, pipeline.stages, owners, [account.id for account in accounts])
    clients = [*entries.clients, *_leads(calls, entries.clients, people)]
    notes = list(_call_notes(calls, accounts))
    every = PastEntries(clients, entries.deals, entries.notes, entries.tasks, notes)
    await add_past_entries(store.engine, store.home, every)


def _leads(
    calls: Sequence[CallFacts], known: Sequence[PastClient], people: Mapping[str, UUID | None]
) -> list[PastClient]:
    """Whoever called without being in the book became a lead then, as the office's rules have it."""
    numbers = {phone for client in known for phone in client.new.phones}
    leads: dict[str, PastClient] = {}
    for call in calls:
        number = call.caller.number or ""
        if call.direction is not Direction.INBOUND or number in numbers or number in leads:
            continue
        owner = people.get(call.answered_by or (call.missed_by or ("",))[0])
        new = NewClient(ClientKind.LEAD, number, phones=(number,), owner_id=owner, source="call")
        leads[number] = PastClient(number, new, call.ended_at or call.started_at)
    return list(leads.values())


def _call_notes(calls: Sequence[CallFacts], accounts: Sequence[Account]) -> Iterator[PastCallNote]:
    chance = random.Random(2)  # noqa: S311 - people's habits, not secrets
    author_of = {phone: account.id for account in accounts for phone in account.extensions}
    for call in calls:
        author = author_of.get(_ours(call) or "")
        if author is not None and call.ended_at is not None and chance.random() < NOTE_SHARE:
            at = call.ended_at + timedelta(seconds=chance.uniform(10, 90))
            yield PastCallNote(call.id, chance.choice(CALL_NOTES), at, author)


def _ours(call: CallFacts) -> str | None:
    """Who of ours talked with a customer; None when nobody did."""
    if call.disposition is not Disposition.ANSWERED or call.direction is Direction.INTERNAL:
        return None
    return call.final_party


# -- sounds --


async def _add_recordings(store: RecordsStore, calls: Sequence[CallFacts], prompts: Sequence[Path]) -> None:
    """The shortest sounds first, each for every call of its length."""
    waiting = await _waiting(store, calls)
    if not waiting:
        return
    worker = AudioWorker(processes=2)
    try:
        with TemporaryDirectory(prefix="switchhook-demo-sounds-") as directory:
            async with asyncio.TaskGroup() as tasks:
                for seconds in SOUND_SECONDS:  # one at a time: a stop waits for the thread
                    write = asyncio.to_thread(write_conversations, Path(directory), (seconds,), prompts)
                    for conversation in await write:
                        tasks.create_task(_add_sound(store, worker, conversation, waiting))
    finally:
        await worker.close()


async def _waiting(store: RecordsStore, calls: Sequence[CallFacts]) -> list[tuple[CallFacts, Recording]]:
    """The calls whose recordings have no sound yet, newest first."""
    kept = await store.recordings.of_calls([call.id for call in calls])
    return [
        (call, recording)
        for call in reversed(calls)
        for recording in kept.get(call.id, ())
        if recording.state is RecordingState.EXPECTED
    ]


async def _add_sound(
    store: RecordsStore,
    worker: AudioWorker,
    made: Conversation,
    waiting: Sequence[tuple[CallFacts, Recording]],
) -> None:
    sources = Sources(in_side=made.outside, out_side=made.ours, outside_first=True)
    sound = await worker.encode(sources, made.outside.with_suffix(".m4a"))
    days = (await store.retention.policy()).keep_days
    for call, recording in waiting:
        if _sound_seconds(call) == made.seconds and call.answered_at is not None:
            await store.shelf.keep(recording.id, sound.audio)
            until = None if days is None else call.answered_at + timedelta(days=days)
            await store.catalogue.processed(recording.id, sound, call.answered_at, until)


def _sound_seconds(call: CallFacts) -> int:
    """The shortest sound that is as long as the conversation."""
    return next((one for one in SOUND_SECONDS if one >= call.talk_seconds), SOUND_SECONDS[-1])


# -- reviews --


async def _review(store: RecordsStore, calls: Sequence[CallFacts], accounts: Sequence[Account]) -> None:
    """What the supervisor, and once in a while the administrator too, thought of conversations; and what waits."""
    (form, *_) = await store.reviews.forms.offered()
    chance = random.Random(3)  # noqa: S311 - people's habits, not secrets
    heard = _heard(calls, {phone for account in accounts for phone in account.extensions})
    graders = accounts[1:]
    for place, call in enumerate(heard):
        for grader in graders if place % 5 == 0 else graders[:1]:
            await _grade(store, form, call, grader, chance)
    if not await store.reviews.picks.queue(None, limit=1):
        await _choose(store, [call for call in calls if call not in heard], graders[0])


async def _choose(store: RecordsStore, calls: Sequence[CallFacts], by: Account) -> None:
    """What the supervisor means to hear; the rules pick more by themselves, once they have sounds."""
    talked = [call for call in calls if _ours(call) and call.talk_seconds > 60]
    for call in talked[-CHOSEN:]:
        await store.reviews.picks.choose(call.id, _ours(call) or "", by=by.name)


def _heard(calls: Sequence[CallFacts], first: set[str]) -> list[CallFacts]:
    """Some conversations of the last days: the manager's and others'."""
    since = max(call.started_at for call in calls) - timedelta(days=min(GRADED_DAYS, DAYS))
    heard = [call for call in calls if call.started_at >= since and call.talk_seconds > 30 and _ours(call)]
    own = [call for call in heard if _ours(call) in first]
    others = [call for call in heard if _ours(call) not in first]
    return [*_spread(own, GRADED // 2), *_spread(others, GRADED // 2)]


def _spread(calls: Sequence[CallFacts], most: int) -> Sequence[CallFacts]:
    return calls[:: max(1, len(calls) // most)][:most]


async def _grade(
    store: RecordsStore, form: FormVersion, call: CallFacts, grader: Account, chance: random.Random
) -> None:
    given_at = (call.ended_at or call.started_at) + timedelta(hours=chance.uniform(0.5, 20))
    person = _ours(call) or ""
    await store.reviews.grades.give(
        grade_id=uuid5(call.id, str(grader.login)),
        call_id=call.id,
        extension=person,
        form_id=form.form_id,
        version=form.version,
        answers={one.id: _answer(one, call, chance) for one in form.questions},
        feedback=chance.choice(FEEDBACK),
        grader_id=grader.id,
        grader=grader.name,
        login=grader.login,
        given_at=min(given_at, datetime.now(UTC)),
    )


def _answer(question: Question, call: CallFacts, chance: random.Random) -> Answer:
    if question.may_skip and (chance.random() < 0.3 or (question.id == "hold" and not call.holds)):
        return Answer(None)
    if question.kind is QuestionKind.SCALE:
        return Answer(chance.choices((2, 3, 4, 5), (1, 3, 5, 4))[0])
    return Answer(int(chance.random() < 0.8))

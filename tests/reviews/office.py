"""Conversations, recordings and people of a fictional office, as the review tests and the preview need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert

from call_records.db.tables import accounts, calls
from call_records.recordings.tables import recordings
from call_records.reviews.types import FormVersion, Grade
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.call_facts.facts import CallFacts
from telephony.recordings import Measures
from telephony.reviews import Answer, Answers, Question, QuestionKind
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import change
from tests.web import office
from tests.web.fakes import CHEAP

WEDNESDAY = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
CLIENT = "+79160000012"
SOUND = Measures(0.4, 0.5, 0.02, 0.1, 2.0, 30.0, 0.6)


def talk(
    by: str = "101",
    *,
    at: datetime = WEDNESDAY,
    seconds: float = 120,
    number: str = CLIENT,
    name: str | None = None,
    hold: float = 0,
    queue: str | None = None,
) -> CallFacts:
    """A client calls, `by` answers after five seconds and talks."""
    call = office.picked_up(office.ringing(by, number=number, name=name, begin=at, queue=queue), by, 5)
    if hold:
        call = office.held(call, by, 10, hold)
    return office.over(call, 5 + seconds)


def handed_over(
    by: str = "101", to: str = "102", *, at: datetime = WEDNESDAY, seconds: float = 120
) -> CallFacts:
    """`by` answers and transfers to `to`, who talks to the end."""
    call = office.picked_up(office.ringing(by, begin=at), by, 5)
    call = office.target_answers(office.transferred(call, by, to, 40), to, 50)
    return office.over(call, 50 + seconds)


def called_back(by: str = "101", *, at: datetime = WEDNESDAY, talk_seconds: float = 60) -> CallFacts:
    """We call the client and talk."""
    return office.outgoing(by, CLIENT, begin=at, talk=talk_seconds)


def not_reached(by: str = "101", *, at: datetime = WEDNESDAY) -> CallFacts:
    """We call the client, who does not answer."""
    call = office.outgoing(by, CLIENT, begin=at, talk=0)
    legs = tuple(replace(leg, talk_seconds=0.0, answered_at=None) for leg in call.legs)
    return replace(call, answered_at=None, answered_by=None, talk_seconds=0.0, legs=legs)


def missed(*, at: datetime = WEDNESDAY, number: str = CLIENT) -> CallFacts:
    """The client calls and nobody answers."""
    return office.missed(office.ringing("101", number=number, begin=at))


async def keep(
    records: RecordsStore,
    *told: CallFacts,
    recorded: bool = True,
    rating: int | None = None,
    measures: Mapping[str, Any] | None = None,
    faults: Sequence[str] = (),
) -> None:
    """The journal knows these calls; each with one recording that can be played, unless told otherwise."""
    await records.journal.record([change(facts) for facts in told])
    async with records.engine.begin() as connection:
        for facts in told:
            if rating is not None:
                await connection.execute(update(calls).where(calls.c.id == facts.id).values(rating=rating))
            if recorded:
                await connection.execute(insert(recordings).values(recording(facts, measures, faults)))


def recording(
    facts: CallFacts, measures: Mapping[str, Any] | None = None, faults: Sequence[str] = ()
) -> dict[str, Any]:
    """A row of a recording that can be played, from the answer to the end."""
    begin = facts.answered_at or facts.started_at
    return {
        "id": uuid4(),
        "pbx": facts.pbx,
        "name": f"rec-{facts.id}",
        "call_id": facts.id,
        "state": "ready",
        "ready_at": facts.ended_at,
        "listed_at": begin,
        "started_at": begin,
        "duration_seconds": facts.talk_seconds,
        "layout": "stereo",
        "measures": {**asdict(SOUND), **(measures or {})},
        "faults": list(faults),
    }


def silence(seconds: float, at: float) -> dict[str, float]:
    """Measures of a recording with one long silence."""
    return {"longest_silence_seconds": seconds, "longest_silence_at_seconds": at}


async def hire(
    records: RecordsStore,
    login: str,
    role: Role,
    *extensions: str,
    name: str | None = None,
    since: datetime | None = None,
) -> Account:
    """Somebody with an account, perhaps since some other day."""
    account = await records.accounts.create(
        login=login,
        name=name or login.title(),
        role=role,
        password_hash=CHEAP.hash("correct horse"),
        extensions=extensions,
        pop=PopPreference.NEVER,
    )
    if since is not None:
        async with records.engine.begin() as connection:
            moved = update(accounts).where(accounts.c.id == account.id).values(created_at=since)
            await connection.execute(moved)
    return account


SHORT_FORM = (
    Question("greeting", "Said the company", QuestionKind.YES_NO, 1),
    Question("answer", "Right answer", QuestionKind.SCALE, 3),
    Question("hold", "Asked before holding", QuestionKind.YES_NO, 1, may_skip=True),
)


def answers(greeting: int = 1, answer: int = 5, hold: int | None = None) -> Answers:
    """Answers to SHORT_FORM."""
    return {"greeting": Answer(greeting), "answer": Answer(answer), "hold": Answer(hold)}


async def short_form(records: RecordsStore) -> FormVersion:
    """The form of most tests."""
    return await records.reviews.forms.save(None, "Short", SHORT_FORM, after=0, by="Chief")


async def grade(
    records: RecordsStore,
    call: CallFacts,
    form: FormVersion,
    grader: Account,
    given: Answers,
    *,
    extension: str = "101",
    feedback: str = "",
    grade_id: UUID | None = None,
) -> Grade:
    """Somebody grades it."""
    return await records.reviews.grades.give(
        grade_id=grade_id or uuid4(),
        call_id=call.id,
        extension=extension,
        form_id=form.form_id,
        version=form.version,
        answers=given,
        feedback=feedback,
        grader_id=grader.id,
        grader=grader.name,
        login=grader.login,
    )


def days(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)

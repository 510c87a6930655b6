"""Forms and grades over a real PostgreSQL: nothing given is ever changed, and only newer thoughts count."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from call_records.db.errors import plain_errors
from call_records.recordings.types import AuditFilter
from call_records.reviews.forms import USUAL_FORM_ID
from call_records.store import RecordsStore
from telephony.errors import NeedsPerson, PeerMistake
from telephony.recordings import AuditAction
from telephony.reviews import USUAL_FORM, Question, QuestionKind
from telephony.staff import Role
from tests.reviews.office import (
    SHORT_FORM,
    WEDNESDAY,
    answers,
    days,
    grade,
    handed_over,
    hire,
    keep,
    short_form,
    talk,
)

pytestmark = pytest.mark.postgres


async def run(records: RecordsStore, statement: str) -> None:
    with plain_errors():
        async with records.engine.begin() as connection:
            await connection.execute(text(statement))


async def test_an_empty_office_gets_the_usual_form_once(records: RecordsStore) -> None:
    """Five supervisors open their first review at once: there is one form; retired by hand, it does not come back."""
    found = await asyncio.gather(*(records.reviews.forms.offered() for _ in range(5)))
    assert {(form.form_id, form.version) for forms in found for form in forms} == {(USUAL_FORM_ID, 1)}
    assert found[0][0].questions == USUAL_FORM
    await records.reviews.forms.retire(USUAL_FORM_ID, retired=True)
    assert await records.reviews.forms.offered() == []
    assert [form.form_id for form in await records.reviews.forms.retired()] == [USUAL_FORM_ID]


async def test_a_changed_form_is_a_new_version(records: RecordsStore) -> None:
    """A weight changes: version 2, version 1 stays as it was; a new name alone makes none."""
    first = await short_form(records)
    heavier = (*SHORT_FORM[:2], Question("hold", "Held", QuestionKind.YES_NO, 9, True))
    save = records.reviews.forms.save
    second = await save(first.form_id, "Short", heavier, after=1, by="Jan")
    assert (second.version, second.questions, second.made_by) == (2, heavier, "Jan")
    kept = await records.reviews.forms.one(first.form_id, 1)
    assert kept
    assert kept.questions == SHORT_FORM
    renamed = await save(first.form_id, "Shorter", heavier, after=2, by="Jan")
    assert (renamed.version, renamed.name) == (2, "Shorter")
    with pytest.raises(PeerMistake, match="meanwhile"):
        await save(first.form_id, "Short", SHORT_FORM, after=1, by="Olga")
    with pytest.raises(PeerMistake):
        await save(uuid4(), "Nothing", SHORT_FORM, after=1, by="Olga")


async def test_two_who_save_at_once(records: RecordsStore) -> None:
    """Both changed version 1: one makes version 2, the other is told."""
    first = await short_form(records)
    asked = [
        records.reviews.forms.save(first.form_id, name, SHORT_FORM[:1], after=1, by=name)
        for name in ("A", "B")
    ]
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["FormVersion", "PeerMistake"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE grades SET score = 1",
        "UPDATE grades SET answers = '{}'",
        "UPDATE grades SET feedback = 'all well', call_id = gen_random_uuid()",
        "UPDATE grades SET supersedes = NULL, given_at = now()",
        "DELETE FROM grades",
        "TRUNCATE grades CASCADE",
        "UPDATE score_form_versions SET questions = '[]'",
        "DELETE FROM score_form_versions",
        "TRUNCATE score_form_versions CASCADE",
    ],
)
async def test_the_database_refuses_to_change_what_was_given(records: RecordsStore, statement: str) -> None:
    """Somebody with a database console, or a mistake of ours: refused, whatever the statement."""
    chief = await hire(records, "chief", Role.SUPERVISOR)
    call = talk()
    await keep(records, call)
    given = await grade(records, call, await short_form(records), chief, answers())
    with pytest.raises(NeedsPerson):
        await run(records, statement)
    assert await records.reviews.grades.one(given.id) == given


async def test_a_merge_may_move_a_grade_and_nothing_else(records: RecordsStore) -> None:
    """The one column a trigger lets through."""
    chief = await hire(records, "chief", Role.SUPERVISOR)
    call = talk()
    await keep(records, call)
    given = await grade(records, call, await short_form(records), chief, answers())
    elsewhere = uuid4()
    async with records.engine.begin() as connection:
        await connection.execute(text("UPDATE grades SET call_id = :to"), {"to": elsewhere})
    kept = await records.reviews.grades.one(given.id)
    assert kept
    assert kept.call_id == elsewhere


async def test_a_second_thought_supersedes_the_first(records: RecordsStore) -> None:
    """The grader thinks again, twice: the newest counts, the chain shows the others, another grader's stays."""
    jan, olga = [await hire(records, name, Role.SUPERVISOR) for name in ("jan", "olga")]
    form, call = await short_form(records), talk()
    await keep(records, call)
    first = await grade(records, call, form, jan, answers(0))
    other = await grade(records, call, form, olga, answers(1))
    second = await grade(records, call, form, jan, answers(1, 4))
    third = await grade(records, call, form, jan, answers(1, 5))
    assert (first.supersedes, other.supersedes, second.supersedes, third.supersedes) == (
        None,
        None,
        first.id,
        second.id,
    )
    assert [one.id for one in await records.reviews.grades.of_part(call.id, "101")] == [other.id, third.id]
    assert [one.id for one in await records.reviews.grades.before(third)] == [second.id, first.id]


async def test_the_same_form_sent_twice_is_one_grade(records: RecordsStore) -> None:
    """A double click, or a repeat after a lost answer: one grade, one line in the audit log."""
    jan, olga = [await hire(records, name, Role.SUPERVISOR) for name in ("jan", "olga")]
    form, call, own = await short_form(records), talk(), uuid4()
    await keep(records, call)
    both = await asyncio.gather(*(grade(records, call, form, jan, answers(), grade_id=own) for _ in range(2)))
    assert both[0] == both[1]
    with pytest.raises(PeerMistake):
        await grade(records, call, form, olga, answers(), grade_id=own)
    lines = await records.audit.page(AuditFilter(action=AuditAction.GRADED))
    assert [(line.who, line.call_id, line.details["score"]) for line in lines] == [("jan", call.id, 100.0)]


async def test_two_tabs_of_one_grader_make_one_chain(records: RecordsStore) -> None:
    """The same call open twice, both saved at once: one supersedes the other, never two that count."""
    jan = await hire(records, "jan", Role.SUPERVISOR)
    form, call = await short_form(records), talk()
    await keep(records, call)
    given = await asyncio.gather(*(grade(records, call, form, jan, answers(n % 2)) for n in range(4)))
    (counts,) = await records.reviews.grades.of_part(call.id, "101")
    assert len(await records.reviews.grades.before(counts)) == 3
    assert len({one.supersedes for one in given}) == 4


async def test_a_grade_that_does_not_fit_is_refused_whole(records: RecordsStore) -> None:
    """A missing answer, a colleague who did not talk, an unknown call or form: nothing is kept, not even in the log."""
    jan = await hire(records, "jan", Role.SUPERVISOR)
    form, call = await short_form(records), talk()
    await keep(records, call)
    with pytest.raises(PeerMistake):
        await grade(records, call, form, jan, {})
    with pytest.raises(PeerMistake):
        await grade(records, call, form, jan, answers(), extension="102")
    with pytest.raises(PeerMistake):
        await grade(records, talk(), form, jan, answers())
    with pytest.raises(PeerMistake):
        await grade(records, call, form, jan, answers(), feedback="x" * 10_001)
    assert await records.reviews.grades.of_part(call.id, "101") == []
    assert await records.audit.page(AuditFilter(action=AuditAction.GRADED)) == []


async def test_a_grade_remembers_its_version(records: RecordsStore) -> None:
    """The form changes after the grade: what was asked then is still shown with it."""
    jan = await hire(records, "jan", Role.SUPERVISOR)
    anna = await hire(records, "anna", Role.MANAGER, "101")
    form, call = await short_form(records), talk()
    await keep(records, call)
    await grade(records, call, form, jan, answers(), feedback="Well done")
    await records.reviews.forms.save(form.form_id, "Short", SHORT_FORM[:1], after=1, by="Jan")
    (told,) = await records.reviews.grades.told(frozenset({"101"}), anna.id)
    assert (told.form.version, told.form.questions) == (1, SHORT_FORM)
    assert told.call is not None


async def test_feedback_is_unread_until_it_is_opened(records: RecordsStore) -> None:
    """The agent has one unread; after opening none; a newer thought of the grader is unread again."""
    jan = await hire(records, "jan", Role.SUPERVISOR, name="Jan")
    anna = await hire(records, "anna", Role.MANAGER, "101", name="Anna")
    form, call = await short_form(records), talk()
    await keep(records, call)
    mine = frozenset({"101"})
    given = await grade(records, call, form, jan, answers(), feedback="Well done")
    assert await records.reviews.grades.unread(mine, anna.id) == 1
    for _ in range(2):
        await records.reviews.grades.mark_read(given.id, anna.id)
    assert await records.reviews.grades.unread(mine, anna.id) == 0
    (reading,) = (await records.reviews.grades.readings([given.id]))[given.id]
    assert (reading.account_id, reading.name) == (anna.id, "Anna")
    (told,) = await records.reviews.grades.told(mine, anna.id)
    assert told.read_at == reading.read_at
    await grade(records, call, form, jan, answers(0), feedback="On second thought")
    assert await records.reviews.grades.unread(mine, anna.id) == 1
    assert await records.reviews.grades.told(frozenset({"102"}), anna.id) == []
    assert await records.reviews.grades.unread(frozenset(), anna.id) == 0


async def test_feedback_is_acknowledged_once(records: RecordsStore) -> None:
    """With a word to the grader, also unopened; the same again changes nothing, another word is refused."""
    jan = await hire(records, "jan", Role.SUPERVISOR, name="Jan")
    anna = await hire(records, "anna", Role.MANAGER, "101", name="Anna")
    form, call = await short_form(records), talk()
    await keep(records, call)
    given = await grade(records, call, form, jan, answers(), feedback="Too fast")
    for _ in range(2):
        await records.reviews.grades.acknowledge(given.id, anna.id, reply=" I will slow down ")
    with pytest.raises(PeerMistake):
        await records.reviews.grades.acknowledge(given.id, anna.id, reply="No")
    (reading,) = (await records.reviews.grades.readings([given.id]))[given.id]
    assert reading.reply == "I will slow down"
    assert reading.acknowledged_at is not None
    assert await records.reviews.grades.unread(frozenset({"101"}), anna.id) == 0


async def test_pairs_of_graders(records: RecordsStore) -> None:
    """Three graded one conversation by the same version: three pairs; by another version, or another part: none."""
    people = [await hire(records, name, Role.SUPERVISOR) for name in ("jan", "olga", "mira")]
    form, call, other = await short_form(records), handed_over(), talk(at=WEDNESDAY - days(1))
    await keep(records, call, other)
    for person in people:
        await grade(records, call, form, person, answers())
    await grade(records, call, form, people[0], answers(), extension="102")
    await grade(records, other, form, people[0], answers())
    newer = await records.reviews.forms.save(form.form_id, "Short", SHORT_FORM[:2], after=1, by="Jan")
    short = {name: answer for name, answer in answers().items() if name != "hold"}
    await grade(records, other, newer, people[1], short)
    found = await records.reviews.grades.twice(None, WEDNESDAY - days(30))
    assert [(pair.first.grader, pair.second.grader) for pair in found] == [
        ("Jan", "Olga"),
        ("Jan", "Mira"),
        ("Olga", "Mira"),
    ]
    assert await records.reviews.grades.twice(frozenset({"102"}), WEDNESDAY - days(30)) == []
    assert await records.reviews.grades.twice(None, WEDNESDAY + days(1)) == []


async def test_grades_for_a_trend_are_the_newest_of_the_scope(records: RecordsStore) -> None:
    """Superseded ones are left out; oldest call first; other people's are not there."""
    jan = await hire(records, "jan", Role.SUPERVISOR)
    form = await short_form(records)
    told = [talk(at=WEDNESDAY + timedelta(hours=n)) for n in range(3)]
    await keep(records, *told, talk("102"))
    for call in reversed(told):
        await grade(records, call, form, jan, answers(0))
    await grade(records, told[0], form, jan, answers(1))
    found = await records.reviews.grades.since(frozenset({"101"}), WEDNESDAY)
    assert [(one.call_id, one.score) for one in found] == [
        (told[0].id, 100),
        (told[1].id, 75),
        (told[2].id, 75),
    ]
    assert await records.reviews.grades.since(frozenset(), WEDNESDAY) == []

"""The rules and the arithmetic of grades, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.call_facts.facts import Direction
from telephony.errors import PeerMistake
from telephony.recordings import HealthFault, Measures
from telephony.reviews import (
    RULES,
    USUAL_FORM,
    Answer,
    Answers,
    Mark,
    Part,
    Question,
    QuestionKind,
    ReviewRule,
    ReviewRuleKind,
    Sound,
    Step,
    agents_of,
    check_questions,
    compare,
    debt,
    points_of,
    random_chance,
    reasons,
    score,
    trend,
    usual_rules,
    week_of,
)
from tests.reviews.office import (
    SHORT_FORM,
    WEDNESDAY,
    answers,
    called_back,
    days,
    handed_over,
    missed,
    not_reached,
    talk,
)

HEARD = (Sound(WEDNESDAY, None),)


def rule(kind: ReviewRuleKind, **choices: int) -> ReviewRule:
    return ReviewRule(kind, True, {**RULES[kind].defaults(), **choices})


def quiet(seconds: float, at: float) -> tuple[Sound, ...]:
    """A recording from the answer on, with one long silence."""
    measures = Measures(None, None, None, 0.1, seconds, at, 0.5)
    return (Sound(WEDNESDAY + timedelta(seconds=5), measures),)


@given(st.uuids(), st.integers(1, 50))
def test_the_random_pick_depends_on_nothing_but_the_call(call_id: UUID, one_in: int) -> None:
    """Asked twice, by anybody, of the same conversation: the same answer, and a larger share only adds."""
    part = Part(replace(talk(), id=call_id), "101", HEARD)
    picked = reasons(part, [rule(ReviewRuleKind.RANDOM_SHARE, one_in=one_in)])
    assert picked == reasons(part, [rule(ReviewRuleKind.RANDOM_SHARE, one_in=one_in)])
    assert 0 <= random_chance(part.call, "101") < 1
    if picked:
        assert reasons(part, [rule(ReviewRuleKind.RANDOM_SHARE, one_in=max(1, one_in - 1))])


def test_a_share_is_a_share() -> None:
    """Two thousand conversations of one person, one in twenty: about a hundred, and all of them at one in one."""
    parts = [Part(talk(), "101", HEARD) for _ in range(2000)]
    some = [part for part in parts if reasons(part, [rule(ReviewRuleKind.RANDOM_SHARE)])]
    assert 60 <= len(some) <= 140
    assert all(reasons(part, [rule(ReviewRuleKind.RANDOM_SHARE, one_in=1)]) for part in parts)


def test_what_cannot_be_heard_or_is_short_is_not_drawn() -> None:
    """No recording, or twelve seconds of talk: nothing to learn from."""
    every = [rule(ReviewRuleKind.RANDOM_SHARE, one_in=1)]
    assert not reasons(Part(talk(), "101"), every)
    assert not reasons(Part(talk(seconds=12), "101", HEARD), every)


def test_another_week_is_another_lottery() -> None:
    """The same call a week later has another chance: being drawn says nothing about the next week."""
    call = talk()
    later = replace(call, started_at=call.started_at + days(7))
    assert random_chance(call, "101") != random_chance(later, "101")
    assert random_chance(call, "101") != random_chance(call, "102")
    assert week_of(WEDNESDAY) == (WEDNESDAY - days(2)).date()


def test_a_long_hold_is_the_holders() -> None:
    """101 held for 200 seconds and transferred to 102: it is 101's call to hear, and the reason says how long."""
    call = handed_over()
    held = replace(call, holds=talk(hold=200).holds)
    assert reasons(Part(held, "101"), [rule(ReviewRuleKind.LONG_HOLD)]) == {
        ReviewRuleKind.LONG_HOLD: {"held_seconds": 200.0}
    }
    assert not reasons(Part(held, "102"), [rule(ReviewRuleKind.LONG_HOLD)])
    assert not reasons(Part(talk(hold=119), "101"), [rule(ReviewRuleKind.LONG_HOLD)])


def test_silence_counts_without_the_hold_and_for_who_was_there() -> None:
    """Sixty quiet seconds are picked; the same sixty under a hold of fifty are not; nor for who came later."""
    long = [rule(ReviewRuleKind.SILENCE)]
    assert reasons(Part(talk(), "101", quiet(60, 10)), long) == {
        ReviewRuleKind.SILENCE: {"quiet_seconds": 60.0, "at_seconds": 10.0}
    }
    assert not reasons(Part(talk(hold=50), "101", quiet(60, 5)), long)
    call = handed_over()  # 101 talks from 5 to 40, 102 from 50 on; the recording begins with the answer
    assert reasons(Part(call, "102", quiet(60, 60)), long)
    assert not reasons(Part(call, "101", quiet(60, 60)), long)
    assert not reasons(Part(call, "102", quiet(32, 2)), long)


def test_a_bad_rating_is_about_the_last_one_spoken_to() -> None:
    """The caller presses 1 after 101 transferred them to 102: that was 102. A 3 is no complaint."""
    bad = [rule(ReviewRuleKind.BAD_RATING)]
    call = handed_over()
    assert reasons(Part(call, "102", rating=1), bad) == {ReviewRuleKind.BAD_RATING: {"rating": 1}}
    assert not reasons(Part(call, "101", rating=1), bad)
    assert not reasons(Part(call, "102", rating=3), bad)
    assert not reasons(Part(call, "102"), bad)


def test_missed_and_called_back_late() -> None:
    """Missed at nine, called back at eleven: two hours. Tried in time without an answer: no reproach."""
    late = [rule(ReviewRuleKind.CALLED_BACK_LATE)]
    back = called_back(at=WEDNESDAY + timedelta(hours=2))

    def told(*before: object) -> dict[ReviewRuleKind, object]:
        owed = debt(back, before)  # type: ignore[arg-type]
        part = Part(back, "101", owed_since=owed and owed[0], tried_at=owed and owed[1])
        return dict(reasons(part, late))

    assert told(missed()) == {ReviewRuleKind.CALLED_BACK_LATE: {"waited_minutes": 120}}
    assert told(missed(), missed(at=WEDNESDAY + timedelta(minutes=90))) != {}
    assert told(missed(), not_reached(at=WEDNESDAY + timedelta(minutes=20))) == {}
    assert told(missed(), talk(at=WEDNESDAY + timedelta(minutes=30))) == {}
    assert told(not_reached()) == {}
    assert told(missed(at=WEDNESDAY + timedelta(minutes=90))) == {}
    assert debt(talk(at=WEDNESDAY + timedelta(hours=2)), [missed()]) is None


def test_a_new_colleagues_first_week() -> None:
    """Hired on Monday: Wednesday is day three; the week after nothing is picked any more."""
    new = [rule(ReviewRuleKind.NEW_COLLEAGUE, one_in=1)]
    part = Part(talk(), "101", HEARD, colleague_since=WEDNESDAY - days(2.1))
    assert reasons(part, new) == {ReviewRuleKind.NEW_COLLEAGUE: {"day": 3}}
    assert not reasons(replace(part, colleague_since=WEDNESDAY - days(7)), new)
    assert not reasons(replace(part, colleague_since=WEDNESDAY + days(1)), new)
    assert not reasons(replace(part, colleague_since=None), new)


def test_a_one_sided_recording_is_picked_where_the_office_wants_it() -> None:
    """Off by default; switched on it finds a recording with only our side."""
    part = Part(talk(), "101", (Sound(WEDNESDAY, None, frozenset({HealthFault.OUTSIDE_SILENT})),))
    assert ReviewRuleKind.ONE_SIDED in reasons(part, [rule(ReviewRuleKind.ONE_SIDED)])
    assert ReviewRuleKind.ONE_SIDED not in reasons(part, usual_rules())


def test_conversations_among_ourselves_are_nobodys_to_grade() -> None:
    """An internal call has no agents; a transferred one has both; a phone that only rang is none."""
    assert agents_of(replace(talk(), direction=Direction.INTERNAL)) == ()
    assert agents_of(handed_over()) == ("101", "102")
    assert agents_of(missed()) == ()
    assert agents_of(called_back()) == ("101",)


@pytest.mark.parametrize("kind", ReviewRuleKind)
def test_every_row_of_the_table_is_whole(kind: ReviewRuleKind) -> None:
    """A sentence names each of its choices, each default lies in its bounds and says why."""
    shape = RULES[kind]
    assert shape.checked({}) == shape.defaults()
    for choice in shape.choices:
        assert "{" + choice.name + "}" in shape.sentence
        assert choice.least <= choice.default <= choice.most
        assert choice.reason
        for wrong in (choice.least - 1, choice.most + 1, "many", ""):
            with pytest.raises(PeerMistake):
                shape.checked({choice.name: wrong})


def values(question: Question) -> st.SearchStrategy[int | None]:
    known = st.sampled_from([0, 1] if question.kind is QuestionKind.YES_NO else [1, 2, 3, 4, 5])
    return st.one_of(st.none(), known) if question.may_skip else known


QUESTIONS = st.lists(
    st.builds(
        Question,
        id=st.text("abcdef", min_size=1, max_size=6),
        text=st.just("Was it well done?"),
        kind=st.sampled_from(QuestionKind),
        weight=st.integers(1, 10),
        may_skip=st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda question: question.id,
)


@st.composite
def graded(draw: st.DrawFn) -> tuple[list[Question], Answers]:
    questions = draw(QUESTIONS)
    return questions, {question.id: Answer(draw(values(question))) for question in questions}


@given(graded())
def test_a_score_is_a_weighted_mean_of_what_applies(told: tuple[list[Question], Answers]) -> None:
    """Between 0 and 100, 100 only when all is best; leaving out what does not apply changes nothing."""
    questions, given_answers = told
    if all(answer.value is None for answer in given_answers.values()):
        with pytest.raises(PeerMistake):
            score(questions, given_answers)
        return
    whole = score(questions, given_answers)
    worth = points_of(questions, given_answers)
    assert min(worth.values()) - 1e-9 <= whole <= max(worth.values()) + 1e-9
    assert 0 <= whole <= 100
    applying = [question for question in questions if given_answers[question.id].value is not None]
    assert score(applying, {one.id: given_answers[one.id] for one in applying}) == pytest.approx(whole)
    assert compare(questions, given_answers, given_answers).overall == 0


def test_the_weights_count() -> None:
    """Greeting 1 of 4 parts, answer 3 of 4: no greeting and a best answer make 75; a 3 of 5 is half."""
    assert score(SHORT_FORM, answers(0, 5)) == 75
    assert score(SHORT_FORM, answers(1, 3)) == pytest.approx(100 * (1 + 1.5) / 4)
    assert score(SHORT_FORM, answers(1, 5, 0)) == 80


@pytest.mark.parametrize(
    "told",
    [
        {},
        answers(2, 5),
        answers(1, 6),
        answers(1, 0),
        {**answers(), "greeting": Answer(None)},
        {**answers(), "more": Answer(1)},
        {**answers(), "greeting": Answer(1, "x" * 1001)},
    ],
)
def test_answers_that_do_not_fit_are_refused(told: Answers) -> None:
    """A question left out, a 6 of 5, "does not apply" where it always does, a question of another version."""
    with pytest.raises(PeerMistake):
        score(SHORT_FORM, told)


def test_a_form_that_is_none() -> None:
    """No question, twenty-one, two with one mark, an empty one, a weight of nothing."""
    ask = Question("a", "Was it?", QuestionKind.YES_NO)
    many = [replace(ask, id=str(number)) for number in range(21)]
    for wrong in ([], many, [ask, ask], [replace(ask, text=" ")], [replace(ask, weight=0)]):
        with pytest.raises(PeerMistake):
            check_questions(wrong)
    check_questions(many[:20])
    check_questions(USUAL_FORM)


def test_two_graders_compared() -> None:
    """One gave 5 and a greeting, the other 3 and none: the second is 100 and 50 points lower."""
    apart = compare(SHORT_FORM, answers(1, 5), answers(0, 3))
    assert apart.by_question == {"greeting": -100, "answer": -50, "hold": 0}
    assert apart.overall == pytest.approx(37.5 - 100)
    assert compare(SHORT_FORM, answers(), answers(hold=1)).by_question["hold"] is None


def test_a_trend_by_week_and_month() -> None:
    """Two grades in one week make their mean; the office's own midnight decides the week."""
    sunday_night = WEDNESDAY.replace(day=15, hour=22)  # Monday already in Moscow
    marks = [
        Mark(WEDNESDAY, 80, {"a": 100.0}),
        Mark(WEDNESDAY + days(1), 60, {}),
        Mark(sunday_night, 40, {"a": 0.0}),
        Mark(WEDNESDAY - days(30), 10, {"a": 50.0}),
    ]
    by_week = trend(marks, Step.WEEK, UTC)
    assert [(point.since.day, point.mean, point.count) for point in by_week] == [
        (19, 10, 1),
        (9, 40, 1),
        (16, 70, 2),
    ]
    assert [point.count for point in trend(marks, Step.WEEK, ZoneInfo("Europe/Moscow"))] == [1, 3]
    assert [(point.since.month, point.count) for point in trend(marks, Step.MONTH, UTC)] == [(10, 1), (11, 3)]
    assert [point.mean for point in trend(marks, Step.MONTH, UTC, "a")] == [50, 50]

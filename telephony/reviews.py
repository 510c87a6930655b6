"""Which calls somebody should hear, why, and what a grade is worth.

Rules look at one person's part in one ended call and say in numbers why it should be heard, or nothing. A rule that
takes its pick by chance takes it from the call's own id, so that whoever runs it, and however often, picks the same
calls. A score form asks weighted questions; a grade is their weighted mean from 0 to 100, with what does not apply left
out. Two people who graded the same conversation can be compared, and one person's grades make a trend.

`RULES` is the table: for each kind its sentence, its reason, what can be chosen, and the function that picks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from uuid import UUID

from telephony.call_facts.facts import CallFacts, Direction, Disposition, PartyKind
from telephony.errors import PeerMistake
from telephony.languages.phrases import N_
from telephony.recordings import HealthFault, Measures

Because = Mapping[str, float]
"""Why a rule picked a call, in numbers; the kind's `reason` says them in words."""

Choices = Mapping[str, int]
"""The chosen number of each of a rule's choices, by name."""


class ReviewRuleKind(StrEnum):
    """What a rule looks for."""

    RANDOM_SHARE = "random_share"
    LONG_HOLD = "long_hold"
    SILENCE = "silence"
    BAD_RATING = "bad_rating"
    CALLED_BACK_LATE = "called_back_late"
    NEW_COLLEAGUE = "new_colleague"
    ONE_SIDED = "one_sided"


BY_HAND = "by_hand"
"""Stands where a rule's kind would: a supervisor chose the call themselves."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of one recording of the call that can be played."""

    started_at: datetime | None
    measures: Measures | None
    faults: frozenset[HealthFault] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """One person's part in one ended call: what a rule is shown."""

    call: CallFacts
    extension: str
    sounds: tuple[Sound, ...] = ()
    rating: int | None = None
    """What the caller pressed afterwards, 1 to 5."""
    owed_since: datetime | None = None
    """The oldest missed call of this client that nobody had spoken to them about, where this call was the first
    conversation after it."""
    tried_at: datetime | None = None
    """When it was first tried to call them back."""
    colleague_since: datetime | None = None
    """When this person began here, where that is known."""

    @property
    def talk_seconds(self) -> float:
        """How long this person talked in this call."""
        return sum(leg.talk_seconds for leg in self.call.legs if leg.party == self.extension)


class Unit(StrEnum):
    """What a choice counts."""

    SECONDS = "seconds"
    MINUTES = "minutes"
    DAYS = "days"
    CALLS = "calls"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Choice:
    """A number of a rule that the office may set."""

    name: str
    unit: Unit
    default: int
    least: int
    most: int
    reason: str
    """Why this default."""


@dataclass(frozen=True, slots=True)
class RuleShape:
    """One row of the table: everything there is to know about a kind of rule."""

    title: str
    sentence: str
    """The rule read aloud; `{name}` is where a choice stands."""
    reason: str
    """Why a call was picked; `{name}` is a number of its Because."""
    choices: tuple[Choice, ...]
    picks: Callable[[Part, Choices], Because | None]
    needs_sound: bool
    """Whether there is nothing to review without a recording."""
    active: bool = True
    """Until the office chooses otherwise."""

    def defaults(self) -> dict[str, int]:
        """Every choice as it is until somebody changes it."""
        return {choice.name: choice.default for choice in self.choices}

    def checked(self, told: Mapping[str, object]) -> dict[str, int]:
        """The choices somebody made, complete. Raises PeerMistake for a number out of its bounds."""
        return {
            choice.name: _checked(choice, told.get(choice.name, choice.default)) for choice in self.choices
        }


def _checked(choice: Choice, told: object) -> int:
    try:
        value = int(str(told))
    except ValueError:
        value = choice.least - 1
    if not choice.least <= value <= choice.most:
        raise PeerMistake(
            "A number from {least} to {most} is needed.",
            remedy="Correct the number and save.",
            values={"least": choice.least, "most": choice.most},
        )
    return value


def agents_of(call: CallFacts) -> tuple[str, ...]:
    """Those of ours who talked with somebody outside. Conversations among ourselves are nobody's to grade."""
    if call.direction is Direction.INTERNAL or not call.ended:
        return ()
    talked = (
        leg.party
        for leg in call.legs
        if leg.kind is PartyKind.EXTENSION and leg.answered_at is not None and leg.talk_seconds > 0
    )
    return tuple(dict.fromkeys(talked))


def week_of(at: datetime) -> date:
    """The Monday of its week, in UTC: the same week whoever asks, wherever they are."""
    day = at.astimezone(UTC).date()
    return day - timedelta(days=day.weekday())


def chance(call_id: UUID, extension: str, salt: str) -> float:
    """A number from 0 up to 1 that looks random and is always the same for this part of this call and this salt."""
    digest = hashlib.blake2b(f"{salt} {call_id} {extension}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def random_chance(call: CallFacts, extension: str) -> float:
    """Its place in the week's lottery: the weekly salt keeps one week from telling anything about the next."""
    return week_chance(call.id, call.started_at, extension)


def week_chance(call_id: UUID, started_at: datetime, extension: str) -> float:
    """The same without the whole call at hand."""
    return chance(call_id, extension, f"week {week_of(started_at)}")


def worth_drawing(part: Part, choices: Choices) -> bool:
    """Whether it takes part in the lottery at all: it can be heard and is long enough to say something."""
    return bool(part.sounds) and part.talk_seconds >= choices["at_least_seconds"]


def _random_share(part: Part, choices: Choices) -> Because | None:
    one_in = choices["one_in"]
    if not worth_drawing(part, choices) or random_chance(part.call, part.extension) * one_in >= 1:
        return None
    return {"one_in": one_in}


def _long_hold(part: Part, choices: Choices) -> Because | None:
    held = sum(hold.seconds for hold in part.call.holds if hold.by == part.extension)
    return {"held_seconds": round(held, 1)} if held >= choices["hold_seconds"] else None


def _silence(part: Part, choices: Choices) -> Because | None:
    for sound in part.sounds:
        if sound.measures is None:
            continue
        begin = sound.measures.longest_silence_at_seconds
        quiet = sound.measures.longest_silence_seconds
        if sound.started_at is not None:
            since = sound.started_at + timedelta(seconds=begin)
            if not _was_there(part, since):
                continue
            quiet -= _held_between(part.call, since, since + timedelta(seconds=quiet))
        if quiet >= choices["silence_seconds"]:
            return {"quiet_seconds": round(quiet, 1), "at_seconds": round(begin, 1)}
    return None


def _was_there(part: Part, at: datetime) -> bool:
    """Whether this person was in the call at that moment: a silence is theirs who was on the phone."""
    return any(
        leg.answered_at is not None
        and leg.answered_at <= at + timedelta(seconds=1)  # a recording may begin a little before the answer
        and (leg.ended_at is None or at < leg.ended_at)
        for leg in part.call.legs
        if leg.party == part.extension
    )


def _held_between(call: CallFacts, since: datetime, until: datetime) -> float:
    """Seconds of it in which somebody had the call on hold: music or nothing, and no fault of the conversation."""
    spans = ((hold.at, hold.at + timedelta(seconds=hold.seconds)) for hold in call.holds)
    return sum(max(0.0, (min(until, end) - max(since, begin)).total_seconds()) for begin, end in spans)


def _bad_rating(part: Part, choices: Choices) -> Because | None:
    if part.rating is None or part.rating > choices["at_most"] or _last_of_ours(part.call) != part.extension:
        return None
    return {"rating": part.rating}


def _last_of_ours(call: CallFacts) -> str | None:
    """Who talked with the caller last: the one they had in their ear when they pressed a key."""
    agents = set(agents_of(call))
    legs = [leg for leg in call.legs if leg.party in agents and leg.answered_at is not None]
    last = max(legs, key=lambda leg: leg.ended_at or leg.answered_at or call.started_at, default=None)
    return last.party if last else None


def _called_back_late(part: Part, choices: Choices) -> Because | None:
    if part.owed_since is None or part.tried_at is None or part.call.caller.number != part.extension:
        return None
    waited = (part.tried_at - part.owed_since).total_seconds() / 60
    return {"waited_minutes": round(waited)} if waited >= choices["minutes"] else None


def _new_colleague(part: Part, choices: Choices) -> Because | None:
    if part.colleague_since is None or not part.sounds:
        return None
    age = part.call.started_at - part.colleague_since
    if not timedelta(0) <= age < timedelta(days=choices["days"]):
        return None
    if chance(part.call.id, part.extension, "new colleague") * choices["one_in"] >= 1:
        return None
    return {"day": age.days + 1}


_ONE_SIDED = frozenset({HealthFault.SILENT, HealthFault.OURS_SILENT, HealthFault.OUTSIDE_SILENT})


def _one_sided(part: Part, _choices: Choices) -> Because | None:
    return {} if any(sound.faults & _ONE_SIDED for sound in part.sounds) else None


RULES: dict[ReviewRuleKind, RuleShape] = {
    ReviewRuleKind.RANDOM_SHARE: RuleShape(
        title=N_("A random share"),
        sentence=N_(
            "Pick 1 of every {one_in} conversations of each person that lasted at least {at_least_seconds} "
            "seconds, and at least one a week."
        ),
        reason=N_("Random pick: 1 of {one_in}"),
        choices=(
            Choice("one_in", Unit.CALLS, 20, 1, 1000, N_("20 conversations a day make five a week to hear")),
            Choice(
                "at_least_seconds", Unit.SECONDS, 30, 0, 3600, N_("a shorter one says little about anybody")
            ),
        ),
        picks=_random_share,
        needs_sound=True,
    ),
    ReviewRuleKind.BAD_RATING: RuleShape(
        title=N_("A bad rating"),
        sentence=N_("Pick calls after which the caller pressed {at_most} or less."),
        reason=N_("Caller pressed {rating}"),
        choices=(Choice("at_most", Unit.KEY, 2, 1, 5, N_("1 and 2 of 5 are a complaint, 3 is not")),),
        picks=_bad_rating,
        needs_sound=False,
    ),
    ReviewRuleKind.LONG_HOLD: RuleShape(
        title=N_("A long hold"),
        sentence=N_(
            "Pick calls in which the other side was put on hold for {hold_seconds} seconds or longer."
        ),
        reason=N_("Held {held_seconds}"),
        choices=(
            Choice("hold_seconds", Unit.SECONDS, 120, 10, 7200, N_("two minutes of music feel like five")),
        ),
        picks=_long_hold,
        needs_sound=False,
    ),
    ReviewRuleKind.SILENCE: RuleShape(
        title=N_("A long silence"),
        sentence=N_(
            "Pick calls in which nobody spoke for {silence_seconds} seconds or longer, hold left out."
        ),
        reason=N_("Silence of {quiet_seconds} at {at_seconds}"),
        choices=(
            Choice(
                "silence_seconds",
                Unit.SECONDS,
                30,
                5,
                3600,
                N_("looking something up takes 10 to 20 seconds"),
            ),
        ),
        picks=_silence,
        needs_sound=True,
    ),
    ReviewRuleKind.CALLED_BACK_LATE: RuleShape(
        title=N_("Missed, then called back late"),
        sentence=N_(
            "Pick the first conversation with a client who waited {minutes} minutes or longer to be called back."
        ),
        reason=N_("Called back {waited_minutes} after a missed call"),
        choices=(
            Choice(
                "minutes", Unit.MINUTES, 60, 1, 10080, N_("within the hour most have not called elsewhere")
            ),
        ),
        picks=_called_back_late,
        needs_sound=False,
    ),
    ReviewRuleKind.NEW_COLLEAGUE: RuleShape(
        title=N_("A new colleague"),
        sentence=N_("Pick 1 of every {one_in} conversations in the first {days} days of a new colleague."),
        reason=N_("First week of {name}, day {day}"),
        choices=(
            Choice("one_in", Unit.CALLS, 3, 1, 100, N_("some six a day, enough to help early")),
            Choice("days", Unit.DAYS, 7, 1, 90, N_("the first week decides the habits")),
        ),
        picks=_new_colleague,
        needs_sound=True,
    ),
    ReviewRuleKind.ONE_SIDED: RuleShape(
        title=N_("Only one side can be heard"),
        sentence=N_("Pick calls on whose recording somebody cannot be heard at all."),
        reason=N_("Somebody cannot be heard"),
        choices=(),
        picks=_one_sided,
        needs_sound=True,
        active=False,  # a fault of the line, already on the page of exceptions; rarely of the person
    ),
}
"""The rules an office can switch on, in the order they are shown."""


@dataclass(frozen=True, slots=True)
class ReviewRule:
    """A rule as the office set it."""

    kind: ReviewRuleKind
    active: bool
    choices: Choices

    @property
    def shape(self) -> RuleShape:
        """Its row of the table."""
        return RULES[self.kind]


def usual_rules() -> tuple[ReviewRule, ...]:
    """What holds until somebody chooses otherwise."""
    return tuple(ReviewRule(kind, shape.active, shape.defaults()) for kind, shape in RULES.items())


def reasons(part: Part, rules: Iterable[ReviewRule]) -> dict[ReviewRuleKind, Because]:
    """Which of the active rules pick this part of this call, and why."""
    found = {}
    for rule in rules:
        if rule.active and not (rule.shape.needs_sound and not part.sounds):
            because = rule.shape.picks(part, rule.choices)
            if because is not None:
                found[rule.kind] = because
    return found


def debt(call: CallFacts, before: Iterable[CallFacts]) -> tuple[datetime, datetime] | None:
    """Since when this client was owed a call that `call` is the first conversation after, and when it was first tried.

    `before` are the calls with the same outside number before it, in any order. None when nothing was owed: the client
    was spoken to since their last missed call, or this is no call of ours to them, or nobody talked.
    """
    if call.direction is not Direction.OUTBOUND or call.talk_seconds <= 0:
        return None
    owed = tried = None
    for one in sorted(before, key=lambda earlier: earlier.started_at):
        if one.started_at >= call.started_at or one.id == call.id:
            continue
        if one.talk_seconds > 0:
            owed = tried = None
        elif one.disposition in (Disposition.MISSED, Disposition.ABANDONED):
            owed = owed or one.started_at
        elif one.direction is Direction.OUTBOUND and owed is not None:
            tried = tried or one.started_at
    return None if owed is None else (owed, tried or call.started_at)


class QuestionKind(StrEnum):
    """How a question is answered."""

    YES_NO = "yes_no"  # 1 or 0
    SCALE = "scale"  # 1 to 5


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a score form. Its id stays when it is reworded, so that its trend goes on."""

    id: str
    text: str
    kind: QuestionKind
    weight: int = 1
    """How much it counts beside the others."""
    may_skip: bool = False
    """Whether "does not apply" is an answer; such a question is left out of the score."""
    help: str = ""
    """When to give which answer, so that two people mean the same by it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: 1 or 0, 1 to 5, or None for "does not apply"; and what the grader wrote beside it."""

    value: int | None
    comment: str = ""


Answers = Mapping[str, Answer]
"""By the question's id."""

QUESTIONS_MOST = 20  # a form of more is filled in without listening
TEXT_MOST = 200  # characters of a question; two lines
HELP_MOST = 500
COMMENT_MOST = 1000
WEIGHT_MOST = 10

USUAL_FORM_NAME = "Conversation with a client"
USUAL_FORM = (
    Question("greeting", "Gave the company’s name and their own", QuestionKind.YES_NO, 1),
    Question(
        "need", "Found out what the client wants", QuestionKind.SCALE, 3, False,
        "5: asked, listened and said it back. 3: guessed right. 1: answered another question.",
    ),
    Question(
        "answer", "Gave a right and complete answer", QuestionKind.SCALE, 3, False,
        "5: nothing is left to ask. 1: wrong, or none.",
    ),
    Question(
        "hold", "Asked before putting on hold, and came back in time", QuestionKind.YES_NO, 1, True,
        "Does not apply when nobody was put on hold.",
    ),
    Question("manner", "Was polite and calm", QuestionKind.SCALE, 2),
    Question(
        "next", "Agreed what happens next, who does it and when", QuestionKind.YES_NO, 2, True,
        "Does not apply when nothing was left to do.",
    ),
)  # fmt: skip
"""What an office without a form of its own begins with."""


def check_questions(questions: Sequence[Question]) -> None:
    """Raises PeerMistake, with what to correct, unless this can be a form."""
    if not questions:
        raise PeerMistake("A form needs at least one question.", remedy="Write a question.")
    if len(questions) > QUESTIONS_MOST:
        raise PeerMistake(
            "A form may have {questions_most} questions.",
            remedy="Leave some out.",
            values={"questions_most": QUESTIONS_MOST},
        )
    if len({question.id for question in questions}) != len(questions):
        raise PeerMistake("Two questions have the same mark.", remedy="Load the page again.")
    for question in questions:
        if not question.text.strip() or len(question.text) > TEXT_MOST or len(question.help) > HELP_MOST:
            raise PeerMistake(
                "A question has 1 to {text_most} characters, its explanation at most {help_most}.",
                remedy="Shorten it.",
                values={"text_most": TEXT_MOST, "help_most": HELP_MOST},
            )
        if not 1 <= question.weight <= WEIGHT_MOST:
            raise PeerMistake(
                "A weight is a number from 1 to {weight_most}.",
                remedy="Correct the weight.",
                values={"weight_most": WEIGHT_MOST},
            )


def points(question: Question, value: int) -> float:
    """What an answer is worth, 0 to 1."""
    return float(value) if question.kind is QuestionKind.YES_NO else (value - 1) / 4


def check_answers(questions: Sequence[Question], answers: Answers) -> None:
    """Raises PeerMistake, with what to correct, unless every question is answered by what it allows."""
    for question in questions:
        answer = answers.get(question.id)
        allowed = {0, 1} if question.kind is QuestionKind.YES_NO else {1, 2, 3, 4, 5}
        fits = answer is not None and (question.may_skip if answer.value is None else answer.value in allowed)
        if not fits:
            raise PeerMistake(
                "This question has no answer yet: {text}",
                remedy="Answer it and save.",
                values={"text": question.text},
            )
        if answer is not None and len(answer.comment) > COMMENT_MOST:
            raise PeerMistake(
                "A comment may have {comment_most} characters.",
                remedy="Shorten it.",
                values={"comment_most": COMMENT_MOST},
            )
    if set(answers) - {question.id for question in questions}:
        raise PeerMistake("The form was changed meanwhile.", remedy="Load the page again.")
    if all(answer.value is None for answer in answers.values()):
        raise PeerMistake("Nothing in the form applies to this call.", remedy="Skip the call instead.")


def score(questions: Sequence[Question], answers: Answers) -> float:
    """The weighted mean of what applies, 0 to 100. Raises PeerMistake when the answers do not fit the questions."""
    check_answers(questions, answers)
    counted = [
        (question.weight, points(question, value))
        for question in questions
        if (value := answers[question.id].value) is not None
    ]
    return 100 * sum(weight * worth for weight, worth in counted) / sum(weight for weight, _worth in counted)


def points_of(questions: Sequence[Question], answers: Answers) -> dict[str, float]:
    """What each answered question is worth, 0 to 100; what does not apply is left out."""
    return {
        question.id: 100 * points(question, answer.value)
        for question in questions
        if (answer := answers.get(question.id)) is not None and answer.value is not None
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two graders are apart on the same conversation, in points of 100: the second minus the first."""

    overall: float
    by_question: Mapping[str, float | None]
    """None: one of them said that it does not apply; both saying so is no difference, 0."""


def compare(questions: Sequence[Question], first: Answers, second: Answers) -> Difference:
    """The two graders' answers to the same version of a form about the same conversation."""
    one, other = points_of(questions, first), points_of(questions, second)

    def apart(question: Question) -> float | None:
        if question.id not in one and question.id not in other:
            return 0.0
        if question.id not in one or question.id not in other:
            return None
        return other[question.id] - one[question.id]

    return Difference(
        score(questions, second) - score(questions, first),
        {question.id: apart(question) for question in questions},
    )


class Step(StrEnum):
    """How finely a trend is cut."""

    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Mark:
    """One grade as a trend needs it: when the call was, its score, and each question's points, 0 to 100."""

    at: datetime
    score: float
    points: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """The mean of so many grades of calls in the step that began on that day."""

    since: date
    mean: float
    count: int


def trend(
    marks: Iterable[Mark], step: Step, zone: tzinfo, question: str | None = None
) -> tuple[TrendPoint, ...]:
    """Oldest first; of the whole score, or of one question. Steps without a grade are left out."""
    kept: dict[date, list[float]] = {}
    for mark in marks:
        value = mark.score if question is None else mark.points.get(question)
        if value is not None:
            kept.setdefault(step_of(mark.at, step, zone), []).append(value)
    return tuple(
        TrendPoint(since, sum(values) / len(values), len(values)) for since, values in sorted(kept.items())
    )


def step_of(at: datetime, step: Step, zone: tzinfo) -> date:
    """The first day of its week or month on the office's calendar."""
    day = at.astimezone(zone).date()
    return day.replace(day=1) if step is Step.MONTH else day - timedelta(days=day.weekday())

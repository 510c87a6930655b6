"""What reviewing hands out and takes in: plain frozen values, no SQL. Pages and tests are written against these.

`extensions` is everywhere whose calls may be told of: None is everybody's, an empty set nobody's. What lies outside it
is as if it did not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from telephony.call_facts.facts import CallFacts
from telephony.reviews import Answers, Because, Question, ReviewRule

Scope = frozenset[str] | None


class PickState(StrEnum):
    """Where a picked call is."""

    OPEN = "open"
    GRADED = "graded"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Pick:
    """One reason to hear one person's part in one call."""

    id: UUID
    kind: str
    """A ReviewRuleKind, or BY_HAND."""
    because: Because
    picked_by: str | None
    """Who chose it by hand."""
    picked_at: datetime
    state: PickState
    done_by: str | None
    done_at: datetime | None
    why: str | None
    """Why it was skipped."""


@dataclass(frozen=True, slots=True)
class Picked:
    """A person's part in a call with everything that speaks for hearing it. Its id is the first reason's."""

    id: UUID
    call: CallFacts
    extension: str
    reasons: tuple[Pick, ...]
    recorded: bool
    """Whether there is a recording that can be played."""

    @property
    def state(self) -> PickState:
        """Open while any reason is."""
        states = {reason.state for reason in self.reasons}
        return next(state for state in PickState if state in states)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would do with the last seven days."""

    picked: int
    """How many conversations it would pick something of."""
    conversations: int
    """Of how many."""
    parts: int = 0
    """How many there would be to hear: of a conversation that was handed over each colleague's part."""


@dataclass(frozen=True, slots=True)
class FormVersion:
    """A score form as it stood, or stands. Never changed: a changed form is a new version."""

    form_id: UUID
    version: int
    name: str
    questions: tuple[Question, ...]
    made_by: str
    made_at: datetime
    retired: bool
    """Whether the form is no longer offered; its grades stay."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What one grader thought of one person's part in one call. Never changed, only superseded."""

    id: UUID
    call_id: UUID
    extension: str
    form_id: UUID
    version: int
    grader_id: UUID
    grader: str
    answers: Answers
    score: float
    """0 to 100."""
    feedback: str
    given_at: datetime
    call_at: datetime
    supersedes: UUID | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Somebody read what they were told."""

    account_id: UUID
    name: str
    read_at: datetime
    acknowledged_at: datetime | None = None
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A grade as the graded colleague sees it."""

    grade: Grade
    form: FormVersion
    call: CallFacts | None
    """None once the call is no longer kept."""
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class GradedTwice:
    """Two people's newest grades of the same conversation by the same version of a form; the earlier one first."""

    form: FormVersion
    call: CallFacts | None
    first: Grade
    second: Grade


class ReviewRules(Protocol):
    """What the office looks for (`rules.py`)."""

    async def all(self) -> Sequence[ReviewRule]:
        """Every kind once, chosen or usual, in the order of the table."""

    async def change(self, rule: ReviewRule, *, by: str, seen: str | None = None) -> None:
        """Raises PeerMistake for a choice out of its bounds."""


class ReviewPicks(Protocol):
    """Which calls to hear (`picks.py`)."""

    async def queue(self, extensions: Scope, *, limit: int = 200) -> Sequence[Picked]:
        """What is open, newest call first, of the last four weeks."""

    async def one(self, pick_id: UUID) -> Picked | None:
        """The part of the call that this reason speaks for, with all its reasons, done or not."""

    async def graded(self, extensions: Scope, *, limit: int = 50) -> Sequence[Picked]:
        """What was graded last, newest call first: where a second grader chooses from."""

    async def choose(self, call_id: UUID, extension: str, *, by: str) -> UUID:
        """Put it into the queue by hand. Raises PeerMistake when that person did not talk in that call."""

    async def skip(self, pick_id: UUID, *, by: UUID, why: str) -> None:
        """Not worth hearing, and why: every open reason of that part of the call is done with."""

    async def reopen(self, pick_id: UUID) -> None:
        """Undo a skip."""

    async def pick_now(self, now: datetime | None = None, *, thorough: bool = False) -> int:
        """Look at the calls that ended since the last time (thorough: of the last two weeks); how many were added.

        Doing it again, or in two processes at once, adds nothing twice. Raises TryLater.
        """

    async def would_pick(self, rule: ReviewRule, now: datetime | None = None) -> Preview:
        """What this rule would have picked in the last seven days, without picking it."""

    async def run(self) -> None:
        """Pick every few minutes, for ever."""


class ScoreForms(Protocol):
    """What is asked about a call (`forms.py`)."""

    async def offered(self) -> Sequence[FormVersion]:
        """The newest version of every form in use, by name. The first asker of an empty office makes the usual one."""

    async def retired(self) -> Sequence[FormVersion]: ...
    async def one(self, form_id: UUID, version: int | None = None) -> FormVersion | None:
        """That version, or the newest."""

    async def save(
        self, form_id: UUID | None, name: str, questions: Sequence[Question], *, after: int, by: str
    ) -> FormVersion:
        """A new form, or a new version after version `after`. A new name alone makes no version.

        Raises PeerMistake when somebody else made a version meanwhile, or it cannot be a form.
        """

    async def retire(self, form_id: UUID, *, retired: bool) -> None: ...


class Grades(Protocol):
    """What calls scored (`grades.py`)."""

    async def give(
        self,
        *,
        grade_id: UUID,
        call_id: UUID,
        extension: str,
        form_id: UUID,
        version: int,
        answers: Answers,
        feedback: str,
        grader_id: UUID,
        grader: str,
        login: str,
        address: str = "",
        browser: str = "",
        given_at: datetime | None = None,
    ) -> Grade:
        """Keep a grade, write its audit line and take the call out of the queue, all or nothing.

        It supersedes what this grader said of it by this form before. The same `grade_id` again changes nothing and
        gives what is kept. Raises PeerMistake for answers that do not fit, or who did not talk in that call.
        """

    async def one(self, grade_id: UUID) -> Grade | None: ...
    async def of_part(self, call_id: UUID, extension: str) -> Sequence[Grade]:
        """The newest grade of each grader and form, oldest first."""

    async def before(self, grade: Grade) -> Sequence[Grade]:
        """What it superseded, newest first."""

    async def told(self, extensions: frozenset[str], account_id: UUID, *, limit: int = 100) -> Sequence[Told]:
        """The newest grades of these extensions as this account, theirs, sees them: newest first."""

    async def unread(self, extensions: frozenset[str], account_id: UUID) -> int:
        """How many of those it has not opened."""

    async def mark_read(self, grade_id: UUID, account_id: UUID) -> None: ...
    async def acknowledge(self, grade_id: UUID, account_id: UUID, *, reply: str = "") -> None:
        """Read and understood, once. Raises PeerMistake for another reply after that."""

    async def readings(self, grade_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Reading]]: ...
    async def since(self, extensions: Scope, since: datetime, *, limit: int = 5000) -> Sequence[Grade]:
        """The newest grades of calls from that moment on, oldest call first: what trends are drawn from."""

    async def twice(self, extensions: Scope, since: datetime, *, limit: int = 500) -> Sequence[GradedTwice]:
        """Conversations two people graded by the same version of a form, newest first: every pair of graders."""


class Reviews(Protocol):
    """All of it, as `Records.reviews`."""

    @property
    def rules(self) -> ReviewRules: ...
    @property
    def picks(self) -> ReviewPicks: ...
    @property
    def forms(self) -> ScoreForms: ...
    @property
    def grades(self) -> Grades: ...

"""Two weeks of calls as the demo's office would have had them, made up from a seed.

Every call is told as the bridge tells a finished one, so that the pages cannot tell the difference. Customers are those
whom the simulated office calls with; whoever got nobody is called back, or tries again, within the hour. Only what was
missed in the last hour may still be owed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from heapq import heappop, heappush
from uuid import NAMESPACE_URL, UUID, uuid5

from switchhook.lab.office import customer_number
from switchhook.lab.staff import STAFF
from telephony.call_facts.facts import (
    Caller,
    CallFacts,
    Certainty,
    Direction,
    Disposition,
    Hold,
    Interval,
    Leg,
    LegOutcome,
    LegRole,
    LegState,
    PartyKind,
    QueueVisit,
    Recorded,
    State,
    Transfer,
    TransferKind,
    TransferResult,
    TransferVia,
)

PBX_ID = "demo"
DAYS = 14
CUSTOMERS = 120  # numbers that called, again and again
CALLS_OF_WEEKDAY = (
    34,
    40,
    38,
    41,
    36,
    9,
    4,
)  # Monday to Sunday; Tuesday and Thursday are busy, as in most offices
HOURS_OF_DAY = (9, 10, 11, 12, 13, 14, 15, 16, 17)
HOUR_WEIGHTS = (6, 9, 10, 7, 4, 7, 9, 8, 5)  # two humps and a lunch
TODAY_HOURS = 6  # today's calls go back so far, whatever the clock says: the demo's office never closes
CALLS_OF_TODAY = 22
QUIET_SECONDS = 60  # nothing of the past goes on while the first live call rings
SOUND_SECONDS = (24, 41, 58, 77, 101, 136)
"""How long conversations are: there is a sound of each of these lengths to listen to."""
SOUND_WEIGHTS = (3, 5, 5, 4, 3, 2)

ANNA = "101"
SALES = ("101", "102", "103")
SUPPORT = ("105", "106")
GROUP = ("101", "102", "103", "104", "105", "106")
DIRECT_DID, GROUP_DID, SALES_DID, SUPPORT_DID = (f"+7495100000{digit}" for digit in (1, 2, 3, 4))
_SPACE = uuid5(NAMESPACE_URL, "switchhook:demo:past-calls")


@dataclass(frozen=True, slots=True)
class _Line:
    """One of the office's numbers: which phones ring, through which queue, and how often it is called."""

    did: str
    phones: tuple[str, ...]
    queue: str | None
    weight: int


LINES = (
    _Line(DIRECT_DID, (ANNA,), None, 5),
    _Line(GROUP_DID, GROUP, None, 3),
    _Line(SALES_DID, SALES, "sales", 5),
    _Line(SUPPORT_DID, SUPPORT, "support", 4),
)
INBOUND_ENDS = (
    ("talked", 60), ("held", 7), ("transferred", 8), ("gave_up", 11), ("voicemail", 4), ("busy", 3),
)  # fmt: skip
OUTBOUND_ENDS = (("talked", 76), ("no_answer", 16), ("busy", 8))
DIRECTIONS = (("inbound", 66), ("outbound", 24), ("internal", 10))


def build_past_calls(
    until: datetime, zone: tzinfo = UTC, *, seed: int = 1, recordings_dir: str = "/recordings"
) -> list[CallFacts]:
    """The calls of the two weeks before `until` (aware UTC), oldest first. The same arguments give the same calls."""
    return _History(until, zone, seed, recordings_dir).build()


def past_call_id(place: int) -> UUID:
    """The so-manieth call's id is always the same, so that a history that is put in again is not there twice."""
    return uuid5(_SPACE, str(place))


@dataclass(slots=True)
class _History:
    until: datetime
    zone: tzinfo
    seed: int
    recordings_dir: str
    calls: list[CallFacts] = field(default_factory=list)
    _random: random.Random = field(init=False)
    _free_at: dict[str, datetime] = field(default_factory=dict)
    _owed: list[tuple[datetime, str, str]] = field(default_factory=list)
    """When somebody will call back, whom, and who was rung."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - people's habits, not secrets

    def build(self) -> list[CallFacts]:
        """Begin by begin, what is owed in between."""
        for at in self._begins():
            while self._owed and self._owed[0][0] <= at:
                self._call_back(*heappop(self._owed))
            self._one_call(at)
        while self._owed and self._owed[0][0] < self._last_begin():
            self._call_back(*heappop(self._owed))
        return sorted(self.calls, key=lambda call: call.started_at)

    def _last_begin(self) -> datetime:
        longest = max(SOUND_SECONDS) + 60  # ringing and hold beside the talk
        return self.until - timedelta(seconds=QUIET_SECONDS + longest)

    def _begins(self) -> list[datetime]:
        today = self.until - timedelta(hours=TODAY_HOURS)
        before = [at for day in self._days() for at in self._begins_of(day) if at < today]
        window = (self._last_begin() - today).total_seconds()
        fresh = (today + timedelta(seconds=self._random.uniform(0, window)) for _ in range(CALLS_OF_TODAY))
        return sorted([*before, *fresh])

    def _days(self) -> Iterator[date]:
        last = self.until.astimezone(self.zone).date()
        return (last - timedelta(days=back) for back in range(DAYS, -1, -1))

    def _begins_of(self, day: date) -> Iterator[datetime]:
        for _ in range(CALLS_OF_WEEKDAY[day.weekday()] + self._random.randint(-3, 4)):
            (hour,) = self._random.choices(HOURS_OF_DAY, HOUR_WEIGHTS)
            clock = time(hour, self._random.randrange(60), self._random.randrange(60))
            yield datetime.combine(day, clock, self.zone).astimezone(UTC)

    # -- one call --

    def _one_call(self, at: datetime) -> None:
        direction = self._pick(DIRECTIONS)
        number = self._customer()
        if direction == "inbound":
            self._inbound(at, number, self._pick(INBOUND_ENDS))
        elif direction == "outbound":
            person = self._somebody_free(at, tuple(STAFF))
            if person:
                self._outbound(at, person, number, self._pick(OUTBOUND_ENDS))
        else:
            self._internal(at)

    def _call_back(self, at: datetime, number: str, rung: str) -> None:
        if self._random.random() < 0.2:
            self._inbound(at, number, "talked")  # the customer was quicker
            return
        person = self._somebody_free(at, (rung, *SALES))
        if person is None or self._random.random() < 0.12:
            if person:
                self._outbound(at, person, number, "no_answer")
            heappush(self._owed, (at + self._minutes(12, 40), number, rung))
            return
        self._outbound(at, person, number, "talked")

    def _inbound(self, at: datetime, number: str, end: str) -> None:
        (line,) = self._random.choices(LINES, [line.weight for line in LINES])
        if end in ("voicemail", "busy"):
            line = LINES[0]
        person = self._somebody_free(at, line.phones)
        if person is None and end in ("talked", "held", "transferred"):
            end = "gave_up"
        call = _Draft(self, at, number, line)
        match end:
            case "talked" | "held" | "transferred":
                self._keep(call.answered(person or "", end))
                return
            case "gave_up":
                self._keep(call.given_up())
            case "voicemail":
                self._keep(call.voicemail())
            case _:
                self._keep(call.busy())
        heappush(self._owed, (at + self._minutes(6, 45), number, line.phones[0]))

    def _outbound(self, at: datetime, person: str, number: str, end: str) -> None:
        self._keep(_Draft(self, at, number, LINES[0]).outbound(person, end))

    def _internal(self, at: datetime) -> None:
        caller = self._somebody_free(at, tuple(STAFF))
        callee = self._somebody_free(at, tuple(one for one in STAFF if one != caller))
        if caller and callee:
            self._keep(_Draft(self, at, callee, LINES[0]).internal(caller, callee))

    def _keep(self, call: CallFacts) -> None:
        self.calls.append(call)
        for leg in call.legs:
            if leg.kind is PartyKind.EXTENSION and leg.answered_at and leg.ended_at:
                self._free_at[leg.party] = leg.ended_at + timedelta(seconds=15)

    # -- chance --

    def _somebody_free(self, at: datetime, among: Sequence[str]) -> str | None:
        free = [one for one in among if self._free_at.get(one, at) <= at]
        return self._random.choice(free) if free else None

    def _customer(self) -> str:
        """Some call often: the square makes the first ones likelier."""
        return customer_number(1 + int(CUSTOMERS * self._random.random() ** 1.7))

    def _pick(self, choices: Sequence[tuple[str, int]]) -> str:
        names, weights = zip(*choices, strict=True)
        return str(self._random.choices(names, weights)[0])

    def _minutes(self, least: float, most: float) -> timedelta:
        return timedelta(minutes=self._random.uniform(least, most))

    def seconds(self, least: float, most: float) -> float:
        """A duration."""
        return round(self._random.uniform(least, most), 3)

    def talk(self) -> float:
        """How long people talk: a length that can be heard."""
        (length,) = self._random.choices(SOUND_SECONDS, SOUND_WEIGHTS)
        return length - self.seconds(0.0, 0.4)

    def colleague_of(self, person: str, at: datetime) -> str:
        """Somebody a call is handed to."""
        others = tuple(one for one in STAFF if one != person)
        return self._somebody_free(at, others) or others[0]

    def either(self, first: str, second: str) -> str:
        """One of the two."""
        return self._random.choice((first, second))


@dataclass(slots=True)
class _Draft:
    """One call while it is made up."""

    history: _History
    at: datetime
    number: str
    line: _Line

    def answered(self, person: str, end: str) -> CallFacts:
        """Somebody takes it; perhaps there is a hold or a hand-over."""
        ring = self.history.seconds(3.0, 19.0)
        talk = self.history.talk()
        up = self.at + timedelta(seconds=ring)
        over = up + timedelta(seconds=talk)
        rung = self._rung(person, up)
        if end == "transferred":
            return self._handed_over(person, rung, up, over)
        spans = self._held(up, over) if end == "held" else [Interval("talking", up, over)]
        held = sum((s.until - s.since).total_seconds() for s in spans if s.doing == "held" and s.until)
        ours = _leg(person, self.at, up, over, talk - held, (Interval("ringing", self.at, up), *spans))
        return replace(
            self._inbound_facts(over, [self._customer(up, over, spans), ours, *rung]),
            disposition=Disposition.ANSWERED,
            answered_by=person,
            final_party=person,
            answered_at=up,
            ring_seconds=ring,
            wait_seconds=ring if self.line.queue else None,
            talk_seconds=talk,
            hold_seconds=held,
            holds=tuple(
                Hold(by=person, seconds=held, at=span.since) for span in spans if span.doing == "held"
            ),
            queue=self._queue(ring, person),
            hangup_cause=16,
        )

    def given_up(self) -> CallFacts:
        """Nobody takes it in time."""
        ring = self.history.seconds(6.0, 28.0)
        over = self.at + timedelta(seconds=ring)
        rung = [_rung_leg(one, self.at, over, LegOutcome.CANCELLED) for one in self.line.phones]
        return replace(
            self._inbound_facts(over, [self._customer(None, over, ()), *rung]),
            disposition=Disposition.ABANDONED if self.line.queue else Disposition.MISSED,
            ring_seconds=ring,
            wait_seconds=ring if self.line.queue else None,
            missed_by=self.line.phones,
            queue=self._queue(ring, None),
            hangup_cause=16,
            ended_by="caller",
        )

    def voicemail(self) -> CallFacts:
        """After a while the mailbox takes it."""
        spoken_at = self.at + timedelta(seconds=20)
        over = spoken_at + timedelta(seconds=self.history.seconds(9.0, 35.0))
        rung = _rung_leg(ANNA, self.at, spoken_at, LegOutcome.NO_ANSWER)
        spans = (Interval("waiting", self.at, spoken_at), Interval("voicemail", spoken_at, over))
        return replace(
            self._inbound_facts(over, [self._customer(None, over, spans), rung]),
            disposition=Disposition.VOICEMAIL,
            ring_seconds=20.0,
            missed_by=(ANNA,),
            hangup_cause=16,
            ended_by="caller",
        )

    def busy(self) -> CallFacts:
        """Anna is talking already."""
        over = self.at + timedelta(seconds=self.history.seconds(1.0, 3.0))
        rung = replace(_rung_leg(ANNA, self.at, over, LegOutcome.BUSY), rang_at=None, intervals=())
        return replace(
            self._inbound_facts(over, [self._customer(None, over, ()), rung]),
            disposition=Disposition.BUSY,
            missed_by=(ANNA,),
            hangup_cause=17,
            ended_by=ANNA,
        )

    def outbound(self, person: str, end: str) -> CallFacts:
        """One of ours calls a customer."""
        ring = 1.5 if end == "busy" else self.history.seconds(4.0, 24.0)
        up = self.at + timedelta(seconds=ring)
        talk = self.history.talk() if end == "talked" else 0.0
        over = up + timedelta(seconds=talk)
        waiting = Interval("waiting", self.at, up)
        if talk:
            spans = (Interval("talking", up, over),)
            ours = _leg(person, None, up, over, talk, (waiting, *spans), role=LegRole.CALLER)
            theirs = _leg(
                self.number, self.at, up, over, talk, (Interval("ringing", self.at, up), *spans),
                kind=PartyKind.OUTSIDE,
            )  # fmt: skip
        else:
            outcome = LegOutcome.BUSY if end == "busy" else LegOutcome.NO_ANSWER
            ours = replace(
                _rung_leg(person, self.at, over, LegOutcome.CANCELLED),
                role=LegRole.CALLER, rang_at=None, intervals=(waiting,),
            )  # fmt: skip
            theirs = replace(
                _rung_leg(self.number, self.at, over, outcome), kind=PartyKind.OUTSIDE, name=None
            )
        disposition = {"talked": Disposition.ANSWERED, "busy": Disposition.BUSY}.get(
            end, Disposition.NO_ANSWER
        )
        return replace(
            self._facts(over, [ours, theirs], person, STAFF[person]),
            direction=Direction.OUTBOUND,
            did=None,
            requested=self.number,
            disposition=disposition,
            answered_by=self.number if talk else None,
            final_party=person if talk else None,
            answered_at=up if talk else None,
            ring_seconds=ring,
            talk_seconds=talk,
            hangup_cause=17 if end == "busy" else 16,
        )

    def internal(self, caller: str, callee: str) -> CallFacts:
        """Two colleagues talk."""
        ring, talk = self.history.seconds(2.0, 9.0), self.history.seconds(12.0, 150.0)
        up = self.at + timedelta(seconds=ring)
        over = up + timedelta(seconds=talk)
        spans = (Interval("talking", up, over),)
        legs = [
            _leg(
                caller, None, up, over, talk, (Interval("waiting", self.at, up), *spans), role=LegRole.CALLER
            ),
            _leg(callee, self.at, up, over, talk, (Interval("ringing", self.at, up), *spans)),
        ]
        return replace(
            self._facts(over, legs, caller, STAFF[caller]),
            direction=Direction.INTERNAL,
            did=None,
            requested=callee,
            disposition=Disposition.ANSWERED,
            answered_by=callee,
            final_party=callee,
            answered_at=up,
            ring_seconds=ring,
            talk_seconds=talk,
            recordings=(),
            recorded=(),
            hangup_cause=16,
        )

    # -- what calls are made of --

    def _handed_over(self, person: str, rung: list[Leg], up: datetime, over: datetime) -> CallFacts:
        """The customer talks with two of ours, one after the other."""
        target = self.history.colleague_of(person, up)
        handed = up + (over - up) * 0.35
        taken = handed + timedelta(seconds=self.history.seconds(2.0, 6.0))
        first, second = Interval("talking", up, handed), Interval("talking", taken, over)
        spans = (first, Interval("waiting", handed, taken), second)
        ring = (up - self.at).total_seconds()
        legs = [
            self._customer(up, over, spans),
            _leg(person, self.at, up, handed, _length(first), (Interval("ringing", self.at, up), first)),
            *(leg for leg in rung if leg.party != target),
            _leg(target, handed, taken, over, _length(second), (Interval("ringing", handed, taken), second)),
        ]
        move = Transfer(
            kind=TransferKind.BLIND, via=TransferVia.SIP, by=person, to=target,
            result=TransferResult.COMPLETED, at=handed,
        )  # fmt: skip
        return replace(
            self._inbound_facts(over, legs),
            disposition=Disposition.ANSWERED,
            answered_by=person,
            final_party=target,
            answered_at=up,
            ring_seconds=ring,
            wait_seconds=ring if self.line.queue else None,
            talk_seconds=(over - up).total_seconds(),
            transfers=(move,),
            queue=self._queue(ring, person),
            hangup_cause=16,
        )

    def _held(self, up: datetime, over: datetime) -> list[Interval]:
        begin, end = up + (over - up) * 0.4, up + (over - up) * 0.6
        return [Interval("talking", up, begin), Interval("held", begin, end), Interval("talking", end, over)]

    def _rung(self, person: str, up: datetime) -> list[Leg]:
        """The others whose phones rang."""
        others = [one for one in self.line.phones if one != person]
        return [_rung_leg(one, self.at, up, LegOutcome.ANSWERED_ELSEWHERE) for one in others]

    def _customer(self, up: datetime | None, over: datetime, spans: Sequence[Interval]) -> Leg:
        waits = "queued" if self.line.queue else "waiting"
        if up is None:
            leg = _rung_leg(self.number, self.at, over, LegOutcome.CANCELLED)
            told = tuple(spans) or (Interval(waits, self.at, over),)
            return replace(
                leg, kind=PartyKind.OUTSIDE, role=LegRole.CALLER, name=None, rang_at=None, intervals=told
            )
        talk = sum(_length(span) for span in spans if span.doing == "talking")
        told = (Interval(waits, self.at, up), *spans)
        return _leg(self.number, None, up, over, talk, told, kind=PartyKind.OUTSIDE, role=LegRole.CALLER)

    def _queue(self, wait: float, person: str | None) -> QueueVisit | None:
        if self.line.queue is None:
            return None
        return QueueVisit(
            name=self.line.queue,
            wait_seconds=wait,
            tried=self.line.phones,
            answered_by=person,
            joined_at=self.at,
        )

    def _inbound_facts(self, over: datetime, legs: Sequence[Leg]) -> CallFacts:
        facts = self._facts(over, legs, self.number, None)
        return replace(facts, requested=self.line.queue or self.line.phones[0])

    def _facts(self, over: datetime, legs: Sequence[Leg], caller: str, name: str | None) -> CallFacts:
        place = len(self.history.calls)
        uniqueid = f"{PBX_ID}-{int(self.at.timestamp())}.{place}"
        recorded = self._recorded(uniqueid, over, legs)
        return CallFacts(
            id=past_call_id(place),
            pbx=PBX_ID,
            direction=Direction.INBOUND,
            state=State.ENDED,
            caller=Caller(number=caller, raw=caller, name=name, anonymous=False),
            did=self.line.did,
            requested=None,
            disposition=None,
            answered_by=None,
            final_party=None,
            started_at=self.at,
            answered_at=None,
            ended_at=over,
            ring_seconds=None,
            wait_seconds=None,
            talk_seconds=0.0,
            hold_seconds=0.0,
            ended_by=self.history.either("caller", _callee(legs)),
            hangup_cause=None,
            legs=tuple(legs),
            transfers=(),
            holds=(),
            queue=None,
            parked=(),
            missed_by=(),
            recordings=tuple(one.file for one in recorded),
            certainty=Certainty.OBSERVED,
            consultation_of=None,
            recorded=recorded,
        )

    def _recorded(self, uniqueid: str, over: datetime, legs: Sequence[Leg]) -> tuple[Recorded, ...]:
        up = min((leg.answered_at for leg in legs if leg.answered_at), default=None)
        if up is None:
            return ()
        file = f"{self.history.recordings_dir}/{uniqueid}.wav"
        return (
            Recorded(
                file=file, uniqueid=uniqueid, party=self.number, kind=PartyKind.OUTSIDE, at=up, until=over
            ),
        )


def _leg(
    party: str,
    rang_at: datetime | None,
    up: datetime,
    over: datetime,
    talk: float,
    spans: tuple[Interval, ...],
    *,
    kind: PartyKind = PartyKind.EXTENSION,
    role: LegRole = LegRole.CALLEE,
) -> Leg:
    """A party that talked."""
    return Leg(
        party=party,
        kind=kind,
        role=role,
        name=STAFF.get(party),
        state=LegState.ENDED,
        rang_at=rang_at,
        answered_at=up,
        ended_at=over,
        talk_seconds=talk,
        outcome=LegOutcome.ANSWERED,
        intervals=spans,
    )


def _rung_leg(party: str, at: datetime, over: datetime, outcome: LegOutcome) -> Leg:
    """A phone that rang in vain."""
    return Leg(
        party=party,
        kind=PartyKind.EXTENSION,
        role=LegRole.CALLEE,
        name=STAFF.get(party),
        state=LegState.ENDED,
        rang_at=at,
        answered_at=None,
        ended_at=over,
        talk_seconds=0.0,
        outcome=outcome,
        intervals=(Interval("ringing", at, over),),
    )


def _callee(legs: Sequence[Leg]) -> str:
    """Who talked last beside the caller, else who was called."""
    others = [leg for leg in legs if leg.role is LegRole.CALLEE]
    return next((leg.party for leg in reversed(others) if leg.answered_at), others[0].party)


def _length(span: Interval) -> float:
    return (span.until - span.since).total_seconds() if span.until else 0.0

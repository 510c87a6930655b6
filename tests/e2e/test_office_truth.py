"""A whole small office at work: what the journal tells afterwards is what the phones lived through."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.office import BRISK, SimulatedOffice
from switchhook.lab.scenarios import CallTruth
from telephony.call_facts.facts import CallFacts, Direction
from tests.e2e.line import Line

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]

SECONDS = 0.3  # between the phones' clocks and the PBX's, for one conversation
CALLS = 12


def caller_of(facts: CallFacts, truth: CallTruth) -> str | None:
    """The number to expect. A caller who withholds it may still be known to the PBX: carriers send it along
    (P-Asserted-Identity) for the PBX's own use.
    """
    return facts.caller.number if truth.caller is None else truth.caller


def found(truth: CallTruth, calls: Sequence[CallFacts]) -> CallFacts:
    """The journal's call: by the customer's number, which no other call uses, else by people and time."""
    near = [
        facts
        for facts in calls
        if facts.consultation_of is None and abs(facts.started_at - truth.started_at) < timedelta(seconds=1)
    ]
    if truth.direction == "inbound":
        near = [facts for facts in near if facts.caller.number == caller_of(facts, truth) and facts.did]
        near = [facts for facts in near if (facts.did or "").endswith(truth.did or "?")]
    else:
        near = [
            facts for facts in near if (facts.caller.number, facts.requested) == (truth.caller, truth.dialled)
        ]
    assert len(near) == 1, (truth, [facts.as_json() for facts in near])
    return near[0]


def as_told(facts: CallFacts, truth: CallTruth) -> CallTruth:
    """The journal's words in the shape of the phones'; seconds that are near enough count as the same."""

    def near(told: float, true: float) -> float:
        return true if abs(told - true) <= SECONDS else told

    return CallTruth(
        scenario=truth.scenario,
        direction=facts.direction.value,
        disposition=facts.disposition.value if facts.disposition else "",
        started_at=truth.started_at,
        caller=truth.caller if truth.caller is None else facts.caller.number,
        did=(facts.did or "").removeprefix("+") or None,
        dialled=facts.requested if truth.direction != "inbound" else None,
        answered_by=facts.answered_by,
        final_party=facts.answered_by if truth.direction == "outbound" else facts.final_party,
        talk_seconds=near(facts.talk_seconds, truth.talk_seconds),
        hold_seconds=near(facts.hold_seconds, truth.hold_seconds),
        transfers=tuple(
            type(truth.transfers[0])(t.kind.value, t.by or "", t.to or "") if truth.transfers else t  # type: ignore[misc]
            for t in facts.transfers
        ),
    )


async def test_the_journal_tells_what_the_phones_lived_through(line: Line, asterisk: PrivateAsterisk) -> None:
    """A dozen hurried calls of every kind, several at once: parties, outcome, seconds, holds and transfers agree."""
    async with SimulatedOffice(asterisk, seed=7, pace=BRISK, audible=False) as office:
        await office.run(calls=CALLS)
        assert office.problems == []
        truths = office.truth
    async with line.program("admin") as api:
        calls = await api.ended(CALLS)
    assert [as_told(found(truth, calls), truth) for truth in truths] == truths
    for facts in calls:  # of two parties, "who was in it at the end" names ours
        if facts.direction is Direction.OUTBOUND and facts.answered_by:
            assert facts.final_party == facts.caller.number
    whole = [facts for facts in calls if facts.consultation_of is None]
    assert len(whole) == CALLS

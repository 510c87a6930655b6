"""Who a number stands for: the policy, on candidates as the book finds them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from telephony.contacts import Candidate, ClientKind, LeadState, Match, MatchRule, decide

NUMBER = "+79160000012"
MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PLAIN = Candidate(UUID(int=1), ClientKind.CONTACT, "Anna", None, None, "phone", "8 916 000-00-12", exact=True)


def one(name: str, **different: Any) -> Candidate:
    """A contact with exactly this number."""
    return replace(PLAIN, id=uuid4(), name=name, **different)


def chosen(match: Match) -> tuple[str | None, MatchRule | None]:
    """Whom it chose and why."""
    return (match.chosen.name if match.chosen else None, match.rule)


def test_nobody_has_the_number() -> None:
    """An unknown number."""
    match = decide(NUMBER, ())
    assert (chosen(match), match.known) == ((None, None), False)


def test_the_only_one() -> None:
    """One entry with this number, however it is written there."""
    anna = one("Anna")
    match = decide(NUMBER, [anna, one("Almost", exact=False)])
    assert (match.chosen, match.rule, match.others) == (anna, MatchRule.ONLY, ())


def test_several_fit_alike_and_nobody_guesses() -> None:
    """Eight contacts on one number: nobody is chosen; the chooser begins with who was spoken to last."""
    eight = [one(f"Contact {n}", spoken_at=MONDAY + timedelta(days=n)) for n in range(8)]
    match = decide(NUMBER, eight)
    assert chosen(match) == (None, None)
    assert [each.name for each in match.others] == [f"Contact {n}" for n in (7, 6, 5, 4, 3, 2, 1, 0)]


def test_a_choice_goes_before_every_rule() -> None:
    """A person chose Boris for this number; Anna has the open deal."""
    anna, boris = one("Anna", open_deals=1), one("Boris")
    match = decide(NUMBER, [anna, boris], chosen_before=boris.id)
    assert (chosen(match), match.others) == (("Boris", MatchRule.CHOSEN), (anna,))


def test_a_choice_that_is_no_longer_there() -> None:
    """Whom a person chose was removed from the book: as if nobody had chosen."""
    assert chosen(decide(NUMBER, [one("Anna")], chosen_before=uuid4())) == ("Anna", MatchRule.ONLY)


def test_who_is_not_it_is_left_out() -> None:
    """It was said of Boris that this is not their number."""
    anna, boris = one("Anna"), one("Boris")
    match = decide(NUMBER, [anna, boris], never={boris.id})
    assert (chosen(match), match.others) == (("Anna", MatchRule.ONLY), ())


def test_the_only_open_deal_decides() -> None:
    """Two share a number, with one of them we are in business."""
    match = decide(NUMBER, [one("Anna", spoken_at=MONDAY), one("Boris", open_deals=2)])
    assert chosen(match) == ("Boris", MatchRule.OPEN_DEAL)
    assert [each.name for each in match.others] == ["Anna"]


def test_two_with_open_deals_are_a_question() -> None:
    """In business with both: a person says."""
    assert chosen(decide(NUMBER, [one("Anna", open_deals=1), one("Boris", open_deals=1)])) == (None, None)


def test_a_company_stands_back_behind_its_own_contact() -> None:
    """The office number is written with the company and with its one contact: the call is with the contact."""
    firm = one("Garden Ltd", kind=ClientKind.COMPANY, open_deals=3)
    anna = one("Anna", company_id=firm.id)
    assert chosen(decide(NUMBER, [firm, anna])) == ("Anna", MatchRule.ONLY)
    assert chosen(decide(NUMBER, [firm, anna, one("Boris", company_id=firm.id)])) == (None, None)
    assert chosen(decide(NUMBER, [firm])) == ("Garden Ltd", MatchRule.ONLY)


def test_a_rejected_lead_comes_last() -> None:
    """It was no business once; who has the number now is somebody else. Alone, it is still who calls."""
    lead = one("Spam?", kind=ClientKind.LEAD, state=LeadState.REJECTED, spoken_at=MONDAY)
    match = decide(NUMBER, [lead, one("Anna")])
    assert (chosen(match), match.others) == (("Anna", MatchRule.ONLY), (lead,))
    assert chosen(decide(NUMBER, [lead])) == ("Spam?", MatchRule.ONLY)


def test_the_same_last_ten_digits_only_when_nobody_fits_exactly() -> None:
    """The country is missing in the book."""
    almost = one("Anna", exact=False)
    assert chosen(decide(NUMBER, [almost])) == ("Anna", MatchRule.LAST_DIGITS)
    assert chosen(decide(NUMBER, [almost, one("Boris", exact=False, open_deals=1)])) == (None, None)


CANDIDATES = st.lists(
    st.builds(
        one,
        name=st.sampled_from("ABC"),
        exact=st.booleans(),
        open_deals=st.integers(0, 1),
        state=st.sampled_from([None, LeadState.OPEN, LeadState.REJECTED]),
        spoken_at=st.none() | st.integers(0, 9).map(lambda n: MONDAY + timedelta(days=n)),
    ),
    max_size=6,
)


@given(CANDIDATES, st.randoms())
def test_the_order_of_rows_decides_nothing(candidates: list[Candidate], random: Any) -> None:
    """The database may answer in any order: the same people are chosen and shown, and nobody twice."""
    shuffled = list(candidates)
    random.shuffle(shuffled)
    match = decide(NUMBER, candidates)
    assert decide(NUMBER, shuffled) == match
    shown = [match.chosen, *match.others] if match.chosen else list(match.others)
    assert len({each.id for each in shown}) == len(shown)
    assert (match.chosen is None) is (match.rule is None)

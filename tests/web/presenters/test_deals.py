"""How money and dates of deals are written, and what people may type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest

from call_records.crm.types import Money, Task
from telephony.errors import PeerMistake
from web.presenters.deals import Due, due_of, read_due, silent_word, since_word
from web.presenters.money import money, read_amount, sums

MOSCOW = timezone(timedelta(hours=3))
NOON = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)  # 12:00 on the office's clock


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("", None),
        ("  ", None),
        ("120 000", "120000.0"),
        ("120\u202f000 ₽", "120000.0"),
        ("1,200.50", "1200.50"),
        ("1.200,5 €", "1200.5"),
        ("99,50", "99.50"),
        ("12.000", "12000.0"),
        ("0", "0.0"),
        (",5", "0.5"),
        ("12 000,50", "12000.50"),
        ("12,000.50", "12000.50"),
        ("1'200.50", "1200.50"),
        ("1,20,000", "120000"),
        ("5 EUR", "5"),
        ("1200 руб.", "1200"),
    ],
)
def test_amounts_as_people_type_them(typed: str, amount: str | None) -> None:
    """Spaces, commas, points and signs of several countries."""
    assert read_amount(typed) == (None if amount is None else Decimal(amount))


@pytest.mark.parametrize(
    "typed",
    [
        "much",
        "-",
        "-5",
        "1-2",
        ".",
        "12k",
        "1e9",
        "5 abc",
        "12 00",
        "1,2,3",
        "1.200.00",
        "10²",
        "9" * 13,
        "1" * 500,
    ],
)
def test_what_is_no_amount(typed: str) -> None:
    """It is said, never guessed."""
    with pytest.raises(PeerMistake):
        read_amount(typed)


def test_money_is_written_one_way() -> None:
    """Hundredths only where there are any; currencies without a common sign by their letters; unknown is empty."""
    assert money(Decimal("1234567.00"), "RUB") == "1\u202f234\u202f567\u00a0₽"
    assert money(Decimal("0.50"), "CHF") == "0,50\u00a0CHF"
    assert money(Decimal("12000.50"), "USD", "US") == "12,000.50\u00a0$"
    assert money(Decimal("12000.50"), "EUR", "DE") == "12\u202f000,50\u00a0€"
    assert money(None, "EUR") == ""
    assert money(Decimal(1200), None) == "1\u202f200"
    assert sums([Money(Decimal(1), "RUB"), Money(Decimal(2), "EUR")]) == "1\u00a0₽ + 2\u00a0€"


def task(due_at: datetime | None, done_at: datetime | None = None) -> Task:
    """Something to do."""
    return Task(uuid4(), "x", due_at, None, None, None, None, None, NOON, done_at)


@pytest.mark.parametrize(
    ("due_at", "said"),
    [
        (None, Due("", None)),
        (NOON - timedelta(hours=2), Due("Overdue since 10:00", "overdue")),
        (NOON - timedelta(days=3), Due("Overdue since 15 Nov", "overdue")),
        (NOON + timedelta(hours=2), Due("Today 14:00", "today")),
        (
            datetime(2026, 11, 18, 20, 59, tzinfo=UTC),
            Due("Today", "today"),
        ),  # the day's end: no hour was said
        (NOON + timedelta(days=1), Due("Tomorrow 12:00", "later")),
        (datetime(2027, 1, 5, 20, 59, tzinfo=UTC), Due("5 Jan 2027", "later")),
    ],
)
def test_when_a_task_is_due(due_at: datetime | None, said: Due) -> None:
    """On the office's clock: what is overdue says since when, what is today says so."""
    assert due_of(task(due_at), MOSCOW, NOON) == said


def test_a_done_task_is_never_overdue() -> None:
    """It was ticked off, a day late."""
    assert due_of(task(NOON - timedelta(days=1), NOON), MOSCOW, NOON) == Due("Done Today", None)


def test_a_day_without_an_hour_is_over_when_the_day_is() -> None:
    """The calendar's fields, read on the office's clock."""
    assert read_due("2026-11-20", "", MOSCOW) == datetime(2026, 11, 20, 20, 59, tzinfo=UTC)
    assert read_due("2026-11-20", "09:30", MOSCOW) == datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
    assert read_due(" ", "09:30", MOSCOW) is None
    for day, hour in (("20.13.2026", ""), ("2026-11-20", "25:00"), ("2026-02-30", "")):
        with pytest.raises(PeerMistake):
            read_due(day, hour, MOSCOW)


def test_days_are_said_as_people_say_them() -> None:
    """`since today`, `Silent 1 day`; nothing on the first day."""
    assert since_word(NOON, MOSCOW, NOON) == "since today"
    assert since_word(NOON - timedelta(days=1), MOSCOW, NOON) == "since yesterday"
    assert since_word(NOON - timedelta(days=9), MOSCOW, NOON) == "since 9 Nov"
    assert [silent_word(days) for days in (0, 1, 12)] == ["", "Silent 1 day", "Silent 12 days"]

"""How long audio is kept: the first rule whose every condition holds decides, else the office's number of days.

The days count from the recording's beginning (from its arrival, while that is not known). The rules are decided twice:
here for one recording that was just processed, and in SQL for all of them when rules or tags change. A test holds the
two together over random rules and calls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from call_records.calls.external_number import last_ten
from call_records.db import json_text
from call_records.recordings.types import Recording, RetentionRule
from telephony.call_facts.facts import CallFacts, PartyKind, outside_of
from telephony.errors import PeerMistake

MOST_RULES = 200  # each is tried for each recording; an office has five
MOST_DAYS = 36_500  # a century; more is a mistake of typing, and "for ever" has its own spelling
NOTE_LENGTH = 200  # characters; a tombstone carries it
NUMBER = re.compile(r"\+?\d{2,15}\*?|\+\d{1,15}\*")


@dataclass(frozen=True, slots=True)
class Matter:
    """What the rules look at, of one recording and its call."""

    direction: str | None
    outside_number: str | None
    other_last10: frozenset[str]
    parties: frozenset[str]
    tags: frozenset[str]
    duration_seconds: float | None


def matter_of(recording: Recording, call: CallFacts | None, tags: Collection[str]) -> Matter:
    """The same columns the journal writes for a call; a recording without a call matches only what needs none."""
    if call is None:
        return Matter(None, None, frozenset(), frozenset(), frozenset(), recording.duration_seconds)
    outside = outside_of(call)
    return Matter(
        direction=call.direction.value,
        outside_number=json_text.clean(outside.number) if outside.number is not None else None,
        other_last10=frozenset(last_ten(other) for other in outside.others) - {""},
        parties=frozenset(json_text.clean(leg.party) for leg in call.legs if leg.kind is PartyKind.EXTENSION),
        tags=frozenset(tags),
        duration_seconds=recording.duration_seconds,
    )


def deciding(rules: Sequence[RetentionRule], matter: Matter) -> RetentionRule | None:
    """The first rule that holds; None leaves it to the office's number of days."""
    return next((rule for rule in rules if _holds(rule, matter)), None)


def keep_until(recording: Recording, rule: RetentionRule | None, keep_days: int | None) -> datetime | None:
    """When it is removed; None is never."""
    days = rule.keep_days if rule else keep_days
    begin = recording.started_at or recording.arrived_at or recording.expected_at
    return None if days is None or begin is None else begin + timedelta(days=days)


def checked(rules: Sequence[RetentionRule]) -> list[RetentionRule]:
    """The rules as they are stored. Raises PeerMistake naming what is wrong with which of them."""
    if len(rules) > MOST_RULES:
        raise PeerMistake(
            "There may be {most} rules.", remedy="Put several into one.", values={"most": MOST_RULES}
        )
    for place, rule in enumerate(rules, start=1):
        problem = _problem(rule)
        if problem is not None:
            raise PeerMistake("Rule {place}: {problem}", values={"place": place, "problem": problem})
    return list(rules)


def check_days(days: int | None) -> None:
    """Raises PeerMistake for a number of days nobody can mean."""
    if days is not None and not 0 <= days <= MOST_DAYS:
        raise PeerMistake("Audio is kept between 0 and {most} days, or for ever.", values={"most": MOST_DAYS})


def _problem(rule: RetentionRule) -> str | None:
    if rule.keep_days is not None and not 0 <= rule.keep_days <= MOST_DAYS:
        return f"audio is kept between 0 and {MOST_DAYS} days, or for ever."
    if rule.number is not None and not NUMBER.fullmatch(rule.number):
        return "a number is written like +79161110005, or its beginning like +7916*."
    shorter = rule.shorter_than_seconds
    if shorter is not None and not (math.isfinite(shorter) and shorter > 0):
        return "a length is a number of seconds above 0."
    if any(given is not None and not given.strip() for given in (rule.extension, rule.tag)):
        return "a condition without a value."
    if len(rule.note) > NOTE_LENGTH:
        return f"its note may have {NOTE_LENGTH} characters."
    return None


def _holds(rule: RetentionRule, matter: Matter) -> bool:
    return (
        (rule.direction is None or rule.direction.value == matter.direction)
        and (rule.number is None or _has_number(rule.number, matter))
        and (rule.extension is None or rule.extension in matter.parties)
        and (rule.tag is None or rule.tag in matter.tags)
        and (
            rule.shorter_than_seconds is None
            or (matter.duration_seconds is not None and matter.duration_seconds < rule.shorter_than_seconds)
        )
    )


def _has_number(wanted: str, matter: Matter) -> bool:
    main = matter.outside_number or ""
    if wanted.endswith("*"):
        return main.startswith(wanted[:-1])
    return wanted == main or last_ten(wanted) in matter.other_last10


def rules_json(rules: Sequence[RetentionRule]) -> list[dict[str, object]]:
    """The rules as `DECIDED` takes them, in their order."""
    return [
        {
            "place": place,
            "direction": rule.direction.value if rule.direction else None,
            "number": None if _is_beginning(rule) else rule.number,
            "beginning": rule.number.rstrip("*") if rule.number and _is_beginning(rule) else None,
            "last10": None if _is_beginning(rule) else last_ten(rule.number or ""),
            "extension": rule.extension,
            "tag": rule.tag,
            "shorter_than_seconds": rule.shorter_than_seconds,
            "keep_days": rule.keep_days,
        }
        for place, rule in enumerate(rules)
    ]


def _is_beginning(rule: RetentionRule) -> bool:
    return rule.number is not None and rule.number.endswith("*")


DECIDED = """
    SELECT r.id, r.state, r.hold, r.keep_until AS stored, rule.place,
           r.listed_at + make_interval(
               days => CASE WHEN rule.place IS NULL THEN CAST(:keep_days AS integer) ELSE rule.keep_days END
           ) AS keep_until
    FROM recordings r
    LEFT JOIN call_redirects moved ON moved.old_id = r.call_id
    LEFT JOIN calls c ON c.id = coalesce(moved.new_id, r.call_id)
    LEFT JOIN LATERAL (
        SELECT one.place, one.keep_days
        FROM jsonb_to_recordset(CAST(:rules AS jsonb)) AS one(
            place integer, direction text, number text, beginning text, last10 text, extension text, tag text,
            shorter_than_seconds float8, keep_days integer)
        WHERE (one.direction IS NULL OR one.direction = c.direction)
          AND (one.beginning IS NULL OR starts_with(c.outside_number, one.beginning))
          AND (one.number IS NULL OR one.number = c.outside_number OR one.last10 = ANY(c.other_last10))
          AND (one.extension IS NULL OR one.extension = ANY(c.parties))
          AND (one.tag IS NULL OR EXISTS (SELECT 1 FROM call_tags t WHERE t.call_id = c.id AND t.tag = one.tag))
          AND (one.shorter_than_seconds IS NULL OR r.duration_seconds < one.shorter_than_seconds)
        ORDER BY one.place LIMIT 1
    ) rule ON true
"""
"""Each recording with the place of the rule that decides (NULL: none) and when it is to be removed by it."""

COUNT_DUE = text(f"""
    SELECT count(*) FROM ({DECIDED} WHERE r.state IN ('ready', 'refused', 'failed') AND r.hold IS NULL) AS decided
    WHERE keep_until <= now()
""")  # noqa: S608 - made of constants

SET_ANEW = text(f"""
    WITH decided AS ({DECIDED} WHERE r.id = ANY(CAST(:ids AS uuid[])) AND r.state <> 'removed')
    UPDATE recordings SET keep_until = decided.keep_until FROM decided
    WHERE recordings.id = decided.id AND recordings.keep_until IS DISTINCT FROM decided.keep_until
""")  # noqa: S608 - made of constants

DUE_AMONG = text(f"""
    SELECT id, place FROM ({DECIDED} WHERE r.id = ANY(CAST(:ids AS uuid[]))) AS decided WHERE keep_until <= now()
""")  # noqa: S608 - made of constants

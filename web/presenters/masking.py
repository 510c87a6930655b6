"""Who may see what of a call: the one place where it is decided, for pages, API and live stream alike.

A `View` is what an account may see. Two accounts with the same view are shown the same bytes, so the live
stream encodes each change once per view. Nothing that was hidden by `show` ever reaches a template or an
encoder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from call_records.types import Account
from telephony.call_facts.facts import CallFacts, PartyKind
from web.settings import WebSettings

_DIGITS = re.compile(r"\d(?=(?:\D*\d){2})")  # every digit but the last two


@dataclass(frozen=True, slots=True)
class View:
    """What somebody may see. Hashable: it is the key under which encoded changes are shared."""

    numbers_masked: bool = False


def view_of(account: Account, settings: WebSettings) -> View:
    """What this account may see of calls."""
    return View(numbers_masked=account.role in settings.mask_numbers_for)


def show(facts: CallFacts, view: View) -> CallFacts:
    """The call as this view may see it: outside numbers masked everywhere they occur, or the call as it
    is. Never with the PBX's names of its recordings: a path is no way to hear one, and who may hear which is
    decided for each recording (`web.recordings.permissions`).
    """
    if not view.numbers_masked:
        told = tuple(replace(one, file="") for one in facts.recorded)
        return replace(facts, recordings=(), recorded=told) if facts.recordings or told else facts
    ours = {leg.party for leg in facts.legs if leg.kind is not PartyKind.OUTSIDE}

    def party(value: str) -> str:
        return value if value in ours or not _looks_outside(value) else mask(value)

    def maybe(value: str | None) -> str | None:
        return None if value is None else party(value)

    caller = replace(
        facts.caller,
        number=maybe(facts.caller.number),
        raw=party(facts.caller.raw),
        name=_without_number(facts.caller.name),
    )
    return replace(
        facts,
        caller=caller,
        requested=facts.requested if facts.requested == facts.did else maybe(facts.requested),
        answered_by=maybe(facts.answered_by),
        final_party=maybe(facts.final_party),
        legs=tuple(
            replace(leg, party=party(leg.party), name=_without_number(leg.name))
            if leg.kind is PartyKind.OUTSIDE
            else leg
            for leg in facts.legs
        ),
        transfers=tuple(replace(t, by=party(t.by), to=maybe(t.to)) for t in facts.transfers),
        holds=tuple(replace(h, by=party(h.by)) for h in facts.holds),
        parked=tuple(replace(p, by=maybe(p.by), retrieved_by=maybe(p.retrieved_by)) for p in facts.parked),
        recordings=(),
        # A stock FreePBX writes the number into the name of the file.
        recorded=tuple(replace(r, file="", party=party(r.party)) for r in facts.recorded),
    )


def show_name(name: str, view: View) -> str:
    """A recording's name as this view may see it: stock FreePBX writes the caller's number into it."""
    return mask(name) if view.numbers_masked else name


def show_party(party: str, shown: str, view: View) -> str:
    """How a party is spelled, as this view may see it: extensions are nobody's secret, numbers outside are."""
    return mask(shown) if view.numbers_masked and _looks_outside(party) else shown


def mask(number: str) -> str:
    """`+7 916 …05`: everything but the last two digits becomes a dot."""
    return _DIGITS.sub("•", number)


def _looks_outside(value: str) -> bool:
    return sum(char.isdigit() for char in value) > 6  # extensions have 2-6 digits


def _without_number(name: str | None) -> str | None:
    """A carrier often sends the number as the name; it must not come in by that door."""
    return mask(name) if name and _looks_outside(name) else name

"""Why a call should be heard, and what a rule says, in words. The numbers come from `telephony.reviews`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter

from call_records.reviews.types import Pick
from telephony.reviews import BY_HAND, RULES, Choice, ReviewRuleKind, Unit
from web.languages.messages import N_, Phrases, _, ngettext
from web.presenters.labels import Names, duration

FIRST_WEEK = 7  # days; an office may call somebody new for longer

UNIT_WORDS: Phrases[Unit] = Phrases(
    {
        Unit.SECONDS: N_("seconds"),
        Unit.MINUTES: N_("minutes"),
        Unit.DAYS: N_("days"),
        Unit.CALLS: N_("conversations"),
        Unit.KEY: N_("key of the telephone"),
    }
)


def reason(pick: Pick, extension: str, names: Names) -> str:
    """`Held 3:20`, `Caller pressed 1`, `Random pick: 1 of 20`, `First week of Ivan Petrov, day 3`."""
    if pick.kind == BY_HAND:
        return _("Chosen by {who}").format(who=pick.picked_by or _("somebody"))
    if pick.kind not in set(ReviewRuleKind):
        return _("Picked by a rule that is no longer there")
    text = _(RULES[ReviewRuleKind(pick.kind)].reason)
    if pick.kind == ReviewRuleKind.NEW_COLLEAGUE and pick.because.get("day", 0) > FIRST_WEEK:
        text = _("{name} is new here, day {day}")
    said = {name: _value(name, value) for name, value in pick.because.items()}
    return text.format(**{"name": names.extension(extension).first, **said})


def kind_word(kind: str) -> str:
    """What the filter of the queue calls it."""
    if kind == BY_HAND:
        return _("Chosen by hand")
    return _(RULES[ReviewRuleKind(kind)].title) if kind in set(ReviewRuleKind) else kind


def _value(name: str, value: float) -> str:
    if name.endswith("_seconds"):
        return duration(value)
    if name.endswith("_minutes"):
        return long_time(round(value))
    return str(round(value))


def long_time(minutes: int) -> str:
    """`45 min`, `3 h 10 min`, `2 days 4 h`: for waits, where a clock would be misread."""
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    if days:
        parts = [
            ngettext("1 day", "{n} days", days).format(n=days),
            _("{n} h").format(n=hours) if hours else "",
        ]
    else:
        parts = [
            _("{n} h").format(n=hours) if hours else "",
            _("{n} min").format(n=left) if left or not hours else "",
        ]
    return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a rule's sentence: text, or the place of a choice."""

    text: str
    choice: Choice | None


def sentence(kind: ReviewRuleKind) -> tuple[Piece, ...]:
    """The rule read aloud, with the places where its numbers stand."""
    return tuple(_pieces(kind))


def _pieces(kind: ReviewRuleKind) -> Iterator[Piece]:
    shape = RULES[kind]
    choices = {choice.name: choice for choice in shape.choices}
    for text, name, _spec, _conversion in Formatter().parse(_(shape.sentence)):
        if text:
            yield Piece(text, None)
        if name is not None:
            yield Piece("", choices[name])

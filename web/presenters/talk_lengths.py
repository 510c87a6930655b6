"""Why the lengths on a call's page differ, in words: what a call's talk consists of besides conversation.

Every length is written by one rule (`web.presenters.labels.whole_seconds`). What differs then is real: hold counts as
talk of the call but not of the people in it, and neither does the moment in which a transferred call rings.
"""

from __future__ import annotations

from collections.abc import Iterator

from telephony.call_facts.conversations import total, union
from telephony.call_facts.facts import CallFacts, Direction, Leg, LegRole, PartyKind, TransferResult
from web.languages.messages import _
from web.presenters.labels import duration, whole_seconds
from web.presenters.player import Player


def explain_lengths(facts: CallFacts, player: Player | None = None) -> tuple[str, ...]:
    """What the talk of an ended call consists of, where the numbers on its page would not agree by themselves."""
    client = _client(facts)
    if not facts.ended or client is None or whole_seconds(facts.talk_seconds) == 0:
        return ()
    return (*_sentences(facts, client), *_recorded(facts, player))


def _recorded(facts: CallFacts, player: Player | None) -> Iterator[str]:
    """A recording is as long as its line had sound; faults are told beside the recording itself."""
    strips = player.strips if player else ()
    if len(strips) == 1 and not strips[0].warnings:
        sound = strips[0].seconds
        if whole_seconds(sound) != whole_seconds(facts.talk_seconds):
            text = _(
                "The recording lasts {time}: it follows the recorded line, which begins and ends for itself"
            )
            yield text.format(time=duration(sound))


def _sentences(facts: CallFacts, client: Leg) -> Iterator[str]:
    held = _seconds(client, "held")
    between = facts.talk_seconds - client.talk_seconds - held
    parts = [_("{time} in conversation").format(time=duration(client.talk_seconds))]
    if whole_seconds(held):
        parts.append(_("{time} on hold").format(time=duration(held)))
    if whole_seconds(between):
        parts.append(_between(facts).format(time=duration(between)))
    if whole_seconds(client.talk_seconds) == whole_seconds(facts.talk_seconds):
        parts = parts[:1]
    if len(parts) > 1:
        yield ", ".join(parts)
    shown = [whole_seconds(seconds) for seconds in _talks(facts)]
    exact = sum(_talks(facts))
    if len(shown) > 1 and sum(shown) < whole_seconds(exact) and exact <= client.talk_seconds + 1:
        yield _("Seconds are rounded down, so the parts can add up to less.")


def _between(facts: CallFacts) -> str:
    if any(transfer.result is not TransferResult.FAILED for transfer in facts.transfers):
        return _("{time} ringing during a transfer, counted for nobody")
    return _("{time} between two conversations, counted for nobody")


def _client(facts: CallFacts) -> Leg | None:
    """The party whose conversations are the call's."""
    if facts.direction is Direction.OUTBOUND:
        outside = (leg for leg in facts.legs if leg.kind is PartyKind.OUTSIDE and leg.answered_at)
        return next(outside, None)
    return next((leg for leg in facts.legs if leg.role is LegRole.CALLER), None)


def _talks(facts: CallFacts) -> list[float]:
    """The talk of everybody but the client."""
    client = _client(facts)
    return [leg.talk_seconds for leg in facts.legs if leg is not client and leg.talk_seconds > 0]


def _seconds(leg: Leg, doing: str) -> float:
    spans = [
        (span.since.timestamp(), span.until.timestamp())
        for span in leg.intervals
        if span.doing == doing and span.until is not None
    ]
    return total(union(spans))

"""The PBX's clock beside ours: what events say of the time is put into our time before anything else reads it.

Two clocks never agree for long, and either may be set while people talk. Three things can happen, and each has its own
answer here:

- The PBX differs from us, for good or since its clock was set: its stamps are corrected by the difference (the skew).
  The answer to a `Ping` bears the PBX's time, so the skew is known to the length of one round trip; no delay of the
  network or of ours can be taken for it, because the stamp lies between question and answer.
- Our own clock is set, alone or together with the PBX's: calls that were live go on in the time in which they began, so
  that they keep their beginning and nothing of them becomes negative; new calls are told in the new time.
- A single event bears a time that fits nothing: it is held back with whatever follows it until the PBX has told its
  time, a few milliseconds. What then still does not fit is left to `ami_bridge.quarantine`.

Where the PBX does not tell its time (`switchhook replay`, a foreign manager interface) five events that agree decide;
whether a capture's own time goes back is found by `ami_bridge.capture.order`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ami_bridge.wire.message import Message

AGREE_SECONDS = 1.0  # two machines under NTP agree within milliseconds; beyond a second people see it
SET_SECONDS = 2.0  # less is drift that is followed; more means that somebody set the clock
AGREEING_EVENTS = 5  # so many in a row bear the new time: nobody forges that many by their number
LATE_SECONDS = 10.0  # news held up on the way arrives in a burst; what is late for so long bears another time
LATE_EXCUSED_SECONDS = 5.0  # after the PBX has told its time, late news is late news for so long
ROUND_TRIP_SECONDS = 2.0  # a slower answer says too little about the time
SURE_TIMES = 4.0  # beyond so many round trips the difference is certain all the same
HOLD_SECONDS = 2.0  # the PBX answers within milliseconds; a card must not wait longer
HELD_MESSAGES = 1_000  # a call brings some forty
STRADDLING_CHANNELS = 5_000  # as many as are remembered to live

_STAMP = re.compile(r"\d{9,11}\.\d{6}", re.ASCII)
_NAMING = ("Uniqueid", "Linkedid", "DestUniqueid", "DestLinkedid", "UniqueID", "LinkedID")
"""Headers that say to which call an event belongs, the nearest first."""


@dataclass(frozen=True, slots=True)
class ClockStep:
    """A clock was set by so many seconds: the PBX's, or (with `ours`) the one of this machine."""

    seconds: float
    ours: bool


class PbxClock:
    """How one PBX's clock stands to ours. Outlives the links to it."""

    def __init__(self, *, absolute: bool = True) -> None:
        """`absolute`: correct to our own time. A replay has only the capture's time, and corrects what changes in it."""
        self.skew_seconds = 0.0
        """The PBX's clock minus ours, as last learned."""
        self.correction_seconds = 0.0
        """What is taken from every stamp; 0 while both agree within a second."""
        self.steps_seen = 0
        self.is_known = not absolute
        """Whether the PBX has told its time, so that another one later means that a clock was set."""
        self._absolute = absolute
        self._straddling: dict[str, float] = {}

    @property
    def is_plain(self) -> bool:
        """Whether stamps are used as they are."""
        return not self.correction_seconds and not self._straddling

    def set_skew(self, skew_seconds: float) -> None:
        """The PBX's clock stands differently from now on."""
        if not self._absolute:
            self.correction_seconds += skew_seconds - self.skew_seconds
        elif abs(skew_seconds - self.correction_seconds) > AGREE_SECONDS:
            self.correction_seconds = skew_seconds if abs(skew_seconds) > AGREE_SECONDS else 0.0
        self.skew_seconds = skew_seconds

    def keep_calls_in_old_time(self, channels: Iterable[str], seconds: float) -> None:
        """Our clock was set by `seconds`: what is told of these channels goes on in the time before it."""
        fresh = {uid: self._straddling.get(uid, 0.0) - seconds for uid in channels}
        self._straddling = dict(list(fresh.items())[-STRADDLING_CHANNELS:])

    def correct(self, message: Message, stamp: float | None, correction: float | None = None) -> Message:
        """The message with its times in our time."""
        shift = self._shift_of(message) if self._straddling else 0.0
        taken = self.correction_seconds if correction is None else correction
        if not shift and (stamp is None or not taken):
            return message
        fields = message.fields
        if stamp is not None:
            fields = {**fields, "Timestamp": f"{stamp - taken + shift:.6f}"}
        return message._replace(fields=fields, arrived_at=message.arrived_at + shift)

    def _shift_of(self, message: Message) -> float:
        fields, straddling = message.fields, self._straddling
        if "Privilege" not in fields or "ActionID" in fields:
            return 0.0  # an answer is of now, whatever it speaks of
        for name in _NAMING:
            shift = straddling.get(fields.get(name, ""))
            if shift is not None:
                break
        else:
            return 0.0
        uid = fields.get("Uniqueid", "")
        if message.kind == "Hangup":
            straddling.pop(uid, None)
        elif uid and len(straddling) < STRADDLING_CHANNELS:
            straddling.setdefault(uid, shift)
        return shift


class ClockGate:
    """One link's messages on their way in: passed, corrected, or held back until the time is certain."""

    def __init__(self, clock: PbxClock, live_channels: Callable[[], Iterable[str]], *, live: bool) -> None:
        """`live_channels`: those that live now; asked for when this machine's clock was set."""
        self.clock = clock
        self._live_channels = live_channels
        self.steps: deque[ClockStep] = deque()
        """Clocks that were set, for the owner to take and to act upon."""
        self.wants_time = False
        """Whether the PBX should be asked for its time now."""
        self.tells_time = live
        """Whether the PBX answers with its time; until it has answered it is believed to."""
        self._live = live
        self._based = live
        self._held: list[tuple[Message, float | None]] = []
        """Messages that wait, each with its time as the PBX told it; None of one that tells none."""
        self._newest_stamp = 0.0
        self._strange_skew = 0.0
        self._strange_since = 0.0
        self._strange_events = 0
        self._maybe_late = False
        self._normal_events = 0
        self._excused_until = 0.0

    @property
    def is_holding(self) -> bool:
        """Whether messages wait for the time to be certain."""
        return bool(self._held)

    def take(self, message: Message) -> Sequence[Message]:
        """What may go on now, in order; nothing while it is held back."""
        text = message.fields.get("Timestamp")
        if text is None or message.kind == "Response":
            return self._take_unstamped(message)
        try:
            stamp = float(text)
        except ValueError:
            return self._take_unstamped(message)
        clock = self.clock
        deviation = stamp - message.arrived_at - clock.skew_seconds
        if -AGREE_SECONDS <= deviation <= AGREE_SECONDS and not self._held and self._based:
            self._note_normal(stamp)
            return (message,) if clock.is_plain else (clock.correct(message, stamp),)
        return self._take_strange(message, stamp, text)

    def learn_time(self, sent_at: float, arrived_at: float, stamp: float) -> list[Message]:
        """The PBX told its time between these two moments of ours; returns what may go on."""
        self.tells_time = True
        self.wants_time = False
        took = arrived_at - sent_at
        if took < 0.0:  # our own clock was set meanwhile
            self.wants_time = True
            return []
        skew, clock = stamp - (sent_at + arrived_at) / 2, self.clock
        off = abs(skew - clock.skew_seconds)
        if off <= AGREE_SECONDS + took / 2 or (took > ROUND_TRIP_SECONDS and off < SURE_TIMES * took):
            self._excused_until = arrived_at + LATE_EXCUSED_SECONDS
            if took <= AGREE_SECONDS / 2:
                clock.set_skew(skew)
            clock.is_known = True
            return self._release(None)
        released = self._release(skew)
        clock.is_known = True
        return released

    def learn_no_time(self) -> None:
        """The PBX answered a Ping without its time: events have to decide."""
        self.tells_time = False
        self.wants_time = False
        self.clock.is_known = True

    def our_clock_was_set(self, seconds: float) -> None:
        """This machine's clock jumped by `seconds`."""
        self.clock.keep_calls_in_old_time(self._live_channels(), seconds)
        self._newest_stamp = 0.0
        self._note_step(ClockStep(seconds, ours=True))
        self.wants_time = True

    def flush(self) -> list[Message]:
        """No certainty will come: a replay's end, or the PBX did not answer in time."""
        self.wants_time = False
        if not self._live and self._held and not self._maybe_late and not self._normal_events:
            return self._release(self._strange_skew)
        events, normal = self._strange_events, self._normal_events
        released = self._release(None)
        if not normal:
            self._strange_events = events  # a quiet office: the next ones go on agreeing
        return released

    # -- parts -----------------------------------------------------------------------------------------------------

    def _take_unstamped(self, message: Message) -> Sequence[Message]:
        if self._held and message.kind != "Response" and "ActionID" not in message.fields:
            return self._hold(message, None)
        return (message,) if self.clock.is_plain else (self.clock.correct(message, None),)

    def _take_strange(self, message: Message, stamp: float, text: str) -> Sequence[Message]:
        """A time that does not follow from the ones before it."""
        if not _STAMP.fullmatch(text):
            return self._take_unstamped(message)
        arrived = message.arrived_at
        skew = stamp - arrived
        if not self._based:  # a replay's first event: whatever the two clocks were, they are the measure
            self._based = True
            self.clock.skew_seconds = skew
            self._note_normal(stamp)
            return (message,)
        if abs(skew - self.clock.skew_seconds) <= AGREE_SECONDS:
            return self._take_agreeing(message, stamp)
        late = skew < self.clock.skew_seconds and stamp >= self._newest_stamp - AGREE_SECONDS / 10
        if self._agrees_for_long(skew, arrived, late):
            self._held.append((message, stamp))
            return self._release(skew)
        if late and not self._held and self._passes_late(arrived):
            self._newest_stamp = max(self._newest_stamp, stamp)
            return (self.clock.correct(message, stamp),)
        self.wants_time = self._live and self.tells_time
        return self._hold(message, stamp)

    def _passes_late(self, arrived: float) -> bool:
        return self._live and (not self.tells_time or arrived <= self._excused_until)

    def _take_agreeing(self, message: Message, stamp: float) -> Sequence[Message]:
        """The expected time, while others are held back."""
        self._normal_events += 1
        self._held.append((message, stamp))
        if self._maybe_late or self._normal_events >= AGREEING_EVENTS or len(self._held) >= HELD_MESSAGES:
            return self._release(None)
        return ()

    def _agrees_for_long(self, skew: float, arrived: float, late: bool) -> bool:
        """Whether enough events agree on this other time, where only events can decide."""
        if not self._strange_events or abs(skew - self._strange_skew) > AGREE_SECONDS:
            self._strange_skew, self._strange_since, self._strange_events = skew, arrived, 0
            self._maybe_late = late
        self._strange_events += 1
        if self.tells_time or self._strange_events < AGREEING_EVENTS:
            return False
        return not self._maybe_late or arrived - self._strange_since >= LATE_SECONDS

    def _hold(self, message: Message, stamp: float | None) -> Sequence[Message]:
        self._held.append((message, stamp))
        return self._release(None) if len(self._held) >= HELD_MESSAGES else ()

    def _release(self, skew: float | None) -> list[Message]:
        held, self._held = self._held, []
        self._strange_events = self._normal_events = 0
        clock = self.clock
        old_skew, old_correction = clock.skew_seconds, clock.correction_seconds
        if skew is not None:
            clock.set_skew(skew)
            if clock.is_known and abs(skew - old_skew) > SET_SECONDS:
                self._note_step(ClockStep(skew - old_skew, ours=False))
            self._newest_stamp = 0.0
        return [self._released(message, stamp, old_skew, old_correction) for message, stamp in held]

    def _released(
        self, message: Message, stamp: float | None, old_skew: float, old_correction: float
    ) -> Message:
        if stamp is None:
            return self.clock.correct(message, None)
        skew = stamp - message.arrived_at
        self._note_normal(stamp)
        if abs(skew - old_skew) < abs(skew - self.clock.skew_seconds):
            return self.clock.correct(message, stamp, old_correction)
        return self.clock.correct(message, stamp)

    def _note_normal(self, stamp: float) -> None:
        self._newest_stamp = max(self._newest_stamp, stamp)

    def _note_step(self, step: ClockStep) -> None:
        self.steps.append(step)
        self.clock.steps_seen += 1


def clock_sentence(skew_seconds: float) -> str | None:
    """That the PBX's clock and ours differ, and whose move it is; None while they agree."""
    if abs(skew_seconds) <= AGREE_SECONDS:
        return None
    way = "ahead of" if skew_seconds > 0 else "behind"
    return (
        f"The phone system's clock is {_spoken(abs(skew_seconds))} {way} ours: "
        "times are corrected by that, but recordings and event logs of the phone system bear its own. "
        "Let both machines take their time from the network (NTP)."
    )


def _spoken(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:.1f} seconds"

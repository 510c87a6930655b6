"""What holds for any stream of events, shown on captured calls that were disturbed in every way a link can disturb them.

One test an invariant. Hypothesis chooses the capture and the disturbance; the examples are the same in every run
(profile `ci`), and HYPOTHESIS_PROFILE=explore looks further.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ami_bridge.interpreter import Interpreter
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.translate import TRANSLATIONS
from ami_bridge.wire.framing import Framer, message_or_fragment
from ami_bridge.wire.message import Message
from telephony.call_facts.facts import CallFacts, Certainty, facts_from_json
from telephony.events import EventKind
from telephony.state.tracker import Tracker
from tests.examples import examples
from tests.telephony.captured import (
    NUMBERING,
    Link,
    allowed,
    captured,
    differences,
    names,
    player_of,
    replayed,
)
from tests.telephony.streams import (
    Pbx,
    at_of,
    interleaved,
    is_call_event,
    login,
    other_phones,
    raw,
    renamed,
    shifted,
    without_header,
    without_system_name,
)

NAMES = names()
SMALL = [
    name for name in NAMES if "nasty" not in name
]  # nasty_callerid is sixteen calls: slow, and told elsewhere
ONE_LINK = [name for name in SMALL if "reconnect" not in name]
any_capture = st.sampled_from(ONE_LINK)
seeds = st.integers(min_value=0, max_value=2**32)
SWAP_SECONDS = 0.005  # the most two events of one moment were measured to change places
MS = 0.011  # times in swapped streams may differ by the swap, and by the rounding of the outside shape


def stream_of(name: str, *, read_all: bool = False) -> Link:
    """A capture's one link, as the recommended user or as an all-seeing one is told it."""
    return captured(name).links[0] if read_all else allowed(captured(name).links[0])


def sane(calls: list[CallFacts]) -> None:
    """What every telling must be, whatever was fed: times in order, nothing negative, and it survives the journey."""
    for facts in calls:
        assert facts_from_json(facts.as_json()).as_json() == facts.as_json()
        moments = [facts.started_at, facts.answered_at, facts.ended_at]
        known = [moment for moment in moments if moment is not None]
        assert known == sorted(known), f"start, answer, end out of order: {known}"
        assert facts.talk_seconds >= 0
        assert facts.hold_seconds >= 0
        assert (facts.ring_seconds or 0) >= 0
        assert (facts.wait_seconds or 0) >= 0
        for leg in facts.legs:
            assert leg.talk_seconds >= 0
            times = [t for t in (leg.rang_at, leg.answered_at, leg.ended_at) if t is not None]
            assert times == sorted(times), f"{leg.party}: rang, answered, ended out of order"
            assert all(i.until is None or i.until >= i.since for i in leg.intervals)


def each_channel_once(tracker: Tracker) -> None:
    """Every channel is in the one call it points to."""
    calls = {call.id: call for channel in tracker.channels.values() for call in [channel.call]}
    homes = Counter(uid for call in calls.values() for uid in call.channels)
    assert set(homes) == set(tracker.channels)
    assert set(homes.values()) <= {1}


# -- totality --------------------------------------------------------------------------------------------------------


def intake(data: list[bytes]) -> list[CallFacts]:
    """The whole line from bytes to calls."""
    framer, session, interpreter, tracker = Framer(), LinkSession(), Interpreter(), Tracker(NUMBERING)
    told: dict[object, CallFacts] = {}
    for piece in data:
        for message in framer.feed(piece, 1795313512.0):
            verdict = judge(message, session)
            if verdict.usable:
                for signal in interpreter.message(verdict.message):
                    tracker.feed(signal)
        for change in tracker.drain():
            for gone in change.absorbed:
                told.pop(gone, None)
            told[change.facts.id] = change.facts
    return sorted(told.values(), key=lambda facts: (facts.started_at, facts.id))


@settings(max_examples=examples(100))
@given(st.lists(st.binary(max_size=300), max_size=10))
def test_no_bytes_can_stop_it(pieces: list[bytes]) -> None:
    """Whatever arrives on the socket: nothing raises, and no call comes of it."""
    assert intake(pieces) == []


@settings(max_examples=examples(40))
@given(any_capture, seeds)
def test_damaged_bytes_of_a_real_stream_never_raise(name: str, seed: int) -> None:
    """Bytes lost, doubled, overwritten or swapped anywhere in a real stream: every telling stays sane."""
    chance = random.Random(seed)
    data = bytearray(raw(stream_of(name)))
    for _ in range(chance.randrange(1, 30)):
        at = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                del data[at : at + chance.randrange(60)]
            case 1:
                data[at:at] = data[at - 80 : at]
            case 2:
                data[at] = chance.randrange(256)
            case _:
                data[at:at] = chance.choice([b"\r\n", b"\r\n\r\n", b"\n", b": ", b"\x00", b"\xd0"])
    sane(intake([bytes(data)]))


WORDS = (
    *(
        "",
        "a22-1795313512.1",
        "a22-1795313512.2",
        "1.1",
        "PJSIP/101-00000001",
        "PJSIP/trunk-00000000",
        "PJSIP",
    ),
    *(
        "Local/105@ctx-0000000a;1",
        "Local/105@ctx-0000000a;2",
        ";1",
        "/",
        "101",
        "+79161110001",
        "sales",
        "701",
    ),
    *("Up", "Ringing", "Yes", "Success", "basic", "parking", "CANCEL", "SIPTRANSFER"),
    *("-1", "NaN", "1e400", "9" * 500, "\x00"),
)
words = st.sampled_from(WORDS)
headers = sorted({h for n in SMALL[:8] for m in captured(n).links[0] if is_call_event(m) for h in m.fields})
any_message = st.builds(
    lambda kind, fields, at: Message(kind, {"Event": kind, "Privilege": "call,all", **fields}, at),
    st.sampled_from(
        [*TRANSLATIONS, "Status", "StatusComplete", "BridgeListItem", "QueueEntry", "FullyBooted"]
    ),
    st.dictionaries(st.sampled_from(headers), words, max_size=25),
    st.floats(min_value=-1e9, max_value=1e11),
)


@settings(max_examples=examples(150))
@given(st.lists(any_message, max_size=30))
def test_no_message_can_stop_it(messages: list[Message]) -> None:
    """Any headers with any values in any event: nothing raises, and what is told can be read back."""
    player, calls = player_of(messages)
    sane(calls)
    each_channel_once(player.tracker)


@settings(max_examples=examples(25))
@given(any_capture, st.lists(st.integers(min_value=1, max_value=4000), min_size=1, max_size=30))
def test_how_the_network_cuts_the_bytes_does_not_matter(name: str, sizes: list[int]) -> None:
    """One byte at a time or all at once: the same calls."""
    data = raw(stream_of(name))
    pieces, at = [], 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    assert differences(intake([data]), intake(pieces)) == []


FORGED_VALUES = [
    "x",
    "a22-1795313512.99",
    "a16-1795313512.99",
    "1795313512.99",
    "PJSIP/666-00000666",
    "Up",
    "101",
    "",
    "basic",
]


@settings(max_examples=examples(40))
@given(any_capture, seeds)
def test_headers_appended_a_second_time_change_nothing(name: str, seed: int) -> None:
    """The first of a name is Asterisk's; whatever follows of the same name is not believed."""
    chance = random.Random(seed)
    link = stream_of(name)
    doubled = []
    for message in link:
        extra: tuple[tuple[str, str], ...] = ()
        if is_call_event(message) and chance.random() < 0.3:
            picked = chance.sample(sorted(message.fields), min(3, len(message.fields)))
            extra = tuple((header, chance.choice(FORGED_VALUES)) for header in picked if header != "Variable")
        doubled.append(message._replace(repeated=message.repeated + extra))
    assert differences(replayed(link), replayed(doubled)) == []


@pytest.mark.parametrize(
    "header", ["Uniqueid", "Linkedid", "DestUniqueid", "Channel", "Exten", "DialStatus", "Forward"]
)
def test_headers_smuggled_into_a_number_change_nothing(header: str) -> None:
    """The caller's number brings a line of its own wherever it stands: before Asterisk's own of that name, or behind."""
    for name in ("22/in_abandoned", "22/att_refer", "16/forward_302", "22/queue_answered"):
        link = stream_of(name)
        number = next(m.fields["CallerIDNum"] for m in link if m.kind == "Newchannel")
        value = f"a{name[:2]}-1795313512.99" if header.endswith("id") else "666"
        smuggled = [_with_line_in_number(message, number, header, value) for message in link]
        assert differences(replayed(link), replayed(smuggled)) == [], name


def _with_line_in_number(message: Message, number: str, header: str, value: str) -> Message:
    if not is_call_event(message):
        return message
    pairs: list[tuple[str, str]] = []
    for name, told in [*message.fields.items(), *message.repeated]:
        pairs.append((name, told))
        if told == number and name.endswith(("CallerIDNum", "ConnectedLineNum")):
            pairs.append((header, value))
    again = message_or_fragment(pairs, message.arrived_at)
    assert again is not None
    return again


# -- idempotence and order -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_LINK)
def test_the_whole_stream_twice_is_the_same_calls(name: str) -> None:
    """Everything told again from the start, as after a mistaken replay: no second call, nothing reopened."""
    link = stream_of(name)
    assert differences(replayed(link), replayed([*link, *link])) == []


@settings(max_examples=examples(60))
@given(any_capture, st.integers(min_value=0, max_value=10**6), st.integers(min_value=1, max_value=200))
def test_any_window_twice_is_the_same_calls(name: str, start: int, length: int) -> None:
    """Part of the stream comes a second time: the same calls."""
    link = list(stream_of(name))
    start %= len(link)
    twice = link[: start + length] + link[start : start + length] + link[start + length :]
    assert differences(replayed(link), replayed(twice)) == []


def swapped(link: Link, seed: int, share: float = 0.5) -> list[Message]:
    """Neighbours at most 5 ms apart change places, each at most once."""
    chance = random.Random(seed)
    result = list(link)
    at = 0
    while at < len(result) - 1:
        one, other = result[at], result[at + 1]
        near = is_call_event(one) and is_call_event(other) and abs(at_of(one) - at_of(other)) <= SWAP_SECONDS
        if near and chance.random() < share:
            result[at], result[at + 1] = other, one
            at += 1
        at += 1
    return result


@settings(max_examples=examples(150))
@given(any_capture, seeds)
def test_neighbours_of_one_moment_may_change_places(name: str, seed: int) -> None:
    """Asterisk writes events of several threads: within 5 ms the order means nothing, and the calls are the same."""
    link = stream_of(name)
    assert differences(replayed(link), replayed(swapped(link, seed)), seconds=MS) == []


@settings(max_examples=examples(60))
@given(any_capture, seeds)
def test_a_full_shuffle_raises_nothing(name: str, seed: int) -> None:
    """Order lost altogether: each channel is still in exactly one call and no time is negative."""
    link = list(stream_of(name))
    random.Random(seed).shuffle(link)
    player, calls = player_of(link)
    sane(calls)
    each_channel_once(player.tracker)


# -- conservation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_LINK)
def test_nothing_is_lost_invented_or_told_twice(name: str) -> None:
    """Every channel belongs to one call, every call ends once and never reopens, and nothing remains afterwards."""
    tracker, interpreter, session = Tracker(NUMBERING), Interpreter(), LinkSession()
    ends: Counter[object] = Counter()
    ended: set[object] = set()
    uids: set[str] = set()
    lived: set[str] = set()
    owner: dict[str, object] = {}
    for message in stream_of(name):
        verdict = judge(message, session)
        for signal in interpreter.message(verdict.message) if verdict.usable else ():
            tracker.feed(signal)
        if message.kind == "Newchannel":
            uids.add(message.fields["Uniqueid"])
        if message.get("ChannelStateDesc") in ("Up", "Ring", "Ringing"):
            lived.add(message.fields["Uniqueid"])
        for change in tracker.drain():
            each_channel_once(tracker)
            ends[change.facts.id] += sum(event.kind is EventKind.ENDED for event in change.events)
            assert change.facts.id not in ended or change.facts.ended, "an ended call stays ended"
            ended |= {change.facts.id} if change.facts.ended else set()
            owner |= dict.fromkeys(change.aliases, change.facts.id)
            for gone in change.absorbed:
                ends.pop(gone, None)
    assert set(ends.values()) == {1}
    assert lived <= set(owner) <= uids, "only what the PBX tried to ring by itself, in vain, is no call"
    tracker.advance(tracker.now + 60)
    assert tracker.idle
    assert {tracker.call_of(uid) for uid in lived} == set(ends)


@settings(max_examples=examples(40))
@given(any_capture, st.integers(min_value=0, max_value=10**6))
def test_the_end_of_one_channel_never_ends_another_s_leg(name: str, index: int) -> None:
    """After each Hangup exactly the legs whose channels are gone are over, by the reference model of the PBX."""
    link = stream_of(name)
    hangups = [at for at, message in enumerate(link) if message.kind == "Hangup"]
    cut = hangups[index % len(hangups)] + 1
    pbx = Pbx.after(link[:cut])
    player, _ = player_of(link[:cut])
    alive = {uid for uid, channel in player.tracker.channels.items() if channel.ended_at is None}
    assert alive == set(pbx.channels)


# -- identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_LINK)
def test_the_id_given_first_is_the_id_at_the_end_or_leads_to_it(name: str) -> None:
    """A card's address never breaks: over merges and transfers the first id is kept or redirects."""
    tracker, interpreter = Tracker(NUMBERING), Interpreter()
    first: dict[str, object] = {}
    redirects: dict[object, object] = {}
    for message in stream_of(name):
        for signal in interpreter.message(message):
            tracker.feed(signal)
        for change in tracker.drain():
            redirects |= dict.fromkeys(change.absorbed, change.facts.id)
            for uid in change.aliases:
                first.setdefault(uid, change.facts.id)
    for uid, call in first.items():
        while call in redirects:
            call = redirects[call]
        assert tracker.call_of(uid) == call


@settings(max_examples=examples(40))
@given(any_capture, st.integers(min_value=1, max_value=10**5))
def test_other_ids_for_the_same_things_change_nothing(name: str, counter: int) -> None:
    """Ids are names: with all of them replaced consistently only the calls' own ids and file names differ."""
    link = stream_of(name)
    old, new = replayed(link), replayed(renamed(link, counter, prefix="pbx2-"))
    assert differences(old, new, ignore=["id", "consultation_of", "recordings", "recorded"]) == []
    assert len({facts.id for facts in [*old, *new]}) == 2 * len(old)
    by_old = {facts.id: index for index, facts in enumerate(old)}
    for index, facts in enumerate(old):
        if facts.consultation_of in by_old:
            assert new[index].consultation_of == new[by_old[facts.consultation_of]].id


@settings(max_examples=examples(80))
@given(any_capture, any_capture, st.floats(min_value=0.0, max_value=1.0), st.booleans())
def test_two_calls_at_once_are_told_as_if_alone(one: str, other: str, share: float, strangers: bool) -> None:
    """Interleaved anyhow, through the same queue, parking lot and phones: two unrelated calls stay two."""
    left = stream_of(one)
    right = renamed(
        filter(is_call_event, stream_of(other)), 5_000, prefix=f"a{one[:2]}-"
    )  # one login is enough
    right = other_phones(right) if strangers else right
    begin = left[0].arrived_at + share * (left[-1].arrived_at - left[0].arrived_at)
    right = shifted(right, begin - right[0].arrived_at)
    lot = {m.fields["BridgeUniqueid"] for m in left if m.fields.get("BridgeType") in ("parking", "holding")}
    right = _same_lot(right, lot)
    # An office whose phone takes a second call while it talks may be asking: then the second says so, and only that.
    ignore = ["consultation_of"] if not strangers else []
    apart = sorted([*replayed(left), *replayed(right)], key=lambda facts: (facts.started_at, facts.id))
    assert differences(apart, replayed(interleaved(left, right)), ignore=ignore) == []


def _same_lot(link: Link, lot: set[str]) -> Link:
    own = {m.fields["BridgeUniqueid"] for m in link if m.fields.get("BridgeType") in ("parking", "holding")}
    if not own or not lot:
        return link
    names = dict.fromkeys(own, min(lot))
    return tuple(
        m._replace(fields={n: names.get(v, v) if n == "BridgeUniqueid" else v for n, v in m.fields.items()})
        for m in link
    )


# -- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_times_are_in_order(name: str) -> None:
    """Start ≤ ring ≤ answer ≤ end, in the call and in every leg, and no talk outside the call."""
    calls = replayed(*captured(name).links, cel=captured(name).cel)
    sane(calls)
    for facts in calls:
        assert facts.ended_at is not None
        length = (facts.ended_at - facts.started_at).total_seconds()
        assert facts.talk_seconds <= length + 0.001
        assert all(leg.talk_seconds <= facts.talk_seconds + 0.001 for leg in facts.legs if not facts.parked)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_without_timestamps_the_arrival_counts(name: str) -> None:
    """`timestampevents = no`: the same calls, as exact as the network is quick."""
    links = captured(name).links
    bare = [without_header(link, "Timestamp") for link in links]
    assert (
        differences(replayed(*links), replayed(*bare), seconds=0.1, ignore=["certainty", "intervals"]) == []
    )


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.slow
def test_without_a_system_name_the_calls_are_the_same(name: str) -> None:
    """`systemname` not set: uniqueids bear no prefix."""
    links = captured(name).links
    bare = [without_system_name(link) for link in links]
    assert (
        differences(
            replayed(*links), replayed(*bare), ignore=["id", "consultation_of", "recordings", "recorded"]
        )
        == []
    )


# -- truncation ------------------------------------------------------------------------------------------------------


def cut_points(link: Link) -> list[int]:
    """Where a link may break: before any event of a call."""
    return [at for at, message in enumerate(link) if is_call_event(message)]


@settings(max_examples=examples(100))
@given(any_capture, st.integers(min_value=0, max_value=10**6))
def test_started_in_mid_call_every_living_channel_is_told_and_ends(name: str, index: int) -> None:
    """Switchhook starts while calls are going on: the snapshot gives each a call, and each ends when it ends."""
    link = stream_of(name)
    points = cut_points(link)
    cut = points[index % len(points)]
    at = link[cut].arrived_at
    pbx = Pbx.after(link[:cut])
    player, calls = player_of([*pbx.snapshot(at), *link[cut:]])
    sane(calls)
    assert all(facts.ended for facts in calls)
    for uid, look in pbx.channels.items():
        assert player.tracker.call_of(uid) is not None, look
    player.tracker.advance(player.tracker.now + 60)
    assert player.tracker.idle


@settings(max_examples=examples(150))
@given(any_capture, st.integers(min_value=0, max_value=10**6), st.integers(min_value=1, max_value=10**6))
def test_a_gap_with_snapshot_and_cel_loses_nothing(name: str, index: int, length: int) -> None:
    """The link breaks anywhere for any time; after snapshot and CEL the calls, parties and outcomes are the same."""
    capture = captured(name)
    link = stream_of(name)
    points = cut_points(link)
    start = index % len(points)
    end = start + 1 + length % (len(points) - start)
    back = link[points[end]].arrived_at if end < len(points) else link[-1].arrived_at + 1.0
    rest = link[points[end] :] if end < len(points) else ()
    before = link[: points[start]]
    pbx = Pbx.after(link[: points[end]] if end < len(points) else link)
    told = replayed(before, [*pbx.snapshot(back), *rest], cel=capture.cel)
    whole = replayed(link)
    assert differences(outline(whole), outline(told), ignore=["certainty"]) == []


class _Outline:
    """The calls, parties and outcomes of a telling, in the shape that `differences` reads."""

    def __init__(self, facts: CallFacts) -> None:
        self._facts = facts

    def as_json(self) -> dict[str, object]:
        facts = self._facts
        return {
            "id": str(facts.id),
            "direction": facts.direction.value,
            "caller": facts.caller.number,
            "did": facts.did,
            "state": facts.state.value,
            "disposition": facts.disposition and facts.disposition.value,
            "answered_by": facts.answered_by,
            "final_party": facts.final_party,
            "parties": sorted(leg.party for leg in facts.legs),
            "missed_by": sorted(facts.missed_by),
            "certainty": facts.certainty.value,
            "transfers": [(t.kind.value, t.by, t.to, t.result and t.result.value) for t in facts.transfers],
        }


def outline(calls: list[CallFacts]) -> list[_Outline]:
    """What must survive a gap."""
    return [_Outline(facts) for facts in calls]


@settings(max_examples=examples(60))
@given(any_capture, st.integers(min_value=0, max_value=10**6))
def test_a_stream_that_breaks_off_leaves_calls_open(name: str, index: int) -> None:
    """No more is told: what lived lives, no end is invented."""
    link = stream_of(name)
    cut = index % (len(link) + 1)
    pbx = Pbx.after(link[:cut])
    player, calls = player_of(link[:cut])
    living = {player.tracker.call_of(uid) for uid in pbx.channels}
    assert {facts.id for facts in calls if not facts.ended} <= living
    assert not {facts.id for facts in calls if facts.ended} & living
    sane(calls)


# -- forged blocks ---------------------------------------------------------------------------------------------------


def forged(kind: str, uid: str, channel: str) -> Message:
    """What a caller can write by line breaks in their number: no Privilege, no Timestamp, 79 bytes in all."""
    return Message(kind, {"Event": kind, "Uniqueid": uid, "Channel": channel, "Linkedid": uid}, 0.0)


@settings(max_examples=examples(60))
@given(any_capture, seeds)
def test_forged_blocks_begin_no_call_and_end_none(name: str, seed: int) -> None:
    """Whole events smuggled in through a caller's number: as if they were not there."""
    chance = random.Random(seed)
    link = list(stream_of(name))
    known = [(m.fields["Uniqueid"], m.fields["Channel"]) for m in link if m.kind == "Newchannel"]
    strange = [("a22-1795313512.999", "PJSIP/666-00000999")]
    disturbed = list(link)
    for _ in range(5):
        at = chance.randrange(1, len(disturbed))
        kind = chance.choice(["Newchannel", "Hangup", "BridgeLeave", "DialEnd", "BlindTransfer"])
        block = forged(kind, *chance.choice([*known, *strange]))
        disturbed.insert(at, block._replace(arrived_at=disturbed[at - 1].arrived_at))
    told = replayed(disturbed)
    assert differences(replayed(link), told) == []


# -- transfers, the first caller, recordings -------------------------------------------------------------------------


@pytest.mark.parametrize("header_prefix", ["", "Transferee"])
@pytest.mark.parametrize("name", [n for n in ONE_LINK if "refer" in n or "feature" in n or "blind" in n])
def test_each_transfer_event_is_one_transfer(name: str, header_prefix: str) -> None:
    """As many transfers as Asterisk announced, also where it tells no Transferee headers."""
    link = stream_of(name)
    announced = sum(m.kind in ("BlindTransfer", "AttendedTransfer") for m in link)
    if header_prefix:
        link = tuple(
            m._replace(fields={n: v for n, v in m.fields.items() if not n.startswith(header_prefix)})
            if m.kind.endswith("Transfer")
            else m
            for m in link
        )
    calls = replayed(link)
    assert sum(len(facts.transfers) for facts in calls) == announced


@pytest.mark.parametrize("name", ONE_LINK)
def test_did_and_caller_never_change(name: str) -> None:
    """What was dialled and who called stand from the first telling to the last."""
    tracker, interpreter = Tracker(NUMBERING), Interpreter()
    first: dict[object, tuple[object, ...]] = {}
    for message in stream_of(name):
        for signal in interpreter.message(message):
            tracker.feed(signal)
        for change in tracker.drain():
            facts = change.facts
            told = (facts.did, facts.caller.number)
            assert first.setdefault(facts.id, told) == told


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_belongs_to_one_call(name: str) -> None:
    """No file is told twice."""
    files = Counter(file for facts in replayed(*captured(name).links) for file in facts.recordings)
    assert set(files.values()) <= {1}


# -- one event lost --------------------------------------------------------------------------------------------------

WORSE_WITHOUT = {
    "Newchannel": {"did", "direction", "caller", "certainty"},  # what was dialled is said there alone
    "Hangup": {
        "state",
        "disposition",
        "missed_by",
        "transfers",
        "certainty",
    },  # the call stays open: no end is invented
    "AttendedTransfer": {"transfers", "final_party", "answered_by", "parties", "certainty"},
    "BlindTransfer": {"transfers"},
    "BridgeEnter": {"certainty"},
    "BridgeLeave": {"certainty"},
    "QueueCallerJoin": {"disposition"},
}
"""Which fields may be told worse when one event of that kind is lost; of any other kind, none."""


@pytest.mark.parametrize("name", ONE_LINK)
@pytest.mark.slow
def test_one_lost_event_harms_only_what_it_alone_could_tell(name: str) -> None:
    """Any one message missing: as many calls, the same outline, but for the fields that nothing else tells."""
    link = stream_of(name)
    whole = replayed(link)
    for at, message in enumerate(link):
        if not is_call_event(message):
            continue
        told = replayed(link[:at] + link[at + 1 :])
        sane(told)
        allowed_worse = WORSE_WITHOUT.get(message.kind, set())
        for wrong in differences(outline(whole), outline(told)):
            field = wrong.partition(":")[0].partition(".")[2].partition("[")[0]
            assert field in allowed_worse, f"without {message.kind} at {at}: {wrong}"


def test_what_was_seen_whole_is_observed() -> None:
    """What was seen from start to end is `observed`."""
    assert {facts.certainty for name in ONE_LINK for facts in replayed(stream_of(name))} == {
        Certainty.OBSERVED
    }


def test_a_second_login_is_a_reconnect() -> None:
    """The same file with a login in the middle: the link was lost there."""
    link = stream_of("22/in_answered")
    at = len(link) // 2
    again = [*link[:at], login(link[at].arrived_at), *link[at:]]
    assert differences(replayed(link), replayed(again), ignore=["certainty"]) == []

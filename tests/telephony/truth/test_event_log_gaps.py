"""AMI lost a stretch of a call; the event log tells it. What neither tells is absent, and nothing is told wrongly.

`windows` are messages that were never heard: the link broke before the first and came back after the last. Each is told
by a replay and by the live service's own parts (`tests.switchhook.live_gaps`). `python -m tests.fuzz.gaps` takes as many as
one likes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

from ami_bridge.capture.capture import read_capture
from ami_bridge.cel.signals import CelRow
from ami_bridge.wire.message import Message
from switchhook.pbx.call_assembler import Teller
from telephony.call_facts.facts import CallFacts, Certainty, Disposition
from tests.switchhook.live_gaps import Told, swept, told_before_the_snapshot, told_live
from tests.telephony.captured import (
    CAPTURES,
    NUMBERING,
    captured,
    cel_cells,
    cel_rows,
    cel_text,
    names,
    player_of,
    replayed,
)
from tests.telephony.truth.test_cel import written
from tests.telephony.truth.test_freepbx_truth import FREEPBX, scenarios

Link = tuple[Message, ...]
Window = tuple[str, int, int]

FIELDS = (
    "direction",
    "disposition",
    "did",
    "answered_by",
    "final_party",
    "ended_by",
    "hangup_cause",
    "missed_by",
)
SEED, SAMPLE = 20, 45
KNOWN_OTHERWISE = frozenset({"queue_abandoned", "nasty_callerid"})
"""The log has no word for what AMI told: a queue that gives an agent up, a name with a control character."""


@cache
def played(name: str) -> tuple[Link, tuple[CelRow, ...]]:
    """A capture's first link and its event log; `freepbx/…` or `version/scenario`."""
    if not name.startswith("freepbx/"):
        return captured(name).links[0], captured(name).cel
    folder = CAPTURES / name
    return tuple(read_capture(folder / "ami.jsonl")), tuple(cel_rows((folder / "cel.csv").read_text("utf-8")))


def with_gap(name: str, since: int, until: int) -> list[CallFacts]:
    """The calls when messages `since` to `until` were never heard."""
    link, cel = played(name)
    return replayed(link[:since], link[until:], cel=cel)


def whole(name: str) -> list[CallFacts]:
    """The calls when everything was heard."""
    link, cel = played(name)
    return replayed(link, cel=cel)


def files(calls: list[CallFacts]) -> list[list[str]]:
    """Names of the recordings, call by call."""
    return [[file.rpartition("/")[2] for file in facts.recordings] for facts in calls]


def wrong(expected: list[CallFacts], told: list[CallFacts]) -> list[str]:
    """Facts that differ and are not merely absent; and what is absent although it is called observed."""
    if len(expected) != len(told):
        return [f"{len(expected)} calls, not {len(told)}"]
    found = []
    for one, other in zip(expected, told, strict=True):
        left, right = one.as_json(), other.as_json()
        for told in (left, right):
            told["missed_by"].sort()  # phones that rang in one second have no order
        for field in FIELDS:
            if left[field] == right[field]:
                continue
            if right[field] not in (None, []) or other.certainty is Certainty.OBSERVED:
                found.append(f"{field}: {left[field]!r} ≠ {right[field]!r} ({other.certainty.value})")
    return found


@pytest.mark.parametrize(
    ("name", "since", "until"),
    [
        ("freepbx/22/fm_mobile", 25, 44),  # the mobile's number stands in a row of its last second only
        ("freepbx/16s/rg_external_member", 20, 60),
        ("freepbx/16s/internal_to_cf", 8, 18),
        ("freepbx/16/cf_mobile", 14, 28),
        ("freepbx/16/queue_refer_outside", 52, 69),
        ("freepbx/16/queue_timeout_hangup", 0, 28),  # the second end of a dial is not the caller's
        ("freepbx/16s/in_unregistered", 1, 3),  # chan_sip begins a caller's channel as if it were rung
    ],
)
def test_a_gap_is_told_from_the_log_as_it_was(name: str, since: int, until: int) -> None:
    """Who answered, who hung up: the very same as without the gap."""
    assert wrong(whole(name), with_gap(name, since, until)) == []


def test_no_trunk_s_name_is_a_party_wherever_the_link_broke() -> None:
    """A mobile behind our trunk is called by its number, or not at all."""
    for since in range(0, 72, 8):
        for facts in with_gap("freepbx/22/fm_mobile", since, min(since + 20, 71)):
            assert "MyTrunk" not in {facts.answered_by, facts.final_party, *(leg.party for leg in facts.legs)}


@pytest.mark.parametrize("name", ["16/click_to_call", "22/click_to_call", "22/in_answered"])
def test_a_recording_that_began_in_the_gap_is_named_by_the_call_s_record(name: str) -> None:
    """Its beginning was told while nobody listened; the CDR, whose column our dialplan fills, names the file."""
    link, _ = played(name)
    last = next(index for index, message in enumerate(link) if message.kind == "Cdr")
    assert files(whole(name)) != [[]]
    assert files(with_gap(name, 5, last)) == files(whole(name))


def test_a_recording_named_twice_is_one() -> None:
    """The variable told its file with the folder, the record at the end without."""
    link, _ = played("22/in_answered")
    (facts,) = replayed(link)
    assert len(facts.recordings) == 1


def live(name: str, since: int, until: int) -> Told:
    """The same window told live."""
    link, cel = played(name)
    return told_live(link, since, until, cel, numbering=NUMBERING)


def live_swept(name: str, since: int, until: int) -> list[CallFacts]:
    """The same, half a minute later: the sweep has read the log on."""
    return swept(live(name, since, until), played(name)[1], NUMBERING)


def sampled(seed: int = SEED, count: int = SAMPLE) -> list[Window]:
    """Windows of every length all over the captures, the same in every run."""
    pick = random.Random(seed)
    everything = [f"freepbx/{name}" for name in scenarios()] + [
        n for n in names() if (CAPTURES / n / "cel.csv.gz").exists()
    ]
    usable = [name for name in everything if name.rpartition("/")[2] not in KNOWN_OTHERWISE]
    windows: list[Window] = []
    while len(windows) < count:
        name = pick.choice(usable)
        size = len(played(name)[0])
        since, until = sorted(pick.sample(range(size + 1), 2))
        if (since, until) != (0, size) and ("reconnect" not in name):
            windows.append((name, since, until))
    return windows


def live_at_once(name: str, since: int, until: int) -> list[CallFacts]:
    """The same window told live, before any sweep."""
    return live(name, since, until).calls


TELLERS: dict[str, Callable[[str, int, int], list[CallFacts]]] = {
    "replay": with_gap,
    "live": live_at_once,
    "live, swept": live_swept,
}


def mistakes(teller: str, windows: Iterable[Window]) -> dict[Window, list[str]]:
    """What is told wrongly, by window."""
    tell = TELLERS[teller]
    return {window: found for window in windows if (found := wrong(whole(window[0]), tell(*window)))}


@pytest.mark.parametrize("teller", TELLERS)
@pytest.mark.slow
def test_wherever_the_link_broke_nothing_is_told_wrongly(teller: str) -> None:
    """A seeded sample of all windows of all captures."""
    assert FREEPBX.exists()
    assert mistakes(teller, sampled()) == {}


@pytest.mark.parametrize("teller", TELLERS)
@pytest.mark.parametrize(
    "window",
    [
        ("freepbx/22/click_ucp", 6, 25),  # the line's number stands in a row that is written after the gap
        ("freepbx/22/click_ucp", 20, 28),
        ("freepbx/16/click_ucp", 17, 27),
        ("freepbx/22/hairpin", 6, 17),
        ("freepbx/16/hairpin", 6, 17),
        ("freepbx/22/fm_mobile", 25, 44),
        ("freepbx/16/queue_timeout_hangup", 17, 35),
        ("freepbx/16s/queue_att_refer_ext", 10, 48),  # a row of the colleague's phone comes after the gap
        ("freepbx/16/blacklisted", 5, 8),  # whoever hung up was told in the gap; the end after it
        ("freepbx/22/call_waiting", 14, 17),
        ("freepbx/16s/out_bad_number", 2, 3),
        ("22/in_busy", 12, 64),
        ("22/out_busy", 60, 67),
        ("22/voicemail", 13, 116),
        (
            "22/click_to_call",
            129,
            141,
        ),  # the link is back a moment after the end, before the log has written it
        ("freepbx/16/rg_ringall_none", 9, 11),
    ],
)
def test_windows_that_were_told_wrongly_once(teller: str, window: Window) -> None:
    """A row was taken for old by its time alone, or an end that nobody saw begin was put down to the PBX."""
    assert mistakes(teller, [window]) == {}


@pytest.mark.parametrize("teller", TELLERS)
def test_a_transfer_whose_refer_may_have_been_missed_has_no_means(teller: str) -> None:
    """It was the handset's; without the variable that tells so it would look like another program's."""
    (facts,) = TELLERS[teller]("freepbx/16/refer_group_none_returns", 12, 14)
    assert [transfer.via for transfer in facts.transfers] == [None]
    assert facts.certainty is Certainty.RECONSTRUCTED


@pytest.mark.parametrize("teller", TELLERS)
@pytest.mark.parametrize(
    "window", [("16/att_refer_aborted", 91, 126), ("22/hold", 87, 189), ("16/hold", 80, 146)]
)
def test_a_call_whose_hold_may_have_been_missed_is_not_called_observed(teller: str, window: Window) -> None:
    """Neither the log nor a snapshot knows who is on hold."""
    (truth, *_), (told, *_) = whole(window[0]), TELLERS[teller](*window)
    assert truth.hold_seconds > 3.0
    assert told.hold_seconds == 0.0
    assert told.certainty is Certainty.RECONSTRUCTED


@pytest.mark.parametrize(
    "window", [("freepbx/16/blacklisted", 5, 8), ("22/in_busy", 12, 64), ("22/voicemail", 13, 116)]
)
def test_the_sweep_tells_what_the_log_had_not_written_yet(window: Window) -> None:
    """Right after the gap nobody knows who hung up, and that is what is said; the log's last row tells."""
    (truth,) = whole(window[0])
    (at_once,) = live(*window).calls
    (later,) = live_swept(*window)
    assert (at_once.ended_by, at_once.certainty) == (None, Certainty.RECONSTRUCTED)
    assert (later.ended_by, later.certainty) == (truth.ended_by, Certainty.RECONSTRUCTED)


@pytest.mark.parametrize(
    "window",
    [
        ("22/in_busy", 24, 73),
        ("16/out_answered", 52, 127),
        ("22/att_feature", 13, 278),  # the consultation becomes part of the call while the log is read
        ("22/park_retrieve", 54, 223),
        ("freepbx/16s/queue_att_refer_outside", 44, 76),
        ("freepbx/22/click_ucp", 6, 25),
    ],
)
def test_a_call_with_a_gap_is_told_again_as_it_was_told(window: Window) -> None:
    """What the log added is kept with the call, and so is what says how to read it."""
    told = live(*window)
    known = {uid: call_id for call_id, uids in told.aliases.items() for uid in uids}
    again = Teller(NUMBERING, known).retell([line for lines in told.lines.values() for line in lines])
    assert again == told.facts


def test_a_second_gap_tells_nothing_twice() -> None:
    """The log is read from the call's beginning each time; what was told of it, or by AMI, is no news."""
    name = "22/hold"
    link, cel = played(name)
    places = [index for index, message in enumerate(link) if message.kind == "BridgeEnter"]
    first, second = places[0], places[-1] + 5
    told = told_live(link, first, second, cel, numbering=NUMBERING, second_gap=(second + 10, second + 20))
    rows = [line for line in next(iter(told.lines.values())) if line.get("news")]
    assert len({(line["cel"]["eventtype"], line["cel"]["uniqueid"], line["t"]) for line in rows}) == len(rows)
    assert wrong(whole(name), told.calls) == []


def test_words_lost_without_a_break_are_told_from_the_log_too() -> None:
    """AMI drops messages of a reader that is slow; no login tells of it."""
    link, cel = played("freepbx/22/fm_mobile")
    assert wrong(whole("freepbx/22/fm_mobile"), replayed(link[:25] + link[44:], cel=cel)) == []


def test_a_call_that_went_on_unseen_is_not_called_observed() -> None:
    """Nobody knows what happened meanwhile: no snapshot was taken, and there is no log."""
    link, _ = played("22/hold")
    (facts,) = replayed(link[:150], link[151:])
    assert facts.certainty is not Certainty.OBSERVED


@pytest.mark.parametrize(
    "name",
    [
        "22/in_answered",
        "16/in_answered",
        "22/queue_answered",
        "22/in_ringgroup",
        "22/out_answered",
        "22/blind_refer",
    ],
)
def test_a_call_that_was_answered_unseen_is_never_told_as_missed(name: str) -> None:
    """The link is away from any message to any other, no snapshot is complete and there is no log: a call is told as
    answered or, where the answer was not seen, without an outcome.
    """
    link = captured(name).links[0]
    wrong = {
        (lost, back): facts.disposition
        for lost in range(1, len(link), 5)
        for back in range(lost + 1, len(link), 7)
        for facts in replayed(link[:lost], link[back:])
        if facts.ended and facts.disposition not in (Disposition.ANSWERED, None)
    }
    assert wrong == {}


@pytest.mark.parametrize("name", ["22/in_abandoned", "16/in_ringgroup_none", "22/queue_abandoned"])
def test_a_call_that_was_missed_and_seen_to_be_is_told_as_missed_over_a_gap(name: str) -> None:
    """All attempts were told to end in vain before the link was lost: nothing can have been answered."""
    link = captured(name).links[0]
    ended = max(at for at, message in enumerate(link) if message.kind == "DialEnd")
    whole = [facts.disposition for facts in replayed(link)]
    assert [facts.disposition for facts in replayed(link[: ended + 1], link[ended + 2 :])] == whole


# -- a log that does not keep `extra` ------------------------------------------------------------------------------


def bare(name: str) -> list[CallFacts]:
    """The calls told from the log alone, its last column left out."""
    rows = cel_cells(cel_text(name))
    return replayed(cel=cel_rows(written([row[:-1] for row in rows])))


@pytest.mark.parametrize(
    "name", ["22/in_busy", "22/in_abandoned", "16/out_busy", "22/internal", "22/queue_abandoned"]
)
def test_without_extra_nobody_tells_why_it_ended(name: str) -> None:
    """No cause, and no outcome for a phone that was rung in vain: it may have been busy."""
    for facts in bare(name):
        assert facts.hangup_cause is None
        told = {leg.outcome for leg in facts.legs if leg.role == "callee"}
        assert told <= {None, "answered", "answered_elsewhere"}
        assert facts.answered_by is not None or facts.ended_by is None


@pytest.mark.parametrize("name", ["22/in_ringgroup_none", "16/in_ringgroup_none"])
def test_without_extra_a_phone_rung_for_as_long_as_its_dial_allows_did_not_answer(name: str) -> None:
    """Neither busy nor declined: either would have ended the attempt earlier."""
    (facts,) = bare(name)
    assert facts.disposition is Disposition.MISSED
    assert "no_answer" in {leg.outcome for leg in facts.legs}


@pytest.mark.parametrize("name", ["22/blind_refer", "16/blind_feature"])
def test_without_extra_the_target_of_a_transfer_is_not_known(name: str) -> None:
    """Nobody is named, rather than an empty name."""
    (facts,) = bare(name)
    told: list[Any] = [transfer["to"] for transfer in facts.as_json()["transfers"]]
    assert "" not in told


def test_the_log_does_not_say_by_what_means_a_call_was_handed_on() -> None:
    """A handset's key, a feature code and a program leave the same row."""
    _, (facts,) = player_of(cel=captured("22/blind_feature").cel)
    assert [transfer.via for transfer in facts.transfers] == [None]


ENDINGS = ("out_answered", "in_answered", "internal", "blind_refer", "att_refer", "queue_answered")


@pytest.mark.parametrize("name", [f"{version}/{one}" for version in ("16", "22") for one in ENDINGS])
def test_a_link_that_comes_up_while_people_hang_up(name: str) -> None:
    """Each channel's end is heard, nothing that joins them: the log says whose they were, and that they were one call."""
    link, cel = played(name)
    mistaken = {
        since: found
        for since in range(len(link))
        if (
            found := wrong(
                whole(name),
                swept(told_before_the_snapshot(link, since, cel, numbering=NUMBERING), cel, NUMBERING),
            )
        )
    }
    assert mistaken == {}

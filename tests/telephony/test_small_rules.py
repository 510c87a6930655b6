"""The small pure functions: numbers, endpoints, ids, conversations, outcomes."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.call_facts.conversations import conversations, total, union, without
from telephony.call_facts.dispositions import inbound_disposition, outbound_disposition, rung_outcome
from telephony.call_facts.facts import Disposition, LegOutcome
from telephony.call_facts.observations import CallRecord, Channel, Stay
from telephony.endpoints import Kind, dialled_number, kind_of, parse_name
from telephony.ids import call_id, uid_order
from telephony.numbers.numbers import Numbering, e164, is_withheld

HQ = Numbering(pbx="hq")


@pytest.mark.parametrize(
    "raw", ["101", "112", "02", "8800", "*72", "*8101", "#1", "+7", "", "anonymous", "000000"]
)
def test_what_is_no_telephone_number_is_never_made_one(raw: str) -> None:
    """Extensions, emergency numbers and feature codes: a parser would make +7101 of 101."""
    assert HQ.outside(raw) is None
    assert HQ.party(raw) == raw


@pytest.mark.parametrize(
    "raw", ["+79161234567", "89161234567", "79161234567", "9161234567", "8 (916) 123-45-67", "0079161234567"]
)
def test_every_russian_spelling_is_one_number(raw: str) -> None:
    """8, +7, 7, none at all, 00: the same subscriber."""
    assert e164(raw, "RU") == "+79161234567"


def test_a_foreign_number_by_the_russian_prefix() -> None:
    """8 10 is how Russia dials abroad."""
    assert e164("810442079460000", "RU") == "+442079460000"


def test_a_local_number_gets_the_area_code() -> None:
    """Seven digits in Moscow."""
    assert e164("1000001", "RU", "495") == "+74951000001"


@pytest.mark.parametrize("raw", ["anonymous", "Anonymous ", "", "unknown", "<unknown>", "Restricted"])
def test_a_withheld_number_is_known_as_such(raw: str) -> None:
    """As phones and carriers write it."""
    assert is_withheld(raw)


@pytest.mark.parametrize(
    ("extensions", "trunks", "endpoint", "ours"),
    [
        (r"\d{2,6}", None, "101", True),
        (r"\d{2,6}", None, "1010000", False),
        (r"1\d\d", None, "2101", False),
        (r"^1", None, "1234", True),
        (r"\d{2,6}", "^9", "901", False),
        (r"alice|bob", None, "bob", True),
        (r"alice|bob", None, "bobby", False),
    ],
)
def test_which_endpoint_is_whose(extensions: str, trunks: str | None, endpoint: str, ours: bool) -> None:
    """A pattern without ^ or $ must match the whole name; trunks are asked first."""
    assert Numbering(extensions=extensions, trunks=trunks).is_extension(endpoint) is ours


@pytest.mark.parametrize(
    ("name", "kind", "endpoint"),
    [
        ("PJSIP/101-0000003a", Kind.EXTENSION, "101"),
        ("SIP/101-0000003a", Kind.EXTENSION, "101"),
        ("PJSIP/trunk-in-0000003a", Kind.TRUNK, "trunk-in"),
        ("Local/105@from-staff-0000000a;2", Kind.LOCAL, "105"),
        ("ConfBridgeRecorder/conf-7000-uid-1", Kind.MACHINERY, "conf-7000-uid-1"),
        ("", Kind.MACHINERY, ""),
        ("nonsense", Kind.MACHINERY, ""),
    ],
)
def test_what_stands_behind_a_channel_s_name(name: str, kind: Kind, endpoint: str) -> None:
    """Technology does not matter, the endpoint's name does."""
    assert (kind_of(parse_name(name), HQ), parse_name(name).endpoint) == (kind, endpoint)


@pytest.mark.parametrize(
    ("dialled", "number"),
    [
        ("+79161234567@trunk", "+79161234567"),
        ("PJSIP/89161234567@trunk", "89161234567"),
        ("trunk/sip:89161234567@host", "89161234567"),
        ("DAHDI/g1/89161234567", "89161234567"),
        ("PJSIP/trunk", ""),
    ],
)
def test_the_number_in_a_dial_string(dialled: str, number: str) -> None:
    """Every spelling that dialplans use."""
    assert dialled_number(dialled) == number


@given(st.integers(10**8, 4 * 10**9), st.integers(0, 10**6), st.floats(0, 4e9))
def test_a_call_s_id_is_a_uuid_of_version_7_that_depends_on_the_call_alone(
    epoch: int, counter: int, seen: float
) -> None:
    """Whoever looks, whenever: the same id, with the time inside and the bits of RFC 9562."""
    one = call_id("hq", f"a22-{epoch}.{counter}", seen)
    assert one == call_id("hq", f"a22-{epoch}.{counter}", 0.0)
    assert one != call_id("branch", f"a22-{epoch}.{counter}", seen)
    assert (one.version, one.variant) == (7, UUID(int=0x8 << 60).variant)
    assert abs((one.int >> 80) / 1000 - epoch) <= 1.0


def test_an_id_of_another_shape_keeps_the_day_only() -> None:
    """AMI and CEL see an originated channel begin some ms apart: still one call."""
    assert call_id("hq", "crm-17", 1_795_311_344.485) == call_id("hq", "crm-17", 1_795_311_344.491)


def test_channels_are_ordered_as_the_pbx_made_them() -> None:
    """2.10 comes after 2.9, whatever the prefix."""
    assert sorted(["a-1795311164.10", "a-1795311164.9", "x"], key=uid_order) == [
        "x",
        "a-1795311164.9",
        "a-1795311164.10",
    ]


spans = st.lists(
    st.tuples(st.integers(0, 100), st.integers(0, 100)).map(lambda p: (min(p), max(p))), max_size=8
)


@given(spans, spans)
def test_spans_are_sets_of_moments(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    """Union and difference agree with counting the seconds one by one."""
    moments = {t for a, b in one for t in range(a, b)}
    holes = {t for a, b in other for t in range(a, b)}
    assert total(union(one)) == len(moments)
    assert total(without(union(one), other)) == len(moments - holes)


def channel(uid: str, kind: Kind, *stays: tuple[str, float, float], half: str = "") -> Channel:
    """A channel that was in these bridges."""
    made = Channel(uid, uid, 0.0, CallRecord(call_id("hq", uid, 0.0), uid, 0.0))
    made.kind, made.half = kind, half
    for bridge, since, until in stays:
        stay = Stay(bridge, "basic", since)
        stay.left_at = until
        made.stays.append(stay)
    return made


def test_a_conversation_through_two_local_halves_is_one() -> None:
    """Caller – half 1 | half 2 – colleague: they hear each other for as long as all four are there."""
    people = [
        channel("a", Kind.TRUNK, ("one", 0.0, 10.0)),
        channel("h1", Kind.LOCAL, ("one", 1.0, 9.0), half="L"),
        channel("h2", Kind.LOCAL, ("two", 2.0, 9.0), half="L"),
        channel("b", Kind.EXTENSION, ("two", 3.0, 8.0)),
    ]
    assert [(t.since, t.until, set(t.uids)) for t in conversations(people, 20.0)] == [(3.0, 8.0, {"a", "b"})]


@pytest.mark.parametrize(
    ("status", "cause", "outcome"),
    [
        ("BUSY", 17, LegOutcome.BUSY),
        ("NOANSWER", 1, LegOutcome.UNREACHABLE),
        ("NOANSWER", 0, LegOutcome.NO_ANSWER),
        ("CANCEL", 127, LegOutcome.CANCELLED),
        ("CANCEL", 26, LegOutcome.ANSWERED_ELSEWHERE),
        ("CHANUNAVAIL", 3, LegOutcome.UNREACHABLE),
        ("CONGESTION", 34, LegOutcome.UNREACHABLE),
        ("BUSY", 21, LegOutcome.DECLINED),
        ("", 0, None),
        ("", 16, None),
        ("", 17, LegOutcome.BUSY),
    ],
)
def test_how_it_came_out_for_a_phone(status: str, cause: int, outcome: LegOutcome | None) -> None:
    """Dial status and cause together; 404 and a cancelled call are the two that mislead. Without a status it may have been
    answered.
    """
    assert rung_outcome(status, cause, taken_elsewhere=False, forwarded=False) is outcome


def test_how_a_call_came_out_that_nobody_took() -> None:
    """One phone that rang in vain makes it missed, whatever the others said."""
    flags = {"voicemail": False, "left_waiting": False, "caller_was_up": False}
    assert inbound_disposition([LegOutcome.BUSY, LegOutcome.NO_ANSWER], **flags) is Disposition.MISSED
    assert inbound_disposition([LegOutcome.BUSY], **flags) is Disposition.BUSY
    assert inbound_disposition([LegOutcome.UNREACHABLE], **flags) is Disposition.FAILED
    assert inbound_disposition([], **flags) is Disposition.FAILED
    assert inbound_disposition([], **flags | {"caller_was_up": True}) is Disposition.ABANDONED
    assert inbound_disposition([], **flags | {"voicemail": True}) is Disposition.VOICEMAIL
    assert outbound_disposition([LegOutcome.BUSY, LegOutcome.NO_ANSWER]) is Disposition.NO_ANSWER
    assert outbound_disposition([LegOutcome.UNREACHABLE]) is Disposition.FAILED
    assert outbound_disposition([]) is Disposition.FAILED

"""Whose endpoint is it: the directory's rules as tables, and calls whose endpoints are not called like extensions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from switchhook.commands.replay import replay
from telephony.call_facts.facts import CallFacts, Direction, PartyKind
from telephony.endpoint_directory import (
    Endpoint,
    EndpointDirectory,
    EndpointListing,
    EndpointSource,
    KnownEndpoint,
    directory_of,
    pattern_of,
    read_hint,
    toml_key,
)
from telephony.endpoint_evidence import is_mac
from telephony.endpoints import dialled_number, parse_name
from telephony.numbers.extension_rule import ExtensionFault, rule_of
from telephony.numbers.numbers import Numbering
from telephony.state import signals as s
from telephony.state.tracker import Tracker
from tests.telephony.captured import captured, player_of

CAPTURES = Path(__file__).parent / "endpoint_captures"
CLIENT, DID = "79161110001", "74951000001"


def hints(*told: str) -> EndpointDirectory:
    """`101=PJSIP/101&PJSIP/99101` as the PBX tells them."""
    read = (read_hint(*one.split("=", 1)) for one in told)
    return EndpointDirectory(hints=tuple(hint for hint in read if hint is not None))


@pytest.mark.parametrize(
    ("told", "endpoint", "extension"),
    [
        (["101=PJSIP/101&PJSIP/99101&Custom:DND101,CustomPresence:101"], "PJSIP/99101", "101"),
        (["30005=PJSIP/30005&PJSIP/9930005"], "PJSIP/9930005", "30005"),
        (["101=PJSIP/alice"], "PJSIP/alice", "101"),
        (["102=SIP/reception&PJSIP/reception-soft"], "SIP/reception", "102"),
        (["102=SIP/reception&PJSIP/reception-soft"], "PJSIP/reception-soft", "102"),
        (["103=PJSIP/80:5e:c0:11:22:33"], "PJSIP/80:5e:c0:11:22:33", "103"),
        (["131=DAHDI/31"], "DAHDI/31", "131"),
        (["131=DAHDI/31"], "PJSIP/31", "31"),  # another device of the same name
        (["1001234=PJSIP/desk"], "PJSIP/desk", "1001234"),  # an extension longer than `extensions` says
        (["alice=PJSIP/alice", "101=PJSIP/alice"], "PJSIP/alice", "101"),
        (["600=PJSIP/alice&PJSIP/bob", "101=PJSIP/alice"], "PJSIP/alice", "101"),
        (["600=PJSIP/alice&PJSIP/bob", "101=PJSIP/alice"], "PJSIP/bob", None),  # a group's lamp is nobody's
        (["600=PJSIP/101&PJSIP/102"], "PJSIP/102", "102"),
        (["*47101=PJSIP/alice"], "PJSIP/alice", None),  # a feature code
        (["_1XX=PJSIP/${EXTEN}"], "PJSIP/101", "101"),
        (["701=park:701@parkedcalls", "101=Custom:DND101"], "PJSIP/alice", None),
    ],
)
def test_hints_say_whose_phone_it_is(told: list[str], endpoint: str, extension: str | None) -> None:
    """Of several hints that name a device the one that is most its own."""
    tech, name = endpoint.split("/", 1)
    numbering = Numbering(directory=hints(*told))
    assert numbering.extension_of(name, tech) == extension
    kept = directory_of(numbering.directory.rows())
    assert numbering.with_directory(kept).extension_of(name, tech) == extension


def test_the_order_of_authority() -> None:
    """The configuration, then what the PBX registers with and dials through, then hints, then names."""
    directory = hints("101=PJSIP/alice", "9001=PJSIP/provider", "9002=PJSIP/carrier").with_listing(
        EndpointListing(lines=frozenset({"provider"}))
    )
    numbering = Numbering(trunks="carrier", directory=directory)
    assert numbering.extension_of("alice", "PJSIP") == "101"
    assert numbering.extension_of("provider", "PJSIP") is None
    assert numbering.extension_of("carrier", "PJSIP") is None
    said = numbering.with_directory(directory.with_said({"alice": "111", "PJSIP/provider": "9001"}))
    assert said.extension_of("alice", "PJSIP") == "111"
    assert said.extension_of("provider", "PJSIP") == "9001"
    staff = directory_of(
        [
            KnownEndpoint("PJSIP/alice", EndpointSource.STAFF, "121"),
            KnownEndpoint("PJSIP/123456", EndpointSource.STAFF, None),
        ],
        {"alice": "111"},
    )
    assert Numbering(directory=staff).extension_of("123456", "PJSIP") is None
    assert numbering.with_directory(directory.with_listing(EndpointListing(hints=()))).extension_of(
        "alice", "PJSIP"
    ), "a PBX that loads its dialplan lists nothing for a moment"


def test_what_nobody_can_place_is_named() -> None:
    """Phones without a hint, and a trunk that was never used; not those that are known."""
    devices = [Endpoint("PJSIP", name) for name in ("101", "alice", "bob", "001122334455", "provider", "gw")]
    numbering = Numbering(trunks="gw", directory=hints("102=PJSIP/bob"))
    assert [one.name for one in numbering.undecided(devices)] == ["alice", "001122334455", "provider"]
    assert toml_key("alice") == "alice"
    assert toml_key("Provider One") == '"Provider One"'
    assert re.fullmatch(pattern_of(["a.b"]).replace("\\\\", "\\"), "a.b")


@pytest.mark.parametrize(
    ("name", "endpoint"),
    [
        ("IAX2/101-12345", "101"),
        ("IAX2/101-7", "101"),
        ("IAX2/branch-2-31999", "branch-2"),
        ("DAHDI/31-1", "31"),
        ("DAHDI/i1/89161234567-a3", "i1"),
        ("SIP/101-0000003a", "101"),
        ("PJSIP/Provider One-0000003a", "Provider One"),
        ("PJSIP/001122334455-0000003a", "001122334455"),
        ("PJSIP/80-5e-c0-11-22-33-0000003a", "80-5e-c0-11-22-33"),
        ("SCCP/101-00000012", "101"),
    ],
)
def test_each_driver_has_its_own_suffix(name: str, endpoint: str) -> None:
    """Hexadecimal of PJSIP and SIP, decimals of IAX2, subchannels of DAHDI."""
    assert parse_name(name).endpoint == endpoint


def test_a_hardware_address_is_no_number() -> None:
    """Neither in a dial string nor as a caller."""
    assert all(map(is_mac, ("001122334455", "805ec0a1b2c3", "SEP001122334455")))
    assert not any(map(is_mac, ("79161110001", "alice")))
    assert dialled_number("001122334455/sip:001122334455@10.0.0.7:5060", "001122334455") == ""
    assert dialled_number("79161234567@123456", "123456") == "79161234567"


@pytest.mark.parametrize(
    ("capture", "direction", "caller", "answered_by", "missed_by", "parties"),
    [
        ("two_devices", "inbound", "+79161110001", "101", (), {"+79161110001", "101"}),
        ("webrtc_none", "inbound", "+79161110001", None, ("101",), {"+79161110001", "101"}),
        ("webrtc_dials_out", "outbound", "101", "+79161234567", (), {"101", "+79161234567"}),
        ("webrtc_5digits", "inbound", "+79161110001", "30005", (), {"+79161110001", "30005"}),
        ("numeric_trunk_in", "inbound", "+79161110001", "101", (), {"+79161110001", "101"}),
        ("iax2_outbound", "outbound", "101", "+79000000002", (), {"101", "+79000000002"}),
        ("iax2_missed", "inbound", "+79000000001", None, ("101",), {"+79000000001", "101"}),
    ],
)
def test_captured_calls(
    capture: str,
    direction: str,
    caller: str,
    answered_by: str | None,
    missed_by: tuple[str, ...],
    parties: set[str],
) -> None:
    """Browsers beside desk phones, a trunk called by a number, IAX2: without any setting, and without hints."""
    (facts,) = replay([CAPTURES / f"{capture}.jsonl.gz"])
    assert facts.direction.value == direction
    assert facts.caller.number == caller
    assert (facts.answered_by, facts.missed_by) == (answered_by, missed_by)
    assert {leg.party for leg in facts.legs} == parties


def look(uid: int, name: str, state: str, number: str = "", exten: str = "", linked: int = 1) -> s.Look:
    return s.Look(f"1.{uid}", f"1.{linked}", name, state, number, "", exten)


def told(numbering: Numbering, signals: Iterable[s.Signal]) -> CallFacts:
    tracker = Tracker(numbering)
    for signal in signals:
        tracker.feed(signal)
    (change,) = tracker.drain()
    return change.facts


def call(caller: s.Look, dest: s.Look, dial_string: str, *, answered: bool = True) -> list[s.Signal]:
    """One dials, the other is rung and perhaps answers."""
    up = [
        s.ChannelChanged(12.0, dest._replace(state="Up")),
        s.ChannelChanged(12.0, caller._replace(state="Up")),
        s.BridgeEntered(12.1, dest._replace(state="Up"), "b", "basic"),
        s.BridgeEntered(12.1, caller._replace(state="Up"), "b", "basic"),
    ]
    return [
        s.ChannelBegan(10.0, caller),
        s.ChannelBegan(10.1, dest),
        s.DialBegan(10.2, caller._replace(state=""), dest._replace(state=""), dial_string),
        *(up if answered else []),
        s.ChannelEnded(20.0, dest, 16),
        s.ChannelEnded(20.0, caller, 16),
    ]


HINTED = Numbering(
    directory=hints("101=PJSIP/reception", "102=PJSIP/001122334455", "103=PJSIP/80:5E:C0:aa:bb:cc")
)
BY_NAME = Numbering()


@pytest.mark.parametrize(
    ("numbering", "signals", "direction", "caller", "answered_by"),
    [
        (
            HINTED,
            call(
                look(1, "PJSIP/reception-0000000a", "Ring", "reception", "89161234567"),
                look(2, "PJSIP/Provider One-0000000b", "Down"),
                "79161234567@Provider One",
            ),
            Direction.OUTBOUND,
            "101",
            "+79161234567",
        ),
        (
            HINTED,
            call(
                look(1, "PJSIP/001122334455-0000000a", "Ring", "001122334455", "103"),
                look(2, "PJSIP/80:5E:C0:aa:bb:cc-0000000b", "Down"),
                "80:5E:C0:aa:bb:cc",
            ),
            Direction.INTERNAL,
            "102",
            "103",
        ),
        (  # no hint: its hardware address is what it is told by, never +1122334455
            BY_NAME,
            call(
                look(1, "PJSIP/001122334455-0000000a", "Ring", "001122334455", "89161234567"),
                look(2, "PJSIP/provider-0000000b", "Down"),
                "79161234567@provider",
            ),
            Direction.OUTBOUND,
            "001122334455",
            "+79161234567",
        ),
        (  # no hint: rung without a number it is a phone, and of the extension that its caller ID is
            BY_NAME,
            call(
                look(1, "PJSIP/provider-0000000a", "Ring", CLIENT, DID),
                look(2, "PJSIP/alice-0000000b", "Down", "101"),
                "alice/sip:7a6b@10.0.0.7:5060",
            ),
            Direction.INBOUND,
            f"+{CLIENT}",
            "101",
        ),
        (  # the account's number for a name, and out through it
            BY_NAME,
            call(
                look(1, "SIP/101-0000000a", "Ring", "101", "89161234567"),
                look(2, "SIP/4951-0000000b", "Down"),
                "4951/89161234567",
            ),
            Direction.OUTBOUND,
            "101",
            "+79161234567",
        ),
        (
            BY_NAME,
            call(
                look(1, "SIP/4951-0000000a", "Ring", CLIENT, DID),
                look(2, "SIP/101-0000000b", "Down", "101"),
                "101",
            ),
            Direction.INBOUND,
            f"+{CLIENT}",
            "101",
        ),
        (  # an extension that shows an outside number when it dials out is no trunk
            BY_NAME,
            call(
                look(1, "PJSIP/101-0000000a", "Ring", DID, "89161234567"),
                look(2, "PJSIP/provider-0000000b", "Down"),
                "79161234567@provider",
            ),
            Direction.OUTBOUND,
            "101",
            "+79161234567",
        ),
        (
            BY_NAME,
            call(look(1, "DAHDI/31-1", "Ring", "31", "101"), look(2, "IAX2/101-3", "Down", "101"), "101"),
            Direction.INTERNAL,
            "31",
            "101",
        ),
    ],
)
def test_calls_by_endpoint(
    numbering: Numbering, signals: list[s.Signal], direction: Direction, caller: str, answered_by: str
) -> None:
    """Direction and parties, whatever the endpoints are called."""
    facts = told(numbering, signals)
    assert (facts.direction, facts.caller.number, facts.answered_by) == (direction, caller, answered_by)


def test_hints_that_come_during_a_call_mend_it() -> None:
    """The first call began before the PBX had listed its hints: it is told anew."""
    signals = call(
        look(1, "PJSIP/reception-0000000a", "Ring", "1000", "89161234567"),
        look(2, "PJSIP/provider-0000000b", "Down"),
        "79161234567@provider",
    )
    tracker = Tracker(BY_NAME)
    for signal in signals[:3]:
        tracker.feed(signal)
    (before,) = tracker.drain()
    assert before.facts.direction is Direction.INBOUND
    tracker.feed(s.EndpointsListed(11.0, EndpointListing(hints=hints("101=PJSIP/reception").hints)))
    (after,) = tracker.drain()
    assert (after.facts.direction, after.facts.caller.number) == (Direction.OUTBOUND, "101")
    assert [leg.kind for leg in after.facts.legs] == [PartyKind.EXTENSION, PartyKind.OUTSIDE]


def test_one_rule_for_what_people_write() -> None:
    """Every extension a PBX has is taken; trunks, phones of another extension and nonsense are not."""
    directory = hints("101=PJSIP/alice", "reception=PJSIP/desk").with_line(
        Endpoint("PJSIP", "123456"), dialled=True
    )
    rule = rule_of([Numbering(trunks="provider-.*", directory=directory)], {"1001234567"})
    for good in ("101", "reception", "1001234567", "77", "20000001"):
        assert rule.problem_with(good) is None, good
    faults = {
        text: rule.problem_with(text)
        for text in ("alice", "provider-1", "123456", "pr 1", "1", "101,102", "")
    }
    assert {text: problem and problem.fault for text, problem in faults.items()} == {
        "alice": ExtensionFault.PHONE_OF_ANOTHER,
        "provider-1": ExtensionFault.TRUNK,
        "123456": ExtensionFault.TRUNK,
        "pr 1": ExtensionFault.NOT_ONE,
        "1": ExtensionFault.NOT_ONE,
        "101,102": ExtensionFault.NOT_ONE,
        "": ExtensionFault.NOT_ONE,
    }
    named = rule_of([Numbering(extensions="alice|bob")])
    assert named.problem_with("bob") is None


@pytest.mark.parametrize("name", ["16/out_answered", "22/out_answered", "16/out_busy", "22/out_busy"])
def test_wherever_the_link_comes_up_no_phone_becomes_a_trunk(name: str) -> None:
    """A phone that dials out is seen first with the outside number that the dialplan gave it, at `s` of a routine."""
    for link in captured(name).links:
        for first in range(len(link)):
            directory = player_of(link[first:])[0].tracker.numbering.directory
            assert not {one for one in directory.seen_lines if one.startswith("PJSIP/1")}, first


def test_a_phone_taken_for_a_trunk_is_a_phone_again_when_it_is_rung() -> None:
    """By an older release, say: nobody rings a trunk by its name alone."""
    mistaken = KnownEndpoint("PJSIP/102", EndpointSource.CALLS, None)
    tracker = Tracker(Numbering(directory=directory_of([mistaken])))
    for signal in call(
        look(1, "PJSIP/trunk-0000000a", "Ring", CLIENT, DID),
        look(2, "PJSIP/102-0000000b", "Down", "102"),
        "PJSIP/102/sip:102@10.0.0.5:5060",
    ):
        tracker.feed(signal)
    (change,) = tracker.drain()
    assert (change.facts.direction, change.facts.answered_by) == (Direction.INBOUND, "102")
    assert "PJSIP/102" not in tracker.numbering.directory.seen_lines

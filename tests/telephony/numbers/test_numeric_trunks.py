"""Trunks that are named like an extension, after the account: a call of theirs is a customer's, whoever is rung."""

from __future__ import annotations

import pytest

from ami_bridge.wire.message import Message
from telephony.call_facts.facts import CallFacts, Direction
from tests.telephony.captured import replayed
from tests.telephony.streams import rewritten
from tests.telephony.truth.test_freepbx_neighbours import told
from tests.telephony.truth.test_freepbx_truth import scenario


def with_trunk(name: str, trunk: str) -> list[CallFacts]:
    """A capture's calls with its trunk named otherwise; no hint, no registration, no identify is known."""
    link: list[Message] = list(
        rewritten(scenario(name).link, lambda _, value: value.replace("MyTrunk", trunk))
    )
    return replayed(link)


@pytest.mark.parametrize("trunk", ["123456", "4951"])
@pytest.mark.parametrize(
    "name", ["16/dnd_busy", "16s/in_did_busy_dest", "16s/in_unregistered", "16s/in_ext_busy"]
)
def test_a_call_that_rings_nobody_is_a_customer_s(name: str, trunk: str) -> None:
    """Do not disturb, a route to Busy, a phone that is not registered: the customer tried to reach us."""
    (expected,) = with_trunk(name, "MyTrunk")
    (call,) = with_trunk(name, trunk)
    assert call.direction is Direction.INBOUND
    assert (call.caller, call.did, call.disposition) == (expected.caller, expected.did, expected.disposition)


CALL = """
0.000 Newchannel who=client ChannelStateDesc=Ring CallerIDNum={number} Context={context} Exten={exten}
0.300 Hangup who=client ChannelStateDesc=Ring Cause=20 Context={context} Exten=h
"""


@pytest.mark.parametrize(
    ("context", "number", "exten", "direction"),
    [
        ("from-trunk", "+79161110001", "74951000001", Direction.INBOUND),
        ("inbound", "89161110001", "s", Direction.INBOUND),
        ("incoming_calls", "79161110001", "4951000001", Direction.INBOUND),
        ("from-internal", "+74951000001", "89161110001", Direction.OUTBOUND),  # our number is shown
        ("office", "74951000001", "89161110001", Direction.OUTBOUND),
        ("phones-to-trunk", "74951000001", "89161110001", Direction.OUTBOUND),
        ("from-trunk", "105", "89161110001", Direction.OUTBOUND),  # no carrier shows an extension
    ],
)
def test_the_context_decides_only_where_nothing_else_does(
    context: str, number: str, exten: str, direction: Direction
) -> None:
    """An endpoint `123456` between two outside numbers, and nobody is rung."""
    text = CALL.format(context=context, number=number, exten=exten)
    (call,) = told(text, {"client": ("PJSIP/123456-00000001", "1.1", "1.1")})
    assert call.direction is direction

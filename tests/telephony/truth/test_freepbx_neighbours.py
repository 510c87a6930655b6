"""Kinds of FreePBX call that no capture holds, as short traces: one line an event, as a manager sees it.

A trace line is `time Event Header=value …`; `who` stands for a channel and fills in its name, Uniqueid and Linkedid.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

import pytest

from ami_bridge.wire.message import Message
from telephony.call_facts.caller_names import name_of_person
from telephony.call_facts.facts import CallFacts, Direction, Disposition, Service
from tests.telephony.captured import replayed

BEGAN = 1_795_983_000.0
TRUNK = "SIP/MyTrunk-00000001"


def trace(text: str, channels: dict[str, tuple[str, str, str]]) -> list[Message]:
    """The messages of a trace. `channels`: name, Uniqueid and Linkedid of everyone in it."""
    return [_message(shlex.split(line), channels) for line in text.strip().splitlines()]


def _message(words: list[str], channels: dict[str, tuple[str, str, str]]) -> Message:
    at = BEGAN + float(words[0])
    fields = {"Event": words[1], "Privilege": "call,all", "Timestamp": f"{at:.6f}"}
    for word in words[2:]:
        header, _, value = word.partition("=")
        prefix = "Dest" if header == "dest" else ""
        if header in ("who", "dest"):
            name, uid, linked = channels[value]
            fields |= {f"{prefix}Channel": name, f"{prefix}Uniqueid": uid, f"{prefix}Linkedid": linked}
        else:
            fields[header] = value
    return Message(words[1], fields, at)


def told(text: str, channels: dict[str, tuple[str, str, str]]) -> list[CallFacts]:
    """The calls of a trace."""
    return replayed(trace(text, channels))


CALLER = {"client": (TRUNK, "1.1", "1.1")}


def test_a_group_in_which_no_phone_is_registered_is_told_on_chan_sip() -> None:
    """Down, then Ring, an announcement, and nobody rung: a customer's call that failed, not silence."""
    (call,) = told(
        """
        0.000 Newchannel who=client ChannelStateDesc=Down CallerIDNum=79161110001 Exten=74951000004
        0.001 Newstate who=client ChannelStateDesc=Ring CallerIDNum=79161110001 Exten=74951000004
        0.200 Newstate who=client ChannelStateDesc=Up CallerIDNum=79161110001 Exten=s-CHANUNAVAIL
        3.000 Hangup who=client ChannelStateDesc=Up Cause=16 Exten=h
        """,
        CALLER,
    )
    assert (call.direction, call.did, call.caller.number) == (
        Direction.INBOUND,
        "+74951000004",
        "+79161110001",
    )
    assert call.disposition is Disposition.ABANDONED


def test_the_two_first_events_of_chan_sip_may_come_swapped() -> None:
    """The call is told all the same, with what it was begun with."""
    (call,) = told(
        """
        0.001 Newstate who=client ChannelStateDesc=Ring CallerIDNum=79161110001 Exten=74951000004
        0.000 Newchannel who=client ChannelStateDesc=Down CallerIDNum=79161110001 Exten=74951000004
        0.500 Hangup who=client ChannelStateDesc=Ring Cause=20 Exten=h
        """,
        CALLER,
    )
    assert (call.did, call.disposition) == ("+74951000004", Disposition.FAILED)


def test_a_phone_that_a_program_rings_and_nobody_takes_is_no_call() -> None:
    """A wake-up call, or a click to call that its own phone never answered: nobody called anybody."""
    rung = {"phone": ("SIP/101-00000001", "1.1", "1.1")}
    assert not told(
        """
        0.000 Newchannel who=phone ChannelStateDesc=Down Exten=s
        0.010 DialBegin dest=phone DialString=101
        0.100 Newstate who=phone ChannelStateDesc=Ringing
        9.000 DialEnd dest=phone DialStatus=NOANSWER
        9.010 Hangup who=phone ChannelStateDesc=Ringing Cause=19
        """,
        rung,
    )


def _page(phones: Iterable[str], answering: Iterable[str]) -> tuple[str, dict[str, tuple[str, str, str]]]:
    """101 pages: a script rings each phone by a Local channel of its own, which joins the room when it is answered."""
    channels = {"pager": ("PJSIP/101-0000002e", "1.1", "1.1")}
    lines = [
        "0.000 Newchannel who=pager ChannelStateDesc=Ring CallerIDNum=101 Exten=700",
        "0.010 Newstate who=pager ChannelStateDesc=Up CallerIDNum=101 Exten=700",
        "0.020 BridgeEnter who=pager BridgeUniqueid=room BridgeType=base",
        "0.021 ConfbridgeJoin who=pager BridgeUniqueid=room BridgeType=base Conference=17959837",
    ]
    for number, phone in enumerate(phones, 10):
        local = f"Local/PAGE{phone}@app-paging-000000{number}"
        one, two, desk = f"one{phone}", f"two{phone}", phone
        channels[one] = (f"{local};1", f"{number}.1", f"{number}.1")
        channels[two] = (f"{local};2", f"{number}.2", f"{number}.1")
        channels[desk] = (f"PJSIP/{phone}-000000{number}", f"{number}.3", f"{number}.1")
        lines += [
            f"0.030 Newchannel who={one} ChannelStateDesc=Down Exten=PAGE{phone}",
            f"0.031 Newchannel who={two} ChannelStateDesc=Ring Exten=PAGE{phone}",
            f"0.032 DialBegin dest={one} DialString=PAGE{phone}@app-paging/n",
            f"0.040 Newchannel who={desk} ChannelStateDesc=Down Exten=s",
            f"0.041 DialBegin who={two} dest={desk} DialString={phone}/sip:{phone}@127.0.0.1",
            f"0.042 Newstate who={desk} ChannelStateDesc=Ringing",
        ]
        if phone in answering:
            lines += [
                f"0.300 Newstate who={desk} ChannelStateDesc=Up",
                f"0.301 DialEnd who={two} dest={desk} DialStatus=ANSWER",
                f"0.302 BridgeEnter who={desk} BridgeUniqueid=desk{phone} BridgeType=basic",
                f"0.303 BridgeEnter who={two} BridgeUniqueid=desk{phone} BridgeType=basic",
                f"0.304 DialEnd dest={one} DialStatus=ANSWER",
                f"0.305 BridgeEnter who={one} BridgeUniqueid=room BridgeType=base",
                f"0.306 ConfbridgeJoin who={one} BridgeUniqueid=room BridgeType=base Conference=17959837",
            ]
        else:
            lines += [
                f"0.290 DialEnd who={two} dest={desk} DialStatus=NOANSWER",
                f"0.291 Hangup who={desk} ChannelStateDesc=Ringing Cause=20",
                f"0.292 DialEnd dest={one} DialStatus=NOANSWER",
                f"0.293 Hangup who={two} Cause=20",
                f"0.294 Hangup who={one} Cause=20",
            ]
    lines += ["5.000 Hangup who=pager Cause=16"]
    for phone in answering:
        lines += [f"5.1 Hangup who={who}{phone} Cause=16" for who in ("one", "two", "")]
    lines.sort(key=lambda line: float(line.split()[0]))
    return "\n".join(lines), channels


@pytest.mark.parametrize("answering", [("102", "103", "104", "105", "106"), ("103", "106"), ()])
def test_a_page_to_five_phones_is_one_call(answering: tuple[str, ...]) -> None:
    """However many of them answer; who never did was never in it."""
    (page,) = told(*_page(("102", "103", "104", "105", "106"), answering))
    assert (page.caller.number, page.requested, page.disposition) == ("101", "700", Disposition.ANSWERED)
    assert {leg.party for leg in page.legs} == {"101", *answering}
    assert not page.missed_by


def test_strangers_in_a_public_room_stay_strangers_when_a_third_is_fetched() -> None:
    """With two callers in the room nobody knows whose guest the fetched phone is: it is a call of its own."""
    text, channels = _page(("103",), ("103",))
    channels["other"] = ("PJSIP/105-00000077", "7.1", "7.1")
    joins = """
        0.001 Newchannel who=other ChannelStateDesc=Ring CallerIDNum=105 Exten=800
        0.002 Newstate who=other ChannelStateDesc=Up CallerIDNum=105 Exten=800
        0.022 BridgeEnter who=other BridgeUniqueid=room BridgeType=base
        0.023 ConfbridgeJoin who=other BridgeUniqueid=room BridgeType=base Conference=800
        6.000 Hangup who=other Cause=16
    """
    lines = sorted(
        (text + joins).strip().splitlines(), key=lambda line: float(line.split()[0] if line.split() else 0)
    )
    calls = told("\n".join(line for line in lines if line.strip()), channels)
    assert [{leg.party for leg in call.legs} for call in calls] == [{"101"}, {"105"}, {"103"}]


@pytest.mark.parametrize(
    ("dialled", "service"),
    [
        ("*76", Service.FEATURE_CODE),
        ("*72", Service.FEATURE_CODE),
        ("#31", Service.FEATURE_CODE),
        ("*43", Service.FEATURE_CODE),
        ("800", None),
    ],
)
def test_a_code_that_the_pbx_takes_is_a_feature_code(dialled: str, service: Service | None) -> None:
    """Dialled by one of ours and answered by the PBX. A number without a star may be a menu: that is abandoned as ever."""
    (call,) = told(
        f"""
        0.000 Newchannel who=phone ChannelStateDesc=Ring CallerIDNum=101 Exten='{dialled}'
        0.010 Newstate who=phone ChannelStateDesc=Up CallerIDNum=101 Exten='{dialled}'
        3.000 Hangup who=phone ChannelStateDesc=Up Cause=16 Exten=h
        """,
        {"phone": ("PJSIP/101-00000001", "1.1", "1.1")},
    )
    assert call.service is service
    assert call.disposition is (Disposition.ANSWERED if service else Disposition.ABANDONED)


def test_a_code_that_the_pbx_does_not_know_failed() -> None:
    """It never went up: nothing took the call."""
    (call,) = told(
        """
        0.000 Newchannel who=phone ChannelStateDesc=Ring CallerIDNum=101 Exten=*999
        0.100 Hangup who=phone ChannelStateDesc=Ring Cause=1
        """,
        {"phone": ("PJSIP/101-00000001", "1.1", "1.1")},
    )
    assert (call.service, call.disposition) == (None, Disposition.FAILED)


@pytest.mark.parametrize("app", ["VoiceMail", "VoiceMailMain"])
def test_a_message_for_a_colleague_is_voicemail_and_ones_own_box_is_not(app: str) -> None:
    """`*102` leaves a message at 102, `*98` asks for a mailbox's messages."""
    (call,) = told(
        f"""
        0.000 Newchannel who=phone ChannelStateDesc=Ring CallerIDNum=101 Exten=*102
        0.010 Newstate who=phone ChannelStateDesc=Up CallerIDNum=101 Exten=*102
        0.020 Newexten who=phone ChannelStateDesc=Up Application={app}
        3.000 Hangup who=phone ChannelStateDesc=Up Cause=16
        """,
        {"phone": ("PJSIP/101-00000001", "1.1", "1.1")},
    )
    mailbox = app == "VoiceMailMain"
    assert call.service is (Service.MAILBOX if mailbox else None)
    assert call.disposition is (Disposition.ANSWERED if mailbox else Disposition.VOICEMAIL)


NAMES = {
    # name, number as shown: whose name it is
    ("79161110001", "79161110001"): "",
    ("+7 916 111-00-01", "+79161110001"): "",
    ("SALES:79161110001", "79161110001"): "",
    ("Support - 9161110001", "9161110001"): "",
    ("CID:74951000000", "89161234567"): "",
    ("cid: +74951000000", "s"): "",
    ("101", "101"): "",
    ("Anna Belova", "101"): "Anna Belova",
    ("Studio 54", "79161110054"): "Studio 54",
    ("CID Ltd", "79161110001"): "CID Ltd",
    ("7-Eleven", "79161110001"): "7-Eleven",
}


@pytest.mark.parametrize(("shown", "name"), NAMES.items())
def test_which_names_are_names(shown: tuple[str, str], name: str) -> None:
    """What a dialplan writes where a name belongs is nobody's name."""
    assert name_of_person(*shown) == name


def test_a_queue_that_prefixes_the_name_does_not_rename_the_caller() -> None:
    """The carrier said Anna; the queue shows `Support:Anna` on the phones. A caller without a name gets none."""
    named, unnamed = (
        told(
            f"""
            0.0 Newchannel who=client ChannelStateDesc=Ring CallerIDNum=79161110001 CallerIDName='{name}' Exten=74951000004
            0.1 NewCallerid who=client ChannelStateDesc=Ring CallerIDNum=79161110001 CallerIDName='{shown}'
            0.2 NewCallerid who=client ChannelStateDesc=Ring CallerIDNum=79161110001 CallerIDName='Support:{shown}'
            0.3 NewCallerid who=client ChannelStateDesc=Ring CallerIDNum=74951000000 CallerIDName=Company
            1.0 Hangup who=client ChannelStateDesc=Ring Cause=16
            """,
            CALLER,
        )[0]
        for name, shown in (("Anna", "Anna"), ("", "79161110001"))
    )
    assert (named.caller.name, unnamed.caller.name) == ("Anna", None)


def test_a_name_that_the_pbx_looks_up_is_the_callers() -> None:
    """A dialplan that makes the number international and then finds the name."""
    (call,) = told(
        """
        0.0 Newchannel who=client ChannelStateDesc=Ring CallerIDNum=89161110001 Exten=74951000004
        0.1 NewCallerid who=client ChannelStateDesc=Ring CallerIDNum=+79161110001
        0.2 NewCallerid who=client ChannelStateDesc=Ring CallerIDNum=+79161110001 CallerIDName='Anna Petrova'
        1.0 Hangup who=client ChannelStateDesc=Ring Cause=16
        """,
        CALLER,
    )
    assert call.caller.name == "Anna Petrova"

"""Acceptance 14 on captured calls: whoever is handed a call sees the client and from whom, from the first ring on.

The captures are of a real Asterisk: blind and attended transfers by the handset's key and by feature code, and queues.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from ami_bridge.capture.capture import read_capture
from call_records.types import Account
from switchhook.commands.replay import Replay
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind, MatchRule
from telephony.staff import PopPreference, Role
from tests.telephony.captured import CAPTURES, NUMBERING
from tests.web.conftest import SETTINGS
from tests.web.fakes import FakeLive, FakeRecords
from web.auth.access import Viewer
from web.callers import Identity, Known, number_of
from web.live import Flavour, Hub
from web.metrics import WebMetrics
from web.presenters.masking import View

BORIS = Known(UUID(int=1), "Boris Oak", ClientKind.CONTACT)


class Told(dict[UUID, CallFacts]):
    """What a replay tells, passed on as it comes, as the bridge does."""

    def __init__(self, live: FakeLive, hub: Hub) -> None:
        super().__init__()
        self._live, self._hub = live, hub

    def __setitem__(self, call_id: UUID, facts: CallFacts) -> None:
        super().__setitem__(call_id, facts)
        self._live.publish(facts)
        self._hub.publish(facts)

    def pop(self, call_id: UUID, default: Any = None) -> Any:
        """Absorbed by another call."""
        self._live._calls.pop(call_id, None)
        return super().pop(call_id, default)


async def cards_of(name: str, extension: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every card that the owner of this extension is shown while the captured call goes on; the book knows the client."""
    live, records = FakeLive(), FakeRecords()
    account: Account = await records.add("target", Role.MANAGER, extension)
    assert account.pop is PopPreference.ON_RING
    hub = Hub(live, records, SETTINGS, WebMetrics(), lambda facts, names: "")
    known: dict[UUID, Identity] = {}

    def of(call_id: UUID) -> Identity | None:
        return known.get(call_id)

    def follow(facts: CallFacts) -> None:
        number = number_of(facts)
        if number is not None:
            known[facts.id] = Identity(number, BORIS, rule=MatchRule.ONLY)

    monkeypatch.setattr(hub.callers, "of", of)
    monkeypatch.setattr(hub.callers, "follow", follow)
    stream = hub.open(Viewer(account, None, "", View()), Flavour.PAGE)
    player = Replay(NUMBERING)
    player.told = Told(live, hub)
    player.link(read_capture(CAPTURES / name / "ami.jsonl.gz"))
    told: list[dict[str, Any]] = []
    while not stream.queue.empty():
        for event in (stream.queue.get_nowait() or b"").decode().split("\n\n"):
            if event.startswith("event: card\n"):
                told.append(json.loads(event.partition("data: ")[2]))
    hub.close()
    return told


@pytest.mark.parametrize("version", ["22", "16"])
@pytest.mark.parametrize("scenario", ["blind_refer", "blind_feature", "att_refer", "att_feature"])
async def test_the_target_sees_the_client_from_the_first_ring(
    scenario: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """101 hands the client's call to 102: 102's very first card, still ringing, has the client and "from 101"."""
    cards = await cards_of(f"{version}/{scenario}", "102", monkeypatch)
    first = next(card for card in cards if card["state"] == "ringing")
    assert (first["name"], first["number"]) == ("Boris Oak", "8 (916) 111-00-05")
    assert first["from"] == "101"
    assert first["who"]["client"]["href"] == f"/people/{BORIS.id}"
    assert {card["name"] for card in cards} == {"Boris Oak"}


async def test_whoever_rings_in_a_queue_sees_from_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    """20001 hands the client over to the queue 20091: 20002, whose phone rings for it, sees the client and 20001."""
    cards = await cards_of("22/blonde_code_queue_answered", "20002", monkeypatch)
    handed = [card for card in cards if card["from"] is not None]
    assert (handed[0]["state"], handed[0]["name"], handed[0]["from"]) == ("ringing", "Boris Oak", "20001")
    assert handed[-1]["from"] == "20001"

"""Fake CRMs, one for every adapter and dialect."""

from __future__ import annotations

from collections.abc import Callable

from tests.crm_sync.memory import VirtualClock
from tests.crm_sync.peers.amocrm import FakeAmoCrm
from tests.crm_sync.peers.base import FakePeer
from tests.crm_sync.peers.bitrix24 import FakeBitrix24, FakeBitrix24Webhook
from tests.crm_sync.peers.odoo import FakeOdoo, FakeOdoo19
from tests.crm_sync.peers.webhook import FakeWebhookReceiver

PEERS: dict[str, Callable[[VirtualClock], FakePeer]] = {
    "bitrix24": FakeBitrix24,
    "bitrix24_webhook": FakeBitrix24Webhook,
    "amocrm": FakeAmoCrm,
    "odoo_14": FakeOdoo,
    "odoo_17": lambda clock: FakeOdoo(clock, version="17"),
    "odoo_19": FakeOdoo19,
    "webhook": FakeWebhookReceiver,
}

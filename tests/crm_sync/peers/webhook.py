"""A receiver of signed webhooks, as the standard asks of it: verifies, remembers ids, answers 204."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from crm_sync.adapters.base import ConnectionSettings
from crm_sync.exchange import Credentials, Request, Response, encode_json
from tests.crm_sync.peers.base import FakePeer, get_header

KEY = b"a key of twenty-four b.."
TOLERANCE_SECONDS = 300


@dataclass
class FakeWebhookReceiver(FakePeer):
    """Events by id."""

    events: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def settings(self) -> ConnectionSettings:
        """See the base."""
        return ConnectionSettings("crm", "webhook", "https://receiver.example.com/hooks/calls")

    @property
    def credentials(self) -> Credentials:
        """See the base."""
        return Credentials("whsec_" + base64.b64encode(KEY).decode())

    def add_contact(self, phone: str, name: str = "Contact") -> str:
        """It knows nobody."""
        return "0"

    def list_logged_calls(self) -> list[tuple[str, int]]:
        """By the event of their end."""
        return [
            (f"{data['call_id']}.{data['leg']}", int(datetime.fromisoformat(data["started_at"]).timestamp()))
            for data in self.list_data("call.ended")
        ]

    def list_recordings(self) -> list[str]:
        """By their own event."""
        return [f"{data['call_id']}.{data['leg']}" for data in self.list_data("call.recording_available")]

    def list_data(self, event: str) -> list[dict[str, Any]]:
        """Of all events of that type."""
        return [entry["data"] for entry in self.events.values() if entry["type"] == event]

    def expire_token(self) -> None:
        """Nothing expires."""

    def handle(self, request: Request) -> Response:
        """See the base."""
        body = encode_json(request.json)
        event_id, timestamp = get_header(request, "webhook-id"), get_header(request, "webhook-timestamp")
        if abs(self.clock.now().timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
            return Response(400, {}, b"too old")
        content = f"{event_id}.{timestamp}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
        if get_header(request, "webhook-signature") != expected:
            return Response(401, {}, b"signature")
        event = json.loads(body)
        if self.events.get(event_id, event) != event:
            self.violations.append(f"{event_id}: another body")
        if event_id not in self.events:
            self.writes += 1
            self.events[event_id] = event
        return Response(204, {}, b"")

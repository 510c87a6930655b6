"""An amoCRM account.

Assumptions beyond its documentation: a search by digits finds numbers however they are written, and near misses; notes
are found `index_lag_seconds` after they were written; notes can be filtered by
`updated_at`, which is when they were added; the list of unsorted shows `metadata.uniq`; the same unsorted data twice
gives a 400 with validation errors; a spent refresh token gives a 400 `invalid_grant`-like problem with a hint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from crm_sync.adapters.base import ConnectionSettings
from crm_sync.exchange import Credentials, Request, Response
from crm_sync.operations import get_phone_tail
from tests.crm_sync.peers.base import FakePeer, answer, get_header, get_path

NOTE_FIELDS = "note_type created_at request_id params responsible_user_id created_by entity_id"
PARAM_FIELDS = "uniq duration source link phone call_result call_status call_responsible"
UNSORTED_FIELDS = "source_uid source_name created_at request_id metadata _embedded pipeline_id"
METADATA_FIELDS = "from phone called_at duration link service_code uniq is_call_event_needed call_responsible"


def problem(status: int, title: str) -> Response:
    """An error as amoCRM sends it."""
    return answer({"title": title, "status": status, "detail": title}, status)


@dataclass
class FakeAmoCrm(FakePeer):
    """Contacts, notes, incoming leads, events."""

    access_token: str = "amo-access-1"
    refresh_token: str = "amo-refresh-1"
    is_expired: bool = False
    index_lag_seconds: float = 20.0
    contacts: dict[int, str] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    unsorted: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> ConnectionSettings:
        """See the base."""
        return ConnectionSettings("crm", "amocrm", "https://account.example.com")

    @property
    def credentials(self) -> Credentials:
        """See the base."""
        return Credentials(self.access_token, self.refresh_token, "client-id", "client-secret")

    def add_contact(self, phone: str, name: str = "Contact") -> str:
        """See the base."""
        contact_id = self.take_id()
        self.contacts[contact_id] = phone
        return str(contact_id)

    def list_logged_calls(self) -> list[tuple[str, int]]:
        """See the base."""
        noted = [(note["params"]["uniq"], note["created_at"]) for note in self.notes]
        return noted + [(row["metadata"]["uniq"], row["created_at"]) for row in self.unsorted]

    def list_recordings(self) -> list[str]:
        """A link in the call."""
        return [note["params"]["uniq"] for note in self.notes if note["params"].get("link")]

    def expire_token(self) -> None:
        """See the base."""
        self.is_expired = True

    def handle(self, request: Request) -> Response:
        """See the base."""
        path = get_path(request)
        if path == "/oauth2/access_token":
            return self.renew(request.json)
        if get_header(request, "Authorization") != f"Bearer {self.access_token}" or self.is_expired:
            return problem(401, "Unauthorized")
        if self.is_over_limit():
            return Response(429, {}, b"Too Many Requests")
        if request.verb == "POST":
            self.writes += 1
            return self.handle_write(path, request.json)
        return self.handle_read(path, dict(request.query))

    def renew(self, body: dict[str, Any]) -> Response:
        """The old refresh token is spent."""
        self.renewals += 1
        if body["refresh_token"] != self.refresh_token:
            return answer({"hint": "Token has been revoked", "title": "Bad request", "status": 400}, 400)
        number = self.take_id()
        self.access_token, self.refresh_token, self.is_expired = (
            f"amo-access-{number}",
            f"amo-refresh-{number}",
            False,
        )
        tokens = {"access_token": self.access_token, "refresh_token": self.refresh_token, "expires_in": 86400}
        return answer({"token_type": "Bearer", **tokens})

    def handle_read(self, path: str, query: dict[str, str]) -> Response:
        """An empty list is 204 without a body."""
        name = path.rpartition("/")[2]
        match path.removeprefix("/api/v4/"):
            case "account":
                return answer({"id": 1, "name": "Example account"})
            case "users":
                return answer(
                    {"_embedded": {"users": [{"id": 1, "name": "Agent", "email": "agent@example.com"}]}}
                )
            case "contacts":
                digits = query["query"][-6:]
                found = [i for i, phone in self.contacts.items() if digits in get_phone_tail(phone)]
                rows = [self.show_contact(i) for i in found]
            case "contacts/notes":
                horizon = self.clock.now().timestamp() - self.index_lag_seconds
                since = int(query["filter[updated_at][from]"])
                rows = [
                    note
                    for note in self.notes
                    if since <= note["updated_at"] <= horizon
                    and note["note_type"] == query["filter[note_type][]"]
                ]
            case "leads/unsorted":
                rows = self.unsorted
            case "companies" | "companies/notes":
                rows = []
            case _:
                return problem(404, "Not Found")
        return answer({"_embedded": {name: rows}, "_links": {}}) if rows else Response(204, {}, b"")

    def handle_write(self, path: str, body: Any) -> Response:
        """Arrays in, arrays out."""
        if path == "/api/v2/events/":
            self.events += body["add"]
            return Response(202, {}, b"ok")
        if path == "/api/v4/leads/unsorted/sip":
            return self.add_unsorted(body)
        _, _, _, folder, entity_id, last = path.split("/")
        if last != "notes" or folder != "contacts" or int(entity_id) not in self.contacts:
            return problem(404, "Not Found")
        added = []
        for row in body:
            self.check_fields("notes", row, NOTE_FIELDS)
            self.check_fields("notes.params", row["params"], PARAM_FIELDS)
            note = {**row, "id": self.take_id(), "entity_id": int(entity_id)}
            self.notes.append({**note, "updated_at": int(self.clock.now().timestamp())})
            added.append(
                {"id": note["id"], "entity_id": note["entity_id"], "request_id": row.get("request_id")}
            )
        return answer({"_embedded": {"notes": added}})

    def add_unsorted(self, body: Any) -> Response:
        """The same data twice is an error."""
        added = []
        for row in body:
            self.check_fields("unsorted", row, UNSORTED_FIELDS)
            self.check_fields("unsorted.metadata", row["metadata"], METADATA_FIELDS)
            same = json.dumps(row, sort_keys=True)
            if any(same == other["same"] for other in self.unsorted):
                return problem(400, "Bad Request")
            self.unsorted.append({**row, "uid": f"uid-{self.take_id()}", "same": same})
            added.append({"uid": self.unsorted[-1]["uid"], "request_id": row.get("request_id")})
        return answer({"_embedded": {"unsorted": added}})

    def show_contact(self, contact_id: int) -> dict[str, Any]:
        """As a list shows it."""
        phone = {"field_code": "PHONE", "values": [{"value": self.contacts[contact_id]}]}
        return {
            "id": contact_id,
            "name": "Contact",
            "responsible_user_id": 1,
            "custom_fields_values": [phone],
        }

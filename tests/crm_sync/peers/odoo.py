"""An Odoo server: JSON-RPC as 14 to 18 have it, JSON-2 as 19 does.

Assumptions beyond its documentation: `message_post` takes `message_id`; `create` by JSON-2 takes `vals_list`;
`phone_sanitized` can be searched in 19 too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crm_sync.adapters.base import ConnectionSettings
from crm_sync.exchange import Credentials, Request, Response
from tests.crm_sync.peers.base import FakePeer, answer, get_header, get_path

FIELDS = {
    "search_read": "domain fields limit order offset",
    "create": "vals_list",
    "message_post": "ids body message_type subtype_xmlid message_id attachment_ids",
}
VALUES = {
    "crm.lead": "type name phone description user_id",
    "ir.attachment": "name type datas url res_model res_id",
}


class ServerError(Exception):
    """An exception in the server; its transaction is rolled back."""

    def __init__(self, name: str, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.name, self.message, self.status = name, message, status


@dataclass
class FakeOdoo(FakePeer):
    """Version 14."""

    key: str = "odoo-api-key-1"
    version: str = "14"
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def settings(self) -> ConnectionSettings:
        """See the base."""
        options = {"database": "production", "user_id": "2", "version": self.version}
        return ConnectionSettings("crm", "odoo", "https://odoo.example.com", options=options)

    @property
    def credentials(self) -> Credentials:
        """See the base."""
        return Credentials(self.key)

    def add_contact(self, phone: str, name: str = "Contact") -> str:
        """See the base."""
        return str(
            self.add_record("res.partner", {"name": name, "phone_sanitized": phone, "is_company": False})
        )

    def list_logged_calls(self) -> list[tuple[str, int]]:
        """By message id and the time in the body."""
        return [
            (note["message_id"].strip("<").rpartition(".")[0], read_start(note["body"]))
            for note in self.records.get("mail.message", [])
            if "close_call" in note["message_id"]
        ]

    def list_recordings(self) -> list[str]:
        """By name."""
        names = [row["name"] for row in self.records.get("ir.attachment", [])]
        return [name.removeprefix("call-").rpartition(".")[0] for name in names]

    def expire_token(self) -> None:
        """A key is not renewed; it is just not accepted any more."""
        self.key = "another-api-key"

    def handle(self, request: Request) -> Response:
        """JSON-RPC: always 200."""
        assert get_path(request) == "/jsonrpc"
        database, user_id, key, model, method, positional, named = request.json["params"]["args"]
        try:
            if (database, user_id, key) != ("production", 2, self.key):
                raise ServerError("odoo.exceptions.AccessDenied", "Access Denied")
            names = {"create": ["vals_list"], "message_post": ["ids"]}.get(method, [])
            return answer(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "result": self.execute(
                        model, method, {**named, **dict(zip(names, positional, strict=True))}
                    ),
                }
            )
        except ServerError as error:
            data = {"name": error.name, "message": error.message, "debug": "Traceback"}
            return answer(
                {
                    "jsonrpc": "2.0",
                    "id": 1,
                    "error": {"code": 200, "message": "Odoo Server Error", "data": data},
                }
            )

    def execute(self, model: str, method: str, arguments: dict[str, Any]) -> Any:
        """One call."""
        self.check_fields(f"{model}.{method}", arguments, FIELDS[method])
        if method == "search_read":
            return self.search(model, arguments)
        self.writes += 1
        if method == "message_post":
            (record_id,) = arguments["ids"]
            if not any(row["id"] == record_id for row in self.records.get(model, [])):
                raise ServerError(
                    "odoo.exceptions.MissingError", "Record does not exist or has been deleted."
                )
            return self.add_record("mail.message", {**arguments, "model": model, "res_id": record_id})
        (values,) = arguments["vals_list"]
        self.check_fields(model, values, VALUES[model])
        return [self.add_record(model, {**values, "phone_sanitized": values.get("phone")})]

    def search(self, model: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """Of the operators, those that are used."""
        if model == "ir.module.module":
            return [{"id": 1, "name": "crm"}, {"id": 2, "name": "phone_validation"}]
        if model == "res.users":
            return [{"id": 2, "name": "Agent", "login": "agent@example.com", "active": True}]
        found = [row for row in self.records.get(model, []) if self.matches(row, arguments["domain"])]
        return [{name: row.get(name, False) for name in ("id", *arguments["fields"])} for row in found]

    def matches(self, row: dict[str, Any], domain: list[Any]) -> bool:
        """One condition, or two with an or."""
        results = [self.compare(row, *condition) for condition in domain if condition != "|"]
        return any(results) if "|" in domain else all(results)

    def compare(self, row: dict[str, Any], name: str, operator: str, value: Any) -> bool:
        """The search field of some versions only."""
        if name == "phone_mobile_search":
            if not 15 <= int(self.version) <= 18:
                raise ServerError("builtins.ValueError", f"Invalid field {name!r}")
            name = "phone_sanitized"
        return str(value) in str(row.get(name)) if operator == "ilike" else row.get(name) == value

    def add_record(self, model: str, values: dict[str, Any]) -> int:
        """The new id."""
        record_id = self.take_id()
        self.records.setdefault(model, []).append({**values, "id": record_id})
        return record_id


@dataclass
class FakeOdoo19(FakeOdoo):
    """JSON-2: named arguments, statuses."""

    version: str = "19"

    def handle(self, request: Request) -> Response:
        """See the base."""
        _, _, _, model, method = get_path(request).split("/")
        try:
            if get_header(request, "Authorization") != f"bearer {self.key}":
                raise ServerError("werkzeug.exceptions.Unauthorized", "Invalid apikey", 401)
            return answer(self.execute(model, method, dict(request.json)))
        except ServerError as error:
            return answer(
                {"name": error.name, "message": error.message, "arguments": [], "debug": ""}, error.status
            )


def read_start(body: str) -> int:
    """`… · 2026-11-23 09:00 UTC · …`."""
    text = body.split(" · ")[1].removesuffix(" UTC")
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp())

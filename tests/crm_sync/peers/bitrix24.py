"""A Bitrix24 portal, for an application or a webhook.

Assumptions beyond its documentation, each a field of the fake: a reused refresh token is refused
(`refuses_reused_refresh`); `app.info` lists scopes in SCOPE; a registered call has no statistics row until it is
finished; `crm.activity.list` filters by ORIGIN_ID.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crm_sync.adapters.base import ConnectionSettings
from crm_sync.exchange import Credentials, Request, Response
from tests.crm_sync.peers.base import FakePeer, answer, get_path

APP_ONLY = ("telephony.externalCall.register", "telephony.externalCall.finish", "app.info")
REGISTRATION_WINDOW = timedelta(minutes=30)
FIELDS = {
    "app.info": "",
    "profile": "",
    "scope": "",
    "user.get": "FILTER start",
    "telephony.externalCall.searchCrmEntities": "PHONE_NUMBER",
    "telephony.externalCall.register": "USER_ID USER_PHONE_INNER PHONE_NUMBER TYPE CALL_START_DATE CRM_CREATE CRM_SOURCE "
    "CRM_ENTITY_TYPE CRM_ENTITY_ID SHOW ADD_TO_CHAT CALL_LIST_ID LINE_NUMBER EXTERNAL_CALL_ID",
    "telephony.externalCall.finish": "CALL_ID USER_ID USER_PHONE_INNER DURATION COST COST_CURRENCY STATUS_CODE "
    "FAILED_REASON RECORD_URL VOTE ADD_TO_CHAT",
    "telephony.externalCall.show": "CALL_ID USER_ID",
    "telephony.externalCall.hide": "CALL_ID USER_ID",
    "telephony.externalCall.attachRecord": "CALL_ID RECORD_URL FILENAME FILE_CONTENT",
    "voximplant.statistic.get": "FILTER SORT ORDER start",
    "crm.duplicate.findbycomm": "type values entity_type",
    "crm.item.add": "entityTypeId fields",
    "crm.item.list": "entityTypeId filter select order start",
    "crm.activity.add": "fields",
    "crm.activity.list": "filter select order start",
}
LEAD_FIELDS = "title originatorId originId fm assignedById sourceId"
ACTIVITY_FIELDS = (
    "TYPE_ID OWNER_TYPE_ID OWNER_ID SUBJECT DESCRIPTION START_TIME END_TIME COMPLETED DIRECTION COMMUNICATIONS "
    "ORIGINATOR_ID ORIGIN_ID RESPONSIBLE_ID"
)
WRITES = ("register", "finish", "show", "hide", "attachRecord", "add")


class Refused(Exception):
    """Answered with an error."""

    def __init__(self, status: int, code: str, text: str = "") -> None:
        super().__init__(code)
        self.response = answer({"error": code, "error_description": text}, status)


@dataclass
class FakeBitrix24(FakePeer):
    """Full mode."""

    access_token: str = "access-token-1"
    refresh_token: str = "refresh-token-1"
    is_expired: bool = False
    refuses_reused_refresh: bool = True
    scopes: list[str] = field(default_factory=lambda: ["telephony", "crm", "user"])
    contacts: dict[str, str] = field(default_factory=dict)
    leads: dict[int, dict[str, Any]] = field(default_factory=dict)
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    statistics: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, str] = field(default_factory=dict)
    shown: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> ConnectionSettings:
        """See the base."""
        return ConnectionSettings("crm", "bitrix24", "https://portal.example.com")

    @property
    def credentials(self) -> Credentials:
        """See the base."""
        return Credentials(self.access_token, self.refresh_token, "client-id", "client-secret")

    def add_contact(self, phone: str, name: str = "Contact") -> str:
        """See the base."""
        contact_id = str(self.take_id())
        self.contacts[contact_id] = phone
        return contact_id

    def list_logged_calls(self) -> list[tuple[str, int]]:
        """See the base."""
        rows = [self.calls[row["CALL_ID"]] for row in self.statistics]
        return [
            (call["EXTERNAL_CALL_ID"], int(datetime.fromisoformat(call["CALL_START_DATE"]).timestamp()))
            for call in rows
        ]

    def list_recordings(self) -> list[str]:
        """See the base."""
        return [self.calls[call_id]["EXTERNAL_CALL_ID"] for call_id in self.records]

    def expire_token(self) -> None:
        """See the base."""
        self.is_expired = True

    def handle(self, request: Request) -> Response:
        """See the base."""
        if "oauth" in request.url:
            return self.renew(dict(request.query))
        try:
            method, body = self.open_request(request)
            if self.is_over_limit():
                return answer(
                    {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}, 503
                )
            self.check_fields(method, body, FIELDS.get(method, ""))
            self.writes += method.rpartition(".")[2] in WRITES
            result = self.execute(method, body)
        except Refused as refused:
            return refused.response
        return answer({"result": result, "time": {"operating": 0.1, "operating_reset_at": 0}})

    def open_request(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Who is it, and what do they want?"""
        body = dict(request.json or {})
        token = body.pop("auth", "")
        if token != self.access_token:
            raise Refused(401, "expired_token" if token.startswith("access-token") else "NO_AUTH_FOUND")
        if self.is_expired:
            raise Refused(401, "expired_token", "The access token provided has expired")
        return get_path(request).removeprefix("/rest/").removesuffix(".json"), body

    def renew(self, query: dict[str, str]) -> Response:
        """Both tokens change."""
        self.renewals += 1
        if query["refresh_token"] != self.refresh_token and self.refuses_reused_refresh:
            return answer({"error": "invalid_grant", "error_description": "The refresh token is spent"}, 400)
        number = self.take_id()
        self.access_token, self.refresh_token = f"access-token-{number}", f"refresh-token-{number}"
        self.is_expired = False
        tokens = {"access_token": self.access_token, "refresh_token": self.refresh_token, "expires_in": 3600}
        return answer(tokens)

    def execute(self, method: str, body: dict[str, Any]) -> Any:
        """One method."""
        match method.rpartition(".")[2]:
            case "info":
                return {"SCOPE": self.scopes}
            case "profile":
                return {"ID": "1"}
            case "scope":
                return self.scopes
            case "searchCrmEntities":
                found = [i for i, phone in self.contacts.items() if phone == body["PHONE_NUMBER"]]
                return [{"CRM_ENTITY_TYPE": "CONTACT", "CRM_ENTITY_ID": i, "NAME": "Contact"} for i in found]
            case "findbycomm":
                return self.find_by_phone(body)
            case "register":
                return self.register(body)
            case "finish":
                return self.finish(body)
            case "show" | "hide":
                self.shown.append((body["CALL_ID"], body["USER_ID"]))
                return body["CALL_ID"] in self.calls
            case "attachRecord":
                return self.attach(body)
            case _ if method == "voximplant.statistic.get":
                wanted = body["FILTER"]
                return [row for row in self.statistics if all(row.get(k) == v for k, v in wanted.items())]
            case _ if method == "user.get":
                return [
                    {"ID": "1", "NAME": "Agent", "LAST_NAME": "One", "UF_PHONE_INNER": "101", "ACTIVE": True}
                ]
            case _ if method.startswith("crm.item."):
                return self.handle_lead(method, body)
            case _:
                raise Refused(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")

    def find_by_phone(self, body: dict[str, Any]) -> Any:
        """Only keys with hits; a PHP list when there are none."""
        contacts = [int(i) for i, phone in self.contacts.items() if phone in body["values"]]
        leads = [i for i, lead in self.leads.items() if lead["fm"][0]["value"] in body["values"]]
        found = {"CONTACT": contacts, "LEAD": leads}
        return {name: ids for name, ids in found.items() if ids} or []

    def register(self, body: dict[str, Any]) -> Any:
        """The same call again within half an hour."""
        if "USER_ID" not in body and "USER_PHONE_INNER" not in body:
            raise Refused(400, "ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set")
        names = ("PHONE_NUMBER", "TYPE", "USER_ID", "LINE_NUMBER", "EXTERNAL_CALL_ID")
        for call_id, call in self.calls.items():
            is_recent = self.clock.now() - call["registered_at"] <= REGISTRATION_WINDOW
            if is_recent and all(call.get(name) == body.get(name) for name in names):
                return {"CALL_ID": call_id, "CRM_CREATED_LEAD": None, "CRM_ENTITY_ID": 0}
        call_id = f"externalCall.{self.take_id()}"
        self.calls[call_id] = {**body, "registered_at": self.clock.now(), "finished": False}
        return {"CALL_ID": call_id, "CRM_CREATED_LEAD": None, "CRM_CREATED_ENTITIES": [], "CRM_ENTITY_ID": 0}

    def finish(self, body: dict[str, Any]) -> Any:
        """Once."""
        call = self.calls.get(body["CALL_ID"])
        if call is None or call["finished"]:
            text = "Call is not found (call should be registered prior to finishing)"
            raise Refused(400, "ERROR_CORE", text)
        call["finished"] = True
        row = {
            "ID": str(self.take_id()),
            "CALL_ID": body["CALL_ID"],
            "EXTERNAL_CALL_ID": call["EXTERNAL_CALL_ID"],
            "CALL_START_DATE": {},
            "CRM_ENTITY_TYPE": "",
            "CRM_ENTITY_ID": 0,
        }
        self.statistics.append(row)
        return row

    def attach(self, body: dict[str, Any]) -> Any:
        """After the end only; replaces."""
        if not self.calls.get(body["CALL_ID"], {}).get("finished"):
            raise Refused(400, "ERROR_CORE", "Call is not found in the statistic table")
        self.records[body["CALL_ID"]] = body["FILE_CONTENT"]
        return {"FILE_ID": self.take_id()}

    def handle_lead(self, method: str, body: dict[str, Any]) -> Any:
        """The current CRM methods."""
        if method.endswith(".list"):
            wanted = body["filter"]
            found = [i for i, lead in self.leads.items() if all(lead.get(k) == v for k, v in wanted.items())]
            return {"items": [{"id": i} for i in found]}
        self.check_fields(method, body["fields"], LEAD_FIELDS)
        lead_id = self.take_id()
        self.leads[lead_id] = body["fields"]
        return {"item": {"id": lead_id}}


@dataclass
class FakeBitrix24Webhook(FakeBitrix24):
    """Degraded mode: the secret is in the address, calls may not be registered."""

    secret: str = "1/webhook-secret"
    activities: list[dict[str, Any]] = field(default_factory=list)

    @property
    def settings(self) -> ConnectionSettings:
        """See the base."""
        return ConnectionSettings("crm", "bitrix24_webhook", "https://portal.example.com")

    @property
    def credentials(self) -> Credentials:
        """See the base."""
        return Credentials(self.secret)

    def open_request(self, request: Request) -> tuple[str, dict[str, Any]]:
        """By the address."""
        path = get_path(request)
        if not path.startswith(f"/rest/{self.secret}/"):
            raise Refused(401, "INVALID_CREDENTIALS", "Invalid request credentials")
        method = path.removeprefix(f"/rest/{self.secret}/").removesuffix(".json")
        if method in APP_ONLY:
            text = "Current authorization type is denied for this method"
            raise Refused(403, "WRONG_AUTH_TYPE", text)
        return method, dict(request.json or {})

    def execute(self, method: str, body: dict[str, Any]) -> Any:
        """Activities besides."""
        if method == "crm.activity.add":
            self.check_fields(method, body["fields"], ACTIVITY_FIELDS)
            self.activities.append({**body["fields"], "ID": str(self.take_id())})
            return int(self.activities[-1]["ID"])
        if method == "crm.activity.list":
            wanted = body["filter"]
            return [row for row in self.activities if all(row.get(k) == v for k, v in wanted.items())]
        return super().execute(method, body)

    def list_logged_calls(self) -> list[tuple[str, int]]:
        """See the base."""
        return [
            (row["ORIGIN_ID"], int(datetime.fromisoformat(row["START_TIME"]).timestamp()))
            for row in self.activities
        ]

"""Odoo 14 to 19: a call is a note in the chatter of whoever has its number, a recording its attachment.

Two dialects of the same calls: JSON-RPC (all these versions; announced to end with 22) and JSON-2 (from 19). One call is
one transaction of the server, so an error that the server reports means that nothing was kept. Our key is the note's
message id, the attachment's name and a text in the lead, by which they are found after a lost answer.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from crm_sync.adapters.base import (
    Capabilities,
    ConnectionSettings,
    CrmUser,
    Health,
    Person,
    RecordingTransfer,
)
from crm_sync.budget import Rate
from crm_sync.classify import classify_response, parse_json
from crm_sync.delivery import Verification
from crm_sync.exchange import (
    Credentials,
    Effect,
    Plan,
    Request,
    Response,
    UnexpectedAnswer,
    Verdict,
    get_id,
    get_list,
    get_text,
    get_value,
)
from crm_sync.operations import CallLog, DeliveryContext, Operation, OperationKind, Recording, Ref, RefKind
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from telephony.call_facts.facts import Direction

FIRST_JSON2_VERSION = 19
MOBILE_SEARCH_VERSIONS = range(15, 19)  # `phone_mobile_search` finds the second number of a record too
PEOPLE = 50
USERS = 5000
MODELS = {RefKind.CONTACT: "res.partner", RefKind.LEAD: "crm.lead", RefKind.COMPANY: "res.partner"}
MODULES = ("crm", "phone_validation")

# By the end of the exception's name; an exception rolls the call's transaction back.
ERRORS: dict[str, tuple[Outcome, bool]] = {
    "AccessDenied": (Outcome.NEEDS_ADMIN, False),
    "Unauthorized": (Outcome.NEEDS_ADMIN, False),
    "SessionExpiredException": (Outcome.NEEDS_ADMIN, False),
    "AccessError": (Outcome.NEEDS_ADMIN, True),
    "Forbidden": (Outcome.NEEDS_ADMIN, True),
    "OperationalError": (Outcome.NOT_SENT, False),
    "SerializationFailure": (Outcome.NOT_SENT, False),
    "LockNotAvailable": (Outcome.NOT_SENT, False),
    "DeadlockDetected": (Outcome.NOT_SENT, False),
}


class OdooAdapter:
    """Options: `database`, `user_id` (found when it is connected), `version` (the server's major version)."""

    capabilities = Capabilities(
        operations=MappingProxyType(
            {
                OperationKind.CREATE_LEAD: Verification.PROBE,
                OperationKind.CLOSE_CALL: Verification.PROBE,
                OperationKind.ATTACH_RECORDING: Verification.PROBE,
                OperationKind.ADD_NOTE: Verification.PROBE,
            }
        ),
        rate=Rate(per_second=10, burst=20),  # it has no limit; its workers also serve people
        settle_seconds=180.0,  # a worker is cut at 120 s of real time unless configured otherwise
        recording=RecordingTransfer.UPLOAD,
        limitations=("No card in Odoo when the phone rings, unless the addon is installed",),
    )

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        version = settings.options.get("version", "")
        self._version = int(version) if version.isdigit() else 14

    def authorize(self, request: Request, credentials: Credentials, now: datetime) -> Request:
        """In the server's dialect, with the key."""
        base_url = self._settings.base_url.rstrip("/")
        if request.url == "/jsonrpc":
            return replace(request, url=base_url + request.url)
        database = self._settings.options.get("database", "")
        if self._version >= FIRST_JSON2_VERSION:
            whole = replace(request, url=f"{base_url}/json/2{request.url}")
            return whole.with_header("Authorization", f"bearer {credentials.access_token}").with_header(
                "X-Odoo-Database", database
            )
        return replace(
            request, url=f"{base_url}/jsonrpc", json=self._build_rpc(request, database, credentials)
        )

    def classify(self, request: Request, response: Response, now: datetime) -> Verdict:
        """JSON-RPC answers 200 with an error inside, JSON-2 by status; both name the exception."""
        data = parse_json(response)
        is_rpc = isinstance(data, dict) and data.get("jsonrpc") == "2.0"
        error = get_value(data, "error") if is_rpc else data
        name = str((get_value(error, "data", "name") if is_rpc else get_value(error, "name")) or "")
        if (is_rpc and error is not None) or (response.status >= 400 and name):
            message = get_value(error, "data", "message") if is_rpc else get_value(error, "message")
            return classify_exception(name, str(message or get_value(error, "message") or ""))
        verdict = classify_response(response, now)
        if verdict.outcome is not Outcome.DONE:
            return replace(verdict, is_token_expired=False)
        if is_rpc:
            return replace(verdict, data=get_value(data, "result"))
        if self._version < FIRST_JSON2_VERSION:
            return Verdict(Outcome.UNKNOWN, "An answer that is no JSON-RPC")
        return verdict

    def check(self) -> Plan[Health]:
        """The modules that calls need."""
        installed_ones = [["name", "in", list(MODULES)], ["state", "=", "installed"]]
        answer = yield build_request(
            "ir.module.module", "search_read", domain=installed_ones, fields=["name"]
        )
        installed = {get_text(row, "name") for row in get_list(answer.data)}
        missing = tuple(name for name in MODULES if name not in installed)
        return Health(account=self._settings.options.get("database", ""), missing=missing)

    def list_users(self) -> Plan[tuple[CrmUser, ...]]:
        """Odoo Community has no extensions."""
        answer = yield build_request(
            "res.users", "search_read", domain=[], fields=["name", "login", "active"], limit=USERS, order="id"
        )
        return tuple(
            CrmUser(get_id(row, "id"), str(get_value(row, "name") or ""), get_value(row, "login") or None)
            for row in get_list(answer.data)
        )

    def find_people(self, phone: str) -> Plan[tuple[Person, ...]]:
        """Contacts and companies, then open leads; the number is compared by the server, in E.164."""
        fields = ["name", "phone_sanitized", "user_id"]
        answer = yield build_request(
            "res.partner",
            "search_read",
            domain=self._build_domain(phone),
            fields=[*fields, "is_company"],
            limit=PEOPLE,
            order="id",
        )
        partners = [read_person(row, phone) for row in get_list(answer.data)]
        answer = yield build_request(
            "crm.lead",
            "search_read",
            domain=self._build_domain(phone),
            fields=fields,
            limit=PEOPLE,
            order="id desc",
        )
        return (*partners, *(read_person(row, phone, RefKind.LEAD) for row in get_list(answer.data)))

    def write(self, operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
        """A lead, a note, or an attachment."""
        log = operation.call
        if log.direction is Direction.INTERNAL or not log.phone:
            return WriteResult(Outcome.SKIPPED, "Internal calls and withheld numbers are not logged in Odoo")
        match operation.kind:
            case OperationKind.CREATE_LEAD:
                return (yield from self._create_lead(operation))
            case OperationKind.CLOSE_CALL:
                return (yield from self._log_call(operation, context))
            case OperationKind.ADD_NOTE:
                return (yield from add_note(operation, context))
            case OperationKind.ATTACH_RECORDING:
                return (yield from attach_recording(operation, context))
            case _:
                return WriteResult(Outcome.SKIPPED, f"Odoo has no {operation.kind}")

    def probe(self, operation: Operation, context: DeliveryContext) -> Plan[ProbeResult]:
        """By our key."""
        match operation.kind:
            case OperationKind.CREATE_LEAD:
                found = yield from search_by_key("crm.lead", ["description", "ilike", operation.call_key])
                kind = RefKind.LEAD
            case OperationKind.CLOSE_CALL | OperationKind.ADD_NOTE:
                found = yield from search_by_key(
                    "mail.message", ["message_id", "=", build_message_id(operation)]
                )
                kind = RefKind.NOTE
            case _:
                found = yield from search_by_key("ir.attachment", ["name", "=", build_file_name(operation)])
                kind = RefKind.FILE
        if not found:
            return ProbeResult(Presence.ABSENT)
        owner = read_owner(found[0]) if kind is RefKind.NOTE else ()
        return ProbeResult(Presence.FOUND, refs=(Ref(kind, get_id(found[0], "id")), *owner))

    def build_renewal(self, credentials: Credentials) -> Request | None:
        """A key is renewed ahead of its end, by a task of its own; a refused one cannot be."""
        return None

    def read_renewal(self, response: Response, credentials: Credentials, now: datetime) -> Credentials:
        """Never asked for."""
        raise UnexpectedAnswer

    def _build_domain(self, phone: str) -> list[Any]:
        exact = ["phone_sanitized", "=", phone]
        if self._version in MOBILE_SEARCH_VERSIONS:
            return ["|", exact, ["phone_mobile_search", "=", phone]]
        return [exact]

    def _build_rpc(self, request: Request, database: str, credentials: Credentials) -> dict[str, Any]:
        """`execute_kw`: ids and new values are positional there, everything else is named."""
        _, model, method = request.url.split("/")
        named = dict(request.json)
        positional = [named.pop(name) for name in ("ids", "vals_list") if name in named]
        user = self._settings.options.get("user_id", "")
        user_id = int(user) if user.isdigit() else user
        arguments = [database, user_id, credentials.access_token, model, method, positional, named]
        call = {"service": "object", "method": "execute_kw", "args": arguments}
        return {"jsonrpc": "2.0", "method": "call", "id": 1, "params": call}

    def _create_lead(self, operation: Operation) -> Plan[WriteResult]:
        log = operation.call
        people = yield from self.find_people(log.phone or "")
        if people:
            return WriteResult(Outcome.DUPLICATE, refs=(people[0].ref,))
        values: dict[str, Any] = {
            "type": "lead",
            "name": operation.text or f"Call from {log.phone}",
            "phone": log.phone,
            "description": f"Call {operation.call_key}",
        }
        if log.user_id and log.user_id.isdigit():
            values["user_id"] = int(log.user_id)
        answer = yield build_request("crm.lead", "create", Effect.WRITE, vals_list=[values])
        return WriteResult(Outcome.DONE, refs=(Ref(RefKind.LEAD, read_id(answer.data)),))

    def _log_call(self, operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
        entity = context.find_ref(*MODELS)
        if entity is None:
            people = yield from self.find_people(operation.call.phone or "")
            entity = people[0].ref if people else None
        if entity is None:
            return WriteResult(Outcome.SKIPPED, "Nobody in Odoo has this number")
        return (yield from post_message(operation, entity, build_body(operation.call)))


def build_request(model: str, method: str, effect: Effect = Effect.READ, **arguments: Any) -> Request:
    """One method of one model."""
    return Request(f"{model}.{method}", effect, f"/{model}/{method}", json=arguments)


def search_by_key(model: str, condition: list[Any]) -> Plan[list[Any]]:
    """Records by our key."""
    fields = ["id", "model", "res_id"] if model == "mail.message" else ["id"]
    answer = yield build_request(model, "search_read", domain=[condition], fields=fields, limit=1)
    return get_list(answer.data)


def classify_exception(name: str, message: str) -> Verdict:
    """An exception of the server: nothing was kept."""
    detail = ": ".join(filter(None, (name.rpartition(".")[2], message)))
    outcome, is_about_method = ERRORS.get(name.rpartition(".")[2], (Outcome.REJECTED, True))
    return Verdict(outcome, detail or "Rejected without a reason", is_about_method=is_about_method)


def attach_recording(operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
    """Beside the note."""
    recording, entity = operation.recording, context.find_ref(*MODELS)
    if recording is None or not (recording.content or recording.link):
        return WriteResult(Outcome.SKIPPED, "There is no recording")
    if entity is None:
        return WriteResult(Outcome.SKIPPED, "The call was not logged in Odoo")
    values = {
        "name": build_file_name(operation),
        **build_content(recording),
        "res_model": MODELS[entity.kind],
        "res_id": int(entity.id),
    }
    answer = yield build_request("ir.attachment", "create", Effect.WRITE, vals_list=[values])
    return WriteResult(Outcome.DONE, refs=(Ref(RefKind.FILE, read_id(answer.data)),))


def add_note(operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
    """What somebody typed, below the call."""
    entity = context.find_ref(*MODELS)
    if entity is None:
        return WriteResult(Outcome.SKIPPED, "The call was not logged in Odoo")
    return (yield from post_message(operation, entity, escape_text(operation.text).replace("\n", "<br>")))


def post_message(operation: Operation, entity: Ref, body: str) -> Plan[WriteResult]:
    """A note in the chatter, under our key."""
    answer = yield build_request(
        MODELS[entity.kind],
        "message_post",
        Effect.WRITE,
        ids=[int(entity.id)],
        body=body,
        message_type="comment",
        subtype_xmlid="mail.mt_note",
        message_id=build_message_id(operation),
    )
    return WriteResult(Outcome.DONE, refs=(Ref(RefKind.NOTE, read_id(answer.data)), entity))


def build_content(recording: Recording) -> dict[str, str]:
    """The file itself, or a link to where it can be heard."""
    if recording.content:
        return {"datas": base64.b64encode(recording.content).decode()}
    return {"type": "url", "url": recording.link or ""}


def read_person(row: Any, phone: str, kind: RefKind = RefKind.CONTACT) -> Person:
    """A partner or lead; a relation is `[id, name]`, or `false`."""
    if get_value(row, "is_company") is True:
        kind = RefKind.COMPANY
    owner = get_value(row, "user_id", 0)
    number = str(get_value(row, "phone_sanitized") or phone)
    return Person(
        Ref(kind, get_id(row, "id")),
        str(get_value(row, "name") or ""),
        (number,),
        str(owner) if owner else None,
    )


def read_owner(row: Any) -> tuple[Ref, ...]:
    """On whom a note was left."""
    kind = {"res.partner": RefKind.CONTACT, "crm.lead": RefKind.LEAD}.get(str(get_value(row, "model")))
    record_id = get_value(row, "res_id")
    return (Ref(kind, str(record_id)),) if kind is not None and record_id else ()


def read_id(data: Any) -> str:
    """Of what was created: a number, or a list of one."""
    return get_id(data, 0) if isinstance(data, list) else get_id(data)


def build_message_id(operation: Operation) -> str:
    """As a mail header has it."""
    return f"<{operation.idempotency_key}@switchhook>"


def build_file_name(operation: Operation) -> str:
    """Unique by the call's key."""
    recording = operation.recording
    suffix = recording.filename.rpartition(".")[2] if recording else "mp3"
    return f"call-{operation.call_key}.{suffix}"


def build_body(log: CallLog) -> str:
    """One row of plain text; what is typed by people is escaped by the server or here."""
    direction = "Inbound call from" if log.direction is Direction.INBOUND else "Outbound call to"
    minutes, seconds = divmod(log.duration_seconds, 60)
    facts = [f"{direction} {log.phone}", f"{log.started_at:%Y-%m-%d %H:%M} UTC", f"{minutes}:{seconds:02}"]
    facts += [str(log.disposition).replace("_", " ")] if log.disposition else []
    facts += [log.summary] if log.summary else []
    return escape_text(" · ".join(facts))


def escape_text(text: str) -> str:
    """As text in a message, which is HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

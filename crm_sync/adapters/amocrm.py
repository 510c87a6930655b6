"""amoCRM and Kommo, API v4: a call is a note of type call on the contact or company that has its number.

amoCRM stores our key in `params.uniq` and lets duplicates in, so after a lost answer the notes are searched for it. An
unknown caller becomes an incoming lead (unsorted), which holds the call. A recording is a link in the note: nothing is
uploaded, and nothing can be added to a note later, so the link is there from the beginning.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from crm_sync.adapters.base import (
    Capabilities,
    ChangeFeed,
    ConnectionSettings,
    CrmUser,
    Health,
    Person,
    RecordingTransfer,
)
from crm_sync.adapters.bitrix24 import read_tokens
from crm_sync.budget import Rate
from crm_sync.classify import classify_response
from crm_sync.delivery import Verification
from crm_sync.exchange import (
    Credentials,
    Effect,
    Plan,
    Request,
    RequestFailed,
    Response,
    UnexpectedAnswer,
    Verdict,
    get_id,
    get_list,
    get_text,
    get_value,
)
from crm_sync.operations import (
    CallLog,
    DeliveryContext,
    Operation,
    OperationKind,
    Ref,
    RefKind,
    get_phone_tail,
)
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from telephony.call_facts.facts import Direction, Disposition

SOURCE = "switchhook"
PAGE_ROWS = 250
SEARCH_PAGES = 4  # a number that more than a thousand contacts match is none to decide by
PROBE_PAGES = 40  # 10,000 notes since the attempt: a day of the largest office
PROBE_OVERLAP = timedelta(minutes=5)  # clocks differ
FOLDERS = {RefKind.CONTACT: "contacts", RefKind.COMPANY: "companies", RefKind.LEAD: "leads"}
LOGGED_ON = (RefKind.CONTACT, RefKind.COMPANY)

CALL_STATUS = {
    Disposition.ANSWERED: 4,
    Disposition.VOICEMAIL: 1,
    Disposition.BUSY: 7,
    Disposition.DECLINED: 7,
    Disposition.MISSED: 6,
    Disposition.ABANDONED: 6,
    Disposition.NO_ANSWER: 6,
    Disposition.FAILED: 3,
}
UNDEFINED_STATUS = 8


class AmoCrmAdapter:
    """OAuth, or a long-lived token without a refresh token."""

    capabilities = Capabilities(
        operations=MappingProxyType(
            {
                OperationKind.SHOW_POPUP: Verification.NONE,
                OperationKind.CLOSE_CALL: Verification.PROBE,
            }
        ),
        rate=Rate(per_second=6, burst=1),  # below 7 in any second; too many answers 429 block our address
        settle_seconds=120.0,
        recording=RecordingTransfer.LINK,
        change_feed=ChangeFeed.HINT,
        creates_lead_with_call=True,
        max_concurrent_lanes=3,
        limitations=("Outbound calls to numbers that nobody in amoCRM has are not logged there",),
    )

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings

    def authorize(self, request: Request, credentials: Credentials, now: datetime) -> Request:
        """A bearer token."""
        whole = replace(request, url=self._settings.base_url.rstrip("/") + request.url)
        return whole.with_header("Authorization", f"Bearer {credentials.access_token}")

    def classify(self, request: Request, response: Response, now: datetime) -> Verdict:
        """204 is an empty list; 202 may have a body that is no JSON; 403 can block our whole address."""
        if response.status == 202:
            return Verdict(Outcome.DONE)
        verdict = classify_response(response, now)
        return replace(verdict, is_about_method=False) if response.status in (402, 403) else verdict

    def check(self) -> Plan[Health]:
        """The account."""
        answer = yield build_read("/api/v4/account")
        return Health(account=get_text(answer.data, "name"))

    def list_users(self) -> Plan[tuple[CrmUser, ...]]:
        """amoCRM knows no extensions."""
        rows = yield from list_rows("/api/v4/users", "users", (), SEARCH_PAGES)
        return tuple(
            CrmUser(get_id(row, "id"), str(get_value(row, "name") or ""), get_value(row, "email"))
            for row in rows
        )

    def find_people(self, phone: str) -> Plan[tuple[Person, ...]]:
        """Contacts, then companies, the oldest first."""
        tail, people = get_phone_tail(phone), []
        for kind in LOGGED_ON:
            folder = FOLDERS[kind]
            # A full-text search in every field: what it finds is compared below.
            rows = yield from list_rows(f"/api/v4/{folder}", folder, (("query", tail),), SEARCH_PAGES)
            found = [read_person(kind, row) for row in rows]
            matching = [person for person in found if tail in map(get_phone_tail, person.phones)]
            people += sorted(matching, key=lambda person: int(person.ref.id))
        return tuple(people)

    def write(self, operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
        """A pop-up event, a note, or an incoming lead."""
        log = operation.call
        if log.direction is Direction.INTERNAL or not log.phone:
            return WriteResult(
                Outcome.SKIPPED, "Internal calls and withheld numbers are not logged in amoCRM"
            )
        if operation.kind is OperationKind.SHOW_POPUP:
            return (yield from show_popup(operation))
        entity = context.find_ref(*LOGGED_ON)
        if entity is None:
            people = yield from self.find_people(log.phone)
            entity = people[0].ref if people else None
        if entity is not None:
            return (yield from self._add_note(operation, entity))
        if log.direction is Direction.INBOUND and self._settings.options.get("create_leads") != "no":
            return (yield from self._add_incoming_lead(operation))
        return WriteResult(Outcome.SKIPPED, "Nobody in amoCRM has this number")

    def probe(self, operation: Operation, context: DeliveryContext) -> Plan[ProbeResult]:
        """Notes of contacts and companies since the attempt, then incoming leads."""
        since = int(((context.sent_at or operation.call.started_at) - PROBE_OVERLAP).timestamp())
        note_type = get_note_type(operation.call)
        for kind in LOGGED_ON:
            query = (("filter[note_type][]", note_type), ("filter[updated_at][from]", str(since)))
            rows = yield from list_rows(f"/api/v4/{FOLDERS[kind]}/notes", "notes", query, PROBE_PAGES)
            for row in rows:
                if get_value(row, "params", "uniq") == operation.call_key:
                    refs = (Ref(RefKind.NOTE, get_id(row, "id")), Ref(kind, get_id(row, "entity_id")))
                    return ProbeResult(Presence.FOUND, refs=refs)
        rows = yield from list_rows(
            "/api/v4/leads/unsorted", "unsorted", (("filter[category]", "sip"),), PROBE_PAGES
        )
        for row in rows:
            if get_value(row, "metadata", "uniq") == operation.call_key:
                return ProbeResult(Presence.FOUND, refs=(Ref(RefKind.CALL, get_text(row, "uid")),))
        return ProbeResult(Presence.ABSENT)

    def build_renewal(self, credentials: Credentials) -> Request | None:
        """None for a long-lived token."""
        if not credentials.refresh_token:
            return None
        body = {
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "grant_type": "refresh_token",
            "refresh_token": credentials.refresh_token,
            "redirect_uri": self._settings.options.get("redirect_uri", ""),
        }
        url = self._settings.base_url.rstrip("/") + "/oauth2/access_token"
        return Request("oauth2.access_token", Effect.WRITE, url, json=body)

    def read_renewal(self, response: Response, credentials: Credentials, now: datetime) -> Credentials:
        """Both tokens are new."""
        return read_tokens(response, credentials, now)

    def _add_note(self, operation: Operation, entity: Ref) -> Plan[WriteResult]:
        log = operation.call
        note: dict[str, Any] = {
            "note_type": get_note_type(log),
            "created_at": int(log.started_at.timestamp()),
            "request_id": operation.idempotency_key,
            "params": self._build_params(operation),
        }
        if log.user_id and log.user_id.isdigit():
            note |= {"responsible_user_id": int(log.user_id), "created_by": int(log.user_id)}
        url = f"/api/v4/{FOLDERS[entity.kind]}/{entity.id}/notes"
        answer = yield Request(f"{FOLDERS[entity.kind]}.notes", Effect.WRITE, url, json=[note])
        created = get_list(answer.data, "_embedded", "notes")
        if not created:
            return WriteResult(Outcome.REJECTED, "amoCRM added no note: the contact may be gone")
        return WriteResult(Outcome.DONE, refs=(Ref(RefKind.NOTE, get_id(created[0], "id")), entity))

    def _add_incoming_lead(self, operation: Operation) -> Plan[WriteResult]:
        log = operation.call
        lead: dict[str, Any] = {
            "source_uid": self._settings.options.get("source_uid", SOURCE),
            "source_name": self._settings.options.get("source_name", SOURCE),
            "created_at": int(log.started_at.timestamp()),
            "request_id": operation.idempotency_key,
            "metadata": {
                "from": log.phone,
                "phone": log.did or "",
                "called_at": int(log.started_at.timestamp()),
                "duration": log.duration_seconds,
                "link": get_link(operation),
                "service_code": SOURCE,
                "uniq": operation.call_key,
                "is_call_event_needed": True,
            },
            "_embedded": {
                "leads": [{"name": operation.text or f"Call from {log.phone}"}],
                "contacts": [
                    {
                        "name": log.phone,
                        "custom_fields_values": [{"field_code": "PHONE", "values": [{"value": log.phone}]}],
                    }
                ],
            },
        }
        pipeline = self._settings.options.get("pipeline_id", "")
        if pipeline.isdigit():
            lead["pipeline_id"] = int(pipeline)
        try:
            answer = yield Request(
                "leads.unsorted.sip", Effect.WRITE, "/api/v4/leads/unsorted/sip", json=[lead]
            )
        except RequestFailed as failed:
            if failed.verdict.outcome is not Outcome.REJECTED:
                raise
            # The same data twice is refused, in a form that is not documented: is it there?
            found = yield from self.probe(operation, DeliveryContext())
            if found.presence is Presence.FOUND:
                return WriteResult(Outcome.DUPLICATE, refs=found.refs)
            return WriteResult(Outcome.REJECTED, failed.verdict.detail)
        created = get_list(answer.data, "_embedded", "unsorted")
        if not created:
            return WriteResult(Outcome.REJECTED, "amoCRM added no incoming lead")
        return WriteResult(Outcome.DONE, refs=(Ref(RefKind.CALL, get_text(created[0], "uid")),))

    def _build_params(self, operation: Operation) -> dict[str, Any]:
        log = operation.call
        params: dict[str, Any] = {
            "uniq": operation.call_key,
            "duration": log.duration_seconds,
            "source": SOURCE,
            "phone": log.phone,
            "call_status": CALL_STATUS.get(log.disposition, UNDEFINED_STATUS)
            if log.disposition
            else UNDEFINED_STATUS,
            "call_result": log.summary,
        }
        link = get_link(operation)
        return {**params, "link": link} if link else params


def build_read(url: str, *query: tuple[str, str]) -> Request:
    """A read; its method is its address without ids."""
    return Request(url.removeprefix("/api/v4/").replace("/", "."), Effect.READ, url, verb="GET", query=query)


def list_rows(url: str, name: str, query: tuple[tuple[str, str], ...], pages: int) -> Plan[list[Any]]:
    """All rows of a list. Raises UnexpectedAnswer rather than giving some of them."""
    rows: list[Any] = []
    for page in range(1, pages + 1):
        answer = yield build_read(url, *query, ("limit", str(PAGE_ROWS)), ("page", str(page)))
        rows += get_list(answer.data, "_embedded", name)
        if get_value(answer.data, "_links", "next") is None:
            return rows
    raise UnexpectedAnswer(f"amoCRM has more {name} than can be read.")


def read_person(kind: RefKind, row: Any) -> Person:
    """A contact or company with its numbers."""
    phones = tuple(
        str(get_value(value, "value"))
        for custom_field in get_list(row, "custom_fields_values")
        if get_value(custom_field, "field_code") == "PHONE"
        for value in get_list(custom_field, "values")
    )
    owner = get_value(row, "responsible_user_id")
    return Person(
        Ref(kind, get_id(row, "id")),
        str(get_value(row, "name") or ""),
        phones,
        str(owner) if owner else None,
    )


def show_popup(operation: Operation) -> Plan[WriteResult]:
    """An event in the notification centre, for these users only: without users it would be for everybody."""
    users = [int(user) for user in operation.popup_user_ids if user.isdigit()]
    if not users:
        return WriteResult(Outcome.SKIPPED, "Nobody to show it to")
    event = {"type": "phone_call", "phone_number": operation.call.phone, "users": users}
    yield Request("events", Effect.WRITE, "/api/v2/events/", json={"add": [event]})
    return WriteResult(Outcome.DONE)


def get_note_type(log: CallLog) -> str:
    """By direction."""
    return "call_in" if log.direction is Direction.INBOUND else "call_out"


def get_link(operation: Operation) -> str:
    """Of the recording."""
    return (operation.recording.link if operation.recording else None) or ""

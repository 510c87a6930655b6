"""Bitrix24 through a local application (OAuth): the call is a call there, with its card, recording and statistics.

One call of Bitrix24 holds one recording, so every talking leg is registered by itself. `register` gives the same call
again for the same EXTERNAL_CALL_ID; `finish` refuses a finished call, whose statistics row then proves it;
`attachRecord` replaces. The requests are documented in the REST reference under the names used here.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
from crm_sync.budget import Rate
from crm_sync.classify import NO_JSON, classify_response, parse_json
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
    get_map,
    get_text,
    get_value,
)
from crm_sync.operations import CallLog, DeliveryContext, Operation, OperationKind, Ref, RefKind
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from crm_sync.retry import add_seconds
from telephony.call_facts.facts import Direction, Disposition, iso
from telephony.errors import NeedsPerson, TryLater

TOKEN_URL = "https://oauth.bitrix.info/oauth/token/"  # noqa: S105  # an address; option `token_url` for other regions
ORIGINATOR = "switchhook"
WANTED_SCOPES = ("telephony", "crm", "user")
PAGES = 200  # of 50 users
OPERATING_LIMIT_SECONDS = (
    430.0  # of 480 per method in ten minutes: the request that crosses the limit still counts
)
OPERATING_PAUSE_SECONDS = 60.0  # a basket of the ten-minute window leaves it each minute
ENTITY_KINDS = {
    "CONTACT": RefKind.CONTACT,
    "COMPANY": RefKind.COMPANY,
    "LEAD": RefKind.LEAD,
    "DEAL": RefKind.DEAL,
}
ENTITY_TYPE_IDS = {RefKind.LEAD: 1, RefKind.DEAL: 2, RefKind.CONTACT: 3, RefKind.COMPANY: 4}

STATUS_CODES = {
    Disposition.ANSWERED: "200",
    Disposition.MISSED: "304",
    Disposition.ABANDONED: "304",
    Disposition.VOICEMAIL: "304",
    Disposition.NO_ANSWER: "304",
    Disposition.BUSY: "486",
    Disposition.DECLINED: "603",
    Disposition.FAILED: "503",
}

# The CRM's own error codes; what is not here is judged by its HTTP status.
ERRORS: dict[str, tuple[Outcome, bool]] = {
    "QUERY_LIMIT_EXCEEDED": (Outcome.THROTTLED, False),
    "OPERATION_TIME_LIMIT": (Outcome.THROTTLED, True),
    "OVERLOAD_LIMIT": (Outcome.NEEDS_ADMIN, False),
    "NO_AUTH_FOUND": (Outcome.NEEDS_ADMIN, False),
    "invalid_token": (Outcome.NEEDS_ADMIN, False),
    "INVALID_CREDENTIALS": (Outcome.NEEDS_ADMIN, False),
    "PORTAL_DELETED": (Outcome.NEEDS_ADMIN, False),
    "PAYMENT_REQUIRED": (Outcome.NEEDS_ADMIN, False),
    "WRONG_AUTH_TYPE": (Outcome.NEEDS_ADMIN, True),
    "ACCESS_DENIED": (Outcome.NEEDS_ADMIN, True),
    "insufficient_scope": (Outcome.NEEDS_ADMIN, True),
    "user_access_error": (Outcome.NEEDS_ADMIN, True),
    "INTERNAL_SERVER_ERROR": (Outcome.UNKNOWN, False),
    "ERROR_UNEXPECTED_ANSWER": (Outcome.UNKNOWN, False),
}
"""Outcome, and whether it concerns only the method."""


class Bitrix24Adapter:
    """Full mode."""

    capabilities = Capabilities(
        operations=MappingProxyType(
            {
                OperationKind.OPEN_CALL: Verification.IDEMPOTENT,
                OperationKind.SHOW_POPUP: Verification.NONE,
                OperationKind.HIDE_POPUP: Verification.NONE,
                OperationKind.CREATE_LEAD: Verification.PROBE,
                OperationKind.CLOSE_CALL: Verification.PROBE,
                OperationKind.ATTACH_RECORDING: Verification.IDEMPOTENT,
            }
        ),
        rate=Rate(per_second=1.8, burst=45),  # below 2 and 50: other applications here share the bucket
        settle_seconds=90.0,  # a request is cut at 60 s
        recording=RecordingTransfer.UPLOAD,
        change_feed=ChangeFeed.DURABLE,
        has_click_to_call=True,
        is_renewal_repeatable=True,  # not documented; a refused repetition asks a person, as it would without
    )

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings

    def authorize(self, request: Request, credentials: Credentials, now: datetime) -> Request:
        """The token goes into the body: in the address it would be logged."""
        body = {**(request.json or {}), "auth": credentials.access_token}
        return replace(request, url=self._settings.base_url.rstrip("/") + request.url, json=body)

    def classify(self, request: Request, response: Response, now: datetime) -> Verdict:
        """By the error code; it can come with 200 too."""
        return classify_bitrix24(request, response, now)

    def check(self) -> Plan[Health]:
        """The application's scopes."""
        answer = yield build_request("app.info")
        scopes = {str(scope) for scope in get_list(answer.data, "result", "SCOPE")}
        missing = tuple(scope for scope in WANTED_SCOPES if scope not in scopes)
        return Health(account=self._settings.base_url, missing=missing)

    def list_users(self) -> Plan[tuple[CrmUser, ...]]:
        """Page by page."""
        return (yield from list_users())

    def find_people(self, phone: str) -> Plan[tuple[Person, ...]]:
        """Bitrix24 compares the numbers itself."""
        answer = yield build_request("telephony.externalCall.searchCrmEntities", PHONE_NUMBER=phone)
        return tuple(
            Person(
                ref=Ref(kind, get_id(found, "CRM_ENTITY_ID")),
                name=str(get_value(found, "NAME") or ""),
                phones=(phone,),
                owner_user_id=read_id(found, "ASSIGNED_BY_ID"),
            )
            for found in get_list(answer.data, "result")
            if (kind := ENTITY_KINDS.get(str(get_value(found, "CRM_ENTITY_TYPE")))) is not None
        )

    def write(self, operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
        """Register, show, hide, finish, attach, or a lead."""
        reason = find_skip_reason(operation.call)
        if reason:
            return WriteResult(Outcome.SKIPPED, reason)
        match operation.kind:
            case OperationKind.OPEN_CALL:
                return (yield from self._register(operation.call))
            case OperationKind.CREATE_LEAD:
                return (yield from create_lead(operation))
        call_ref = context.find_ref(RefKind.CALL, same_leg=True)
        if call_ref is None:
            return WriteResult(Outcome.SKIPPED, "The call was not registered in Bitrix24")
        match operation.kind:
            case OperationKind.SHOW_POPUP | OperationKind.HIDE_POPUP:
                return (yield from switch_card(operation, call_ref.id))
            case OperationKind.CLOSE_CALL:
                return (yield from self._finish(operation, call_ref.id))
            case OperationKind.ATTACH_RECORDING:
                return (yield from attach_recording(operation, call_ref.id))
            case _:
                return WriteResult(Outcome.SKIPPED, f"Bitrix24 has no {operation.kind}")

    def probe(self, operation: Operation, context: DeliveryContext) -> Plan[ProbeResult]:
        """A finished call has a row in the statistics; a lead carries our key."""
        if operation.kind is OperationKind.CREATE_LEAD:
            return (yield from probe_lead(operation))
        call_ref = context.find_ref(RefKind.CALL, same_leg=True)
        if call_ref is None or operation.kind is not OperationKind.CLOSE_CALL:
            return ProbeResult(Presence.UNCLEAR, f"Bitrix24 cannot be searched for {operation.kind}")
        return (yield from probe_statistics(call_ref.id))

    def build_renewal(self, credentials: Credentials) -> Request | None:
        """At the token server, which is not the portal."""
        query = {
            "grant_type": "refresh_token",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "refresh_token": credentials.refresh_token,
        }
        url = self._settings.options.get("token_url", TOKEN_URL)
        return Request("oauth.token", Effect.WRITE, url, verb="GET", query=tuple(query.items()))

    def read_renewal(self, response: Response, credentials: Credentials, now: datetime) -> Credentials:
        """Both tokens are new."""
        return read_tokens(response, credentials, now)

    def _register(self, log: CallLog) -> Plan[WriteResult]:
        person = self._build_person(log)
        if not person:
            detail = "Nobody in Bitrix24 to register the call for: map the extension, or set a fallback user"
            return WriteResult(Outcome.REJECTED, detail)
        shown = 0 if log.is_backfill else 1
        optional = {"LINE_NUMBER": log.did} if log.did else {}
        answer = yield build_request(
            "telephony.externalCall.register",
            Effect.WRITE,
            **person,
            PHONE_NUMBER=log.phone,
            TYPE=get_call_type(log),
            CALL_START_DATE=iso(log.started_at),
            CRM_CREATE=1 if self._settings.options.get("crm_create") == "yes" else 0,
            SHOW=shown,
            ADD_TO_CHAT=shown,
            EXTERNAL_CALL_ID=f"{log.call_id}.{log.leg}",
            **optional,
        )
        result = get_map(answer.data, "result")
        return WriteResult(
            Outcome.DONE, refs=(Ref(RefKind.CALL, get_text(result, "CALL_ID")), *read_entities(result))
        )

    def _finish(self, operation: Operation, call_id: str) -> Plan[WriteResult]:
        log = operation.call
        try:
            answer = yield build_request(
                "telephony.externalCall.finish",
                Effect.WRITE,
                **self._build_person(log),
                CALL_ID=call_id,
                DURATION=log.duration_seconds,
                STATUS_CODE=STATUS_CODES.get(log.disposition, "304") if log.disposition else "304",
                ADD_TO_CHAT=0 if log.is_backfill else 1,
            )
        except RequestFailed as failed:
            if "Call is not found" not in failed.verdict.detail:
                raise
            # Also the answer to a second finish: the statistics tell which it is.
            found = yield from probe_statistics(call_id)
            if found.presence is Presence.FOUND:
                return WriteResult(Outcome.DUPLICATE, refs=found.refs)
            return WriteResult(Outcome.REJECTED, failed.verdict.detail)
        return WriteResult(Outcome.DONE, refs=read_statistics_row(get_map(answer.data, "result"), call_id))

    def _build_person(self, log: CallLog) -> dict[str, Any]:
        """Whose call it is: a mapped user, the extension as Bitrix24 has it, or the fallback."""
        if log.user_id:
            return {"USER_ID": int(log.user_id) if log.user_id.isdigit() else log.user_id}
        fallback = self._settings.options.get("fallback_user_id")
        if fallback:
            return {"USER_ID": int(fallback) if fallback.isdigit() else fallback}
        return {"USER_PHONE_INNER": log.extension} if log.extension else {}


def build_request(method: str, effect: Effect = Effect.READ, **parameters: Any) -> Request:
    """One REST call."""
    return Request(method, effect, f"/rest/{method}.json", json=parameters)


def classify_bitrix24(_request: Request, response: Response, now: datetime) -> Verdict:
    """By the error code; it can come with 200 too, and it can be empty."""
    data = parse_json(response)
    if not isinstance(data, dict) or "error" not in data:
        return classify_good(response, data, now)
    code, text = str(data["error"]), str(data.get("error_description") or "")
    detail = ": ".join(filter(None, (code, text))) or "Rejected without a reason"
    if code == "expired_token":
        return Verdict(Outcome.NEEDS_ADMIN, detail, is_token_expired=True)
    if code in ERRORS:
        outcome, is_about_method = ERRORS[code]
        pause = OPERATING_PAUSE_SECONDS if is_about_method else 2.0  # the bucket drains by two a second
        retry_at = add_seconds(now, pause) if outcome is Outcome.THROTTLED else None
        return Verdict(outcome, detail, retry_at=retry_at, is_about_method=is_about_method)
    if response.status >= 500:
        return Verdict(Outcome.UNKNOWN, detail)
    return Verdict(Outcome.REJECTED, detail)


def classify_good(response: Response, data: Any, now: datetime) -> Verdict:
    """No error code: by HTTP, and an answer must have a result."""
    verdict = classify_response(response, now)
    if verdict.outcome is not Outcome.DONE:
        return verdict
    if data is NO_JSON or not isinstance(data, dict) or "result" not in data:
        return Verdict(Outcome.UNKNOWN, "An answer without a result")
    return replace(verdict, retry_at=find_operating_reset(data))


def find_operating_reset(data: Any) -> datetime | None:
    """When this method may be called again, when its operating time is nearly used up."""
    operating, reset_at = get_value(data, "time", "operating"), get_value(data, "time", "operating_reset_at")
    if not isinstance(operating, int | float) or not isinstance(reset_at, int | float):
        return None
    return datetime.fromtimestamp(reset_at, UTC) if operating >= OPERATING_LIMIT_SECONDS else None


def find_skip_reason(log: CallLog) -> str:
    """Calls that Bitrix24 cannot hold."""
    if log.direction is Direction.INTERNAL:
        return "Internal calls are not logged in Bitrix24"
    return "" if log.phone else "The number is withheld"


def get_call_type(log: CallLog) -> int:
    """1 outbound, 2 inbound, 3 inbound and passed on."""
    if log.direction is Direction.OUTBOUND:
        return 1
    return 3 if log.leg else 2


def switch_card(operation: Operation, call_id: str) -> Plan[WriteResult]:
    """Show or hide the card; `false` means that the call is gone."""
    is_show = operation.kind is OperationKind.SHOW_POPUP
    method = f"telephony.externalCall.{'show' if is_show else 'hide'}"
    users = [int(user) for user in operation.popup_user_ids if user.isdigit()]
    if not users:
        return WriteResult(Outcome.SKIPPED, "Nobody to show it to")
    answer = yield build_request(method, Effect.WRITE, CALL_ID=call_id, USER_ID=users)
    if get_value(answer.data, "result") is True:
        return WriteResult(Outcome.DONE)
    return WriteResult(Outcome.SKIPPED, "Bitrix24 has no such call any more")


def attach_recording(operation: Operation, call_id: str) -> Plan[WriteResult]:
    """The file itself; it replaces one that is there."""
    recording = operation.recording
    if recording is None or not recording.content:
        return WriteResult(Outcome.SKIPPED, "There is no recording")
    if not recording.filename.endswith((".mp3", ".wav")):
        return WriteResult(Outcome.REJECTED, "Bitrix24 takes only .mp3 and .wav files")
    content = base64.b64encode(recording.content).decode()
    answer = yield build_request(
        "telephony.externalCall.attachRecord",
        Effect.WRITE,
        CALL_ID=call_id,
        FILENAME=recording.filename,
        FILE_CONTENT=content,
    )
    return WriteResult(Outcome.DONE, refs=(Ref(RefKind.FILE, get_id(answer.data, "result", "FILE_ID")),))


def probe_statistics(call_id: str) -> Plan[ProbeResult]:
    """Finished calls have a row."""
    answer = yield build_request("voximplant.statistic.get", FILTER={"CALL_ID": call_id})
    rows = get_list(answer.data, "result")
    if not rows:
        return ProbeResult(Presence.ABSENT)
    return ProbeResult(Presence.FOUND, refs=read_statistics_row(rows[0], call_id))


def read_statistics_row(row: Any, call_id: str) -> tuple[Ref, ...]:
    """The call and whom it was logged on."""
    return (Ref(RefKind.CALL, call_id), *read_entities(row))


def read_entities(data: Any) -> tuple[Ref, ...]:
    """The entity that a call was linked to, if any."""
    kind, entity_id = (
        ENTITY_KINDS.get(str(get_value(data, "CRM_ENTITY_TYPE"))),
        read_id(data, "CRM_ENTITY_ID"),
    )
    return (Ref(kind, entity_id),) if kind is not None and entity_id is not None else ()


def read_id(data: Any, name: str) -> str | None:
    """An id; 0 and null mean none."""
    value = get_value(data, name)
    return str(value) if value not in (None, "", 0, "0") else None


def find_entities(phone: str) -> Plan[tuple[Ref, ...]]:
    """Everybody with that number, contacts first."""
    answer = yield build_request("crm.duplicate.findbycomm", type="PHONE", values=[phone])
    found = get_map(answer.data, "result")
    return tuple(
        Ref(ENTITY_KINDS[name], get_id(i))
        for name in ("CONTACT", "COMPANY", "LEAD")
        for i in get_list(found, name)
    )


def create_lead(operation: Operation) -> Plan[WriteResult]:
    """Unless somebody has the number by now."""
    log = operation.call
    found = yield from find_entities(log.phone or "")
    if found:
        return WriteResult(Outcome.DUPLICATE, refs=found[:1])
    fields: dict[str, Any] = {
        "title": operation.text or log.phone,
        "originatorId": ORIGINATOR,
        "originId": operation.call_key,
        "fm": [{"typeId": "PHONE", "valueType": "WORK", "value": log.phone}],
    }
    if log.user_id and log.user_id.isdigit():
        fields["assignedById"] = int(log.user_id)
    answer = yield build_request(
        "crm.item.add", Effect.WRITE, entityTypeId=ENTITY_TYPE_IDS[RefKind.LEAD], fields=fields
    )
    return WriteResult(Outcome.DONE, refs=(Ref(RefKind.LEAD, get_id(answer.data, "result", "item", "id")),))


def probe_lead(operation: Operation) -> Plan[ProbeResult]:
    """By our key."""
    key = {"originatorId": ORIGINATOR, "originId": operation.call_key}
    answer = yield build_request(
        "crm.item.list", entityTypeId=ENTITY_TYPE_IDS[RefKind.LEAD], filter=key, select=["id"]
    )
    items = get_list(answer.data, "result", "items")
    if not items:
        return ProbeResult(Presence.ABSENT)
    return ProbeResult(Presence.FOUND, refs=(Ref(RefKind.LEAD, get_id(items[0], "id")),))


def list_users() -> Plan[tuple[CrmUser, ...]]:
    """Fifty a page; `next` is where the following one begins."""
    users: list[CrmUser] = []
    start: Any = 0
    for _ in range(PAGES):
        answer = yield build_request("user.get", FILTER={"USER_TYPE": "employee"}, start=start)
        users += [read_user(row) for row in get_list(answer.data, "result")]
        start = get_value(answer.data, "next")
        if start is None:
            return tuple(users)
    raise UnexpectedAnswer("Bitrix24 has more users than can be read.")


def read_user(row: Any) -> CrmUser:
    """One employee."""
    full_name = " ".join(str(get_value(row, name) or "") for name in ("NAME", "LAST_NAME")).strip()
    extension = str(get_value(row, "UF_PHONE_INNER") or "").strip()
    return CrmUser(
        id=get_id(row, "ID"),
        name=full_name,
        email=get_value(row, "EMAIL") or None,
        extensions=(extension,) if extension else (),
        is_active=get_value(row, "ACTIVE") in (True, "Y"),
    )


def read_tokens(response: Response, credentials: Credentials, now: datetime) -> Credentials:
    """An OAuth answer: new tokens, a refusal for good, or one for now."""
    data = parse_json(response)
    if isinstance(data, dict) and response.status == 200 and get_value(data, "access_token"):
        seconds = get_value(data, "expires_in")
        return replace(
            credentials,
            access_token=get_text(data, "access_token"),
            refresh_token=get_text(data, "refresh_token"),
            expires_at=now + timedelta(seconds=seconds) if isinstance(seconds, int) else None,
        )
    if response.status in (429, 503):
        raise TryLater("The token server takes no requests just now.")
    if 400 <= response.status < 500:
        reason = get_value(data, "error_description") or get_value(data, "hint") or get_value(data, "error")
        raise NeedsPerson(
            f"The CRM does not renew the access: {reason or response.status}.", remedy="Connect again."
        )
    raise UnexpectedAnswer(f"The token server's answer cannot be read ({response.status}).")

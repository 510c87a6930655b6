"""What answers mean: by HTTP, and by each CRM's own error codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from crm_sync.adapters import ADAPTERS
from crm_sync.adapters.base import ConnectionSettings
from crm_sync.classify import classify_response
from crm_sync.exchange import Effect, Request, Response
from crm_sync.outcomes import Outcome
from tests.crm_sync.call_builder import START

O = Outcome  # noqa: E741
REQUEST = Request("method", Effect.WRITE, "/")
PAGE = b"<html>Bad Gateway</html>"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"a": 1}', O.DONE),
        (204, b"", O.DONE),
        (200, b'{"a": ', O.UNKNOWN),
        (200, PAGE, O.UNKNOWN),
        (201, b"[" * 100_000, O.UNKNOWN),
        (302, b"", O.NEEDS_ADMIN),
        (400, b"{}", O.REJECTED),
        (401, b"", O.NEEDS_ADMIN),
        (402, b"", O.NEEDS_ADMIN),
        (403, b"{}", O.NEEDS_ADMIN),
        (404, b"{}", O.REJECTED),
        (404, PAGE, O.NEEDS_ADMIN),
        (408, b"", O.UNKNOWN),
        (409, b"{}", O.REJECTED),
        (422, b"{}", O.REJECTED),
        (429, b"", O.THROTTLED),
        (500, b"{}", O.UNKNOWN),
        (502, PAGE, O.UNKNOWN),
        (503, PAGE, O.UNKNOWN),
        (504, PAGE, O.UNKNOWN),
    ],
)
def test_by_http(status: int, body: bytes, outcome: Outcome) -> None:
    """What may have come after a commit is unknown."""
    assert classify_response(Response(status, {}, body), START).outcome is outcome


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0", 0), ("99999999999999", 3600), ("soon", 10), ("", 10), ("-5", 10)],
)
def test_retry_after(text: str, seconds: int) -> None:
    """Bounded, and never in the past."""
    verdict = classify_response(Response(503, {"retry-after": text}, b""), START)
    assert (verdict.outcome, verdict.retry_at) == (O.THROTTLED, START + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("text", "seconds"), [("Mon, 23 Nov 2026 09:02:00 GMT", 120), ("Mon, 23 Nov 2020 09:02:00 GMT", 0)]
)
def test_retry_after_a_date(text: str, seconds: int) -> None:
    """As HTTP allows."""
    verdict = classify_response(Response(429, {"retry-after": text}, b""), START)
    assert verdict.retry_at == START + timedelta(seconds=seconds)


def bitrix24_error(code: str, text: str = "") -> bytes:
    """As Bitrix24 sends it."""
    return json.dumps({"error": code, "error_description": text}).encode()


def odoo_error(name: str) -> bytes:
    """As JSON-RPC sends it, with 200."""
    data = {"name": name, "message": "Something", "debug": "Traceback"}
    return json.dumps(
        {"jsonrpc": "2.0", "error": {"code": 200, "message": "Odoo Server Error", "data": data}}
    ).encode()


@pytest.mark.parametrize(
    ("kind", "status", "body", "outcome"),
    [
        ("bitrix24", 200, bitrix24_error("ERROR_CORE", "Unknown TYPE"), O.REJECTED),
        ("bitrix24", 400, bitrix24_error("", "The field is empty"), O.REJECTED),
        ("bitrix24", 400, bitrix24_error("", ""), O.REJECTED),
        ("bitrix24", 503, bitrix24_error("QUERY_LIMIT_EXCEEDED"), O.THROTTLED),
        ("bitrix24", 429, bitrix24_error("OPERATION_TIME_LIMIT"), O.THROTTLED),
        ("bitrix24", 503, bitrix24_error("OVERLOAD_LIMIT"), O.NEEDS_ADMIN),
        ("bitrix24", 403, bitrix24_error("insufficient_scope"), O.NEEDS_ADMIN),
        ("bitrix24", 500, bitrix24_error("INTERNAL_SERVER_ERROR"), O.UNKNOWN),
        ("bitrix24", 500, bitrix24_error("SOMETHING_NEW"), O.UNKNOWN),
        ("bitrix24", 200, b"{}", O.UNKNOWN),
        ("bitrix24", 200, b"[]", O.UNKNOWN),
        ("bitrix24_webhook", 403, bitrix24_error("WRONG_AUTH_TYPE"), O.NEEDS_ADMIN),
        ("amocrm", 202, b"ok", O.DONE),
        ("amocrm", 204, b"", O.DONE),
        ("amocrm", 429, b"Too Many Requests", O.THROTTLED),
        ("amocrm", 403, b"<html>", O.NEEDS_ADMIN),
        ("amocrm", 504, b"", O.UNKNOWN),
        ("odoo", 200, odoo_error("odoo.exceptions.AccessDenied"), O.NEEDS_ADMIN),
        ("odoo", 200, odoo_error("odoo.exceptions.AccessError"), O.NEEDS_ADMIN),
        ("odoo", 200, odoo_error("odoo.exceptions.ValidationError"), O.REJECTED),
        ("odoo", 200, odoo_error("builtins.ValueError"), O.REJECTED),
        ("odoo", 200, odoo_error("psycopg2.errors.SerializationFailure"), O.NOT_SENT),
        ("odoo", 200, b'{"ok": true}', O.UNKNOWN),
        ("odoo", 502, PAGE, O.UNKNOWN),
    ],
)
def test_by_the_crms_own_codes(kind: str, status: int, body: bytes, outcome: Outcome) -> None:
    """They come first."""
    adapter = ADAPTERS[kind](ConnectionSettings("crm", kind, "https://crm.example.com"))
    assert adapter.classify(REQUEST, Response(status, {}, body), START).outcome is outcome


def test_only_an_expired_token_is_renewed() -> None:
    """Renewing on every refusal can have the application blocked."""
    adapter = ADAPTERS["bitrix24"](ConnectionSettings("crm", "bitrix24", "https://crm.example.com"))
    expired = adapter.classify(REQUEST, Response(401, {}, bitrix24_error("expired_token")), START)
    other = adapter.classify(REQUEST, Response(401, {}, bitrix24_error("NO_AUTH_FOUND")), START)
    assert (expired.is_token_expired, other.is_token_expired) == (True, False)


def test_a_method_rests_before_its_operating_time_is_used_up() -> None:
    """The good answer says when it may be called again."""
    adapter = ADAPTERS["bitrix24"](ConnectionSettings("crm", "bitrix24", "https://crm.example.com"))
    reset_at = datetime(2026, 11, 23, 9, 7, tzinfo=UTC)
    time = {"operating": 431.5, "operating_reset_at": reset_at.timestamp()}
    verdict = adapter.classify(
        REQUEST, Response(200, {}, json.dumps({"result": [], "time": time}).encode()), START
    )
    assert (verdict.outcome, verdict.retry_at) == (O.DONE, reset_at)

"""The public address of web forms: a site's page, or its server, sends what a visitor wrote.

Whoever sends shows the form's token in the address. Where the form is signed, the site's server signs each request as
Standard Webhooks has it (`webhook-id`, `webhook-timestamp`, `webhook-signature`); else a browser's Origin must be one of
the form's sites. A visitor's browser is answered with the site's own thank-you page, a program with JSON. Robots that
fill in the hidden field are answered as if all were well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException
from starlette.requests import Request as Bare
from starlette.types import Message

from call_records.crm.web_forms.forms import TAKEN, WebForm
from call_records.crm.web_forms.submissions import Submission
from call_records.db import json_text
from telephony.errors import SwitchhookError, TryLater
from web.api.form_fields import CHARSET, in_letters, is_test, meaning_of, pairs_of, read_by_value
from web.auth.access import address_of, token_hash
from web.http.request_limits import address_key
from web.languages.errors import translate_error
from web.languages.messages import N_, _
from web.site import Site, site_of

BODY_MOST = 32 * 1024  # bytes; a message of 10 000 letters and the fields around it
FIELDS_MOST = 40
VALUE_MOST = 2_000  # characters of a field
MESSAGE_MOST = 10_000
TOLERANCE_SECONDS = 300  # how far the sender's clock may be off, as Standard Webhooks recommends
HONEYPOT = "company_site"
"""A field that no visitor sees; only robots fill it in."""
THANKS = "_thanks"
"""A field with the address of the site's own thank-you page."""
SENT_ID = "_id"
"""A field with the sender's own id for this submission."""
OF_A_FORM = RateLimitItemPerMinute(120, 1)  # a radio advertisement brings a third of it
OF_AN_ADDRESS = RateLimitItemPerMinute(10, 1)  # an office behind one address tries a form out
UNSIGNED = RateLimitItemPerMinute(
    60, 1
)  # to a signed form; a sender whose key was mistyped retries less often
TOO_MANY = N_("Too many at once. Try again in a minute.")
UNKNOWN = RateLimitItemPerMinute(20, 5)  # addresses that do not exist, tried by one sender
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,128}")

router = APIRouter(prefix="/api/v1/forms", tags=["forms"])


class Refused(Exception):
    """The submission is not taken. `reason` is what is counted."""

    def __init__(self, status: int, reason: str, said: str) -> None:
        self.status, self.reason, self.said = status, reason, said
        super().__init__(said)


@router.options("/{token}", include_in_schema=False)
async def preflight(request: Request, token: str) -> Response:
    """A browser asks whether a page of that site may send JSON."""
    form = await _form(site_of(request), request, token)
    headers = _cors(request, form) if form else {}
    if headers:
        headers |= {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "content-type",
            "Access-Control-Max-Age": "600",
        }
    return Response(status_code=204 if headers else 403 if form else 404, headers=headers)


@router.post("/{token}", summary="Send what a visitor of your site wrote")
async def take(request: Request, token: str) -> Response:
    """Form fields or a JSON object, at most 32 KiB. See docs/how-to/web-forms.md."""
    site = site_of(request)
    form = await _form(site, request, token)
    if form is None:
        return JSONResponse({"result": "refused", "detail": _("There is no such form.")}, 404)
    headers = _cors(request, form)
    if await _is_try_out(request):
        return PlainTextResponse("ok", headers=headers)
    try:
        fields, body = await _admitted(request, form)
        if fields.get(HONEYPOT, "").strip():
            await site.records.forms.count(form.id, "honeypot")
            return _thanks(request, form, fields, headers)
        sent = _understood(request, form, fields, body)
        filed = await site.records.forms.take(sent)
    except Refused as no:
        await _count(site, form, no.reason)
        return JSONResponse({"result": "refused", "detail": no.said}, no.status, headers=headers)
    except TryLater as trouble:
        return JSONResponse({"result": "refused", "detail": translate_error(trouble)}, 503, headers=headers)
    except SwitchhookError:
        return JSONResponse({"result": "refused", "detail": _("That cannot be kept.")}, 422, headers=headers)
    del filed  # what the rules made of it is nobody's business outside
    return _thanks(request, form, fields, headers)


async def _count(site: Site, form: WebForm, reason: str) -> None:
    if reason == "too_many":
        site.records.forms.count_later(form.id, reason)
    else:
        await site.records.forms.count(form.id, reason)


async def _is_try_out(request: Request) -> bool:
    """A builder's server tries the address before it sends anything; nothing is kept of it."""
    length = request.headers.get("content-length", "")
    return length.isascii() and length.isdigit() and int(length[:9]) <= 32 and is_test(await request.body())


def _limiter(request: Request) -> MovingWindowRateLimiter:
    """Counts who sends; one for each application, a restart forgives."""
    state = request.app.state
    if not hasattr(state, "form_limits"):
        state.form_limits = MovingWindowRateLimiter(MemoryStorage())
    limiter: MovingWindowRateLimiter = state.form_limits
    return limiter


async def _form(site: Site, request: Request, token: str) -> WebForm | None:
    """The form of this token, if it is on."""
    address = address_key(address_of(request))
    if not _TOKEN.fullmatch(token) or not _limiter(request).test(UNKNOWN, "unknown", address):
        return None
    form = await site.records.forms.find(token_hash(token))
    if form is None:
        _limiter(request).hit(UNKNOWN, "unknown", address)
        return None
    if not form.active:
        site.records.forms.count_later(form.id, "off")
        return None
    return form


async def _admitted(request: Request, form: WebForm) -> tuple[dict[str, str], bytes]:
    """The fields and the very bytes, if it may be sent so. Raises Refused.

    The form's own allowance is counted last: what is refused for its sender's sake uses up nobody else's.
    """
    if form.secret is None:
        if request.headers.get("origin") not in form.origins:
            raise Refused(403, "origin", _("This site may not send this form."))
        _count_sender(request, OF_AN_ADDRESS, "from", form)
        body = await _body(request)
    else:
        body = await _signed_body(request, form, form.secret)
    if not _limiter(request).hit(OF_A_FORM, "form", str(form.id)):
        raise Refused(429, "too_many", _(TOO_MANY))
    return await _fields(request, body), body


async def _signed_body(request: Request, form: WebForm, secret: str) -> bytes:
    """What was sent, if it is signed. A right signature is never refused for others of the same address: a server that
    signs sends for everybody, and shares its address with its neighbours.
    """
    try:
        body = await _body(request)
        _check_signature(request, secret, body)
    except Refused:
        _count_sender(request, UNSIGNED, "unsigned", form)
        raise
    return body


def _count_sender(request: Request, allowed: RateLimitItemPerMinute, what: str, form: WebForm) -> None:
    if not _limiter(request).hit(allowed, what, str(form.id), address_key(address_of(request))):
        raise Refused(429, "too_many", _(TOO_MANY))


async def _body(request: Request) -> bytes:
    taken = bytearray()
    async for piece in request.stream():
        taken += piece
        if len(taken) > BODY_MOST:
            raise Refused(413, "too_large", _("That is more than a form may hold."))
    return bytes(taken)


def _check_signature(request: Request, secret: str, body: bytes) -> None:
    sent_id = request.headers.get("webhook-id", "")
    at = request.headers.get("webhook-timestamp", "")
    shown = request.headers.get("webhook-signature", "").split()
    if not sent_id or not at.isascii() or not at.isdecimal() or len(at) > 12:
        raise Refused(401, "signature", _("The request is not signed."))
    if abs(datetime.now(UTC).timestamp() - int(at)) > TOLERANCE_SECONDS:
        raise Refused(401, "too_old", _("The signature is too old, or the sender's clock is wrong."))
    right = signature(secret, sent_id, at, body)
    if not any(hmac.compare_digest(one.encode(), right.encode()) for one in shown[:10]):
        raise Refused(401, "signature", _("The signature is wrong."))


def signature(secret: str, sent_id: str, at: str, body: bytes) -> str:
    """As Standard Webhooks 1.0 has it: `v1,` and HMAC-SHA256 of id, time and body, base64."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"))
    except binascii.Error:
        key = secret.encode()
    made = hmac.new(key, f"{sent_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


async def _fields(request: Request, body: bytes) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "application/json":
            told = _of_json(body)
        elif kind == "multipart/form-data":
            told = await _of_multipart(request, body)
        else:
            told = _joined(pairs_of(body, request.headers.get("content-type", "")))
    except (ValueError, HTTPException, RecursionError) as wrong:
        raise Refused(400, "unreadable", _("That cannot be read as a form.")) from wrong
    kept = list(told.items())[: FIELDS_MOST + 3]
    return {
        json_text.clean(name.replace("\0", ""))[:100]: json_text.clean(value.replace("\0", ""))
        for name, value in kept
    }


def _of_json(body: bytes) -> dict[str, str]:
    told = json.loads(body)
    if not isinstance(told, dict):
        raise ValueError("not an object")
    return {str(name): _plain(value) for name, value in told.items()}


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value[:50])
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


async def _of_multipart(request: Request, body: bytes) -> dict[str, str]:
    """The body was read already, to be bounded and to be signed; it is told once more."""

    async def again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    form = await Bare(request.scope, again).form(max_files=0, max_fields=200)
    pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return _joined(pairs if _is_utf8(body) else in_letters(pairs, request.headers.get("content-type", "")))


def _is_utf8(body: bytes) -> bool:
    """Else the parts stand there as Latin-1, byte by byte."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _joined(pairs: Any) -> dict[str, str]:
    """Several boxes ticked under one name are one field."""
    told: dict[str, str] = {}
    for name, value in pairs:
        told[name] = f"{told[name]}, {value}" if told.get(name) else value
    return told


def _understood(request: Request, form: WebForm, fields: Mapping[str, str], body: bytes) -> Submission:
    ours: dict[str, str] = {}
    rest: dict[str, str] = {}
    for name, value in fields.items():
        if name in (HONEYPOT, THANKS, SENT_ID, CHARSET) or not value.strip():
            continue
        what = form.mapping.get(name) or meaning_of(name)
        if what and what not in ours:
            ours[what] = value.strip()
        if what != "message":
            rest[name] = value.strip()[:VALUE_MOST]
    ours |= read_by_value(rest, ours, site_of(request).settings.region or "ZZ")
    phone = " ".join(ours.get("phone", "").split())[:200] or None
    email = ours.get("email", "").lower()[:200]
    good = email if re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+", email) else None
    if phone is None and good is None:
        raise Refused(422, "nobody", _("There is neither a number nor an e-mail address to answer to."))
    sent_id = request.headers.get("webhook-id") if form.secret else fields.get(SENT_ID)
    what_was_sent = sorted(ours.items()) + sorted(rest.items()) if sent_id is None else []
    told = f"id:{sent_id}" if sent_id else f"text:{json_text.dumps(what_was_sent)}"
    del body
    return Submission(
        form_id=form.id,
        form=form.name,
        digest=hashlib.sha256(told.encode()).digest(),
        by_id=bool(sent_id),
        at=datetime.now(UTC),
        name=" ".join(ours.get("name", "").split())[:300] or None,
        phone=phone,
        email=good,
        message=ours.get("message", "")[:MESSAGE_MOST] or None,
        fields=dict(list(rest.items())[:FIELDS_MOST]),
        campaign_id=form.campaign_id,
    )


# -- answering --


def _cors(request: Request, form: WebForm) -> dict[str, str]:
    """What lets a page of an allowed site read our answer."""
    origin = request.headers.get("origin")
    if origin is None or origin not in form.origins:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Vary": "Origin",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }


def _thanks(
    request: Request, form: WebForm, fields: Mapping[str, str], headers: Mapping[str, str]
) -> Response:
    """The same for whatever became of it: a robot learns nothing."""
    place = fields.get(THANKS, "").strip()
    if place and is_of(place, form.origins):
        return RedirectResponse(place, 303, headers=dict(headers))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"result": TAKEN}, 200, headers=dict(headers))
    return PlainTextResponse(_("Thank you. We have your message."), headers=dict(headers))


def is_of(place: str, origins: tuple[str, ...]) -> bool:
    """Whether the address lies on one of these sites, and nothing about it is a trick."""
    if any(char in place for char in "\\\r\n\t") or not place.isprintable():
        return False
    try:
        parts = urlsplit(place)
    except ValueError:
        return False
    return parts.username is None and f"{parts.scheme}://{parts.netloc}" in origins

"""What a response means, by HTTP alone; adapters look at their CRM's own error codes first.

The rule behind the table: an answer that cannot have come from the CRM after it looked at the request (429, a 503 that
names a time) means that nothing was executed; an answer that can have come after a commit (500, 502, 504, a page of a
proxy, JSON cut off) means that nobody knows.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from crm_sync.exchange import Response, Verdict
from crm_sync.outcomes import Outcome
from crm_sync.retry import add_seconds

LONGEST_RETRY_AFTER = timedelta(hours=1)  # a CRM that says "next year" is asked again all the same
DEFAULT_RETRY_AFTER_SECONDS = 10.0
EXCERPT_CHARACTERS = 200
NO_JSON = object()


def classify_response(response: Response, now: datetime) -> Verdict:
    """The verdict where the CRM has no better one."""
    status, data = response.status, parse_json(response)
    if 200 <= status < 300:
        return classify_success(response, data)
    excerpt = build_excerpt(response)
    if 300 <= status < 400:
        address = response.headers.get("location", "")
        return Verdict(
            Outcome.NEEDS_ADMIN, f"The address leads elsewhere ({status} {address}): enter the final one"
        )
    match status:
        case 401:
            return Verdict(Outcome.NEEDS_ADMIN, f"Not authorized: {excerpt}", is_token_expired=True)
        case 402 | 403:
            return Verdict(Outcome.NEEDS_ADMIN, f"Not allowed ({status}): {excerpt}", is_about_method=True)
        case 404 | 405 | 410 if data is NO_JSON:
            detail = f"Nothing answers at this address ({status}): check it"
            return Verdict(Outcome.NEEDS_ADMIN, detail, is_about_method=True)
        case 429:
            return Verdict(Outcome.THROTTLED, "Too many requests", retry_at=read_retry_after(response, now))
        case 503 if "retry-after" in response.headers:
            return Verdict(Outcome.THROTTLED, "Not available", retry_at=read_retry_after(response, now))
        case 408:
            return Verdict(Outcome.UNKNOWN, "The CRM gave up waiting (408)")
        case _ if status >= 500:
            return Verdict(Outcome.UNKNOWN, f"Server error ({status}): {excerpt}")
        case _:
            return Verdict(Outcome.REJECTED, f"Rejected ({status}): {excerpt}")


def classify_success(response: Response, data: Any) -> Verdict:
    """2xx: only with a whole JSON body, or none at all."""
    if data is NO_JSON:
        detail = f"An answer that is no JSON ({response.status}): {build_excerpt(response)}"
        return Verdict(Outcome.UNKNOWN, detail)
    return Verdict(Outcome.DONE, data=data)


def parse_json(response: Response) -> Any:
    """The body's value, None of an empty body, NO_JSON when it is none (a page, or cut off)."""
    if not response.body.strip():
        return None
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return NO_JSON


def read_retry_after(response: Response, now: datetime) -> datetime:
    """When to come back: seconds or a date, within an hour; ten seconds when it does not say."""
    text = response.headers.get("retry-after", "").strip()
    at = add_seconds(now, DEFAULT_RETRY_AFTER_SECONDS)
    if text.isascii() and text.isdigit():
        at = now + min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER)
    elif text:
        try:
            parsed = parsedate_to_datetime(text)
        except ValueError:
            return at
        at = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return max(now, min(at, now + LONGEST_RETRY_AFTER))


def build_excerpt(response: Response) -> str:
    """What it says, in one short row."""
    text = response.body[: EXCERPT_CHARACTERS * 4].decode("utf-8", errors="replace")
    return " ".join(text.split())[:EXCERPT_CHARACTERS] or "no text"

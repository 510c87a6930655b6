"""Requests and answers as values: adapters describe them, the client sends them, a dry run prints them.

Adapters are generators without I/O (sans-I/O): a plan yields requests, is sent the answers and returns its result. So
the same code serves a live connection, a dry run and a test, and no adapter knows of sockets, budgets or tokens.
A request carries no secret until the client authorizes it; a dry run authorizes with masked credentials, so there is
no secret that it could show.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode

from crm_sync.outcomes import Outcome
from telephony.errors import SwitchhookError

MASK = "•••"
REQUEST_SECONDS = 70.0  # Bitrix24 cuts a request at 60 s; its answer to that is worth more than our time-out
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024  # 250 contacts with every field are below 2 MB
SHORTEST_SECRET = 6  # shorter texts are not looked for: a masked `1` would make every message unreadable


class Effect(StrEnum):
    """What a request does to the CRM: after a lost answer a read is simply repeated."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    """The CRM's name of what is called: for budgets, breakers and messages."""
    effect: Effect
    url: str
    """Below the connection's address, or whole (a token server)."""
    verb: str = "POST"
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    json: Any = None
    timeout_seconds: float = REQUEST_SECONDS

    def with_header(self, name: str, value: str) -> Request:
        """The same with one more header."""
        return replace(self, headers=(*self.headers, (name, value)))

    def describe(self) -> dict[str, Any]:
        """For a dry run, exactly as it would leave."""
        query = f"?{urlencode(self.query)}" if self.query else ""
        described: dict[str, Any] = {"request": f"{self.verb} {self.url}{query}"}
        if self.headers:
            described["headers"] = dict(self.headers)
        if self.json is not None:
            described["json"] = self.json
        return described


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a response means."""

    outcome: Outcome
    detail: str = ""
    data: Any = None
    """The parsed body of a good answer."""
    retry_at: datetime | None = None
    """When the limit ends; on a good answer: when the next request of this method will be accepted."""
    is_about_method: bool = False
    """Only this method is refused; the others may go on."""
    is_token_expired: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer, for the plan."""

    data: Any
    status: int = 200


class RequestFailed(SwitchhookError):
    """The CRM did not do what it was asked."""

    def __init__(self, request: Request, verdict: Verdict) -> None:
        super().__init__(f"{request.method}: {verdict.detail or verdict.outcome}")
        self.request = request
        self.verdict = verdict


class UnexpectedAnswer(SwitchhookError):
    """The CRM's answer is not as its documentation says."""


class TransportFailure(SwitchhookError):
    """The CRM could not be reached."""

    def __init__(self, message: str, *, may_be_executed: bool, needs_person: bool = False) -> None:
        super().__init__(message)
        self.may_be_executed = may_be_executed
        """Whether the request may have reached the CRM."""
        self.needs_person = needs_person


T = TypeVar("T")
Plan = Generator[Request, Answer, T]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens one CRM. Stored encrypted; never printed."""

    access_token: str = field(default="", repr=False)
    """Or API key, or the secret path of a webhook."""
    refresh_token: str = field(default="", repr=False)
    client_id: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    expires_at: datetime | None = None
    revision: int = 0
    """Counts renewals: who holds an older one takes the newer instead of renewing again."""

    def mask_in(self, text: str) -> str:
        """The text without any of the secrets: a CRM may answer with what it was sent."""
        for secret in (self.access_token, self.refresh_token, self.client_secret):
            for spelling in {secret, *secret.split("/")}:
                if len(spelling) >= SHORTEST_SECRET:
                    text = text.replace(spelling, MASK)
        return text


MASKED_CREDENTIALS = Credentials(MASK, MASK, MASK, MASK, MASK)


def encode_json(value: Any) -> bytes:
    """The bytes of a body: signed and sent alike."""
    return json.dumps(value, ensure_ascii=False).encode()


def get_value(data: Any, *path: str | int) -> Any:
    """What is there, else None: for fields that may be missing."""
    for step in path:
        if isinstance(step, int):
            data = data[step] if isinstance(data, list) and -len(data) <= step < len(data) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data


def walk_path(data: Any, *path: str | int) -> Any:
    """What is there, None where it is missing. Raises UnexpectedAnswer where the way leads through something else: a
    list that cannot be read is not an empty one."""
    for step in path:
        is_fitting = isinstance(data, list if isinstance(step, int) else dict)
        if data not in (None, [], {}) and not is_fitting:
            raise UnexpectedAnswer(f"The CRM's answer has no {'.'.join(map(str, path))}.")
        data = get_value(data, step)
    return data


def get_text(data: Any, *path: str | int) -> str:
    """A number or text that must be there, as text. Raises UnexpectedAnswer."""
    value = walk_path(data, *path)
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value):
        return str(value)
    raise UnexpectedAnswer(f"The CRM's answer has no {'.'.join(map(str, path)) or 'value'}.")


def get_id(data: Any, *path: str | int) -> str:
    """A number that must be there, as text. Raises UnexpectedAnswer: a CRM that answers nonsense has not done it."""
    text = get_text(data, *path)
    if text.isascii() and text.isdigit() and int(text) > 0:
        return text
    raise UnexpectedAnswer(f"The CRM's answer has no id {'.'.join(map(str, path))}.")


def get_list(data: Any, *path: str | int) -> list[Any]:
    """A list, empty where it is missing. Raises UnexpectedAnswer when it is something else."""
    value = walk_path(data, *path)
    if value is None or value == {}:
        return []
    if isinstance(value, list):
        return value
    raise UnexpectedAnswer(f"The CRM's answer has no list {'.'.join(map(str, path)) or 'of values'}.")


def get_map(data: Any, *path: str | int) -> dict[str, Any]:
    """A map; PHP sends an empty one as an empty list. Raises UnexpectedAnswer when it is something else."""
    value = walk_path(data, *path)
    if value is None or value == []:
        return {}
    if isinstance(value, dict):
        return value
    raise UnexpectedAnswer(f"The CRM's answer has no map {'.'.join(map(str, path)) or 'of values'}.")

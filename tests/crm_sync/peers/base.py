"""What a fake CRM is: written from its documentation, strict about fields it does not know, on the test's clock."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from crm_sync.adapters.base import ConnectionSettings
from crm_sync.exchange import Credentials, Request, Response
from tests.crm_sync.memory import VirtualClock


@dataclass
class FakePeer(ABC):
    """State, counters and violations of one CRM."""

    clock: VirtualClock
    writes: int = 0
    """Requests that changed something."""
    renewals: int = 0
    refused: int = 0
    """Requests over the limit."""
    violations: list[str] = field(default_factory=list)
    """What the adapter sent that the documentation does not know; must stay empty."""
    lost_renewals: int = 0
    """So many renewals are executed without an answer."""
    limit_per_second: float | None = None
    limit_burst: int = 1
    _level: float = 0.0
    _leaked_at: float = 0.0
    _last_id: int = 100

    @property
    @abstractmethod
    def settings(self) -> ConnectionSettings:
        """How to connect."""

    @property
    @abstractmethod
    def credentials(self) -> Credentials:
        """That are valid now."""

    @abstractmethod
    def handle(self, request: Request) -> Response:
        """What the CRM answers."""

    @abstractmethod
    def add_contact(self, phone: str, name: str = "Contact") -> str:
        """Somebody who is in the CRM already; the id."""

    @abstractmethod
    def list_logged_calls(self) -> list[tuple[str, int]]:
        """Call key and start (unix time) of every call that people see in the CRM, in order."""

    @abstractmethod
    def list_recordings(self) -> list[str]:
        """The call key of every recording on a call."""

    @abstractmethod
    def expire_token(self) -> None:
        """The access token's time is over."""

    def take_id(self) -> int:
        """The next one."""
        self._last_id += 1
        return self._last_id

    def is_over_limit(self) -> bool:
        """A leaky bucket, where a test sets one."""
        if self.limit_per_second is None:
            return False
        now = self.clock.now().timestamp()
        self._level = max(0.0, self._level - (now - self._leaked_at) * self.limit_per_second)
        self._leaked_at = now
        if self._level + 1 > self.limit_burst + 1e-6:
            self.refused += 1
            return True
        self._level += 1
        return False

    def check_fields(self, where: str, given: dict[str, Any], allowed: str) -> None:
        """Note every field that the documentation does not have."""
        self.violations += [f"{where}: {name}" for name in given if name not in allowed.split()]


def answer(data: Any, status: int = 200, **headers: str) -> Response:
    """A response with a JSON body."""
    body = b"" if data is None else json.dumps(data).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def get_path(request: Request) -> str:
    """Without host and query."""
    return urlsplit(request.url).path


def get_header(request: Request, name: str) -> str:
    """Empty where it is missing."""
    return next((value for other, value in request.headers if other.lower() == name.lower()), "")

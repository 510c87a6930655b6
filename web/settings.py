"""What the pages need to be told: frozen, filled by `switchhook.settings.settings`, which alone reads the
environment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, timedelta, tzinfo
from urllib.parse import urlsplit

from telephony.numbers.numbers import Numbering
from telephony.staff import Role
from web.http.proxies import ProxyTrust, is_local_name
from web.http.request_limits import PER_ACCOUNT, PER_ADDRESS, Allowance


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Every choice of the web part. The defaults are what a small office on its own network wants."""

    public_url: str | None = None
    """How browsers reach us, e.g. `https://calls.example.com`. With https the cookie is `Secure` and
    `__Host-`.
    """
    setup_code: str | None = None
    """One-time code printed in the terminal; without it nobody can make the first administrator."""
    region: str | None = None
    """Two letters of the country whose numbers are written in the national way, e.g. `RU`."""
    numberings: tuple[Numbering, ...] = ()
    """How each PBX numbers its phones and lines, as the configuration says."""
    time_zone: tzinfo = field(default=UTC)
    """The office's wall clock, used for every time on a page."""
    office_name: str = "Switchhook"
    session_days: int = 14
    """A sign-in lasts two weeks: long enough not to annoy, short enough that a lost laptop forgets."""
    mask_numbers_for: frozenset[Role] = frozenset()
    """Roles that see only the last two digits of outside numbers, on pages, API and stream alike."""
    metrics_token: str | None = None
    """Lets a scraper from elsewhere read /metrics; without it only this machine may, and only where no proxy is."""
    trusted_proxies: tuple[str, ...] | None = None
    """Networks of the reverse proxies whose X-Forwarded-For is believed. None: this machine's own."""
    requests_of_account: Allowance = PER_ACCOUNT
    requests_of_address: Allowance = PER_ADDRESS
    version: str = ""
    debug: bool = False
    """Demo and tests only: allows `?dir=rtl` and `?theme=dark` previews."""
    pseudo_language: bool = False
    """Developers only: offers a made-up language in which what is not translated stands out."""
    standing_notice: str | None = None
    """A sentence at the head of every page, sign-in included: what is shown is not what it seems (a demo of
    recorded calls).
    """
    demo_logins: tuple[tuple[str, str], ...] = ()
    """(login, password) shown on the sign-in page of the demo; empty everywhere else."""
    heartbeat_seconds: float = 10.0
    """A live stream says something at least this often, so that a dead link is noticed by both sides."""
    session_check_seconds: float = 18.0
    """A stream looks up its session this often; with a heartbeat between, a revocation elsewhere ends it
    within 30 s.
    """

    @property
    def trust(self) -> ProxyTrust:
        """Who may speak for others."""
        return ProxyTrust() if self.trusted_proxies is None else ProxyTrust(self.trusted_proxies)

    @property
    def behind_proxy(self) -> bool:
        """Whether strangers' requests may come from this machine's own address."""
        name = urlsplit(self.public_url).hostname if self.public_url else None
        return self.trusted_proxies is not None or (name is not None and not is_local_name(name))

    @property
    def https(self) -> bool:
        """Whether browsers reach us over TLS."""
        return (self.public_url or "").startswith("https://")

    @property
    def session_lifetime(self) -> timedelta:
        """How long a sign-in lasts."""
        return timedelta(days=self.session_days)

"""Who is asking: passwords, sessions, tokens, and the guards every route names.

A browser holds an opaque random token in a cookie; the store holds only its hash, so a stolen database
signs nobody in. Every change from a browser needs the session's CSRF token and, where the browser sends
one, our own Origin. Programs use a personal token in the Authorization header, on the API only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Request
from fastapi.responses import Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from call_records.types import Account, Records, Session
from telephony.errors import SwitchhookError, TryLater
from telephony.recordings import HearScope
from telephony.staff import Role, TokenScope
from web.auth.csrf_mask import mask_token, unmask_token
from web.auth.sign_in_limits import SignInLimits, TooManyTries
from web.http.request_limits import Buckets, TooManyRequests
from web.languages.catalogues import Languages
from web.languages.messages import _, ngettext, use_language
from web.languages.requests import language_for, remember_language
from web.presenters.masking import View, view_of
from web.settings import WebSettings

PASSWORD_LEAST = 10  # characters; NIST SP 800-63B asks for 8 at least, we have no second factor yet
PASSWORD_MOST = 256  # characters; argon2 takes any length, a form field should not
TOKEN_BYTES = 32  # 256 bits of randomness: cannot be guessed, so a plain SHA-256 of it is enough in the store
HASHINGS_AT_ONCE = 2  # each takes 64 MiB and a core for ~300 ms; a flood of sign-ins must not eat the machine
HASHINGS_WAITING = 32  # some 5 s of them; whoever comes then is asked to try again rather than to wait longer


class NotSignedIn(SwitchhookError):
    """Please sign in first."""


class NotAllowed(SwitchhookError):
    """You don't have access to this page."""


class NotFound(SwitchhookError):
    """This page was not found."""


class FormExpired(SwitchhookError):
    """This form was not sent from a page of ours that is still valid. Please reload the page and try
    again.
    """


class NewPasswordNeeded(SwitchhookError):
    """Please choose a new password first: the present one was made by an administrator."""


class Passwords:
    """Argon2id in a thread, a few at a time."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))
        self._room = asyncio.Semaphore(HASHINGS_AT_ONCE)
        self._present = 0

    async def hash(self, password: str) -> str:
        """The hash to store. Raises TryLater when too many wait already."""
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether it is the right password. None (no such account) takes as long as a wrong one.

        Raises TryLater when too many wait already.
        """
        async with self._turn():
            return await asyncio.to_thread(self._verify, password, stored)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._present >= HASHINGS_AT_ONCE + HASHINGS_WAITING:
            raise TryLater("Many people sign in at this moment.", remedy="Try again in a few seconds.")
        self._present += 1
        try:
            async with self._room:
                yield
        finally:
            self._present -= 1

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, password: str, stored: str | None) -> bool:
        try:
            right = self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return right and stored is not None


def password_problem(password: str, login: str) -> str | None:
    """Why this password will not do, in one sentence, or None."""
    if len(password) < PASSWORD_LEAST:
        said = ngettext(
            "Please choose a password of at least {n} character. A short sentence is easy to remember.",
            "Please choose a password of at least {n} characters. A short sentence is easy to remember.",
            PASSWORD_LEAST,
        )
        return said.format(n=PASSWORD_LEAST)
    if len(password) > PASSWORD_MOST:
        said = ngettext(
            "Please choose a password of at most {n} character.",
            "Please choose a password of at most {n} characters.",
            PASSWORD_MOST,
        )
        return said.format(n=PASSWORD_MOST)
    if login and login.casefold() in password.casefold():
        return _("Please choose a password that does not contain the sign-in name.")
    return None


def new_token() -> tuple[str, bytes]:
    """A fresh secret for a cookie or a program, and what the store keeps of it."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    return token, token_hash(token)


def token_hash(token: str) -> bytes:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def csrf_of(token: str) -> str:
    """The session's CSRF token: derived from the cookie, so nothing more is stored and it dies with the
    session.
    """
    return hmac.new(token.encode(), b"switchhook csrf", hashlib.sha256).hexdigest()


LINK_ASKINGS = RateLimitItemPerMinute(600, 5)  # pieces of sound for one address; an hour is 40 pieces
UNKNOWN_LINKS = RateLimitItemPerMinute(20, 5)  # a link that ended is tried a few times; a script may not
OPENING_SECONDS = 600.0  # a reload or a seek within ten minutes is the same opening of a link
OPENINGS_REMEMBERED = 4096  # some 400 kB; forgetting one writes a line more, never one less


class LinkLimits:
    """Counts who follows shared links, by address, and knows which opening is new. Per process."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._opened: OrderedDict[tuple[object, ...], float] = OrderedDict()

    def check(self, address: str) -> None:
        """Raises TooManyTries when this address has asked too often."""
        if not self._limiter.test(UNKNOWN_LINKS, "unknown", address):
            raise TooManyTries
        if not self._limiter.hit(LINK_ASKINGS, "asked", address):
            raise TooManyTries

    def unknown(self, address: str) -> None:
        """The link does not exist, or no longer."""
        self._limiter.hit(UNKNOWN_LINKS, "unknown", address)

    def is_new(self, *what: object) -> bool:
        """Whether this was not seen lately. It counts from now on."""
        now = time.monotonic()
        last = self._opened.pop(what, None)
        self._opened[what] = now
        while len(self._opened) > OPENINGS_REMEMBERED:
            self._opened.popitem(last=False)
        return last is None or now - last > OPENING_SECONDS


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking. `session` is None for a program with a personal token."""

    account: Account
    session: Session | None
    csrf: str
    view: View
    scopes: frozenset[TokenScope] = frozenset(TokenScope)
    """What the token may do; a browser is not bound by scopes."""

    @property
    def must_change_password(self) -> bool:
        """Whether somebody else knows the password this browser signed in with."""
        return self.session is not None and self.account.password_temporary

    @property
    def is_administrator(self) -> bool:
        """Whether the administrator's pages are open."""
        return self.account.role is Role.ADMINISTRATOR


class Gate:
    """Lets people and programs in. One per application; the routes' guards ask it."""

    def __init__(
        self,
        records: Records,
        settings: WebSettings,
        passwords: Passwords,
        languages: Languages | None = None,
    ) -> None:
        self.records = records
        self.settings = settings
        self.passwords = passwords
        self.languages = languages or Languages()
        self.limits = SignInLimits(records.sign_in_tries)
        self.link_limits = LinkLimits()
        self.requests = Buckets(settings.requests_of_account)
        self.setup_code = settings.setup_code
        """What makes the first administrator; all processes over one database have the same."""
        self._someone_exists = False

    @property
    def cookie_name(self) -> str:
        """`__Host-` binds the cookie to this host over TLS; browsers refuse the prefix without it."""
        return "__Host-switchhook" if self.settings.https else "switchhook"

    async def needs_first_account(self) -> bool:
        """Whether nobody can sign in yet. Remembered once somebody can."""
        if not self._someone_exists:
            self._someone_exists = await self.records.accounts.any_exist()
        return not self._someone_exists

    def right_setup_code(self, told: str) -> bool:
        """Whether it is the code from the terminal."""
        code = self.setup_code
        return code is not None and hmac.compare_digest(told.strip().encode(), code.encode())

    async def sign_in(self, login: str, password: str, address: str) -> Account | None:
        """The account, or None. Unknown, switched off and wrong all look the same. Raises TooManyTries."""
        tries = await self.limits.take(login, address)
        account = await self.records.accounts.by_login(login)
        usable = account if account and account.active else None
        try:
            right = await self.passwords.matches(password, usable.password_hash if usable else None)
        except TryLater:
            await self.limits.give_back(tries)  # nothing was learned from it
            raise
        if not right or usable is None:
            return None
        await self.limits.give_back(tries)
        return usable

    async def open_session(self, account: Account, request: Request, response: Response) -> None:
        """Sign this browser in."""
        token, hashed = new_token()
        await self.records.sessions.open(
            account_id=account.id,
            token_hash=hashed,
            expires_at=datetime.now(UTC) + self.settings.session_lifetime,
            browser=browser_name(request.headers.get("user-agent", "")),
            password_hash=account.password_hash,
        )
        response.set_cookie(
            self.cookie_name,
            token,
            max_age=int(self.settings.session_lifetime.total_seconds()),
            httponly=True,
            samesite="lax",
            secure=self.settings.https,
            path="/",
        )
        language = self.languages.get(account.language)
        if language is not None:
            remember_language(response, language, https=self.settings.https)

    def forget(self, response: Response) -> None:
        """Take the cookie back."""
        response.delete_cookie(
            self.cookie_name, path="/", httponly=True, samesite="lax", secure=self.settings.https
        )

    async def by_cookie(self, request: Request) -> Viewer | None:
        """Who holds this cookie."""
        token = request.cookies.get(self.cookie_name)
        if not token:
            return None
        found = await self.records.sessions.find(token_hash(token))
        if found is None:
            return None
        session, account = found
        use_language(language_for(self.languages, request, account.language))
        return Viewer(account, session, mask_token(csrf_of(token)), view_of(account, self.settings))

    async def by_bearer(self, request: Request) -> Viewer | None:
        """Whose program this is."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        found = await self.records.tokens.find(token_hash(token.strip()))
        if found is None:
            return None
        use_language(language_for(self.languages, request, found[1].language))
        return Viewer(found[1], None, "", view_of(found[1], self.settings), found[0].scopes)

    def check_origin(self, request: Request) -> None:
        """Raises FormExpired when a browser says that another site sent this."""
        origin = request.headers.get("origin")
        if origin is None:
            if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise FormExpired
            return
        expected = urlsplit(self.settings.public_url).netloc if self.settings.public_url else None
        if urlsplit(origin).netloc not in {expected, request.headers.get("host")} - {None}:
            raise FormExpired

    async def check_change(self, request: Request, viewer: Viewer) -> None:
        """Raises FormExpired unless this change was made on a page of ours, by this session."""
        if viewer.session is None:
            return  # a program's token is not sent along by browsers on their own
        self.check_origin(request)
        told = request.headers.get("x-csrf-token")
        if told is None and request.headers.get("content-type", "").startswith(FORMS):
            value = (await request.form(max_files=1, max_fields=FIELDS_MOST)).get("csrf")
            told = value if isinstance(value, str) else None
        if told is None or not hmac.compare_digest(unmask_token(told), unmask_token(viewer.csrf)):
            await request.close()  # a file that came along is not left open
            raise FormExpired


def gate_of(request: Request) -> Gate:
    """The application's gate."""
    gate = request.app.state.gate
    if not isinstance(gate, Gate):
        raise TypeError("the application was not made by create_app")
    return gate


FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
FIELDS_MOST = 1000  # as Starlette has it; what may be sent in all is bounded by the shield

_READING = frozenset({"GET", "HEAD", "OPTIONS"})

ANYONE_SIGNED_IN = frozenset(Role)
SUPERVISORS = frozenset({Role.SUPERVISOR, Role.ADMINISTRATOR})
ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})


def may_list_recordings(account: Account) -> bool:
    """Whether an account has a list of recordings at all: it hears somebody's, or looks after everybody's."""
    return account.role in ADMINISTRATORS or account.hears is not HearScope.NONE


def guard(
    roles: frozenset[Role], *, scope: TokenScope | None = None, new_password_later: bool = False
) -> Callable[[Request], Awaitable[Viewer]]:
    """A dependency that lets these roles in, checks every change, and hands the route its viewer.

    With a `scope` programs come in too, by a token that has it. Somebody whose password was made by an administrator
    comes in only where `new_password_later` is said.
    """

    async def let_in(request: Request) -> Viewer:
        gate = gate_of(request)
        viewer = await gate.by_bearer(request) if scope is not None else None
        viewer = viewer or await gate.by_cookie(request)
        if viewer is None:
            raise NotSignedIn
        if not gate.requests.take(viewer.account.id):
            raise TooManyRequests
        if viewer.session is None and scope not in viewer.scopes:
            raise NotAllowed(
                "This token may not do this: it needs “{scope}”.",
                remedy="Make a token that may, under My settings.",
                values={"scope": scope},
            )
        if viewer.must_change_password and not new_password_later:
            raise NewPasswordNeeded
        if viewer.account.role not in roles:
            raise NotAllowed
        if request.method not in _READING:
            await gate.check_change(request, viewer)
        return viewer

    return let_in


def address_of(request: Request) -> str:
    """The peer's address; behind a proxy, uvicorn has already put the forwarded one there."""
    return request.client.host if request.client else "unknown"


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def browser_name(agent: str) -> str:
    """`Firefox on Windows`: enough for a person to know their own browser in a list."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "A program")
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    return f"{browser} on {system}" if system else browser

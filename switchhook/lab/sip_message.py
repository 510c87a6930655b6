"""SIP on paper: reading and writing messages, digest answers, session descriptions. No sockets, no state.

As much of RFC 3261 as a desk phone on a quiet loopback needs.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote

_COMPACT = {
    "i": "call-id",
    "f": "from",
    "t": "to",
    "v": "via",
    "m": "contact",
    "l": "content-length",
    "r": "refer-to",
    "c": "content-type",
    "s": "subject",
    "k": "supported",
}

REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    202: "Accepted",
    302: "Moved Temporarily",
    404: "Not Found",
    480: "Temporarily Unavailable",
    481: "Call Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    503: "Service Unavailable",
    603: "Decline",
}

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One request or response."""

    start: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, compact forms spelled out, in the order of the wire."""
    body: str

    @property
    def code(self) -> int:
        """The status of a response; 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        """The request's method; for a response that of the request it answers."""
        return self.get("cseq").split()[-1] if self.code else self.start.split()[0]

    @property
    def sequence(self) -> int:
        """The number in CSeq."""
        return int(self.get("cseq").split()[0])

    @property
    def branch(self) -> str:
        """The branch of the topmost Via: which transaction this belongs to."""
        found = re.search(r"branch=([^;,\s]+)", self.get("via"))
        return found.group(1) if found else ""

    def get(self, name: str) -> str:
        """The first header of that name, or an empty text."""
        return next((value for header, value in self.headers if header == name), "")

    def all(self, name: str) -> list[str]:
        """All headers of that name."""
        return [value for header, value in self.headers if header == name]


def parse_sip(data: bytes) -> SipMessage | None:
    """The message in a datagram; None for a keep-alive or for what is no SIP."""
    head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    if "SIP/2.0" not in start:
        return None
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        lowered = name.strip().lower()
        headers.append((_COMPACT.get(lowered, lowered), value.strip()))
    return SipMessage(start, tuple(headers), body)


def write_sip(start: str, headers: Headers, body: str = "") -> bytes:
    """The datagram. Content-Length is added; the caller names the Content-Type."""
    lines = [start, *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def write_reply(request: SipMessage, code: int, *, tag: str, headers: Headers = (), body: str = "") -> bytes:
    """The response to a request, with our tag in To unless one is there."""
    to = request.get("to")
    kept = [("Via", via) for via in request.all("via")]
    kept += [("Record-Route", route) for route in request.all("record-route")]
    kept += [
        ("From", request.get("from")),
        ("To", to if ";tag=" in to else f"{to};tag={tag}"),
        ("Call-ID", request.get("call-id")),
        ("CSeq", request.get("cseq")),
        *headers,
    ]
    return write_sip(f"SIP/2.0 {code} {REASONS.get(code, 'Answer')}", kept, body)


def new_token(length: int = 16) -> str:
    """Random letters for tags, branches and Call-IDs."""
    return secrets.token_hex(length // 2)


def tag_of(address: str) -> str:
    """The tag parameter of a From or To."""
    found = re.search(r";tag=([^;>\s]+)", address)
    return found.group(1) if found else ""


def uri_of(address: str) -> str:
    """The URI of a From, To or Contact, without the angle brackets."""
    found = re.search(r"<([^>]+)>", address)
    return found.group(1) if found else address.split(";")[0]


def user_of(address: str) -> str:
    """The user part of an address, percent-decoded."""
    found = re.search(r"sips?:([^@;>]*)@", address)
    return unquote(found.group(1)) if found else ""


def name_of(address: str) -> str:
    """The display name of an address; empty when it has none."""
    quoted = re.match(r'\s*"((?:[^"\\]|\\.)*)"', address)
    if quoted:
        return re.sub(r"\\(.)", r"\1", quoted.group(1))
    return address.partition("<")[0].strip() if "<" in address else ""


def quoted_name(name: str) -> str:
    """A display name as it is written in a header, quotes and backslashes escaped."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encoded_user(user: str) -> str:
    """A user part with everything percent-encoded that RFC 3261 does not allow to stand bare."""
    return quote(user, safe="+*#%-_.!~'()&=$,;?/")


def digest_answer(
    challenge: SipMessage, *, method: str, uri: str, user: str, password: str
) -> tuple[str, str]:
    """The header that answers a 401 or 407 (MD5, which is what Asterisk 16 to 22 ask for)."""
    proxy = challenge.code == 407
    asked = challenge.get("proxy-authenticate" if proxy else "www-authenticate")
    fields = {
        name.lower(): quoted or bare
        for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', asked)
    }
    realm, nonce, client_nonce = fields.get("realm", ""), fields.get("nonce", ""), new_token()
    secret = _md5(f"{user}:{realm}:{password}")
    request = _md5(f"{method}:{uri}")
    response = _md5(f"{secret}:{nonce}:00000001:{client_nonce}:auth:{request}")
    opaque = f', opaque="{fields["opaque"]}"' if "opaque" in fields else ""
    return (
        "Proxy-Authorization" if proxy else "Authorization",
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", qop=auth, nc=00000001, '
        f'cnonce="{client_nonce}", response="{response}", algorithm=MD5{opaque}',
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def session_description(host: str, port: int, *, version: int, direction: str) -> str:
    """SDP offering A-law audio and telephone-event keys; `direction` is sendrecv, sendonly or recvonly."""
    return (
        f"v=0\r\no=- 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        f"a=fmtp:101 0-15\r\na=ptime:20\r\na={direction}\r\n"
    )


def audio_address(description: str) -> tuple[str, int] | None:
    """Where the other side wants its audio, out of its SDP."""
    port = re.search(r"^m=audio (\d+)", description, re.MULTILINE)
    host = re.search(r"^c=IN IP4 (\S+)", description, re.MULTILINE)
    return (host.group(1).strip(), int(port.group(1))) if port and host else None

"""Which addresses a connection may reach (SSRF guard): a CRM's address is typed by a person, and a name can resolve to
our own network. The check is made on the address that is connected to, after every resolution (DNS rebinding).

Private networks are allowed per connection by an administrator, for a CRM in the same building. Cloud metadata
(link-local), multicast and the unspecified address are never allowed.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from telephony.errors import NeedsPerson

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address is in its last four bytes (RFC 6052)


class AddressRefused(OSError):
    """The connection may not reach that address."""


def check_url(url: str, *, allow_private: bool) -> None:
    """Raises NeedsPerson for an address that can never be right."""
    try:
        split = urlsplit(url)
        host = split.hostname
        _ = split.port
    except ValueError as error:
        raise NeedsPerson(f"This is not an address: {error}.", remedy="Enter it as https://…") from error
    if split.scheme not in ("https", "http") or not host:
        raise NeedsPerson("The address must begin with https://.", remedy="Enter it as https://…")
    if split.username or split.password:
        raise NeedsPerson("The address contains a password.", remedy="Enter the password in its own field.")
    if split.scheme == "http" and not allow_private:
        raise NeedsPerson(
            "Without https:// the password would travel readable.",
            remedy="Enter https://, or allow private networks when the CRM is in your own network.",
        )
    literal = parse_ip(host)
    if literal is not None and is_refused(literal, allow_private=allow_private):
        raise NeedsPerson(
            f"{host} is an address of a private network.",
            remedy="Allow private networks for this connection when that is meant.",
        )


def check_resolved(host: str, address: str, *, allow_private: bool) -> None:
    """Raises AddressRefused when a name leads where the connection may not."""
    resolved = parse_ip(address)
    if resolved is None or is_refused(resolved, allow_private=allow_private):
        raise AddressRefused(f"{host} leads to {address}, an address of a private network")


def is_refused(address: IpAddress, *, allow_private: bool) -> bool:
    """Whether a connection may not reach it."""
    inner = find_embedded_ipv4(address)
    if inner is not None:
        return is_refused(inner, allow_private=allow_private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    return not allow_private and not address.is_global


def find_embedded_ipv4(address: IpAddress) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return None


def parse_ip(text: str) -> IpAddress | None:
    """A literal address, with or without a zone; None for a name."""
    try:
        return ipaddress.ip_address(text.split("%", 1)[0])
    except ValueError:
        return None

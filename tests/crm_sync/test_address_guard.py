"""Which addresses a connection may reach."""

from __future__ import annotations

import ipaddress

import pytest

from crm_sync.address_guard import check_url, is_refused
from telephony.errors import NeedsPerson

PRIVATE = ["10.0.0.1", "127.0.0.1", "192.168.0.10", "100.64.0.1", "::1", "fd00::1"]
NEVER = ["169.254.169.254", "0.0.0.0", "224.0.0.1", "::", "fe80::1", "ff02::1"]
DISGUISED = ["::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a00:1"]
PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"]


@pytest.mark.parametrize("address", PRIVATE + NEVER + DISGUISED)
def test_refused(address: str) -> None:
    """By itself and in disguise."""
    assert is_refused(ipaddress.ip_address(address), allow_private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_allowed(address: str) -> None:
    """The internet."""
    assert not is_refused(ipaddress.ip_address(address), allow_private=False)


@pytest.mark.parametrize(("address", "refused"), [(a, False) for a in PRIVATE] + [(a, True) for a in NEVER])
def test_private_networks_when_allowed(address: str, refused: bool) -> None:
    """A CRM in the same building; never cloud metadata."""
    assert is_refused(ipaddress.ip_address(address), allow_private=True) is refused


@pytest.mark.parametrize(
    "url",
    [
        "ftp://crm.example.com",
        "crm.example.com",
        "https://",
        "https://user:password@crm.example.com",
        "http://crm.example.com",
        "https://127.0.0.1/rest",
        "https://[::1]:8443",
        "https://[::ffff:10.0.0.1]/",
        "https://crm.example.com:port",
        "https://[crm",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_can_never_be_right(url: str) -> None:
    """With a remedy."""
    with pytest.raises(NeedsPerson) as refused:
        check_url(url, allow_private=False)
    assert refused.value.remedy


def test_ordinary_addresses() -> None:
    """Of a cloud, and of one's own server."""
    check_url("https://portal.example.com:8443/crm", allow_private=False)
    check_url("http://192.168.0.10:8069", allow_private=True)

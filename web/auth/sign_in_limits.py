"""How often a password may be tried (brute-force throttling).

Each try is counted before the password is hashed and given back when it was right: many guesses at once are as many as
one after the other. Three things are counted: the address, the name from that address, and the name from everywhere,
so that neither one script nor a thousand addresses can go on guessing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from call_records.types import SignInTries, TryLimit
from telephony.errors import SwitchhookError

FIVE_MINUTES = 300.0  # s
HALF_AN_HOUR = 1800.0  # s
TRIES_OF_A_NAME_HERE = 5  # in five minutes; somebody who has forgotten notices by then
TRIES_OF_AN_ADDRESS = 30  # in five minutes; an office behind one address may mistype, a script may not
# In half an hour: 1,440 guesses a day at most, from however many addresses. Whoever is signed in stays so.
TRIES_OF_A_NAME = 30
IPV6_SITE_BITS = 64  # one customer has at least a /64: single addresses of it cost nothing


class TooManyTries(SwitchhookError):
    """Too many tries. Please wait five minutes and try again."""


class SignInLimits:
    """Counts tries, in the store: for all web processes together, and over a restart."""

    def __init__(self, tries: SignInTries) -> None:
        self._tries = tries

    async def take(self, login: str, address: str) -> Sequence[int]:
        """One more try. Raises TooManyTries when there were too many; without a login only the address counts."""
        taken = await self._tries.take(limits_for(login, address))
        if taken is None:
            raise TooManyTries
        return taken

    async def give_back(self, tries: Sequence[int]) -> None:
        """It was right."""
        await self._tries.give_back(tries)


def limits_for(login: str, address: str) -> list[TryLimit]:
    """What a try counts in."""
    site, name = site_of_address(address), login.casefold()
    limits = [TryLimit(f"address {site}", TRIES_OF_AN_ADDRESS, FIVE_MINUTES)]
    if name:
        limits.append(TryLimit(f"name {name} from {site}", TRIES_OF_A_NAME_HERE, FIVE_MINUTES))
        limits.append(TryLimit(f"name {name}", TRIES_OF_A_NAME, HALF_AN_HOUR))
    return limits


def site_of_address(address: str) -> str:
    """The address, or of IPv6 the network that one customer has."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_SITE_BITS), strict=False))

"""A real Asterisk and SIP phones for any test.

`asterisk` is one for the whole run (quick), `fresh_asterisk` one for this test alone (to kill it). `phones` brings
handsets and the carrier, and puts them away afterwards. SWITCHHOOK_ASTERISK chooses the suite: sid (22) or bullseye (16).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import DEFAULT_SUITE, AsteriskInstall, NoAsterisk, find_asterisk
from switchhook.lab.phones import Carrier, Phone
from tests.requirements import declare_unavailable, require_programs


@pytest.fixture(scope="session")
def asterisk_install() -> AsteriskInstall:
    """An Asterisk that runs; without one the test is skipped, or fails where SWITCHHOOK_REQUIRE asks for one."""
    try:
        return find_asterisk(os.environ.get("SWITCHHOOK_ASTERISK", DEFAULT_SUITE))
    except NoAsterisk as nothing:
        declare_unavailable("asterisk", f"{nothing} {nothing.remedy}")


@pytest.fixture(scope="session")
def asterisk(asterisk_install: AsteriskInstall) -> Iterator[PrivateAsterisk]:
    """The office's Asterisk, shared by all tests: leave no call behind, never stop it."""
    shared = PrivateAsterisk(asterisk_install)
    with asyncio.Runner() as runner:
        runner.run(shared.__aenter__())
        yield shared
        runner.run(shared.__aexit__(None, None, None))


@pytest.fixture
async def fresh_asterisk(asterisk_install: AsteriskInstall) -> AsyncIterator[PrivateAsterisk]:
    """An Asterisk for this test alone; it may be killed and started again."""
    async with PrivateAsterisk(asterisk_install) as own:
        yield own


class PhoneRoom:
    """The phones of one test at one Asterisk."""

    def __init__(self, asterisk: PrivateAsterisk, room: AsyncExitStack) -> None:
        self._asterisk = asterisk
        self._room = room

    async def handset(self, extension: str) -> Phone:
        """A desk phone, registered."""
        return await self._room.enter_async_context(Phone.handset(extension, self._asterisk))

    async def handsets(self, *extensions: str) -> list[Phone]:
        """Several, in the order asked for."""
        return [await self.handset(extension) for extension in extensions]

    async def carrier(self) -> Carrier:
        """The outside world: at most one per test."""
        return await self._room.enter_async_context(Carrier(self._asterisk))


@pytest.fixture
async def phones(asterisk: PrivateAsterisk) -> AsyncIterator[PhoneRoom]:
    """Phones at the shared Asterisk, put away after the test."""
    async with AsyncExitStack() as room:
        yield PhoneRoom(asterisk, room)


@pytest.fixture
async def fresh_phones(fresh_asterisk: PrivateAsterisk) -> AsyncIterator[PhoneRoom]:
    """Phones at this test's own Asterisk."""
    async with AsyncExitStack() as room:
        yield PhoneRoom(fresh_asterisk, room)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A PEM file with a certificate for localhost and its key, made for this test."""
    require_programs("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run(
        [*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=30
    )
    certificate.write_text(certificate.read_text() + key.read_text())
    return certificate

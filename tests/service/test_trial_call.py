"""`switchhook doctor --test-call` at a real Asterisk with phones: beside a running service, and by itself."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from call_records.store import open_records
from switchhook.doctor.trial_call import TOKEN_NAME, count_channels
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.phone_media import tone
from switchhook.settings.tables import PbxSettings
from telephony.staff import PopPreference, Role
from tests.asterisk_fixtures import PhoneRoom
from tests.service.conftest import MakeService, configuration, database_at

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]

INVITED = "within 60 seconds"
PATIENCE_SECONDS = 280.0  # a private service makes its database first, on a machine that may be busy


class TypedDoctor:
    """The command in a process of its own; its progress is on standard error, the report on standard output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, text: str) -> bool:
        """Wait until it says so; False when it ended without."""
        assert self._process.stderr is not None
        while line := (await self._process.stderr.readline()).decode():
            print(line, end="")
            if text in line:
                return True
        return False

    async def invites(self) -> None:
        """It is ready for the call."""
        assert await self.says(INVITED)

    async def report(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """Its exit code, and what it found of the call: by stage, or else by its sentence."""
        out, err = await self._process.communicate()
        print(err.decode())
        found = [each for each in json.loads(out) if each["area"] == "test call"]
        return self._process.returncode or 0, {each["what"].partition(":")[0]: each for each in found}


async def typed(config: Path, *extension: str) -> TypedDoctor:
    """`doctor --test-call [EXTENSION]`."""
    words = ["doctor", "--format", "json", "--config", str(config), "--test-call", *extension]
    return TypedDoctor(
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "switchhook",
            *words,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    )


async def call_and_talk(phones: PhoneRoom, doctor: TypedDoctor) -> None:
    """101 calls 102, they hear each other, and hang up when the doctor says so (or has ended)."""
    anna, boris = await phones.handsets("101", "102")
    anna.voice, boris.voice = partial(tone, 1000), partial(tone, 600)
    call = await anna.dial("102")
    ringing = await boris.incoming()
    await ringing.answer()
    await call.answered()
    await call.hears(600)
    await doctor.says("hang up")
    await call.hang_up()
    await ringing.ended()


async def administrator(database_url: str) -> None:
    """Somebody with extension 102 who may see every call."""
    async with open_records(database_url, migrate=False) as store:
        await store.accounts.create(
            login="boris",
            name="Boris",
            role=Role.ADMINISTRATOR,
            password_hash="",
            extensions=("102",),
            pop=PopPreference.ON_RING,
        )


async def test_beside_a_running_service(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    make_service: MakeService,
    database_url: str,
    unused_tcp_port: int,
) -> None:
    """Event, extension, card and journal, each with its seconds; the token it needed is gone afterwards."""
    await administrator(database_url)
    text = configuration(asterisk, database=database_at(database_url), web_port=unused_tcp_port)
    service = make_service(text)
    service.launch()
    await service.says("serving", PATIENCE_SECONDS)
    await service.says("pbx link up", PATIENCE_SECONDS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        doctor = await typed(service.config, "102")
        await doctor.invites()
        await call_and_talk(phones, doctor)
        _, found = await doctor.report()
    assert {"event", "call", "extension", "card", "journal"} <= found.keys(), found
    assert "102" in found["extension"]["what"]
    assert "boris" in found["card"]["what"]
    assert not [each for each in found.values() if each["level"] == "fault"], found
    async with open_records(database_url, migrate=False) as store:
        account = await store.accounts.by_login("boris")
        assert account is not None
        assert TOKEN_NAME not in {token.name for token in await store.tokens.of_account(account.id)}


async def test_by_itself_when_no_service_runs(
    asterisk: PrivateAsterisk, phones: PhoneRoom, short_dir: Path, unused_tcp_port: int
) -> None:
    """Any phone will do; nothing is left behind, and the configured database is not made."""
    config = short_dir / "switchhook.toml"
    database = f'state_dir = "{short_dir / "state"}"'
    config.write_text(configuration(asterisk, database=database, web_port=unused_tcp_port))
    async with asyncio.timeout(PATIENCE_SECONDS):
        doctor = await typed(config)
        await doctor.invites()
        await call_and_talk(phones, doctor)
        _, found = await doctor.report()
    assert {"event", "call", "extension", "card", "journal"} <= found.keys(), found
    assert not [each for each in found.values() if each["level"] == "fault"], found
    assert not (short_dir / "state").exists()


async def test_phones_that_count_as_lines_are_named(
    asterisk: PrivateAsterisk, phones: PhoneRoom, short_dir: Path, unused_tcp_port: int
) -> None:
    """A setting makes lines of the phones, over what the dialplan's hints say: the call is seen, no card pops, and the
    setting to change is named."""
    config = short_dir / "switchhook.toml"
    text = configuration(asterisk, database=f'state_dir = "{short_dir / "state"}"', web_port=unused_tcp_port)
    config.write_text(text.replace('id = "lab"', "id = \"lab\"\ntrunks = '10[0-9]'"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        doctor = await typed(config)
        await doctor.invites()
        await call_and_talk(phones, doctor)
        code, found = await doctor.report()
    (fault,) = [each for each in found.values() if each["level"] == "fault"]
    assert code == 1
    assert "101" in fault["what"]
    assert "trunks = '10[0-9]' makes lines of 101, 102" in fault["remedy"]


async def test_channels_are_counted_for_a_user_that_hears_nothing(
    asterisk: PrivateAsterisk, phones: PhoneRoom
) -> None:
    """A conversation stands and no event comes: the list says that the PBX is not silent, only we are deaf."""
    anna, boris = await phones.handsets("101", "102")
    call = await anna.dial("102")
    ringing = await boris.incoming()
    await ringing.answer()
    pbx = PbxSettings(
        id="lab",
        port=asterisk.ports.ami,
        username=asterisk.ami_user,
        secret=asterisk.ami_secret,  # type: ignore[arg-type]
    )
    assert await count_channels(pbx) >= 2
    await call.hang_up()
    await ringing.ended()

"""Phones called alice, bob and 001122334455, and no hints: the doctor names them, and what it says places them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest
from pydantic import SecretStr

from ami_bridge.actions import ActionChannel
from switchhook.doctor.doctor import link_to
from switchhook.doctor.endpoints import examine_endpoints
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.pbx import endpoint_keeper
from switchhook.pbx.endpoint_keeper import EndpointKeeper
from switchhook.pbx.numbering import numbering_of
from switchhook.settings.tables import PbxSettings
from telephony.endpoint_directory import EndpointSource, KnownEndpoint
from tests.e2e.named_office import ALICE, EXTENSION_OF, named_office

pytestmark = pytest.mark.asterisk

HINT = "dialplan add extension 171,hint,PJSIP/alice into from-staff"


def settings_of(asterisk: PrivateAsterisk, **more: object) -> PbxSettings:
    known = {
        "id": "hq",
        "port": asterisk.ports.ami,
        "username": asterisk.ami_user,
        "secret": SecretStr(asterisk.ami_secret),
    }
    return PbxSettings.model_validate(known | more)


async def examined(pbx: PbxSettings) -> list[str]:
    """What the doctor says of the endpoints, sentence and remedy in one."""
    found = await examine_endpoints(link_to(pbx), numbering_of(pbx))
    return [f"{finding.level} {finding.what} {finding.remedy}" for finding in found]


class KeptNothing:
    """A database without a row; what is kept is counted by its source."""

    def __init__(self) -> None:
        self.rows: dict[EndpointSource, set[str]] = {}

    async def list_known(self, pbx: str) -> tuple[KnownEndpoint, ...]:
        return ()

    async def replace_known(
        self, pbx: str, sources: Collection[EndpointSource], rows: Iterable[KnownEndpoint]
    ) -> None:
        for source in sources:
            self.rows[source] = set()
        for row in rows:
            self.rows[row.source].add(str(row))


async def test_without_hints_the_doctor_names_the_phones_and_its_line_places_them(
    asterisk_install: AsteriskInstall,
) -> None:
    """Nothing places them but what the administrator writes; then nothing is left to say."""
    async with named_office(asterisk_install, hints=False) as office:
        (told,) = await examined(settings_of(office))
        for name in EXTENSION_OF:
            assert name in told
        assert "[pbx.phones]" in told
        assert 'trunks = "' in told
        told_of_trunks = await examined(settings_of(office, phones=EXTENSION_OF))
        assert not any(name in told_of_trunks[0] for name in EXTENSION_OF)


async def test_a_hint_that_is_added_later_is_read(
    asterisk_install: AsteriskInstall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody restarts Switchhook for a new colleague: a minute later the phone has its extension."""
    async with named_office(asterisk_install, hints=False) as office:
        pbx = settings_of(office)
        numbering, store = numbering_of(pbx), KeptNothing()
        keeper = EndpointKeeper(numbering, {}, store)  # type: ignore[arg-type]
        current = [await keeper.read()]
        keeper.follow(lambda: current[-1])
        async with ActionChannel(link_to(pbx)) as actions:
            current.append(await keeper.ask(actions))
            assert current[-1].directory.endpoints_of("171") == ()
            await office.cli(HINT)
            current.append(await keeper.ask(actions))
            assert current[-1].directory.endpoints_of("171") == ()  # asked a moment ago
            monkeypatch.setattr(endpoint_keeper, "LIST_SECONDS", 0.0)
            current.append(await keeper.ask(actions))
        assert current[-1].directory.endpoints_of("171") == (f"PJSIP/{ALICE}",)
        assert current[-1].directory.endpoints_of("173") == ()

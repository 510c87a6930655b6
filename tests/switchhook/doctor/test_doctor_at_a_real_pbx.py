"""The doctor at a real Asterisk: what is well is said to be well, and each thing that is not is named with its remedy."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from ami_bridge.wire.connection import AmiConnection, PbxLink
from switchhook.doctor.doctor import Level, examine_pbx, link_to
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.settings.tables import PbxSettings
from telephony.errors import NeedsPerson

pytestmark = pytest.mark.asterisk


def settings_of(
    asterisk: PrivateAsterisk, *, secret: str | None = None, port: int | None = None
) -> PbxSettings:
    return PbxSettings(
        id="hq",
        port=port or asterisk.ports.ami,
        username=asterisk.ami_user,
        secret=SecretStr(secret or asterisk.ami_secret),
    )


async def test_a_pbx_set_up_as_recommended_has_no_fault(asterisk: PrivateAsterisk) -> None:
    """The office's AMI user is the recommended one: the doctor finds nothing to mend."""
    findings = await examine_pbx(settings_of(asterisk))
    assert [f"{f.what} {f.remedy}" for f in findings if f.level is Level.FAULT] == []
    assert any("Login as switchhook works" in f.what for f in findings)


async def test_a_wrong_secret_is_named(asterisk: PrivateAsterisk) -> None:
    """The administrator mistyped the secret: one sentence, and where to look."""
    (finding,) = await examine_pbx(settings_of(asterisk, secret="not the secret"))
    assert finding.level is Level.FAULT
    assert "secret" in f"{finding.what} {finding.remedy}"


async def test_a_closed_port_is_named(asterisk: PrivateAsterisk, unused_tcp_port: int) -> None:
    """Nobody listens there: the sentence says so, and what to look at."""
    (finding,) = await examine_pbx(settings_of(asterisk, port=unused_tcp_port))
    assert finding.level is Level.FAULT
    assert str(unused_tcp_port) in finding.what
    assert finding.remedy


async def test_tls_with_the_right_authority_works_and_with_the_wrong_one_is_named(
    asterisk_install: AsteriskInstall, certificate: Path
) -> None:
    """A PBX with a certificate of its own: trusted when named in the settings, refused in words when not."""
    async with PrivateAsterisk(asterisk_install, tls_certificate=certificate) as own:
        trusted = PbxSettings(
            id="hq",
            host="localhost",
            port=own.ports.ami_tls,
            username=own.ami_user,
            secret=SecretStr(own.ami_secret),
            tls=True,
            tls_ca=certificate,
        )
        connection = await AmiConnection.open(link_to(trusted), wanted=None)
        await connection.close()
        strange = PbxLink(
            "hq", "localhost", own.ports.ami_tls, own.ami_user, own.ami_secret, ssl.create_default_context()
        )
        with pytest.raises(NeedsPerson) as told:
            await AmiConnection.open(strange, wanted=None)
    assert "certificate" in str(told.value)
    assert told.value.remedy

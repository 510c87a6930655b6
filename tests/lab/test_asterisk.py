"""The private Asterisk: really ours, private, restartable, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from switchhook.lab.asterisk import AsteriskDidNotStart, PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall, NoAsterisk, find_asterisk
from switchhook.lab.call_progress import CallState
from switchhook.lab.ports import LOCALHOST
from tests.asterisk_fixtures import PhoneRoom
from tests.requirements import require_programs

pytestmark = pytest.mark.asterisk


async def test_killed_and_started_again_on_the_same_ports(fresh_asterisk: PrivateAsterisk) -> None:
    """A power cut: the process is gone at once; started again it answers where it did before."""
    ports, first = fresh_asterisk.ports, fresh_asterisk.pid
    await fresh_asterisk.kill()
    assert fresh_asterisk.pid is None
    await fresh_asterisk.start()
    assert fresh_asterisk.ports == ports
    assert fresh_asterisk.pid not in (None, first)


async def test_handsets_register_again_after_a_restart(
    fresh_asterisk: PrivateAsterisk, fresh_phones: PhoneRoom
) -> None:
    """After the power cut the phones register again, as handsets do, and can be called.

    They must: Asterisk keeps registrations on disk, but writes them up to a second late, so a kill may lose them.
    """
    anna, boris = await fresh_phones.handsets("101", "102")
    await fresh_asterisk.kill()
    await fresh_asterisk.start()
    await anna.register()
    await boris.register()
    await anna.dial("102")
    assert (await boris.incoming()).state is CallState.RINGING


async def test_two_side_by_side(asterisk: PrivateAsterisk, fresh_asterisk: PrivateAsterisk) -> None:
    """Each has its own ports, directories and secret."""
    assert asterisk.ports.ami != fresh_asterisk.ports.ami
    assert asterisk.state != fresh_asterisk.state
    assert asterisk.ami_secret != fresh_asterisk.ami_secret


async def test_a_taken_port_is_refused(fresh_asterisk: PrivateAsterisk) -> None:
    """Somebody takes the AMI port while it is down: it must not seem to start while a stranger answers."""
    await fresh_asterisk.kill()
    with (
        closing(socket.create_server((LOCALHOST, fresh_asterisk.ports.ami))),
        pytest.raises(AsteriskDidNotStart, match="taken by another process"),
    ):
        await fresh_asterisk.start()
    await fresh_asterisk.start()


async def test_nothing_is_left_behind(asterisk_install: AsteriskInstall) -> None:
    """After leaving, no process and no directory of it is there."""
    async with PrivateAsterisk(asterisk_install) as own:
        pid, state = own.pid, own.state
        assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not state.exists()


async def test_the_log_has_no_errors_after_start(fresh_asterisk: PrivateAsterisk) -> None:
    """The office's configuration is clean: an error in the log means something, in both versions."""
    assert fresh_asterisk.last_log_line() == ""


_OWNER = """
import asyncio
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import find_asterisk
async def main():
    async with PrivateAsterisk(find_asterisk({suite!r}), state=__import__("pathlib").Path({state!r})) as own:
        print(own.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def test_it_dies_with_its_owner(asterisk_install: AsteriskInstall, tmp_path: Path) -> None:
    """The owner is killed without a word: the kernel ends Asterisk too."""
    require_programs("setpriv")  # of util-linux; ties it to its owner's life
    suite = os.environ.get("SWITCHHOOK_ASTERISK", "sid")
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER.format(suite=suite, state=str(tmp_path / "state"))],
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        own = psutil.Process(int(owner.stdout.readline()))
        owner.send_signal(signal.SIGKILL)
        gone, alive = psutil.wait_procs([own], timeout=10)
        for process in alive:
            process.kill()
    assert gone
    assert not alive


async def test_ami_over_tls(asterisk_install: AsteriskInstall, certificate: Path) -> None:
    """With a certificate the AMI greets over TLS too."""
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with PrivateAsterisk(asterisk_install, tls_certificate=certificate) as own, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(
            LOCALHOST, own.ports.ami_tls, ssl=trusted, server_hostname="localhost"
        )
        assert (await reader.readline()).startswith(b"Asterisk Call Manager")
        writer.close()
        await writer.wait_closed()


def test_an_unknown_suite_is_named() -> None:
    """A typing mistake in SWITCHHOOK_ASTERISK is a sentence, not a traceback from apt."""
    with pytest.raises(NoAsterisk, match="no suite 'bookwork'"):
        find_asterisk("bookwork")


def test_nothing_installed_and_nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No asterisk, no apt: the sentence says what to install."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("switchhook.lab.asterisk_binary._installed", lambda: None)
    with pytest.raises(NoAsterisk, match="apt-get is not here") as told:
        find_asterisk()
    assert "Install Asterisk" in (told.value.remedy or "")

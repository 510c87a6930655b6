"""A private Asterisk: its own directories, its own ports, the office of `asterisk-config/office/`, gone with its owner.

    async with PrivateAsterisk(find_asterisk()) as asterisk:
        print(asterisk.ports.ami, asterisk.ami_secret)

Asterisk says "fully booted" even when its AMI or SIP port is taken by somebody else, and a left-over instance then
answers. So the ports are held until the last moment, and it counts as started only when the AMI on our port accepts a
secret that nobody else has, and SIP on our port answers with a name that nobody else uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.hold_music import write_hold_music
from switchhook.lab.ports import LOCALHOST, HeldPorts, LabPorts
from switchhook.lab.probes import ami_accepts, sip_answers_as
from switchhook.lab.staff import STAFF
from switchhook.pbx.config import CONFIG_FILES, fill, render_manager_conf
from telephony.errors import NeedsPerson, TryLater

START_SECONDS = 30  # 0.6-1 s when nothing else runs; a loaded test machine may need ten times that
STOP_SECONDS = 4  # `core stop now` takes a fraction of a second; after this it is killed
PROBE_PAUSE = 0.05  # s between two questions whether it is up


class AsteriskDidNotStart(NeedsPerson):
    """The private Asterisk did not start."""


class PrivateAsterisk:
    """One Asterisk process with the office's configuration. Several can run side by side."""

    def __init__(
        self,
        install: AsteriskInstall,
        *,
        state: Path | None = None,
        system_name: str | None = "lab",
        timestamp_events: bool = True,
        recordings: Path | None = None,
        ami_write_all: bool = False,
        tls_certificate: Path | None = None,
        additions: Mapping[str, str] | None = None,
        companded_music: bool = False,
    ) -> None:
        """`state` is its directory, made when missing; without one a temporary directory that goes with it.

        `system_name` None: Uniqueids without a prefix. `recordings`: where recordings go (default: in `state`).
        `tls_certificate`: a PEM file with certificate and key; the AMI then answers over TLS on `ports.ami_tls` too.
        `ami_write_all`: give Switchhook's own AMI user the rights for transfers too.
        `companded_music`: music as .gsm, after which Debian's 22 leaves our side out of recordings of both sides.
        `additions`: text put at the end of the office's files, by file name: more phones, queues, numbers.
        """
        self.install = install
        self.ami_user = "switchhook"
        self.ami_secret = secrets.token_urlsafe(18)
        self.capture_user = "capture"
        self.capture_secret = secrets.token_urlsafe(18)
        self._instance = f"lab-{secrets.token_hex(6)}"
        self._temporary = (
            tempfile.TemporaryDirectory(prefix="switchhook-asterisk-") if state is None else None
        )
        self.state = Path(self._temporary.name) if self._temporary else state or Path()
        self.recordings = recordings or self.state / "spool" / "monitor"
        self.system_name = system_name
        self._timestamp_events = timestamp_events
        self._transfers = ami_write_all
        self._tls_certificate = tls_certificate
        self._additions = additions or {}
        self._companded_music = companded_music
        self._ports: LabPorts | None = None
        self._killed_at: float | None = None
        self._process: subprocess.Popen[bytes] | None = None  # of no event loop: tests have one each

    @property
    def ports(self) -> LabPorts:
        """Its ports; the same over restarts. Only after the first start."""
        if self._ports is None:
            raise TryLater("The private Asterisk has not been started yet.")
        return self._ports

    @property
    def sip_address(self) -> tuple[str, int]:
        """Where handsets register and call."""
        return LOCALHOST, self.ports.sip

    @property
    def cel_csv(self) -> Path:
        """The channel event log as cel_custom writes it; exists after the first call."""
        return self.state / "log" / "cel-custom" / "cel.csv"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @staticmethod
    def password_of(extension: str) -> str:
        """The SIP password of a handset; the lab listens on loopback only."""
        return f"lab-{extension}"

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self._clean_up()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # A stop in order takes a second, for what is written to files. Of these nobody will read any.
            unread = self._temporary is not None and self.recordings.is_relative_to(self.state)
            await (self.kill() if unread else self.stop())
        finally:
            self._clean_up()

    async def start(self) -> None:
        """Start it, on the same ports as before if it ran before. Raises AsteriskDidNotStart with the reason."""
        try:
            held = await asyncio.to_thread(HeldPorts, self._ports)
        except OSError as taken:
            raise AsteriskDidNotStart(
                "A port of the private Asterisk is taken by another process.",
                remedy="Start again on new ports.",
            ) from taken
        self._ports = held.ports
        await self._let_the_second_pass()
        try:
            self._write_configuration()
        finally:
            held.release()
        self._process = self._spawn()
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._until_ours_answers()
        except BaseException as failure:
            await self.kill()
            if isinstance(failure, TimeoutError):
                raise AsteriskDidNotStart(
                    f"The private Asterisk did not answer within {START_SECONDS} s. {self.last_log_line()}",
                    remedy=f"See {self.state}/log/messages.",
                ) from failure
            raise

    async def stop(self) -> None:
        """Stop it in order; after four seconds with force. Nothing of it stays."""
        if self.pid is None:
            return
        with contextlib.suppress(TimeoutError, TryLater):
            async with asyncio.timeout(STOP_SECONDS):
                await self.cli("core stop now")
                await self._exited()
        await self.kill()

    async def kill(self) -> None:
        """End it as a power cut would (kill -9), children included. `start` brings it back on the same ports."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await self._exited()
        self._process = None
        self._killed_at = time.time()

    async def _let_the_second_pass(self) -> None:
        """A Uniqueid is the second and a counter that begins anew: one Asterisk, killed and back within the second in
        which it took a call, would give two channels the same. No real one is back that fast.
        """
        if self._killed_at is not None:
            await asyncio.sleep(max(0.0, math.floor(self._killed_at) + 1.0 - time.time()))

    async def cli(self, command: str, *, timeout: float = 10) -> str:  # noqa: ASYNC109 - a bound, not a cancel scope
        """What `asterisk -rx COMMAND` prints. Raises TryLater when it does not answer in `timeout` seconds."""
        asked = await asyncio.create_subprocess_exec(
            self.install.program,
            "-C",
            self._etc / "asterisk.conf",
            "-rx",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(timeout):
                told, _ = await asked.communicate()
        except TimeoutError:
            raise TryLater(f"The private Asterisk did not answer `{command}` within {timeout} s.") from None
        finally:
            if asked.returncode is None:
                asked.kill()
                await asked.wait()
        return told.decode(errors="replace")

    def last_log_line(self) -> str:
        """The newest error in its log, for messages; empty when there is none."""
        try:
            lines = (self.state / "log" / "messages").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line for line in reversed(lines) if "ERROR" in line), "")

    @property
    def _etc(self) -> Path:
        return self.state / "etc"

    async def _exited(self) -> None:
        while self.pid is not None:  # noqa: ASYNC110 - the process belongs to no event loop that could tell
            await asyncio.sleep(PROBE_PAUSE)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command: Sequence[str | Path] = (self.install.program, "-f", "-C", self._etc / "asterisk.conf")
        # Should this process die without a word, the kernel ends Asterisk with it.
        guard = shutil.which("setpriv")
        if guard:
            command = (guard, "--pdeathsig", "KILL", "--", *command)
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # its own group: ended as a whole, and Ctrl-C reaches only us
            cwd=self.state,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    async def _until_ours_answers(self) -> None:
        while True:
            if self.pid is None:
                raise AsteriskDidNotStart(
                    f"The private Asterisk ended while starting. {self.last_log_line()}",
                    remedy=f"See {self.state}/log/messages.",
                )
            if await ami_accepts(LOCALHOST, self.ports.ami, self.capture_user, self.capture_secret) and (
                await sip_answers_as(self.sip_address, self._instance)
            ):
                return
            await asyncio.sleep(PROBE_PAUSE)

    def _write_configuration(self) -> None:
        for name in (
            "etc",
            "lib",
            "spool/monitor",
            "run",
            "log/cel-custom",
            "log/cdr-csv",
            "music",
            "lib/keys",
        ):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        self.recordings.mkdir(parents=True, exist_ok=True)
        self._offer_music()
        values = self._values()
        office = CONFIG_FILES / "office"
        values["HANDSETS"] = "\n".join(
            fill(
                (office / "handset.template").read_text(encoding="utf-8"),
                {"EXTENSION": extension, "NAME": name, "PASSWORD": self.password_of(extension)},
            )
            for extension, name in STAFF.items()
        )
        for template in office.glob("*.conf"):
            filled = fill(template.read_text(encoding="utf-8"), values)
            addition = self._additions.get(template.name, "")
            (self._etc / template.name).write_text(f"{filled}\n{addition}", encoding="utf-8")
        # Copied as it is: what the lab proves is the very file that people put on their PBX.
        shutil.copyfile(
            CONFIG_FILES / "plain" / "extensions_switchhook.conf", self._etc / "extensions_switchhook.conf"
        )
        own_user = render_manager_conf(self.ami_secret, username=self.ami_user, transfers=self._transfers)
        (self._etc / "manager_switchhook.conf").write_text(own_user, encoding="utf-8")
        for path in self._etc.glob("manager*.conf"):
            path.chmod(0o600)

    def _values(self) -> dict[str, str]:
        return {
            "ETC": str(self._etc),
            "STATE": str(self.state),
            "MODULES": str(self.install.modules),
            "DATA": str(self.install.data),
            "SYSTEMNAME_LINE": f"systemname = {self.system_name}"
            if self.system_name
            else "; no systemname here",
            "TIMESTAMPEVENTS": "yes" if self._timestamp_events else "no",
            "AMI_PORT": str(self.ports.ami),
            "TLS_LINES": self._tls_lines(),
            "CAPTURE_SECRET": self.capture_secret,
            "INSTANCE": self._instance,
            "SIP_PORT": str(self.ports.sip),
            "CARRIER_PORT": str(self.ports.carrier),
            "RECORDINGS": str(self.recordings),
            "MUSIC": str(self.state / "music"),
            "CEL_NAME": "cel.csv",
            "RTP_START": "12000",
            "RTP_END": "31999",
        }

    def _tls_lines(self) -> str:
        if self._tls_certificate is None:
            return "; no TLS here"
        return (
            f"tlsenable = yes\ntlsbindaddr = {LOCALHOST}:{self.ports.ami_tls}\n"
            f"tlscertfile = {self._tls_certificate}\ntlsprivatekey = {self._tls_certificate}"
        )

    def _offer_music(self) -> None:
        """Linear music; or, for what is to be shown of companded music, long prompts of Asterisk's own."""
        if not self._companded_music:
            write_hold_music(self.state / "music" / "chord.wav")
            return
        sounds = self.install.data / "sounds" / "en"
        for name in ("demo-congrats.gsm", "demo-instruct.gsm", "vm-intro.gsm"):
            music = self.state / "music" / name
            if (sounds / name).exists() and not music.exists():
                music.symlink_to(sounds / name)

    def _clean_up(self) -> None:
        if self._temporary:
            self._temporary.cleanup()

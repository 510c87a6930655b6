"""What every test may rely on: the shared fixtures, repeatable examples, and no way out to a real network."""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.examples import QUICK_EXAMPLES

FIXTURE_MODULES = (
    "tests.shared_out",
    "tests.time_limits",
    "tests.requirements",
    "tests.asterisk_fixtures",
    "tests.postgres_fixtures",
    "tests.mariadb_fixtures",
    "tests.browser_fixtures",
    "tests.recordings.s3_server",
)

pytest_plugins = [name for name in FIXTURE_MODULES if importlib.util.find_spec(name) is not None]

# "ci": the same examples every time, and no deadline, because a busy machine is not a failing test.
settings.register_profile(
    "ci", derandomize=True, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
# "quick": `./dev quick`, between two changes; a test with a number of its own asks `examples` for it.
settings.register_profile("quick", settings.get_profile("ci"), max_examples=QUICK_EXAMPLES)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class RealNetworkForbidden(OSError):
    """A test tried to reach beyond loopback; tests must not depend on a network."""


def is_local(address: Any) -> bool:  # a socket address is a tuple, a path or bytes, by family
    """Whether connecting there stays on this machine."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in {"", "localhost"}:
        return True
    try:
        place = ipaddress.ip_address(host)
    except ValueError:
        return False
    return place.is_loopback or place.is_unspecified


@pytest.fixture(autouse=True, scope="session")
def _no_real_network() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, original: Any = original) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address):
                raise RealNetworkForbidden(f"a test tried to reach {address!r}")
            return original(self, address)

        patch.setattr(socket.socket, name, guarded)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command run in the test's own process sends all logs to the stream of that test, which is closed after it."""
    root, logs = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.get_config() != logs:
        structlog.configure(**logs)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder for unix sockets, whose path has 107 bytes at most (unix(7)): that of `tmp_path` can be longer."""
    with tempfile.TemporaryDirectory(prefix="sw-", dir="/tmp") as folder:
        yield Path(folder)

"""What a run insists on: `SWITCHHOOK_REQUIRE=postgres,asterisk` or `all`. What is missing then fails the tests.

Elsewhere a test that cannot be played is skipped with the reason; with `all` nothing is skipped, whatever asked for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from typing import NoReturn

import pytest


def is_required(what: str) -> bool:
    """Whether the run must not skip tests that need this."""
    named = os.environ.get("SWITCHHOOK_REQUIRE", "").replace(",", " ").split()
    return what in named or "all" in named


def declare_unavailable(what: str, reason: str) -> NoReturn:
    """Skip with the reason, or fail where the run demands it."""
    if is_required(what):
        pytest.fail(f"{what} is required here: {reason}", pytrace=False)
    pytest.skip(reason)


def require_programs(*names: str) -> None:
    """Programs of the machine that a test calls."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        declare_unavailable(missing[0], f"not on this machine: {', '.join(missing)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under `all` a skipped test is a failed one, also where a test skips by itself."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and is_required("all"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped here (SWITCHHOOK_REQUIRE=all): {reason}"
    return report

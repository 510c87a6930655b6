"""What a run insists on: `SWITCHHOOK_REQUIRE=postgres,asterisk` or `all`. What is missing then fails the tests.

Elsewhere a test that cannot be played is skipped with the reason; with `all` nothing is skipped, whatever asked for it.

A test that asks for a server carries the server's mark, whether or not its author wrote it down: `./dev quick` chooses by
marks.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import pytest

SERVERS = {
    "postgres_server": "postgres",
    "mariadb_server": "mariadb",
    "s3_server": "s3",
    "asterisk_install": "asterisk",
    "browser_server": "browser",
    "webkit": "browser",
}
"""Fixture that starts a server → mark of the tests that reach it, through whatever other fixtures."""


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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m "not browser and not slow"` a file that is marked so as a whole is not even imported: half of the time."""
    refused = re.fullmatch(r"not \w+(?: and not \w+)*", config.option.markexpr or "")
    if refused is None or collection_path.suffix != ".py":
        return None
    return True if set(refused[0].split()) & module_marks(collection_path) else None


def module_marks(file: Path) -> set[str]:
    """The names in its `pytestmark = …`."""
    tree = ast.parse(file.read_bytes())
    return {
        node.attr
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark"
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest.mark"
    }


@pytest.hookimpl(tryfirst=True)  # before marks are used to choose tests, and to deal out files
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by the servers they ask for."""
    for item in items:
        asked = {SERVERS[name] for name in getattr(item, "fixturenames", ()) if name in SERVERS}
        for mark in sorted(asked - {mark.name for mark in item.iter_markers()}):
            item.add_marker(mark)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under `all` a skipped test is a failed one, also where a test skips by itself."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and is_required("all"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped here (SWITCHHOOK_REQUIRE=all): {reason}"
    return report

"""Nothing can hang a run: a test that takes too long fails with the stacks of its threads and tasks, and what will not
even end then takes its process with it.

pytest-timeout says how long a test may take (`timeout` in pyproject.toml, `@pytest.mark.timeout(…)` for a heavy one) and
when the count begins and ends. What happens at the end of the time is here:

1. an alarm fails the test, and again every few seconds should the first have been swallowed;
2. a process still in the same test, or in its teardown, `timeout_grace` later prints all stacks and exits: in a run of
   several processes that is one failed test, otherwise the end of the run;
3. the same when the interpreter does not end after the summary (a thread nobody ends).
"""

from __future__ import annotations

import asyncio
import faulthandler
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

AGAIN_SECONDS = (
    5.0  # an exception raised inside a callback of asyncio is only logged; the next alarm finds another place
)
FRAMES = 12  # of a task; the innermost ones


def pytest_addoption(parser: pytest.Parser) -> None:
    """`timeout_grace` in pyproject.toml."""
    parser.addini(
        "timeout_grace",
        "seconds from a time-out, or the end of a run, until the process is ended",
        default="120",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before anything redirects it: where a dying process writes its stacks."""
    config.stash[STDERR] = os.dup(sys.__stderr__.fileno() if sys.__stderr__ else 2)


STDERR = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """For the whole of a test, its fixtures included."""
    set_alarm(item.config, settings.timeout)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    """The test is over, or has failed."""
    clear_alarm()
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """After a failure the limit of the test is off: what it left behind may still refuse to end."""
    set_alarm(item.config, grace_of(item.config))
    try:
        return (yield)
    finally:
        clear_alarm()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """The summary is printed. A worker of pytest-xdist is ended by the process that started it."""
    if not hasattr(config, "workerinput"):
        end_process_later(config, grace_of(config))


def set_alarm(config: pytest.Config, seconds: float) -> None:
    """The failure, and behind it the end of the process."""

    def fail(_signal: int, _frame: object) -> None:
        __tracebackhide__ = True
        pytest.fail(f"Timeout (>{seconds:g}s)\n{stacks()}")

    signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
    end_process_later(config, seconds + grace_of(config))


def clear_alarm() -> None:
    """Nothing happens any more."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.cancel_dump_traceback_later()


def grace_of(config: pytest.Config) -> float:
    """How long a process may go on after the time is over."""
    return float(config.getini("timeout_grace"))


def end_process_later(config: pytest.Config, seconds: float) -> None:
    """Without Python's help, so that it works whatever hangs: all stacks, then the end."""
    faulthandler.dump_traceback_later(seconds, file=config.stash[STDERR], exit=True)


def stacks() -> str:
    """Where every thread and every task of the running loop is."""
    text = io.StringIO()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        text.write(f"\nThread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame, FRAMES))}")
    loop = asyncio._get_running_loop()
    for task in asyncio.all_tasks(loop) if loop else ():
        text.write("\n")
        task.print_stack(limit=FRAMES, file=text)
    return text.getvalue()

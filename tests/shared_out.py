"""How a run in several processes (`pytest -n 3 --dist loadfile`, as `./dev test` does) deals out the files.

A file stays whole: what its tests share is made once. Each process has servers of its own (PostgreSQL, Asterisk, S3,
Chromium), so nothing that a test may change is shared between them.

Files that play many phones at once, or measure how long something takes, form one chain: one process plays them one
after the other and first of all. Of the rest, those that wait long for a browser or a phone alternate with those that
compute: by themselves either would leave the machine idle, or crowd it. At the end come short ones, so that all processes
end together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import pytest

CHAINS = {
    "by the clock": (
        "tests/scenarios/test_scenarios.py",
        "tests/recordings/capture/test_transfers.py",
        "tests/recordings/capture/test_choices.py",
        "tests/recordings/capture/test_voices.py",
        "tests/service/test_outage.py",
        "tests/service/test_running.py",
        "tests/service/test_restarts.py",
    ),
    "S3": (  # its server takes eight seconds to start
        "tests/recordings/storage/test_audio_store_faults.py",
        "tests/recordings/storage/test_audio_store.py",
        "tests/recordings/storage/test_audio_store_ranges.py",
        "tests/recordings/storage/test_backup.py",
    ),
}
CHAIN_OF = {file: name for name, files in CHAINS.items() for file in files}
WAITING = frozenset(
    {"asterisk", "browser"}
)  # marks of tests that wait for programs much slower than themselves


def file_of(nodeid: str) -> str:
    """The file a test is in."""
    return nodeid.partition("::")[0]


def deal_order(marks: dict[str, set[str]]) -> list[str]:
    """In which order files with these marks are dealt out."""

    # Everything below keeps the order in which files are given: pytest-xdist insists on the same in each process.
    chained = [file for files in CHAINS.values() for file in files if file in marks]
    rest = [file for file in marks if file not in CHAIN_OF]
    waiting = [file for file in rest if marks[file] & WAITING]
    storing = [file for file in rest if not marks[file] & WAITING and "postgres" in marks[file]]
    quick = [file for file in rest if file not in {*waiting, *storing}]
    spread = [*_spread(waiting, WAITING_UNTIL), *_spread([*storing, *quick], 1.0)]
    return [*chained, *(file for _place, file in sorted(spread, key=itemgetter(0)))]


WAITING_UNTIL = 0.8  # of the way: a file that takes minutes must not be the last


def _spread(files: Sequence[str], until: float) -> list[tuple[float, str]]:
    """Places between 0 and `until`, evenly."""
    return [(until * (number + 0.5) / len(files), file) for number, file in enumerate(files)]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process of such a run: the order in which they are dealt out."""
    if not hasattr(config, "workerinput"):
        return
    marks: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        marks[file_of(item.nodeid)].update(mark.name for mark in item.iter_markers())
    order = {file: place for place, file in enumerate(deal_order(marks))}
    items.sort(key=lambda item: order[file_of(item.nodeid)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals out files in our order, chains as one."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Dealer(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = file_of(nodeid)
            return CHAIN_OF.get(file, file)

    config.option.loadscopereorder = False  # by the number of tests says nothing about how long they take
    return Dealer(config, log)

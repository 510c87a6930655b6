"""Cancels work at each of its awaits, and says whether it ended.

An await is known by the lines of our own code that lead to it, whatever else happens in what order. At each there are
two moments: while it waits, and together with the result it waited for (what `asyncio.wait_for` of Python 3.11 loses).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(f"{ROOT / name}/" for name in ("ami_bridge", "call_records", "crm_sync", "web", "switchhook"))
END_SECONDS = 5.0  # what is promised
LOOK_SECONDS = 0.3  # without a new await: everything waits for what will not come
COME_SECONDS = 5.0  # until an await that was seen before comes again
CLEAN_SECONDS = 30.0

Site = tuple[str, ...]
"""The lines that lead to an await, outermost first."""
Work = Callable[[], Coroutine[Any, Any, None]]


class Moment(StrEnum):
    """When a cancellation meets an await."""

    WAITING = "while it waits"
    WITH_RESULT = "together with the result"


@dataclass(slots=True)
class Watched:
    """Work whose awaits are seen. With a `site`, the task that first comes there is cancelled, at that moment."""

    site: Site | None = None
    moment: Moment = Moment.WAITING
    sites: dict[Site, None] = field(default_factory=dict)
    """All that were met, in that order."""
    victim: asyncio.Task[Any] | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    met: asyncio.Event = field(default_factory=asyncio.Event)

    def new_task(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        """A factory of tasks, for `loop.set_task_factory`."""
        options.pop("eager_start", None)
        return asyncio.Task(self._run(work), loop=loop, **options)

    async def _run(self, work: Any) -> Any:
        return await _Stepped(work, self)

    def comes_to(self, work: Any, awaited: Any) -> None:
        """A task is about to wait for something."""
        site = site_of(work)
        if not site:
            return
        self.sites.setdefault(site)
        if site == self.site and self.victim is None:
            self.victim = asyncio.current_task()
            self.reached.set()
            self._cancel(awaited)

    def _cancel(self, awaited: Any) -> None:
        if self.moment is Moment.WITH_RESULT and isinstance(awaited, asyncio.Future):
            awaited.add_done_callback(self.strike)  # called before the task hears of the result
        else:
            asyncio.get_running_loop().call_soon(self.strike)

    def strike(self, _done: object = None) -> None:
        """Cancel the task that came to the site."""
        if self.victim is not None and not self.victim.done():
            self.victim.cancel()
        self.met.set()


class _Stepped:
    """Awaits a coroutine step by step."""

    def __init__(self, work: Any, watched: Watched) -> None:
        self._work = work
        self._watched = watched

    def __await__(self) -> Generator[Any, Any, Any]:
        work, error = self._work, None
        while True:
            try:
                awaited = work.send(None) if error is None else work.throw(error)
            except StopIteration as end:
                return end.value
            error = None
            self._watched.comes_to(work, awaited)
            try:
                yield awaited
            except GeneratorExit:
                work.close()
                raise
            except BaseException as thrown:
                error = thrown


def site_of(work: Any) -> Site:
    """Where a suspended coroutine waits, in lines of our own code."""
    lines: list[str] = []
    while work is not None:
        frame = (
            getattr(work, "cr_frame", None)
            or getattr(work, "ag_frame", None)
            or getattr(work, "gi_frame", None)
        )
        if frame is not None and frame.f_code.co_filename.startswith(OURS):
            lines.append(f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_lineno}")
        for name in ("cr_await", "ag_await", "gi_yieldfrom"):
            inner = getattr(work, name, None)
            if inner is not None:
                break
        work = (
            inner
            if inspect.iscoroutine(inner) or inspect.isgenerator(inner) or _is_async_generator(inner)
            else None
        )
    return tuple(lines)


def _is_async_generator(inner: object) -> bool:
    return hasattr(inner, "ag_frame")


@asynccontextmanager
async def running(work: Work, watched: Watched) -> AsyncIterator[asyncio.Task[None]]:
    """The work as a task, and no task of it afterwards."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    factory = loop.get_task_factory()
    loop.set_task_factory(watched.new_task)
    task = loop.create_task(work(), name="the work")
    try:
        yield task
    finally:
        loop.set_task_factory(factory)
        task.cancel()
        left = asyncio.all_tasks() - before
        if left:
            await asyncio.wait({task, *left}, timeout=0.2)
        for one in left:
            one.cancel()
        if left:
            _, stuck = await asyncio.wait(left, timeout=CLEAN_SECONDS)
            assert not stuck, stuck
        for one in {task, *left}:
            if not one.cancelled():
                one.exception()  # seen


async def awaits_of(work: Work, look_seconds: float) -> list[Site]:
    """Every await that the work comes to before all of it waits for what does not come."""
    watched = Watched()
    async with running(work, watched):
        count = -1
        while count < len(watched.sites):
            count = len(watched.sites)
            await asyncio.sleep(look_seconds)
    return list(watched.sites)


async def ends_when_cancelled(work: Work, site: Site, moment: Moment) -> bool | None:
    """Whether the task that came to this await ended in time; None when this run did not come there, or waited on."""
    watched = Watched(site, moment)
    async with running(work, watched):
        try:
            async with asyncio.timeout(COME_SECONDS):
                await watched.reached.wait()
        except TimeoutError:
            return None
        assert watched.victim is not None
        await asyncio.wait({watched.victim}, timeout=0 if watched.met.is_set() else LOOK_SECONDS)
        if not watched.met.is_set():  # the result did not come: then while it waits
            watched.strike()
        done, _ = await asyncio.wait({watched.victim}, timeout=END_SECONDS)
        return bool(done)


async def refusals(work: Work, within: str = "", look_seconds: float = LOOK_SECONDS) -> tuple[int, list[str]]:
    """How many cancellations were tried, and which awaits outlived theirs.

    `within`: only awaits whose innermost line of ours is in files beginning like that.
    """
    tried, refused = 0, []
    for site in await awaits_of(work, look_seconds):
        if not site[-1].startswith(within):
            continue
        for moment in Moment:
            ended = await ends_when_cancelled(work, site, moment)
            tried += ended is not None
            if ended is False:
                refused.append(f"{' > '.join(site)}, {moment}")
    return tried, refused

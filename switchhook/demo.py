"""The demo's telephone side: a private Asterisk and a small office that uses it.

    async with demo_office() as (asterisk, office):
        ...  # start Switchhook on asterisk.ports.ami with asterisk.ami_user and asterisk.ami_secret
        await office.run(calls=None)

The phones stop before the Asterisk does; leaving the context leaves no process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import DEFAULT_SUITE, find_asterisk
from switchhook.lab.office import BELIEVABLE, Pace, SimulatedOffice


@asynccontextmanager
async def demo_office(
    *, state: Path | None = None, suite: str = DEFAULT_SUITE, seed: int = 1, pace: Pace = BELIEVABLE
) -> AsyncIterator[tuple[PrivateAsterisk, SimulatedOffice]]:
    """Start the private Asterisk and register the ten handsets; the people begin with `office.run`.

    Raises NoAsterisk (with a remedy) when none can be had here: then captures can be played instead. Fetching one takes
    about half a minute, once; otherwise this takes about a second.
    """
    install = await asyncio.to_thread(find_asterisk, suite)
    async with (
        PrivateAsterisk(install, state=state, system_name="demo", ami_write_all=True) as asterisk,
        SimulatedOffice(asterisk, seed=seed, pace=pace) as office,
    ):
        yield asterisk, office

"""The whole line for one test, with the accounts most tests want."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from telephony.staff import PopPreference, Role
from tests.browser_fixtures import chromium
from tests.e2e.line import Line, straight_line

__all__ = ["chromium"]


@pytest.fixture
async def line(asterisk: PrivateAsterisk, database_url: str, tmp_path: Path) -> AsyncIterator[Line]:
    """Anna (101) and Boris (102) want cards, Vera (103) never, Grigory (104) only when they answer."""
    async with straight_line(asterisk, database_url, tmp_path) as running:
        await running.account("anna", "101")
        await running.account("boris", "102")
        await running.account("vera", "103", pop=PopPreference.NEVER)
        await running.account("grigory", "104", pop=PopPreference.ON_ANSWER)
        await running.account("admin", role=Role.ADMINISTRATOR)
        yield running

"""Which Asterisk drops one side of recordings: the packages of Debian and Ubuntu since 20.6, by the version they tell."""

from __future__ import annotations

import pytest

from ami_bridge.doctor.doctor import Level
from ami_bridge.doctor.recording_loss import WHAT, loses_one_side
from tests.ami_bridge.doctor.test_doctor import examined
from tests.ami_bridge.fake_ami import FakeAmi, success

PATCHED = [
    "22.10.1+dfsg+~cs6.17.60671434-1",
    "22.8.2~dfsg+~cs6.15.60671435-2",
    "20.6.0~dfsg+~cs6.13.40431414-2build5",  # Ubuntu 24.04
    "Asterisk 23.1.0~dfsg-1",
]
WHOLE = [
    "22.10.1",
    "16.28.0~dfsg-0+deb11u4",
    "20.5.2~dfsg+~cs6.13.40431413-1",
    "certified/20.7-cert5",
    "GIT-master-1",
]


@pytest.mark.parametrize(
    ("version", "loses"), [*((one, True) for one in PATCHED), *((one, False) for one in WHOLE)]
)
def test_the_package_is_known_by_its_version(version: str, loses: bool) -> None:
    """Debian's own builds from 20.6 on; neither upstream's nor older packages."""
    assert loses_one_side(version) is loses


@pytest.mark.parametrize(("version", "told"), [(PATCHED[0], [Level.WARN]), (WHOLE[0], [])])
async def test_the_doctor_names_it_with_the_remedy(version: str, told: list[Level]) -> None:
    """A notice with both ways out: tracks, or linear music."""
    fake = FakeAmi()
    fake.answers["CoreSettings"] = lambda action: success(
        action, f"AsteriskVersion: {version}", "SystemName: pbx"
    )
    found = [one for one in await examined(fake) if one.what == WHAT]
    assert [one.level for one in found] == told
    assert all("SWITCHHOOK_TRACKS" in one.remedy and ".wav" in one.remedy for one in found)

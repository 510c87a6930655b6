"""From two people talking to two sides of sound in a browser: nothing between them is made up."""

from __future__ import annotations

import asyncio
import io

import av
import pytest
from playwright.async_api import Browser, expect

from switchhook.lab.phone_media import tone
from tests.asterisk_fixtures import PhoneRoom
from tests.e2e.line import Line, until
from tests.recordings.tones import Side

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres, pytest.mark.browser]

CLIENT = "+79165550007"
DIRECT = "74951000001"
CUSTOMER_HZ, AGENT_HZ, TARGET_HZ = 700.0, 1100.0, 1500.0
TALK_SECONDS = 1.5
READY_SECONDS = 30.0  # measured 4 to 5 (`python -m bench playable`); a loaded machine may need far longer


def sides_of(sound: bytes) -> tuple[Side, Side]:
    """The outside party and ours, decoded."""
    with av.open(io.BytesIO(sound)) as file:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=8000)
        frames = [made for frame in file.decode(audio=0) for made in resampler.resample(frame)]
        pcm = b"".join(bytes(frame.planes[0])[: frame.samples * 4] for frame in frames)
    left, right = (Side.of_pcm(pcm, 8000, channel=side, channels=2) for side in (0, 1))
    return left, right


async def talk(phones: PhoneRoom, *, transfer: bool) -> None:
    """A customer talks to Anna, who may hand them to Boris without asking."""
    anna, boris = await phones.handsets("101", "102")
    city = await phones.carrier()
    outside = await city.dial(DIRECT, caller=CLIENT, name="Olga Sokolova")
    inside = await anna.incoming()
    await inside.answer()
    await outside.answered()
    outside.audio.speak(tone(CUSTOMER_HZ))
    inside.audio.speak(tone(AGENT_HZ))
    await outside.hears(AGENT_HZ, 5)
    await inside.hears(CUSTOMER_HZ, 5)
    await asyncio.sleep(TALK_SECONDS)  # people talk
    if transfer:
        await inside.transfer("102")
        target = await boris.incoming()
        await target.answer()
        target.audio.speak(tone(TARGET_HZ))
        await outside.hears(TARGET_HZ, 5)
        await asyncio.sleep(TALK_SECONDS)  # people talk
    await outside.hang_up()


async def ready(line: Line, login: str) -> dict[str, object]:
    """The one recording, once it can be played."""
    async with line.program(login) as api:

        async def there() -> dict[str, object] | None:
            async with api.http.get("/api/v1/recordings") as answer:
                told = (await answer.json())["recordings"]
            return next((one for one in told if one["state"] == "ready"), None)

        found: dict[str, object] = await until(there, "recording that can be played", READY_SECONDS)
        return found


async def test_a_transferred_call_is_heard_whole_by_those_who_talked(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Anna talks, hands over to Boris, who talks on. The sound in the browser holds all of it: the customer on one
    side, Anna and then Boris on the other. Both may hear it; Vera, who had no part in it, does not find it.
    """
    await talk(phones, transfer=True)
    recording = await ready(line, "boris")
    assert recording["faults"] == []
    async with (
        line.program("anna") as anna,
        anna.http.get(f"/api/v1/recordings/{recording['id']}/audio") as answer,
    ):
        assert answer.status == 200
        outside, ours = sides_of(await answer.read())
    for side, hz in ((outside, CUSTOMER_HZ), (ours, AGENT_HZ), (ours, TARGET_HZ)):
        assert sum(until_ - since for since, until_ in side.heard(hz)) >= TALK_SECONDS * 0.9
    assert outside.heard(AGENT_HZ) == outside.heard(TARGET_HZ) == ours.heard(CUSTOMER_HZ) == []
    async with (
        line.program("vera") as vera,
        vera.http.get(f"/api/v1/recordings/{recording['id']}/audio") as answer,
    ):
        assert answer.status == 404


async def test_the_call_page_plays_what_was_said(chromium: Browser, line: Line, phones: PhoneRoom) -> None:
    """Anna opens the call, presses play, and time goes on; a click into the waveform goes there."""
    await talk(phones, transfer=False)
    recording = await ready(line, "anna")
    page = await line.enter(chromium, "anna", path=f"/calls/{recording['call_id']}")
    play = page.get_by_role("button", name="Play", exact=True)
    await expect(play).to_be_visible()
    await play.click()
    moved = "document.querySelector('audio').currentTime > 0.2"
    await until(lambda: page.evaluate(moved), "sound")
    async with line.program("admin") as admin, admin.http.get("/audit/export.jsonl") as answer:
        assert answer.status == 200
        assert '"opened"' in await answer.text()

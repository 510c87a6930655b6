"""What the worker makes, in a real Chromium: it plays, jumps anywhere, and says the right length; sides stay sides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page

from call_records.recordings.encoding.editing_audio import BEEP_HERTZ, redact
from call_records.recordings.encoding.encoder import encode
from call_records.recordings.encoding.types import Sources
from tests.browser_fixtures import chromium
from tests.recordings.sounds import tone, write_wav

__all__ = ["chromium"]

pytestmark = pytest.mark.browser

CUSTOMER, COLLEAGUE = 400, 1700
SECONDS = 16

SEEK = """
async (moments) => {
    const audio = new Audio("/call.m4a");
    const once = (name) => new Promise((done, fail) => {
        audio.addEventListener(name, done, {once: true});
        audio.addEventListener("error", () => fail(new Error(audio.error.message)), {once: true});
    });
    audio.preload = "auto";
    document.body.append(audio);
    if (audio.readyState < 1) await once("loadedmetadata");
    const landed = [];
    for (const moment of moments) {
        audio.currentTime = moment;
        await once("seeked");
        landed.push([audio.currentTime, audio.readyState]);
    }
    audio.muted = true;
    audio.currentTime = audio.duration - 0.5;
    await audio.play();
    await once("ended");
    return {duration: audio.duration, landed, end: audio.currentTime};
}
"""
DECODE = """
async ([moments, hertz]) => {
    const bytes = await (await fetch("/covered.m4a")).arrayBuffer();
    const sound = await new OfflineAudioContext(2, 48000, 48000).decodeAudioData(bytes);
    const level = (side, from, one) => {
        const samples = sound.getChannelData(side).subarray(from * 48000, (from + 0.5) * 48000);
        let real = 0, imaginary = 0;
        samples.forEach((value, n) => {
            real += value * Math.cos(2 * Math.PI * one * n / 48000);
            imaginary += value * Math.sin(2 * Math.PI * one * n / 48000);
        });
        return 2 * Math.hypot(real, imaginary) / samples.length;
    };
    return {
        duration: sound.duration,
        sides: sound.numberOfChannels,
        levels: moments.map(from => [0, 1].map(side => hertz.map(one => level(side, from, one)))),
    };
}
"""


@pytest.fixture
async def page(chromium: Browser, tmp_path: Path) -> AsyncIterator[Page]:
    """A page of an origin that serves a call of 16 seconds, and the same call with 5 to 10 s covered."""
    sides = Sources(
        write_wav(tmp_path / "in.wav", tone(CUSTOMER, SECONDS)),
        write_wav(tmp_path / "out.wav", tone(COLLEAGUE, SECONDS)),
        outside_first=True,
    )
    encode(sides, tmp_path / "call.m4a")
    redact(tmp_path / "call.m4a", tmp_path / "covered.m4a", 5, 10)
    app = web.Application()
    app.router.add_get("/", _empty_page)
    app.router.add_static("/", tmp_path)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    opened = await chromium.new_page()
    await opened.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    yield opened
    await opened.close()
    await runner.cleanup()


async def _empty_page(_: web.Request) -> web.Response:
    return web.Response(text="<!doctype html><title>A call</title><body>", content_type="text/html")


async def test_it_jumps_and_plays_to_the_end(page: Page) -> None:
    """Forward, back, and to the last second: the player is where it was sent, with sound to go on, and ends in time."""
    told: dict[str, Any] = await page.evaluate(SEEK, [12.0, 2.25, 15.0])
    assert told["duration"] == pytest.approx(SECONDS, abs=0.02)
    assert [landed for landed, _ in told["landed"]] == pytest.approx([12.0, 2.25, 15.0], abs=0.001)
    assert all(ready >= 2 for _, ready in told["landed"])
    assert told["end"] == pytest.approx(SECONDS, abs=0.1)


async def test_sides_and_beep_in_the_browsers_own_decoder(page: Page) -> None:
    """The customer left, we right, before and after; the beep and nobody while it is covered."""
    told: dict[str, Any] = await page.evaluate(DECODE, [[2, 7, 12], [CUSTOMER, COLLEAGUE, BEEP_HERTZ]])
    assert (told["sides"], told["duration"]) == (2, pytest.approx(SECONDS, abs=0.1))
    before, covered, after = told["levels"]
    for left, right in (before, after):
        assert left[0] > 0.2
        assert right[1] > 0.2
        assert left[0] > 1.5 * left[1]
        assert right[1] > 1.5 * right[0]
        assert max(left[2], right[2]) < 0.005
    for customer, colleague, beep in covered:
        assert max(customer, colleague) < 0.005
        assert beep == pytest.approx(0.2, rel=0.1)

"""The player in a real browser: it plays, seeks, comments, chooses, shares and covers; with the mouse, a thumb and keys."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Browser, Page, expect

from call_records.recordings.types import Recording, Redaction
from telephony.call_facts.facts import CallFacts, PartyKind, Recorded, RecordingPause
from telephony.errors import NeedsPerson
from telephony.recordings import AuditAction, RecordingPolicy, RecordingRight, RecordingState
from telephony.staff import Role
from tests.axe_findings import find_violations
from tests.browser_fixtures import chromium
from tests.recordings.player_fakes import recording, sound, talk
from tests.web import office as scenes
from tests.web.conftest import SETTINGS, Office, office
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.serving import running
from tests.web.test_browser import enter

__all__ = ["chromium", "office"]
pytestmark = pytest.mark.browser

LENGTH = 60.0
PLAYING = (
    "((audio) => audio && audio.currentTime > {0} && !audio.paused)(document.querySelector('.player audio'))"
)
AT = "document.querySelector('.player audio').currentTime"


def kept(
    office: Office, *, begin: float = 0, name: str = "Garden", **different: object
) -> tuple[CallFacts, Recording]:
    """A call of the manager's (101) with a minute of real sound, silent from 20 to 30 s."""
    call = scenes.ringing("101", name=name, begin=scenes.s(begin))
    call = scenes.over(scenes.picked_up(call, "101"), 6 + LENGTH)
    office.records.calls.kept[call.id] = call
    made = recording(
        call.id, **{"started_at": call.answered_at, "duration_seconds": LENGTH, "channel": None, **different}
    )
    office.records.recordings.kept[made.id] = made
    office.records.recordings.peaks_of[made.id] = talk(LENGTH, quiet=[(20, 30)])
    office.records.shelf.kept[(made.id, False)] = sound(LENGTH)
    return call, made


async def at_call(chromium: Browser, office: Office, call: CallFacts, who: str = "manager") -> Page:
    page = await enter(chromium, office.address, who)
    await page.goto(f"{office.address}/calls/{call.id}")
    await expect(page.locator("[data-now]")).to_have_text("0:00")
    return page


async def becomes(page: Page, told: str, within: float = 10.0) -> None:
    """Wait for that to be true. Asked from here: our pages allow no evaluation of strings, not even to a test tool."""
    async with asyncio.timeout(within):
        while not await page.evaluate(told):
            await asyncio.sleep(0.03)


async def click_at(page: Page, seconds: float, upto: float | None = None) -> None:
    """Click on the strip at that second, or drag from it to another."""
    strip = await page.locator(".sound > svg > .ground").bounding_box()
    assert strip
    y = strip["y"] + 20

    def x(second: float) -> float:
        return strip["x"] + strip["width"] * second / LENGTH

    await page.mouse.move(x(seconds), y)
    await page.mouse.down()
    if upto is not None:
        await page.mouse.move(x((seconds + upto) / 2), y)
        await page.mouse.move(x(upto), y)
    await page.mouse.up()


async def now(page: Page) -> float:
    at = await page.locator(".scale").get_attribute("aria-valuenow")
    assert at
    return float(at)


async def test_it_plays_seeks_and_tells_what_was_heard(chromium: Browser, office: Office) -> None:
    """Somebody plays, clicks into the middle, pauses and leaves: the sound follows, and the log has how much it was."""
    call, made = kept(office)
    page = await at_call(chromium, office, call)
    assert office.records.audit.lines == []
    await page.click("[data-do=play]")
    await becomes(page, PLAYING.format(0.6))
    await expect(page.locator("[data-do=play] [data-word]")).to_have_text("Pause")
    await click_at(page, 40)
    await becomes(page, PLAYING.format(40.2))
    assert await page.evaluate(AT) < 45
    await page.click("[data-do=play]")
    await expect(page.locator("[data-do=play] [data-word]")).to_have_text("Play")
    at = await page.evaluate(AT)
    assert 40 < at < 45
    head = await page.locator("[data-picture-head]").get_attribute("x1")
    assert head
    assert float(head.rstrip("%")) == pytest.approx((6 + at) / (6 + LENGTH) * 100, abs=0.2)
    await page.goto(f"{office.address}/calls")  # the page that is left tells how much was heard
    async with asyncio.timeout(5):
        while len(office.records.audit.lines) < 2:
            await asyncio.sleep(0.03)
    opened, heard = office.records.audit.lines
    assert (opened.action, heard.action) == (AuditAction.OPENED, AuditAction.HEARD)
    assert heard.recording_id == made.id
    assert heard.seconds
    assert 0.5 < heard.seconds < 6


async def test_a_click_is_heard_at_once(
    chromium: Browser, office: Office, record_property: Callable[[str, object], None]
) -> None:
    """Twenty clicks all over a recording that is served in ranges: from the click to the browser's `seeked`. The
    figures go to the report of the run; a slow machine is no failure.
    """
    call, _ = kept(office)
    page = await at_call(chromium, office, call)
    await page.click("[data-do=play]")
    await becomes(page, PLAYING.format(0.1))
    await page.evaluate("document.querySelector('.player audio').pause()")
    took = await page.evaluate(
        """async () => {
            const audio = document.querySelector('.player audio'), took = [];
            for (let n = 0; n < 20; n += 1) {
                const began = performance.now();
                const done = new Promise((seeked) => audio.addEventListener('seeked', seeked, { once: true }));
                audio.currentTime = (n * 23) % 60;
                await done;
                took.push(performance.now() - began);
            }
            return took.sort((a, b) => a - b);
        }"""
    )
    assert len(took) == 20
    record_property("seek_ms_median", round(took[10], 1))
    record_property("seek_ms_worst", round(took[-1], 1))
    print(f"seek: median {took[10]:.1f} ms, worst {took[-1]:.1f} ms")


async def test_the_keyboard_alone(chromium: Browser, office: Office) -> None:
    """Space, arrows, brackets, speed, a comment: without a mouse. The place is told to who cannot see it."""
    call, _ = kept(office)
    page = await at_call(chromium, office, call)
    for key, at in (("ArrowRight", 5), ("ArrowRight", 10), ("Shift+ArrowRight", 11), ("ArrowLeft", 6)):
        await page.keyboard.press(key)
        assert await now(page) == at
    await page.keyboard.press("[")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("]")
    await expect(page.locator("[data-chosen-words]")).to_have_text("0:06 – 0:11 (0:05)")
    await page.keyboard.press(">")
    await expect(page.locator("[data-speed]")).to_have_value("1.25")
    await page.keyboard.press("Space")
    await becomes(page, PLAYING.format(11.2))
    assert await page.evaluate("document.querySelector('.player audio').playbackRate") == 1.25
    await page.keyboard.press("Space")
    await expect(page.locator("[data-do=play] [data-word]")).to_have_text("Play")
    scale = page.locator(".scale")
    await scale.focus()
    await page.keyboard.press("End")
    assert await now(page) == LENGTH
    await page.keyboard.press("Home")
    await expect(scale).to_have_attribute("aria-valuetext", "0:00 of 1:00, Garden with Manager")
    await page.keyboard.press("c")
    await page.keyboard.type("a good beginning")
    await page.keyboard.press("Control+Enter")
    await expect(page.locator(".remarks li")).to_contain_text("a good beginning")
    await expect(scale).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_contain_text("Slower and faster")


async def test_silence_is_skipped(chromium: Browser, office: Office) -> None:
    """Nobody speaks from 20 to 30 s: with the switch on, the sound goes from one word to the next; and the switch is
    still on at the next call.
    """
    call, _ = kept(office)
    page = await at_call(chromium, office, call)
    await expect(page.locator("[data-do=skip]")).to_contain_text("0:10")
    await page.click("[data-do=skip]")
    await click_at(page, 19.5)
    await page.click("[data-do=play]")
    await becomes(page, PLAYING.format(29.5), within=5)
    await page.reload()
    await expect(page.locator("[data-do=skip]")).to_have_attribute("aria-pressed", "true")


async def test_a_comment_is_said_changed_and_taken_back(chromium: Browser, office: Office) -> None:
    """Markup in it is harmless; a click on its time goes there."""
    call, _ = kept(office)
    page = await at_call(chromium, office, call)
    await click_at(page, 30)
    await page.click("[data-do=comment]")
    await page.keyboard.type("<b>he hesitates</b>")
    await page.click("[data-panel=comment] [type=submit]")
    line = page.locator(".remarks li")
    await expect(line).to_contain_text("<b>he hesitates</b>")
    await expect(page.locator(".sound .remark")).to_have_count(1)
    (said,) = office.records.comments.kept.values()
    assert said.at_seconds == pytest.approx(30, abs=0.3)
    await page.click("[data-do=edit]")
    await page.fill("[data-panel=comment] textarea", "he thinks")
    await page.click("[data-panel=comment] [type=submit]")
    await expect(line).to_contain_text("he thinks")
    await page.keyboard.press("Home")
    await line.locator(".at").click()
    await becomes(page, PLAYING.format(30))
    await page.click("[data-do=edit]")
    await page.fill("[data-panel=comment] textarea", "")
    await page.click("[data-panel=comment] [type=submit]")
    await expect(line).to_have_count(0)
    await expect(page.locator(".sound .remark")).to_have_count(0)


async def test_a_part_is_chosen_heard_and_shared(chromium: Browser, office: Office) -> None:
    """A supervisor drags over ten seconds, hears just them, and makes a link, which is shown once and can be ended."""
    call, _ = kept(office)
    page = await at_call(chromium, office, call, "supervisor")
    await click_at(page, 10, upto=12)
    await page.click("[data-do=play-chosen]")
    await becomes(page, f"{AT} >= 11.9 && document.querySelector('.player audio').paused", within=8)
    assert await page.evaluate(AT) < 13
    await page.click(".selection [data-do=share]")
    await page.select_option("[data-panel=share] [name=days]", "3")
    await page.click("[data-panel=share] [type=submit]")
    await expect(page.locator("[data-made]")).to_be_visible()
    assert "/listen/" in await page.input_value("[data-address]")
    ((_, since, until, link),) = office.records.editor.clips
    assert (since, until) == (pytest.approx(10, abs=0.3), pytest.approx(12, abs=0.3))
    await page.click("[data-do=revoke]")
    await expect(page.locator("[data-links]")).to_contain_text("Ended Today")
    assert office.records.links.kept[link].revoked_at
    await page.keyboard.press("Escape")
    await expect(page.locator("[data-panel=share]")).to_be_hidden()


async def test_a_part_is_covered(chromium: Browser, office: Office) -> None:
    """Card data was said: chosen, covered, and seen as covered at once; the original is kept."""
    call, made = kept(office)
    page = await at_call(chromium, office, call, "supervisor")
    await click_at(page, 40, upto=45)
    await page.click(".selection [data-do=redact]")
    await expect(page.locator("[data-panel=redact]")).to_contain_text("The original is kept")
    await page.click("[data-panel=redact] [type=submit]")
    await expect(page.locator("[data-said]")).to_have_text("The part is covered. Undo")
    await expect(page.locator(".sound .span-redacted")).to_have_count(1)
    (span,) = office.records.recordings.kept[made.id].redactions
    assert (span.from_seconds, span.to_seconds) == (pytest.approx(40, abs=0.3), pytest.approx(45, abs=0.3))
    await page.click("[data-said] button")
    await expect(page.locator("[data-said]")).to_have_text("The part is heard again.")
    await expect(page.locator(".sound .span-redacted")).to_have_count(0)
    assert office.records.recordings.kept[made.id].redactions == ()


async def test_a_part_is_uncovered_later(chromium: Browser, office: Office) -> None:
    """Covered an hour ago by somebody else: with the right to originals, it is uncovered on the recording's own page."""
    call, made = kept(office)
    span = Redaction(40, 45, "Boris", datetime.now(UTC) - timedelta(hours=1), uuid4())
    office.records.recordings.kept[made.id] = replace(made, redactions=(span,), has_original=True)
    page = await at_call(chromium, office, call, "supervisor")
    await page.goto(f"{office.address}/recordings/{made.id}")
    await expect(page.locator("ul.covered")).to_contain_text("0:40–0:45")
    await expect(page.locator("ul.covered button")).to_have_count(0)
    supervisor = await office.records.accounts.by_login("supervisor")
    assert supervisor
    await office.records.accounts.update(replace(supervisor, rights_chosen=frozenset(RecordingRight)))
    await page.reload()
    await page.click("ul.covered button")
    await expect(page.locator(".toast")).to_contain_text("What was covered is heard again.")
    assert office.records.recordings.kept[made.id].redactions == ()


async def test_destroying_is_typed(chromium: Browser, office: Office) -> None:
    """Where the policy destroys what is covered, a wrong name is refused in words and nothing is lost of the form."""
    office.records.retention.chosen = RecordingPolicy(destroy_redacted_original=True)
    call, made = kept(office)
    page = await at_call(chromium, office, call, "supervisor")
    await click_at(page, 40, upto=45)
    await page.click(".selection [data-do=redact]")
    await page.fill("[name=typed]", "Gardener")
    await page.click("[data-panel=redact] [type=submit]")
    await expect(page.locator("[data-said]")).to_contain_text("has to be typed first")
    await page.fill("[name=typed]", "Garden")
    await page.click("[data-panel=redact] [type=submit]")
    await expect(page.locator(".sound .span-redacted")).to_have_count(1)
    assert not office.records.recordings.kept[made.id].has_original


async def test_the_reason_is_asked_before_the_first_sound(chromium: Browser, office: Office) -> None:
    """Space is pressed, and instead of sound there is a question; once answered it plays, and is not asked again."""
    office.records.retention.chosen = RecordingPolicy(reason_required=True)
    call, _ = kept(office)
    page = await at_call(chromium, office, call, "supervisor")
    await page.keyboard.press("Space")
    await expect(page.locator("[data-panel=reason] textarea")).to_be_focused()
    assert await page.evaluate("document.querySelector('.player audio').paused")
    await page.keyboard.type("The client complained")
    await page.keyboard.press("Control+Enter")
    await becomes(page, PLAYING.format(0.3))
    (line,) = office.records.audit.lines
    assert line.reason == "The client complained"
    await page.reload()
    await page.keyboard.press("Space")
    await becomes(page, PLAYING.format(0.3))


async def test_the_drawer_of_the_list_with_the_keyboard(chromium: Browser, office: Office) -> None:
    """`j` to the second call, Space plays it below the list, `j` and Space the next one, Esc closes and the focus is
    where it was.
    """
    (_, third), (_, second), _ = (kept(office, begin=n * 200, name=f"Client {n}") for n in range(3))
    page = await enter(chromium, office.address, "manager")
    await page.goto(f"{office.address}/calls")
    await page.wait_for_selector("html[data-live=yes]")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Space")
    await becomes(page, PLAYING.format(0.3))
    await expect(page.locator(".drawer h2")).to_contain_text("Client 1")
    await expect(page.locator(".call-row.playing .who")).to_contain_text("Client 1")
    await page.keyboard.press("j")
    await page.keyboard.press("Space")
    await expect(page.locator(".drawer h2")).to_contain_text("Client 0")
    await becomes(page, PLAYING.format(0.3))
    await page.keyboard.press("Space")
    await becomes(page, "document.querySelector('.player audio').paused")
    await page.keyboard.press("Escape")
    await expect(page.locator(".drawer")).to_be_hidden()
    await expect(page.locator(".call-row .who").nth(2)).to_be_focused()
    heard = [line.recording_id for line in office.records.audit.lines if line.action is AuditAction.OPENED]
    assert heard == [second.id, third.id]


async def test_the_drawer_with_the_mouse(chromium: Browser, office: Office) -> None:
    """The button of a row plays and does not open the call; closed by its cross, the focus is back on the button."""
    kept(office)
    page = await enter(chromium, office.address, "manager")
    await page.goto(f"{office.address}/calls")
    await page.click("[data-play]")
    await becomes(page, PLAYING.format(0.3))
    assert page.url.endswith("/calls")
    await page.click("[data-close-drawer]")
    await expect(page.locator("[data-play]")).to_be_focused()


async def test_the_second_half_after_a_transfer_follows_by_itself(chromium: Browser, office: Office) -> None:
    """The client was handed to a courier outside; at the end of the first recording the second goes on from there."""
    call = scenes.over(scenes.picked_up(scenes.ringing("101", name="Garden"), "101"), 100)
    office.records.calls.kept[call.id] = call
    for at, seconds in ((6.0, 10.0), (14.0, LENGTH)):
        made = recording(call.id, started_at=scenes.s(at), duration_seconds=seconds, channel=None)
        office.records.recordings.kept[made.id] = made
        office.records.recordings.peaks_of[made.id] = talk(seconds)
        office.records.shelf.kept[(made.id, False)] = sound(seconds)
    page = await at_call(chromium, office, call)
    first, second = page.locator(".strip").nth(0), page.locator(".strip").nth(1)
    await first.locator(".scale").focus()
    await page.keyboard.press("End")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Space")
    await expect(page.locator("[data-total]")).to_have_text("1:00", timeout=15_000)
    await becomes(page, PLAYING.format(2.1))
    assert await page.evaluate(AT) < 6
    await expect(second).to_have_class("strip current")


async def test_a_sound_that_cannot_be_had_is_a_sentence(chromium: Browser, office: Office) -> None:
    """It was removed while the page was open: the player says so instead of staying silent."""
    call, made = kept(office)
    page = await at_call(chromium, office, call)
    office.records.recordings.kept[made.id] = replace(made, state=RecordingState.REMOVED)
    await page.click("[data-do=play]")
    await expect(page.locator("[data-said]")).to_contain_text("This recording was removed.")


async def test_a_thumb_moves_the_sound(chromium: Browser, office: Office) -> None:
    """On a phone: nothing is wider than the screen, every button is 44 px high, a tap seeks and a stroke scrubs."""
    call, _ = kept(office)
    context = await chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    await page.goto(f"{office.address}/sign-in")
    await page.fill("[name=login]", "supervisor")
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.goto(f"{office.address}/calls/{call.id}")
    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    for button in await page.locator(
        ".transport button:visible, .transport summary, .transport select"
    ).all():
        box = await button.bounding_box()
        assert box
        assert box["height"] >= 44, await button.inner_text()
    strip = await page.locator(".sound > svg > .ground").bounding_box()
    assert strip
    await page.touchscreen.tap(strip["x"] + strip["width"] / 2, strip["y"] + 20)
    assert await now(page) == pytest.approx(30, abs=0.5)
    await page.goto(f"{office.address}/calls")
    await page.tap("[data-play]")
    await becomes(page, PLAYING.format(0.2))
    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")


class FakeControl:
    """A phone system that does as it is told, and tells so a moment later."""

    def __init__(self, live: FakeLive) -> None:
        self.live = live
        self.asked: list[str] = []
        self.trouble: Exception | None = None

    async def pause(self, call_id: UUID) -> None:
        self._do("pause", call_id)

    async def resume(self, call_id: UUID) -> None:
        self._do("resume", call_id)

    def _do(self, what: str, call_id: UUID) -> None:
        self.asked.append(what)
        if self.trouble:
            raise self.trouble
        call = next(facts for facts in self.live.calls() if facts.id == call_id)
        (taped,) = call.recorded
        moment = datetime.now(UTC)
        if what == "pause":
            pauses = (*taped.pauses, RecordingPause(moment, None))
        else:
            pauses = (*taped.pauses[:-1], replace(taped.pauses[-1], until=moment))
        self.live.publish(replace(call, recorded=(replace(taped, pauses=pauses),)))


async def test_recording_is_paused_for_card_data(chromium: Browser) -> None:
    """The client will say their card's number: the manager pauses on their card, the seconds of the pause tick, and it
    goes on with the same button; a supervisor sees it on the call's page; a refusal is a sentence.
    """
    records, live = FakeRecords(), FakeLive()
    for role, extensions in ((Role.MANAGER, ["101"]), (Role.SUPERVISOR, [])):
        await records.add(role.value, role, *extensions)
    control = FakeControl(live)
    taped = Recorded("x", "1.1", scenes.CLIENT, PartyKind.OUTSIDE, scenes.s(6), None)
    call = replace(scenes.picked_up(scenes.ringing("101", name="Garden"), "101"), recorded=(taped,))
    async with running(records, live, SETTINGS, cheap_passwords(), control) as address:
        page = await enter(chromium, address, "manager")
        live.publish(call)
        button = page.locator(".card [data-pausing]")
        await expect(button).to_contain_text("Pause recording")
        await button.click()
        await expect(button).to_contain_text(re.compile(r"Recording paused\s+0:0\d– resume"))
        chief = await enter(chromium, address, "supervisor")
        await chief.goto(f"{address}/calls/{call.id}")
        await expect(chief.locator("#pausing")).to_contain_text("Recording paused")
        await chief.locator("#pausing [data-pausing]").click()
        await expect(chief.locator("#pausing")).to_contain_text("Pause recording")
        await expect(button).to_contain_text("Pause recording")
        control.trouble = NeedsPerson("Nothing of this call is recorded.", remedy="Look at the dialplan.")
        await button.click()
        await expect(page.locator(".card [data-slot=saved]")).to_have_text(
            "Nothing of this call is recorded. Look at the dialplan."
        )
    assert control.asked == ["pause", "resume", "pause"]
    assert records.audit.told() == [AuditAction.PAUSED, AuditAction.RESUMED, AuditAction.PAUSED]
    assert {line.call_id for line in records.audit.lines} == {call.id}


async def test_nothing_that_axe_can_find(chromium: Browser, office: Office) -> None:
    """The call page with each panel open, a call that cannot be played, and the drawer, in both themes."""
    account = await office.records.accounts.by_login("supervisor")
    assert account
    await office.records.accounts.update(replace(account, rights_chosen=frozenset(RecordingRight)))
    call, made = kept(office)
    lost, _ = kept(office, begin=500, state=RecordingState.LOST, reason="No file came.")
    await office.records.comments.add(
        recording_id=made.id, account_id=account.id, at_seconds=9, text="well asked"
    )
    page = await at_call(chromium, office, call, "supervisor")
    found: list[str] = []
    await page.goto(f"{office.address}/calls/{lost.id}")
    found += await find_violations(page, "lost")
    await page.goto(f"{office.address}/calls/{call.id}")
    await click_at(page, 10, upto=20)
    for panel in ("comment", "share", "redact"):
        if panel == "redact":
            await page.click(".more summary")
        await page.locator(f".transport [data-do={panel}]").click()
        found += await find_violations(page, panel)
    await page.goto(f"{office.address}/calls")
    await page.click("[data-play]")
    await page.wait_for_selector(".drawer .transport")
    found += await find_violations(page, "drawer")
    assert found == []

"""What axe finds on a page, light and dark, from one look at it: only colours differ between the two."""

from __future__ import annotations

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Page

SETTLED = """Promise.all(document.getAnimations()
  .filter((one) => one.effect?.getComputedTiming().endTime !== Infinity)
  .map((one) => one.finished.catch(() => null))).then(() => null)"""
COLOURS = ["color-contrast", "link-in-text-block"]
RUN = """(rules) => axe.run({ resultTypes: ["violations"], ...(rules && { runOnly: rules }) })
  .then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((one) => one.html)]))"""
DRESS = """(theme) => {
  const { dataset } = document.documentElement, before = dataset.theme;
  dataset.theme = theme;
  return before;
}"""


async def find_violations(page: Page, where: str = "") -> list[str]:
    """One line for each rule that the page breaks as it stands; the page is afterwards as it was."""
    await page.evaluate(SETTLED)
    await page.evaluate(AXE_FILE_PATH.read_text() + "; undefined")
    before = await page.evaluate(DRESS, "light")
    light = await page.evaluate(RUN)
    await page.evaluate(DRESS, "dark")
    await page.evaluate(SETTLED)
    dark = await page.evaluate(RUN, COLOURS)
    await page.evaluate(DRESS, before)
    return [f"{where} {rule}: {nodes}" for rule, nodes in (*light, *dark)]

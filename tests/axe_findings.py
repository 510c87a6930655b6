"""What axe finds on a page, light and dark, from one look at it: only colours differ between the two."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Page

SETTLED = (
    "Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null))).then(() => null)"
)
COLOURS = "{ runOnly: ['color-contrast', 'link-in-text-block'] }"
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
    found = _lines(await page.evaluate("axe.run()"), where)
    await page.evaluate(DRESS, "dark")
    found += _lines(await page.evaluate(f"axe.run({COLOURS})"), f"{where} (dark)")
    await page.evaluate(DRESS, before)
    return found


def _lines(result: dict[str, Any], where: str) -> list[str]:
    return [
        f"{where} {one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]}"
        for one in result["violations"]
    ]

"""Importing a file as a person does it, in a real browser: from the upload to the undo, and how it looks on each screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from call_records.crm.imports.jobs import State
from call_records.crm.types import ClientFilter
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.staff import Role
from tests.axe_findings import find_violations
from tests.browser_fixtures import chromium
from tests.crm.people_office import add
from tests.web.kept import add_account, serving

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]

PATIENCE_MS = 60_000  # a file is read by a process of its own, and the page looks again every two seconds
WIDTHS = (1440, 1024, 390)
LIST = (
    "ФИО;Телефон;E-mail;Город;Ответственный\n"
    "Анна Белова;8 916 000-00-12;;Тверь;\n"  # another person's number: she is new, and it is said
    "Ольга Ким;8 916 000-00-12;irina@garden.example;Тверь;\n"  # the same one under another name, which is not kept
    "Пётр Громов;8 916 000-00-77;petr@;Псков;Никто\n"
    ";;;Тула;\n"
)
GERMAN = "Name;Telefon\n" + "".join(
    f"Anna {n};030 {line}\n"
    for n, line in enumerate(("1234567", "22334455", "90100200", "2273220", "25002333"))
)


@pytest.fixture
async def supervisor(records: RecordsStore) -> Account:
    """Who may import."""
    return await add_account(records, "supervisor", Role.SUPERVISOR, name="Mira Sato")


@pytest.fixture
async def address(records: RecordsStore, supervisor: Account) -> AsyncIterator[str]:
    """The pages, with somebody who may sign in."""
    del supervisor
    async with serving(records) as address:
        yield address


async def enter(chromium: Browser, address: str, path: str, width: int = 1440) -> Page:
    """A fresh browser profile, signed in, at that page."""
    page = await (await chromium.new_context(viewport={"width": width, "height": 900})).new_page()
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", "supervisor")
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    await page.goto(address + path)
    return page


async def upload(page: Page, file: Path) -> None:
    """Chosen and sent; the page with its columns is there."""
    await page.set_input_files("[name=file]", file)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("button", name="See what every row becomes")).to_be_visible(
        timeout=PATIENCE_MS
    )


def column(page: Page, heading: str) -> Locator:
    """The choice of what becomes of that column."""
    return page.locator(".columns-of tr").filter(has_text=heading).locator("select")


async def test_a_file_from_the_upload_to_the_undo(
    chromium: Browser, records: RecordsStore, address: str, tmp_path: Path
) -> None:
    """Another code page and back, a column left out, shared numbers and lost names said before, imported, taken back."""
    await add(records, "Ирина Соколова", "8 916 000-00-12", emails=("irina@garden.example",))
    file = tmp_path / "клиенты.csv"
    file.write_bytes(LIST.encode("cp1251"))
    page = await enter(chromium, address, "/people/import")
    await upload(page, file)
    await expect(page.locator("h1")).to_have_text("клиенты.csv")
    samples = page.locator(".columns-of .samples").first
    await expect(samples).to_contain_text("Анна Белова")

    await page.get_by_text("Does it look wrong?").click()
    for code_page, seen in (("koi8-r", False), ("cp1251", True)):
        if not await page.locator("[name=encoding]").is_visible():
            await page.get_by_text("Does it look wrong?").click()
        await page.select_option("[name=encoding]", code_page)
        await page.get_by_role("button", name="Read again").click()
        await expect(page.locator("[name=encoding]")).to_have_value(code_page, timeout=PATIENCE_MS)
        shown = expect(samples) if seen else expect(samples, "letters of another page")
        if seen:
            await shown.to_contain_text("Анна Белова")
        else:
            await shown.not_to_contain_text("Анна")

    await expect(column(page, "ФИО")).to_have_value("name")
    await expect(column(page, "Телефон")).to_have_value("phone")
    await column(page, "Город").select_option("")
    await page.get_by_role("button", name="See what every row becomes").click()
    await expect(page.get_by_text("nothing has been changed yet")).to_be_visible(timeout=PATIENCE_MS)
    preview = page.locator(".preview tbody tr")
    await expect(preview).to_have_count(4)
    await expect(preview.nth(0)).to_contain_text("shares a number or e-mail with Ирина Соколова")
    await expect(preview.nth(1)).to_contain_text("the name “Ольга Ким” is not kept")
    await expect(preview.nth(2)).to_contain_text("Nobody of yours is called “Никто”")
    await expect(preview.nth(3)).to_contain_text("neither a name nor a number nor an e-mail")
    assert "Тверь" not in await page.locator(".preview").inner_text()
    assert len((await records.book.page(ClientFilter())).clients) == 1

    await page.get_by_role("button", name="Import", exact=True).click()
    await expect(page.get_by_text("Imported.")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator(".tally > div").first).to_contain_text("2")
    await expect(page.locator(".wrongs tbody tr").first).to_be_visible()
    names = {one.name for one in (await records.book.page(ClientFilter())).clients}
    assert names == {"Ирина Соколова", "Анна Белова", "Пётр Громов"}
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Taken back:")).to_be_visible(timeout=PATIENCE_MS)
    (left,) = (await records.book.page(ClientFilter())).clients
    assert left.name == "Ирина Соколова"
    await page.get_by_role("link", name="Import another file").click()
    await expect(page.locator(".imports-before tbody tr").first).to_contain_text("Taken back")


async def test_a_list_from_another_country_is_put_right_by_one_button(
    chromium: Browser, records: RecordsStore, address: str, tmp_path: Path
) -> None:
    """The warning stands above the button that imports; afterwards the numbers are shown with their country."""
    file = tmp_path / "Adressen.csv"
    file.write_text(GERMAN, "utf-8")
    page = await enter(chromium, address, "/people/import")
    await upload(page, file)
    await page.get_by_role("button", name="See what every row becomes").click()
    doubt = page.locator(".doubt")
    await expect(doubt).to_contain_text(
        "5 of 5 numbers without a country code are none in RU", timeout=PATIENCE_MS
    )
    above, button = await doubt.bounding_box(), page.get_by_role("button", name="Import", exact=True)
    below = await button.bounding_box()
    assert above is not None
    assert below is not None
    assert above["y"] + above["height"] <= below["y"]
    await page.get_by_role("button", name="Read as numbers of DE (+49)").click()
    await expect(page.locator(".preview tbody tr").first).to_contain_text(
        "+49 30 1234567", timeout=PATIENCE_MS
    )
    await expect(doubt).to_have_count(0)
    await button.click()
    await expect(page.get_by_text("Imported.")).to_be_visible(timeout=PATIENCE_MS)
    keys = {phone.key for one in (await records.book.page(ClientFilter())).clients for phone in one.phones}
    assert "+493022334455" in keys


async def test_an_import_that_was_never_begun_is_deleted(
    chromium: Browser, records: RecordsStore, address: str, tmp_path: Path
) -> None:
    """With its file; the list of imports no longer has it."""
    file = tmp_path / "list.csv"
    file.write_text(GERMAN, "utf-8")
    page = await enter(chromium, address, "/people/import")
    await upload(page, file)
    await page.get_by_role("button", name="Delete this import").click()
    await page.wait_for_url("**/people/import")
    await expect(page.get_by_text("No file was imported yet.")).to_be_visible()
    assert list(await records.imports.recent()) == []


async def made(records: RecordsStore, supervisor: Account, data: bytes, until: State) -> str:
    """An import that has come so far; its address."""
    desk = records.imports
    import_id = await desk.take("Kundenliste mit einem langen Namen 2026.csv", data, by=supervisor.id)
    found = await desk.one(import_id)
    assert found is not None
    if until is not State.CHOOSING:
        await desk.choose(import_id, columns=found.mapped.columns, kind=found.mapped.kind)
        await desk.work(import_id)
    if until in (State.DONE, State.UNDONE):
        await desk.begin(import_id)
        await desk.work(import_id)
    if until is State.UNDONE:
        await desk.begin_undo(import_id)
        await desk.work(import_id)
    return f"/people/import/{import_id}"


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
async def test_every_step_fits_every_screen(
    chromium: Browser, records: RecordsStore, address: str, supervisor: Account, direction: str
) -> None:
    """Nothing is wider than the window, nothing lies upon anything else, links begin where the text does, and everybody
    can use it.
    """
    await add(records, "Ирина Соколова", "8 916 000-00-12", emails=("irina@garden.example",))
    data = LIST.encode()
    pages = [
        "/people/import",
        *[await made(records, supervisor, data, state) for state in (State.CHOOSING, State.CHECKED)],
        await made(records, supervisor, GERMAN.encode(), State.CHECKED),
        *[await made(records, supervisor, data, state) for state in (State.DONE, State.UNDONE)],
    ]
    for width in WIDTHS:
        page = await enter(chromium, address, "/people/import", width)
        for path in pages:
            await page.goto(f"{address}{path}?dir={direction}")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
            assert await page.evaluate(OVERLAPPING) == [], (path, width)
            assert await page.evaluate(BESIDE_THE_EDGE) == [], (path, width)
            if (width, direction) == (390, "ltr"):
                assert await find_violations(page) == [], path
        await page.context.close()


OVERLAPPING = """() => [...document.querySelectorAll(".preview tbody tr, .wrongs tbody tr")].flatMap(row => {
    const boxes = [...row.cells].filter(cell => cell.textContent.trim()).map(cell => {
        const range = document.createRange()
        range.selectNodeContents(cell)
        return range.getBoundingClientRect()
    })
    return boxes.flatMap((one, place) => boxes.slice(place + 1).filter(other =>
        one.left < other.right - 1 && other.left < one.right - 1 && one.top < other.bottom - 1 && other.top < one.bottom - 1
    ).map(() => row.textContent.trim()))
})"""
"""Rows in which the text of one cell lies upon that of another."""
BESIDE_THE_EDGE = """() => {
    const rtl = document.documentElement.dir === "rtl"
    const edge = element => {
        const range = document.createRange()
        range.selectNodeContents(element)
        const box = range.getBoundingClientRect()
        return rtl ? box.right : box.left
    }
    const title = edge(document.querySelector("h1"))
    return [...document.querySelectorAll(".does > form:first-child > button.quiet")]
        .filter(button => Math.abs(edge(button) - title) > 1.5)
        .map(button => `${button.textContent} ${edge(button) - title}`)
}"""
"""Buttons that look like links and do not begin where the heading does."""

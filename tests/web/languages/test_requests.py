"""In which language somebody is answered: the account's, else what this browser used last, else what it asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from babel import Locale

from telephony.staff import Role
from tests.web.conftest import SETTINGS, Office, Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.languages.untranslated import texts_of, untranslated
from tests.web.office import ringing
from tests.web.serving import running
from tests.web.test_live import stream
from web.languages.catalogues import ENGLISH, Language, Languages, accepted_tags
from web.languages.pseudo import OPENING, TAG, pseudo_text

PORTUGUESE = Language("pt-BR", "Português", Locale("pt", "BR"))
GERMAN = Language("de", "Deutsch", Locale("de"))
OFFERED = Languages((ENGLISH, GERMAN, PORTUGUESE))


@pytest.mark.parametrize(
    ("account", "cookie", "accepted", "tag"),
    [
        (None, None, "", "en"),
        (None, None, "fr, de;q=0.8, en;q=0.9", "en"),
        (None, None, "de-AT, en;q=0.5", "de"),
        (None, None, "pt-br", "pt-BR"),
        (None, None, "en;q=0, de;q=0.1", "de"),
        (None, None, "*;q=0.5, de;q=nan?", "en"),
        (None, "de", "pt-BR", "de"),
        ("pt-BR", "de", "en", "pt-BR"),
        ("xx", None, "de", "de"),
    ],
)
def test_the_account_comes_before_the_browser(
    account: str | None, cookie: str | None, accepted: str, tag: str
) -> None:
    assert OFFERED.choose(account=account, cookie=cookie, accepted=accepted).tag == tag


def test_a_header_without_end_is_read_as_far_as_browsers_write() -> None:
    assert len(accepted_tags(",".join(["de"] * 1000))) == 20


@pytest.fixture
async def bilingual() -> AsyncIterator[Office]:
    """An office that offers English and the made-up language."""
    records, live = FakeRecords(), FakeLive()
    await records.add("manager", Role.MANAGER, "101", name="Manager")
    settings = replace(SETTINGS, pseudo_language=True)
    async with running(records, live, settings, cheap_passwords()) as address:
        yield Office(records, live, address)


async def test_the_sign_in_page_speaks_as_the_browser_asks(bilingual: Office) -> None:
    async with bilingual.browser() as http, http.get("/sign-in", headers={"Accept-Language": TAG}) as answer:
        html = await answer.text()
    assert f'<html lang="{TAG}" dir="rtl"' in html
    assert untranslated(html, {"Switchhook"}) == []


@pytest.mark.parametrize("path", ["/no-such-page", "/listen/no-such-link"])
async def test_an_error_page_speaks_as_the_browser_asks(bilingual: Office, path: str) -> None:
    async with bilingual.browser() as http, http.get(path, headers={"Accept-Language": TAG}) as answer:
        assert answer.status == 404
        assert untranslated(await answer.text(), {"Switchhook"}) == []


async def test_english_needs_no_catalogue(bilingual: Office) -> None:
    async with bilingual.browser() as http, http.get("/sign-in") as answer:
        html = await answer.text()
    assert '<html lang="en" dir="ltr"' in html
    assert "/messages/" not in html
    assert OPENING not in html


async def test_only_what_has_a_catalogue_is_offered(office: Office) -> None:
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        assert 'action="/settings/language"' not in await person.read("/settings")
        await person.send("/settings/language", language=TAG)
        assert '<html lang="en"' in await person.read("/settings")


async def test_a_language_is_chosen_once_for_all_browsers_and_remembered_for_the_sign_in_page(
    bilingual: Office,
) -> None:
    async with bilingual.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        assert await person.send("/settings/language", language=TAG) == 303
        assert f'<html lang="{TAG}" dir="rtl"' in await person.read("/calls")
        await person.send("/sign-out")
        assert f'<html lang="{TAG}" dir="rtl"' in await person.read("/sign-in")
    async with bilingual.browser() as http:
        other = Person(http)
        await other.sign_in("manager")
        assert f'<html lang="{TAG}" dir="rtl"' in await other.read("/calls")
        assert await other.send("/settings/language", language="") == 303
        assert '<html lang="en"' in await other.read("/calls")


async def test_the_scripts_get_their_sentences_from_an_address_that_changes_with_them(
    bilingual: Office,
) -> None:
    async with bilingual.browser() as http:
        async with http.get("/sign-in", headers={"Accept-Language": TAG}) as answer:
            html = await answer.text()
        address = html.partition('<script defer src="')[2].partition('"')[0]
        assert html.index(address) < html.index('type="module"')
        async with http.get(address) as answer:
            assert (answer.status, answer.content_type) == (200, "text/javascript")
            assert "immutable" in answer.headers["Cache-Control"]
            assert pseudo_text("Saved.") in await answer.text()


async def test_one_stream_speaks_to_each_viewer_in_their_language(bilingual: Office) -> None:
    await bilingual.records.add("foreign", Role.MANAGER, "102", name="Foreign")
    account = await bilingual.records.accounts.by_login("foreign")
    assert account is not None
    await bilingual.records.accounts.set_language(account.id, TAG)
    async with stream(bilingual, "manager") as english, stream(bilingual, "foreign") as foreign:
        assert (await english.next())[0] == (await foreign.next())[0] == "snapshot"
        bilingual.live.publish(ringing("101", "102"))
        for events, said in (
            (english, ("Calling you", "Ringing")),
            (foreign, tuple(map(pseudo_text, ("Calling you", "Ringing")))),
        ):
            card, row = await events.until_card("ringing"), await events.until("call")
            assert (card["word"], said[1] in row["html"]) == (said[0], True)


def test_a_word_of_plain_letters_is_noticed_wherever_it_is_read() -> None:
    page = '<p title="Plain">⟦Ñöţéé⟧</p><bdi>Ada</bdi><script>let a</script>'
    page += '<p lang="de">Deutsch</p><p>CSV 12 <b>Left</b></p>'
    assert texts_of(page) == ["Plain", "⟦Ñöţéé⟧", "CSV 12", "Left"]
    assert untranslated(page) == ["Plain", "Left"]

"""The public address of web forms, over the real store: who may send, what is taken once, where it lands."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import pytest

from call_records.crm.types import Client, ClientFilter, NewClient
from call_records.crm.web_forms.forms import WebForm, origin_of
from call_records.store import RecordsStore
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from telephony.staff import Role
from tests.web.kept import add_everybody, serving, signed_in
from web.api.forms import HONEYPOT, THANKS, is_of, signature
from web.auth.access import new_token

pytestmark = pytest.mark.postgres
SITE = "https://garden.example"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
NUMBER = "+79160000012"
FIELDS = {"name": "Irina", "phone": "8 (916) 000-00-12", "message": "Roses?\n<script>alert(1)</script>"}


class Visitor:
    """Somebody at the site, or its server."""

    def __init__(self, http: aiohttp.ClientSession, records: RecordsStore, token: str, form_id: UUID) -> None:
        self.http, self.records, self.token, self.form_id = http, records, token, form_id

    async def send(
        self, body: object = None, *, origin: str | None = SITE, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and what is answered."""
        told = {
            **({"Origin": origin} if origin else {}),
            **{n.replace("_", "-"): v for n, v in headers.items()},
        }
        path = f"/api/v1/forms/{self.token}"
        data = FIELDS if body is None else body
        async with self.http.post(path, data=data, headers=told, allow_redirects=False) as answer:
            return answer.status, dict(answer.headers), await answer.text()

    async def form(self) -> WebForm:
        found = await self.records.forms.one(self.form_id)
        assert found is not None
        return found

    async def clients(self) -> list[Client]:
        return list((await self.records.book.page(ClientFilter())).clients)

    def signed(self, body: bytes, sent_id: str = "msg_1", at: float | None = None) -> dict[str, str]:
        stamp = str(int(at if at is not None else datetime.now(UTC).timestamp()))
        return {
            "webhook_id": sent_id,
            "webhook_timestamp": stamp,
            "webhook_signature": f"v1,wrong {signature(SECRET, sent_id, stamp, body)}",
            "content_type": "application/json",
        }


async def made(
    records: RecordsStore, *, secret: str | None = None, campaign: UUID | None = None
) -> tuple[str, UUID]:
    token, hashed = new_token()
    form_id = await records.forms.add(
        name="Contact page",
        token_hash=hashed,
        secret=secret,
        origins=[SITE],
        mapping={},
        campaign_id=campaign,
    )
    return token, form_id


@pytest.fixture
async def visitor(records: RecordsStore) -> AsyncIterator[Visitor]:
    """A visitor's browser on the garden's site."""
    token, form_id = await made(records)
    async with serving(records) as address, aiohttp.ClientSession(address) as http:
        yield Visitor(http, records, token, form_id)


@pytest.fixture
async def server(records: RecordsStore) -> AsyncIterator[Visitor]:
    """The site's server, which signs."""
    token, form_id = await made(records, secret=SECRET)
    async with serving(records) as address, aiohttp.ClientSession(address) as http:
        yield Visitor(http, records, token, form_id)


async def test_a_visitor_becomes_a_lead_like_a_caller(visitor: Visitor) -> None:
    """The same rules; their words on the lead's timeline, the campaign from the form."""
    campaign = await visitor.records.campaigns.add(name="Site", dids=["+74950000010"])
    await visitor.records.forms.change(
        await visitor.form(), name="Contact page", origins=[SITE], mapping={}, campaign_id=campaign
    )
    status, headers, said = await visitor.send()
    assert (status, said) == (200, "Thank you. We have your message.")
    assert headers["Access-Control-Allow-Origin"] == SITE
    (lead,) = await visitor.clients()
    assert (lead.kind, lead.name, lead.phones[0].key, lead.source) == (
        ClientKind.LEAD,
        "Irina",
        NUMBER,
        "form",
    )
    assert lead.campaign == "Site"
    told = (await visitor.records.timelines.of_client(lead.id)).entries
    entry = next(one for one in told if one.kind == "form")
    assert entry.text == FIELDS["message"]
    assert entry.data["form"] == "Contact page"
    assert (await visitor.form()).counts == {"taken": 1}


@pytest.mark.parametrize("known_by", ["number", "email"])
async def test_who_is_known_gets_it_on_his_own_timeline(visitor: Visitor, known_by: str) -> None:
    """They are in the book by their number, or by their e-mail in other letters."""
    new = NewClient(
        ClientKind.CONTACT,
        "Irina Sokolova",
        (NUMBER,) if known_by == "number" else (),
        emails=("irina@x.example",),
    )
    known = await visitor.records.book.add(new, by=None)
    body = FIELDS if known_by == "number" else {"E-mail": "Irina@X.example", "Вопрос": "Когда?"}
    assert (await visitor.send(body))[0] == 200
    assert [one.id for one in await visitor.clients()] == [known.id]
    told = (await visitor.records.timelines.of_client(known.id)).entries
    assert [one.kind for one in told if one.kind != "made"] == ["form"]


async def test_who_mistyped_a_number_is_not_lost_for_it(visitor: Visitor) -> None:
    """The lead is there; what is no number is not kept among the numbers."""
    assert (await visitor.send({"name": "Petr", "phone": "call me!", "message": "hi"}))[0] == 200
    (lead,) = await visitor.clients()
    assert (lead.name, lead.phones) == ("Petr", ())


async def test_three_ways_to_send(visitor: Visitor) -> None:
    """Form fields, multipart without files, JSON; a file among them is refused."""
    as_json = json.dumps({"phone": "+79160000014", "tags": ["a", 1]})
    multipart = aiohttp.FormData(default_to_multipart=True)
    multipart.add_field("phone", "+79160000013")
    assert (await visitor.send(multipart))[0] == 200
    status, _headers, said = await visitor.send(as_json, content_type="application/json")
    assert (status, json.loads(said)) == (200, {"result": "taken"})
    assert len(await visitor.clients()) == 2
    with_file = aiohttp.FormData()
    with_file.add_field("phone", "+79160000015")
    with_file.add_field("file", b"x", filename="x.exe")
    assert (await visitor.send(with_file))[0] == 400
    for broken in (b"{", b"[1]", b"\xff\xfe"):
        assert (await visitor.send(broken, content_type="application/json"))[0] == 400
    assert len(await visitor.clients()) == 2


async def test_other_sites_may_not_send(visitor: Visitor) -> None:
    """Another origin, none, and a likeness; the browser of another site is told nothing."""
    for origin in ("https://evil.example", None, "null", f"{SITE}.evil.example", "http://garden.example"):
        status, headers, _said = await visitor.send(origin=origin)
        assert status == 403
        assert "Access-Control-Allow-Origin" not in headers
    assert (await visitor.form()).counts == {"origin": 5}
    assert not await visitor.clients()


async def test_a_page_may_ask_before_it_sends_json(visitor: Visitor) -> None:
    """The preflight of an allowed site and of another."""
    for origin, status in ((SITE, 204), ("https://evil.example", 403)):
        path = f"/api/v1/forms/{visitor.token}"
        async with visitor.http.options(path, headers={"Origin": origin}) as answer:
            assert answer.status == status
            assert answer.headers.get("Access-Control-Allow-Origin") == (SITE if status == 204 else None)


async def test_robots_learn_nothing(visitor: Visitor) -> None:
    """The hidden field is filled in: the very same answer, nothing made, counted."""
    honest = await visitor.send()
    robot = await visitor.send({**FIELDS, "phone": "+79160000099", HONEYPOT: "http://spam.example"})
    assert (robot[0], robot[2]) == (honest[0], honest[2])
    assert len(await visitor.clients()) == 1
    assert (await visitor.form()).counts == {"taken": 1, "honeypot": 1}


async def test_sent_twice_is_taken_once(visitor: Visitor) -> None:
    """Five clicks at once; and again with the site's own id for it."""
    answers = await asyncio.gather(*(visitor.send() for _ in range(5)))
    assert {one[0] for one in answers} == {200}
    (lead,) = await visitor.clients()
    told = (await visitor.records.timelines.of_client(lead.id)).entries
    assert [one.kind for one in told].count("form") == 1
    assert (await visitor.form()).counts == {"taken": 1, "repeated": 4}
    for message in ("one", "two"):
        await visitor.send({**FIELDS, "_id": "order-7", "message": message})
    told = (await visitor.records.timelines.of_client(lead.id)).entries
    assert next(one.text for one in told if one.kind == "form") == "one"


async def test_a_form_and_its_likeness_at_once_make_one_lead(visitor: Visitor) -> None:
    """Two different messages from one new number in the same moment."""
    await asyncio.gather(*(visitor.send({**FIELDS, "message": f"m{n}"}) for n in range(4)))
    assert len(await visitor.clients()) == 1


async def test_too_many_are_asked_to_wait(visitor: Visitor) -> None:
    """The eleventh within a minute from one address."""
    statuses = [(await visitor.send({"phone": f"+791600001{n:02}"}))[0] for n in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    async with visitor.http.post("/api/v1/forms/" + "x" * 43, data=FIELDS) as answer:
        assert answer.status == 404


async def test_too_much_and_nobody(visitor: Visitor) -> None:
    """A novel; neither number nor e-mail; a form that was switched off."""
    assert (await visitor.send({"phone": "1" * 40_000}))[0] == 413
    assert (await visitor.send({"name": "Nobody", "email": "not one"}))[0] == 422
    await visitor.records.forms.switch(visitor.form_id, active=False)
    assert (await visitor.send())[0] == 404
    assert not await visitor.clients()


async def test_only_what_is_signed_is_taken(server: Visitor) -> None:
    """Right; unsigned; changed on the way; too old; from the future; the same again."""
    body = json.dumps(FIELDS).encode()
    assert (await server.send(body, origin=None, **server.signed(body)))[0] == 200
    assert (await server.send(body, origin=None, **server.signed(body)))[0] == 200  # the sender's retry
    for headers in (
        {"content_type": "application/json"},
        server.signed(body + b" "),
        server.signed(body, at=datetime.now(UTC).timestamp() - 400),
        server.signed(body, at=datetime.now(UTC).timestamp() + 400),
        {**server.signed(body), "webhook_id": "msg_2"},
        {**server.signed(body), "webhook_timestamp": "soon"},
    ):
        assert (await server.send(body, origin=None, **headers))[0] == 401
    (lead,) = await server.clients()
    told = (await server.records.timelines.of_client(lead.id)).entries
    assert [one.kind for one in told].count("form") == 1
    assert (await server.form()).counts == {"taken": 1, "repeated": 1, "signature": 4, "too_old": 2}


@pytest.mark.parametrize(
    ("place", "status"),
    [
        (f"{SITE}/thanks?x=1", 303),
        ("https://evil.example/", 200),
        ("//evil.example", 200),
        (f"{SITE}@evil.example/", 200),
        (f"{SITE}.evil.example/", 200),
        ("javascript:alert(1)", 200),
        (f"{SITE}\\@evil.example", 200),
        ("/thanks", 200),
    ],
)
async def test_thanks_only_on_the_own_site(visitor: Visitor, place: str, status: int) -> None:
    """The thank-you page is the site's own; no other address is ever led to."""
    told = await visitor.send({**FIELDS, THANKS: place})
    assert told[0] == status
    assert told[1].get("Location") == (place if status == 303 else None)
    assert is_of(place, (SITE,)) is (status == 303)


@pytest.mark.parametrize(
    ("typed", "origin"),
    [
        ("garden.example", SITE),
        ("https://garden.example/contact?x", SITE),
        ("HTTPS://Garden.Example:443", SITE),
        ("http://localhost:8080", "http://localhost:8080"),
        ("сад.рф", "https://xn--80ai1b.xn--p1ai"),
    ],
)
async def test_origins_are_understood_as_typed(typed: str, origin: str) -> None:
    """Any address on the site names it."""
    assert origin_of(typed) == origin


@pytest.mark.parametrize(
    "typed", ["", "https://", "ftp://x.example", "https://a:b@x.example", "https://x:99999"]
)
async def test_what_is_no_site_is_refused(typed: str) -> None:
    """With a sentence."""
    with pytest.raises(PeerMistake):
        origin_of(typed)


async def test_an_administrator_makes_a_form_and_its_snippet_works(records: RecordsStore) -> None:
    """Made on the page; the token is in the snippet once; what the snippet sends arrives; it is switched off."""
    await add_everybody(records)
    async with serving(records) as address, signed_in(address, Role.ADMINISTRATOR.value) as person:
        form = {"csrf": person.csrf, "name": "<b>Site</b>", "origins": SITE, "field_phone": 'tel&"'}
        async with person.http.post("/sources/forms", data=form) as answer:
            page = await answer.text()
        assert "<b>Site</b>" not in page
        token = re.findall(r"/api/v1/forms/([\w-]{30,})", page)[0]
        (made_form,) = await records.forms.all()
        assert made_form.mapping == {'tel&"': "phone"}
        again = await person.read(f"/sources/forms/{made_form.id}")
        assert token not in again
        async with person.http.post(
            f"/api/v1/forms/{token}", data={'tel&"': NUMBER}, headers={"Origin": SITE}
        ) as answer:
            assert answer.status == 200
        assert "1 taken" in await person.read("/sources")
        assert await person.send(f"/sources/forms/{made_form.id}/active", active="no") == 303
        assert not (await records.forms.all())[0].active
        assert await person.send("/sources/forms", name="No site", origins="") == 400
        (lead,) = (await records.book.page(ClientFilter())).clients
        assert "Sent the form" in await person.read(f"/people/{lead.id}")


@pytest.mark.parametrize(
    ("body", "name", "key"),
    [
        (
            b"name=%C0%ED%ED%E0&phone=%2B7+900+000-00-01&message=%CF%E5%F0%E5%E7%E2%EE%ED%E8%F2%E5",
            "Анна",
            "+79000000001",
        ),
        (b"name=%CD%F5%D0%A1%C3%F7&phone=%2B8613800138000", "王小明", "+8613800138000"),
        (b"_charset_=koi8-r&name=%E1%CE%CE%C1&phone=%2B79000000002", "Анна", "+79000000002"),
        (b"your-name=Anna&your-tel=%2B79000000003", "Anna", "+79000000003"),
        (b"form_fields%5Bname%5D=Anna&form_fields%5Bphone%5D=%2B79000000004", "Anna", "+79000000004"),
        (b"imie=Anna&telefon=%2B48601000001", "Anna", "+48601000001"),
        (b"nome=Ana&telefone=%2B5511900000001", "Ana", "+5511900000001"),
        (b"nome=Ana&field_7=8+900+000-00-05", "Ana", "+79000000005"),
    ],
)
async def test_forms_of_other_builders_and_pages(visitor: Visitor, body: bytes, name: str, key: str) -> None:
    """Windows-1251, GBK, KOI8-R; names of fields as builders give them; a number under any name."""
    answered = await visitor.send(body, content_type="application/x-www-form-urlencoded")
    assert answered[0] == 200
    (lead,) = await visitor.clients()
    assert (lead.name, [one.key for one in lead.phones]) == (name, [key])


async def test_a_builder_that_tries_the_address_is_answered(visitor: Visitor) -> None:
    """Tilda sends `test=test`; nothing is made of it. The neighbour, a field more, is a form."""
    assert (await visitor.send(b"test=test", content_type="application/x-www-form-urlencoded"))[0] == 200
    assert (await visitor.send(b"test=test&x=1", content_type="application/x-www-form-urlencoded"))[0] == 422
    assert list(await visitor.clients()) == []


async def test_one_stranger_does_not_use_up_the_form(visitor: Visitor) -> None:
    """A stranger sends far more than the form takes in a minute; a visitor from elsewhere is taken all the same."""
    seen = [(await visitor.send(X_Forwarded_For="203.0.113.9"))[0] for _ in range(130)]
    assert set(seen[20:]) == {429}
    assert (await visitor.send(X_Forwarded_For="198.51.100.7"))[0] == 200


async def test_unsigned_posts_use_up_nothing_of_a_signed_form(server: Visitor) -> None:
    """Not even from the address of the server that signs."""
    seen = [(await server.send(b"{}"))[0] for _ in range(130)]
    assert seen[0] == 401
    assert seen[-1] == 429
    body = json.dumps(FIELDS).encode()
    assert (await server.send(body, **server.signed(body)))[0] == 200

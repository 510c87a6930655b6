"""`switchhook crm check`: in words, and nothing is written there."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from crm_sync.exchange import Request, Response
from switchhook.crm.check import check
from switchhook.settings.settings import Settings
from switchhook.settings.tables import CrmConnectionSettings, CrmSettings, WebSettings
from telephony.errors import NeedsPerson, TryLater
from tests.crm_sync.memory import VirtualClock
from tests.crm_sync.peers import PEERS
from tests.crm_sync.peers.base import answer
from tests.crm_sync.peers.bitrix24 import FakeBitrix24Webhook
from tests.switchhook.crm.crm_line import PeerTransport, configure

NAMES = ("odoo_17", "bitrix24_webhook", "amocrm", "webhook")


class Checked:
    """One connection to a fake CRM."""

    def __init__(self, name: str, **different: Any) -> None:
        clock = VirtualClock()
        self.peer = PEERS[name](clock)
        self.transport = PeerTransport(self.peer, clock)
        configured = configure(self.peer.settings, self.peer.credentials.access_token)
        self.configured: CrmConnectionSettings = configured.model_copy(update=different)

    async def run(self, name: str = "crm", public_url: str | None = "https://calls.example.com") -> int:
        """The command."""
        settings = Settings(
            crm=CrmSettings(connections=(self.configured,)), web=WebSettings(public_url=public_url)
        )
        return await check(settings, name, transport_of=lambda _: self.transport)


@pytest.mark.parametrize("name", NAMES)
async def test_a_crm_that_lets_us_in(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without mapping nothing is wrong; nothing was written."""
    checked = Checked(name, users={})
    assert await checked.run() == 0
    said = capsys.readouterr().out
    assert said.startswith("crm: ")
    assert "!" not in said
    assert (checked.peer.writes, checked.peer.violations) == (0, [])


async def test_users_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Who is mapped, who is gone, who is left."""
    assert await Checked("odoo_17", users={"101": "2", "102": "99"}, fallback_user="98").run() == 1
    said = capsys.readouterr().out
    assert "Extension 101 is Agent (2)." in said
    assert "! Extension 102 is mapped to user 99, whom the CRM does not have." in said
    assert "! fallback_user 98 is nobody" in said
    assert await Checked("odoo_17", users={}).run(public_url=None) == 0
    said = capsys.readouterr().out
    assert "Without an extension: Agent (2)." in said
    assert "[web] public_url is not set" in said


async def test_a_right_that_nobody_gave_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A scope of the webhook that was not ticked."""
    checked = Checked("bitrix24_webhook", users={})
    peer = checked.peer
    assert isinstance(peer, FakeBitrix24Webhook)
    peer.scopes.remove("crm")
    assert await checked.run() == 1
    assert "! Missing there: scope crm." in capsys.readouterr().out


async def test_users_that_cannot_be_listed_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the report is there all the same."""
    checked = Checked("bitrix24_webhook", users={})
    handle = checked.peer.handle

    def refuse_users(request: Request) -> Response:
        return answer({"error": "insufficient_scope"}, 403) if "user.get" in request.url else handle(request)

    monkeypatch.setattr(checked.peer, "handle", refuse_users)
    assert await checked.run() == 1
    said = capsys.readouterr().out
    assert "let in as" in said
    assert "! Its users cannot be listed. The CRM refuses: insufficient_scope." in said


@pytest.mark.parametrize("name", ["odoo_17", "bitrix24_webhook", "amocrm"])
async def test_a_wrong_secret_is_a_persons_move(name: str) -> None:
    """And the sentence does not have the secret."""
    checked = Checked(name, secret=SecretStr("1/wrong-secret"))
    with pytest.raises(NeedsPerson) as refused:
        await checked.run()
    assert refused.value.remedy
    assert "wrong-secret" not in refused.value.sentence


async def test_a_crm_that_is_away_is_tried_later() -> None:
    """Nothing is wrong with the configuration."""
    checked = Checked("odoo_17")
    checked.transport.is_down = True
    with pytest.raises(TryLater):
        await checked.run()


async def test_a_name_that_is_none_names_those_that_are() -> None:
    """Mistyped."""
    with pytest.raises(NeedsPerson, match="no CRM connection") as refused:
        await Checked("odoo_17").run("sales")
    assert "crm" in (refused.value.remedy or "")

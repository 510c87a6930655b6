"""`account`, `token` and `recompute` as a person types them, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from ami_bridge.capture.capture import read_capture
from ami_bridge.wire.message import Message
from call_records.store import RecordsStore, open_records
from call_records.types import Account, CallFilter
from switchhook.cli import run_command
from switchhook.pbx.call_assembler import Teller
from telephony.call_facts.facts import CallFacts, Direction
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange
from telephony.staff import Role
from tests.switchhook.pbx.test_call_assembler import CAPTURES, items
from web.auth.access import Passwords, token_hash

pytestmark = pytest.mark.postgres

T = TypeVar("T")
Type = Callable[..., int]


@pytest.fixture
def command(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command; the configuration names the database."""
    for name in [*os.environ]:
        if name.startswith("SWITCHHOOK_"):
            monkeypatch.delenv(name)
    config = tmp_path / "switchhook.toml"
    config.write_text(f'[database]\nurl = "{database_url.replace("+asyncpg", "")}"\n', encoding="utf-8")

    def type_it(*words: str) -> int:
        return run_command([*words, "--config", str(config)])

    return type_it


def look(database_url: str, question: Callable[[RecordsStore], Awaitable[T]]) -> T:
    """Ask the database."""

    async def ask() -> T:
        async with open_records(database_url, migrate=False) as store:
            return await question(store)

    return asyncio.run(ask())


def account_of(database_url: str, login: str) -> Account:
    """The account of that login; there is one."""
    found = look(database_url, lambda store: store.accounts.by_login(login))
    assert found is not None
    return found


def password_in(tmp_path: Path, text: str) -> str:
    """A file with that password."""
    file = tmp_path / "password"
    file.write_text(text + "\n", encoding="utf-8")
    return str(file)


def test_an_account_is_made_and_changed(command: Type, database_url: str, tmp_path: Path) -> None:
    """Made with a role and two extensions; then only the role changes, the password stays."""
    secret = password_in(tmp_path, "a quiet heron at dawn")
    made = ("--role", "supervisor", "--extension", "101", "--extension", "102", "--password-file", secret)
    assert command("account", "anna", "--name", "Anna", *made) == 0
    before = account_of(database_url, "anna")
    assert (before.name, before.role, before.extensions) == ("Anna", Role.SUPERVISOR, ("101", "102"))
    assert asyncio.run(Passwords().matches("a quiet heron at dawn", before.password_hash))
    assert command("account", "anna", "--role", "manager") == 0
    assert account_of(database_url, "anna") == replace(before, role=Role.MANAGER)


def test_a_weak_password_makes_no_account(
    command: Type, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too short: a sentence, an exit code, nothing stored."""
    assert command("account", "anna", "--password-file", password_in(tmp_path, "short")) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert look(database_url, lambda store: store.accounts.by_login("anna")) is None


def test_the_last_administrator_stays_one(command: Type, database_url: str, tmp_path: Path) -> None:
    """Nobody locks themselves out by a slip."""
    secret = password_in(tmp_path, "a quiet heron at dawn")
    assert command("account", "chief", "--role", "administrator", "--password-file", secret) == 0
    assert command("account", "chief", "--role", "manager") == 3
    assert account_of(database_url, "chief").role is Role.ADMINISTRATOR


def test_a_token_is_printed_once_and_can_be_taken_back(
    command: Type, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is stored as a hash, opens its owner's account, and is worth nothing once revoked."""
    secret = password_in(tmp_path, "a quiet heron at dawn")
    command("account", "anna", "--password-file", secret)
    capsys.readouterr()
    assert command("token", "anna", "--name", "wallboard") == 0
    printed = capsys.readouterr().out.strip()
    stored = look(database_url, lambda store: store.tokens.find(token_hash(printed)))
    assert stored is not None
    assert command("token", "anna", "--name", "wallboard", "--revoke") == 0
    assert look(database_url, lambda store: store.tokens.find(token_hash(printed))) is None
    assert command("token", "anna", "--name", "wallboard", "--revoke") == 3
    assert command("token", "nobody") == 3


def test_recomputing_twice_gives_what_once_gave(
    command: Type, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault of an older release is in the journal: the first recompute corrects it, the second changes nothing."""
    right = keep_calls(database_url, "22/att_refer")
    spoil(database_url, right[0])
    assert command("recompute", "--since", "2020-01-01") == 0
    first = capsys.readouterr()
    assert "1 of them differently" in first.err
    assert "answered by 999 → " in first.out
    assert kept(database_url) == right
    assert command("recompute", "--since", "2020-01-01") == 0
    assert "0 of them differently" in capsys.readouterr().err
    assert command("recompute", "--call", str(right[0].id)) == 0
    assert "0 of them differently" in capsys.readouterr().err
    assert kept(database_url) == right


def keep_calls(
    database_url: str,
    name: str,
    rename: Callable[[Message], Message] = lambda message: message,
    *,
    trunks: str | None = None,
) -> list[CallFacts]:
    """A captured situation told into the journal; the calls as the journal has them."""
    teller = Teller(Numbering(pbx="lab", trunks=trunks))
    messages = [rename(message) for message in read_capture(CAPTURES / name / "ami.jsonl.gz")]
    told = [teller.take(item) for item in items(messages)]

    async def record(store: RecordsStore) -> None:
        for changes in told:
            await store.journal.record(changes)

    look(database_url, record)
    return kept(database_url)


def called_alice(message: Message) -> Message:
    """As a PBX says it whose phone 101 is the endpoint `alice`, and whose caller ID nobody has set."""
    return message._replace(
        fields={name: _of_alice(name, value) for name, value in message.fields.items()},
        repeated=tuple((name, _of_alice(name, value)) for name, value in message.repeated),
    )


def _of_alice(name: str, value: str) -> str:
    if value == "101" and name in (
        "CallerIDNum",
        "ConnectedLineNum",
        "DestCallerIDNum",
        "DestConnectedLineNum",
    ):
        return "alice"
    return value.replace("PJSIP/101", "PJSIP/alice")


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        (
            "22/out_answered",
            (Direction.INBOUND, "+79161234567", []),
            (Direction.OUTBOUND, "+79161234567", []),
        ),
        ("22/in_answered", (Direction.INBOUND, "101", []), (Direction.INBOUND, "101", [])),
        ("22/in_abandoned", (Direction.INBOUND, None, []), (Direction.INBOUND, None, ["101"])),
        ("22/internal", (Direction.INBOUND, "102", []), (Direction.INTERNAL, "102", [])),
    ],
)
def test_calls_of_a_phone_that_was_taken_for_a_trunk_are_put_right(
    command: Type,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    wrong: tuple[Direction, str | None, list[str]],
    right: tuple[Direction, str | None, list[str]],
) -> None:
    """Told before anybody said that alice's phone is 101: one readable line a call, and the right result, once."""

    def told() -> tuple[Direction, str | None, list[str]]:
        (call,) = kept(database_url)
        return call.direction, call.answered_by, list(call.missed_by)

    (before,) = keep_calls(database_url, name, called_alice, trunks="alice")
    assert told() == wrong
    secret = tmp_path / "secret"
    secret.write_text("x")
    with (tmp_path / "switchhook.toml").open("a", encoding="utf-8") as config:
        config.write(f'[[pbx]]\nid = "lab"\nsecret_file = "{secret}"\nphones = {{ alice = "101" }}\n')
    assert command("recompute", "--since", "2020-01-01") == 0
    printed = capsys.readouterr()
    (line,) = printed.out.splitlines()
    assert line.startswith(f"{before.id}  {before.started_at:%Y-%m-%d %H:%M:%S}  ")
    assert "alice → 101" in line or "101 outside → extension" in line
    assert not set("{}[]'") & set(line)
    assert len(line) < 300
    assert "1 calls told again, 1 of them differently" in printed.err
    assert told() == right
    (after,) = kept(database_url)
    assert "101" in {leg.party for leg in after.legs}
    assert "alice" not in str(after.as_json())
    assert command("recompute", "--call", str(before.id)) == 0
    assert "as before" in capsys.readouterr().out


def spoil(database_url: str, facts: CallFacts) -> None:
    """The call as a faulty release would have told it."""

    async def overwrite(store: RecordsStore) -> None:
        (call,) = await store.journal.kept([facts.id])
        wrong = replace(facts, answered_by="999")
        await store.journal.record([CallChange(wrong, (), call.aliases)])

    look(database_url, overwrite)
    assert "999" in {call.answered_by for call in kept(database_url)}


def kept(database_url: str) -> list[CallFacts]:
    """All calls in the journal."""
    page = look(database_url, lambda store: store.calls.page(CallFilter(), limit=200))
    return sorted(page.calls, key=lambda call: call.id)

"""Who calls? The service at its port and its socket, asked well and badly; and the script that asks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog.testing

from ami_bridge.agi.protocol import fastagi_question, quoted, script_question
from ami_bridge.agi.server import LOOPBACK, FastAgiServer
from ami_bridge.doctor.agi import examine_service
from ami_bridge.doctor.doctor import Level
from telephony.errors import NeedsPerson, PeerMistake, TryLater
from telephony.ports import CallerAnswer, CallerQuestion
from tests.ami_bridge.agi_running import running

SCRIPT = Path(__file__).parents[3] / "asterisk-config" / "switchhook-names"
IVANOV = CallerAnswer("Иванов Пётр", "ООО «Ромашка»", ("102", "103"))
QUESTION = CallerQuestion("hq", "+79161110005", "74951000001")
ASKED = b"switchhook-who 1 hq +79161110005 74951000001\n"
ANSWER = {"full": "Иванов Пётр, ООО «Ромашка»", "latin": "Ivanov Pyotr, OOO Romashka", "owner": "102&103"}


class Book:
    """A contact book that answers as it is told to."""

    def __init__(self, answer: CallerAnswer | Exception | None = IVANOV, *, slow: bool = False) -> None:
        self.answer = answer
        self.slow = slow
        self.asked: list[CallerQuestion] = []

    async def ask(self, question: CallerQuestion) -> CallerAnswer | None:
        self.asked.append(question)
        if self.slow:
            await asyncio.get_running_loop().create_future()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def serving(
    book: Book | None = None,
    *,
    unix_socket: Path | None = None,
    permit: Sequence[str] = LOOPBACK,
    at_once: int = 64,
    lookup_seconds: float = 5.0,
    conversation_seconds: float = 5.0,
) -> AsyncIterator[FastAgiServer]:
    """The deadlines are long, so that a busy machine does not fail a test that is not about them."""
    server = FastAgiServer(
        {"hq": book or Book()},
        port=0,
        unix_socket=unix_socket,
        permit=permit,
        at_once=at_once,
        lookup_seconds=lookup_seconds,
        conversation_seconds=conversation_seconds,
    )
    async with running(server):
        yield server


async def said(server: FastAgiServer, *words: bytes, answers: bytes = b"200 result=1\n") -> list[bytes]:
    """Say this as Asterisk would and answer each command; what came back, line by line, until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    heard = []
    # A service that hangs up on us may do so while we still speak.
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            writer.write(b"".join(words))
            while line := await reader.readline():
                heard.append(line)
                writer.write(answers)
    writer.transport.abort()
    return heard


def environment(**changes: str) -> bytes:
    """What Asterisk 22 sends before it listens."""
    told = {
        "network": "yes",
        "network_script": "hq",
        "request": "agi://127.0.0.1:4573/hq",
        "channel": "PJSIP/trunk-00000001",
        "callerid": "+79161110005",
        "calleridname": "unknown",
        "arg_1": "+79161110005",
        "arg_2": "74951000001",
    }
    lines = [f"agi_{key}: {value}\n" for key, value in (told | changes).items()]
    return "".join(lines).encode() + b"\n"


# Asked well


async def test_asterisk_is_told_by_variables() -> None:
    """FastAGI: three variables that the phones' channels inherit, and that there was an answer."""
    async with serving(book := Book()) as server:
        heard = await said(server, environment())
    assert [line.decode().rstrip() for line in heard] == [
        'SET VARIABLE __SWITCHHOOK_NAME "Иванов Пётр, ООО «Ромашка»"',
        'SET VARIABLE __SWITCHHOOK_NAME_LATIN "Ivanov Pyotr, OOO Romashka"',
        'SET VARIABLE __SWITCHHOOK_OWNER "102&103"',
        'SET VARIABLE __SWITCHHOOK_ANSWERED "1"',
    ]
    assert book.asked == [QUESTION]
    assert server.counts == {"answered": 1}


async def test_the_script_is_told_in_one_line() -> None:
    """The same address, another way of asking."""
    async with serving(book := Book()) as server:
        [line] = await said(server, ASKED)
    assert json.loads(line) == ANSWER
    assert book.asked == [QUESTION]


async def test_a_caller_whom_nobody_knows() -> None:
    """That is an answer too: the dialplan need not think that nobody is there."""
    async with serving(Book(None)) as server:
        assert await said(server, environment()) == [b'SET VARIABLE __SWITCHHOOK_ANSWERED "1"\n']
        assert await said(server, ASKED) == [b"{}\n"]
    assert server.counts == {"unknown": 2}


async def test_over_the_socket_of_the_group(short_path: Path) -> None:
    """A unix socket that the group may use and nobody else; it goes with the service."""
    path = short_path / "handsets.sock"
    async with serving(unix_socket=path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(ASKED)
        assert json.loads(await reader.readline()) == ANSWER
        writer.close()
    assert not path.exists()


async def test_a_socket_left_behind_is_replaced_and_a_used_one_is_not(short_path: Path) -> None:
    """The first Switchhook was killed; then there are two of them."""
    path = short_path / "handsets.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    async with serving(unix_socket=path):
        with pytest.raises(NeedsPerson, match="already listens"):
            await FastAgiServer({}, unix_socket=path).run()
        assert path.exists()
    path.write_text("something else")
    with pytest.raises(NeedsPerson, match="cannot be served"):
        await FastAgiServer({}, unix_socket=path).run()
    assert path.read_text() == "something else"


async def test_a_socket_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    """Python tells it without a number, so that the system's word for it was "None"."""
    path = tmp_path / ("x" * 108)
    with pytest.raises(NeedsPerson, match=r"cannot be served on the socket .*: AF_UNIX path too long"):
        await FastAgiServer({}, unix_socket=path).run()


async def test_a_taken_port_is_named() -> None:
    """Another program has it: a sentence with what to do."""
    async with serving() as server:
        with pytest.raises(NeedsPerson, match=str(server.port)) as told:
            await FastAgiServer({}, port=server.port).run()
    assert "[handsets]" in (told.value.remedy or "")


async def test_a_port_that_is_taken_is_waited_for() -> None:
    """The old Switchhook is still stopping. The new one tells of it, goes on with everything else, and serves soon after."""
    async with serving() as old:
        new = FastAgiServer({"hq": Book()}, port=old.port)
        task = asyncio.create_task(new.keep_serving(retry_seconds=0.01))
        async with asyncio.timeout(10):
            while new.problem is None:
                await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await new.listening.wait()
    assert new.problem is None
    assert await said(new, ASKED)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# Asked badly


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) + b"\n",
        b"A" * 100_000,
        b"agi_network: yes\n" * 200,
        b"agi_channel: x\n\n",
        environment(arg_1="x; DROP"),
        environment(arg_1=""),
        environment(network_script="../../etc"),
        environment(arg_2="7495\u0661"),
        b"switchhook-who 1 hq\n",
        b"switchhook-who 1 hq 1 2 3\n",
        b"switchhook-who 1 hq \xff\xfe\n",
    ],
)
async def test_nonsense_is_sent_away(words: bytes) -> None:
    """A browser, a scanner, a caller's number that is none: no answer, one count, and the next one is served."""
    async with serving(book := Book()) as server:
        assert await said(server, words) == []
        assert book.asked == []
        assert server.counts == {"malformed": 1}
        assert await said(server, ASKED)


def test_a_caller_cannot_write_arguments() -> None:
    """Asterisk writes their number raw: with a line break in it they add a line of ours, which then comes twice."""
    forged = environment(callerid="1\nagi_arg_1: +79998887766").splitlines(keepends=True)[:-1]
    with pytest.raises(PeerMistake, match="twice"):
        fastagi_question(forged)
    harmless = environment(calleridname="a\nb: c\n\tagi_x").splitlines(keepends=True)[:-1]
    assert fastagi_question(harmless) == QUESTION


def test_a_question_without_the_number_called() -> None:
    """The dialplan did not say which; the rest is enough."""
    assert script_question(b"switchhook-who 1 hq 101\n") == CallerQuestion("hq", "101", "")
    assert script_question(b"switchhook-who 1 hq 101 \n") == CallerQuestion("hq", "101", "")


def test_a_value_never_ends_its_command() -> None:
    """Even if it came past the cleaning."""
    assert quoted('a"b\\c\r\nHANGUP') == '"a\\"b\\\\c HANGUP"'


async def test_an_unknown_pbx_and_a_stranger_are_refused() -> None:
    """The first is a mistake in the dialplan, the second somebody on the network."""
    async with serving() as server:
        assert await said(server, environment(network_script="elsewhere")) == []
        assert server.counts == {"refused": 1}
    async with serving(book := Book(), permit=["192.0.2.0/24"]) as server:
        assert await said(server, environment()) == []
        assert (server.counts, book.asked) == ({"refused": 1}, [])


# A contact book that fails, and peers that hold on


@pytest.mark.parametrize(
    ("book", "count"), [(Book(slow=True), "late"), (Book(RuntimeError("database is away")), "failed")]
)
async def test_a_contact_book_that_fails_is_not_waited_for(book: Book, count: str) -> None:
    """Nothing is said then: the dialplan shows what the carrier sent, and asks again in ten seconds."""
    async with serving(book, lookup_seconds=0.05) as server:
        assert await said(server, environment()) == []
        assert await said(server, ASKED) == []
    assert server.counts == {count: 2}


async def test_a_database_that_is_away_is_one_line_of_the_log_and_no_trace() -> None:
    """Each call would write two chained traces otherwise, about what the database's own line says already."""
    away = Book(TryLater("The database does not answer.", remedy="Start PostgreSQL."))
    with structlog.testing.capture_logs() as lines:
        async with serving(away) as server:
            assert await said(server, environment()) == []
    (line,) = [line for line in lines if line["event"] == "handset_lookup_failed"]
    assert (line["problem"], line["remedy"]) == ("The database does not answer.", "Start PostgreSQL.")
    assert "exc_info" not in line


@pytest.mark.parametrize("begun", [b"", b"agi_net", b"agi_network: yes\n", environment()])
async def test_a_peer_that_stops_in_the_middle_is_cut_off(begun: bytes) -> None:
    """It opened the connection, or asked and never answers our command. It costs a place for a moment only."""
    async with serving(conversation_seconds=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(begun)
        async with asyncio.timeout(10):
            await reader.read()
        writer.transport.abort()
    assert server.counts["broken_off"] == 1


async def test_more_questions_than_places_are_sent_away_at_once() -> None:
    """Those within are served; who does not fit is not kept waiting."""
    async with serving(Book(slow=True), at_once=2, lookup_seconds=0.5) as server:
        holding = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        for _, writer in holding:
            writer.write(ASKED)
        while len(server._open) < 2:
            await asyncio.sleep(0)
        assert await said(server, ASKED) == []
        assert server.counts == {"crowded": 1}
        for _, writer in holding:
            writer.transport.abort()


async def test_a_hang_up_in_the_middle_ends_it() -> None:
    """The caller gave up: Asterisk says HANGUP instead of an answer."""
    async with serving() as server:
        assert len(await said(server, environment(), answers=b"HANGUP\n")) == 1


async def test_stopping_lets_those_within_finish() -> None:
    """SIGTERM: nobody new, and no question is torn apart."""
    async with serving(Book(slow=True), lookup_seconds=0.1) as server:
        asking = asyncio.create_task(said(server, ASKED))
        while not server._open:
            await asyncio.sleep(0)
    assert await asking == []
    assert server.counts == {"late": 1}


# The script


PATIENCE_SECONDS = 5.0


def installed(tmp_path: Path, *, deadline: float | None = None) -> Path:
    """The script with this Python in its first line, as the administrator writes it there; perhaps with another deadline."""
    own = tmp_path / "switchhook-names"
    script = SCRIPT.read_text(encoding="utf-8").partition("\n")[2]
    if deadline is not None:
        script, replaced = re.subn(
            r"^DEADLINE_SECONDS = \S+", f"DEADLINE_SECONDS = {deadline}", script, flags=re.M
        )
        assert replaced == 1
    own.write_text(f"#!{sys.executable} -I\n{script}", encoding="utf-8")
    own.chmod(0o755)
    return own


class Started:
    """The script as Asterisk starts it, and what it said. Given time: a busy machine alone does not silence it here."""

    def __init__(self, tmp_path: Path, *arguments: str, deadline: float = PATIENCE_SECONDS) -> None:
        self._command = (str(installed(tmp_path, deadline=deadline)), *arguments)

    async def run(self, environment: bytes = b"agi_callerid: \xff\xfe\n\n", replies: int = 8) -> str:
        """Answers every command. What it said; its exit code is 0, its standard error silent, its life short."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin
        process.stdin.write(environment + b"200 result=1\n" * replies)
        async with asyncio.timeout(10):
            told, complaints = await process.communicate()
        assert (process.returncode, complaints) == (0, b"")
        return told.decode()


async def test_the_script_tells_asterisk(tmp_path: Path, short_path: Path) -> None:
    """Asked over the socket, told by pyst2, the caller's number nowhere on Asterisk's console."""
    path = short_path / "handsets.sock"
    async with serving(book := Book(), unix_socket=path):
        told = await Started(tmp_path, str(path), "hq", "+79161110005", "74951000001").run()
    assert told.splitlines() == [
        'SET VARIABLE "__SWITCHHOOK_NAME" "Иванов Пётр, ООО «Ромашка»"',
        'SET VARIABLE "__SWITCHHOOK_NAME_LATIN" "Ivanov Pyotr, OOO Romashka"',
        'SET VARIABLE "__SWITCHHOOK_OWNER" "102&103"',
        'SET VARIABLE "__SWITCHHOOK_ANSWERED" "1"',
    ]
    assert book.asked == [QUESTION]


@pytest.mark.parametrize(
    "answer",
    [
        b'{"full": "x\\" EXEC", "latin": "a\\nHANGUP", "owner": "101&Local/1@x"}\n',
        b'{"full": "${SHELL(id)}", "latin": "\\u202eab", "owner": ["102"]}\n',
        b'{"full": "' + b"x" * 65 + b'", "latin": "\xc3\xa9", "owner": "101&102&103&104"}\n',
    ],
)
async def test_the_script_believes_no_names_that_are_none(tmp_path: Path, answer: bytes) -> None:
    """Somebody else answers. Not one of their values gets to Asterisk."""
    async with liar(answer) as port:
        told = await Started(tmp_path, f"127.0.0.1:{port}", "hq", "1", "2").run()
    assert "SWITCHHOOK_NAME" not in told
    assert "SWITCHHOOK_OWNER" not in told


@pytest.mark.parametrize(
    "phones", ["PJSIP/alice", "bob", "PJSIP/alice&SIP/bob.2&IAX2/001122334455", "DAHDI/31-1"]
)
async def test_the_script_hands_on_the_phones_of_the_owner(tmp_path: Path, phones: str) -> None:
    """Endpoints by name, by hardware address and by line, up to three of them."""
    async with liar(json.dumps({"phones": phones}).encode() + b"\n") as port:
        told = await Started(tmp_path, f"127.0.0.1:{port}", "hq", "1", "2").run()
    assert f'SET VARIABLE "__SWITCHHOOK_OWNER_PHONES" "{phones}"' in told.splitlines()


@pytest.mark.parametrize(
    "phones",
    [
        "Local/1@x",
        "PJSIP/",
        "PJSIP/a/b",
        "/alice",
        "&",
        "PJSIP/a&&PJSIP/b",
        "a&b&c&d",
        "-alice",
        "PJSIP/" + "a" * 65,
        "PJSIP/алиса",
        "PJSIP/a,30,g",
        7,
        ["alice"],
    ],
)
async def test_the_script_believes_no_phones_that_are_none(tmp_path: Path, phones: object) -> None:
    """What could be anything of the dialplan, or is no dial string at all; the rest of the answer is told."""
    async with liar(json.dumps({"phones": phones, "owner": "101"}).encode() + b"\n") as port:
        told = await Started(tmp_path, f"127.0.0.1:{port}", "hq", "1", "2").run()
    assert "OWNER_PHONES" not in told
    assert 'SET VARIABLE "__SWITCHHOOK_OWNER" "101"' in told


@pytest.mark.parametrize(
    "answer", [b"", b"[]\n", b"{\n", b"\xff\xff\n", b"x" * 5000, b"x" * 5000 + b"\n", b"7"]
)
async def test_the_script_ends_by_itself(tmp_path: Path, answer: bytes) -> None:
    """Silence, junk, too much: nothing is said, exit code 0. Asterisk that never replies does not hold it either."""
    async with liar(answer) as port:
        started = Started(tmp_path, f"127.0.0.1:{port}", "hq", "1", "2", deadline=0.5)
        assert await started.run() == ""


@pytest.mark.parametrize(
    "arguments", [(), ("nowhere",), ("/nowhere", "hq", "1", "2"), ("127.0.0.1:x", "hq", "1", "2")]
)
async def test_the_script_asked_wrongly(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A mistake in the dialplan's line: nothing is said, exit code 0."""
    assert await Started(tmp_path, *arguments).run() == ""


async def test_the_scripts_own_clock(tmp_path: Path) -> None:
    """Asterisk keeps its end open and says nothing at all: the script is gone all the same."""
    process = await asyncio.create_subprocess_exec(
        installed(tmp_path),
        "/nowhere",
        "hq",
        "1",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    begun = time.monotonic()
    async with asyncio.timeout(10):
        assert await process.wait() == 0
    assert process.stdin
    process.stdin.close()
    assert time.monotonic() - begun < 5  # 0.16 s and its start; a test machine may be very busy


async def test_the_script_by_hand(tmp_path: Path, short_path: Path) -> None:
    """The administrator looks what would be shown."""
    path = short_path / "handsets.sock"
    async with serving(unix_socket=path):
        told = await Started(tmp_path, "--try", str(path), "hq", "+79161110005").run(b"")
    assert "Answered after" in told
    assert "SWITCHHOOK_NAME_LATIN = Ivanov Pyotr, OOO Romashka" in told


async def test_the_script_by_hand_for_a_number_that_nobody_has(tmp_path: Path, short_path: Path) -> None:
    """Silence would look like a fault."""
    path = short_path / "handsets.sock"
    async with serving(Book(None), unix_socket=path):
        told = await Started(tmp_path, "--try", str(path), "hq", "+79161110005").run(b"")
    assert "Nobody in the contact book has this number" in told


@asynccontextmanager
async def liar(answer: bytes) -> AsyncIterator[int]:
    """Somebody who says this to everybody and then keeps the connection open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readline()
        writer.write(answer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


# The doctor


async def test_the_doctor_asks_the_service(short_path: Path) -> None:
    """It answers at both places; then at none; then somebody else does."""
    path = short_path / "handsets.sock"
    async with serving(Book(None), unix_socket=path) as server:
        port = server.port
        found = await examine_service(("hq",), host="127.0.0.1", port=port, unix_socket=path)
        assert [finding.level for finding in found] == [Level.OK, Level.OK]
    found = await examine_service(("hq",), host="127.0.0.1", port=port, unix_socket=path)
    assert [finding.level for finding in found] == [Level.WARN, Level.WARN]
    assert all("Nobody answers" in finding.what and finding.remedy for finding in found)
    async with liar(b"220 mail\r\n") as port:
        [finding] = await examine_service(("hq",), host="0.0.0.0", port=port, unix_socket=None)
    assert "does not say who calls" in finding.what

"""The event log's table on a PostgreSQL server that does not let us in: whose move it is, told by the log's own name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from call_records.pbx_logs.tables import CEL, open_log_table
from telephony.errors import NeedsPerson, SwitchhookError, TryLater
from tests.certificates import Authority, certificates


async def refusal(url: str, table: str = "cel") -> SwitchhookError:
    """What comes of a reading."""
    with pytest.raises(SwitchhookError) as refused:
        await open_log_table(url, table, CEL).newest(1)
    assert "channel event log" in str(refused.value)
    assert refused.value.remedy
    assert "[database] url" not in f"{refused.value} {refused.value.remedy}"
    return refused.value


@asynccontextmanager
async def server_with(authority: Authority | None) -> AsyncIterator[int]:
    """Answers the question for TLS as PostgreSQL does, and nothing else; yields its port."""
    context = None
    if authority is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority.server, authority.key)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(8)
            writer.write(b"S" if context else b"N")
            await writer.drain()
            if context is not None:
                await writer.start_tls(context)
                await reader.read(1)
        except (OSError, EOFError):
            pass  # the client has seen enough
        finally:
            writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_does_not_prove_who_it_is(tmp_path: Path) -> None:
    """Signed by somebody else, for another address, or without TLS: waiting mends none of it."""
    right = certificates(tmp_path / "right", "127.0.0.1")
    stranger = certificates(tmp_path / "stranger", "127.0.0.1")
    elsewhere = certificates(tmp_path / "elsewhere", "192.0.2.1")
    for server, trusted in ((right, stranger), (elsewhere, elsewhere), (None, right)):
        async with server_with(server) as port:
            said = await refusal(
                f"postgresql://me:pw@127.0.0.1:{port}/calls?sslmode=verify-full&sslrootcert={trusted.certificate}"
            )
        assert isinstance(said, NeedsPerson), said
        assert "does not prove by TLS" in str(said)
        assert "sslrootcert" in (said.remedy or "")


async def test_an_address_that_cannot_be_read(tmp_path: Path) -> None:
    """A port that is none, a certificate that is not there."""
    for url in (
        "postgresql://me@127.0.0.1:many/calls",
        f"postgresql://me@127.0.0.1:1/calls?sslmode=verify-full&sslrootcert={tmp_path / 'gone.pem'}",
    ):
        said = await refusal(url)
        assert (isinstance(said, NeedsPerson), "cannot be read" in str(said)) == (True, True), said


async def test_a_server_that_is_away() -> None:
    """Nothing listens: the next reading may do."""
    assert isinstance(await refusal("postgresql://me:pw@127.0.0.1:1/calls"), TryLater)


@pytest.mark.postgres
async def test_a_table_that_may_not_be_read(empty_database_url: str) -> None:
    """A database or a table that is not there, and one that the role may not read."""
    url = empty_database_url.replace("+asyncpg", "")
    host, name = url.partition("host=")[2], url.partition("@/")[2].partition("?")[0]
    assert "does not exist" in str(await refusal(f"postgresql://switchhook@/nowhere?host={host}"))
    assert "is not there" in str(await refusal(url))
    owner = await asyncpg.connect(host=host, user="switchhook", database=name)
    role = f"reader_{name[-12:]}"
    try:
        await owner.execute(
            "CREATE TABLE cel (eventtype text, eventtime timestamp, channame text, uniqueid text, linkedid text)"
        )
        await owner.execute(f'CREATE ROLE "{role}" LOGIN')
        said = await refusal(url.replace("switchhook@/", f"{role}@/"))
        assert ("may not read the table" in str(said), "GRANT SELECT" in (said.remedy or "")) == (True, True)
        await owner.execute(f'DROP ROLE "{role}"')
    finally:
        await owner.close()

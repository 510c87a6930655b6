"""Recordings of a remote PBX: the address they are sent to, and the script that sends them, for real on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import resource
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from call_records.recordings.ingest.intake import Intake, SpoolPlace
from call_records.recordings.ingest.uploads import UploadDesk
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import BOTH_SIDES, RecordingFilter
from call_records.store import RecordsStore
from telephony.recordings import RecordingState
from tests.call_facts_builder import MONDAY
from tests.recordings.ingest.test_intake import store_audio
from tests.recordings.recording_builder import outcome
from tests.recordings.sound_files import leave, wav
from tests.requirements import require_programs
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from web.app import create_app
from web.http.server import serve
from web.settings import WebSettings

pytestmark = pytest.mark.postgres

SCRIPT = Path(__file__).parents[3] / "asterisk-config" / "switchhook-upload"
TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef"
NAME = "b-1795311120.5.wav"
SCRIPT_SECONDS = 60.0


def everything_in(directory: Path) -> list[Path]:
    """Files and folders; nothing where there is no directory."""
    return list(directory.rglob("*"))


def command_lines() -> list[bytes]:
    """Those of every process, as anybody may read them."""
    found: list[bytes] = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(one.read_bytes())
    return found


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.asynccontextmanager
async def serving(desk: UploadDesk | None, port: int = 0) -> AsyncIterator[str]:
    """The real application under uvicorn, until the block is left."""
    app = create_app(FakeRecords(), FakeLive(), WebSettings(), passwords=cheap_passwords(), uploads=desk)
    stop = asyncio.Event()
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", port, stop, bound=bound.set_result))
    try:
        async with asyncio.timeout(10):
            address = f"http://127.0.0.1:{await bound}"
        yield address
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task


@pytest.fixture
def arrivals(tmp_path: Path) -> Path:
    """Where uploads come to lie."""
    return tmp_path / "audio" / "arrivals"


@pytest.fixture
def desk(records: RecordsStore, arrivals: Path) -> UploadDesk:
    """Two PBXes with a token each."""
    tokens = {"branch": TOKEN, "other": TOKEN[::-1]}
    return UploadDesk(arrivals, tokens, records.catalogue, most_bytes=10_000_000, reserve_bytes=0)


class Sender:
    """What the script does, by hand."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http

    async def put(
        self,
        content: bytes,
        *,
        name: str = NAME,
        first: int = 0,
        total: int | None = None,
        token: str = TOKEN,
        pbx: str = "branch",
        checksum: str | None = None,
    ) -> aiohttp.ClientResponse:
        headers = {"Authorization": f"Bearer {token}", "X-Checksum-SHA256": checksum or sum_of(content)}
        if total is not None:
            headers["Content-Range"] = f"bytes {first}-{first + len(content) - 1}/{total}"
        path = URL(f"/api/v1/recordings/uploads/{pbx}/{name}", encoded=True)
        async with self.http.put(path, data=io.BytesIO(content), headers=headers) as answer:
            await answer.read()
            return answer

    async def head(self, content: bytes, *, name: str = NAME) -> aiohttp.ClientResponse:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "X-Checksum-SHA256": sum_of(content),
            "X-Total-Bytes": str(len(content)),
        }
        async with self.http.head(f"/api/v1/recordings/uploads/branch/{name}", headers=headers) as answer:
            return answer


@pytest.fixture
async def sender(desk: UploadDesk) -> AsyncIterator[Sender]:
    """Somebody who knows the branch's token."""
    async with serving(desk) as address, aiohttp.ClientSession(address) as http:
        yield Sender(http)


async def test_a_file_is_sent_at_once(sender: Sender, arrivals: Path) -> None:
    """It appears under its name when all of it is there; sending it again says that it is here."""
    content = wav(2)
    answer = await sender.put(content)
    assert (answer.status, answer.headers["X-Checksum-SHA256"]) == (201, sum_of(content))
    assert (arrivals / "branch" / NAME).read_bytes() == content
    assert (await sender.put(content)).status == 200
    assert [one.name for one in (arrivals / "branch").iterdir()] == [NAME]


async def test_a_file_is_sent_in_pieces(sender: Sender, arrivals: Path) -> None:
    """What broke off goes on where it stopped; a piece that is not the next one is refused with the place."""
    content = wav(2)
    whole = sum_of(content)
    assert (await sender.head(content)).headers["Upload-Offset"] == "0"
    first = await sender.put(content[:1000], total=len(content), checksum=whole)
    assert first.status == 202
    assert "X-Checksum-SHA256" not in first.headers
    assert not (arrivals / "branch" / NAME).exists()
    wrong = await sender.put(content[2000:], first=2000, total=len(content), checksum=whole)
    assert (wrong.status, wrong.headers["Upload-Offset"]) == (409, "1000")
    assert (await sender.head(content)).headers["Upload-Offset"] == "1000"
    last = await sender.put(content[1000:], first=1000, total=len(content), checksum=whole)
    assert last.status == 201
    assert (arrivals / "branch" / NAME).read_bytes() == content


async def test_a_damaged_file_is_not_believed(sender: Sender, arrivals: Path) -> None:
    """A bit fell over on the way: nothing is kept of it, and it begins anew."""
    content = wav(1)
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    assert (await sender.put(damaged, checksum=sum_of(content))).status == 422
    assert list((arrivals / "branch").iterdir()) == []
    assert (await sender.head(content)).headers["Upload-Offset"] == "0"


@pytest.mark.parametrize(
    ("pbx", "token"),
    [("branch", "wrong"), ("branch", TOKEN[::-1]), ("nobody", TOKEN), ("branch", ""), ("%2e%2e", TOKEN)],
    ids=["wrong token", "another PBX's token", "no such PBX", "no token", "traversal"],
)
async def test_who_may_not_send(sender: Sender, arrivals: Path, pbx: str, token: str) -> None:
    """Nothing is written, and nobody learns which PBXes there are."""
    answer = await sender.put(wav(1), pbx=pbx, token=token)
    assert answer.status in (401, 404)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert everything_in(arrivals) == []


@pytest.mark.parametrize(
    "name",
    ["..%2f..%2fpasswd.wav", "..wav", ".hidden.wav", "a..wav", "shell.sh", "a%00.wav", "%20b.wav", "a%0ab.wav",
     "x" * 205 + ".wav",
     "a~2.wav", "%2fetc%2fpasswd.wav"],
)  # fmt: skip
async def test_names_that_are_none(sender: Sender, arrivals: Path, name: str) -> None:
    """Only the name of a sound file is taken, whatever is put into it."""
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Checksum-SHA256": sum_of(b"x")}
    url = URL(f"/api/v1/recordings/uploads/branch/{name}", encoded=True)
    async with sender.http.put(url, data=b"x", headers=headers) as answer:
        assert answer.status in (404, 405, 422), everything_in(arrivals)
    assert everything_in(arrivals) == []


async def test_a_file_that_is_too_large(sender: Sender) -> None:
    """It is refused before a byte of it is read."""
    answer = await sender.put(b"x", total=20_000_000_000)
    assert answer.status == 413


async def test_no_room(records: RecordsStore, arrivals: Path) -> None:
    """The disk is nearly full: said so, nothing is written, and the sender keeps their file."""
    desk = UploadDesk(arrivals, {"branch": TOKEN}, records.catalogue, reserve_bytes=1 << 60)
    async with serving(desk) as address, aiohttp.ClientSession(address) as http:
        answer = await Sender(http).put(wav(1))
    assert answer.status == 507
    assert all(one.stat().st_size == 0 for one in (arrivals / "branch").iterdir())


async def test_the_disk_is_full_in_the_middle(sender: Sender, arrivals: Path) -> None:
    """The kernel refuses a write (here by a limit on file sizes): what is here stays, and it goes on later."""
    content = wav(200)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
    try:
        answer = await sender.put(content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert answer.status == 507
    offset = int((await sender.head(content)).headers["Upload-Offset"])
    assert 0 < offset <= 2_000_000
    again = await sender.put(content[offset:], first=offset, total=len(content), checksum=sum_of(content))
    assert again.status == 201
    assert (arrivals / "branch" / NAME).read_bytes() == content


async def test_another_file_of_the_same_name(sender: Sender, arrivals: Path) -> None:
    """The first is not touched: the intake decides what the other one is."""
    await sender.put(wav(1))
    assert (await sender.put(wav(2))).status == 201
    assert (arrivals / "branch" / NAME).read_bytes() == wav(1)
    assert (arrivals / "branch" / sum_of(wav(2))[:12] / NAME).read_bytes() == wav(2)
    assert (await sender.put(wav(2))).status == 200


async def test_what_was_taken_in_is_not_asked_for_again(
    sender: Sender, records: RecordsStore, arrivals: Path
) -> None:
    """The upload was processed and is gone from our disk; the PBX lost its notes and asks."""
    content = wav(1)
    await sender.put(content)
    now = [1000.0]
    audio = AudioSettings(directory=arrivals.parent)
    intake = Intake(records.catalogue, [], audio, uploading=["branch"], clock=lambda: now[0])
    for _ in range(2):
        await intake.round()
        now[0] += 20
    (one,) = [each.recording for each in (await records.catalogue.page(RecordingFilter())).listed]
    await records.catalogue.processed(one.id, outcome(), MONDAY, None)
    assert "Upload-Stored" not in (await sender.head(content)).headers
    await store_audio(records, one.id)
    now[0] += 61
    await intake.round()
    assert not (arrivals / "branch" / NAME).exists()
    answer = await sender.head(content)
    assert (answer.headers["X-Checksum-SHA256"], answer.headers["Upload-Stored"]) == (sum_of(content), "yes")


async def test_without_a_token_there_is_no_such_address() -> None:
    """An office without remote PBXes takes nothing."""
    async with serving(None) as address, aiohttp.ClientSession(address) as http:
        assert (await Sender(http).put(wav(1))).status == 404


# The script


class Pbx:
    """A machine with a spool and the script."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.spool = directory / "monitor"
        self.spool.mkdir(parents=True)
        self.state = directory / "state"
        self.token_file = directory / "token"
        self.use_token(TOKEN)

    def use_token(self, token: str) -> None:
        self.token_file.write_text(f"{token}\n")
        self.token_file.chmod(0o600)

    async def run(
        self, address: str, *flags: str, file_bytes: int | None = None, **settings: object
    ) -> tuple[int, str]:
        """One run of the script: its exit code and what it said."""
        process = await self.start(address, *flags, file_bytes=file_bytes, **settings)
        async with asyncio.timeout(SCRIPT_SECONDS):
            told, _ = await process.communicate()
        return process.returncode or 0, told.decode()

    async def start(
        self, address: str, *flags: str, file_bytes: int | None = None, **settings: object
    ) -> asyncio.subprocess.Process:
        chosen = {
            "URL": address,
            "PBX": "branch",
            "SPOOL": self.spool,
            "STATE": self.state,
            "TOKEN_FILE": self.token_file,
            "QUIET_SECONDS": 0,
            **settings,
        }
        config = self.directory / "upload.conf"
        config.write_text("# ours\n" + "".join(f"{name}={value}\n" for name, value in chosen.items()))
        limit = ["prlimit", f"--fsize={file_bytes}"] if file_bytes else []
        return await asyncio.create_subprocess_exec(
            *limit, "sh", str(SCRIPT), "-v", "-c", str(config), *flags,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            restore_signals=False,  # as on a full disk a write fails, instead of ending the process by SIGXFSZ
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
        )  # fmt: skip

    def forget_pauses(self) -> None:
        """As if the pauses after failures were over."""
        shutil.rmtree(self.state / "retry", ignore_errors=True)
        (self.state / "pause").unlink(missing_ok=True)


@pytest.fixture
def pbx(tmp_path: Path) -> Pbx:
    """A PBX with curl."""
    require_programs("curl", "sha256sum")
    return Pbx(tmp_path / "pbx")


async def test_the_script_sends_what_is_finished(desk: UploadDesk, pbx: Pbx, arrivals: Path) -> None:
    """Both sides and the mixed file go; one that is being written waits; the second run has nothing to do."""
    day = pbx.spool / "2026" / "11" / "22"
    leave(day, "1795311120.5", sides=True)
    leave(pbx.spool, "1795311120.6", wav(1, told=0))
    async with serving(desk) as address:
        code, told = await pbx.run(address)
        assert (code, told.count("delivered")) == (0, 3), told
        for one in ("1795311120.5.wav", "1795311120.5-in.wav", "1795311120.5-out.wav"):
            assert (arrivals / "branch" / one).read_bytes() == (day / one).read_bytes()
            assert abs((arrivals / "branch" / one).stat().st_mtime - (day / one).stat().st_mtime) < 1
        assert not (arrivals / "branch" / "1795311120.6.wav").exists()
        assert await pbx.run(address) == (0, "")
        leave(pbx.spool, "1795311120.6", wav(1))
        code, told = await pbx.run(address)
        assert "1795311120.6" in told
    assert not list(pbx.state.glob("lock*"))


@pytest.mark.parametrize(
    "name",
    [
        "1795311120.7.wav16",
        "1795311120.7.WAV",
        "q-8001 10:15:00-1795311120.7.wav",
        "Anna (sales)-1795311120.7.mp3",
    ],
)
async def test_the_script_sends_files_as_pbxes_name_them(
    desk: UploadDesk, pbx: Pbx, arrivals: Path, name: str
) -> None:
    """Other endings, and names with what a person wrote into the dialplan."""
    (pbx.spool / name).write_bytes(wav(1))
    async with serving(desk) as address:
        code, told = await pbx.run(address)
        assert (code, told.count("delivered")) == (0, 1), told
        assert await pbx.run(address) == (0, "")
    assert (arrivals / "branch" / name).read_bytes() == wav(1)


async def test_the_token_is_on_no_command_line(desk: UploadDesk, pbx: Pbx) -> None:
    """Everybody at the PBX can list the processes."""
    leave(pbx.spool, "1795311120.5", wav(30))
    seen: list[bytes] = []
    async with serving(desk) as address:
        process = await pbx.start(address, LIMIT_RATE="200k")
        while process.returncode is None:
            seen += command_lines()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await process.wait()
    assert any(b"curl" in one and str(pbx.state).encode() in one for one in seen)
    assert not any(TOKEN.encode() in one for one in seen)


async def test_the_line_breaks_in_the_middle(desk: UploadDesk, pbx: Pbx, arrivals: Path) -> None:
    """The power goes half-way: the next run takes over the lock, goes on where it stopped, and the file is whole."""
    content = leave(pbx.spool, "1795311120.5", wav(60)).read_bytes()
    part = arrivals / "branch"
    async with serving(desk) as address:
        process = await pbx.start(address, LIMIT_RATE="400k")
        async with asyncio.timeout(30):
            while not any(one.stat().st_size for one in part.glob(".*.part")):
                await asyncio.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
        for _ in range(100):  # the server notices within a moment that nobody sends
            pbx.forget_pauses()
            code, told = await pbx.run(address)
            if code == 0:
                break
        assert "going on with" in told, told
    assert (part / "1795311120.5.wav").read_bytes() == content


async def test_the_token_is_wrong(desk: UploadDesk, pbx: Pbx) -> None:
    """One complaint, no hammering: the next run waits; with the right token everything goes."""
    leave(pbx.spool, "1795311120.5")
    pbx.use_token("x" * 40)
    async with serving(desk) as address:
        code, told = await pbx.run(address)
        assert code == 3, told
        assert "refuses the token" in told
        assert (await pbx.run(address))[1].startswith("waiting until")
        pbx.use_token(TOKEN)
        pbx.forget_pauses()
        assert (await pbx.run(address))[0] == 0


async def test_switchhook_is_down_and_comes_back(desk: UploadDesk, pbx: Pbx, arrivals: Path) -> None:
    """The pauses grow; when it is back nothing was lost."""
    leave(pbx.spool, "1795311120.5")
    async with serving(desk) as address:
        port = int(address.rpartition(":")[2])
    for tries in (1, 2, 3):
        code, told = await pbx.run(address)
        assert code == 4, told
        count, due = (pbx.state / "pause").read_text().split()
        assert int(count) == tries
        assert 30 * 2 ** (tries - 1) < int(due) - time.time() <= 60 * 2 ** (tries - 1)
        (pbx.state / "pause").write_text(f"{tries} 0\n")
    async with serving(desk, port) as address:
        assert (await pbx.run(address))[0] == 0
    assert (arrivals / "branch" / "1795311120.5.wav").is_file()
    assert not (pbx.state / "pause").exists()


async def test_the_disk_of_the_server_is_full(
    records: RecordsStore, desk: UploadDesk, pbx: Pbx, arrivals: Path
) -> None:
    """The file stays at the PBX and is tried again."""
    path = leave(pbx.spool, "1795311120.5")
    full = UploadDesk(arrivals, {"branch": TOKEN}, records.catalogue, reserve_bytes=1 << 60)
    async with serving(full) as address:
        code, told = await pbx.run(address)
    assert code == 4, told
    assert "no room" in told
    assert path.is_file()
    pbx.forget_pauses()
    async with serving(desk) as address:
        assert (await pbx.run(address))[0] == 0


async def test_the_disk_of_the_pbx_is_full(desk: UploadDesk, pbx: Pbx, arrivals: Path) -> None:
    """Its notes cannot be written: it says so, sends nothing it could not remember, and recovers."""
    leave(pbx.spool, "1795311120.5")
    async with serving(desk) as address:
        code, told = await pbx.run(address, file_bytes=1)
        assert code != 0, told
        assert "delivered" not in told
        pbx.forget_pauses()
        assert (await pbx.run(address))[0] == 0
    assert (arrivals / "branch" / "1795311120.5.wav").is_file()


async def test_two_runs_do_not_meet(desk: UploadDesk, pbx: Pbx) -> None:
    """Cron starts the next one while a long file is going out; a lock left by a killed run is taken over."""
    leave(pbx.spool, "1795311120.5", wav(60))
    async with serving(desk) as address:
        process = await pbx.start(address, LIMIT_RATE="400k")
        async with asyncio.timeout(30):
            while not (pbx.state / "lock" / "pid").is_file() or not (pbx.state / "lock" / "pid").read_text():
                await asyncio.sleep(0.02)
        assert "another run" in (await pbx.run(address))[1]
        await process.communicate()
        assert process.returncode == 0
        (pbx.state / "lock").mkdir()
        (pbx.state / "lock" / "pid").write_text(f"{process.pid}\n")
        leave(pbx.spool, "1795311120.6")
        assert "delivered 1795311120.6" in (await pbx.run(address))[1]


async def test_files_are_removed_only_when_told_and_only_when_stored(
    desk: UploadDesk, pbx: Pbx, records: RecordsStore, arrivals: Path
) -> None:
    """Delivered is not enough: Switchhook must have stored it and compared."""
    path = leave(pbx.spool, "1795311120.5")
    kept = leave(pbx.spool, "1795311120.6")
    async with serving(desk) as address:
        await pbx.run(address)
        await pbx.run(address, DELETE_AFTER_DAYS=0)
        assert path.is_file()
        now = [1000.0]
        intake = Intake(
            records.catalogue, [], AudioSettings(directory=arrivals.parent), uploading=["branch"],
            clock=lambda: now[0],
        )  # fmt: skip
        for _ in range(2):
            await intake.round()
            now[0] += 20
        for one in (await records.catalogue.page(RecordingFilter())).listed:
            await records.catalogue.processed(one.recording.id, outcome(), MONDAY, None)
            if one.recording.name == "1795311120.5":
                await store_audio(records, one.recording.id)
        await pbx.run(address)
        assert path.is_file()
        await pbx.run(address, DELETE_AFTER_DAYS=0)
    assert not path.exists()
    assert kept.is_file()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"URL": "http://switchhook.example"}, "must begin with https"),
        ({"URL": "http://127.0.0.1.switchhook.example"}, "must begin with https"),
        ({"URL": "http://localhost.switchhook.example/x"}, "must begin with https"),
        ({"URL": "http://127.0.0.1:80@switchhook.example"}, "no user"),
        ({"SPOOL": "/nowhere"}, "no directory"),
        ({"DAYS": "soon"}, "no whole number"),
        ({"COLOUR": "blue"}, "no setting"),
        ({"PBX": "a b"}, "PBX is the id"),
    ],
)
async def test_a_configuration_that_cannot_be_used(pbx: Pbx, settings: dict[str, object], told: str) -> None:
    """One sentence that names the line, before anything is sent."""
    code, said = await pbx.run("http://127.0.0.1:1", **settings)
    assert code == 2
    assert told in said


async def test_a_token_that_others_may_read(pbx: Pbx) -> None:
    """The script refuses to use it and says what to do."""
    pbx.token_file.chmod(0o644)
    code, said = await pbx.run("http://127.0.0.1:1")
    assert (code, "chmod 600" in said) == (2, True)


async def test_uploads_become_a_recording_with_both_sides(
    desk: UploadDesk, pbx: Pbx, records: RecordsStore, arrivals: Path
) -> None:
    """From the PBX's spool over the network into the catalogue."""
    leave(pbx.spool, "1795311120.5", sides=True)
    async with serving(desk) as address:
        await pbx.run(address)
    now = [1000.0]
    place = SpoolPlace("branch", arrivals / "branch", uploaded=True)
    intake = Intake(
        records.catalogue, [place], AudioSettings(directory=arrivals.parent), clock=lambda: now[0]
    )
    for _ in range(2):
        await intake.round()
        now[0] += 20
    (one,) = (await records.catalogue.page(RecordingFilter())).listed
    assert (one.recording.pbx, one.recording.state) == ("branch", RecordingState.ARRIVED)
    assert {file.role for file in one.recording.files} == BOTH_SIDES

"""The tests' own house: nothing reaches beyond this machine, and two processes share out the files."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.conftest import RealNetworkForbidden, is_local
from tests.requirements import SERVERS, module_marks, pytest_collection_modifyitems
from tests.shared_out import CHAINS, deal_order


def test_a_test_cannot_reach_the_outside() -> None:
    """192.0.2.1 is reserved for documentation: without the fence this would wait for nobody's answer."""
    with socket.socket() as outside:
        outside.settimeout(1)  # should the fence be down, the test fails soon
        with pytest.raises(RealNetworkForbidden):
            outside.connect(("192.0.2.1", 80))


def test_a_test_can_reach_this_machine() -> None:
    """Servers that tests start listen on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()


@pytest.mark.parametrize(
    ("address", "local"),
    [
        (("127.0.0.2", 1), True),
        (("::1", 1, 0, 0), True),
        ("/run/postgresql/.s.PGSQL.5432", True),
        (("10.0.0.1", 1), False),
        (("127.example.com", 1), False),
        (("2001:db8::1", 1, 0, 0), False),
    ],
)
def test_what_counts_as_this_machine(address: object, local: bool) -> None:
    """Loopback in both families and Unix sockets; nothing else."""
    assert is_local(address) is local


def test_chains_name_files_that_are_there() -> None:
    """Somebody renames a file of tests that wants the machine for itself: its place in the chain goes with it."""
    assert [file for files in CHAINS.values() for file in files if not Path(file).is_file()] == []


def test_chains_are_dealt_out_first_and_waiting_files_alternate_with_computing_ones() -> None:
    """Processes begin with what must not meet, have always something to do, and end together."""
    first, second = CHAINS["by the clock"][:2]
    marks = {
        "quick.py": set[str](),
        "page.py": {"browser"},
        "phone.py": {"asterisk", "postgres"},
        second: {"asterisk"},
        "row.py": {"postgres"},
        "table.py": {"postgres"},
        first: {""},
    }
    assert deal_order(marks) == [first, second, "row.py", "page.py", "table.py", "phone.py", "quick.py"]


def test_a_test_that_asks_for_a_server_carries_its_mark(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its author marked it or not, and only once; a test without a server gets none."""
    item = request.node
    monkeypatch.setattr(item, "fixturenames", ["postgres_server", "database_url", "s3_server"], raising=False)
    for _ in range(2):
        pytest_collection_modifyitems([item])
    assert sorted(mark.name for mark in item.iter_markers()) == ["postgres", "s3"]


def test_the_quick_run_leaves_out_every_server() -> None:
    """A new server is named in `./dev quick` too, and each fixture of the table is there."""
    chosen = next(
        line
        for line in Path("dev").read_text(encoding="utf-8").splitlines()
        if " -m " in line and "not " in line
    )
    assert [mark for mark in {*SERVERS.values(), "slow"} if f"not {mark}" not in chosen] == []
    fixtures = "".join(file.read_text(encoding="utf-8") for file in Path("tests").rglob("*.py"))
    assert [name for name in SERVERS if f"def {name}(" not in fixtures] == []


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("pytestmark = pytest.mark.slow  # why", {"slow"}),
        ("pytestmark = [pytest.mark.browser, pytest.mark.timeout(540)]", {"browser", "timeout"}),
        ("@pytest.mark.postgres\ndef test_one() -> None: ...", set()),
    ],
)
def test_marks_of_a_whole_file_are_read_without_importing_it(
    text: str, marks: set[str], tmp_path: Path
) -> None:
    """Those of single tests are not among them."""
    file = tmp_path / "test_some.py"
    file.write_text(f"import nothing_of_this_name\n\n{text}\n", encoding="utf-8")
    assert module_marks(file) == marks

"""What is said of an event log before it is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from switchhook.doctor.cel_examination import CelExamination, examine_cel_source
from switchhook.settings.tables import PbxSettings
from tests.ami_bridge.cel.test_event_log_forms import written
from tests.mariadb_fixtures import MariaDbDatabase
from tests.switchhook.pbx.test_cel_in_a_table import MariaDbServer, fill
from tests.telephony.captured import captured, cel_cells, cel_text

CALL = "22/in_answered"
NEWEST = captured(CALL).cel[-1].at


async def examined(now: float = NEWEST + 60.0, **where: object) -> CelExamination:
    """The examination of one PBX a minute after its last call."""
    pbx = PbxSettings.model_validate(
        {"id": "hq", "host": "127.0.0.1", "username": "x", "secret": "y", **where}
    )
    found = await examine_cel_source(pbx, now=lambda: now)
    assert found is not None
    return found


def log(path: Path, rows: list[list[str]]) -> Path:
    """A log with these rows."""
    path.write_text(written(rows), encoding="utf-8")
    return path


async def test_a_good_log_has_no_problem(tmp_path: Path) -> None:
    """Everything is there, and how old the newest event is."""
    found = await examined(cel_file=log(tmp_path / "cel.csv", cel_cells(cel_text(CALL))))
    assert (found.readable, found.problem, found.zone, found.whole_seconds) == (True, None, None, False)
    assert found.newest_age_seconds == pytest.approx(60.0, abs=0.01)
    assert (found.missing_events, found.tells_dialling) == ((), True)


async def test_local_time_whole_seconds_and_what_lacks_are_said(tmp_path: Path) -> None:
    """As FreePBX writes it, and without the last column."""
    zone = ZoneInfo("America/New_York")
    rows = [
        [row[0], datetime.fromtimestamp(float(row[1]), UTC).astimezone(zone).strftime("%F %T"), *row[2:-1]]
        for row in cel_cells(cel_text(CALL))
        if row[0] not in ("APP_START", "BRIDGE_EXIT")
    ]
    found = await examined(cel_file=log(tmp_path / "cel.csv", rows))
    assert (found.readable, found.zone, found.whole_seconds) == (True, "UTC-5:00", True)
    assert "extra" in found.empty_columns
    assert found.missing_events == ("BRIDGE_EXIT",)
    assert not found.tells_dialling


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "is not there"), ("no,log,at,all\n1,2,3,4\n", "no channel event log")],
)
async def test_what_cannot_be_read_is_a_sentence_with_a_remedy(
    tmp_path: Path, content: str | None, sentence: str
) -> None:
    """A missing file and garbage: the same care as for one that may not be read."""
    path = tmp_path / "cel.csv"
    if content is not None:
        path.write_text(content)
    found = await examined(cel_file=path)
    assert not found.readable
    assert sentence in (found.problem or "")
    assert found.remedy


async def test_events_of_the_future_are_a_problem(tmp_path: Path) -> None:
    """One of the two clocks is wrong."""
    path = log(tmp_path / "cel.csv", cel_cells(cel_text(CALL)))
    found = await examined(now=NEWEST - 3600.0, cel_file=path)
    assert "future" in (found.problem or "")


@pytest.mark.mariadb
async def test_a_table_in_mariadb_is_examined(mariadb: MariaDbDatabase) -> None:
    """FreePBX's: local time, and a password that is wrong is told in words."""
    await fill(MariaDbServer(mariadb), CALL, late_hours=3, extra=False)
    found = await examined(cel_url=SecretStr(mariadb.reader))
    assert (found.readable, found.zone) == (True, "UTC+3:00")
    assert "extra" in found.missing_columns
    wrong = await examined(cel_url=SecretStr(mariadb.reader.replace("rE%40d", "wrong")))
    assert "refuses our name or password" in (wrong.problem or "")
    assert "wrong" not in str(wrong)


async def test_without_a_log_there_is_nothing_to_say() -> None:
    """None is configured."""
    pbx = PbxSettings.model_validate({"id": "hq", "host": "127.0.0.1", "username": "x", "secret": "y"})
    assert await examine_cel_source(pbx) is None

"""The audit log: read, filtered, exported; only ever added to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from call_records.recordings.types import AuditFilter
from call_records.store import RecordsStore
from telephony.recordings import AuditAction
from tests.recordings.rights_fakes import Hall, open_hall

pytestmark = pytest.mark.postgres


@pytest.fixture
async def hall(database_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    async with open_hall(database_url, tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET who = 'nobody'",
        "UPDATE audit_log SET reason = NULL WHERE who = 'anna'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE who = 'anna'",
        "TRUNCATE audit_log",
        "TRUNCATE audit_log, recordings CASCADE",
    ],
)
async def test_the_database_refuses_to_change_the_log(records: RecordsStore, statement: str) -> None:
    """Whoever holds the service's own connection cannot rewrite what was done."""
    await records.audit.write(AuditAction.HEARD, who="anna", seconds=12.0, reason="quality")
    with pytest.raises(DBAPIError, match="append-only"):
        async with records.engine.begin() as connection:
            await connection.execute(text(statement))
    (line,) = await records.audit.page(AuditFilter())
    assert (line.who, line.seconds, line.reason) == ("anna", 12.0, "quality")


async def fill(hall: Hall) -> None:
    """Three things that happened."""
    recording = hall.recordings["annas"]
    await hall.store.audit.write(
        AuditAction.HEARD, who="chief", recording_id=recording, seconds=75.0, address="192.0.2.7",
        browser="Firefox on Linux", reason="complaint 4711",
    )  # fmt: skip
    await hall.store.audit.write(AuditAction.OPENED, who="anna", recording_id=recording)
    await hall.store.audit.write(
        AuditAction.SHARED, who="=cmd|' /C calc'!A0", reason="+1+1", address="@sum", browser="-2",
        details={"days": 3},
    )  # fmt: skip


async def test_the_page_tells_who_what_when_and_why(hall: Hall) -> None:
    """How long, from where, the reason, and a way to the recording."""
    await fill(hall)
    async with hall.signed_in("admin") as admin:
        page = await admin.read("/audit")
        for said in ("Listened", "1:15", "192.0.2.7", "Firefox on Linux", "complaint 4711", "Made a link"):
            assert said in page, said
        assert f'href="/recordings/{hall.recordings["annas"]}"' in page
        chiefs = await admin.read("/audit?who=chief")
        assert "complaint 4711" in chiefs
        assert "Made a link</td>" not in chiefs
        assert "complaint 4711" not in await admin.read("/audit?action=opened")
        assert "complaint 4711" not in await admin.read("/audit?to=2020-01-01")
        assert "complaint 4711" in await admin.read(f"/audit?recording={hall.recordings['annas']}")
        assert "Nothing matches" in await admin.read(f"/audit?recording={hall.recordings['sold']}")
        assert "is not a date" in await admin.read("/audit?from=some+day")


async def test_pages_of_the_log(hall: Hall) -> None:
    """A hundred and thirty lines are three pages, nothing twice."""
    for number in range(130):
        await hall.store.audit.write(AuditAction.HEARD, who="anna", reason=f"line-{number}.")
    seen: list[str] = []
    path: str | None = "/audit"
    async with hall.signed_in("admin") as admin:
        for _page in range(5):
            if path is None:
                break
            page = await admin.read(path)
            seen += [f"line-{n}." for n in range(130) if f"line-{n}." in page]
            found = page.partition('" rel="next"')[0].rpartition('href="')[2]
            path = found.replace("&amp;", "&") if 'rel="next"' in page else None
    assert len(seen) == len(set(seen)) == 130


async def test_an_export_is_safe_in_a_spreadsheet_and_itself_logged(hall: Hall) -> None:
    """What somebody typed never becomes a formula; that the log was taken out stands in it, before it left."""
    await fill(hall)
    async with hall.signed_in("admin") as admin:
        async with admin.http.get("/audit/export.csv") as answer:
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="audit-')
            rows = list(csv.DictReader(io.StringIO(await answer.text())))
        async with admin.http.get("/audit/export.jsonl?who=chief") as answer:
            lines = [json.loads(line) for line in (await answer.text()).splitlines()]
    rows = [row for row in rows if row["action"] != "signed_in"]
    assert [row["action"] for row in rows] == ["heard", "opened", "shared", "exported"]
    shared = rows[2]
    assert shared["who"] == "'=cmd|' /C calc'!A0"
    assert (shared["reason"], shared["address"], shared["browser"]) == ("'+1+1", "'@sum", "'-2")
    assert json.loads(shared["details"]) == {"days": 3}
    assert [(line["who"], line["reason"], line["seconds"]) for line in lines] == [
        ("chief", "complaint 4711", 75.0)
    ]
    exported = await hall.log(action=AuditAction.EXPORTED)
    assert [(line.who, line.details) for line in exported] == [
        ("admin", {"as": "csv"}),
        ("admin", {"as": "jsonl", "who": "chief"}),
    ]


async def test_half_a_filter_exports_nothing(hall: Hall) -> None:
    """A date that is not understood would export everything: refused instead, and not logged as an export."""
    async with hall.signed_in("admin") as admin, admin.http.get("/audit/export.csv?from=x") as answer:
        assert answer.status == 400
    assert await hall.log(action=AuditAction.EXPORTED) == []


async def test_the_log_is_for_administrators(hall: Hall) -> None:
    """A supervisor who hears everything still does not read who else does."""
    for login in ("anna", "chief"):
        async with hall.signed_in(login) as person:
            assert 'href="/audit"' not in await person.read("/recordings")
            for path in ("/audit", "/audit/export.csv", "/audit/export.jsonl"):
                async with person.http.get(path) as answer:
                    assert answer.status == 403


ANYTHING: tuple[dict[str, object], ...] = (
    {"lead rules before": ["a; b", "c"], "after": ["c", "d"]},
    {"before": ["a"], "after": {"a": 1}},
    {"before": {"a": [1, {"b": None}]}, "after": None},
    {"before": "text", "after": 7},
    {"after": [[["deep"]], {"x": {"y": True}}]},
    {"why": ["list"]},
    {"account": {"a": 1}, "what": "x"},
    {"extension": 101, "score": "many", "form": None, "supersedes": [1]},
    {"": "", "x" * 2000: "y" * 5000},
)


@pytest.mark.parametrize("details", ANYTHING, ids=lambda one: next(iter(one))[:20])
async def test_the_page_shows_whatever_lies_in_the_log(hall: Hall, details: dict[str, object]) -> None:
    """Every action with details of any shape, and an action that only a later release knows."""
    for action in AuditAction:
        await hall.store.audit.write(action, who="anna", details=details)
    async with hall.store.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO audit_log (who, action, details) VALUES ('later', 'teleported', '[1, 2]')")
        )
    async with hall.signed_in("admin") as admin:
        for path in ("/audit", "/audit/export.csv", "/audit/export.jsonl"):
            async with admin.http.get(path) as answer:
                assert answer.status == 200, path
                assert "teleported" in await answer.text()


async def test_a_changed_lead_rule_is_a_sentence(hall: Hall) -> None:
    """What was taken away and what came instead; what stayed is not repeated."""
    details = {"lead rules before": ["missed; lead", "answered; nothing"], "after": ["missed; task"]}
    await hall.store.audit.write(AuditAction.RULES_CHANGED, who="admin", details=details)
    async with hall.signed_in("admin") as admin:
        page = await admin.read("/audit")
    for said in ("removed: missed; lead", "removed: answered; nothing", "added: missed; task"):
        assert said in page, said


async def test_names_stand_where_the_log_has_ids(hall: Hall) -> None:
    """Who, whose call, by which form: names; the sign-in name is left to the export."""
    form = (await hall.store.reviews.forms.offered())[0]
    details = {"extension": "101", "form": str(form.form_id), "score": 43.0, "supersedes": None}
    await hall.store.audit.write(AuditAction.GRADED, who="chief", details=details)
    async with hall.signed_in("admin") as admin:
        page = await admin.read("/audit?who=chief")
    assert f"of Anna: 43.0 points by “{form.name}”" in page
    assert "<bdi>Chief</bdi>" in page
    assert str(form.form_id) not in page


FAR = ("9999-12-31", "0001-01-01", "2201-01-01", "1969-12-31")


@pytest.mark.parametrize("date", FAR)
async def test_a_date_that_nobody_means_is_refused_on_every_page(hall: Hall, date: str) -> None:
    """The ends of the calendar, in every filter that takes a day: a sentence, never a failure."""
    pages = [f"/{page}?{name}={date}" for page in ("audit", "recordings") for name in ("from", "to")]
    async with hall.signed_in("admin") as admin:
        for path in (*pages, f"/calls?date={date}"):
            async with admin.http.get(path) as answer:
                assert answer.status == 200, path
                assert "is not a date" in await answer.text(), path
        for path in ("/api/v1/calls", "/api/v1/recordings"):
            for name in ("since", "until"):
                for offset in ("Z", "%2B14:00", "-12:00"):
                    async with admin.http.get(f"{path}?{name}={date}T00:00:00{offset}") as answer:
                        assert answer.status == 422, (path, name, offset)

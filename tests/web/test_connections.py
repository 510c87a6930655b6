"""Connections says what an administrator looks for there: which Asterisk, its name, its phones, its event log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from telephony.ports import PbxDetails
from web.pages.connections import describe_pbx

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_version_name_phones_and_the_age_of_the_log() -> None:
    """One short line under the link."""
    known = PbxDetails(
        "hq", "22.10.1", "hq", 3, has_event_log=True, event_log_newest_at=NOW - timedelta(hours=2)
    )
    told = describe_pbx(known, NOW)
    assert told[:3] == ("Asterisk 22.10.1", "systemname hq", "phones: 3")
    assert told[3].startswith("newest entry of the event log (CEL): ")


def test_what_is_missing_is_said() -> None:
    """It is what will be missed later."""
    told = describe_pbx(PbxDetails("branch", "18.1.0", None, 0), NOW)
    assert told == (
        "Asterisk 18.1.0",
        "no systemname is set",
        "phones: 0",
        "no event log (CEL) is configured",
    )
    waiting = describe_pbx(PbxDetails("branch", None, None, 2, has_event_log=True), NOW)
    assert waiting == ("phones: 2", "nothing was read from the event log (CEL) yet")

"""Which step of the tables this release expects."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory

from call_records.db import schema


def test_the_newest_step_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness is asked for all day; an upgrade that replaces the package's files meanwhile must not change it."""
    schema.newest_revision.cache_clear()
    newest = schema.newest_revision()

    def gone(*_: object) -> ScriptDirectory:
        raise FileNotFoundError("the files are being replaced")

    monkeypatch.setattr(ScriptDirectory, "from_config", gone)
    assert schema.newest_revision() == newest


def test_each_step_follows_one_other() -> None:
    """One chain from the first to the newest: two branches could not be upgraded."""
    steps = list(ScriptDirectory.from_config(schema._config()).walk_revisions())
    assert steps[0].revision == schema.newest_revision()
    assert [step.down_revision for step in steps] == [*(step.revision for step in steps[1:]), None]

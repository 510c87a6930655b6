"""What was loaded at the start is not looked through for garbage again."""

from __future__ import annotations

import gc

from switchhook.process.memory import exempt_startup_objects


def test_a_full_collection_leaves_out_what_was_there_at_the_start() -> None:
    """Afterwards only what came since is walked."""
    there = len(gc.get_objects())
    try:
        exempt_startup_objects()
        assert len(gc.get_objects()) < there / 10
        assert gc.get_freeze_count() > there / 2
    finally:
        gc.unfreeze()

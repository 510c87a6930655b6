"""SIGHUP, which `systemctl reload` and a closed terminal send: the service goes on, and takes up what can be taken up.

That is `[logs]`. Everything else is wired together at the start; what was changed there is named in the log, so that
nobody believes it works already. A configuration that cannot be read changes nothing.
"""

from __future__ import annotations

import structlog

from switchhook.process import logs
from switchhook.settings.settings import Settings, load
from switchhook.settings.tables import SECTIONS
from telephony.errors import SwitchhookError

log = structlog.get_logger(__name__)

TAKEN_UP = "logs"


class Reloader:
    """Holds what the service runs with; call it at each signal."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self) -> None:
        """Read the configuration again. Raises nothing: a service outlives a mistyped file."""
        try:
            fresh = load(self._settings.origin.file)
        except SwitchhookError as mistake:
            log.warning("configuration_not_reloaded", problem=str(mistake), remedy=mistake.remedy)
            return
        changed = changed_sections(self._settings, fresh)
        if TAKEN_UP in changed:
            logs.set_up(level=fresh.logs.level, form=fresh.logs.format, mask_numbers=fresh.logs.mask_numbers)
            self._settings = self._settings.model_copy(update={TAKEN_UP: fresh.logs})
        waiting = [f"[{name}]" for name in changed if name != TAKEN_UP]
        if waiting:
            log.warning(
                "configuration_needs_restart", changed=", ".join(waiting), remedy="Restart Switchhook."
            )
        log.info(
            "configuration_reloaded", taken_up=f"[{TAKEN_UP}]" if TAKEN_UP in changed else "nothing changed"
        )


def changed_sections(before: Settings, after: Settings) -> list[str]:
    """The tables of the file that are not as they were."""
    return [name for name in SECTIONS if getattr(before, name) != getattr(after, name)]

"""Whether this Asterisk is a package whose recordings of both sides lose one, and what helps.

Debian carries a patch of its own (2016_opus_plc.patch in main/translate.c; its changelog names it at 20.6.0, and Ubuntu
takes the package over): a frame whose sequence number looks older than the last one's (they go round at 65536) counts as
late and is dropped. Frames of companded music carry number 0, so whoever talks after it with a number above 32767 is
dropped; so is a second colleague whose numbers are behind the first one's.
The sources of Asterisk itself have no such lines.
"""

from __future__ import annotations

import re

PATCHED_SINCE = (20, 6)
WHAT = (
    "This Asterisk is a package of Debian or Ubuntu that leaves our side out of recordings after companded music on hold, "
    "and after some transfers."
)
REMEDY = (
    "Let each channel be recorded on a track of its own (SWITCHHOOK_TRACKS = yes), or at least give music on hold as .wav "
    "or .sln files; docs/how-to/record-calls.md says how."
)
# 20.6.0~dfsg+~cs6.13.40431414-2, 22.10.1+dfsg+~cs6.17.60671434-1
_PACKAGE = re.compile(r"^(?:Asterisk )?(\d+)\.(\d+)[\d.]*[~+]dfsg", re.IGNORECASE)


def loses_one_side(version: str) -> bool:
    """Whether an Asterisk of this version (as `CoreSettings` names it) drops frames as late."""
    told = _PACKAGE.match(version)
    return told is not None and (int(told[1]), int(told[2])) >= PATCHED_SINCE

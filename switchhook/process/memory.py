"""What lives as long as the process is not looked through again and again for garbage.

A full collection walks every object that the interpreter tracks: of a service that has just started some half a million,
mostly code, tables and routes that never go. Measured: 0.1 to 0.3 s in which no event of the PBX is read, now and then for
as long as it runs. Frozen objects are left out of the walk (`gc.freeze`).
"""

from __future__ import annotations

import gc


def exempt_startup_objects() -> None:
    """To be called once, when everything is loaded; nothing that is garbage by then is ever taken back."""
    gc.freeze()

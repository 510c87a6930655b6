"""`python -m bench [NAME [arguments]]`: all measurements that take no more than minutes, or one of them."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

MEASUREMENTS = {
    "ami": "bench.ami",
    "journal": "bench.journal",
    "latency": "bench.latency",
    "idle": "bench.idle",
}
"""Name to module; each is a command of its own, and 1 as exit code means that a target was missed."""
LIMIT_SECONDS = 300  # for one of them, when all are run


def main(arguments: list[str]) -> int:
    """Run what was asked for; the worst exit code."""
    if arguments and arguments[0] not in MEASUREMENTS:
        print(f"usage: python -m bench [{' | '.join(MEASUREMENTS)}] [arguments]", file=sys.stderr)
        return 2
    chosen = arguments[:1] or [name for name, module in MEASUREMENTS.items() if find_spec(module)]
    worst = 0
    for name in chosen:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", MEASUREMENTS[name], *arguments[1:]]
        # A process of its own: no measurement inherits another's memory or warm caches.
        worst = max(worst, subprocess.run(command, timeout=LIMIT_SECONDS, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m bench [NAME [arguments]]`: all measurements that take no more than minutes, or one of them."""

from __future__ import annotations

import subprocess
import sys

MEASUREMENTS = {
    "measures": "names, sizes and layers of the source, each beside its goal",
    "intake": "AMI bytes to call facts: events a second, memory a live call; beside panoramisk and cacofonisk",
    "latency": "from the AMI event to the card in a real browser, alone and with 100 live clients",
    "idle": "memory of the whole service at rest",
    "recordings": "what making a recording playable costs; beside the ffmpeg command line",
    "playable": "from hanging up to a recording one can play, through the demo's office",
    "journal": "how fast the journal keeps calls and how fast the list answers",
    "book_search": "how fast people are found among a million; beside plain ILIKE",
    "timeline": "how fast a history of a hundred thousand entries is read; beside a plain query",
    "recordings_list": "how fast a million recordings are listed and filtered",
    "importing": "how fast contacts are imported, and how long that holds up the observer",
    "pages": "how long every page and answer takes in an old office; --size full for a million calls",
    "stalls": "what holds up the process that reads the PBX: pages, exports, an import, long texts",
    "matching": "how fast a ringing number finds who calls, among a million contacts",
}
"""Module of this package → what it measures. Exit code 1 of one means that a target was missed."""
LIMIT_SECONDS = 600  # for one of them, when all are run


def main(arguments: list[str]) -> int:
    """Run what was asked for; the worst exit code."""
    if arguments and arguments[0] not in MEASUREMENTS:
        print("usage: python -m bench [NAME [arguments]]\n", file=sys.stderr)
        for name, meaning in MEASUREMENTS.items():
            print(f"  {name:15} {meaning}", file=sys.stderr)
        return 2
    worst = 0
    for name in arguments[:1] or MEASUREMENTS:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *arguments[1:]]
        # A process of its own: no measurement inherits another's memory or warm caches.
        worst = max(worst, subprocess.run(command, timeout=LIMIT_SECONDS, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

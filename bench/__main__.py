"""`python -m bench` tells what can be measured; `python -m bench NAME [options]` measures it."""

from __future__ import annotations

import runpy
import sys

BENCHES: dict[str, str] = {
    "intake": "AMI bytes to call facts: events a second, memory a live call; beside panoramisk and cacofonisk",
    "journal": "how fast the journal keeps calls and how fast the list answers",
}
"""Module of this package → what it measures. A new bench is one module with a `main` and one row."""


def main() -> None:
    """Hand over to the bench that was named."""
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHES:
        print("usage: python -m bench NAME [options]\n")
        for name, meaning in BENCHES.items():
            print(f"  {name:10} {meaning}")
        raise SystemExit(0 if len(sys.argv) < 2 else 2)
    name = sys.argv.pop(1)
    runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""Windows of captures that were never heard, told by a replay and by the live service: what is told wrongly?

`python -m tests.fuzz.gaps [--windows N] [--seed S] [--teller NAME]`; prints each mistake, and how many windows had one.
"""

from __future__ import annotations

import argparse

from tests.telephony.truth.test_event_log_gaps import TELLERS, mistakes, sampled


def main() -> None:
    """Tell as many windows as asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.gaps", description=__doc__)
    parser.add_argument("--windows", type=int, default=250)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--teller", choices=TELLERS, action="append")
    asked = parser.parse_args()
    windows = sampled(asked.seed, asked.windows)
    for teller in asked.teller or TELLERS:
        found = mistakes(teller, windows)
        for (name, since, until), faults in found.items():
            print(f"{teller}: {name} {since}-{until}: {'; '.join(faults)}")
        print(f"{teller}: {len(found)} of {len(windows)} windows with a mistake")


if __name__ == "__main__":
    main()

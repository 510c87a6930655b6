"""Start the private Asterisk by hand: `python -m switchhook.lab [--suite bullseye] [--calls N] [--seed N]`.

Without --calls it waits until Ctrl-C and the handsets stay free to be used by other programs; with it the simulated
office plays so many calls and everything ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import DEFAULT_SUITE, SUITES, find_asterisk
from switchhook.lab.office import SimulatedOffice, told_by_scenario
from telephony.errors import SwitchhookError


async def _run(options: argparse.Namespace) -> None:
    install = await asyncio.to_thread(find_asterisk, options.suite)
    async with PrivateAsterisk(install) as asterisk:
        print(f"Asterisk {install.version}, state in {asterisk.state}")
        print(f"AMI 127.0.0.1:{asterisk.ports.ami}  {asterisk.ami_user} {asterisk.ami_secret}")
        print(f"                     {asterisk.capture_user} {asterisk.capture_secret} (unfiltered)")
        print(f"SIP 127.0.0.1:{asterisk.ports.sip}/udp  handsets 101-110, password lab-EXTENSION", flush=True)
        if options.calls is None:
            await asyncio.Event().wait()
        async with SimulatedOffice(asterisk, seed=options.seed) as office:
            await office.run(calls=options.calls)
            for scenario, count in told_by_scenario(office.truth).items():
                print(f"{count:4} {scenario}")
            for problem in office.problems:
                print(f"otherwise than intended: {problem}")


def main() -> int:
    """Run until it has played its calls, or until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m switchhook.lab", description=__doc__)
    parser.add_argument("--suite", choices=sorted(SUITES), default=DEFAULT_SUITE)
    parser.add_argument("--calls", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(parser.parse_args()))
    except SwitchhookError as fault:
        print(fault.sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Coverage-guided fuzzing of the intake: `python -m tests.fuzz.tracker [libFuzzer options] [corpus]`.

Needs atheris (`pip install atheris`), which is no dependency of ours. docs/reference/fuzzing.md says how to run it.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ami_bridge", "telephony"]):
    from tests.fuzz.intake import take_in, take_in_cel

from ami_bridge.capture.capture import read_capture
from tests.telephony.captured import CAPTURES, allowed
from tests.telephony.streams import raw

AMI, CEL = b"A", b"C"
"""The first byte of an input says what the rest is."""


def one_input(data: bytes) -> None:
    """What libFuzzer calls."""
    if data[:1] == CEL:
        take_in_cel(data[1:].decode("utf-8", "replace"))
    else:
        take_in(data[1:])


def write_corpus(folder: Path) -> None:
    """The captures as first inputs: whole, and each as the last 4 kB, which the fuzzer can change deeply."""
    for number, path in enumerate(sorted(CAPTURES.glob("*/*/ami.jsonl.gz"))):
        stream = raw(allowed(read_capture(path)))
        (folder / f"ami-{number}").write_bytes(AMI + stream)
        (folder / f"ami-{number}-end").write_bytes(AMI + stream[-4_096:])
    for number, path in enumerate(sorted(CAPTURES.glob("*/*/cel.csv.gz"))):
        (folder / f"cel-{number}").write_bytes(CEL + gzip.decompress(path.read_bytes()))


def main() -> None:
    """Fuzz until told to stop."""
    with tempfile.TemporaryDirectory(prefix="switchhook-fuzz-") as folder:
        write_corpus(Path(folder))
        again = [argument for argument in sys.argv[1:] if Path(argument).is_file()]
        atheris.Setup(sys.argv if again else [*sys.argv, folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

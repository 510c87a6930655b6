"""Captured calls for tests: 26 situations on Asterisk 22 and 16, what AMI and CEL said, and what the phones truly did.

`tests/captures/<version>/<scenario>/` has `ami.jsonl.gz` (the stream; `ami2.jsonl.gz` is the link after a cut),
`cel.csv.gz` (what cel_custom wrote) and `truth.json` (what the simulated phones did, by their own clocks).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ami_bridge.capture.capture import read_capture
from ami_bridge.cel.signals import CelReader, CelRow
from ami_bridge.wire.message import Message
from switchhook.commands.replay import Replay
from telephony.call_facts.facts import CallFacts
from telephony.numbers.numbers import Numbering

CAPTURES = Path(__file__).parents[1] / "captures"
MANAGER_CONF = Path(__file__).parents[2] / "asterisk-config" / "plain" / "manager_switchhook.conf"
NUMBERING = Numbering(pbx="hq")

Link = tuple[Message, ...]


class Captured(NamedTuple):
    """One scenario on one version of Asterisk."""

    version: str
    scenario: str
    links: tuple[Link, ...]
    cel: tuple[CelRow, ...]
    truth: tuple[dict[str, Any], ...]
    """The calls as the phones lived them."""

    @property
    def id(self) -> str:
        """`22/att_refer`"""
        return f"{self.version}/{self.scenario}"

    @property
    def stream(self) -> Link:
        """Everything AMI said, all links after each other."""
        return tuple(message for link in self.links for message in link)


def names() -> list[str]:
    """All captures as `version/scenario`."""
    return sorted(str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.glob("*/*/truth.json"))


@lru_cache(maxsize=64)
def captured(name: str) -> Captured:
    """One capture by `version/scenario`."""
    folder = CAPTURES / name
    links = tuple(
        tuple(read_capture(folder / file))
        for file in ("ami.jsonl.gz", "ami2.jsonl.gz")
        if (folder / file).exists()
    )
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["calls"]
    return Captured(*name.split("/"), links, tuple(cel_rows(cel_text(name))), tuple(truth))  # type: ignore[misc]


def cel_text(name: str) -> str:
    """The CEL file of a capture as text."""
    data = gzip.decompress((CAPTURES / name / "cel.csv.gz").read_bytes())
    return data.decode("utf-8", "replace")


def cel_rows(text: str) -> list[CelRow]:
    """CEL text → rows in time order."""
    return sorted(CelReader().read(io.StringIO(text, newline="")), key=lambda row: row.at)


def cel_cells(text: str) -> list[list[str]]:
    """CEL text → cells, for rewriting."""
    return list(csv.reader(io.StringIO(text, newline="")))


def replayed(
    *links: Iterable[Message], cel: Sequence[CelRow] = (), numbering: Numbering = NUMBERING
) -> list[CallFacts]:
    """The calls in these links, each link one connection."""
    return player_of(*links, cel=cel, numbering=numbering)[1]


def player_of(
    *links: Iterable[Message], cel: Sequence[CelRow] = (), numbering: Numbering = NUMBERING
) -> tuple[Replay, list[CallFacts]]:
    """As `replayed`, with the player for looking into its tracker."""
    player = Replay(numbering, cel)
    for link in links:
        player.link(link)
    return player, player.finish()


# -- what the recommended AMI user is told ---------------------------------------------------------------------------


def allowed(messages: Iterable[Message]) -> Link:
    """What of a `read = all` stream the AMI user of asterisk-config/plain is told."""
    passes = recommended_filter()
    return tuple(message for message in messages if passes(message))


@lru_cache(maxsize=1)
def recommended_filter() -> Callable[[Message], bool]:
    """Asterisk's rule, from the configuration: the class must be read, and one of the filters found in the text."""
    text = MANAGER_CONF.read_text(encoding="utf-8")
    classes = set(re.findall(r"^read = (.*)$", text, re.MULTILINE)[0].split(","))
    filters = [re.compile(line) for line in re.findall(r"^eventfilter = (.*)$", text, re.MULTILINE)]

    def passes(message: Message) -> bool:
        if message.kind == "Response" or "Privilege" not in message.fields:
            return True
        if not classes & set(message.get("Privilege").split(",")):
            return False
        pairs = [*message.fields.items(), *message.repeated]
        whole = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        return any(wanted.search(whole) for wanted in filters)

    return passes


# -- comparing -------------------------------------------------------------------------------------------------------


class Told(Protocol):
    """A call that can be compared."""

    def as_json(self) -> dict[str, Any]: ...


def differences(
    one: Sequence[Told], other: Sequence[Told], *, seconds: float = 0.0, ignore: Iterable[str] = ()
) -> list[str]:
    """What differs between two tellings, in words; times and durations may differ by `seconds`."""
    if len(one) != len(other):
        return [f"{len(one)} calls against {len(other)}"]
    found: list[str] = []
    for index, (left, right) in enumerate(zip(one, other, strict=True)):
        mine, theirs = left.as_json(), right.as_json()
        for name in ignore:
            for told in (mine, theirs):
                told.pop(name, None)
                for leg in told.get("legs", []) if name == "intervals" else ():
                    leg.pop(name)
        _compare(f"call {index}", mine, theirs, seconds, found)
    return found


def _compare(where: str, one: Any, other: Any, seconds: float, found: list[str]) -> None:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one:
            _compare(f"{where}.{name}", one[name], other.get(name), seconds, found)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            _compare(f"{where}[{index}]", left, right, seconds, found)
    elif one != other and not _close(one, other, seconds):
        found.append(f"{where}: {one!r} ≠ {other!r}")


def _close(one: Any, other: Any, seconds: float) -> bool:
    left, right = _seconds(one), _seconds(other)
    return left is not None and right is not None and abs(left - right) <= seconds


def _seconds(value: Any) -> float | None:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        return datetime.fromisoformat(value).timestamp()
    return None

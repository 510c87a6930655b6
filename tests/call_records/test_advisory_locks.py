"""Every advisory lock has its number from one table, so that two things never wait for each other by accident."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from call_records.db import locks

ROOT = Path(__file__).parents[2]
PACKAGES = ("ami_bridge", "call_records", "crm_sync", "switchhook", "telephony", "web")
ADVISORY = re.compile(r"pg_\w*advisory\w*\((?P<given>.*)", re.DOTALL)
HASHED = re.compile(r"hashtextextended\((?P<given>[^()]*)\)")
LITERAL = re.compile(r"(?<![\w:$'])\d|'")
GIVEN_AS = ("lock", "seed")


def find_literals(source: str) -> list[str]:
    """SQL that locks by a number or a text of its own, and numbers given to such SQL that are not of the table."""
    if "advisory" not in source:
        return []
    tree = ast.parse(source)
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ADVISORY.search(node.value)
    ]
    found = [sql for sql in texts if any(LITERAL.search(given) for given in _arguments(sql))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            found += [
                ast.unparse(value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value in GIVEN_AS and not _of_the_table(value)
            ]
    return found


def _arguments(sql: str) -> Iterator[str]:
    for call in ADVISORY.finditer(sql):
        given, depth = call["given"], 1
        for at, letter in enumerate(given):
            depth += {"(": 1, ")": -1}.get(letter, 0)
            if depth == 0:
                yield given[:at]
                break
        else:
            yield given
    yield from (hashed["given"] for hashed in HASHED.finditer(sql))


def _of_the_table(value: ast.expr) -> bool:
    return isinstance(value, ast.Attribute) and ast.unparse(value.value) == "locks"


def test_every_lock_has_its_number_from_the_table() -> None:
    """In all packages; a second number of the same value would make strangers wait for each other."""
    found = {
        str(path.relative_to(ROOT)): literals
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if (literals := find_literals(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_no_two_locks_are_the_same() -> None:
    """Seeds and locks alike: all are numbers of one table, each within the 64 bits of PostgreSQL."""
    numbers = [value for name, value in vars(locks).items() if name.isupper()]
    assert len(numbers) > 5
    assert len(numbers) == len(set(numbers))
    assert all(0 < number < 2**63 for number in numbers)


@pytest.mark.parametrize(
    ("source", "how_many"),
    [
        ('text("SELECT pg_advisory_xact_lock(23)")', 1),
        ('text("SELECT pg_advisory_xact_lock(:seed, 0)")', 1),
        ("text(\"SELECT pg_try_advisory_lock(hashtextextended('hours', :seed))\")", 1),
        ('text("SELECT pg_advisory_xact_lock(key) FROM (SELECT hashtextextended(id, 7) AS key ORDER BY 1)")', 1),
        ('run(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": 23})', 1),
        ('run(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": OWN_LOCK})', 1),
        ('run(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.IMPORTS})', 0),
        ('text("SELECT pg_advisory_xact_lock(key) FROM (SELECT hashtextextended(id, :seed) AS key ORDER BY 1)")', 0),
    ],
)  # fmt: skip
def test_what_counts_as_a_number_of_its_own(source: str, how_many: int) -> None:
    """The search itself: numbers and texts in the statement, and numbers given to it."""
    assert len(find_literals(source)) == how_many

"""A set of words of our own has one home: whoever adds a word to it adds it everywhere."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("ami_bridge", "call_records", "crm_sync", "switchhook", "telephony", "web")


def list_word_sets(source: str) -> list[tuple[frozenset[str], str, bool]]:
    """The values of each enum and of each `Literal` of several words, its name, and whether it is an enum."""
    found: list[tuple[frozenset[str], str, bool]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
            values = [step.value for step in node.body if isinstance(step, ast.Assign)]
            found.append((_words(values), node.name, True))
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
            given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            found.append((_words(given), ast.unparse(node), False))
    return [one for one in found if len(one[0]) > 1]


def _words(values: list[ast.expr]) -> frozenset[str]:
    constants = [value.value for value in values if isinstance(value, ast.Constant)]
    return frozenset(value for value in constants if isinstance(value, str))


def test_no_enum_is_written_twice() -> None:
    """Neither as a second enum nor as a `Literal` of the same words."""
    homes: dict[frozenset[str], list[tuple[str, bool]]] = defaultdict(list)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for words, name, is_enum in list_word_sets(path.read_text(encoding="utf-8")):
                homes[words].append((f"{path.relative_to(ROOT)}: {name}", is_enum))
    twice = [
        [name for name, _ in several]
        for several in homes.values()
        if len(several) > 1 and any(is_enum for _, is_enum in several)
    ]
    assert not twice


@pytest.mark.parametrize(
    ("source", "sets"),
    [
        ('class Role(StrEnum):\n    A = "a"\n    B = "b"', [(frozenset("ab"), "Role", True)]),
        ('Role = Literal["a", "b"]', [(frozenset("ab"), "Literal['a', 'b']", False)]),
        ('only: Literal["a"]', []),
        ("class Plain:\n    A = 1", []),
    ],
)
def test_what_is_a_set_of_words(source: str, sets: list[tuple[frozenset[str], str, bool]]) -> None:
    """The search itself."""
    assert list_word_sets(source) == sets

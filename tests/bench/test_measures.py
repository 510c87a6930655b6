"""The measures of the source, on a small made-up tree whose numbers one can count by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.house_names import banned_in, words_of
from bench.measures import (
    ImportArrow,
    Layers,
    find_banned,
    main,
    percentile,
    read_contracts,
    read_row,
    read_source,
    report,
)

PYPROJECT = """
[tool.importlinter]
root_packages = ["app", "core"]

[[tool.importlinter.contracts]]
name = "rings"
type = "layers"
layers = ["app", "core"]

[[tool.importlinter.contracts]]
name = "within the core"
type = "layers"
layers = ["store", "left | right", "types"]
containers = ["core"]
"""

FILES = {
    "app/__init__.py": "",
    "app/pages.py": '''
"""Pages."""
from core import right
from core.types import Call

HEAD_WORDS = ("calls",)


class CallPage:
    title: str = ""

    def __init__(self, told: str) -> None:
        self.told = told

    @property
    def one(self) -> str:
        line = self.told
        return line

    async def list_missed_calls(self, phone_line: str) -> list[Call]:
        def each() -> None: ...

        return []
''',
    "app/page.html": "<p>\n" + "x" * 170 + "\n</p>\n",
    "core/__init__.py": "",
    "core/types.py": "class Call: ...\n",
    "core/left.py": "from .right import find\n",
    "core/right.py": "import app.pages\n\n\ndef find() -> None:\n    from . import store\n",
    "core/store.py": "from core import left, types\n",
    "core/shelf/__init__.py": "",
    "core/versions/v1.py": "def tell() -> None: ...\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two packages, one template, one old migration."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def measured(tree: Path) -> dict[str, str]:
    """The report, by what it says."""
    packages, layers = read_contracts(tree)
    return {meaning: value for meaning, value, _goal in report(read_source(tree, packages), layers)}


def test_names_are_counted_where_they_are_defined(tree: Path) -> None:
    """`list_missed_calls`, `each` and `find` are functions; a property may be one word, `__init__` is nobody's choice."""
    values = measured(tree)
    assert values["functions and methods"] == "3"
    assert values["one-word names among them"] == "66.7 %"
    assert values["words in a name, mean"] == "1.67"


def test_banned_words_are_found_in_names_of_every_kind(tree: Path) -> None:
    """A constant, a parameter, a property, a function, a folder; not in a local name, not in a phone's line."""
    source = read_source(tree, ["app", "core"])
    assert sorted((word, name.kind, name.name) for word, name in find_banned(source.names)) == [
        ("each", "function", "each"),
        ("one", "property", "one"),
        ("shelf", "module", "shelf"),
        ("tell", "parameter", "told"),
        ("words", "constant", "HEAD_WORDS"),
    ]


def test_imports_against_the_layers_are_counted(tree: Path) -> None:
    """Upwards between packages, upwards within one, and between neighbours; relative ones and those in functions too."""
    packages, layers = read_contracts(tree)
    against = {
        (arrow.source, arrow.target)
        for arrow in read_source(tree, packages).arrows
        if any(contract.forbids(arrow) for contract in layers)
    }
    assert against == {
        ("core.right", "app.pages"),
        ("core.left", "core.right.find"),
        ("core.right", "core.store"),
    }
    assert measured(tree)["imports against the layers"].startswith("3 of ")


@pytest.mark.parametrize(("row", "forbidden"), [("a | b", True), ("a : b", False), ("(a)|b", True)])
def test_neighbours_may_import_each_other_only_where_the_contract_says_so(row: str, forbidden: bool) -> None:
    """import-linter's own signs."""
    layers = Layers("", (read_row(row),))
    assert layers.forbids(ImportArrow("a.x", "b.y", "a/x.py:1")) is forbidden
    assert not layers.forbids(ImportArrow("a.x", "a.y", "a/x.py:1"))
    assert not layers.forbids(ImportArrow("a.x", "json", "a/x.py:1"))


def test_sizes(tree: Path) -> None:
    """Modules side by side, lines of functions and files, characters of a template's longest line."""
    values = measured(tree)
    assert values["modules in the largest folder"] == "4 (core)"
    assert values["longest template line"] == "170 (app/page.html)"
    assert values["templates with a longer line"] == "1 of 1"
    assert values["lines of a function, median"] == "2"
    assert values["lines of a function, p90"] == "4"
    assert values["lines of a function, most"] == "4 (app/pages.py:20 list_missed_calls)"
    assert values["lines of a file, most"] == "23 (app/pages.py)"


def test_the_report_is_printed_with_its_goals(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missed goal is no failure; `--banned` lists where the words are."""
    assert main([str(tree), "--banned"]) == 0
    printed = capsys.readouterr().out
    assert "goal <= 30 %" in printed
    assert "app/pages.py:6 constant HEAD_WORDS" in printed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("list_missed_calls", ["list", "missed", "calls"]),
        ("MissedCall", ["missed", "call"]),
        ("AMIMessage", ["ami", "message"]),
        ("HTTP", ["http"]),
        ("_page", ["page"]),
        ("v0016", ["v"]),
    ],
)
def test_words_of_a_name(name: str, words: list[str]) -> None:
    """However it is written."""
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("name", "banned"),
    [
        ("told_until", ["tell"]),
        ("Bookkeeper", []),
        ("phone_lines", []),
        ("line_of", ["line"]),
        ("line_number", []),
        ("database", []),
        ("BaseStore", ["base"]),
        ("party", []),
        ("ConnectionManager", ["manager"]),
    ],
)
def test_a_banned_word_is_a_whole_word(name: str, banned: list[str]) -> None:
    """Within another word it is none."""
    assert banned_in(name) == banned


def test_a_percentile_is_one_of_the_values() -> None:
    """By nearest rank; nothing has none."""
    assert percentile([3, 1, 2, 4], 50) == 2
    assert percentile([3, 1, 2, 4], 90) == 4
    assert percentile([], 90) == 0

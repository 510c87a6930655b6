"""Names, sizes and layers of the source, each beside its goal: `python -m bench measures [FOLDER] [--banned]`.

Everything is read from the files (syntax trees, templates, pyproject.toml); nothing of the product is imported, so that
a tree that does not run can be measured too. Packages and their layers are those that import-linter is told
(`[tool.importlinter]`), the banned words those of `bench/house_names.py`.

A name is counted where it is defined: modules, classes, functions, parameters, fields and constants; names that only
one function sees are its own affair. Functions begin where `def` stands and end with their last line; decorators and
comments above do not count.
"""

from __future__ import annotations

import argparse
import ast
import statistics
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.house_names import BANNED_ALONE, banned_in, words_of

ROOT = Path(__file__).resolve().parent.parent

GOAL_ONE_WORD_PERCENT = 30
GOAL_MEAN_WORDS = 1.9
GOAL_MODULES_IN_A_FOLDER = 20
GOAL_TEMPLATE_CHARACTERS = 160
GOAL_FILE_LINES = 300  # house style; a longer file is looked at, not forbidden

GENERATED_FOLDERS = frozenset({"versions"})
"""Folders that only grow: a migration is never renamed and never moved."""


@dataclass(frozen=True, slots=True)
class DefinedName:
    """An identifier and where it is defined."""

    name: str
    kind: str
    """module, class, function, method, property, parameter, field or constant"""
    place: str


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """How many lines a function has."""

    lines: int
    place: str


@dataclass(frozen=True, slots=True)
class ImportArrow:
    """One module imports from another."""

    source: str
    target: str
    place: str


@dataclass(slots=True)
class Source:
    """What is measured of a tree."""

    names: list[DefinedName] = field(default_factory=list)
    functions: list[FunctionSize] = field(default_factory=list)
    arrows: list[ImportArrow] = field(default_factory=list)
    file_lines: dict[str, int] = field(default_factory=dict)
    modules_in_folder: Counter[str] = field(default_factory=Counter)
    template_lines: dict[str, int] = field(default_factory=dict)
    """Template → length of its longest line, in characters."""


@dataclass(frozen=True, slots=True)
class LayerRow:
    """Layers side by side, as one string of a contract names them."""

    names: tuple[str, ...]
    are_independent: bool
    """`a | b`: unaware of each other; `a : b` may import each other."""


@dataclass(frozen=True, slots=True)
class Layers:
    """One contract of import-linter: whoever stands higher may import whoever stands lower."""

    container: str
    rows: tuple[LayerRow, ...]

    def row_of(self, module: str) -> int | None:
        """In which row the module is; 0 is the highest."""
        for number, row in enumerate(self.rows):
            for layer in row.names:
                prefix = f"{self.container}.{layer}" if self.container else layer
                if module == prefix or module.startswith(f"{prefix}."):
                    return number
        return None

    def layer_of(self, module: str) -> str | None:
        """The name of the layer the module is in."""
        row = self.row_of(module)
        depth = self.container.count(".") + 1 if self.container else 0
        return None if row is None else module.split(".")[depth]

    def forbids(self, arrow: ImportArrow) -> bool:
        """Upwards, or to a neighbour of the same row."""
        source, target = self.row_of(arrow.source), self.row_of(arrow.target)
        if source is None or target is None:
            return False
        is_neighbour = source == target and self.layer_of(arrow.source) != self.layer_of(arrow.target)
        return target < source or (is_neighbour and self.rows[source].are_independent)


def read_contracts(root: Path) -> tuple[list[str], list[Layers]]:
    """The packages that are measured, and every contract about layers."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [
        Layers(container, tuple(map(read_row, contract["layers"])))
        for contract in settings.get("contracts", [])
        if contract["type"] == "layers"
        for container in contract.get("containers") or [""]
    ]
    return settings["root_packages"], layers


def read_row(text: str) -> LayerRow:
    """`a | b`, `a : b`, or `(a)` for one that may be absent."""
    names = tuple(name.strip(" ()") for name in text.replace(":", "|").split("|"))
    return LayerRow(names, are_independent=":" not in text)


def read_source(root: Path, packages: list[str]) -> Source:
    """All of it, in one pass."""
    source = Source()
    for package in packages:
        for file in sorted((root / package).rglob("*.py")):
            place = file.relative_to(root)
            if not GENERATED_FOLDERS & set(place.parts):
                read_module(source, file, place)
        for template in sorted((root / package).rglob("*.html")):
            lines = template.read_text(encoding="utf-8").splitlines()
            source.template_lines[str(template.relative_to(root))] = max(map(len, lines), default=0)
    return source


def read_module(source: Source, file: Path, place: Path) -> None:
    """One file: its size, its names, its functions and its imports."""
    text = file.read_text(encoding="utf-8")
    is_package = place.name == "__init__.py"
    module = ".".join(place.parent.parts if is_package else place.with_suffix("").parts)
    source.file_lines[str(place)] = text.count("\n")
    if not is_package:
        source.modules_in_folder[str(place.parent)] += 1
    source.names.append(DefinedName(module.rpartition(".")[2], "module", str(place)))
    tree = ast.parse(text, filename=str(place))
    source.names += defined_names(tree, str(place))
    source.functions += [
        FunctionSize((node.end_lineno or node.lineno) - node.lineno + 1, f"{place}:{node.lineno} {node.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    package = module if is_package else module.rpartition(".")[0]
    source.arrows += imports(tree, module, package, str(place))


def defined_names(tree: ast.Module, place: str) -> Iterator[DefinedName]:
    """Of modules and classes, with all functions in them and their parameters; not the local names of functions."""
    yield from _names_in(tree.body, place, within_class=False)


def _names_in(body: list[ast.stmt], place: str, *, within_class: bool) -> Iterator[DefinedName]:
    for node in body:
        where = f"{place}:{node.lineno}"
        match node:
            case ast.ClassDef():
                yield DefinedName(node.name, "class", where)
                yield from _names_in(node.body, place, within_class=True)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                kind = _kind_of(node) if within_class else "function"
                if not node.name.startswith("__"):
                    yield DefinedName(node.name, kind, where)
                yield from (
                    DefinedName(name, "parameter", where) for name in _parameters(node.args) if name != "self"
                )
                for inner in ast.walk(node):
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner is not node:
                        yield DefinedName(inner.name, "function", f"{place}:{inner.lineno}")
            case ast.Assign() | ast.AnnAssign():
                kind = "field" if within_class else "constant"
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (
                    DefinedName(target.id, kind, where)
                    for target in targets
                    if isinstance(target, ast.Name) and not target.id.startswith("__")
                )
            case ast.If() | ast.Try():
                yield from _names_in(node.body, place, within_class=within_class)


def _kind_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    decorators = {
        decorator.id if isinstance(decorator, ast.Name) else getattr(decorator, "attr", "")
        for decorator in node.decorator_list
    }
    return "property" if decorators & {"property", "cached_property", "setter"} else "method"


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg


def imports(tree: ast.Module, module: str, package: str, place: str) -> Iterator[ImportArrow]:
    """Every import, also one within a function or only for the type checker, as import-linter counts them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            targets = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (ImportArrow(module, target, f"{place}:{node.lineno}") for target in targets)


def find_banned(names: list[DefinedName]) -> list[tuple[str, DefinedName]]:
    """Each banned word with the name it is in."""
    found = [(word, name) for name in names for word in banned_in(name.name)]
    alone = [
        (name.name, name)
        for name in names
        if name.kind in {"function", "method", "property"} and name.name in BANNED_ALONE
    ]
    return [*found, *alone]


def percentile(values: list[int], percent: int) -> int:
    """By nearest rank; 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)] if ordered else 0


def report(source: Source, layers: list[Layers]) -> list[tuple[str, str, str]]:
    """What is measured, its value today, its goal ("" where a value is only watched)."""
    functions = [name for name in source.names if name.kind in {"function", "method"}]
    words = [len(words_of(name.name)) for name in functions]
    one_word = 100 * sum(count <= 1 for count in words) / len(words) if words else 0.0
    banned = find_banned(source.names)
    against = [arrow for arrow in source.arrows if any(contract.forbids(arrow) for contract in layers)]
    folder, modules = max(source.modules_in_folder.items(), key=lambda item: item[1], default=("-", 0))
    template, characters = max(source.template_lines.items(), key=lambda item: item[1], default=("-", 0))
    sizes = [function.lines for function in source.functions]
    longest = max(source.functions, key=lambda function: function.lines, default=FunctionSize(0, "-"))
    file, lines = max(source.file_lines.items(), key=lambda item: item[1], default=("-", 0))
    too_long = sum(length > GOAL_TEMPLATE_CHARACTERS for length in source.template_lines.values())
    return [
        ("functions and methods", f"{len(functions)}", ""),
        ("one-word names among them", f"{one_word:.1f} %", f"<= {GOAL_ONE_WORD_PERCENT} %"),
        ("words in a name, mean", f"{statistics.fmean(words) if words else 0:.2f}", f">= {GOAL_MEAN_WORDS}"),
        ("banned words in identifiers", f"{len(banned)} ({_most_common(banned)})", "0"),
        ("modules in the largest folder", f"{modules} ({folder})", f"<= {GOAL_MODULES_IN_A_FOLDER}"),
        ("imports against the layers", f"{len(against)} of {len(source.arrows)}", "0"),
        ("longest template line", f"{characters} ({template})", f"<= {GOAL_TEMPLATE_CHARACTERS}"),
        ("templates with a longer line", f"{too_long} of {len(source.template_lines)}", "0"),
        ("lines of a function, median", f"{percentile(sizes, 50)}", ""),
        ("lines of a function, p90", f"{percentile(sizes, 90)}", ""),
        ("lines of a function, most", f"{longest.lines} ({longest.place})", ""),
        ("lines of a file, most", f"{lines} ({file})", f"<= {GOAL_FILE_LINES}"),
    ]


def _most_common(banned: list[tuple[str, DefinedName]]) -> str:
    counted = Counter(word for word, _name in banned).most_common(4)
    return ", ".join(f"{word} {count}" for word, count in counted) or "none"


def main(arguments: list[str]) -> int:
    """Print them. A missed goal is no failure: tests hold what has been reached."""
    parser = argparse.ArgumentParser(prog="python -m bench measures", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--banned", action="store_true", help="also every banned word, with its place")
    chosen = parser.parse_args(arguments)
    packages, layers = read_contracts(chosen.folder)
    source = read_source(chosen.folder, packages)
    for meaning, value, goal in report(source, layers):
        print(f"{meaning:32} {value:60} {f'goal {goal}' if goal else ''}".rstrip())
    if chosen.banned:
        for word, name in sorted(find_banned(source.names), key=lambda item: (item[0], item[1].place)):
            print(f"{word:8} {name.place} {name.kind} {name.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

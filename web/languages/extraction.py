"""Gathers every sentence of Python, templates and scripts: the template of all catalogues. Brings the catalogues up to it.

`./dev messages` does that, and writes the template to `web/locale/messages.pot` for whoever begins a translation. It is made
from the sources and never committed; a test says when a catalogue is behind. What is written below `web` and shown by it is
marked with `N_` (`telephony.languages.phrases`), or is said by an error, whose first argument, remedy and docstring are
sentences.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import write_po

from web.languages.catalogues import LOCALE, read_catalogue

ROOT = Path(__file__).parents[2]
SOURCES = (
    ("web", "**/*.py", "python"),
    ("web/templates", "**/*.html", "jinja2.ext:babel_extract"),
    ("web/static/js", "**/*.js", "javascript"),
    ("telephony", "**/*.py", "python"),
    ("call_records", "**/*.py", "python"),
)
PACKAGES_WITH_ERRORS = ("web", "telephony", "call_records")
_OPTIONS: dict[str, Any] = {
    "silent": "false",
    "trim_blocks": "true",
    "lstrip_blocks": "true",
    "parse_template_string": "true",
}
_KEYWORDS: dict[str, Any] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "NN_": (1, 2),
    "pgettext": ((1, "c"), 2),
}


def make_template(root: Path = ROOT) -> Catalog:
    """All sentences there are, in the order of the files."""
    catalogue = Catalog(project="Switchhook", header_comment="# Sentences of Switchhook.")
    found: dict[Any, set[str]] = {}
    for path, message, context in _messages(root):
        key = (message, context)
        found.setdefault(key, set()).add(path)
    for (message, context), paths in found.items():
        catalogue.add(message, locations=[(path, 0) for path in sorted(paths)], context=context)
    return catalogue


def _messages(root: Path) -> Iterator[tuple[str, Any, str | None]]:
    for folder, pattern, method in SOURCES:
        for path in sorted((root / folder).glob(pattern)):
            name = path.relative_to(root).as_posix()
            with path.open("rb") as file:
                for _line, message, _comments, context in extract(method, file, _KEYWORDS, options=_OPTIONS):
                    yield name, message, context
    for folder in PACKAGES_WITH_ERRORS:
        for path in sorted((root / folder).rglob("*.py")):
            for message in sentences_of_errors(path.read_text()):
                yield path.relative_to(root).as_posix(), message, None


def sentences_of_errors(source: str) -> Iterator[str]:
    """What errors say: the docstrings of their classes, and what they are raised with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and _is_error_class(node):
            text = ast.get_docstring(node, clean=True)
            if text:
                yield " ".join(text.split())
        if isinstance(node, ast.Call):
            yield from _sentences_of_call(node)


_ERRORS: frozenset[str] = frozenset(
    {
        "SwitchhookError", "TryLater", "NeedsPerson", "PeerMistake", "ChangedMeanwhile", "NotAllowed", "NotFound",
        "FormExpired", "MovedMeanwhile",
    }
)  # fmt: skip


def _is_error_class(node: ast.ClassDef) -> bool:
    return (
        any(isinstance(base, ast.Name) and base.id in _ERRORS for base in node.bases) or node.name in _ERRORS
    )


def _sentences_of_call(node: ast.Call) -> Iterator[str]:
    if not (isinstance(node.func, ast.Name) and node.func.id in _ERRORS):
        return
    remedies = (one.value for one in node.keywords if one.arg == "remedy")
    for said in (*node.args[:1], *remedies):
        if isinstance(said, ast.Constant) and isinstance(said.value, str):
            yield said.value


def update_catalogues(template: Catalog, folder: Path = LOCALE) -> None:
    """New sentences come in empty, changed ones are marked `fuzzy`, gone ones are taken out."""
    for path in sorted(folder.glob("*/messages.po")):
        catalogue = read_catalogue(path)
        catalogue.update(template, no_fuzzy_matching=False, update_creation_date=False)
        catalogue.obsolete.clear()
        _write(catalogue, path)


def list_outdated(template: Catalog, folder: Path = LOCALE) -> list[str]:
    """Languages whose catalogue has not exactly the sentences of today."""
    wanted = _keys(template)
    return [
        path.parent.name
        for path in sorted(folder.glob("*/messages.po"))
        if _keys(read_catalogue(path)) != wanted
    ]


def _keys(catalogue: Catalog) -> set[tuple[Any, str | None]]:
    return {(message.id, message.context) for message in catalogue if message.id}


def _write(catalogue: Catalog, path: Path) -> None:
    """It names files but no lines: a line would change with every edit."""
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, include_lineno=False)


def main() -> None:
    """Bring the catalogues up to the sources, and write the template for a new one."""
    template = make_template()
    update_catalogues(template)
    LOCALE.mkdir(exist_ok=True)
    _write(template, LOCALE / "messages.pot")


if __name__ == "__main__":
    main()

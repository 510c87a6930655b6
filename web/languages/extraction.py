"""Gathers every sentence of Python, templates and scripts into `web/locale/messages.pot`; brings the catalogues up to it.

Run by `./dev messages`; a test says when that was forgotten. The template names files but no lines: a line would change
with every edit. What is written below `web` and shown by it is marked with `N_` (`telephony.languages.phrases`), or is said
by an error, whose first argument, remedy and docstring are sentences.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from web.languages.catalogues import LOCALE, TEMPLATE

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
_HEADER = "# Sentences of Switchhook. Made by `./dev messages`; not to be edited by hand."
_NEVER = datetime(2026, 1, 1, tzinfo=UTC)  # of a file that says when it was made, no two would be alike


def make_template(root: Path = ROOT) -> Catalog:
    """All sentences there are, in the order of the files."""
    catalogue = Catalog(
        project="Switchhook", header_comment=_HEADER, creation_date=_NEVER, revision_date=_NEVER
    )
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


def write_template(catalogue: Catalog) -> bytes:
    """As it is committed."""
    written = BytesIO()
    write_po(written, catalogue, width=120, include_lineno=False, sort_output=False)
    # Which release of Babel wrote it would make the file differ between two machines.
    lines = written.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b'"Generated-By'))


def update_catalogues(template: Catalog, folder: Path = LOCALE) -> None:
    """New sentences come in empty, changed ones are marked `fuzzy`, gone ones are taken out."""
    for path in sorted(folder.glob("*/messages.po")):
        with path.open("rb") as file:
            catalogue = read_po(file)
        catalogue.update(template, no_fuzzy_matching=False, update_creation_date=False)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, include_lineno=False)


def main(arguments: list[str]) -> int:
    """`--check` only says whether the template is up to date."""
    template = make_template()
    written = write_template(template)
    if "--check" in arguments:
        current = TEMPLATE.read_bytes() if TEMPLATE.exists() else b""
        return 0 if written == current else 1
    TEMPLATE.write_bytes(written)
    update_catalogues(template)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

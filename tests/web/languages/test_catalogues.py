"""Every sentence is found, no catalogue is behind, and nothing is translated before anybody asks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from jinja2 import Environment

from tests.web.languages.untranslated import untranslated
from web.languages.catalogues import LOCALE, read_catalogue
from web.languages.extraction import (
    ROOT,
    list_outdated,
    make_template,
    sentences_of_errors,
    update_catalogues,
)
from web.languages.pseudo import pseudo_catalogue, pseudo_language, pseudo_text

TRANSLATING = frozenset({"_", "gettext", "ngettext", "pgettext"})
CACHES = frozenset({"cache", "lru_cache"})


@pytest.fixture(scope="module")
def template() -> Catalog:
    """All sentences of today; gathering them takes some seconds."""
    return make_template()


def test_every_catalogue_has_the_sentences_of_today(template: Catalog) -> None:
    assert list_outdated(template) == [], "run ./dev messages"


def test_a_catalogue_that_is_behind_is_named_and_brought_up(template: Catalog, tmp_path: Path) -> None:
    """What was translated stays; what is new comes in empty."""
    path = tmp_path / "de" / "messages.po"
    path.parent.mkdir()
    path.write_text('msgid ""\nmsgstr "Language: de\\n"\n\nmsgid "Sign out"\nmsgstr "Abmelden"\n')
    assert list_outdated(template, tmp_path) == ["de"]
    update_catalogues(template, tmp_path)
    assert list_outdated(template, tmp_path) == []
    catalogue = read_catalogue(path)
    assert (catalogue["Sign out"].string, catalogue["Talking"].string) == ("Abmelden", "")


def test_sentences_of_every_kind_of_source_are_found(template: Catalog) -> None:
    for sentence in ("Sign out", "Talking", "Not saved yet.", "A random share", "Windows-1253 (Greek)"):
        assert sentence in template
    assert ("{n} new call", "{n} new calls") in {message.id for message in template}
    assert "This page was not found." in template


def test_what_an_error_says_is_found() -> None:
    source = 'class Odd(PeerMistake):\n    """It is\n    odd."""\n'
    source += 'raise PeerMistake("No {x}.", remedy="Try y.", values={"x": 1})'
    assert list(sentences_of_errors(source)) == ["It is odd.", "No {x}.", "Try y."]


def _calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Calls that run while the module is imported: outside of functions, and in their decorators and defaults."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        outside = [
            *getattr(node, "decorator_list", ()),
            *node.args.defaults,
            *filter(None, node.args.kw_defaults),
        ]
        for part in outside:
            yield from _calls_at_import(part)
        return
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _calls_at_import(child)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def translated_at_import(source: str) -> list[int]:
    """Lines at which a sentence would be translated once, for everybody."""
    return [call.lineno for call in _calls_at_import(ast.parse(source)) if _name(call.func) in TRANSLATING]


def translated_into_a_cache(source: str) -> list[int]:
    """Functions that remember what they said in the language of the first who asked."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = {_name(getattr(one, "func", one)) for one in node.decorator_list}
            inside = {_name(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
            if names & CACHES and inside & TRANSLATING:
                found.append(node.lineno)
    return found


def glued(source: str) -> list[int]:
    """Lines at which a sentence is not a whole one: put together with `+`, or an f-string inside of `_()`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = (node.left, node.right)
            if any(isinstance(side, ast.Call) and _name(side.func) in TRANSLATING for side in sides):
                found.append(node.lineno)
        if (
            isinstance(node, ast.Call)
            and _name(node.func) in TRANSLATING
            and any(isinstance(one, ast.JoinedStr) for one in node.args)
        ):
            found.append(node.lineno)
    return found


BODY_CLASS = re.compile(r"\{% block body_class %\}.*?\{% endblock %\}")
SOURCES = sorted((ROOT / "web").rglob("*.py"))


@pytest.mark.parametrize("check", [translated_at_import, translated_into_a_cache, glued])
def test_no_module_translates_too_early_or_in_pieces(check: object) -> None:
    assert callable(check)
    assert {
        str(path.relative_to(ROOT)): lines for path in SOURCES if (lines := check(path.read_text()))
    } == {}


@pytest.mark.parametrize(
    ("check", "source"),
    [
        (translated_at_import, 'SAID = {1: _("Saved.")}'),
        (translated_at_import, 'class A:\n    word: str = _("Saved.")'),
        (translated_at_import, 'def say(text=_("Saved.")): ...'),
        (translated_into_a_cache, '@lru_cache(maxsize=9)\ndef say(a):\n    return _("Saved.")'),
        (glued, 'said = _("number ") + name'),
        (glued, 'said = _(f"number {name}")'),
    ],
)
def test_each_of_these_faults_is_noticed(check: object, source: str) -> None:
    assert callable(check)
    assert check(source) != []
    assert check('SAID = {1: N_("Saved.")}\ndef say(): return _("Saved.")') == []


def _texts_of_template(source: str) -> str:
    """The page without its expressions; the names of its classes are no text."""
    lexed = Environment(trim_blocks=True, lstrip_blocks=True).lex(BODY_CLASS.sub("", source))
    return "".join(
        token if kind == "data" else "0" for _line, kind, token in lexed if kind in ("data", "variable_begin")
    )


def test_no_template_says_a_word_that_is_not_translated() -> None:
    left = {
        str(path.relative_to(ROOT)): texts
        for path in sorted((ROOT / "web/templates").rglob("*.html"))
        if (texts := untranslated(_texts_of_template(path.read_text()), {"vCard"}))
    }
    assert left == {}


def places_of(text: str) -> set[str]:
    """The names of the values in a sentence."""
    return {name for _text, name, _spec, _conversion in Formatter().parse(text) if name is not None}


def with_strange_values(catalogue: Catalog) -> list[str]:
    """Translations with a value that their sentence does not have: filling it in would fail on the page."""
    found = []
    for message in catalogue:
        ids = (message.id,) if isinstance(message.id, str) else tuple(message.id or ())
        said = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        known = set().union(*map(places_of, ids))
        found += [form for form in said if form and not places_of(form) <= known]
    return found


def test_no_translation_has_a_value_that_its_sentence_lacks() -> None:
    odd = Catalog()
    odd.add("{n} calls", "{m} Anrufe")
    odd.add("{n} deals", "{n} Geschäfte")
    assert with_strange_values(odd) == ["{m} Anrufe"]
    for path in LOCALE.glob("*/messages.po"):
        assert with_strange_values(read_catalogue(path)) == []


def test_no_sentence_stands_inside_of_an_f_string() -> None:
    """Where Babel finds it with Python 3.12 and later only."""
    inside = re.compile(r"""f(["'])(?:(?!\1).)*\{(?:_|ngettext)\(["']""")
    assert [str(path) for path in SOURCES if inside.search(path.read_text())] == []


def test_the_made_up_language_keeps_values_and_is_longer(template: Catalog) -> None:
    said = pseudo_text("Talked {time} with {name}")
    assert places_of(said) == {"time", "name"}
    assert len(said) >= 1.4 * len("Talked  with ")
    assert (said[0], said[-1]) == ("⟦", "⟧")
    for message in pseudo_catalogue(template):
        if isinstance(message.id, str) and message.id:
            assert isinstance(message.string, str)
            assert message.string.count("{") == message.id.count("{")


def test_the_scripts_know_which_form_belongs_to_which_number() -> None:
    script = pseudo_language().script
    assert script is not None
    assert script.startswith(b'globalThis.switchhookMessages = {"language": "ar-XB", "forms": ')
    assert all(form in script for form in (b'"one": 1', b'"zero": 0', b'"other": 5'))

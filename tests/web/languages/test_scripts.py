"""What the scripts of a page say, by the catalogue that the page loads before them; run with node, without a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.catalog import Catalog

from web.http.assets import STATIC
from web.languages.catalogues import make_language

NODE = Path(sys.executable).parent / "node"  # brought by the extra `dev`
PROGRAM = """
const [catalogue, module, calls] = JSON.parse(process.argv[1]);
(0, eval)(catalogue);
const { _, ngettext } = await import(module);
console.log(JSON.stringify(calls.map((call) => (call.length === 2 ? _(...call) : ngettext(...call)))));
"""


def say(catalogue: bytes, *calls: list[Any]) -> Any:
    """What `_` (two arguments) and `ngettext` (more) give."""
    told = json.dumps([catalogue.decode(), (STATIC / "js/messages.js").as_uri(), calls])
    command = [str(NODE), "--input-type=module", "-e", PROGRAM, "--", told]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(answer.stdout)


def test_scripts_find_their_sentences_and_the_form_of_a_number() -> None:
    catalogue = Catalog(locale="pl")
    place = [("web/static/js/live-rows.js", 0)]
    catalogue.add("Saved", "Zapisano", place)
    catalogue.add(("{n} new call", "{n} new calls"), ("{n} nowa", "{n} nowe", "{n} nowych"), place)
    catalogue.add("Page only", "Tylko strona", [("web/templates/base.html", 0)])
    script = make_language("pl", Locale("pl"), catalogue).script
    assert script is not None
    assert b"Tylko strona" not in script
    counted = [["{n} new call", "{n} new calls", number] for number in (0, 1, 2, 5, 22, 112)]
    assert say(script, ["Saved", {}], ["{who} is here", {"who": "Ada"}], *counted) == [
        "Zapisano", "Ada is here", "0 nowych", "1 nowa", "2 nowe", "5 nowych", "22 nowe", "112 nowych",
    ]  # fmt: skip


def test_without_a_catalogue_they_speak_english() -> None:
    said = say(
        b"",
        ["At least {least}.", {"least": 3}],
        ["{n} new call", "{n} new calls", 1],
        ["{n} new call", "{n} new calls", 2],
    )
    assert said == ["At least 3.", "1 new call", "2 new calls"]


COMMENT = re.compile(r"""/\*.*?\*/|(?<![:"'`\w])//[^\n]*""", re.DOTALL)
MARKED = re.compile(r'_\(\s*"[^"]*"|ngettext\(\s*"[^"]*",\s*"[^"]*"')
LITERAL = re.compile(r'"([^"\n]*)"|`([^`]*)`')
PLACE = re.compile(r"\$\{[^}]*\}")
SENTENCE = re.compile(r"^[A-Z][a-z]+( [a-z]|$)|[A-Za-z]{2,} [a-z]{2,}[ .]| (ago|of|and|more|found)$")
NOT_SAID = re.compile(r"[\[\]#=<>]|^\.|switchhook|: |^(Enter|Escape|Arrow|Tab|form contact )$")
"""Selectors, keys of the keyboard, names in the browser's storage."""


def sentences_of(script: str) -> list[str]:
    """Literals that read like a sentence and are not looked up."""
    told = MARKED.sub("_(", COMMENT.sub("", script))
    literals = (PLACE.sub("", plain or filled) for plain, filled in LITERAL.findall(told))
    return [text for text in literals if SENTENCE.search(text) and not NOT_SAID.search(text)]


def test_no_script_says_a_sentence_that_is_not_translated() -> None:
    left = {
        path.name: said
        for path in sorted((STATIC / "js").glob("*.js"))
        if (said := sentences_of(path.read_text()))
    }
    assert left == {}


def test_a_sentence_in_a_script_is_noticed() -> None:
    script = 'say("Number copied"); say(_("Saved")); // "Not a text"\n'
    script += 'say(`${n} more found`); key === "Enter"; $("[data-x]");'
    assert sentences_of(script) == ["Number copied", " more found"]

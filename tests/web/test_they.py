"""What a person reads speaks of callers, clients and colleagues as they: nobody knows who somebody is by a number."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = (
    *sorted((ROOT / "web/templates").rglob("*.html")),
    *sorted((ROOT / "web/static/js").glob("*.js")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "asterisk-config/plain").glob("*.conf")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
)
HE = re.compile(r"\b(?:he|him|his|himself|she|her|hers|herself)\b", re.IGNORECASE)


def test_nobody_is_he() -> None:
    """Pages, scripts, guides, and the files that an administrator copies."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in READ
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if HE.search(line)
    ]
    assert not found, "\n".join(found)


def test_spoken_strings_of_python() -> None:
    """The same of whatever Python says to people: every string that is marked for translation."""
    said = re.compile(r'_\(\s*(?:"(?:[^"\\]|\\.)*"\s*)+\)')
    found = [
        f"{path.relative_to(ROOT)}: {text[:100]}"
        for path in sorted((ROOT / "web").rglob("*.py"))
        for text in said.findall(path.read_text(encoding="utf-8"))
        if HE.search(text)
    ]
    assert not found, "\n".join(found)

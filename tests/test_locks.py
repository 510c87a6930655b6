"""What an installation gets: the versions that were tested, by their hashes, and no tool that only developers need."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def locked(name: str) -> dict[str, str]:
    """Package → its version with marker and hashes."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / name).read_text())
    return {re.split(r"[=\s\[]", entry)[0]: re.sub(r"\s+", " ", entry).strip() for entry in entries}


def test_the_runtime_lock_is_the_tested_one_without_tools() -> None:
    """The same versions with the same hashes; all that the product names; none of what `dev` names."""
    runtime, everything = locked("requirements-runtime.lock"), locked("requirements.lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, entry in runtime.items():
        assert entry.partition(" ")[0] == everything[name].partition(" ")[0]
        assert "--hash=sha256:" in entry
    wanted = {_name(one) for one in project["dependencies"]}
    tools = {_name(one) for one in project["optional-dependencies"]["dev"]} - wanted
    assert wanted <= set(runtime)
    assert not tools - {"psutil"} & set(runtime)


def _name(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~;]", requirement)[0].lower().replace("_", "-")


def test_the_documented_installation_honours_the_lock() -> None:
    """Nowhere is the package installed with whatever the registry offers that day."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for line in page.read_text().splitlines():
            if re.search(r"pip install (?:.* )?\.(?:\s|$|[;&)`])", line):
                assert "--no-deps --no-build-isolation ." in line, (page.name, line)

"""The rules of the house that a machine can check: form, types, rings, and that the written reference is current."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.requirements import declare_unavailable

ROOT = Path(__file__).resolve().parent.parent

CHECKS = {
    "ruff check": (sys.executable, "-m", "ruff", "check", "."),
    "ruff format": (sys.executable, "-m", "ruff", "format", "--check", "."),
    "mypy": (sys.executable, "-m", "mypy"),
    "rings": (str(Path(sys.executable).parent / "lint-imports"), "--no-cache"),
    "./dev is POSIX sh": ("sh", "-n", "dev"),
    ".ci/run is bash": ("bash", "-n", ".ci/run"),
}

SHELLCHECK = Path(sys.executable).parent / "shellcheck"  # brought by the extra `dev`
SHELL_SCRIPTS = ("dev", ".ci/run", "asterisk-config/switchhook-upload")

CHECK_SECONDS = 300  # mypy from a cold cache on a busy two-core machine takes about one minute

PACKAGES = ("telephony", "ami_bridge", "call_records", "crm_sync", "web", "switchhook")

MODULES_MOST = 20  # in one folder; what is more cannot be held in a head, and wants folders by feature

OWN_NAMES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs")

# Hosts of package registries and paths of somebody's machine: a clone must work anywhere. Spelled in parts, so that
# this file is not its own offender.
FORBIDDEN = re.compile(
    "|".join(
        (
            r"pypi\." + "org",
            r"files\.python" + "hosted",
            r"registry\.npm" + "js",
            r"registry\.yarn" + "pkg",
            r"deb\." + "debian",
            r"archive\." + r"ubuntu",
            "(?<![\\w.$}])/" + r"(?:work|root)/",
            "(?<![\\w.$}])/" + r"home/(?!user\b)\w+",
        )
    )
)


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.slow
def test_the_house_rule_holds(name: str) -> None:
    """The tool finds nothing to say; its words are shown when it does."""
    told = subprocess.run(
        CHECKS[name], cwd=ROOT, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
    )
    assert told.returncode == 0, f"{name}:\n{told.stdout}{told.stderr}"


def test_the_shell_scripts_satisfy_shellcheck() -> None:
    """It has nothing to say about any of them."""
    told = subprocess.run(
        (SHELLCHECK, *SHELL_SCRIPTS), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert told.returncode == 0, told.stdout


@pytest.mark.slow
def test_the_types_of_the_scripts_hold() -> None:
    """`// @ts-check` and JSDoc say them; the TypeScript compiler reads them and writes nothing."""
    compiler = os.environ.get("SWITCHHOOK_TSC", "")
    if not Path(compiler).is_file():
        declare_unavailable("typescript", "no TypeScript compiler; `./dev check` brings it, with npm")
    node = Path(sys.executable).parent / "node"  # brought by the extra `dev`
    told = subprocess.run(
        (node, compiler, "--project", ROOT / "tsconfig.json"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=CHECK_SECONDS,
        check=False,
    )
    assert told.returncode == 0, told.stdout


def own_files() -> list[Path]:
    """Every file of the repository that a person wrote: as git tells it, else everything that is not hidden."""
    told = subprocess.run(
        ("git", "-c", "safe.directory=*", "ls-files", "-z"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if told.returncode == 0:
        return [ROOT / name for name in told.stdout.split("\0") if name]
    return [Path(folder) / name for folder, _, names in os.walk(ROOT) if "/." not in folder for name in names]


def test_no_file_names_a_registry_or_somebodys_machine() -> None:
    """A clone must work on any machine: no address of a package registry, no path that exists only here."""
    offenders = []
    for file in own_files():
        if not file.is_file() or file.is_symlink():
            continue
        text = file.read_bytes().decode("utf-8", errors="replace")
        offenders += [f"{file.relative_to(ROOT)}: {found.group()}" for found in FORBIDDEN.finditer(text)]
    assert offenders == []


def test_the_settings_reference_is_current() -> None:
    """docs/reference/settings.md is written from the fields; a changed field without a changed page is noticed."""
    from switchhook.settings.reference import reference

    page = ROOT / "docs" / "reference" / "settings.md"
    assert page.read_text(encoding="utf-8") == reference(), "run: ./dev run settings-reference > " + str(page)


def test_every_link_between_the_pages_leads_somewhere() -> None:
    """A reader who follows a relative link in the documentation finds the page."""
    pages = [ROOT / name for name in OWN_NAMES if name.endswith(".md")] + list((ROOT / "docs").rglob("*.md"))
    dead = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert dead == []


def crowded_folders(root: Path) -> list[str]:
    """Folders of a package with more modules side by side than are found at a glance."""
    folders = [root, *(folder for folder in root.rglob("*") if folder.is_dir())]
    counted = {
        folder: sum(1 for file in folder.glob("*.py") if not file.stem.startswith("__"))
        for folder in folders
        if folder.name != "versions"  # one step of the database's tables each, in their order
    }
    return [f"{folder}: {number}" for folder, number in counted.items() if number > MODULES_MOST]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_is_crowded(package: str) -> None:
    """A folder is a feature; whoever looks for a thing reads a short list of names."""
    assert crowded_folders(ROOT / package) == []


def test_a_crowded_folder_is_noticed(tmp_path: Path) -> None:
    """One module too many in a folder deep inside is one line; `__init__.py` is no module to look through."""
    deep = tmp_path / "feature" / "part"
    deep.mkdir(parents=True)
    for name in ("__init__", *(f"module_{number}" for number in range(MODULES_MOST))):
        (deep / f"{name}.py").touch()
    assert crowded_folders(tmp_path) == []
    (deep / "another.py").touch()
    assert crowded_folders(tmp_path) == [f"{deep}: {MODULES_MOST + 1}"]


NAMED_FILE = re.compile(r"(?<![\w/.-])((?:" + "|".join((*PACKAGES, "bench", "tests")) + r")/[\w./*-]*\w)")
NAMED_MODULE = re.compile(r"`((?:" + "|".join((*PACKAGES, "bench", "tests")) + r")(?:\.[a-z_]\w*)+)`")
NO_MODULES = frozenset({"switchhook.toml", "switchhook.service"})  # files of an installation
ENDED = frozenset({"0001-layout-and-rings.md"})  # tells of a layout that was left


def missing_modules(text: str) -> list[str]:
    """Files and modules of ours that a text names and that do not exist. What follows a module may be a name in it."""
    files = [found.group(1) for found in NAMED_FILE.finditer(text)]
    modules = [found.group(1) for found in NAMED_MODULE.finditer(text) if found.group(1) not in NO_MODULES]
    return [name for name in files if not any(ROOT.glob(name))] + [
        name for name in modules if not (is_module(name) or is_module(name.rpartition(".")[0]))
    ]


def is_module(name: str) -> bool:
    """Whether a module or a package of this name lies in the repository."""
    path = ROOT.joinpath(*name.split("."))
    return "." in name and (path.is_dir() or path.with_suffix(".py").is_file())


def test_every_module_that_the_pages_name_exists() -> None:
    """A reader who looks for the file that a page of the documentation names finds it."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages
        if page.name not in ENDED
        for name in missing_modules(page.read_text(encoding="utf-8"))
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`web/site.py` and `web.site.Site`, in `web/pages/`", []),
        ("`web/sight.py`, or web/pages/nowhere/", ["web/sight.py", "web/pages/nowhere"]),
        ("`web.sight` and `web.pages.nowhere.list`", ["web.sight", "web.pages.nowhere.list"]),
        ("`switchhook.toml` lies beside /etc/switchhook/nothing", []),
    ],
)
def test_a_module_that_is_gone_is_noticed(text: str, missing: list[str]) -> None:
    """Paths and dotted names are looked up; a name within a module, and a file of an installation, are none."""
    assert missing_modules(text) == missing


@pytest.mark.parametrize("module", PACKAGES)
def test_every_package_is_typed_for_its_users(module: str) -> None:
    """Each package carries py.typed, so that a user's type checker believes the hints."""
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    assert (Path(found.origin).parent / "py.typed").is_file()

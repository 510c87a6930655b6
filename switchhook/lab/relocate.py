"""Make an unpacked tree of Debian packages run from any directory.

The program is started through the tree's own dynamic loader with the tree's own libraries, so nothing of the machine's
C library or of its versions matters. Only libraries that something really needs are kept.
"""

from __future__ import annotations

import re
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path

from telephony.errors import PeerMistake

# Modules of foreign systems: each would drag in large libraries, and an office of SIP phones uses none of them.
_FOREIGN_MODULES = re.compile(
    r"^(res_calendar|res_snmp|res_xmpp|chan_motif|codec_codec2|.*_(pgsql|radius|tds|odbc)|res_odbc|func_odbc"
    r"|res_config_(ldap|pgsql|odbc)|app_jack|chan_(console|alsa|oss|dahdi|mgcp|skinny|unistim|iax2)|pbx_(lua|dundi)"
    r"|res_fax_spandsp|res_http_post|res_stir_shaken|codec_amr|format_ogg|codec_opus|app_mp3|app_festival|app_ices)"
)
# Loaded by name while running, so no DT_NEEDED tells of them. Without the NSS ones res_srtp fails, and 16 exits.
_LOADED_BY_NAME = (
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "libsoftokn3.so",
)
_LOADED_BY_PATTERN = ("nss/*.so", "libfreebl*.so")
_DATA = ("sounds", "documentation")

_LAUNCHER = """#!/bin/sh
# Runs it with its own loader and libraries, wherever this directory is.
home=$(dirname "$(readlink -f "$0")")
exec "$home/lib/{loader}" --library-path "$home/lib" "$home/sbin/{program}" "$@"
"""


def make_relocatable(tree: Path, home: Path) -> None:
    """Put into `home` a launcher `asterisk`, `lib/`, `modules/` and `data/` made from the packages in `tree`."""
    directories = _library_directories(tree)
    libraries = _libraries_in(directories)
    program = tree / "usr/sbin/asterisk"
    needed = _closure([program], libraries)
    modules = []
    for module in sorted(_module_directory(tree).glob("*.so")):
        if _FOREIGN_MODULES.match(module.name):
            continue
        try:
            needed |= _closure([module], libraries)
        except PeerMistake:  # a module whose library was left out on purpose
            continue
        modules.append(module)
    loader = next(name for name in libraries if name.startswith("ld-linux"))
    needed |= {name: libraries[name] for name in (*_LOADED_BY_NAME, loader) if name in libraries}
    needed |= {
        path.name: path
        for folder in directories
        for shape in _LOADED_BY_PATTERN
        for path in folder.glob(shape)
    }
    _copy_all(needed.items(), home / "lib")
    _copy_all(((module.name, module) for module in modules), home / "modules")
    _copy_all([("asterisk", program)], home / "sbin")
    _copy_data(tree / "usr/share/asterisk", home / "data")
    _write_launcher(home, loader, "asterisk")


def make_program_relocatable(tree: Path, program: Path, home: Path) -> None:
    """Put into `home` a launcher of that program's name and `lib/`, made from the packages in `tree`."""
    libraries = _libraries_in(_library_directories(tree))
    loader = next(name for name in libraries if name.startswith("ld-linux"))
    by_name = {name: libraries[name] for name in (*_LOADED_BY_NAME, loader) if name in libraries}
    _copy_all((_closure([program], libraries) | by_name).items(), home / "lib")
    _copy_all([(program.name, program)], home / "sbin")
    _write_launcher(home, loader, program.name)


def _write_launcher(home: Path, loader: str, program: str) -> None:
    (home / "lib" / loader).chmod(0o755)
    launcher = home / program
    launcher.write_text(_LAUNCHER.format(loader=loader, program=program))
    launcher.chmod(0o755)


def _library_directories(tree: Path) -> list[Path]:
    shapes = ("lib/*-linux-gnu*", "usr/lib/*-linux-gnu*", "usr/lib", "lib", "lib64", "usr/lib64")
    return [path for shape in shapes for path in sorted(tree.glob(shape)) if path.is_dir()]


def _libraries_in(directories: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for directory in directories:
        for path in directory.iterdir():
            if ".so" in path.name and path.exists():
                found.setdefault(path.name, path)
    return found


def _module_directory(tree: Path) -> Path:
    return next(iter(tree.glob("usr/lib/**/asterisk/modules")))


def _copy_all(files: Iterable[tuple[str, Path]], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name, path in files:
        shutil.copy2(path.resolve(), target / name)


def _copy_data(data: Path, target: Path) -> None:
    for name in _DATA:
        if (data / name).is_dir():
            shutil.copytree(data / name, target / name, ignore_dangling_symlinks=True, dirs_exist_ok=True)
    english = target / "sounds" / "en"
    voices = sorted((target / "sounds").glob("en_*"))
    if not english.exists() and voices:
        english.symlink_to(voices[0].name)


def _closure(files: Iterable[Path], libraries: dict[str, Path]) -> dict[str, Path]:
    """Every library the files need, directly or through others. Raises PeerMistake for one that is nowhere."""
    seen: dict[str, Path] = {}
    waiting = list(files)
    while waiting:
        for name in needed_libraries(waiting.pop()):
            if name in seen:
                continue
            if name not in libraries:
                raise PeerMistake(f"{name} is in none of the packages.")
            seen[name] = libraries[name]
            waiting.append(libraries[name])
    return seen


_LOAD, _DYNAMIC = 1, 2  # program header types (ELF specification)
_NEEDED, _STRINGS = 1, 5  # dynamic section tags


def needed_libraries(path: Path) -> list[str]:
    """The DT_NEEDED names of a 64-bit little-endian ELF file; none for any other file. Spares the user binutils."""
    raw = path.read_bytes()
    if raw[:6] != b"\x7fELF\x02\x01":
        return []
    (headers_at,) = struct.unpack_from("<Q", raw, 32)
    (count,) = struct.unpack_from("<H", raw, 56)
    segments: list[tuple[int, int, int]] = []
    dynamic: tuple[int, int] | None = None
    for index in range(count):
        kind, _, offset, address, _, size, _, _ = struct.unpack_from(
            "<IIQQQQQQ", raw, headers_at + 56 * index
        )
        if kind == _LOAD:
            segments.append((address, offset, size))
        elif kind == _DYNAMIC:
            dynamic = (offset, size)
    if dynamic is None:
        return []
    entries = [struct.unpack_from("<qQ", raw, dynamic[0] + at) for at in range(0, dynamic[1], 16)]
    table_address = next(value for tag, value in entries if tag == _STRINGS)
    table = next(table_address - a + o for a, o, size in segments if a <= table_address < a + size)
    return [_string_at(raw, table + value) for tag, value in entries if tag == _NEEDED]


def _string_at(raw: bytes, start: int) -> str:
    return raw[start : raw.index(b"\0", start)].decode()

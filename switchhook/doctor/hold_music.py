"""Which music on hold of a PBX on this machine is companded: read from its configuration and its folders, nothing else."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from ami_bridge.doctor.recording_loss import REMEDY
from switchhook.doctor.findings import Finding, Level

ASTERISK_CONFIG = Path("/etc/asterisk")
FILES = "musiconhold*.conf"  # FreePBX writes its classes into musiconhold_additional.conf
DATA_DIRECTORIES = (Path("/var/lib/asterisk"), Path("/usr/share/asterisk"))
"""What a relative directory of a class is below."""
COMPANDED = frozenset({".alaw", ".al", ".ulaw", ".ul", ".pcm", ".mu", ".gsm", ".g722", ".g729", ".ilbc"})
"""What a frame's number is lost with: everything that Asterisk has to decode. Linear samples and MP3 are not."""
MOST_FILES = 1000  # of one class that are looked at
NAMED = 3  # classes in one sentence


def examine_hold_music(config: Path | None = None) -> Iterator[Finding]:
    """One finding about the music of the PBX on this machine; none where there is no such configuration to read."""
    classes = _music_classes(config or ASTERISK_CONFIG)
    if not classes:
        return
    companded = [name for name, directory in classes.items() if _has_companded(directory)]
    if not companded:
        yield Finding(Level.FINE, "recordings", "Music on hold is of linear samples: recordings outlast it.")
        return
    named = ", ".join(companded[:NAMED]) + (" and others" if len(companded) > NAMED else "")
    yield Finding(
        Level.NOTICE,
        "recordings",
        f"Music on hold is companded (class {named}): Debian's Asterisk leaves our side out of recordings after it.",
        REMEDY,
    )


def _music_classes(config: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(config.glob(FILES)) if config.is_dir() else ():
        found |= _classes_of(file)
    return found


def _classes_of(file: Path) -> dict[str, Path]:
    reader = configparser.ConfigParser(
        strict=False,
        interpolation=None,
        inline_comment_prefixes=(";",),
        comment_prefixes=(";", "#"),
        allow_no_value=True,
    )
    try:
        reader.read_string("[general]\n" + file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, configparser.Error):
        return {}
    return {
        name: _absolute(directory.lstrip("> ").strip())
        for name in reader.sections()
        if (directory := reader.get(name, "directory", fallback=None))
    }


def _absolute(directory: str) -> Path:
    below = [place / directory for place in DATA_DIRECTORIES]
    return next((path for path in below if path.is_dir()), below[0])  # an absolute one stays as it is


def _has_companded(directory: Path) -> bool:
    try:
        names = [path.suffix.lower() for path, _ in zip(directory.iterdir(), range(MOST_FILES), strict=False)]
    except OSError:
        return False
    return any(suffix in COMPANDED for suffix in names)

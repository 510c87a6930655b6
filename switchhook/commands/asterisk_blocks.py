"""Everything a PBX needs to be observed, as labelled blocks: which file, which lines, and what makes Asterisk read them.

The lines are those of `asterisk-config/`, which people also read and copy by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from switchhook.pbx.config import CONFIG_FILES, render_manager_conf

LOOPBACK = ("127.0.0.1", "::1", "localhost")
RELOAD_MANAGER = "asterisk -rx 'manager reload'"
RELOAD_CEL = "asterisk -rx 'module reload cel'"
RELOAD_CEL_CUSTOM = "asterisk -rx 'module reload cel_custom.so'"
RESTART = "asterisk -rx 'core restart when convenient'"
RELOAD_FREEPBX = "fwconsole reload"
CEL_TITLES = {
    "cel_custom.conf": "where channel events are logged (CEL): calls are told although Switchhook was stopped",
    "cel_general_custom.conf": "which channel events are logged, and in which time (CEL)",
}
DIALPLAN_TITLES = {
    "extensions_switchhook.conf": "recording by policy, consent and rating",
    "extensions_switchhook_names.conf": "the caller's name on the phones, and the contact person first",
}


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines for one file of Asterisk's."""

    title: str
    name: str
    """Name of the file that `--write` makes of it."""
    place: str
    """Where the lines go."""
    text: str
    reload: str
    """The command on the PBX that makes Asterisk read them."""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class PbxAccess:
    """What the lines are filled with."""

    pbx: str
    host: str
    username: str
    secret: str
    permit: str


def blocks_for(variant: str, access: PbxAccess) -> list[Block]:
    """All of them, in the order in which they are pasted."""
    return list(_freepbx(access) if variant == "freepbx" else _plain(access))


def _plain(access: PbxAccess) -> Iterator[Block]:
    yield Block(
        "the manager interface: a time on every event",
        "manager_general.conf",
        "/etc/asterisk/manager.conf, section [general] (put these lines into it; never a second [general])",
        _general(access),
        RELOAD_MANAGER,
    )
    yield Block(
        "the AMI user",
        "manager_switchhook.conf",
        "/etc/asterisk/manager.conf, at its end (or as a file of its own with #include manager_switchhook.conf there)",
        _user(access),
        RELOAD_MANAGER,
    )
    yield Block(
        "a name for this PBX",
        "asterisk_systemname.conf",
        "/etc/asterisk/asterisk.conf, section [options]",
        _system_name(access),
        RESTART,
    )
    yield Block(
        "which channel events are logged (CEL): calls are told although Switchhook was stopped",
        "cel_switchhook.conf",
        "/etc/asterisk/cel.conf, in place of what is there",
        _text("plain", "cel_switchhook.conf"),
        RELOAD_CEL,
        optional=True,
    )
    yield Block(
        "where they are logged (CEL)",
        "cel_custom_switchhook.conf",
        "/etc/asterisk/cel_custom.conf",
        _text("plain", "cel_custom_switchhook.conf"),
        RELOAD_CEL_CUSTOM,
        optional=True,
    )


def _freepbx(access: PbxAccess) -> Iterator[Block]:
    yield Block(
        "the manager interface: a time on every event, and the AMI user",
        "manager_custom.conf",
        "/etc/asterisk/manager_custom.conf (FreePBX includes it and never overwrites it)",
        _without_head(_text("freepbx", "manager_custom.conf")) + "\n" + _user(access),
        RELOAD_FREEPBX,
    )
    for name, title in CEL_TITLES.items():
        yield Block(
            title,
            name,
            f"/etc/asterisk/{name} (FreePBX includes it and never overwrites it)",
            _text("freepbx", name),
            RELOAD_FREEPBX,
            optional=True,
        )
    yield Block(
        "recordings and names of inbound calls; then choose the context switchhook-from-carrier in the trunk's settings",
        "extensions_custom.conf",
        "/etc/asterisk/extensions_custom.conf (FreePBX includes it and never overwrites it)",
        _text("freepbx", "extensions_custom.conf"),
        RELOAD_FREEPBX,
        optional=True,
    )
    for name, title in DIALPLAN_TITLES.items():
        yield Block(
            title,
            name,
            f"/etc/asterisk/{name} (extensions_custom.conf includes it where it is there)",
            _text("plain", name),
            RELOAD_FREEPBX,
            optional=True,
        )


def _general(access: PbxAccess) -> str:
    """Without the address to listen on where Switchhook is elsewhere: that is for the PBX's administrator to choose."""
    text = _without_head(_text("plain", "manager_general.conf"))
    if access.host in LOOPBACK:
        return text
    return re.sub(
        r"(?m)^bindaddr = .*\n",
        "; bindaddr: an address that Switchhook reaches, never one of the internet.\n",
        text,
    )


def _user(access: PbxAccess) -> str:
    text = render_manager_conf(secret=access.secret, permit=access.permit, username=access.username)
    return _without_head(text)


def _system_name(access: PbxAccess) -> str:
    """Asterisk takes letters and digits."""
    name = re.sub(r"[^A-Za-z0-9]", "", access.pbx) or "pbx"
    return f"systemname = {name}\n"


def _without_head(text: str) -> str:
    """Without the comment at the top, which says by hand what the block's label says."""
    lines = text.splitlines(keepends=True)
    first = next((at for at, line in enumerate(lines) if not line.startswith(";")), 0)
    return "".join(lines[first:]).lstrip("\n") if text.startswith(";") and first else text


def _text(variant: str, name: str) -> str:
    return (CONFIG_FILES / variant / name).read_text(encoding="utf-8")


def print_blocks(blocks: list[Block]) -> None:
    """For a person who copies them."""
    for number, block in enumerate(blocks, 1):
        optional = " (recommended)" if block.optional else ""
        print(f"---- {number} of {len(blocks)}: {block.title}{optional}")
        print(f"---- goes to {block.place}\n")
        print(block.text.rstrip() + "\n")


def write_blocks(blocks: list[Block], directory: Path, write_private: Callable[[Path, str], None]) -> None:
    """Each as a file of its own, readable by its owner only: one of them holds the secret."""
    for block in blocks:
        write_private(directory / block.name, f"; goes to {block.place}\n{block.text}")


def reloads(blocks: list[Block]) -> list[str]:
    """What is typed on the PBX afterwards, each once."""
    return list(dict.fromkeys(block.reload for block in blocks))

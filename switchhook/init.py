"""`switchhook init`: a few questions, then the configuration file, its secret, and the lines Asterisk needs.

Nothing that exists is overwritten unless asked for. The secret is generated here, kept in a file of its own that only
its owner may read, and shown once, inside the lines for Asterisk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from switchhook.pbx_config import render_manager_conf
from switchhook.setting_mistakes import BadSettings
from switchhook.setting_tables import PbxSettings
from switchhook.settings import load
from telephony.errors import NeedsPerson, SwitchhookError

SECRET_BYTES = 24  # 192 bits; 32 characters, which every Asterisk takes on one line

PLACES = {
    "plain": ("/etc/asterisk/manager.conf", "asterisk -rx 'manager reload'"),
    "freepbx": ("/etc/asterisk/manager_custom.conf", "asterisk -rx 'manager reload'"),
}
"""Where the lines go, and what makes Asterisk read them. FreePBX writes manager.conf itself and includes the other."""


class AlreadyThere(NeedsPerson):
    """The configuration file exists already."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the flags said; None where they said nothing."""

    pbx: str | None = None
    host: str | None = None
    port: int | None = None
    username: str | None = None
    permit: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is written, decided."""

    pbx: str
    host: str
    port: int
    username: str
    permit: str
    region: str


QUESTIONS = {
    "pbx": ("A short name for this PBX", "hq"),
    "host": ("Where is its manager interface (AMI)?", "127.0.0.1"),
    "port": ("On which port?", "5038"),
    "username": ("The name of the AMI user to make", "switchhook"),
    "region": ("In which country does it stand (two letters)?", "RU"),
}


def write(config: Path, given: Answers, *, variant: str, ask: bool, force: bool, test: bool) -> None:
    """Write the configuration and the secret, print what Asterisk needs, and try the PBX. Raises NeedsPerson."""
    secret_file = config.with_name(f"{config.stem}.ami-secret")
    for file in (config, secret_file):
        if file.exists() and not force:
            raise AlreadyThere(
                f"{file} exists already.", remedy="Choose another --config, or replace it with --force."
            )
    plan = _decide(given, ask=ask)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    lines = render_manager_conf(secret=secret, permit=plan.permit, username=plan.username)
    _write_private(secret_file, secret + "\n")
    _write_private(config, _toml(plan, secret_file.name))
    _print_next_steps(config, secret_file, lines, variant)
    if test:
        _try(config)


def _decide(given: Answers, *, ask: bool) -> Plan:
    answers = {name: _answer(name, getattr(given, name), ask=ask) for name in QUESTIONS}
    try:
        checked = PbxSettings(
            id=answers["pbx"],
            host=answers["host"],
            port=int(answers["port"]),
            username=answers["username"],
            default_region=answers["region"].upper(),
        )
    except ValueError as mistake:
        raise BadSettings(
            f"One of the answers cannot be used: {_plainly(mistake)}.",
            remedy="A name is lower-case letters, digits and hyphens; a port is 1 to 65535; a country is two letters.",
        ) from mistake
    return Plan(
        pbx=checked.id,
        host=checked.host,
        port=checked.port,
        username=checked.username,
        region=checked.default_region,
        permit=given.permit or _permit_for(checked.host),
    )


def _plainly(mistake: ValueError) -> str:
    errors = getattr(mistake, "errors", None)
    if errors is None:
        return str(mistake)
    first = errors()[0]
    return f"{first['loc'][0]}: {first['msg']}"


def _answer(name: str, given: object, *, ask: bool) -> str:
    question, default = QUESTIONS[name]
    if given is not None:
        return str(given)
    if not ask:
        return default
    return input(f"{question} [{default}]: ").strip() or default


def _permit_for(host: str) -> str:
    """The address Asterisk will see us come from: loopback for a local PBX, else our own address towards it."""
    import socket

    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # UDP: nothing is sent, the kernel only chooses the route
        return f"{probe.getsockname()[0]}/255.255.255.255"
    return "127.0.0.1/255.255.255.255"


def _toml(plan: Plan, secret_file: str) -> str:
    return f"""\
# Written by `switchhook init`. Every setting, with its reason: docs/reference/settings.md

[[pbx]]
id = {_quoted(plan.pbx)}
host = {_quoted(plan.host)}
port = {plan.port}
username = {_quoted(plan.username)}
secret_file = {_quoted(secret_file)}
default_region = {_quoted(plan.region)}
"""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_private(file: Path, content: str) -> None:
    """Readable by its owner only from the first byte, and never half written."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as opened:
            opened.write(content)
        fresh.replace(file)
    except OSError as mistake:
        raise NeedsPerson(
            f"{file} cannot be written: {mistake.strerror}.",
            remedy="Choose a place you may write to with --config.",
        ) from mistake


def _print_next_steps(config: Path, secret_file: Path, lines: str, variant: str) -> None:
    place, reload = PLACES[variant]
    print(f"Wrote {config} and {secret_file} (both readable by you only).\n")
    print(f"1. Add these lines to {place} on the PBX:\n")
    print(lines.rstrip() + "\n")
    print(f"2. On the PBX: {reload}")
    print(f"3. Here: switchhook doctor --config {config}")
    print(f"4. Here: switchhook run --config {config}")


def _try(config: Path) -> None:
    """Whether the PBX answers already; before step 1 it cannot accept us, so a refusal is news and not a failure."""
    from switchhook.doctor import Level, examine_pbx

    print()
    try:
        findings = asyncio.run(examine_pbx(load(config).pbx[0]))
    except SwitchhookError as mistake:
        print(f"The PBX was not tried: {mistake}")
        return
    faults = [finding for finding in findings if finding.level is Level.FAULT]
    if not faults:
        print("The PBX answers and accepts this user.")
    for fault in faults:
        print(f"Not yet: {fault.what}" + (f" → {fault.remedy}" if fault.remedy else ""))

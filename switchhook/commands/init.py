"""`switchhook init`: a few questions, then the configuration file, its secret, and the lines Asterisk needs.

Nothing that exists is overwritten unless asked for. The secret is generated here, kept in a file of its own that only
its owner may read, and shown once, inside the lines for Asterisk.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import pwd
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ValidationError

from ami_bridge.doctor import recording_loss
from switchhook.commands.asterisk_blocks import (
    Block,
    PbxAccess,
    blocks_for,
    print_blocks,
    reloads,
    write_blocks,
)
from switchhook.doctor.findings import Level
from switchhook.doctor.hold_music import examine_hold_music
from switchhook.settings.machine_place import propose_region, propose_time_zone
from switchhook.settings.mistakes import FORMATS, BadSettings
from switchhook.settings.settings import load
from switchhook.settings.tables import PbxSettings, WebSettings
from telephony.errors import NeedsPerson, SwitchhookError

SERVICE_USER = "switchhook"
SECRET_BYTES = 24  # 192 bits; 32 characters, which every Asterisk takes on one line


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
    time_zone: str | None = None
    outside_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is written, decided."""

    pbx: str
    host: str
    port: int
    username: str
    permit: str
    region: str
    time_zone: str
    outside_prefix: str


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked."""

    text: str
    default: Callable[[], str]
    check: Callable[[str], str]
    """The answer as it is kept. Raises ValueError with what is wrong with it."""


def _field(table: type[BaseModel], name: str, value: object) -> str:
    """Checked by the rule of the setting it becomes."""
    try:
        table.__pydantic_validator__.validate_assignment(table.model_construct(), name, value)
    except ValidationError as mistake:
        first = mistake.errors()[0]
        if first["type"] == "value_error":
            raise ValueError(f"it {first['msg'].removeprefix('Value error, ')}.") from mistake
        raise ValueError(FORMATS.get(("pbx", name)) or first["msg"]) from mistake
    return str(value)


def _port(value: str) -> str:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ValueError("a port is a number from 1 to 65535; Asterisk's own is 5038.")
    return value


_HOST = re.compile(r"(?!.*\.\.)[\w.:%-]{1,253}")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError("it is the name or the address of a machine, such as pbx.example.com or 192.0.2.10.")
    return _field(PbxSettings, "host", value)


def _permit(value: str) -> str:
    """One line of Asterisk's `permit`: an address and its mask."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as mistake:
        raise ValueError("it is an address with its mask, such as 192.0.2.10/255.255.255.255.") from mistake
    return value


QUESTIONS: Mapping[str, Question] = {
    "pbx": Question("A short name for this PBX", lambda: "hq", partial(_field, PbxSettings, "id")),
    "host": Question("Where is its manager interface (AMI)?", lambda: "127.0.0.1", _host),
    "port": Question("On which port?", lambda: "5038", _port),
    "username": Question(
        "The name of the AMI user to make", lambda: "switchhook", partial(_field, PbxSettings, "username")
    ),
    "region": Question(
        "In which country does it stand (two letters)?",
        lambda: propose_region() or FALLBACK_REGION,
        lambda value: _field(PbxSettings, "default_region", value.upper()),
    ),
    "time_zone": Question(
        "The office's time zone (as Europe/Riga)?",
        lambda: propose_time_zone() or "",
        lambda value: value and _field(WebSettings, "time_zone", value),
    ),
    "outside_prefix": Question(
        "Digits dialled to get a line, such as 0 or 9 (Enter: none)",
        lambda: "",
        lambda value: value and _field(PbxSettings, "outside_prefix", value),
    ),
}
FALLBACK_REGION = "RU"  # the settings' own default; asked for, and named when nobody is asked
MOST_TRIES = 5  # a person mistypes once or twice; input that is no person's must come to an end


def write(
    config: Path,
    given: Answers,
    *,
    variant: str,
    ask: bool,
    force: bool,
    test: bool,
    directory: Path | None = None,
) -> None:
    """Write the configuration and the secret, print what Asterisk needs, and try the PBX. Raises NeedsPerson.

    With `directory` what Asterisk needs is written there as files instead.
    """
    secret_file = config.with_name(f"{config.stem}.ami-secret")
    for file in (config, secret_file):
        if file.exists() and not force:
            raise AlreadyThere(
                f"{file} exists already.", remedy="Choose another --config, or replace it with --force."
            )
    plan = _decide(given, ask=ask)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    access = PbxAccess(plan.pbx, plan.host, plan.username, secret, plan.permit)
    blocks = blocks_for(variant, access)
    _write_private(secret_file, secret + "\n")
    _write_private(config, _toml(plan, secret_file.name))
    _give_to_service(config, secret_file)
    if directory is not None:
        write_blocks(blocks, directory, _write_private)
    if given.region is None and not ask:
        print(f"Country: {plan.region} (default_region); correct it if the PBX stands elsewhere.\n")
    _print_next_steps(config, secret_file, blocks, directory)
    _warn_of_music()
    if test:
        _try(config)


def _decide(given: Answers, *, ask: bool) -> Plan:
    answers = {name: _answer(name, getattr(given, name), ask=ask) for name in QUESTIONS}
    return Plan(
        pbx=answers["pbx"],
        host=answers["host"],
        port=int(answers["port"]),
        username=answers["username"],
        region=answers["region"],
        time_zone=answers["time_zone"],
        outside_prefix=answers["outside_prefix"],
        permit=_checked("permit", given.permit, _permit) if given.permit else _permit_for(answers["host"]),
    )


def _answer(name: str, given: object, *, ask: bool) -> str:
    """By a flag, or by a person who is asked again until it can be used."""
    question = QUESTIONS[name]
    if given is not None or not ask:
        return _checked(name, str(given) if given is not None else question.default(), question.check)
    default = question.default()
    prompt = f"{question.text} [{default}]: " if default else f"{question.text}: "
    for _ in range(MOST_TRIES):
        try:
            return question.check(input(prompt).strip() or default)
        except EOFError:
            break
        except ValueError as mistake:
            print(f"  That cannot be used: {mistake}")
    raise BadSettings(
        f"There was no usable answer to: {question.text}", remedy="Start again, or answer with flags."
    )


def _checked(name: str, value: str, check: Callable[[str], str]) -> str:
    try:
        return check(value)
    except ValueError as mistake:
        raise BadSettings(
            f"--{name.replace('_', '-')} {value} cannot be used: {mistake}",
            remedy="Correct it and start again.",
        ) from mistake


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
{_prefix_line(plan)}
# Lines that are named by two to six digits, as phones are:
# trunks = 'provider-.*'
# The area code to put before short local numbers:
# area_code = "495"
# On the same machine as Asterisk:
# cel_file = "/var/log/asterisk/cel-custom/switchhook.csv"
# recordings_dir = "/var/spool/asterisk/monitor"
# Phones with other names (alice, a MAC address) that no hint of the dialplan places; `switchhook doctor` names them:
# [pbx.phones]
# alice = "101"
{_state_table()}{_web_table(plan)}"""


def _prefix_line(plan: Plan) -> str:
    if plan.outside_prefix:
        return f"outside_prefix = {_quoted(plan.outside_prefix)}"
    return '# Digits dialled to get a line:\n# outside_prefix = "0"'


def _state_table() -> str:
    """For a service of the system: commands then find its database whoever types them."""
    return '\n[database]\nstate_dir = "/var/lib/switchhook"\n' if _service_user() is not None else ""


def _web_table(plan: Plan) -> str:
    return f"\n[web]\ntime_zone = {_quoted(plan.time_zone)}\n" if plan.time_zone else ""


def _service_user() -> pwd.struct_passwd | None:
    """The user of packaging/switchhook.sysusers.conf, where root sets up the service and it is there."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        return None


def _give_to_service(*files: Path) -> None:
    """Root's files are to be read by the service's group, and by nobody else."""
    user = _service_user()
    for file in files if user is not None else ():
        os.chown(file, 0, user.pw_gid if user else 0)
        file.chmod(0o640)


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
            remedy="Choose a place that you may write to.",
        ) from mistake


def _print_next_steps(config: Path, secret_file: Path, blocks: list[Block], directory: Path | None) -> None:
    print(f"Wrote {config} and {secret_file} (nobody else can read them).\n")
    print("1. On the PBX, these lines:\n")
    if directory is None:
        print_blocks(blocks)
    for block in blocks if directory is not None else ():
        print(f"   {directory and directory / block.name}\n     {block.title}\n     goes to {block.place}")
    print("2. On the PBX, so that it reads them: " + "\n   ".join(["", *reloads(blocks)]))
    print(f"3. Here: {_our_name()} doctor --config {config}")
    print(f"4. Here: {_our_name()} run --config {config}")
    print(f"5. Here, while it runs: {_our_name()} doctor --test-call --config {config}")


def _warn_of_music() -> None:
    """Where the PBX is on this machine: music after which a recording loses our side, before anybody records."""
    for finding in examine_hold_music():
        if finding.level is not Level.FINE:
            print(f"\nBefore you record: {finding.what} → {finding.remedy}")


def _our_name() -> str:
    """The command as it can be typed: in an environment of its own it is not on the PATH."""
    typed = Path(sys.argv[0])
    return str(typed) if typed.name == "switchhook" and shutil.which("switchhook") is None else "switchhook"


def _try(config: Path) -> None:
    """Whether the PBX answers already; before step 1 it cannot accept us, so a refusal is news and not a failure."""
    from switchhook.doctor.doctor import examine_pbx

    print()
    try:
        findings = asyncio.run(examine_pbx(load(config).pbx[0]))
    except SwitchhookError as mistake:
        print(f"The PBX was not tried: {mistake}")
        return
    faults = [finding for finding in findings if finding.level is Level.FAULT]
    losses = [finding for finding in findings if finding.what == recording_loss.WHAT]
    if not faults:
        print("The PBX answers and accepts this user.")
    for loss in losses:
        print(f"Before you record: {loss.what} → {loss.remedy}")
    for fault in faults:
        print(f"Not yet: {fault.what}" + (f" → {fault.remedy}" if fault.remedy else ""))

"""`switchhook doctor`: try everything that can be reached, and name each fault with its remedy.

Each examination yields findings and none may raise: what one of them stumbles over becomes a finding of its own, so
that a person with three faults hears of three faults.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from ami_bridge.doctor import agi as agi_doctor
from ami_bridge.doctor import doctor as pbx_doctor
from ami_bridge.doctor import sight
from ami_bridge.wire.connection import PbxLink
from call_records.recordings.storage.backends import place_of
from call_records.recordings.storage.settings import AudioSettings
from switchhook.doctor.cel import examine_cel
from switchhook.doctor.database import examine_database
from switchhook.doctor.endpoints import examine_endpoints
from switchhook.doctor.findings import GROUP_REMEDY, Finding, Level, guarded, stumbled
from switchhook.doctor.hold_music import examine_hold_music
from switchhook.doctor.web import examine_web
from switchhook.pbx.numbering import numbering_of
from switchhook.settings import settings as settings_module
from switchhook.settings.audio import audio_settings
from switchhook.settings.mistakes import BadSettings
from switchhook.settings.secrets import default_state_dir
from switchhook.settings.settings import Settings
from switchhook.settings.tables import DatabaseSettings, PbxSettings

OLDEST_PYTHON = (3, 11)  # StrEnum, TaskGroup, tomllib

LOW_DISK_BYTES = 1 << 30  # 1 GiB: a busy office of 100 people writes about that in a month, recordings apart
FULL_DISK_BYTES = 100 << 20  # 100 MiB: PostgreSQL stops when its next log segments (16 MiB each) do not fit

AUDIO_BYTES_PER_HOUR = 9_500_000  # Opus at some 21 kbit/s
STORAGE_SECONDS = 30  # longer than the storage's own limits, which say more

WATCH_SECONDS = 100  # calls that stand are watched for a minute
PBX_SECONDS = 30  # connect, log in and a dozen actions; a healthy PBX takes one

NEEDED = (
    "panoramisk",
    "sqlalchemy",
    "asyncpg",
    "alembic",
    "fastapi",
    "uvicorn",
    "jinja2",
    "phonenumberslite",
    "pydantic",
    "av",
    "obstore",
    "cryptography",
)


def examine_and_print(config: Path | None, *, as_json: bool = False, test_call: str | None = None) -> int:
    """Examine, print the report to standard output, return the exit code: 1 when there is a fault.

    `test_call` is the extension that will call or be called, `any` for whichever it is.
    """
    findings = asyncio.run(_examine_with_call(config, test_call))
    print(_as_json(findings) if as_json else _as_text(findings))
    return int(any(finding.level is Level.FAULT for finding in findings))


async def _examine_with_call(config: Path | None, test_call: str | None) -> list[Finding]:
    findings = await examine(config)
    if test_call is None:
        return findings
    from switchhook.doctor.trial_call import ANY, try_call

    try:
        settings = settings_module.load_for_observing(config)
    except BadSettings as mistake:
        return [*findings, Finding(Level.FAULT, "test call", str(mistake), mistake.remedy)]
    return [*findings, *await try_call(settings, None if test_call == ANY else test_call)]


async def examine(config: Path | None) -> list[Finding]:
    """Everything that can be reached, in the order in which a person would mend it."""
    findings = list(guarded("machine", _machine))
    try:
        settings = settings_module.load(config)
    except BadSettings as mistake:
        return [*findings, Finding(Level.FAULT, "settings", str(mistake), mistake.remedy)]
    findings += _settings(settings, config)
    findings += guarded("state", lambda: _state(settings.database))
    findings += [finding async for finding in examine_database(settings)]
    findings += [finding async for finding in _recordings(settings)]
    findings += guarded("web", lambda: examine_web(settings.web))
    findings += await _handsets(settings)
    for report in await asyncio.gather(*(_whole_pbx(pbx) for pbx in settings.pbx)):
        findings += report
    return findings


def _machine() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        yield Finding(Level.FAULT, "machine", f"Python {version} is too old.", "Use Python 3.11 or later.")
    else:
        yield Finding(Level.FINE, "machine", f"Python {version}.")
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        yield Finding(
            Level.FAULT,
            "machine",
            f"Not installed: {', '.join(missing)}.",
            "Install Switchhook again: pip install switchhook",
        )


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _settings(settings: Settings, config: Path | None) -> Iterator[Finding]:
    file = settings_module.find_file(config)
    yield Finding(
        Level.FINE,
        "settings",
        f"Read {file}." if file else "No configuration file; defaults and environment.",
    )
    if not settings.pbx:
        yield Finding(
            Level.FAULT, "settings", "No PBX is configured.", "Write a configuration with: switchhook init"
        )
    for pbx in settings.pbx:
        if pbx.secret is None:
            yield Finding(
                Level.FAULT,
                "settings",
                f'The PBX "{pbx.id}" has no secret.',
                "Set secret_file in its [[pbx]] table; where systemd hands the secret over as a credential, look at the "
                "service's own log instead: journalctl -u switchhook.",
            )
    files = [pbx.secret_file for pbx in settings.pbx]
    files += [connection.secret_file for connection in settings.crm.connections]
    for secret_file in filter(None, files):
        yield from _secret_file((file.parent if file else Path()) / secret_file.expanduser())


def _secret_file(path: Path) -> Iterator[Finding]:
    try:
        open_to_others = path.stat().st_mode & 0o004
    except OSError:
        return  # that it cannot be read has been told by the settings
    if open_to_others:
        yield Finding(
            Level.NOTICE,
            "settings",
            f"Everybody on this machine can read {path}.",
            f"Close it with: chmod 600 {path}",
        )


def _state(database: DatabaseSettings) -> Iterator[Finding]:
    directory = database.state_dir or default_state_dir()
    existing = next(place for place in (directory, *directory.parents) if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            Level.FAULT,
            "state",
            f"The state directory {directory} cannot be written.",
            "Give it to the user who runs Switchhook, or set [database] state_dir.",
        )
        return
    free = shutil.disk_usage(existing).free
    if free < LOW_DISK_BYTES:
        yield Finding(
            Level.FAULT if free < FULL_DISK_BYTES else Level.NOTICE,
            "state",
            f"Only {free >> 20} MiB are free at {directory}.",
            "Free some space, or set [database] state_dir to another disk.",
        )
    else:
        yield Finding(Level.FINE, "state", f"{directory} can be written; {free >> 30} GiB are free.")


async def _recordings(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the PBX's files can be read and what is made of them can be kept."""
    for pbx in settings.pbx:
        if pbx.recordings_dir is not None:
            yield _recordings_dir(pbx.id, pbx.recordings_dir)
        elif pbx.upload_token is None:
            yield Finding(
                Level.NOTICE,
                "recordings",
                f'No recordings are fetched from the PBX "{pbx.id}".',
                "Set recordings_dir in its [[pbx]] table, or an upload token for switchhook-upload; "
                "docs/how-to/record-calls.md says how.",
            )
    for finding in guarded("recordings", examine_hold_music):
        yield finding
    try:
        audio = audio_settings(settings)
        for finding in guarded("recordings", lambda: _audio_room(audio)):
            yield finding
        if audio.s3 is not None:
            async with asyncio.timeout(STORAGE_SECONDS):
                async for _ in place_of(audio).listed():
                    break
            yield Finding(Level.FINE, "recordings", f"The bucket {audio.s3.bucket} answers.")
    except Exception as mistake:  # the doctor must finish the round
        yield stumbled("recordings", mistake)


def _recordings_dir(pbx_id: str, directory: Path) -> Finding:
    if not directory.is_dir():
        return Finding(
            Level.FAULT,
            "recordings",
            f'There is no directory {directory}, where the PBX "{pbx_id}" should record.',
            "Correct recordings_dir, or make the directory and give it to the user who runs Asterisk.",
        )
    if not os.access(directory, os.R_OK | os.X_OK):
        return Finding(
            Level.FAULT,
            "recordings",
            f"The directory {directory} cannot be read.",
            GROUP_REMEDY,
        )
    return Finding(Level.FINE, "recordings", f"{directory} can be read.")


def _audio_room(audio: AudioSettings) -> Iterator[Finding]:
    existing = next(place for place in (audio.directory, *audio.directory.parents) if place.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            Level.FAULT,
            "recordings",
            f"The directory {audio.directory} cannot be written.",
            "Give it to the user who runs Switchhook, or set [recordings] directory.",
        )
        return
    free = shutil.disk_usage(existing).free
    hours = free // AUDIO_BYTES_PER_HOUR
    yield Finding(
        Level.NOTICE if free < LOW_DISK_BYTES else Level.FINE,
        "recordings",
        f"{audio.directory} has room for about {hours} hours of conversation.",
        "Free some space, or set [recordings] directory to another disk." if free < LOW_DISK_BYTES else None,
    )
    if not audio.keys:
        yield Finding(
            Level.NOTICE,
            "recordings",
            "Recordings are not encrypted at rest.",
            "If somebody else can reach the disk, set [recordings] key_file; docs/how-to/keep-recordings-safe.md.",
        )


async def _handsets(settings: Settings) -> list[Finding]:
    """Whether phones can show who calls, where that is wanted."""
    wanted = settings.handsets
    if wanted.port is None and wanted.socket is None:
        return []
    try:
        async with asyncio.timeout(PBX_SECONDS):
            told = await agi_doctor.examine_service(
                tuple(pbx.id for pbx in settings.pbx),
                host=wanted.host,
                port=wanted.port,
                unix_socket=wanted.socket,
            )
            found = [Finding(_LEVELS[each.level], "handsets", each.what, each.remedy) for each in told]
            for pbx in settings.pbx:
                if pbx.secret is not None:
                    each = await agi_doctor.examine_dialplan(link_to(pbx))
                    found.append(Finding(_LEVELS[each.level], pbx.id, each.what, each.remedy))
    except Exception as mistake:  # the doctor must finish the round
        return [stumbled("handsets", mistake)]
    return found


async def _whole_pbx(pbx: PbxSettings) -> list[Finding]:
    """What its manager interface says, and its channel event log."""
    over_ami, log = await asyncio.gather(examine_pbx(pbx), examine_cel(pbx))
    return [*over_ami, *log]


async def examine_pbx(pbx: PbxSettings) -> list[Finding]:
    """What the bridge's own examination finds: login, classes, events, clock."""
    if pbx.secret is None:
        return []
    try:
        async with asyncio.timeout(PBX_SECONDS):
            told = await pbx_doctor.examine(link_to(pbx))
            told += await examine_endpoints(link_to(pbx), numbering_of(pbx))
    except Exception as mistake:  # the doctor must finish the round
        return [stumbled(pbx.id, mistake)]
    if not any(each.level is pbx_doctor.Level.FAULT for each in told):
        told += await watch_pbx(pbx)
    return [Finding(_LEVELS[each.level], pbx.id, each.what, each.remedy) for each in told]


async def watch_pbx(pbx: PbxSettings) -> list[pbx_doctor.Finding]:
    """What is found by watching for a while: the clock, and whether calls are seen. For a PBX that lets us in."""
    try:
        async with asyncio.timeout(WATCH_SECONDS):
            clock = await sight.examine_clock(link_to(pbx))
            return clock + await sight.examine_sight(link_to(pbx))
    except TimeoutError:
        what = "Whether calls are seen could not be found out in time."
        return [pbx_doctor.Finding(pbx_doctor.Level.WARN, what, "Run the doctor again.")]


_LEVELS = {
    pbx_doctor.Level.OK: Level.FINE,
    pbx_doctor.Level.WARN: Level.NOTICE,
    pbx_doctor.Level.FAULT: Level.FAULT,
}


def link_to(pbx: PbxSettings) -> PbxLink:
    """The `ami_bridge.wire.connection.PbxLink` of these settings. Raises BadSettings for an unusable certificate."""
    return PbxLink(
        pbx_id=pbx.id,
        host=pbx.host,
        port=pbx.port,
        username=pbx.username,
        secret=pbx.secret.get_secret_value() if pbx.secret else "",
        tls=_tls(pbx),
    )


def _tls(pbx: PbxSettings) -> ssl.SSLContext | None:
    if not pbx.tls:
        return None
    try:
        return ssl.create_default_context(cafile=str(pbx.tls_ca) if pbx.tls_ca else None)
    except (OSError, ssl.SSLError) as mistake:
        raise BadSettings(
            f'The certificate {pbx.tls_ca} of the PBX "{pbx.id}" cannot be used: {mistake}.',
            remedy="Set tls_ca to a readable PEM file with the authority that signed the PBX's certificate.",
        ) from mistake


SIGNS = {Level.FINE: "ok    ", Level.NOTICE: "notice", Level.FAULT: "FAULT "}


def _as_text(findings: list[Finding]) -> str:
    lines = []
    for finding in findings:
        lines.append(f"{SIGNS[finding.level]}  {finding.area}: {finding.what}")
        if finding.remedy:
            lines.append(f"        → {finding.remedy}")
    faults = sum(finding.level is Level.FAULT for finding in findings)
    lines.append("No faults found." if not faults else "1 fault." if faults == 1 else f"{faults} faults.")
    return "\n".join(lines)


def _as_json(findings: list[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2)

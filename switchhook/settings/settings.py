"""Every setting, in one place: one TOML file, the environment above it, secrets from files if so wished.

Order of precedence: environment, file, default. A setting `[web] port` is `SWITCHHOOK_WEB__PORT` in the environment; the
PBX whose id is "hq" is `SWITCHHOOK_PBX__HQ__HOST`. Whatever is wrong with a configuration is told as one sentence with the
place and the remedy, as a `BadSettings`. Only the `setting…` modules read what is configured from the environment.

What can be set is `tables.py`; secrets are `secrets.py`; the sentences are `mistakes.py`.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import PrivateAttr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from switchhook.settings.mistakes import ENVIRONMENT_PREFIX, BadSettings, told, told_of_variable
from switchhook.settings.secrets import (
    crm_with_secrets,
    database_with_secrets,
    pbx_with_secrets,
    recordings_with_secrets,
    web_with_secrets,
    without_secret,
)
from switchhook.settings.tables import (
    CrmSettings,
    DatabaseSettings,
    HandsetSettings,
    KeepSettings,
    LogSettings,
    PbxSettings,
    RecordingSettings,
    WebSettings,
)

DEFAULT_FILES = (Path("switchhook.toml"), Path("/etc/switchhook/switchhook.toml"))
"""Where the file is looked for, in order, when --config does not name one."""


def machine_time_zone() -> tzinfo:
    """What this machine's clock on the wall shows, summer time included where its zone has a name."""
    named = (
        os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    )
    try:
        return ZoneInfo(named)
    except (KeyError, ValueError, OSError):
        return datetime.now().astimezone().tzinfo or UTC


@dataclass(frozen=True, slots=True)
class Origin:
    """Where settings came from."""

    file: Path | None = None
    """The configuration file that was read."""
    names_state_dir: bool = True
    """Whether file or environment said where state is kept; else the default was taken."""


class Settings(BaseSettings):
    """Everything that can be set. Get one from `load`."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
    )

    pbx: tuple[PbxSettings, ...] = ()
    database: DatabaseSettings = DatabaseSettings()
    web: WebSettings = WebSettings()
    recordings: RecordingSettings = RecordingSettings()
    handsets: HandsetSettings = HandsetSettings()
    logs: LogSettings = LogSettings()
    crm: CrmSettings = CrmSettings()
    keep: KeepSettings = KeepSettings()

    @property
    def origin(self) -> Origin:
        """Where these came from."""
        return self._origin

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment stands above the file, whose content arrives as the init values."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="before")
    @classmethod
    def _pbxes_by_id(cls, told: Any) -> Any:  # what the sources merged is untyped; it stops here
        """Inside, PBXes travel as {id: fields}, so that the environment can correct one field of one of them; so do CRM
        connections, by name.
        """
        if not isinstance(told, dict):
            return told
        if isinstance(told.get("pbx"), dict):
            told = told | {"pbx": [{"id": pbx_id} | fields for pbx_id, fields in told["pbx"].items()]}
        crm = told.get("crm")
        if isinstance(crm, dict) and isinstance(crm.get("connections"), dict):
            tables = [{"name": name} | fields for name, fields in crm["connections"].items()]
            told = told | {"crm": crm | {"connections": tables}}
        return told


def find_file(named: Path | None) -> Path | None:
    """The configuration file to read: the named one (which must exist), else the first default that exists."""
    if named is not None:
        if not _is_there(named):
            raise BadSettings(
                f"There is no configuration file {named}.",
                remedy="Write one with: switchhook init --config " + str(named),
            )
        return named
    return next((file for file in DEFAULT_FILES if _is_there(file)), None)


def _is_there(file: Path) -> bool:
    """As `Path.exists`; but a directory that may not be entered is said, and does not mean that there is no file."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as mistake:
        raise _unreadable(file, mistake) from mistake
    return True


def _unreadable(file: Path, mistake: OSError) -> BadSettings:
    return BadSettings(
        f"The configuration file {file} cannot be read: {mistake.strerror}.",
        remedy="Give the user who runs Switchhook the right to read it, or type the command as that user.",
    )


def load(named: Path | None = None) -> Settings:
    """The settings from the file and the environment. Raises BadSettings: one sentence, its place, its remedy."""
    file = find_file(named)
    text = _read(file) if file else ""
    values = _parse(file, text)
    _key_pbxes_by_id(file, values)
    connections = _key_connections_by_name(file, values)
    try:
        settings = Settings(**values)
    except ValidationError as mistake:
        names = {"pbx": tuple(values["pbx"]), "crm.connections": connections}
        raise told(mistake.errors()[0], file, text, names) from mistake
    except ValueError as mistake:  # pydantic-settings: a variable that is neither a value nor JSON
        raise told_of_variable(mistake) from mistake
    names_state_dir = settings.database.state_dir is not None
    settings = _with_secrets(settings, file.parent if file else Path())
    settings._origin = Origin(file, names_state_dir)
    return settings


def load_for_observing(named: Path | None = None) -> Settings:
    """As `load`, and there is at least one PBX to observe, each with a secret; so has each CRM."""
    settings = load(named)
    if not settings.pbx:
        where = str(find_file(named) or " or ".join(map(str, DEFAULT_FILES)))
        raise BadSettings(
            f"No PBX is configured in {where}: there is no [[pbx]] table.",
            remedy="Write one with: switchhook init",
        )
    for pbx in settings.pbx:
        if pbx.secret is None:
            raise BadSettings(
                f'The PBX "{pbx.id}" has no secret.',
                remedy="Set secret_file (or secret) in its [[pbx]] table, or give the systemd credential "
                f"ami_secret.{pbx.id}.",
            )
    for connection in settings.crm.connections:
        if connection.secret is None:
            raise without_secret(connection)
    return settings


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as mistake:
        raise _unreadable(file, mistake) from mistake
    except UnicodeDecodeError as mistake:
        line = file.read_bytes()[: mistake.start].count(b"\n") + 1
        raise BadSettings(
            f"{file}, line {line}: this is not UTF-8 text.", remedy="Save the file as UTF-8."
        ) from mistake


def _parse(file: Path | None, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as mistake:
        place = re.search(r"line (\d+)", str(mistake))
        line = int(place[1]) if place else len(text.splitlines())  # "at end of document" has no number
        reason = re.sub(r"\s*\(at .*\)$", "", str(mistake))
        backslash = "Unescaped" in reason
        raise BadSettings(
            f"{file}, line {line}: this is not TOML ({reason[:1].lower()}{reason[1:]}).",
            remedy="Put a text with a backslash, as an expression has, into single quotes."
            if backslash
            else 'Write key = "value" lines under [section] headings; text needs quotes.',
        ) from mistake


def _key_pbxes_by_id(file: Path | None, values: dict[str, Any]) -> None:
    listed = values.get("pbx", [])
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise BadSettings(
            f"{file}: pbx is not a list of tables.", remedy="Begin each PBX with [[pbx]], in double brackets."
        )
    by_id: dict[str, Any] = {}
    for number, entry in enumerate(listed, 1):
        pbx_id = entry.get("id")
        if not isinstance(pbx_id, str):
            raise BadSettings(
                f"{file}: the [[pbx]] table number {number} has no id.", remedy='Add, for example: id = "hq"'
            )
        if pbx_id in by_id:
            raise BadSettings(
                f'{file}: two [[pbx]] tables have the id "{pbx_id}".', remedy="Give each PBX its own id."
            )
        by_id[pbx_id] = {key: value for key, value in entry.items() if key != "id"}
    values["pbx"] = by_id


def _key_connections_by_name(file: Path | None, values: dict[str, Any]) -> tuple[str, ...]:
    crm = values.get("crm", {})
    listed = crm.get("connections", []) if isinstance(crm, dict) else []
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise BadSettings(
            f"{file}: crm.connections is not a list of tables.",
            remedy="Begin each CRM with [[crm.connections]], in double brackets.",
        )
    by_name: dict[str, Any] = {}
    for number, entry in enumerate(listed, 1):
        name = entry.get("name")
        if not isinstance(name, str):
            raise BadSettings(
                f"{file}: the [[crm.connections]] table number {number} has no name.",
                remedy='Add, for example: name = "sales"',
            )
        if name in by_name:
            raise BadSettings(
                f'{file}: two [[crm.connections]] tables have the name "{name}".',
                remedy="Give each connection its own name.",
            )
        by_name[name] = {key: value for key, value in entry.items() if key != "name"}
    if listed:
        values["crm"] = crm | {"connections": by_name}
    return tuple(by_name)


def _with_secrets(settings: Settings, beside: Path) -> Settings:
    """The same settings with every secret that stands in a file read from it."""
    database = database_with_secrets(settings.database, beside)
    return settings.model_copy(
        update={
            "pbx": tuple(pbx_with_secrets(pbx, beside) for pbx in settings.pbx),
            "database": database,
            "web": web_with_secrets(settings.web, beside),
            "recordings": recordings_with_secrets(settings.recordings, database.state_dir, beside),
            "crm": crm_with_secrets(settings.crm, beside),
        }
    )

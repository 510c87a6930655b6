"""Every setting, in one place: one TOML file, the environment above it, secrets from files if so wished.

This is the only module that reads the environment. Order of precedence: environment, file, default. A setting
`[web] port` is `SWITCHHOOK_WEB__PORT` in the environment; the PBX whose id is "hq" is `SWITCHHOOK_PBX__HQ__HOST`.
Whatever is wrong with a configuration is told as one sentence with the place and the remedy, as a `BadSettings`.

The page docs/reference/settings.md is written by `reference()` from the fields below; a test keeps it current.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from telephony.errors import NeedsPerson

ENVIRONMENT_PREFIX = "SWITCHHOOK_"
DEFAULT_FILES = (Path("switchhook.toml"), Path("/etc/switchhook/switchhook.toml"))
"""Where the file is looked for, in order, when --config does not name one."""

SECRET_FILE_BYTES = 4096  # a secret is a line; more than this is a wrong path (a key store, a log)


class BadSettings(NeedsPerson):
    """The configuration cannot be used."""


def setting(default: Any, meaning: str, *, unit: str = "", reason: str = "", **limits: Any) -> Any:
    """A field with what its reader needs to know. `default` is `...` for a field that must be given."""
    return Field(default, description=meaning, json_schema_extra={"unit": unit, "reason": reason}, **limits)


def _is_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as mistake:
        raise ValueError(f"is not a regular expression: {mistake}") from mistake
    return value


Pattern = Annotated[str, AfterValidator(_is_pattern)]


def _is_time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as mistake:
        raise ValueError("is not a time zone as in Europe/Riga or America/Bogota") from mistake
    return value


TimeZone = Annotated[str, AfterValidator(_is_time_zone)]


def _is_network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as mistake:
        raise ValueError("is not a network as in 10.0.0.5/32 or 192.168.1.0/24") from mistake
    return value


Network = Annotated[str, AfterValidator(_is_network)]


def machine_time_zone() -> tzinfo:
    """What this machine's clock on the wall shows, summer time included where its zone has a name."""
    named = (
        os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    )
    try:
        return ZoneInfo(named)
    except (KeyError, ValueError, OSError):
        return datetime.now().astimezone().tzinfo or UTC


class Section(BaseModel):
    """A table of the file. A key that is not known is a mistake, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PbxSettings(Section):
    """One Asterisk to observe. The table may be repeated: one `[[pbx]]` per PBX."""

    id: str = setting(
        ...,
        "Short name of this PBX. Part of every call's identity.",
        reason="Choose once: a call that was kept under one id is not found under another.",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
    )
    host: str = setting(
        "127.0.0.1",
        "Name or address of its manager interface (AMI).",
        reason="Beside Asterisk on one machine nothing has to be opened to the network.",
        min_length=1,
    )
    port: int = setting(
        5038,
        "Port of the manager interface.",
        reason="Asterisk's own default; 5039 with TLS.",
        ge=1,
        le=65535,
    )
    username: str = setting(
        "switchhook",
        "AMI user, the name in brackets in manager.conf.",
        reason="The name that `switchhook init` writes.",
        min_length=1,
    )
    secret: SecretStr | None = setting(
        None, "The AMI user's secret.", reason="Prefer secret_file: this file is easily copied into a ticket."
    )
    secret_file: Path | None = setting(
        None,
        "File that holds the secret and nothing else. A relative path counts from the configuration file.",
        reason="Without either, the systemd credential `ami_secret.ID`, then `ami_secret`, is used.",
    )
    tls: bool = setting(
        False,
        "Speak TLS with the manager interface.",
        reason="Off, because on loopback nobody listens in between.",
    )
    tls_ca: Path | None = setting(
        None,
        "Certificate (PEM) that must have signed the PBX's own.",
        reason="Without it the system's authorities decide, which a self-signed PBX does not satisfy.",
    )
    extensions: Pattern = setting(
        r"^\d{2,6}$",
        "Endpoints whose name matches are extensions: our own phones.",
        reason="Two to six digits is how nearly every office numbers its handsets.",
    )
    trunks: Pattern | None = setting(
        None,
        "Endpoints whose name matches are trunks, even where they match `extensions`.",
        reason="Without it, whatever is no extension is a trunk.",
    )
    default_region: str = setting(
        "RU",
        "Country in which a number without a country code is dialled (ISO 3166, two letters).",
        reason="Must be where the PBX stands; it decides what 8916… means.",
        pattern=r"^[A-Z]{2}$",
    )
    area_code: str | None = setting(
        None,
        "Area code to put before short local numbers.",
        reason="Without it a seven-digit local number stays as it was dialled.",
        pattern=r"^\d{1,6}$",
    )
    outside_prefix: str | None = setting(
        None,
        "Digits dialled to get a line, such as 9 or 0.",
        reason="With it 9 8 916… is told as the number that was called.",
        pattern=r"^\d{1,3}$",
    )
    cel_file: Path | None = setting(
        None,
        "The CSV file in which Asterisk's cel_custom writes channel events, readable from here.",
        reason="With it, calls that began and ended while nobody observed are told from CEL; without it they are not.",
    )
    cel_url: SecretStr | None = setting(
        None,
        "postgresql://user:password@host/name of the database in which cel_pgsql or cel_odbc writes channel events.",
        reason="Instead of cel_file, for a PBX on another machine. It is only read; a user with SELECT is enough.",
    )
    cel_table: str = setting(
        "cel",
        "The table there; its times are UTC (usegmtime = yes).",
        reason="The name in Asterisk's own sample.",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$",
    )
    recordings_dir: Path | None = setting(
        None,
        "The directory into which this PBX writes its recordings, readable from here.",
        reason="For a PBX on this machine, or a mounted share; without it recordings are expected and never fetched.",
    )
    upload_token: SecretStr | None = setting(
        None,
        "What a PBX on another machine shows when it sends its recordings with switchhook-upload.",
        reason="Prefer upload_token_file: this file is easily copied into a ticket.",
    )
    upload_token_file: Path | None = setting(
        None,
        "File that holds the upload token and nothing else, at least 32 characters.",
        reason="Without either, the systemd credential `upload_token.ID`; without that, no uploads are taken.",
    )


class DatabaseSettings(Section):
    """Where calls are kept. Either a PostgreSQL of your own (`url`), or one that Switchhook starts (`state_dir`)."""

    url: SecretStr | None = setting(
        None,
        "postgresql://user:password@host:5432/name of your own server.",
        reason="Without it Switchhook starts its own PostgreSQL below state_dir.",
    )
    url_file: Path | None = setting(
        None,
        "File that holds the url and nothing else.",
        reason="Keeps the password out of this file; the systemd credential `database_url` does the same.",
    )
    state_dir: Path | None = setting(
        None,
        "Directory for what must survive a restart: the embedded database and the spool.",
        reason="Without it: $STATE_DIRECTORY (systemd), else ~/.local/state/switchhook.",
    )


class WebSettings(Section):
    """The pages and the API."""

    host: str = setting(
        "127.0.0.1",
        "Address to listen on.",
        reason="Only this machine, until a proxy with TLS stands in front; 0.0.0.0 opens it to the network.",
        min_length=1,
    )
    port: int = setting(
        8088, "Port to listen on; 0 takes any free one.", reason="8080 is too often taken.", ge=0, le=65535
    )
    time_zone: TimeZone | None = setting(
        None,
        "The office's wall clock, for every time on a page, for example Europe/Riga.",
        reason="Without it the time zone that this machine is set to.",
    )
    public_url: str | None = setting(
        None,
        "The address as people type it, for example https://calls.example.com.",
        reason="Decides whether cookies are marked Secure, and what links in messages say.",
        pattern=r"^https?://[^\s/]+(/\S*)?$",
    )
    mask_numbers_for: tuple[Literal["manager", "supervisor"], ...] = setting(
        (),
        'Roles that see only the last two digits of outside numbers, for example ["manager"].',
        reason="Whoever calls clients needs their numbers; hide them where clients could be taken along.",
    )


class RecordingSettings(Section):
    """Where recordings are kept. A local directory, unless an S3 bucket is named; encrypted, if there is a key."""

    directory: Path | None = setting(
        None,
        "Directory for the audio; with S3 only for files in work.",
        reason="Without it: recordings below state_dir.",
    )
    key_file: Path | None = setting(
        None,
        "File with the keys that encrypt audio at rest: a line each, a name, a space, 64 hexadecimal digits.",
        reason="The first line encrypts, the others still open what is older. Without it, nor the systemd credential "
        "`recording_keys`, audio lies as it is.",
    )
    s3_bucket: str | None = setting(
        None, "The bucket.", reason="Without it the local directory is used.", min_length=1
    )
    s3_endpoint: str | None = setting(
        None,
        "Address of an S3 of your own, for example https://s3.example.com.",
        reason="Without it, Amazon's.",
        pattern=r"^https?://[^\s/]+(/\S*)?$",
    )
    s3_region: str = setting("us-east-1", "Its region.", reason="What most servers of one's own accept.")
    s3_access_key: str | None = setting(None, "Name of the key.", reason="Belongs to the bucket.")
    s3_secret_key: SecretStr | None = setting(
        None,
        "The key's secret.",
        reason="Prefer s3_secret_key_file: this file is easily copied into a ticket.",
    )
    s3_secret_key_file: Path | None = setting(
        None,
        "File that holds the key's secret and nothing else.",
        reason="Without either, the systemd credential `s3_secret_key`.",
    )
    s3_prefix: str = setting(
        "", "Put before the name of every object.", reason="For a bucket that is shared with others."
    )


class HandsetSettings(Section):
    """Who calls, for the displays of the phones: Asterisk asks before they ring. Off until a port or a socket is named."""

    host: str = setting(
        "127.0.0.1",
        "Address on which Asterisk's FastAGI is answered.",
        reason="FastAGI has no password, so it stays on this machine.",
        min_length=1,
    )
    port: int | None = setting(
        None,
        "Port for FastAGI; 4573 is Asterisk's own choice.",
        reason="Without it no port is open.",
        ge=0,
        le=65535,
    )
    socket: Path | None = setting(
        None,
        "Unix socket for the script switchhook-names, for example /run/switchhook/handsets.sock.",
        reason="Without it there is none.",
    )
    socket_for: Literal["group", "everyone"] = setting(
        "group",
        "Who here may use the socket: the group of the user who runs Switchhook (put asterisk in it), or everyone.",
        reason="Under our systemd unit the user is made anew at each start and nobody is in his group: say everyone there.",
    )
    permit: tuple[Network, ...] = setting(
        ("127.0.0.0/8", "::1/128"),
        "Networks from which may be asked on the port.",
        reason="Whoever may ask can read names and companies out of the contact book, number by number.",
    )


class LogSettings(Section):
    """What the person on duty reads. Logs go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "How much is said.", reason="info is one line per thing that happened, not per message."
    )
    format: Literal["console", "json"] = setting(
        "console",
        "console for people, json for a log store.",
        reason="Somebody usually reads the first run by eye.",
    )
    mask_numbers: bool = setting(
        True,
        "Show only the country prefix and the last digits of outside numbers.",
        reason="Logs travel further than the journal does.",
    )


class KeepSettings(Section):
    """How long things are kept."""

    trace_days: int = setting(
        30,
        "How long the raw messages behind each call are kept, so that it can be told again.",
        unit="days",
        reason="A wrong call is usually reported within a month.",
        ge=0,
        le=3650,
    )


class Settings(BaseSettings):
    """Everything that can be set. Get one from `load`."""

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
    keep: KeepSettings = KeepSettings()

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
        """Inside, PBXes travel as {id: fields}, so that the environment can correct one field of one of them."""
        if isinstance(told, dict) and isinstance(told.get("pbx"), dict):
            return told | {"pbx": [{"id": pbx_id} | fields for pbx_id, fields in told["pbx"].items()]}
        return told


def find_file(named: Path | None) -> Path | None:
    """The configuration file to read: the named one (which must exist), else the first default that exists."""
    if named is not None:
        if not named.exists():
            raise BadSettings(
                f"There is no configuration file {named}.",
                remedy="Write one with: switchhook init --config " + str(named),
            )
        return named
    return next((file for file in DEFAULT_FILES if file.exists()), None)


def load(named: Path | None = None) -> Settings:
    """The settings from the file and the environment. Raises BadSettings: one sentence, its place, its remedy."""
    file = find_file(named)
    text = _read(file) if file else ""
    values = _parse(file, text)
    _key_pbxes_by_id(file, values)
    try:
        settings = Settings(**values)
    except ValidationError as mistake:
        raise _told(mistake.errors()[0], file, text) from mistake
    except ValueError as mistake:  # pydantic-settings: a variable that is neither a value nor JSON
        raise BadSettings(
            f"The environment cannot be understood: {_first_line(mistake)}.",
            remedy=f"Correct the {ENVIRONMENT_PREFIX}… variables; see docs/reference/settings.md.",
        ) from mistake
    return _with_secrets(settings, file.parent if file else Path())


def load_for_observing(named: Path | None = None) -> Settings:
    """As `load`, and there is at least one PBX to observe, each with a secret."""
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
    return settings


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as mistake:
        raise BadSettings(
            f"The configuration file {file} cannot be read: {mistake.strerror}.",
            remedy="Give the user who runs Switchhook the right to read it.",
        ) from mistake
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
        raise BadSettings(
            f"{file}, line {line}: this is not TOML ({reason[:1].lower()}{reason[1:]}).",
            remedy='Write key = "value" lines under [section] headings; text needs quotes.',
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


def _told(error: ErrorDetails, file: Path | None, text: str) -> BadSettings:
    """One sentence for the first mistake pydantic found."""
    place = error["loc"]
    if len(place) > 2 and isinstance(place[-1], int):
        place = place[:-1]  # one value of a list: its reader looks for the list's name
    name = _spelled(place)
    variable = ENVIRONMENT_PREFIX + "__".join(str(part) for part in place).upper()
    line = _line_of(text, place)
    where = (
        f"{file}, line {line}"
        if file and line
        else f"environment, {variable}"
        if _in_environment(place)
        else str(file)
    )
    if error["type"] == "extra_forbidden":
        return BadSettings(
            f"{where}: there is no setting {name}.",
            remedy=f"Remove it or correct its spelling; known here: {', '.join(_known(place))}.",
        )
    if error["type"] == "missing":
        return BadSettings(f"{where}: the setting {name} is missing.", remedy=f"Add it: {place[-1]} = …")
    return BadSettings(
        f"{where}: {name} cannot be used: {_plainly(error)}.",
        remedy="See docs/reference/settings.md for what it may be.",
    )


def _plainly(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _spelled(place: tuple[int | str, ...]) -> str:
    """`[[pbx]] port` or `[web] port`, as it stands in the file."""
    if len(place) == 1:
        return f"[{place[0]}]"
    section = f"[[{place[0]}]]" if place[0] == "pbx" else f"[{place[0]}]"
    return f"{section} {place[-1]}"


def _known(place: tuple[int | str, ...]) -> tuple[str, ...]:
    sections = dict(_sections())
    if len(place) > 1 and place[0] in sections:
        return tuple(sections[str(place[0])].model_fields)
    return tuple(sections)


def _in_environment(place: tuple[int | str, ...]) -> bool:
    start = (ENVIRONMENT_PREFIX + str(place[0])).upper()
    return any(name.upper().startswith(start) for name in os.environ)


def _line_of(text: str, place: tuple[int | str, ...]) -> int | None:
    """The line on which a setting stands (or else its section), None when the file does not mention it."""
    wanted, nth = str(place[0]), place[1] if len(place) > 1 and isinstance(place[1], int) else 0
    key = str(place[-1]) if len(place) > 1 else ""
    section, seen, heading = "", -1, None
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[+\s*([\w.-]+)\s*\]+", line):
            section = found[1]
            if section == wanted:
                seen += 1
                heading = number if seen == nth else heading
        elif (_assigns(line, key) and section == wanted and seen == nth) or (
            _assigns(line, wanted) and not section
        ):
            return number
    return heading


def _assigns(line: str, key: str) -> bool:
    return re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line) is not None


def _first_line(mistake: Exception) -> str:
    return str(mistake).splitlines()[0].rstrip(".")


# --- secrets ------------------------------------------------------------


def _with_secrets(settings: Settings, beside: Path) -> Settings:
    """The same settings with every secret that stands in a file read from it."""
    pbxes = tuple(
        pbx.model_copy(
            update={"secret": _pbx_secret(pbx, beside), "upload_token": _upload_token(pbx, beside)}
        )
        for pbx in settings.pbx
    )
    url = settings.database.url or _secret_from(
        settings.database.url_file, beside, "[database] url_file", ("database_url",)
    )
    if url is not None:
        _check_database_url(url)
    database = settings.database.model_copy(
        update={"url": url, "state_dir": settings.database.state_dir or default_state_dir()}
    )
    recordings = _recording_secrets(settings.recordings, database.state_dir, beside)
    return settings.model_copy(update={"pbx": pbxes, "database": database, "recordings": recordings})


def _recording_secrets(
    recordings: RecordingSettings, state_dir: Path | None, beside: Path
) -> RecordingSettings:
    """The audio's directory and the S3 secret filled in."""
    if recordings.s3_secret_key is not None and recordings.s3_secret_key_file is not None:
        raise BadSettings(
            "[recordings] has both s3_secret_key and s3_secret_key_file.",
            remedy="Keep one of them, preferably s3_secret_key_file.",
        )
    secret = recordings.s3_secret_key or _secret_from(
        recordings.s3_secret_key_file, beside, "[recordings] s3_secret_key_file", ("s3_secret_key",)
    )
    key_file = recordings.key_file and beside / recordings.key_file.expanduser()
    return recordings.model_copy(
        update={
            "s3_secret_key": secret,
            "key_file": key_file or _credential("recording_keys"),
            "directory": recordings.directory or (state_dir or default_state_dir()) / "recordings",
        }
    )


def _credential(name: str) -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    found = Path(folder, name) if folder else None
    return found if found and found.exists() else None


UPLOAD_TOKEN_LEAST = 32  # characters; what cannot be guessed over a network, even without a limit on tries


def _upload_token(pbx: PbxSettings, beside: Path) -> SecretStr | None:
    if pbx.upload_token is not None and pbx.upload_token_file is not None:
        raise BadSettings(
            f'The PBX "{pbx.id}" has both upload_token and upload_token_file.',
            remedy="Keep one of them, preferably upload_token_file.",
        )
    token = pbx.upload_token or _secret_from(
        pbx.upload_token_file, beside, "[[pbx]] upload_token_file", (f"upload_token.{pbx.id}",)
    )
    if token is not None and len(token.get_secret_value()) < UPLOAD_TOKEN_LEAST:
        raise BadSettings(
            f'The upload token of the PBX "{pbx.id}" is too short.',
            remedy=f"Take at least {UPLOAD_TOKEN_LEAST} characters, for example from: openssl rand -hex 24",
        )
    return token


def _pbx_secret(pbx: PbxSettings, beside: Path) -> SecretStr | None:
    if pbx.secret is not None and pbx.secret_file is not None:
        raise BadSettings(
            f'The PBX "{pbx.id}" has both secret and secret_file.',
            remedy="Keep one of them, preferably secret_file.",
        )
    credentials = (f"ami_secret.{pbx.id}", "ami_secret")
    return pbx.secret or _secret_from(pbx.secret_file, beside, "[[pbx]] secret_file", credentials)


def _secret_from(
    file: Path | None, beside: Path, name: str, credentials: tuple[str, ...]
) -> SecretStr | None:
    if file is None:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        found = [Path(folder, credential) for credential in credentials] if folder else []
        file = next((each for each in found if each.exists()), None)
        if file is None:
            return None
    path = beside / file.expanduser()
    try:
        with path.open("rb") as opened:
            content = opened.read(SECRET_FILE_BYTES + 1)
        secret = content.decode("utf-8").strip()
    except OSError as mistake:
        raise BadSettings(
            f"{name}: {path} cannot be read: {mistake.strerror}.",
            remedy="Create it with the secret as its only content, readable by the user who runs Switchhook.",
        ) from mistake
    except UnicodeDecodeError as mistake:
        raise BadSettings(f"{name}: {path} is not text.", remedy="Check the path.") from mistake
    if not secret or len(content) > SECRET_FILE_BYTES or "\n" in secret:
        raise BadSettings(
            f"{name}: {path} does not hold one line with a secret.",
            remedy="Write the secret as its only line.",
        )
    return SecretStr(secret)


def _check_database_url(url: SecretStr) -> None:
    try:
        parts = urlsplit(url.get_secret_value())
        well_formed = (
            parts.scheme in {"postgresql", "postgres"} and len(parts.path) > 1 and (parts.port or 1) > 0
        )
    except ValueError:
        well_formed = False
    if not well_formed:
        raise BadSettings(
            "[database] url is not the address of a PostgreSQL database.",
            remedy="Write it as postgresql://user:password@host:5432/name; other databases are not supported.",
        )


def default_state_dir() -> Path:
    """Where state is kept when nothing says so: systemd's directory, else the user's own."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    home = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".local" / "state") / "switchhook"
    except RuntimeError:  # neither HOME nor a passwd entry: a container with a bare uid
        return Path("/var/lib/switchhook")


# --- the reference page ------------------------------------------------------------


def _sections() -> Iterator[tuple[str, type[Section]]]:
    yield "pbx", PbxSettings
    yield "database", DatabaseSettings
    yield "web", WebSettings
    yield "recordings", RecordingSettings
    yield "handsets", HandsetSettings
    yield "logs", LogSettings
    yield "keep", KeepSettings


def reference() -> str:
    """The page docs/reference/settings.md, written from the fields."""
    lines = [
        "# Settings",
        "",
        "This page is written from `switchhook/settings.py`; do not edit it. To write it again:",
        "`./dev run settings-reference > docs/reference/settings.md`",
        "",
        "One TOML file: the one named by `--config`, else `./switchhook.toml`, else `/etc/switchhook/switchhook.toml`.",
        "The environment stands above it: `[web] port` is `SWITCHHOOK_WEB__PORT`, and a field of the PBX whose id",
        "is `hq` is `SWITCHHOOK_PBX__HQ__HOST`. A key that is not listed here is refused, with its line.",
    ]
    for name, section in _sections():
        heading = f"[[{name}]]" if name == "pbx" else f"[{name}]"
        lines += ["", f"## `{heading}`", "", " ".join((section.__doc__ or "").split()), ""]
        lines += ["| key | default | meaning | why this default |", "|---|---|---|---|"]
        lines += [_row(key, field) for key, field in section.model_fields.items()]
    return "\n".join(lines) + "\n"


def _row(key: str, field: Any) -> str:  # pydantic's FieldInfo keeps our notes in an untyped dict
    notes: Mapping[str, str] = field.json_schema_extra
    default = "required" if field.is_required() else "none" if field.default is None else _toml(field.default)
    unit = f" Unit: {notes['unit']}." if notes["unit"] else ""
    cells = (f"`{key}`", default, f"{field.description}{unit}", notes["reason"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return (
        f"`'{value}'`"
        if isinstance(value, str) and "\\" in value
        else f'`"{value}"`'
        if isinstance(value, str)
        else f"`{value}`"
    )

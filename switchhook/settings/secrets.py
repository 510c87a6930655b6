"""Secrets that stand in files of their own, or in systemd's credentials; and where state is kept."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from crm_sync.adapters import OPTIONS
from switchhook.settings.mistakes import BadSettings
from switchhook.settings.tables import (
    CrmConnectionSettings,
    CrmSettings,
    DatabaseSettings,
    PbxSettings,
    RecordingSettings,
    WebSettings,
)

SECRET_FILE_BYTES = 4096  # a secret is a line; more than this is a wrong path (a key store, a log)


def pbx_with_secrets(pbx: PbxSettings, beside: Path) -> PbxSettings:
    """Its AMI secret, upload token and addresses with passwords filled in. Relative paths count from `beside`."""
    return pbx.model_copy(
        update={
            "secret": _pbx_secret(pbx, beside),
            "upload_token": _upload_token(pbx, beside),
            "cel_url": _log_address(pbx, "cel_url", pbx.cel_url, pbx.cel_url_file, beside),
            "cdr_url": _log_address(pbx, "cdr_url", pbx.cdr_url, pbx.cdr_url_file, beside),
        }
    )


def web_with_secrets(web: WebSettings, beside: Path) -> WebSettings:
    """The metrics token filled in."""
    if web.metrics_token is not None and web.metrics_token_file is not None:
        raise BadSettings(
            "[web] has both metrics_token and metrics_token_file.",
            remedy="Keep one of them, preferably metrics_token_file.",
        )
    token = web.metrics_token or _secret_from(
        web.metrics_token_file, beside, "[web] metrics_token_file", ("metrics_token",)
    )
    if token is not None and len(token.get_secret_value()) < TOKEN_LEAST:
        raise BadSettings(
            "The metrics token is too short.",
            remedy=f"Take at least {TOKEN_LEAST} characters, for example from: openssl rand -hex 24",
        )
    return web.model_copy(update={"metrics_token": token})


LOG_SCHEMES = frozenset({"postgresql", "postgres", "mysql", "mariadb"})


def _log_address(
    pbx: PbxSettings, name: str, url: SecretStr | None, file: Path | None, beside: Path
) -> SecretStr | None:
    """The address of the database with a log of the PBX: from the setting, its file or systemd's credential."""
    if url is not None and file is not None:
        raise BadSettings(
            f'The PBX "{pbx.id}" has both {name} and {name}_file.',
            remedy=f"Keep one of them, preferably {name}_file.",
        )
    found = url or _secret_from(file, beside, f"[[pbx]] {name}_file", (f"{name}.{pbx.id}",))
    if found is not None and not _is_log_address(found.get_secret_value()):
        raise BadSettings(
            f'{name} of the PBX "{pbx.id}" is not the address of a PostgreSQL or MariaDB database.',
            remedy="Write it as postgresql://user:password@host/name or mysql://user:password@host/name; what is "
            "special in a password is written with % (@ as %40).",
        )
    return found


def _is_log_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in LOG_SCHEMES and len(parts.path) > 1 and (parts.port or 1) > 0
    except ValueError:
        return False


def database_with_secrets(database: DatabaseSettings, beside: Path) -> DatabaseSettings:
    """Its address and the state directory filled in."""
    url = database.url or _secret_from(database.url_file, beside, "[database] url_file", ("database_url",))
    if url is not None:
        _check_database_url(url)
    return database.model_copy(update={"url": url, "state_dir": database.state_dir or default_state_dir()})


def recordings_with_secrets(
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


def crm_with_secrets(crm: CrmSettings, beside: Path) -> CrmSettings:
    """The secret of every connection filled in, where it can be had: systemd hands it to the service only."""
    connections = tuple(_connection_with_secret(connection, beside) for connection in crm.connections)
    return crm.model_copy(update={"connections": connections})


def _connection_with_secret(connection: CrmConnectionSettings, beside: Path) -> CrmConnectionSettings:
    if connection.secret is not None and connection.secret_file is not None:
        raise BadSettings(
            f'The CRM connection "{connection.name}" has both secret and secret_file.',
            remedy="Keep one of them, preferably secret_file.",
        )
    credential = (f"crm_secret.{connection.name}",)
    secret = connection.secret or _secret_from(
        connection.secret_file, beside, "[[crm.connections]] secret_file", credential
    )
    _check_options(connection)
    return connection.model_copy(update={"secret": secret})


def without_secret(connection: CrmConnectionSettings) -> BadSettings:
    """What is said where it is needed."""
    return BadSettings(
        f'The CRM connection "{connection.name}" has no secret.',
        remedy="Set secret_file (or secret) in its [[crm.connections]] table, or give the systemd credential "
        f"crm_secret.{connection.name}.",
    )


def _check_options(connection: CrmConnectionSettings) -> None:
    options = OPTIONS[connection.adapter]
    possible = (*options.required, *options.optional)
    remedy = f"It has: {', '.join(possible)}." if possible else "It has none: remove them."
    for name in connection.options:
        if name not in possible:
            raise BadSettings(
                f'The CRM connection "{connection.name}": {connection.adapter} has no option {name}.',
                remedy=remedy,
            )
    for name in options.required:
        if not connection.options.get(name):
            raise BadSettings(
                f'The CRM connection "{connection.name}" needs the option {name}.',
                remedy="Write it in a table [crm.connections.options] below its [[crm.connections]].",
            )


def _credential(name: str) -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    found = Path(folder, name) if folder else None
    return found if found and found.exists() else None


TOKEN_LEAST = 32  # characters; what cannot be guessed over a network, even without a limit on tries


def _upload_token(pbx: PbxSettings, beside: Path) -> SecretStr | None:
    if pbx.upload_token is not None and pbx.upload_token_file is not None:
        raise BadSettings(
            f'The PBX "{pbx.id}" has both upload_token and upload_token_file.',
            remedy="Keep one of them, preferably upload_token_file.",
        )
    token = pbx.upload_token or _secret_from(
        pbx.upload_token_file, beside, "[[pbx]] upload_token_file", (f"upload_token.{pbx.id}",)
    )
    if token is not None and len(token.get_secret_value()) < TOKEN_LEAST:
        raise BadSettings(
            f'The upload token of the PBX "{pbx.id}" is too short.',
            remedy=f"Take at least {TOKEN_LEAST} characters, for example from: openssl rand -hex 24",
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
    _refuse_unencoded(url.get_secret_value())
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


_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _refuse_unencoded(url: str) -> None:
    """A password with @, /, ? or # as it is ends the address early: the host would be half a password."""
    rest = url.partition("://")[2]
    before, at, _ = rest.partition("?")[0].rpartition("@")
    if "@" in rest and (not at or re.search(r"[@/#?\s]", before) or _PERCENT.search(before)):
        raise BadSettings(
            "[database] url: the user or the password has a character that an address cannot have as it is.",
            remedy="Write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F and % as %25, or take another password.",
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

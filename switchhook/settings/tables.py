"""What can be set: the tables of the configuration file, each field with its meaning, unit, default and the reason for it.

How they are read is `settings.py`. docs/reference/settings.md is written from the fields below; a test keeps it current.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints


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


PhoneName = Annotated[str, StringConstraints(pattern=r"^(?:[A-Za-z0-9]{2,10}/)?[^/@&,;$\s]{1,80}$")]
"""An endpoint, `alice` or `PJSIP/alice`."""
ExtensionName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,39}$")]


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


REGION_MISTAKES = {
    "UK": "GB",
    "EN": "GB",
    "SP": "ES",
    "SU": "RU",
    "KO": "KR",
    "JA": "JP",
    "CS": "CZ",
    "DA": "DK",
    "SW": "SE",
}
"""What is written for a country, and how ISO 3166 writes it."""


def _is_region(value: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS

    if value not in SUPPORTED_REGIONS:
        meant = REGION_MISTAKES.get(value)
        raise ValueError(
            f"has no country for {value}" + (f"; {meant} is meant, as in ISO 3166" if meant else "")
        )
    return value


Region = Annotated[str, AfterValidator(_is_region)]


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
    phones: dict[PhoneName, ExtensionName] = setting(
        {},
        'Whose phone an endpoint is, where neither its name nor a hint says so: `alice = "101"` in a table '
        "`[pbx.phones]` below its `[[pbx]]`.",
        reason="Hints of the dialplan say it by themselves; the staff page can say it too, and this stands above both.",
        max_length=5_000,
    )
    default_region: Region = setting(
        "RU",
        "Country in which a number without a country code is dialled (ISO 3166, two letters).",
        reason="Must be where the PBX stands; it decides what 8916… means.",
        pattern=r"^[A-Z]{2}$",
    )
    area_code: str | None = setting(
        None,
        "Area code to put before short local numbers.",
        reason="Without it a local number of seven or eight digits stays as it was dialled.",
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
        "postgresql://user:password@host/name or mysql://user:password@host/name of the database in which Asterisk "
        "writes channel events; FreePBX's is MariaDB, named asteriskcdrdb.",
        reason="Instead of cel_file. It is only read; a user with SELECT is enough. Prefer cel_url_file for the password.",
    )
    cel_url_file: Path | None = setting(
        None,
        "File that holds that address and nothing else. A relative path counts from the configuration file.",
        reason="Without either, the systemd credential `cel_url.ID`, where there is one.",
    )
    cel_table: str = setting(
        "cel",
        "The table there. Times in local time are found out by the calls' ids and corrected.",
        reason="The name in Asterisk's own sample, and FreePBX's.",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$",
    )
    cdr_url: SecretStr | None = setting(
        None,
        "Address of the database with call detail records, as for cel_url.",
        reason="Only `recordings import` reads it, to find whose call an old recording is of; calls are never told from it.",
    )
    cdr_url_file: Path | None = setting(
        None,
        "File that holds that address and nothing else.",
        reason="Without either, the systemd credential `cdr_url.ID`, where there is one.",
    )
    cdr_table: str = setting(
        "cdr",
        "The table there.",
        reason="The name in Asterisk's own sample, and FreePBX's.",
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
    trusted_proxies: tuple[Network, ...] | None = setting(
        None,
        'Addresses or networks of the reverse proxies in front, for example ["127.0.0.1/32"]. What they say in '
        "X-Forwarded-For and X-Forwarded-Proto is believed.",
        reason="Without it only a proxy on this machine is believed. Anybody else could write what they like there.",
    )
    metrics_token: SecretStr | None = setting(
        None,
        "What a program shows to read /metrics, as `Authorization: Bearer …`.",
        reason="Prefer metrics_token_file: this file is easily copied into a ticket.",
    )
    metrics_token_file: Path | None = setting(
        None,
        "File that holds that token and nothing else, at least 32 characters.",
        reason="Without either, the systemd credential `metrics_token`; without that, only this machine reads /metrics, "
        "and nobody once public_url or trusted_proxies says that a proxy stands in front.",
    )
    monitor_port: int | None = setting(
        None,
        "Port for /healthz, /readyz and /metrics of `run --only bridge`, which has no pages. It listens on `host`.",
        reason="Without it that process opens none.",
        ge=0,
        le=65535,
    )
    mask_numbers_for: tuple[Literal["manager", "supervisor"], ...] = setting(
        (),
        'Roles that see only the last two digits of outside numbers, for example ["manager"].',
        reason="Whoever calls clients needs their numbers; hide them where clients could be taken along.",
    )
    pseudo_language: bool = setting(
        False,
        "Offers a made-up language in My settings: longer, accented, right to left.",
        reason="For developers only: whatever is not translated, or too narrow, stands out in it.",
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
        reason="Whoever may use it can read names and companies out of the contact book, number by number.",
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
    crm_event_days: int = setting(
        30,
        "How long events of calls wait for a CRM that does not take them; those it took are kept for a day.",
        unit="days",
        reason="A CRM that was away for a month is filled from the journal; without one nothing piles up.",
        ge=1,
        le=3650,
    )


class CrmConnectionSettings(Section):
    """One CRM to which calls are delivered. The table may be repeated: one `[[crm.connections]]` per CRM."""

    name: str = setting(
        ...,
        "Short name of this connection, as the Connections page shows it.",
        reason="Choose once: what was delivered is remembered under it.",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
    )
    adapter: Literal["bitrix24_webhook", "amocrm", "odoo", "webhook"] = setting(
        ...,
        "Which CRM it is; webhook is any program of your own that takes signed events.",
        reason="Each has its own how-to in docs/how-to.",
    )
    url: str = setting(
        ...,
        "The CRM's address, for example https://example.bitrix24.com; of a webhook the receiver's own.",
        reason="https://, because the secret travels with each request.",
        pattern=r"^https?://[^\s/]+(/\S*)?$",
    )
    secret: SecretStr | None = setting(
        None,
        "What opens the CRM: the API key (Odoo), the long-lived token (amoCRM), `USER/CODE` of the inbound webhook's "
        "address (Bitrix24), the signing secret `whsec_…` (webhook).",
        reason="Prefer secret_file: this file is easily copied into a ticket.",
    )
    secret_file: Path | None = setting(
        None,
        "File that holds that secret and nothing else. A relative path counts from the configuration file.",
        reason="Without either, the systemd credential `crm_secret.NAME`.",
    )
    options: dict[str, str] = setting(
        {},
        "What only this kind of CRM needs, in a table `[crm.connections.options]` below its `[[crm.connections]]`. "
        "odoo: `database`, `user_id`, `version`. amocrm: `pipeline_id`, `source_uid`, `source_name`.",
        reason="The how-to of each CRM says where to find them.",
        max_length=20,
    )
    users: dict[ExtensionName, str] = setting(
        {},
        'Whose user in the CRM an extension is: `101 = "7"` in a table `[crm.connections.users]`. '
        "`switchhook crm check NAME` lists the CRM's users and says who is missing.",
        reason="Without it an entry belongs to nobody, or to fallback_user; the extension stands in its text.",
        max_length=5_000,
    )
    fallback_user: str | None = setting(
        None,
        "The CRM's user for calls of extensions that `users` does not name.",
        reason="Without it the CRM decides whose the entry is.",
        min_length=1,
    )
    lines: tuple[str, ...] = setting(
        (),
        'Our numbers whose calls this CRM gets, for example ["+74951000001"]. Outbound calls are then delivered for the '
        "extensions in `users` only.",
        reason="Empty, all calls with somebody outside.",
        max_length=1_000,
    )
    create_leads: bool = setting(
        True,
        "Make a lead of a caller whose number nobody in the CRM has.",
        reason="A call that leaves nothing in the CRM is not called back. Outbound and withheld numbers never make one.",
    )
    allow_private_network: bool = setting(
        False,
        "Let the address lead into a private network, and be http://.",
        reason="Off, so that a mistyped or changed name never sends the secret to a neighbour; on for a CRM of your own.",
    )


class CrmSettings(Section):
    """CRMs to which calls are delivered, each in its own table."""

    connections: tuple[CrmConnectionSettings, ...] = setting(
        (),
        "One `[[crm.connections]]` table per CRM.",
        reason="Without any, nothing leaves this machine.",
    )


SECTIONS: Mapping[str, type[Section]] = {
    "pbx": PbxSettings,
    "database": DatabaseSettings,
    "web": WebSettings,
    "recordings": RecordingSettings,
    "handsets": HandsetSettings,
    "logs": LogSettings,
    "crm": CrmSettings,
    "keep": KeepSettings,
}
"""Every table of the file, in the order of the reference."""

TABLES_IN: Mapping[str, type[Section]] = {"crm.connections": CrmConnectionSettings}
"""Repeated tables inside a table."""

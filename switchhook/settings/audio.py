"""What the settings say about recordings, as the rooms that keep them want to hear it."""

from __future__ import annotations

import re
from pathlib import Path

from call_records.recordings.storage.settings import AudioSettings, S3Settings, StorageKey
from switchhook.settings.mistakes import BadSettings
from switchhook.settings.secrets import SECRET_FILE_BYTES
from switchhook.settings.settings import Settings
from telephony.errors import OurMistake

_KEY_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})\s+([0-9A-Fa-f]{64})")


def audio_settings(settings: Settings) -> AudioSettings:
    """Directory, bucket and keys. Raises BadSettings for a key file that cannot be used."""
    told, state_dir = settings.recordings, settings.database.state_dir
    directory = told.directory or (state_dir and state_dir / "recordings")
    if directory is None:
        raise OurMistake("settings.load always sets database.state_dir")
    bucket = None
    if told.s3_bucket is not None:
        bucket = S3Settings(
            bucket=told.s3_bucket,
            endpoint=told.s3_endpoint,
            region=told.s3_region,
            access_key=told.s3_access_key,
            secret_key=told.s3_secret_key.get_secret_value() if told.s3_secret_key else None,
            prefix=told.s3_prefix,
        )
    return AudioSettings(directory, bucket, keys_in(told.key_file) if told.key_file else ())


def keys_in(file: Path) -> tuple[StorageKey, ...]:
    """The keys of a key file, the one that encrypts first. Raises BadSettings; the message never holds a key."""
    try:
        with file.open("rb") as opened:
            text = opened.read(SECRET_FILE_BYTES * 4).decode("ascii")
    except OSError as mistake:
        raise BadSettings(
            f"[recordings] key_file: {file} cannot be read: {mistake.strerror}.",
            remedy="Give the user who runs Switchhook the right to read it.",
        ) from mistake
    except UnicodeDecodeError:
        raise _not_keys(file, 1) from None
    keys: list[StorageKey] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _KEY_LINE.fullmatch(line.strip())
        if found is None or any(key.id == found[1] for key in keys):
            raise _not_keys(file, number)
        keys.append(StorageKey(found[1], bytes.fromhex(found[2])))
    if not keys:
        raise _not_keys(file, 1)
    return tuple(keys)


def _not_keys(file: Path, line: int) -> BadSettings:
    return BadSettings(
        f"[recordings] key_file: {file}, line {line}: this is not a key of its own name.",
        remedy='Write a line per key, name and 64 hexadecimal digits: echo "2026-1 $(openssl rand -hex 32)"',
    )

"""Credentials of CRMs sealed at rest: AES-256-GCM under a key that lies in a file (0600), never in the database.

What is bound into the sealing is the connection's name: a sealed value that is moved to another row opens nothing. Only
credentials that a CRM renews by itself need storing; the others stand in the configuration and are sealed all the same,
so that there is one way.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telephony.errors import NeedsPerson

KEY_BYTES = 32
NONCE_BYTES = 12


class SecretBox:
    """Seals and opens."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise NeedsPerson(
                f"The key for CRM credentials has {len(key)} bytes instead of {KEY_BYTES}.",
                remedy="Remove the file; a new key is made at the next start, and the credentials of the configuration "
                "are taken again.",
            )
        self._key = key

    def seal(self, content: bytes, name: str) -> bytes:
        """The content as it may be stored in the row of that name."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, content, _bound_to(name))

    def open(self, sealed: bytes, name: str) -> bytes | None:
        """The content; None when it was sealed by another key, or for another row."""
        try:
            return AESGCM(self._key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound_to(name))
        except (InvalidTag, ValueError):
            return None

    def fingerprint(self, content: bytes) -> bytes:
        """Whether two contents are the same, without saying what they are."""
        return hmac.new(self._key, b"switchhook crm origin 1\0" + content, hashlib.sha256).digest()


def read_or_make_key(path: Path) -> bytes:
    """The key in that file (64 hexadecimal digits); a new one where there is none. Raises NeedsPerson."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_key(path)
    except OSError as fault:
        raise _unusable(path, fault.strerror or str(fault)) from fault
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(os.urandom(KEY_BYTES).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key in that file. Raises NeedsPerson."""
    try:
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as fault:
        raise _unusable(path, fault.strerror or str(fault)) from fault
    except ValueError as fault:
        raise _unusable(path, "it is no key") from fault


def _unusable(path: Path, why: str) -> NeedsPerson:
    return NeedsPerson(
        f"The key for CRM credentials in {path} cannot be used: {why}.",
        remedy="Give the user who runs Switchhook the right to read and write it, or remove it: a new one is made.",
    )


def _bound_to(name: str) -> bytes:
    return b"switchhook crm credentials 1\0" + name.encode()

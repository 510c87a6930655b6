"""Audio encrypted at rest: each object under a key of its own, that key wrapped by the office's key.

An object is cut into chunks of 64 KiB, each sealed by AES-256-GCM with the nonce

    chunk number (11 bytes, big-endian) || 1 for the last chunk, else 0 (1 byte)

This is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance", CRYPTO 2015) with the nonce layout of the age file format (age-encryption.org/v1). The number keeps
chunks from being moved, left out or repeated, the last byte keeps the end from being cut off. The key is random and
used for one object only, so no nonce ever comes twice under it. A range is opened by opening its chunks alone.

The object's key lies in the database, wrapped by AES-256-GCM under the office's key with a random nonce. What is bound
into the wrapping is the object's key in the storage (which names the recording) and the id of the office's key: a
wrapped key moved to another row opens nothing. Rotating the office's key wraps the small keys anew and leaves the
audio alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from call_records.recordings.storage.settings import StorageKey
from telephony.errors import NeedsPerson, PeerMistake

CHUNK_BYTES = 65_536  # some 25 s of speech: what a player asks for at a time is one or two chunks
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
KEY_BYTES = 32
NONCE_BYTES = 12
HEADER = b"SWHKAUD1"
"""At the head of every encrypted object, so that a person who finds one knows what it is; the 1 is the layout above."""


class Tampered(PeerMistake):
    """This recording's stored audio is not what was stored: it was changed, cut or exchanged."""

    def __init__(self) -> None:
        super().__init__(
            (type(self).__doc__ or "").strip(),
            remedy="Run `switchhook recordings verify` and restore the recording from a backup.",
        )


class Locked(NeedsPerson):
    """The key of this recording's stored audio is missing or another one."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Which bytes of the stored object hold a range of the audio."""

    first: int
    last: int
    first_chunk: int


class KeyRing:
    """The office's keys: the first wraps what is new, each unwraps what it wrapped."""

    def __init__(self, keys: Iterable[StorageKey]) -> None:
        self._keys: dict[str, StorageKey] = {}
        for key in keys:
            if len(key.secret) != KEY_BYTES:
                raise NeedsPerson(
                    "The storage key {id} has {length} bytes instead of {key_bytes}.",
                    remedy="Make one with `openssl rand -hex 32`.",
                    values={"id": key.id, "length": len(key.secret), "key_bytes": KEY_BYTES},
                )
            if key.id in self._keys:
                raise NeedsPerson(
                    "Two storage keys are called {id}.", remedy="Give each its own id.", values={"id": key.id}
                )
            self._keys[key.id] = key

    @property
    def newest(self) -> str | None:
        """The id of the key that wraps what is new; None when nothing is to be encrypted."""
        return next(iter(self._keys), None)

    def wrap(self, secret: bytes, object_key: str) -> tuple[str, bytes]:
        """The id of the newest key, and the object's secret wrapped by it."""
        newest = self._keys[self.newest or ""]
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(newest.secret).encrypt(nonce, secret, _bound_to(newest.id, object_key))
        return newest.id, nonce + sealed

    def unwrap(self, key_id: str, wrapped: bytes, object_key: str) -> bytes:
        """The object's secret. Raises Locked naming a key that is missing or does not fit."""
        if key_id not in self._keys:
            raise Locked(
                f"The storage key {key_id} is missing.",
                remedy=f"Put the key {key_id} back into [recordings] key_file; without it this audio stays closed.",
            )
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return AESGCM(self._keys[key_id].secret).decrypt(nonce, sealed, _bound_to(key_id, object_key))
        except (InvalidTag, ValueError) as cause:
            raise Locked(
                f"The storage key {key_id} does not open this recording.",
                remedy=f"Check that the key called {key_id} is the one it was; two keys must not share an id.",
            ) from cause


def new_secret() -> bytes:
    """A key for one object."""
    return AESGCM.generate_key(KEY_BYTES * 8)


def seal_file(secret: bytes, source: BinaryIO, target: BinaryIO) -> tuple[int, bytes]:
    """Encrypt the whole of `source` into `target`, chunk by chunk. Returns its length and its SHA-256.

    Call it once for a secret: a second content under the same secret would repeat nonces.
    """
    cipher, digest, length, number = AESGCM(secret), hashlib.sha256(), 0, 0
    target.write(HEADER)
    chunk = source.read(CHUNK_BYTES)
    while True:
        following = source.read(CHUNK_BYTES)
        digest.update(chunk)
        length += len(chunk)
        target.write(cipher.encrypt(_nonce(number, last=not following), chunk, HEADER))
        if not following:
            return length, digest.digest()
        chunk, number = following, number + 1


def sealed_length(length: int) -> int:
    """Bytes of the stored object for so many bytes of audio."""
    return len(HEADER) + length + TAG_BYTES * chunks(length)


def chunks(length: int) -> int:
    """How many chunks so many bytes of audio take; nothing at all still takes one, which says that it is the last."""
    return max(1, -(-length // CHUNK_BYTES))


def slice_for(first: int, last: int, length: int) -> Slice:
    """Where in the stored object the audio's bytes `first` to `last`, both included, are."""
    first_chunk, last_chunk = first // CHUNK_BYTES, last // CHUNK_BYTES
    end = min(len(HEADER) + (last_chunk + 1) * SEALED_CHUNK_BYTES, sealed_length(length))
    begin = (
        len(HEADER) + first_chunk * SEALED_CHUNK_BYTES if first_chunk else 0
    )  # the first brings the header
    return Slice(begin, end - 1, first_chunk)


def open_slice(secret: bytes, sealed: bytes, first: int, last: int, length: int) -> bytes:
    """The audio's bytes `first` to `last` out of what `slice_for` asked for. Raises Tampered."""
    where = slice_for(first, last, length)
    if len(sealed) != where.last - where.first + 1:
        raise Tampered
    if where.first == 0:
        if not sealed.startswith(HEADER):
            raise Tampered
        sealed = sealed[len(HEADER) :]
    audio = b"".join(_opened(secret, sealed, where.first_chunk, chunks(length)))
    skip = first - where.first_chunk * CHUNK_BYTES
    return audio[skip : skip + last - first + 1]


def _opened(secret: bytes, sealed: bytes, number: int, count: int) -> Iterator[bytes]:
    cipher = AESGCM(secret)
    for begin in range(0, len(sealed), SEALED_CHUNK_BYTES):
        chunk = sealed[begin : begin + SEALED_CHUNK_BYTES]
        try:
            yield cipher.decrypt(_nonce(number, last=number == count - 1), chunk, HEADER)
        except (InvalidTag, ValueError) as cause:
            raise Tampered from cause
        number += 1


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(NONCE_BYTES - 1, "big") + (b"\x01" if last else b"\x00")


def _bound_to(key_id: str, object_key: str) -> bytes:
    return b"switchhook wrapped key 1\x00" + key_id.encode() + b"\x00" + object_key.encode()

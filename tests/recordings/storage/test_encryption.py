"""The layout of encrypted audio: any range, and nothing that was touched."""

from __future__ import annotations

import hashlib
import io
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from call_records.recordings.storage import encryption
from call_records.recordings.storage.encryption import (
    CHUNK_BYTES,
    HEADER,
    SEALED_CHUNK_BYTES,
    KeyRing,
    Locked,
    Tampered,
    open_slice,
    seal_file,
    slice_for,
)
from call_records.recordings.storage.settings import StorageKey
from telephony.errors import NeedsPerson

SECRET = bytes(range(32))
OLD, NEW = StorageKey("old", b"o" * 32), StorageKey("new", b"n" * 32)
EDGES = (1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 17)
AUDIO = os.urandom(max(EDGES))


def sealed(length: int, secret: bytes = SECRET) -> bytes:
    target = io.BytesIO()
    told = seal_file(secret, io.BytesIO(AUDIO[:length]), target)
    assert told == (length, hashlib.sha256(AUDIO[:length]).digest())
    assert len(target.getvalue()) == encryption.sealed_length(length)
    return target.getvalue()


SEALED = {length: sealed(length) for length in EDGES}


def read(stored: bytes, first: int, last: int, length: int) -> bytes:
    """As the shelf reads: only the bytes that hold the range."""
    where = slice_for(first, last, length)
    return open_slice(SECRET, stored[where.first : where.last + 1], first, last, length)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, int]:
    length = draw(st.sampled_from(EDGES))
    first = draw(st.integers(0, length - 1))
    return length, first, draw(st.integers(first, length - 1))


@given(wanted=ranges())
@example(wanted=(2 * CHUNK_BYTES, CHUNK_BYTES - 1, CHUNK_BYTES))
@example(wanted=(2 * CHUNK_BYTES, CHUNK_BYTES, 2 * CHUNK_BYTES - 1))
def test_any_range_is_what_it_is_in_the_whole(wanted: tuple[int, int, int]) -> None:
    """A player seeks anywhere; no more than the chunks of the range are read."""
    length, first, last = wanted
    assert read(SEALED[length], first, last, length) == AUDIO[first : last + 1]
    where = slice_for(first, last, length)
    most = (last // CHUNK_BYTES - first // CHUNK_BYTES + 1) * SEALED_CHUNK_BYTES + len(HEADER)
    assert where.last - where.first + 1 <= most


@given(length=st.sampled_from(EDGES), place=st.integers(0), bit=st.integers(0, 7))
def test_a_single_flipped_bit_is_never_sound(length: int, place: int, bit: int) -> None:
    """A disk or a person changes one bit anywhere: header, audio or seal."""
    stored = bytearray(SEALED[length])
    stored[place % len(stored)] ^= 1 << bit
    with pytest.raises(Tampered):
        read(bytes(stored), 0, length - 1, length)


def test_chunks_cannot_be_moved_repeated_or_left_out() -> None:
    """Somebody who may write to the storage cuts the angry part out of a call, or plays a part twice."""
    length = 3 * CHUNK_BYTES + 17
    stored = SEALED[length]
    chunks = [
        stored[at : at + SEALED_CHUNK_BYTES] for at in range(len(HEADER), len(stored), SEALED_CHUNK_BYTES)
    ]
    for order in ([1, 0, 2, 3], [0, 0, 2, 3], [0, 2, 3], [0, 1, 2]):
        changed = HEADER + b"".join(chunks[one] for one in order)
        with pytest.raises(Tampered):
            read(changed, 0, length - 1, length)


def test_a_shorter_length_in_the_row_is_found_out() -> None:
    """Object and row are both cut at a chunk: the last chunk was not sealed as the last."""
    shorter = 2 * CHUNK_BYTES
    with pytest.raises(Tampered):
        read(SEALED[3 * CHUNK_BYTES + 17][: encryption.sealed_length(shorter)], 0, shorter - 1, shorter)


def test_an_object_of_another_recording_is_not_opened() -> None:
    """Two objects of one length change places."""
    other = sealed(CHUNK_BYTES + 1, b"x" * 32)
    with pytest.raises(Tampered):
        read(other, 0, CHUNK_BYTES, CHUNK_BYTES + 1)


def test_the_layout_is_that_of_the_first_release() -> None:
    """What an office stored must stay readable: these bytes may only change with a new header."""
    target = io.BytesIO()
    seal_file(SECRET, io.BytesIO(bytes(CHUNK_BYTES) + b"end"), target)
    assert hashlib.sha256(target.getvalue()).hexdigest() == (
        "393dcc87a355925e35bdc8d4d77a8b3fb5d302eec0c9546c45c24007b6487f0e"
    )


def test_the_newest_key_wraps_and_the_older_still_unwrap() -> None:
    """The office adds a key in front; yesterday's recordings play on."""
    key_id, wrapped = KeyRing([OLD]).wrap(SECRET, "2026/a-1.m4a.enc")
    ring = KeyRing([NEW, OLD])
    assert (key_id, ring.newest) == ("old", "new")
    assert ring.unwrap("old", wrapped, "2026/a-1.m4a.enc") == SECRET
    assert ring.wrap(SECRET, "k")[0] == "new"
    assert ring.wrap(SECRET, "k")[1] != ring.wrap(SECRET, "k")[1]


def test_a_missing_or_wrong_key_is_named() -> None:
    """The file with the keys was restored without the old one; or somebody reused its name."""
    _, wrapped = KeyRing([OLD]).wrap(SECRET, "k")
    with pytest.raises(Locked, match="old is missing"):
        KeyRing([NEW]).unwrap("old", wrapped, "k")
    with pytest.raises(Locked, match="old does not open"):
        KeyRing([StorageKey("old", b"x" * 32)]).unwrap("old", wrapped, "k")


def test_a_wrapped_key_opens_only_its_own_object() -> None:
    """Somebody who may write to the database gives one recording the key and object of another."""
    _, wrapped = KeyRing([OLD]).wrap(SECRET, "2026/a-1.m4a.enc")
    with pytest.raises(Locked):
        KeyRing([OLD]).unwrap("old", wrapped, "2026/b-2.m4a.enc")


@pytest.mark.parametrize("keys", [[StorageKey("short", b"x" * 31)], [OLD, StorageKey("old", b"y" * 32)]])
def test_keys_that_cannot_be_used_are_refused_at_the_start(keys: list[StorageKey]) -> None:
    """A key of 31 bytes; two keys with one name."""
    with pytest.raises(NeedsPerson):
        KeyRing(keys)

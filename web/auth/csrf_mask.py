"""A CSRF token is written differently into every answer, so that nobody can guess it from how well a compressed page
compresses (BREACH). The mask is written before it; whoever reads takes it off again."""

from __future__ import annotations

import secrets

TOKEN_BYTES = 32


def mask_token(token: str) -> str:
    """A token of 64 hexadecimal digits as 128 others: the mask, and the token under it."""
    plain = bytes.fromhex(token)
    mask = secrets.token_bytes(len(plain))
    return (mask + _xor(mask, plain)).hex()


def unmask_token(shown: str) -> bytes:
    """The token's bytes; nothing that could be right for what is no token."""
    try:
        told = bytes.fromhex(shown) if len(shown) <= 4 * TOKEN_BYTES else b""
    except ValueError:
        return b""
    if len(told) == 2 * TOKEN_BYTES:
        return _xor(told[:TOKEN_BYTES], told[TOKEN_BYTES:])
    return told if len(told) == TOKEN_BYTES else b""


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(left, right, strict=True))

"""Where audio is kept and how, as `switchhook.settings.settings` tells it: frozen, no environment read here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket at anybody's S3."""

    bucket: str
    endpoint: str | None = None
    """None is Amazon's own."""
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    prefix: str = ""
    """Put before every key, for a bucket that is shared with others."""


@dataclass(frozen=True, slots=True)
class StorageKey:
    """A key that wraps the keys of single recordings. `id` is kept beside each recording; the secret never is."""

    id: str
    secret: bytes = field(repr=False)
    """32 bytes."""


@dataclass(frozen=True, slots=True)
class AudioSettings:
    """One office's storage."""

    directory: Path
    """Local storage; with S3 only the place for files in work."""
    s3: S3Settings | None = None
    keys: tuple[StorageKey, ...] = ()
    """The first encrypts what is new, the others still open what is old; empty keeps audio unencrypted."""

    @property
    def kept(self) -> Path:
        """The stored audio itself, where it is kept locally."""
        return self.directory / "kept"

    @property
    def work(self) -> Path:
        """Files in work; emptied at each start."""
        return self.directory / "work"

    @property
    def arrivals(self) -> Path:
        """What remote PBXes uploaded, until it was processed and verified."""
        return self.directory / "arrivals"

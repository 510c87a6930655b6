"""Templates compiled before anybody asks for their page, and once in a process.

Compiling the largest takes 0.1 s of computing: done in the event loop, at the first request, AMI's events would wait that
long. So a thread does it while the service starts (the interpreter changes threads every few milliseconds), and what is
compiled is kept for every environment of the process.
"""

from __future__ import annotations

import asyncio
from threading import Lock

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket


class ProcessBytecode(BytecodeCache):
    """Compiled templates by name and source (jinja2 gives the key); a changed template has another checksum."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket, should it be here."""
        with self._lock:
            compiled = self._compiled.get(bucket.key)
        if compiled is not None:
            bucket.bytecode_from_string(compiled)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        with self._lock:
            self._compiled[bucket.key] = bucket.bytecode_to_string()


BYTECODE = ProcessBytecode()


async def compile_templates(environment: Environment) -> None:
    """All of them, one at a time in a thread; may be cancelled between two."""
    for name in environment.list_templates(extensions=("html",)):
        await asyncio.to_thread(environment.get_template, name)

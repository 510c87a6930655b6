"""What the person on duty reads: one line per thing that happened, to standard error.

For people by default, JSON for a log store by setting. A call's id and an extension are bound for the length of a
block (`bound`), so that every line inside says whose call it is about. Whatever looks like a secret is dropped and
outside phone numbers are masked before a line leaves the process: logs travel further than the journal does.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Literal, TextIO
from uuid import UUID

import structlog

from switchhook.process.log_limit import LogLimit

SECRET_KEY = re.compile(
    r"secret|passw|token|cookie|authorization|credential|api_?key|private_?key|session_id", re.IGNORECASE
)

PHONE_NUMBER = re.compile(r"(?<![\w.-])(\+?)(\d{7,15})(?![\w-]|\.\d)")
"""Seven digits is the shortest number that means a subscriber outside (a local number), fifteen the longest E.164.
Letters, dots and hyphens beside the digits mean a uniqueid, a UUID or a version: those stay."""

NUMBER_KEY = re.compile(r"(^|_)(caller|callee|did|number|phone|raw|requested|dialled)(_|$)")
"""Keys whose text is a number however it is written: `8 (916) 111-00-05` is recognised by nothing else."""

SHORTEST_OUTSIDE = 7  # digits; what is shorter is an extension, a feature code or an emergency number

COUNTRY_DIGITS = (
    2  # kept at the start of an E.164 number: enough to see a routing mistake, not whose number it is
)
LAST_DIGITS = 2  # kept at the end: enough to recognise a number one already knows

NOT_NUMBERS = frozenset({"call_id", "uniqueid", "linkedid", "timestamp", "event_id"})

Event = MutableMapping[str, Any]


def set_up(
    *,
    level: str = "info",
    form: Literal["console", "json"] = "console",
    mask_numbers: bool = True,
    stream: TextIO | None = None,
) -> None:
    """Send everything, the libraries' own lines included, through the same processors to `stream` (standard error)."""
    stream = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exceptions_as_text,
        without_secrets,
        *([with_masked_numbers] if mask_numbers else []),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty())
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(LogLimit(_say_held_back))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # its steps are no news to the person on duty
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _say_held_back(kind: str, level: int, held_back: int) -> None:
    structlog.get_logger(__name__).log(
        level, "lines_held_back", kind=kind, said=f"… and {held_back:,} more like this within a minute"
    )


def bound(
    *, call_id: UUID | None = None, extension: str | None = None, pbx: str | None = None
) -> AbstractContextManager[Any]:
    """Every line logged inside carries these; tasks started inside inherit them."""
    given = {"call_id": str(call_id) if call_id else None, "extension": extension, "pbx": pbx}
    return structlog.contextvars.bound_contextvars(
        **{key: value for key, value in given.items() if value is not None}
    )


def without_secrets(_logger: object, _method: str, event: Event) -> Event:
    """Drop every value whose key looks like a secret, at any depth; the key stays, to show that something was there."""
    return {key: _secretless(key, value) for key, value in event.items()}


def _secretless(key: str, value: Any) -> Any:  # log values are whatever was given
    if SECRET_KEY.search(str(key)):
        return "(hidden)"
    if isinstance(value, Mapping):
        return {inner: _secretless(inner, each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_secretless("", each) for each in value]
    return value


def with_masked_numbers(_logger: object, _method: str, event: Event) -> Event:
    """Mask outside numbers in every text, at any depth. Extensions are too short to be touched."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: str, value: Any) -> Any:
    if key in NOT_NUMBERS:
        return value
    if isinstance(value, str):
        return mask(_digits_joined(value) if NUMBER_KEY.search(key) else value)
    if isinstance(value, Mapping):
        return {inner: _masked(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(key, each) for each in value]
    return value


def _digits_joined(text: str) -> str:
    """`8 (916) 111-00-05` as `89161110005`, so that it can be masked; whatever is too short for a number stays."""
    joined = re.sub(r"[\s().\-/]", "", text)
    return joined if re.fullmatch(rf"\+?\d{{{SHORTEST_OUTSIDE},}}", joined) else text


def mask(text: str) -> str:
    """`+79161110005` becomes `+79…05`; whatever is not a phone number stays as it is."""
    return PHONE_NUMBER.sub(_mask_one, text)


def _mask_one(found: re.Match[str]) -> str:
    plus, digits = found.groups()
    start = digits[:COUNTRY_DIGITS] if plus else ""
    return f"{plus}{start}…{digits[-LAST_DIGITS:]}"


def _exceptions_as_text(logger: Any, method: str, event: Event) -> Event:
    """An exception becomes text here, before masking, so that a number inside its message is masked too."""
    return structlog.processors.format_exc_info(logger, method, event)

"""What reaches a log, and what must not."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog

from switchhook.process import logs

CALL = UUID("0199f6d2-0000-7000-8000-000000000001")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+79161110005", "+79…05"),
        ("89161110005", "…05"),
        ("call from +44 or +442071838750 to 101", "call from +44 or +44…50 to 101"),
        ("extension 101, queue 700", "extension 101, queue 700"),
        ("uniqueid 1795311120.42", "uniqueid 1795311120.42"),
        ("sip:89161110005@10.0.0.1:5060", "sip:…05@10.0.0.1:5060"),
        ("hq-1795311120.42", "hq-1795311120.42"),
        ("0199f6d2-0000-7000-8000-000000000001", "0199f6d2-0000-7000-8000-000000000001"),
        ("2026-11-22T01:32:00.144Z", "2026-11-22T01:32:00.144Z"),
        ("port 5038, 14288 events", "port 5038, 14288 events"),
    ],
)
def test_numbers_are_masked_and_nothing_else_is(text: str, shown: str) -> None:
    """Outside numbers lose their middle; extensions, ids, times and counts stay readable."""
    assert logs.mask(text) == shown


def logged(form: str, **options: bool) -> tuple[io.StringIO, structlog.stdlib.BoundLogger]:
    """A stream and a logger that writes into it."""
    stream = io.StringIO()
    logs.set_up(form="json" if form == "json" else "console", stream=stream, **options)
    return stream, structlog.stdlib.get_logger()


def test_a_json_line_carries_the_call_and_the_extension() -> None:
    """Inside `bound`, every line says whose call it is about; outside, none does."""
    stream, log = logged("json")
    with logs.bound(call_id=CALL, extension="101"):
        log.info("answered", caller="+79161110005")
    log.info("idle")
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (inside["call_id"], inside["extension"], inside["caller"]) == (str(CALL), "101", "+79…05")
    assert inside["event"] == "answered"
    assert "call_id" not in outside


@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_never_reach_a_log(form: str) -> None:
    """Whatever looks like a secret by its key is hidden, however deep it lies."""
    stream, log = logged(form)
    log.info("login", secret="alpha", api_token="beta", headers={"Authorization": "gamma", "Host": "pbx"})
    told = stream.getvalue()
    assert not any(word in told for word in ("alpha", "beta", "gamma"))
    assert "pbx" in told


def test_a_library_s_own_lines_are_masked_too() -> None:
    """A driver that logs a number through the standard library goes through the same processors."""
    stream, _ = logged("json")
    logging.getLogger("somebody").warning("cannot dial %s", "+79161110005")
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "cannot dial +79…05"


def test_a_number_inside_an_exception_is_masked() -> None:
    """The text of an exception travels as far as the line it belongs to."""
    stream, log = logged("json")
    try:
        raise ValueError("no route to +79161110005")
    except ValueError:
        log.exception("dial failed")
    told = stream.getvalue()
    assert "no route to +79…05" in told
    assert "9161110005" not in told


def test_masking_can_be_switched_off() -> None:
    """A laboratory may want whole numbers; secrets stay hidden all the same."""
    stream, log = logged("json", mask_numbers=False)
    log.info("call", caller="+79161110005", password="alpha")
    assert "+79161110005" in stream.getvalue()
    assert "alpha" not in stream.getvalue()


def test_a_number_with_spaces_is_masked_under_a_key_that_means_a_number() -> None:
    """A carrier that sends its numbers nicely written gives nothing away; an extension under the same key stays."""
    stream, log = logged("json")
    log.info("ring", caller_number="8 (916) 111-00-05", requested="101", did="+7 495 100-00-01")
    line = json.loads(stream.getvalue())
    assert (line["caller_number"], line["requested"], line["did"]) == ("…05", "101", "+74…01")

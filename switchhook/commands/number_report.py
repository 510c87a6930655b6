"""`switchhook number`: what the product reads in a text, one line or one object a text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from switchhook.settings.office_numbers import numbering_for
from telephony.numbers.numbers import Numbering, is_certain, is_recognised, written


def main(
    texts: Sequence[str],
    *,
    region: str | None,
    area_code: str | None,
    outside_prefix: str | None,
    as_json: bool,
    config: Path | None,
) -> None:
    """Print what is in each text."""
    numbering, _settings = numbering_for(config, region, area_code, outside_prefix)
    for given in texts:
        # What a shell hands over need not be UTF-8; what we print is.
        text = given.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        told = report(text, numbering)
        print(json.dumps(told, ensure_ascii=False) if as_json else in_words(told))


def report(text: str, numbering: Numbering) -> dict[str, Any]:
    """The numbers of a text by the rules of the pages: what pages refuse to keep is not among them."""
    found = written(text, numbering.region, numbering.area_code, numbering.outside_prefix)
    return {
        "text": text,
        "numbers": [
            {"key": one.key, "extension": one.extension, "valid": is_certain(one.key)}
            for one in found
            if is_recognised(one)
        ],
        "withheld": _says_withheld(text, numbering),
    }


def _says_withheld(text: str, numbering: Numbering) -> bool:
    """Whether it is a phone system's word for a withheld number. An empty field or a dash is one only in a caller id."""
    return any(one.isalnum() for one in text) and numbering.is_withheld(text.strip())


def in_words(told: dict[str, Any]) -> str:
    """`8 495 … доб. 12 → +7495… ext. 12`."""
    numbers = [
        f"{one['key']}{' ext. ' + one['extension'] if one['extension'] else ''}{'' if one['valid'] else ' (uncertain)'}"
        for one in told["numbers"]
    ]
    return f"{told['text']}\t{', '.join(numbers) or ('withheld' if told['withheld'] else 'no number')}"

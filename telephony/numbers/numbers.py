"""Numbers: which are ours, and what an outside number is in E.164.

`101`, `112` and feature codes are never parsed as telephone numbers (a parser makes `+7101` of `101`): extensions are
matched first, then short numbers are kept as they are, and only then phonenumbers is asked (`telephony.numbers.dialling`).
How numbers are found in what people write is `telephony.numbers.phone_text_parser`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from telephony.endpoint_directory import NO_DIRECTORY, Endpoint, EndpointDirectory
from telephony.numbers.dialling import SHORTEST_OUTSIDE, e164, is_certain
from telephony.numbers.national_numbers import may_be_one_line
from telephony.numbers.phone_text_parser import WHOLE, Written, is_recognised, without_extension, written
from telephony.numbers.withheld import is_row_of_one_digit, is_withheld

__all__ = [
    "DEFAULT_EXTENSIONS",
    "SHORTEST_OUTSIDE",
    "WHOLE",
    "Numbering",
    "Written",
    "e164",
    "is_certain",
    "is_recognised",
    "is_withheld",
    "may_be_one_line",
    "without_extension",
    "written",
]

ANSWERS_REMEMBERED = 2_000  # endpoints and dialled texts; whoever dials at random fills no memory
DEFAULT_EXTENSIONS = r"\d{2,6}"


@dataclass(frozen=True, slots=True)
class Numbering:
    """How one PBX numbers its phones and lines."""

    pbx: str = "pbx"
    extensions: str = DEFAULT_EXTENSIONS
    """Regular expression of endpoints that are extensions; without `^` or `$` in it the whole name must match."""
    trunks: str | None = None
    """Regular expression of endpoints that are trunks although they look like extensions."""
    region: str = "RU"
    """Country of numbers written without a country code (ISO 3166, two letters)."""
    area_code: str = ""
    """Digits put before a 7-digit local number."""
    outside_prefix: str = ""
    """Digits dialled to get a line, such as 9 or 0."""
    directory: EndpointDirectory = field(default=NO_DIRECTORY, hash=False)
    """Whose each endpoint is, where its name does not say so."""
    _extension: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _trunk: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _whose: dict[tuple[str, str], str | None] = field(init=False, repr=False, compare=False)
    """Answers given: every change of a call asks them anew."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_extension", _whole(self.extensions))
        object.__setattr__(self, "_trunk", _whole(self.trunks) if self.trunks else None)
        object.__setattr__(self, "_whose", {})

    def extension_of(self, endpoint: str, tech: str = "") -> str | None:
        """The extension whose phone that endpoint is, None when it is a trunk. `tech`: of its channels, where known."""
        asked, answers = (tech, endpoint), self._whose
        if asked not in answers:
            if len(answers) >= ANSWERS_REMEMBERED:
                answers.clear()
            answers[asked] = self.directory.extension_of(
                Endpoint(tech, endpoint), is_extension=self._extension, is_trunk=self._trunk
            )
        return answers[asked]

    def is_extension(self, endpoint: str) -> bool:
        """Whether an endpoint of that name is one of our phones; otherwise it is a trunk."""
        return self.extension_of(endpoint) is not None

    def looks_like_extension(self, text: str) -> bool:
        """Whether it matches `extensions`."""
        return self._extension.search(text) is not None

    def says_trunk(self, endpoint: Endpoint) -> bool:
        """Whether the setting `trunks`, an administrator or the PBX itself says that it is a trunk."""
        return self.directory.is_line(endpoint, self._trunk)

    def is_known_line(self, endpoint: Endpoint) -> bool:
        """Whether it is known as a trunk, from calls too."""
        return self.says_trunk(endpoint) or self.directory.was_line(endpoint)

    def undecided(self, devices: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
        """Those of the PBX's devices of which nobody says whose they are."""
        return self.directory.undecided(devices, is_extension=self._extension, is_trunk=self._trunk)

    def names_extension(self, text: str) -> bool:
        """Whether that is an extension somebody can dial: one of a known phone, or one that looks as ours do."""
        return text in self.directory.extensions or self._extension.search(text) is not None

    def with_directory(self, directory: EndpointDirectory) -> Numbering:
        """The same with another directory."""
        return replace(self, directory=directory)

    def outside(self, raw: str, *, dialled_here: bool = False) -> str | None:
        """The number in E.164, or None when it is withheld, short or not a number at all.

        `dialled_here`: one of our phones dialled it, so that what looks like the outside prefix is the outside prefix.
        """
        return e164(raw, self.region, self.area_code, self.outside_prefix, dialled_here=dialled_here)

    def party(self, raw: str, *, dialled_here: bool = False) -> str:
        """How a dialled or shown number is told: an extension as it is, an outside number in E.164, else the raw text.

        Who dials a phone by its endpoint (`99101`) has dialled its extension.
        """
        if raw in self.directory.extensions:
            return raw
        whose = self.extension_of(raw)
        if whose is not None:
            return whose
        if self._extension.search(raw):
            return raw
        return self.outside(raw, dialled_here=dialled_here) or raw

    def is_withheld(self, raw: str) -> bool:
        """Whether a caller id says that the caller did not want to be known, here: 777777777 is a number in Poland."""
        return is_withheld(raw) or (is_row_of_one_digit(raw) and self.outside(raw) is None)


def _whole(pattern: str) -> re.Pattern[str]:
    """`10[0-9]` means the whole name, as everybody writes it; who writes `^gw` has said where it ends themselves."""
    anchored = pattern.startswith("^") or (pattern.endswith("$") and not pattern.endswith("\\$"))
    return re.compile(pattern if anchored else rf"\A(?:{pattern})\Z")

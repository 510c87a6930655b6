"""Whose endpoint is it: a phone of ours, and of which extension, or a trunk?

An endpoint's name says little. Asterisk's own documentation recommends names such as `alice` or the MAC address of the
phone, a browser is `99101` on a FreePBX, and a trunk may be called `123456` after the account at the carrier. So whoever
knows better is asked, in order of authority (rules of `EndpointDirectory.extension_of`):

| who says so                                                                  | for example                       |
|------------------------------------------------------------------------------|-----------------------------------|
| 1 an administrator: `[pbx.phones]`, the staff page, `trunks`                  | `alice = "101"`                   |
| 2 the PBX has registered at a carrier with it, or dials numbers through it    | `PJSIP/89161234567@123456`        |
| 3 a hint names it                                                             | `101 → PJSIP/alice&PJSIP/99101`   |
| 4 its own caller ID is an extension that its name ends with                   | `99101` calls as 101              |
| 5 calls to our outside numbers come in through it                             | 79161110001 for 74951000001       |
| 6 its name matches `extensions`                                               | `101`                             |
| 7 it is rung without a number, or calls itself by its name: a phone, unnamed | `PJSIP/alice`                     |

Whatever none of these knows is a trunk, and is named on Connections and by the doctor (`undecided`).
Keys are `PJSIP/alice`; in what people write the technology may be left out. Immutable: another answer is another directory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

DEVICES_MOST = 20_000  # endpoints of one PBX; one that names more has lost its mind
DEVICES_OF_HINT = 16  # devices of one person; a longer hint is a group's
NAME_LENGTH = 80  # characters; Asterisk itself cuts channel names at 80

TECHNOLOGIES = ("PJSIP", "SIP", "IAX2", "DAHDI", "SCCP", "Dongle", "MGCP", "Skinny", "UNISTIM")
"""Channel technologies whose devices may be phones, as Asterisk spells them."""

_DEVICE = re.compile(rf"({'|'.join(TECHNOLOGIES)})/([^/@&,;$\s]{{1,{NAME_LENGTH}}})")
_EXTEN = re.compile(r"[0-9A-Za-z][\w.-]{0,39}", re.ASCII)
"""An extension that a hint may name; feature codes (`*47101`) and patterns (`_1XX`) are nobody's."""


class EndpointSource(StrEnum):
    """How something became known of an endpoint; what is kept of each has another life."""

    STAFF = "staff"
    """An administrator said so on a page; stays until they say otherwise."""
    HINT = "hint"
    """Listed by the PBX; replaced by its next list."""
    REGISTRATION = "registration"
    """The PBX registers with it at somebody else's; replaced by the next list."""
    CALLS = "calls"
    """Seen in calls; stays."""
    NUMBERS = "numbers"
    """Outside numbers were dialled through it; stays."""
    UNDECIDED = "undecided"
    """The PBX has it and nobody knows whose it is; replaced by the next list."""


class Endpoint(NamedTuple):
    """A technology and a name, as in `PJSIP/alice`."""

    tech: str
    name: str

    def __str__(self) -> str:
        return f"{self.tech}/{self.name}" if self.tech else self.name


class Hint(NamedTuple):
    """What the dialplan says is behind an extension."""

    extension: str
    devices: tuple[Endpoint, ...]


class EndpointListing(NamedTuple):
    """What a PBX listed of its endpoints; None where it was not asked, or refused to say."""

    hints: tuple[Hint, ...] | None = None
    lines: frozenset[str] | None = None
    """Names with which it registers at somebody else's: trunks."""


class KnownEndpoint(NamedTuple):
    """One thing known of one endpoint, as it is kept."""

    endpoint: str
    """`PJSIP/alice`, or `alice` where the technology was not told."""
    source: EndpointSource
    extension: str | None
    """Whose phone it is; None: a trunk (or, of an undecided one, nobody knows)."""


def read_device(text: str) -> Endpoint | None:
    """`PJSIP/alice` as an endpoint; None for states, queues, parking places and whatever is no telephone."""
    found = _DEVICE.fullmatch(text.strip())
    return Endpoint(found[1], found[2]) if found else None


def read_hint(extension: str, devices: str) -> Hint | None:
    """A hint as the PBX tells it; None when it names nobody's phone."""
    if not _EXTEN.fullmatch(extension):
        return None
    found = tuple(
        dict.fromkeys(one for text in devices[:4_000].split(",")[0].split("&") if (one := read_device(text)))
    )
    return Hint(extension, found) if found and len(found) <= DEVICES_OF_HINT else None


_NOBODY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class EndpointDirectory:
    """Everything known of the endpoints of one PBX. Build it with `directory_of` or the `with_…` methods."""

    phones: Mapping[str, str] = field(default_factory=dict)
    """Said by an administrator: endpoint → extension."""
    lines: frozenset[str] = frozenset()
    """Said by an administrator: trunks."""
    hints: tuple[Hint, ...] = ()
    registered_lines: frozenset[str] = frozenset()
    seen_phones: Mapping[str, str] = field(default_factory=dict)
    """Seen in calls: endpoint → extension, which is its own name where only that it is a phone is known."""
    seen_lines: frozenset[str] = frozenset()
    """Calls to outside numbers of ours came in through these."""
    dialled_lines: frozenset[str] = frozenset()
    """Outside numbers were dialled through these."""
    _hinted: Mapping[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)
    _extensions: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        hinted = dict(_hinted(self.hints))
        object.__setattr__(self, "_hinted", hinted)
        everyone = {*self.phones.values(), *hinted.values(), *self.seen_phones.values()}
        object.__setattr__(self, "_extensions", frozenset(everyone))

    # -- asking ----------------------------------------------------------------------------------------------------

    def extension_of(
        self, endpoint: Endpoint, *, is_extension: re.Pattern[str], is_trunk: re.Pattern[str] | None
    ) -> str | None:
        """The extension whose phone it is, None for a trunk. The rules stand at the head of this module."""
        name = endpoint.name
        said = _look(self.phones, endpoint)
        if said is not None:
            return said
        if self.is_line(endpoint, is_trunk):
            return None
        hinted = self._by_hint(endpoint)
        if hinted is not None:
            return hinted
        seen = _look(self.seen_phones, endpoint)
        if seen is not None and seen != name:
            return seen
        if _has(self.seen_lines, endpoint):
            return None
        if is_extension.search(name):
            return name
        return name if seen is not None else None

    def is_line(self, endpoint: Endpoint, is_trunk: re.Pattern[str] | None) -> bool:
        """Whether somebody says, or dialling showed, that it is a trunk (rules 1 and 2)."""
        return (
            (is_trunk is not None and is_trunk.search(endpoint.name) is not None)
            or _has(self.lines, endpoint)
            or endpoint.name in self.registered_lines
            or _has(self.dialled_lines, endpoint)
        )

    def was_line(self, endpoint: Endpoint) -> bool:
        """Whether calls to outside numbers of ours came in through it."""
        return _has(self.seen_lines, endpoint)

    def is_said(self, endpoint: Endpoint) -> bool:
        """Whether an administrator said whose phone it is."""
        return _look(self.phones, endpoint) is not None

    def _by_hint(self, endpoint: Endpoint) -> str | None:
        keys = [str(endpoint)] if endpoint.tech else [f"{tech}/{endpoint.name}" for tech in TECHNOLOGIES]
        return next((self._hinted[key] for key in keys if key in self._hinted), None)

    def undecided(
        self, devices: Iterable[Endpoint], *, is_extension: re.Pattern[str], is_trunk: re.Pattern[str] | None
    ) -> tuple[Endpoint, ...]:
        """Those of the PBX's devices of which nobody says whose they are; they count as trunks until somebody does."""
        return tuple(
            one
            for one in devices
            if not self.is_line(one, is_trunk)
            and not _has(self.seen_lines, one)
            and (whose := self.extension_of(one, is_extension=is_extension, is_trunk=is_trunk))
            in (None, one.name)
            and not (
                whose
                and (is_extension.search(one.name) or whose in self._hinted.values() or self.is_said(one))
            )
        )

    def is_hinted(self, endpoint: Endpoint) -> bool:
        """Whether a hint names it."""
        return str(endpoint) in self._hinted

    @property
    def extensions(self) -> frozenset[str]:
        """Every extension that some endpoint is known to be a phone of."""
        return self._extensions

    def endpoints_of(self, extension: str) -> tuple[str, ...]:
        """The phones of an extension that are known by name, as they are dialled: `PJSIP/alice`."""
        found = [name for name, whose in self.phones.items() if whose == extension]
        found += [name for name, whose in self._hinted.items() if whose == extension]
        return tuple(dict.fromkeys(one for one in found if "/" in one or not self._with_tech(one, found)))

    @staticmethod
    def _with_tech(name: str, others: Iterable[str]) -> bool:
        return any(other.partition("/")[2] == name for other in others)

    def rows(self) -> Iterator[KnownEndpoint]:
        """What is worth keeping beside what administrators said."""
        for endpoint, extension in self._hinted.items():
            yield KnownEndpoint(endpoint, EndpointSource.HINT, extension)
        for name in self.registered_lines:
            yield KnownEndpoint(name, EndpointSource.REGISTRATION, None)
        for endpoint, extension in self.seen_phones.items():
            yield KnownEndpoint(endpoint, EndpointSource.CALLS, extension)
        for endpoint in self.seen_lines:
            yield KnownEndpoint(endpoint, EndpointSource.CALLS, None)
        for endpoint in self.dialled_lines:
            yield KnownEndpoint(endpoint, EndpointSource.NUMBERS, None)

    # -- another answer --------------------------------------------------------------------------------------------

    def with_listing(self, listing: EndpointListing) -> EndpointDirectory:
        """With what the PBX listed in place of what it listed before.

        A PBX that is just loading its dialplan lists nothing: that does not make strangers of its phones.
        """
        return replace(
            self,
            hints=listing.hints or self.hints,
            registered_lines=self.registered_lines if listing.lines is None else listing.lines,
        )

    def with_phone(self, endpoint: Endpoint, extension: str) -> EndpointDirectory:
        """With a phone that was seen in a call."""
        if len(self.seen_phones) >= DEVICES_MOST:
            return self
        return replace(self, seen_phones={**self.seen_phones, str(endpoint): extension})

    def with_line(self, endpoint: Endpoint, *, dialled: bool) -> EndpointDirectory:
        """With a trunk that was seen in a call: `dialled`, an outside number was dialled through it."""
        if dialled:
            return replace(self, dialled_lines=self.dialled_lines | {str(endpoint)})
        return replace(self, seen_lines=self.seen_lines | {str(endpoint)})

    def without_seen_line(self, endpoint: Endpoint) -> EndpointDirectory:
        """Without what calls seemed to show: that it is a trunk."""
        return replace(
            self,
            seen_lines=frozenset(one for one in self.seen_lines if not _has(frozenset({one}), endpoint)),
        )

    def with_said(self, phones: Mapping[str, str], lines: Iterable[str] = ()) -> EndpointDirectory:
        """With what administrators said in place of what they said before."""
        return replace(self, phones=dict(phones), lines=frozenset(lines))


def directory_of(rows: Iterable[KnownEndpoint], phones: Mapping[str, str] = _NOBODY) -> EndpointDirectory:
    """The directory of what was kept, with the `phones` of the configuration before all else."""
    said: dict[str, str] = {}
    sets: dict[str, set[str]] = {"lines": set(), "registered": set(), "seen": set(), "dialled": set()}
    seen: dict[str, str] = {}
    hinted: dict[str, list[Endpoint]] = {}
    for row in rows:
        match row.source, row.extension:
            case EndpointSource.STAFF, None:
                sets["lines"].add(row.endpoint)
            case EndpointSource.STAFF, str(extension):
                said[row.endpoint] = extension
            case EndpointSource.HINT, str(extension):
                tech, _, name = row.endpoint.partition("/")
                hinted.setdefault(extension, []).append(Endpoint(tech, name))
            case EndpointSource.REGISTRATION, _:
                sets["registered"].add(row.endpoint)
            case EndpointSource.CALLS, None:
                sets["seen"].add(row.endpoint)
            case EndpointSource.CALLS, str(extension):
                seen[row.endpoint] = extension
            case EndpointSource.NUMBERS, _:
                sets["dialled"].add(row.endpoint)
            case _:
                pass
    return EndpointDirectory(
        phones={**said, **phones},
        lines=frozenset(sets["lines"] - phones.keys()),
        # Each device by itself: which of several hints holds was decided when they were listed.
        hints=tuple(Hint(ext, (one,)) for ext, devices in hinted.items() for one in devices),
        registered_lines=frozenset(sets["registered"]),
        seen_phones=seen,
        seen_lines=frozenset(sets["seen"]),
        dialled_lines=frozenset(sets["dialled"]),
    )


# -- as it is written into a configuration ---------------------------------------------------------------------------


def toml_key(name: str) -> str:
    """The name as a key of a TOML table, in quotes where it needs them."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def pattern_of(names: Iterable[str]) -> str:
    """A regular expression that matches exactly these names, as it stands in a TOML text."""
    return "|".join(re.escape(name) for name in names).replace("\\", "\\\\")


# -- which hint holds ------------------------------------------------------------------------------------------------


def _hinted(hints: Iterable[Hint]) -> Iterator[tuple[str, str]]:
    """Endpoint → extension. Of several hints that name a device the one that is most its own holds."""
    naming: dict[Endpoint, list[Hint]] = {}
    for hint in hints:
        for device in hint.devices:
            naming.setdefault(device, []).append(hint)
    alone = {device for device, found in naming.items() if any(len(hint.devices) == 1 for hint in found)}
    for device, found in naming.items():
        usable = [hint for hint in found if not _is_group(hint, device, alone)]
        if usable:
            yield str(device), min(usable, key=lambda hint: _strangeness(hint, device)).extension


def _is_group(hint: Hint, device: Endpoint, alone: set[Endpoint]) -> bool:
    """Whether a hint over several devices shows a group's lamp: it is not one person's set of phones.

    `101 → PJSIP/101&PJSIP/99101` is a person's: one device is called after the extension. So is `101 → PJSIP/alice&
    PJSIP/alice-soft`, unless one of them has a hint of its own or is called like an extension itself.
    """
    if len(hint.devices) == 1 or device.name.endswith(hint.extension):
        return False
    if any(one.name == hint.extension for one in hint.devices):
        return device in alone
    return any(one in alone or re.fullmatch(r"\d{2,6}", one.name) for one in hint.devices)


def _strangeness(hint: Hint, device: Endpoint) -> tuple[bool, bool, bool, int, int, str]:
    extension = hint.extension
    return (
        device.name != extension or not extension.isdigit(),
        not (extension.isdigit() and device.name.endswith(extension)),
        not extension.isdigit(),
        len(hint.devices),
        len(extension),
        extension,
    )


def _look(table: Mapping[str, str], endpoint: Endpoint) -> str | None:
    if not table:
        return None
    found = table.get(str(endpoint))
    return table.get(endpoint.name) if found is None else found


def _has(names: frozenset[str], endpoint: Endpoint) -> bool:
    return bool(names) and (str(endpoint) in names or endpoint.name in names)


NO_DIRECTORY = EndpointDirectory()
"""Nothing is known beyond what names say."""

"""The exact lines a PBX needs, rendered from the files in `asterisk-config/`, which people also read and copy by hand."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from telephony.errors import OurMistake, PeerMistake

CONFIG_FILES = Path(str(files("switchhook") / "asterisk-config"))
"""The directory `asterisk-config/`: the same in a checkout, an editable install and a wheel."""

_PLACEHOLDER = re.compile(r"@([A-Z][A-Z_]*)@")


def fill(template: str, values: dict[str, str]) -> str:
    """The template with every `@NAME@` replaced. Raises OurMistake when one has no value.

    At signs, because Asterisk's own files use `$`, `{` and `%`. A value is refused when it holds a line break that its
    line could not contain; several lines are given only by our own code, never by a person.
    """

    def value_of(found: re.Match[str]) -> str:
        try:
            return values[found.group(1)]
        except KeyError:
            raise OurMistake(f"No value was given for @{found.group(1)}@.") from None

    return _PLACEHOLDER.sub(value_of, template)


def render_manager_conf(
    secret: str,
    permit: str = "127.0.0.1/255.255.255.255",
    *,
    username: str = "switchhook",
    transfers: bool = False,
) -> str:
    """The AMI user for `manager.conf` (plain Asterisk) or `manager_custom.conf` (FreePBX), filters included.

    `permit` is the address of the machine Switchhook runs on, as `ADDRESS/MASK`. `transfers` adds the rights that
    transfers and click-to-call need; observing needs none of them. Raises PeerMistake for a value that would break
    out of its line.
    """
    for meaning, value in (("secret", secret), ("permit", permit), ("username", username)):
        if not value or re.search(r"[\r\n;\[\]]", value):
            raise PeerMistake(
                f"The AMI {meaning} is empty or has a line break, a semicolon or a bracket in it.",
                remedy="Use letters, digits, dots, slashes and dashes.",
            )
    return fill(
        (CONFIG_FILES / "plain" / "manager_switchhook.conf").read_text(encoding="utf-8"),
        {
            "USERNAME": username,
            "SECRET": secret,
            "PERMIT": permit,
            "WRITE": "reporting,call,originate" if transfers else "reporting",
        },
    )

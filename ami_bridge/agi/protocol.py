"""What is said when Asterisk, or the script that it starts, asks who calls. Bytes in, words out; no sockets.

Two ways of asking come to the same address, told apart by their first line:

FastAGI, from Asterisk's own AGI(). It sends lines `agi_NAME: VALUE` and an empty one, we send commands, it answers each:

    agi_network: yes                                              SET VARIABLE __SWITCHHOOK_NAME "Иванов, Ромашка"
    agi_network_script: hq               (the PBX's id)           200 result=1
    agi_arg_1: +79161110005              (the caller)
    agi_arg_2: 74951000001               (the number called)

the script, which asks in one line and gets one line of JSON, and speaks to Asterisk itself:

    switchhook-who 1 hq +79161110005 74951000001                  {"full": "Иванов, Ромашка", "latin": "…", "owner": "102"}

Only our own arguments are believed: Asterisk writes the caller's number and name raw into the lines before them, so a caller
whose number holds a line break can write lines of their own. One that comes twice is such a line, and nothing is answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from telephony.errors import PeerMistake
from telephony.handset_names import HandsetDisplay
from telephony.ports import CallerQuestion

LINE_BYTES = 1024  # Asterisk's longest line is its own URL with our arguments, under 200
LINES = 64  # Asterisk 22 sends 21 and our two arguments
ASKING = b"switchhook-who 1 "
NAMES = (
    "SWITCHHOOK_NAME",
    "SWITCHHOOK_NAME_LATIN",
    "SWITCHHOOK_OWNER",
    "SWITCHHOOK_OWNER_PHONES",
    "SWITCHHOOK_ANSWERED",
)

_LINE = re.compile(r"agi_([a-z0-9_]+): (.*)")
_PBX = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NUMBER = re.compile(r"\+?[0-9]{1,32}", re.ASCII)
_DID = re.compile(r"\+?[0-9]{0,32}", re.ASCII)


def fastagi_question(lines: Iterable[bytes]) -> CallerQuestion:
    """The question in Asterisk's lines. Raises PeerMistake when they are not such lines, or forged."""
    told: dict[str, str] = {}
    for line in lines:
        found = _LINE.fullmatch(line.decode("utf-8", "replace").rstrip("\r\n"))
        # Not every line is one of ours: a caller's name with a line break in it goes on in the next.
        if found is None:
            continue
        key, value = found.groups()
        if key in told and key in ("network_script", "arg_1", "arg_2"):
            raise PeerMistake(
                "One of our own arguments came twice: a caller has put line breaks into their number."
            )
        told[key] = value
    if "network" not in told:
        raise PeerMistake("What was sent is not FastAGI.")
    return _question(told.get("network_script", ""), told.get("arg_1", ""), told.get("arg_2", ""))


def script_question(line: bytes) -> CallerQuestion:
    """The question in the script's one line. Raises PeerMistake."""
    words = line.decode("ascii", "replace").rstrip("\r\n").split(" ")
    if len(words) not in (4, 5) or words[:2] != ["switchhook-who", "1"]:
        raise PeerMistake("What was sent is not a question.")
    return _question(words[2], words[3], words[4] if len(words) == 5 else "")


def _question(pbx: str, raw: str, did: str) -> CallerQuestion:
    if not _PBX.fullmatch(pbx) or not _NUMBER.fullmatch(raw) or not _DID.fullmatch(did):
        raise PeerMistake("The PBX's id or a number is not one.")
    return CallerQuestion(pbx=pbx, raw=raw, did=did)


def fastagi_commands(display: HandsetDisplay) -> list[bytes]:
    """The commands that tell Asterisk; the last one says that we did answer. Each is one whole line."""
    values = (display.full, display.latin, "&".join(display.owners), "&".join(display.phones), "1")
    # __: phones that are rung through a Local channel (queues, follow me) inherit it too.
    return [
        f"SET VARIABLE __{name} {quoted(value)}\n".encode()
        for name, value in zip(NAMES, values, strict=True)
        if value
    ]


def quoted(value: str) -> str:
    """An argument of an AGI command. A line break would begin another command, so it becomes a space."""
    flat = " ".join(value.split())
    return '"' + flat.replace("\\", "\\\\").replace('"', '\\"') + '"'


def script_answer(display: HandsetDisplay) -> bytes:
    """The line that answers the script; an empty object for a caller nobody knows."""
    told = {"full": display.full, "latin": display.latin, "owner": "&".join(display.owners)}
    told["phones"] = "&".join(display.phones)
    shown = {key: value for key, value in told.items() if value}
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def succeeded(line: bytes) -> bool:
    """Whether Asterisk did what the command said; HANGUP and everything else means that we are done."""
    return line.startswith(b"200 ")

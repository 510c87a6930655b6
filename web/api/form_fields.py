"""What a visitor wrote into a form: the letters it is written in, and which field is which.

Forms are made by many builders, on pages in many code pages. UTF-8 is tried first and strictly; else what the request says
(`charset=`, `_charset_`), else what makes words of it. A field is known by its name in the tables of headings, whatever a
builder puts around it (`your-tel`, `form_fields[phone]`, `tel-123`); where none is called a telephone, a field whose value
reads as a number is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from call_records.crm.imports.code_pages import guess_encoding, page_of, read_text
from call_records.crm.imports.column_headings import HEADINGS, field_of, plain_heading
from telephony.numbers.numbers import is_certain, written

PAIRS_MOST = 200
CHARSET = "_charset_"
"""A field in which a browser says how it wrote the others (HTML 4.10.22)."""
NAME_LONGEST = 60  # characters of a field's name that are looked at
MESSAGES = frozenset(
    {*HEADINGS["note"], "message", "text", "question", "textarea", "your message", "msg", "body", "сообщение", "вопрос",
     "текст", "текст сообщения", "wiadomość", "wiadomosc", "treść", "tresc", "pytanie", "mensagem", "mensaje", "pergunta",
     "nachricht", "message text", "mesaj", "留言", "消息", "رسالة", "الرسالة"}
)  # fmt: skip
NAMES = frozenset(
    {*HEADINGS["name"], *HEADINGS["first_name"], "your name", "fname", "fullname", "username", "ваше имя", "imie",
     "imię", "имя и фамилия", "как вас зовут", "как к вам обращаться", "seu nome", "su nombre", "ihr name", "votre nom"}
)  # fmt: skip
_BUILDERS = frozenset(
    [
        "your",
        "form",
        "fields",
        "field",
        "input",
        "forms",
        "wpforms",
        "contact",
        "lead",
        "user",
        "ваш",
        "ваша",
        "ваше",
        "twój",
        "twoj",
        "seu",
        "su",
        "votre",
        "ihr",
        "your1",
        "entry",
        "item",
        "data",
        "client",
        "customer",
        "text",
        "email1",
        "et",
        "pb",
        "ff",
        "nf",
        "gform",
    ]
)
"""Words that builders of forms put before a field's name."""
_EMAIL = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,190}\.[^@\s,;<>.]{2,63}")
_ONLY_A_NUMBER = re.compile(r"[\d\s()+.\-/]{7,30}")


def pairs_of(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """The fields of an urlencoded body, in the letters they were written in. Raises ValueError for too many."""
    raw = parse_qsl(
        body.decode("latin-1"),
        keep_blank_values=True,
        max_num_fields=PAIRS_MOST,
        encoding="latin-1",
        errors="strict",
    )
    return in_letters(raw, content_type)


def in_letters(raw: Iterable[tuple[str, str]], content_type: str) -> list[tuple[str, str]]:
    """Fields whose bytes stand there as Latin-1, read as they were written."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in raw]
    page = _page(pairs, content_type)
    return [(read_text(name, page)[0], read_text(value, page)[0]) for name, value in pairs]


def _page(pairs: list[tuple[bytes, bytes]], content_type: str) -> str:
    everything = b"\n".join(part for pair in pairs for part in pair)
    try:
        everything.decode("utf-8")
    except UnicodeDecodeError:
        said = re.search(r"charset=[\"']?([\w\-:.]{1,40})", content_type, re.I)
        own = next(
            (value.decode("ascii", "replace") for name, value in pairs if name == CHARSET.encode()), ""
        )
        named = (page_of(one) for one in (said[1] if said else "", own) if one)
        return next(
            (page for page in named if page not in (None, "utf-8", "utf-16")), None
        ) or guess_encoding(everything)
    return "utf-8"


def meaning_of(name: str) -> str | None:
    """Our field that a form's field is by its name: name, phone, email or message."""
    plain = plain_heading(name[:NAME_LONGEST])
    words = plain.split()
    while (
        len(words) > 1 and words[-1].isdigit() and words[0] != "text"
    ):  # text-1 of a builder may hold anything
        words.pop()
    for heading in (plain, " ".join(words), " ".join(word for word in words if word not in _BUILDERS)):
        if heading in MESSAGES:
            return "message"
        if heading in NAMES:
            return "name"
        told = field_of(heading) if heading else None
        if told in ("phone", "email"):
            return told
    return None


def read_by_value(fields: Mapping[str, str], known: Mapping[str, str], region: str) -> dict[str, str]:
    """What fields of any name hold by their value, where no field is called so: a number, an address."""
    found: dict[str, str] = {}
    for value in fields.values():
        text = value.strip()
        if "phone" not in known and "phone" not in found and _is_number(text, region):
            found["phone"] = text
        elif "email" not in known and "email" not in found and _EMAIL.fullmatch(text):
            found["email"] = text
    return found


def _is_number(text: str, region: str) -> bool:
    if not _ONLY_A_NUMBER.fullmatch(text):
        return False
    numbers = written(text, region)
    return len(numbers) == 1 and is_certain(numbers[0].key)


def is_test(body: bytes) -> bool:
    """Whether a builder only tries out the address (Tilda sends `test=test`)."""
    return body.strip() == b"test=test"

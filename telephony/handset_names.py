"""What a desk phone may show of a caller: one short line, in letters that it has, and nothing that it could obey.

A contact book holds what people typed and other programs imported. A phone's display, the dialplan in between and the SIP
header that carries the name each have their own ideas of what is a command. So a name is cut down to letters, digits and
harmless punctuation, to the columns of a display, and, for phones that know Latin letters only, written in those. What
cannot be written is left out: a phone that shows the number alone is right, one that shows `?????` is a nuisance.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from telephony.endpoint_directory import TECHNOLOGIES
from telephony.ports import CallerAnswer

COLUMNS = 32  # what two-line desk phones show of a caller before they scroll
LEAST_COMPANY_COLUMNS = 4  # a stump of two letters tells nothing
BYTES = 76  # Asterisk keeps 79 bytes of a name and would cut inside a letter
INPUT_LENGTH = 400  # characters looked at; a field of a megabyte is a mistake of an import, not a name
OWNERS = 3  # phones that ring first; more is a ring group, which the dialplan has already

_HARMFUL = str.maketrans(dict.fromkeys('"`´\\<>;|^${}[]', " "))
"""What means something to SIP headers, the dialplan or a phone's own page: `${…}`, quotes, angle brackets, backslash."""

_EXTENSION = re.compile(r"[0-9]{2,8}", re.ASCII)
_PHONE = re.compile(rf"(?:(?:{'|'.join(TECHNOLOGIES)})/)?[0-9A-Za-z][0-9A-Za-z_.+-]{{0,63}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HandsetDisplay:
    """The answer as phones and dialplan get it. Every value may stand between quotes as it is."""

    full: str
    """With the letters the contact book has; empty when there is nothing to show."""
    latin: str
    """In Latin letters without accents (ASCII); empty when it cannot be written so."""
    owners: tuple[str, ...]
    """Extensions of the contact's owner, digits only."""
    phones: tuple[str, ...] = ()
    """What is dialled for them, `PJSIP/alice`, where that is not called like the extension."""


def handset_display(answer: CallerAnswer, *, columns: int = COLUMNS) -> HandsetDisplay:
    """What is shown of this answer, and who is rung first. Never raises."""
    name, company = clean(answer.name), clean(answer.company)
    return HandsetDisplay(
        full=compose(name, company, columns=columns),
        # Cleaned again: ＂ and ｛ become plain quotes and braces on their way into ASCII.
        latin=compose(clean(to_latin(name)), clean(to_latin(company)), columns=columns),
        owners=dialable(answer.owner_extensions),
        phones=_dialable_phones(answer.owner_phones),
    )


def dialable(extensions: tuple[str, ...]) -> tuple[str, ...]:
    """The extensions that are two to eight digits, once each, at most `OWNERS`; `&Local/…` and the like are left out."""
    good = (each for each in extensions if isinstance(each, str) and _EXTENSION.fullmatch(each))
    return tuple(dict.fromkeys(good))[:OWNERS]


def _dialable_phones(phones: tuple[str, ...]) -> tuple[str, ...]:
    good = (each for each in phones if isinstance(each, str) and _PHONE.fullmatch(each))
    return tuple(dict.fromkeys(good))[:OWNERS]


def clean(text: str | None) -> str:
    """On one line, without control characters, direction overrides, quotes and what a dialplan would take for its own."""
    composed = unicodedata.normalize("NFC", (text or "")[:INPUT_LENGTH]).translate(_HARMFUL)
    return " ".join("".join(map(_harmless, composed)).split()).strip(" ,.-:/&+?")


def _harmless(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cf":  # direction overrides, joiners, soft hyphens: without them the word stays one word
        return ""
    return " " if kind[0] in "CZ" else character


def compose(name: str, company: str, *, columns: int = COLUMNS) -> str:
    """`Name, Company`; the company gives way first, then the end of the name. Either may be empty."""
    if not name or not company or name.casefold() == company.casefold():
        return cut(name or company, columns)
    shown = cut(name, columns)
    room = columns - width(shown) - len(", ")
    if shown != name or room < min(LEAST_COMPANY_COLUMNS, width(company)):
        return shown
    return _within_bytes(f"{shown}, {cut(company, room)}").rstrip(" ,")


def cut(text: str, columns: int) -> str:
    """As much as fits, never half a letter."""
    used = 0
    for position, character in enumerate(text):
        used += _columns_of(character)
        if used > columns:
            return _within_bytes(text[:position]).rstrip(" ,.-")
    return _within_bytes(text)


def width(text: str) -> int:
    """Columns on a display: two for East Asian letters, none for accents that stand over another letter."""
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _within_bytes(text: str) -> str:
    return text.encode()[:BYTES].decode(errors="ignore")


def to_latin(text: str) -> str:
    """In plain Latin letters; empty when a letter has no Latin spelling here, for half a name is a wrong name."""
    tables = _tables_for(text)
    folded = text
    for pair, latin in _PAIRS.items():
        for found in set(re.findall(pair, folded, re.IGNORECASE)):
            folded = folded.replace(found, _cased(found, latin))
    written = [_letter(folded, position, tables) for position in range(len(folded))]
    if None in written:
        return ""
    return " ".join("".join(filter(None, written)).split())


def _letter(text: str, position: int, tables: tuple[Mapping[str, str], ...]) -> str | None:
    """One character in Latin letters; None when there is no way to write it."""
    character = text[position]
    if character.isascii():
        return character
    small = character.lower()
    for table in tables:
        if small in table:
            beside = text[max(position - 1, 0) : position] + text[position + 1 : position + 2]
            capitals = any(other.isupper() for other in beside)  # not so in initials: Ж. Иванов is Zh. Ivanov
            return _cased(character, table[small], capitals=capitals)
    # Accents are taken off; what remains must be a letter we can write: Ж with a breve is Ж, ﬁ is fi, Ⅷ is VIII.
    bare = "".join(
        part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)
    )
    if bare == character:
        return None
    parts = [_letter(bare, each, tables) for each in range(len(bare))]
    return None if None in parts else "".join(filter(None, parts))


def _cased(original: str, latin: str, *, capitals: bool = False) -> str:
    """щ is shch, Щука is Shchuka, ЩУКА is SHCHUKA."""
    if not original[:1].isupper():
        return latin
    return latin.upper() if capitals or (len(original) > 1 and original.isupper()) else latin.capitalize()


def _tables_for(text: str) -> tuple[Mapping[str, str], ...]:
    letters = set(text.lower())
    # і alone could be Kazakh, whose г and и are as in Russian.
    local = _UKRAINIAN if letters & set("іїєґў") and not letters & set("әғқңөұүһ") else {}
    return local, _CYRILLIC, _GREEK, _LATIN


def _spellings(told: str) -> Mapping[str, str]:
    """`ж:zh ь:` as a table; nothing behind the colon leaves the character out."""
    return dict(pair.split(":", 1) for pair in told.split())


# Russian as in passports (International Civil Aviation Organization), but with й and ю as y, yu and no signs for ь and ъ,
# as people write their own names; then the letters that only other languages have.
_CYRILLIC = _spellings(
    "а:a б:b в:v г:g д:d е:e ё:yo ж:zh з:z и:i й:y к:k л:l м:m н:n о:o п:p р:r с:s т:t у:u ф:f х:kh ц:ts ч:ch ш:sh щ:shch "
    "ъ: ы:y ь: э:e ю:yu я:ya "
    "і:i ї:yi є:ye ґ:g ў:u ʼ:' "  # uk, be
    "ә:a ғ:g қ:q ң:n ө:o ұ:u ү:u һ:h җ:j ҡ:q ҙ:z ҫ:s "  # kk, ky, tt, ba, mn
    "ҳ:h ҷ:j ӣ:i ӯ:u "  # tg, uz
    "ђ:dj ј:j љ:lj њ:nj ћ:c џ:dz ѓ:gj ќ:kj ѕ:dz"  # sr, mk
)
_UKRAINIAN = _spellings("г:h и:y")  # and Belarusian, which has no и
_GREEK = _spellings(
    "α:a β:v γ:g δ:d ε:e ζ:z η:i θ:th ι:i κ:k λ:l μ:m ν:n ξ:x ο:o π:p ρ:r σ:s ς:s τ:t υ:y φ:f χ:ch ψ:ps ω:o"
)
_PAIRS: Mapping[str, str] = {"ο[υύ]": "ou", "γγ": "ng", "ντ": "nt", r"\bμπ": "b"}
"""Greek letters that are read together."""
_LATIN = _spellings(
    "ß:ss æ:ae œ:oe ø:o đ:d ð:d þ:th ł:l ı:i ħ:h ŋ:ng ə:a ŧ:t "
    "«: »: “: ”: „: ‚: ‘:' ’:' –:- —:- −:- ·:- €:EUR £:GBP №:No °: ©: ®: ™: •: ¿: ¡:"
)
"""Latin letters that lose nothing but themselves when accents are taken off, and punctuation."""

"""In which code page a text is written: guessed by which page makes plausible words of its bytes.

A file rarely says so itself. UTF-8 and UTF-16 can be told from their form; the old pages of a single byte, and those of
East Asia, only by what they make of the letters beyond ASCII: letters that one language uses together speak for a page,
signs and letters of no common language within words speak against it. Headings that we know speak loudest. Where nothing
is plausible, charset-normalizer is asked for its opinion. Bytes that belong nowhere become U+FFFD and change no guess.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from charset_normalizer import from_bytes

from telephony.languages.phrases import N_


@dataclass(frozen=True, slots=True)
class CodePage:
    """A way to write letters as bytes, and how its texts look."""

    id: str
    name: str
    languages: tuple[str, ...] = ()
    """Letters beyond ASCII of each language written in it, in small letters, the frequent ones first."""
    weigh: Callable[[str], float] | None = field(default=None, compare=False)
    """Of the pages with two bytes: how plausible one letter is."""
    rarity: float = 0.0
    """What is taken off: fewer files are written so than in the page of Windows for the same language."""


_GERMAN, _FRENCH = "üäöß", "éèàêçùâôîûëïœ"
_SPANISH, _PORTUGUESE, _ITALIAN = "óíáéñúü¿¡ºª", "ãçáéõíóêâúàôºª", "àèéòùì"
_NORDIC = "øæåäö"
_POLISH, _CZECH, _HUNGARIAN = "łąęóżśćńź", "íáéěýřšžčůúňťďó", "áéóőöüúíű"
_SLOVAK, _ROMANIAN, _CROATIAN = "áéíšžčýúľťňôäďóĺŕ", "ăâîşţșț", "čšžćđ"
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_UKRAINIAN = "оаниівртескулдмпязьгбчйхжюшцєїщфґ"
_GREEK = "ατοιεσνηρυςπκμλόίάθδήέφωύχώγβξζψΐΰϊϋ"
_TURKISH = "ıüşğçöiİ"
_BALTIC = ("āēīšūņļžčķģ", "ėšžųįūčąę", "äõüöšž")
_HEBREW = "יהוולאתרבשםמנהדקחפעגטסכןצזךףץ"
_ARABIC = "اليمنورتبدعسفةهحقكجشطصخزأضذىغءئثظآإؤلا،؟ـ"
_EXTRA = "«»„“”‘’–—…№°€•§·\u00a0\xad×"
"""Signs that people write in every language."""


def _chinese(char: str) -> float:
    lead = _lead(char, "gb2312")
    if lead is None:
        return -0.7  # beyond GB 2312 there are names, and what other pages' bytes become
    return 1.0 if 0xB0 <= lead <= 0xD7 or lead <= 0xA3 else -0.3


def _taiwanese(char: str) -> float:
    lead = _lead(char, "big5")
    if lead is None:
        return -1.0
    return 1.0 if lead <= 0xC6 else -0.5


def _japanese(char: str) -> float:
    if "\u3040" <= char <= "\u30ff":
        return 1.2
    if "\uff61" <= char <= "\uff9f":
        return -1.0  # narrow kana: a single byte each, and what Cyrillic looks like here
    lead = _lead(char, "shift_jis")
    return -1.0 if lead is None else 0.9 if lead <= 0x97 else -0.5


def _korean(char: str) -> float:
    frequent = "\uac00" <= char <= "\ud7a3" and all(byte > 0xA0 for byte in char.encode("cp949"))
    return 1.2 if frequent else -0.7


def _lead(char: str, page: str) -> int | None:
    try:
        return char.encode(page)[0]
    except UnicodeEncodeError:
        return None


CODE_PAGES: tuple[CodePage, ...] = (
    CodePage("utf-8", "UTF-8"),
    CodePage("utf-16", "UTF-16"),
    CodePage("cp1251", N_("Windows-1251 (Cyrillic)"), (_RUSSIAN, _UKRAINIAN)),
    CodePage("cp1252", N_("Windows-1252 (Western Europe)"), (_GERMAN, _FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN, _NORDIC)),
    CodePage("cp1250", N_("Windows-1250 (Central Europe)"),
             (_POLISH, _CZECH, _HUNGARIAN, _SLOVAK, _ROMANIAN, _CROATIAN, _GERMAN)),
    CodePage("cp1253", N_("Windows-1253 (Greek)"), (_GREEK,)),
    CodePage("cp1254", N_("Windows-1254 (Turkish)"), (_TURKISH,)),
    CodePage("cp1255", N_("Windows-1255 (Hebrew)"), (_HEBREW,)),
    CodePage("cp1256", N_("Windows-1256 (Arabic)"), (_ARABIC,), rarity=0.05),
    CodePage("cp1257", N_("Windows-1257 (Baltic)"), _BALTIC),
    CodePage("koi8-r", N_("KOI8-R (Cyrillic)"), (_RUSSIAN,), rarity=0.1),
    CodePage("koi8-u", N_("KOI8-U (Ukrainian)"), (_UKRAINIAN,), rarity=0.15),
    CodePage("cp866", N_("DOS 866 (Cyrillic)"), (_RUSSIAN,), rarity=0.05),
    CodePage("cp852", N_("DOS 852 (Central Europe)"), (_POLISH, _CZECH, _HUNGARIAN, _SLOVAK, _CROATIAN), rarity=0.1),
    CodePage("cp850", N_("DOS 850 (Western Europe)"),
             (_GERMAN, _FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN, _NORDIC), rarity=0.1),
    CodePage("cp437", N_("DOS 437 (USA)"), (_GERMAN, _FRENCH, _SPANISH), rarity=0.12),
    CodePage("iso8859-2", N_("ISO 8859-2 (Central Europe)"), (_POLISH, _CZECH, _HUNGARIAN, _SLOVAK, _CROATIAN), rarity=0.05),
    CodePage("iso8859-15", N_("ISO 8859-15 (Western Europe)"), (_FRENCH, _GERMAN), rarity=0.05),
    CodePage("iso8859-5", N_("ISO 8859-5 (Cyrillic)"), (_RUSSIAN,), rarity=0.15),
    CodePage("mac-cyrillic", N_("Mac (Cyrillic)"), (_RUSSIAN,), rarity=0.15),
    CodePage("mac-roman", N_("Mac (Western Europe)"), (_GERMAN, _FRENCH, _SPANISH, _PORTUGUESE), rarity=0.15),
    CodePage("gb18030", N_("GBK, GB 18030 (simplified Chinese)"), weigh=_chinese),
    CodePage("big5", N_("Big5 (traditional Chinese)"), weigh=_taiwanese),
    CodePage("cp932", N_("Shift JIS (Japanese)"), weigh=_japanese),
    CodePage("cp949", N_("EUC-KR (Korean)"), weigh=_korean),
)  # fmt: skip
"""What can be chosen; where two fit alike, the first is taken."""

ENCODINGS = tuple(page.id for page in CODE_PAGES)
_ALIASES = {"gbk": "gb18030", "gb2312": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5hkscs": "big5",
            "utf_8_sig": "utf-8", "iso8859-1": "cp1252", "ascii": "utf-8", "utf-16-le": "utf-16",
            "utf-16-be": "utf-16"}  # fmt: skip
_IDS = {codecs.lookup(name).name: name for name in ENCODINGS}

SAMPLE = 4_096  # bytes of lines with letters beyond ASCII; a score is about 1 µs a letter and page
LOOKED_AT = 1 << 20  # bytes in which such lines are looked for
PLAUSIBLE = (
    0.45  # score per letter; a page that makes words of the bytes has 0.8, one that does not less than 0
)
HEADING_WEIGHT = 0.4
Known = Callable[[str], bool]
"""Whether a cell is a heading that we know."""


def page_of(name: str) -> str | None:
    """The id of the page that goes by this name anywhere; None for one that we do not read."""
    try:
        found = codecs.lookup(name.strip().lower()).name
    except (LookupError, ValueError):
        return None
    return _IDS.get(found) or _ALIASES.get(found) or _IDS.get(_ALIASES.get(name.strip().lower(), ""))


def read_text(
    data: bytes, encoding: str | None = None, *, is_heading: Known | None = None
) -> tuple[str, str]:
    """The text and how it is written; guessed unless told. Bytes that do not belong there become U+FFFD."""
    chosen = encoding if encoding in ENCODINGS else guess_encoding(data, is_heading=is_heading)
    if chosen == "utf-16":
        text = data.decode(_utf16(data), errors="replace")
    else:
        text = data.decode("utf-8-sig" if chosen == "utf-8" else chosen, errors="replace")
    return text.lstrip("\ufeff").replace("\0", ""), chosen


def guess_encoding(data: bytes, *, is_heading: Known | None = None) -> str:
    """By its mark; else UTF-8 where nearly all of it is; else whichever page makes words of it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or _half_empty(data[:4096]):
        return "utf-16"
    if data.startswith(b"\xef\xbb\xbf") or _is_utf8(data):
        return "utf-8"
    sample = _sample(data)
    scored = [
        (_score(page, sample, is_heading), -place, page.id) for place, page in enumerate(CODE_PAGES[2:])
    ]
    best, _place, page_id = max(scored)
    return page_id if best >= PLAUSIBLE else _second_opinion(sample) or page_id


def _half_empty(piece: bytes) -> bool:
    """UTF-16 without a mark: every second byte of its digits and separators is zero."""
    return len(piece) > 8 and max(piece[::2].count(0), piece[1::2].count(0)) > len(piece) // 5


def _utf16(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    piece = data[:4096]
    return "utf-16-be" if piece[::2].count(0) > piece[1::2].count(0) else "utf-16-le"


def _is_utf8(data: bytes) -> bool:
    """All of it, or all but a few letters that a program has cut in the middle.

    In other pages two letters happen to look like one of UTF-8 now and then, never twice as often as not.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", errors="replace")
        broken = text.count("\ufffd")
        whole = sum(1 for char in text[:LOOKED_AT] if char > "\x7f") - min(broken, LOOKED_AT)
        return whole >= 2 * broken and whole > 1
    return True


def _sample(data: bytes) -> bytes:
    """The first lines with letters beyond ASCII, cut between lines."""
    size, taken = 0, []
    for line in data[:LOOKED_AT].split(b"\n"):
        if line.isascii():
            continue
        taken.append(line[:SAMPLE])
        size += len(line)
        if size > SAMPLE:
            break
    return b"\n".join(taken)


def _second_opinion(sample: bytes) -> str | None:
    best = from_bytes(sample[:SAMPLE], cp_isolation=[name.replace("-", "_") for name in ENCODINGS[2:]]).best()
    return page_of(best.encoding) if best is not None else None


# -- how plausible a page is --


def _score(page: CodePage, sample: bytes, is_heading: Known | None) -> float:
    """Per byte beyond ASCII: 1 where every letter is one that its language uses."""
    text = sample.decode(page.id, errors="replace")
    high = sum(byte > 0x7F for byte in sample) or 1
    if page.weigh is not None:
        letters = sum(_of_two_bytes(char, page) for char in text if char > "\x7f")
    else:
        each = [_of_letters(text, language) for language in page.languages]
        letters = max(*each, _of_letters(text, "".join(page.languages)) - MIXED * high)
    score = (letters - _oddities(text)) / high - page.rarity
    if is_heading is not None and score > 0:
        cells = (cell.strip(" \"'\t\r") for cell in _APART.split(text[:600]))
        score += HEADING_WEIGHT * min(3, sum(1 for cell in cells if not cell.isascii() and is_heading(cell)))
    return score


_APART = re.compile(r"[\n;,\t|]")
MIXED = (
    0.25  # less for letters of several languages of one page together, a list of customers from everywhere
)


def _of_two_bytes(char: str, page: CodePage) -> float:
    if (
        char == "\ufffd" or "\ue000" <= char <= "\uf8ff" or page.weigh is None
    ):  # also what has no meaning of its own
        return -2.0
    try:
        high = sum(byte > 0x7F for byte in char.encode(page.id))
    except UnicodeEncodeError:
        return -2.0
    return high * (0.3 if char in _EXTRA else page.weigh(char))


def _of_letters(text: str, language: str) -> float:
    weights = _weights(language)
    return sum(_weight(char, weights) for char in text if char > "\x7f")


def _weight(char: str, weights: dict[str, float]) -> float:
    found = weights.get(char)
    if found is not None:
        return found
    if char in _EXTRA:
        return 0.2
    if char == "\ufffd" or char < "\xa0":
        return -3.0
    return -0.8 if char.isalpha() else -1.5


@lru_cache(maxsize=64)
def _weights(language: str) -> dict[str, float]:
    """The frequent letters make up most of a text; the rarest say little. A few letters say the same each."""
    fall = 0.6 if len(language) > ALPHABET else 0.2
    small: dict[str, float] = {}
    for place, char in enumerate(language):
        small.setdefault(char, 1.0 - fall * place / len(language))
    return small | {char.upper(): weight for char, weight in small.items() if len(char.upper()) == 1}


ALPHABET = 20  # letters; a language with more beyond ASCII is written with them alone


def _oddities(text: str) -> float:
    """What nobody writes: a capital behind a small letter, two alphabets in a word, a cell that begins small."""
    found = 0.0
    for one, two in pairwise(f"\n{text}\n"):
        high_one, high_two = one > "\x7f" and one.isalpha(), two > "\x7f" and two.isalpha()
        if high_two and two.islower() and one in "\n;,\t|":
            found += 0.4
        elif high_one and one in _HEBREW_LAST and two.isalpha():
            found += 1.5
        elif (high_one or high_two) and one.isalpha() and two.isalpha():
            found += 2.0 * (one.islower() and two.isupper())
            found += 2.0 * ((one > "\u0370") is not (two > "\u0370"))
    return found


_HEBREW_LAST = "ךםןףץ"

"""Numbers in what people write: one field may hold several, with words, extensions and other figures around them.

What is found is known by a key: E.164 where the number exists or could, else its digits as they are. A short number stays
short (`101` is never `+7101`), a feature code keeps its star, and what says of itself that it is a date, a bank account or
a tax number is none. Nothing is ever lost: the text is kept as it was written, with or without a key.

Raises nothing, whatever the text, and costs in proportion to its length: what comes from outside is looked at from a
window of some characters, and no more than READINGS_MOST runs of digits are asked whether they are a number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from phonenumbers import country_code_for_region

from telephony.numbers.dialling import SHORTEST_OUTSIDE, e164, is_certain
from telephony.numbers.phone_labels import (
    ANY_EXTENSION_WORD,
    CONNECTIONS,
    LABELS,
    OTHER_NUMBERS,
    alternatives,
)
from telephony.numbers.spreadsheet_numbers import restore_figures
from telephony.numbers.withheld import is_row_of_one_digit, is_withheld

WHOLE = 10  # digits that name a subscriber within a country
LONGEST = 18  # digits: 15 of E.164 and what is dialled before them; longer is an account, not a telephone
TEXT_MOST = 2_000  # characters of a field that are looked at; a novel's numbers are nobody's
NUMBERS_MOST = 50  # of one field; a form of an entry holds as many
READINGS_MOST = (
    250  # runs of digits asked about in one field; a number with gaps costs up to thirty, of 0.1 ms each
)
RUNS_MOST = 200  # runs of figures looked at in one field
SHORTEST_RECOGNISED = 3  # digits; 112 and an extension are numbers to write down, 12 is a mistake of typing
_AROUND = 48  # characters before a number in which a word may say what it is


@dataclass(frozen=True, slots=True)
class Written:
    """One number as somebody wrote it."""

    raw: str
    key: str | None
    """What it is known by: E.164, else the digits as they are; None when there is no number in it at all."""
    last10: str | None
    """The last ten digits of a whole number."""
    extension: str | None = None
    """Their own extension behind it."""


def is_recognised(number: Written) -> bool:
    """Whether it is a number that somebody may keep: `abc`, `12` and `***` are none."""
    key = number.key or ""
    if key[1:].isdecimal() and len(key) > SHORTEST_RECOGNISED:  # E.164, as nearly all are
        return True
    digits = sum(char.isdigit() for char in key)
    return digits >= SHORTEST_RECOGNISED or (digits > 0 and key.startswith(("*", "#")))


@dataclass(slots=True)
class _Dialling:
    """How numbers are written here, and how often may still be asked whether something is one."""

    region: str
    area_code: str
    outside_prefix: str
    readings: int = READINGS_MOST

    def e164(self, text: str) -> str | None:
        self.readings -= 1
        if self.readings < 0:
            return None
        return e164(text, self.region, self.area_code, self.outside_prefix)


@dataclass(frozen=True, slots=True)
class _Found:
    """A number and where it stands in the text."""

    start: int
    end: int
    key: str
    extension: str | None = None


@lru_cache(maxsize=4_096)  # the numbers of a page are read again and again; a reading costs about 0.2 ms
def written(text: str, region: str, area_code: str = "", outside_prefix: str = "") -> tuple[Written, ...]:
    """The numbers in a field, in order; text without any is kept with no key.

    `outside_prefix` is what is dialled here to get a line; people write it down with the number.
    """
    plain = _keyed(_plain(text[:TEXT_MOST]), region)
    code = plain.strip().replace(" ", "")
    if _FEATURE_CODE.fullmatch(code):
        return (Written(text, code, None),)
    if is_withheld(plain):
        return (Written(text, None, None),)
    marked = _marked(plain, region)
    found = list(islice(_found(marked, _Dialling(region, area_code, outside_prefix)), NUMBERS_MOST))
    if not found:
        return (Written(text, None, None, _lone_extension(marked)),)
    if len(found) == 1:
        return (_written(text, found[0]),)
    return tuple(_written(plain[one.start : one.end].strip(" ,;"), one) for one in found)


def _written(raw: str, one: _Found) -> Written:
    digits = one.key.lstrip("+")
    whole = len(digits) >= WHOLE and digits.isdecimal()
    return Written(raw, one.key, digits[-WHOLE:] if whole else None, one.extension)


def without_extension(text: str) -> str:
    """What was typed, up to their extension."""
    return _EXTENSION_AND_REST.sub("", _SCHEME.sub("", _plain(text[:TEXT_MOST])))


def _plain(text: str) -> str:
    """Figures of every script as 0 to 9, every space and dash as the plain one, marks that nobody sees left out."""
    if text.isascii():
        return text.translate(_ASCII_BLANKS)
    return "".join(_plain_character(one) for one in text)


_ASCII_BLANKS = dict.fromkeys(map(ord, "\t\r\f\v"), " ")


def _plain_character(one: str) -> str:
    if one.isascii():
        return " " if one in "\t\r\f\v" else one
    if one.isdecimal():
        return str(unicodedata.decimal(one))
    category = unicodedata.category(one)
    if category == "Cf":
        return ""
    if category == "Zs":
        return " "
    if category == "Pd" or one == "\u2212":
        return "-"
    if one in DOTS:
        return "."
    if one in HYPHENS:
        return "-"
    if "\uff01" <= one <= "\uff5e":
        return chr(ord(one) - 0xFEE0)  # the wide forms of ASCII stand in its order
    return one


DOTS = frozenset("\u00b7\u02d9\u06d4\u2022\u2024\u2027\u2219\u22c5\u2e31\u3002\u30fb\ufe52\uff61\uff65")
"""What stands between groups of figures like a full stop, in other scripts and in texts that a typesetter has seen."""
HYPHENS = frozenset("\u02d7\u2043\u207b\u2796")
"""Dashes that Unicode does not count among the dashes."""

KEYS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
SUBSCRIBER = (
    7  # figures of a number in North America, behind the area code; further letters only make the word whole
)
_NORTH_AMERICA = 1  # the country code that this way of writing belongs to
_LETTERED = re.compile(
    r"(?i)(?<![\w+])(?P<code>\+?1[\s.\-]{0,2})?\(?8(?:00|33|44|55|66|77|88)\)?[\s.\-]{0,2}"
    r"(?P<word>(?=[\d.\-]{0,6}[a-z]{3})[a-z\d](?:[.\-]?[a-z\d]){6,11})(?!\w)"
)


def _keyed(plain: str, region: str) -> str:
    """`1-800-FLOWERS` as its keys are pressed, of the same length; only where such numbers are called or with a 1."""
    here = country_code_for_region(region) == _NORTH_AMERICA

    def press(hit: re.Match[str]) -> str:
        if not (here or (hit["code"] or "").startswith("+1")):
            return hit[0]
        if hit[0][hit.start("word") - hit.start() - 1].isspace() and hit[0] != plain.strip():
            return hit[0]  # "call 1-800 tomorrow"
        return hit[0][: hit.start("word") - hit.start()] + _pressed(hit["word"])

    return _LETTERED.sub(press, plain) if any(one.isalpha() for one in plain) else plain


def _pressed(word: str) -> str:
    keys, figures = [], 0
    for one in word.upper().translate(KEYS):
        figures += one.isdigit()
        keys.append(one if figures <= SUBSCRIBER else " ")
    return "".join(keys)


# -- what is no number --

_FEATURE_CODE = re.compile(r"[*#][0-9*#]{0,30}")
_SCHEME = re.compile(r"(?i)(?:\b(?:tel|callto|sips?|whatsapp):|(?:\bhttps?://)?\bwa\.me/)\s*(?://)?")
_SIP_HOST = re.compile(r"(?<=\d)@[\w.:\-]+")
_LABEL = re.compile(rf"(?i){alternatives(LABELS)}\.?:?")
_NO_NUMBERS = re.compile(
    r"(?ix) "
    rf"{alternatives(OTHER_NUMBERS)} [^\w+\n]{{0,5}} \d [\d\ \-]*"  # a number of something else
    r"| \b[a-z]{2}\d{2}(?:\ ?[a-z0-9]{4}){2,7}(?:\ ?[a-z0-9]{1,4})?\b"  # a bank account, IBAN
    r"| https?://\S+"
    r"| (?<![\d.\-/])(?:[0-3]?\d([./\-])[01]?\d\1(?:19|20)\d\d|(?:19|20)\d\d([./\-])[01]\d\2[0-3]\d)(?![\d./\-])"  # a date
    r"| (?<![\d.])[0-3]\d\.[01]\d\.\d\d(?![\d.])"
    r"| (?<!\d)[012]?\d:[0-5]\d(?::[0-5]\d)?(?!\d)"  # a time
)
_DIGITS_ALONE = re.compile(r"[0-9+() ]*")  # no word, date, time or address can be made of these
_CALLED = "\x01"  # stands where the text says that a number follows
_NOTHING = "\x02"  # stands where something is that is no number


def _marked(plain: str, region: str) -> str:
    """The text with what is no number covered, at the same places."""
    if _DIGITS_ALONE.fullmatch(plain):
        return plain
    text = _SCHEME.sub(lambda hit: _CALLED * len(hit[0]), plain)
    text = _SIP_HOST.sub(lambda hit: " " * len(hit[0]), text) if text != plain else text
    if region == "BR":
        text = _ANY_CARRIER.sub(lambda hit: hit[0].replace(hit["any"], "  "), text)
    text = _without_addresses(restore_figures(text, filler=_NOTHING))
    text = _NO_NUMBERS.sub(lambda hit: _NOTHING * len(hit[0]), text)
    return _LABEL.sub(lambda hit: _CALLED * len(hit[0]), text)


_ANY_CARRIER = re.compile(
    r"(?i)(?<![^\W_])0?\s?(?P<any>xx)(?=[\s)]{0,2}\(?\d\d)"
)  # Brazil's 0xx11: whichever carrier
_LOCAL_END = re.compile(r"[\w.+\-]+\Z")
_HOST = re.compile(r"[\w.\-]+")
_LOCAL_MOST = 64  # characters before the @; RFC 5321, 4.5.3.1


def _without_addresses(text: str) -> str:
    """E-mail addresses covered: looked for from each @, so that a row of letters without one costs nothing."""
    if "@" not in text:
        return text
    pieces: list[str] = []
    done = 0
    at = text.find("@")
    while at >= 0:
        local = _LOCAL_END.search(text, max(done, at - _LOCAL_MOST), at)
        host = _HOST.match(text, at + 1)
        if (
            local
            and host
            and (any(not one.isdigit() and one not in ".+-" for one in local[0]) or "." in host[0][1:])
        ):
            pieces += [text[done : local.start()], _NOTHING * (host.end() - local.start())]
            done = host.end()
        at = text.find("@", max(at + 1, done))
    return "".join((*pieces, text[done:]))


# -- where numbers are --

_RUN = re.compile(r"(?:\+\s{0,3}){0,3}\(?\+?\d(?:[\d ().\-/\\~]*\d)?\)?")
EXTENSION_MOST = (
    15  # figures behind a word for an extension: what the word says holds, however many there are
)
_EXTENSION = re.compile(
    rf"(?i)[\s,;.(\[{_CALLED}\-/]*(?:{ANY_EXTENSION_WORD}[\s.:=#№\-]*|\#\s*)(?P<word>\d{{1,{EXTENSION_MOST}}})(?!\d)"
    r"|,{1,4}(?P<pause>\d{1,6})#?(?![\d\s\-(])"  # dialled after a pause
    r"|\*(?P<star>\d{1,6})\#?(?!\d)"
)
_EXTENSION_BEFORE = re.compile(rf"(?i){ANY_EXTENSION_WORD}[\s.:=#№\-]*$")
_EXTENSION_AND_REST = re.compile(rf"(?is)(?:;|(?<=\d)[\s,.(\[\-/]*(?:{ANY_EXTENSION_WORD}|\#\s*\d)).*$")
_LONE_EXTENSION = re.compile(rf"(?i)^[\s{_CALLED}]*{ANY_EXTENSION_WORD}[\s.:=#№\-]*(\d{{1,7}})\s*$")
_FILLING = re.compile(rf"(?i){ANY_EXTENSION_WORD}|{alternatives(CONNECTIONS)}")
_LIST_ENDS = ("", ";", "|", "\n", _CALLED)


def _lone_extension(marked: str) -> str | None:
    hit = _LONE_EXTENSION.match(marked)
    return hit[1] if hit else None


def _found(marked: str, dialling: _Dialling) -> Iterator[_Found]:
    bare = _DIGITS_ALONE.fullmatch(marked) is not None or not any(map(str.isalpha, _FILLING.sub("", marked)))
    taken = 0
    whole_seen = False
    for _run in range(RUNS_MOST):
        run = _RUN.search(marked, taken)
        if run is None:
            return
        taken = run.end()
        before = marked[max(0, run.start() - _AROUND) : run.start()]
        if before[-1:].isalpha() or (_digits(run[0]) <= SHORTEST_OUTSIDE and _is_extension_behind(before)):
            continue
        trusted = bare or before.rstrip().endswith(_CALLED)
        for piece in _pieces(run[0], run.start(), dialling, trusted=trusted):
            short = _is_short(piece.key)
            if short and not _may_be_short(marked, piece, bare=bare, after_whole=whole_seen):
                continue
            whole_seen = whole_seen or not short
            behind = None if short else _EXTENSION.match(marked, piece.end)
            if behind is None:
                yield piece
                continue
            taken = max(taken, behind.end())
            extension = behind["word"] or behind["pause"] or behind["star"]
            yield _Found(piece.start, behind.end(), piece.key, extension)


def _is_extension_behind(before: str) -> bool:
    """Whether the text before a few digits ends in a word for an extension."""
    word = before.rstrip(_AFTER_WORD)
    return word[-1:].isalpha() and _EXTENSION_BEFORE.search(before) is not None


_AFTER_WORD = " \t\n.:=#№-"


def _is_short(key: str) -> bool:
    return len(key.lstrip("+")) < SHORTEST_OUTSIDE


def _may_be_short(marked: str, piece: _Found, *, bare: bool, after_whole: bool) -> bool:
    """`112` in a field is a number; the `6` of "after 6" and the `68` of "123-45-67, 68" are not."""
    before = marked[max(0, piece.start - _AROUND) : piece.start].rstrip(" ")
    behind = marked[piece.end : piece.end + _AROUND].lstrip(" ")
    alone = before[-1:] in _LIST_ENDS and behind[:1] in _LIST_ENDS
    if after_whole or not bare:
        return alone and (bare or before.endswith(_CALLED))
    return (before[-1:] in (*_LIST_ENDS, ",", "/")) and behind[:1] in (*_LIST_ENDS, ",", "/")


# -- what a run of figures means --

_TOKEN = re.compile(r"[^\s/\\]+")
_SLASH = re.compile(r"[^/\\]+")


def _pieces(run: str, at: int, dialling: _Dialling, *, trusted: bool) -> Iterator[_Found]:
    """A run is one number if it can be; else several that exist; else whatever it is."""
    first = _first_of_alternatives(run, at, dialling)
    if first is not None:
        yield first
        return
    whole = dialling.e164(run)
    if not is_certain(whole):
        with_extension = _with_dashed_extension(run, at, dialling)
        if with_extension is not None:
            yield with_extension
            return
        split = _split(run, at, dialling)
        if split is not None:
            yield from split
            return
    if not is_certain(whole) and is_row_of_one_digit(run):
        return
    if whole is not None and (is_certain(whole) or "+" not in run):
        if trusted or is_certain(whole) or "(" in run:
            yield _Found(at, at + len(run), whole)
        return
    slashed = list(_SLASH.finditer(run))
    if len(slashed) > 1 and trusted:
        for part in slashed:
            yield from _pieces(part[0], at + part.start(), dialling, trusted=trusted)
        return
    key = _as_it_is(run, dialling)
    if key is not None and (trusted or "+" in run):
        yield _Found(at, at + len(run), key)


_ALTERNATIVES = re.compile(r"(?:\s{0,2}[/\\]\s{0,2}\d{1,4}){1,12}\Z")


def _first_of_alternatives(run: str, at: int, dialling: _Dialling) -> _Found | None:
    """`123-45-67/68/69` is the first of a row of lines: all figures together may exist too, in some other country."""
    hit = _ALTERNATIVES.search(run)
    key = dialling.e164(run[: hit.start()]) if hit is not None else None
    return _Found(at, at + len(run), key) if key is not None and is_certain(key) else None


_DASHED_EXTENSION = re.compile(r"\s{0,2}-\s{0,2}(\d{1,6})\Z")
EXCHANGE_LEAST = 2  # digits of an extension behind a dash, but where people write even one so


def _with_dashed_extension(run: str, at: int, dialling: _Dialling) -> _Found | None:
    """`010-88886666-8001`: a number that exists without its last digits, which are then an extension."""
    hit = _DASHED_EXTENSION.search(run)
    least = (
        1 if dialling.region in DASHED_EXTENSIONS or run.lstrip("+0 ").startswith("86") else EXCHANGE_LEAST
    )
    if hit is None or len(hit[1]) < least or _digits(run) > LONGEST + 6:
        return None
    key = dialling.e164(run[: hit.start()])
    return _Found(at, at + len(run), key, hit[1]) if key is not None and is_certain(key) else None


DASHED_EXTENSIONS = ("CN", "TW", "HK", "MO")  # where an extension is as a rule written behind a dash


def _as_it_is(text: str, dialling: _Dialling) -> str | None:
    """What nobody can make E.164 of: with its plus, or its digits."""
    key = dialling.e164(text)
    digits = "".join(one for one in text if one.isdigit())
    return key or (digits if 1 <= len(digits) <= LONGEST else None)


def _split(run: str, at: int, dialling: _Dialling) -> list[_Found] | None:
    """The fewest numbers that exist and make up the run; one short thing before or behind them may be something else."""
    tokens = list(_TOKEN.finditer(run))
    if not 2 <= len(tokens) <= 24:
        return None
    for first, last in ((0, len(tokens)), (0, len(tokens) - 1), (1, len(tokens))):
        left_out = tokens[:first] + tokens[last:]
        if any("+" in one[0] or _digits(one[0]) >= SHORTEST_OUTSIDE for one in left_out):
            continue
        parts = _partition(run, tokens[first:last], dialling, least=WHOLE if left_out else SHORTEST_OUTSIDE)
        if parts:
            return [_Found(at + start, at + end, key) for start, end, key in parts]
    return None


def _digits(text: str) -> int:
    return sum(one.isdigit() for one in text)


def _partition(
    run: str, tokens: list[re.Match[str]], dialling: _Dialling, *, least: int
) -> list[tuple[int, int, str]] | None:
    """The tokens as the fewest whole numbers that exist, or None."""
    best: list[list[tuple[int, int, str]] | None] = [[], *([None] * len(tokens))]
    for end in range(1, len(tokens) + 1):
        for begin in range(end):
            before = best[begin]
            if before is None:
                continue
            span = (tokens[begin].start(), tokens[end - 1].end())
            part = run[slice(*span)]
            if not least <= _digits(part) <= LONGEST:
                continue
            key = dialling.e164(part)
            known = best[end]
            if key is not None and is_certain(key) and (known is None or len(before) + 1 < len(known)):
                best[end] = [*before, (*span, key)]
    return best[-1]

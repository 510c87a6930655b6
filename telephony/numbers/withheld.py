"""Caller ids that mean "does not want to be known": the spellings that exchanges, carriers and phones use for it.

A row is written in small letters, without quotation marks and brackets. Add a spelling here; nothing else knows them.
"""

from __future__ import annotations

from functools import lru_cache

SPELLINGS: dict[str, tuple[str, ...]] = {
    "Asterisk and SIP": (
        "", "anonymous", "unknown", "restricted", "private", "unavailable", "withheld", "blocked", "hidden", "none", "null",
        "invalid", "nobody", "no number", "no caller id", "not available", "n/a", "anon", "id unavailable",
        "caller id blocked", "caller unknown", "unavail", "number withheld", "withheld number", "private number",
        "private caller", "unknown number", "unknown caller", "restricted number", "blocked number", "hidden number",
        "anonymous caller", "number unavailable", "out of area", "presentation restricted",
    ),
    "de": ("anonym", "unbekannt", "unterdrückt", "rufnummer unterdrückt", "unbekannte nummer", "privat",
           "unbekannter anrufer"),
    "es": ("anónimo", "anonimo", "desconocido", "número desconocido", "número privado", "numero privado", "oculto",
           "número oculto", "privado", "no disponible"),
    "fr": ("anonyme", "inconnu", "masqué", "numéro masqué", "numéro inconnu", "privé", "numéro privé", "indisponible"),
    "it": ("anonimo", "sconosciuto", "numero sconosciuto", "privato", "numero privato", "riservato", "nascosto"),
    "pl": ("anonimowy", "nieznany", "numer nieznany", "zastrzeżony", "numer zastrzeżony", "zastrzezony", "ukryty",
           "prywatny",            "numer prywatny", "niedostępny"),
    "pt": ("anônimo", "anónimo", "desconhecido", "número desconhecido", "número privado", "número oculto", "restrito",
           "confidencial", "não identificado", "indisponível"),
    "ru": ("аноним", "анонимно", "анонимный", "неизвестен", "неизвестно", "неизвестный", "неизвестный номер",
           "номер неизвестен",
           "скрыт", "скрытый", "скрытый номер", "номер скрыт", "номер не определен", "номер не определён", "не определен",
           "не определён", "частный номер", "нет номера", "недоступен", "ограничен", "засекречен"),
    "uk": ("анонім", "невідомий", "невідомий номер", "прихований", "прихований номер", "номер приховано"),
    "tr": ("anonim", "bilinmeyen", "bilinmeyen numara", "gizli", "gizli numara", "özel numara"),
    "zh": ("匿名", "未知", "未知号码", "未知來電", "未知来电", "无号码", "私人号码", "隐藏号码", "保密"),
    "ja": ("非通知", "非通知設定", "匿名", "不明", "通知不可能", "表示圏外"),
    "ko": ("발신번호표시제한", "익명"),
    "ar": ("مجهول", "رقم مجهول", "رقم خاص", "محجوب", "غير معروف"),
    "keypad": ("266696687", "+266696687"),  # ANONYMOUS typed on a keypad, as some carriers of SIP send it
}  # fmt: skip

_ALL = frozenset(spelling for spellings in SPELLINGS.values() for spelling in spellings)
_AROUND = " \t\"'<>()[]«»“”„.:;,"
LONGEST = max(len(spelling) for spelling in _ALL)
REMEMBERED = 2_000  # caller ids: those of the calls of an hour, at most 300 characters each
ZEROS_LEAST = 7  # digits; shorter rows of zeros are dialled by people ("00", "000" is an emergency number)


@lru_cache(maxsize=REMEMBERED)  # every change of a call asks it anew
def is_withheld(raw: str) -> bool:
    """Whether a caller id means that the caller did not want to be known."""
    plain = raw[: 8 * LONGEST].strip().lower()
    plain = plain.removeprefix("sips:").removeprefix("sip:").strip(_AROUND)
    name, at, host = plain.partition("@")
    if at and (
        name.strip(_AROUND) in _ALL or host.endswith(".invalid")
    ):  # anonymous@anonymous.invalid, RFC 3323
        return True
    plain = " ".join(plain.replace("_", " ").split())
    if plain in _ALL or plain.partition(" <")[0].strip(_AROUND) in _ALL:
        return True
    return _says_nothing(plain)


def _says_nothing(plain: str) -> bool:
    """A lone zero, a row of zeros, a dash."""
    if plain.strip("0") == "":
        return len(plain) == 1 or len(plain) >= ZEROS_LEAST
    return not any(char.isalnum() or char in "+*#" for char in plain)


ROW_LEAST = 8  # digits; 444-44-44 is a taxi in many towns


def is_row_of_one_digit(digits: str) -> bool:
    """`777777777`, `9999999999`: what some carriers send for no number, unless such a number exists somewhere."""
    bare = digits.removeprefix("+")
    return len(bare) >= ROW_LEAST and bare == bare[0] * len(bare) and bare.isdigit()

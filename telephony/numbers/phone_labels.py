"""Words that people write around telephone numbers, by language. One table for the book, for searching and for matching.

A word is written in lower case and without its dot; it counts only where no letter stands beside it.
"""

from __future__ import annotations

import re

EXTENSION_WORDS: dict[str, tuple[str, ...]] = {
    "any": ("ext", "extn", "extension", "xt", "x", "х"),  # the second is the Cyrillic letter
    "az": ("daxili",),
    "be": ("дад", "унутр"),
    "bg": ("вътр", "вътрешен"),
    "cs": ("kl", "klapka", "linka"),
    "da": ("lokal",),
    "de": ("dw", "durchwahl", "nst", "nebenstelle", "klappe", "kl"),
    "es": ("ext", "extensión", "extension", "int", "interno", "anexo"),
    "et": ("sisetel",),
    "fi": ("alanumero", "alanro"),
    "fr": ("poste", "p"),
    "hu": ("mellék", "mell"),
    "it": ("int", "interno"),
    "kk": ("ішкі",),
    "lt": ("vid", "vidinis"),
    "lv": ("iekšējais", "iekš"),
    "nl": ("toestel", "tst", "doorkies"),
    "no": ("internnr",),
    "pl": ("wew", "wewn", "wewnętrzny", "wewnetrzny", "w"),
    "pt": ("ramal", "ram"),
    "ro": ("int", "interior"),
    "ru": ("доб", "добав", "добавочный", "вн", "внут", "внутр", "внутренний"),
    "sr": ("lok", "лок"),
    "sv": ("ankn", "anknytning"),
    "tr": ("dahili", "dah"),
    "uk": ("дод", "додатковий", "внутр", "внутрішній"),
    "zh": ("分机", "轉", "转"),
    "ja": ("内線",),
    "ko": ("내선",),
    "he": ("שלוחה",),
    "ar": ("تحويلة",),
}
LABELS = (
    *(
        "tel",
        "tél",
        "telefon",
        "téléphone",
        "telephone",
        "teléfono",
        "telefono",
        "phone",
        "ph",
        "tlf",
        "fon",
        "call",
    ),
    *(
        "mob",
        "mobile",
        "mobil",
        "móvil",
        "handy",
        "cell",
        "kom",
        "gsm",
        "cep",
        "fax",
        "work",
        "home",
        "office",
    ),
    *(
        "тел",
        "телефон",
        "моб",
        "мобильный",
        "мобільний",
        "сот",
        "сотовый",
        "раб",
        "рабочий",
        "дом",
        "домашний",
    ),
    *("факс", "т", "м", "ф", "whatsapp", "wa", "viber", "telegram", "tg", "ватсап", "t", "m", "f"),
)
"""What a number is called; `tel wew. 12` has one before the extension's word."""
CONNECTIONS = (
    "or",
    "and",
    "oder",
    "und",
    "ou",
    "et",
    "y",
    "o",
    "e",
    "lub",
    "i",
    "oraz",
    "ve",
    "veya",
    "или",
    "и",
    "або",
    "та",
)
"""Between two numbers."""
OTHER_NUMBERS = (
    *(
        "инн",
        "кпп",
        "огрн",
        "огрнип",
        "снилс",
        "бик",
        "окпо",
        "оквэд",
        "р/с",
        "к/с",
        "счет",
        "счёт",
        "паспорт",
        "карта",
    ),
    *(
        "заказ",
        "договор",
        "накладная",
        "индекс",
        "iban",
        "bic",
        "swift",
        "vat",
        "ust",
        "ust-id",
        "ust-idnr",
        "steuernummer",
    ),
    *("inn", "ssn", "ein", "passport", "order", "invoice", "contract", "card", "account", "zip", "plz", "id"),
    *(
        "nip",
        "regon",
        "pesel",
        "krs",
        "hrb",
        "siret",
        "siren",
        "cif",
        "nif",
        "nie",
        "iva",
        "isbn",
        "ean",
        "gln",
        "vin",
    ),
)
"""What stands before numbers that are no telephone's."""


def alternatives(words: tuple[str, ...]) -> str:
    """The words for a regular expression, the longest first, none as a part of a longer one."""
    ordered = sorted(set(words), key=lambda word: (-len(word), word))
    return rf"(?<![^\W\d_])(?:{'|'.join(re.escape(word) for word in ordered)})(?![^\W\d_])"


ANY_EXTENSION_WORD = alternatives(tuple(word for words in EXTENSION_WORDS.values() for word in words))

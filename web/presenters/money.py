"""How sums of money are written and read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from call_records.crm.types import Money
from telephony.errors import PeerMistake
from web.languages.messages import _

SYMBOLS = {
    "RUB": "₽",
    "EUR": "€",
    "USD": "$",
    "GBP": "£",
    "UAH": "₴",
    "KZT": "₸",
    "PLN": "zł",
    "ILS": "₪",
    "INR": "₹",
}
"""Currencies whose sign everybody there reads; the others are written with their three letters."""

THIN, FIRM = "\u202f", "\u00a0"  # narrow no-break space between thousands, no-break space before the currency


@dataclass(frozen=True, slots=True)
class AmountStyle:
    """How a region writes sums."""

    group: str
    decimal: str


_POINT = AmountStyle(",", ".")
_COMMA = AmountStyle(THIN, ",")
_POINT_REGIONS = (
    "US GB IE AU NZ CA IN PK BD LK IL CN HK TW JP KR SG MY PH TH MX KE NG GH UG TZ ZW EG SA AE QA JO MT"
)
_REGIONS_WITH_POINT = frozenset(_POINT_REGIONS.split())
"""Where 12,000.50 is twelve thousand and a half (CLDR); elsewhere it is 12 000,50."""


def amount_style(region: str | None) -> AmountStyle:
    """The style of a region; without one that of most of Europe."""
    return _POINT if region in _REGIONS_WITH_POINT else _COMMA


def money(amount: Decimal | None, currency: str | None, region: str | None = None) -> str:
    """`120 000 ₽`; hundredths only where there are any. Empty when unknown."""
    if amount is None:
        return ""
    style = amount_style(region)
    whole, _point, cents = f"{amount:,.2f}".partition(".")
    written = whole.replace(",", style.group) + (f"{style.decimal}{cents}" if cents != "00" else "")
    return f"{written}{FIRM}{SYMBOLS.get(currency, currency)}" if currency else written


def sums(several: Iterable[Money], region: str | None = None) -> str:
    """`120 000 ₽ + 300 €`: one sum for each currency."""
    return " + ".join(money(one.amount, one.currency, region) for one in several)


AMOUNT_BELOW = Decimal(10) ** 12  # what the store keeps
TYPED_MOST = 60  # characters; a sum of fifteen digits with all its marks and a currency is 30
_GROUPS = re.compile(r"\d{1,3}(?P<mark>[ .,'])\d{3}(?:(?P=mark)\d{3})*|\d{1,2}(?:,\d{2})+,\d{3}|\d+")
"""Thousands parted by one and the same mark, lakhs as in India, or no marks at all."""
_CURRENCY = re.compile(r"[$€£₽₴₸₪₹¥]|[A-Za-z]{3}|руб\.?|р\.|zł|Kč|kr\.?", re.IGNORECASE)
_MARKS = str.maketrans(
    {"٬": ",", "٫": ".", "’": "'", "\u2212": "-"} | dict.fromkeys("\u00a0\u202f\u2009_", " ")
)


def read_amount(text: str, region: str | None = None) -> Decimal | None:
    """What somebody typed: `120 000`, `120000,50`, `1.200,50 €`. Empty is no amount.

    Anything else, `12k` or `1e9` too, raises PeerMistake: a sum that was guessed is worse than one that is asked for again.
    """
    typed = text.translate(_MARKS).strip()
    if not typed:
        return None
    plain = _without_currency(typed) if len(typed) <= TYPED_MOST else None
    amount = _number(plain) if plain is not None else None
    if amount is None:
        raise _no_amount(text, region)
    if amount >= AMOUNT_BELOW:
        raise PeerMistake(_("This amount is too large."), remedy=_("Amounts go up to 999 999 999 999."))
    return amount


def _without_currency(typed: str) -> str:
    """The number of a sum with its sign or its three letters before or after it."""
    for found in (
        _CURRENCY.match(typed),
        next((one for one in _CURRENCY.finditer(typed) if one.end() == len(typed)), None),
    ):
        if found and _is_currency(found[0]):
            return (typed[: found.start()] + typed[found.end() :]).strip()
    return typed


def _is_currency(text: str) -> bool:
    return not text.isascii() or not text.isalpha() or text.upper() in _CODES or text.casefold() == "kr"


_CODE_LIST = (
    "RUB EUR USD GBP UAH KZT PLN ILS INR CHF CZK SEK NOK DKK HUF RON BGN RSD TRY CNY JPY KRW BYN GEL AMD AZN UZS "
    "KGS MDL CAD AUD NZD SGD HKD THB MYR IDR PHP VND AED SAR QAR KWD EGP ZAR NGN KES BRL MXN ARS CLP COP PEN ISK"
)
_CODES = frozenset(_CODE_LIST.split())
"""Codes of ISO 4217 that offices write; any other three letters are not a currency."""


def _number(plain: str) -> Decimal | None:
    """`12 000,50`: at most two figures behind the last mark, which then is no mark of thousands."""
    cents = re.search(r"[.,](\d{1,2})$", plain)
    whole = plain[: cents.start()] if cents else plain
    found = _GROUPS.fullmatch(whole or "0")
    if found is None or (cents and found["mark"] == cents[0][0]):
        return None
    return Decimal(re.sub(r"\D", "", whole or "0") + "." + (cents[1] if cents else "0"))


def _no_amount(text: str, region: str | None) -> PeerMistake:
    like = money(Decimal("12000.50"), None, region).replace(THIN, " ")
    return PeerMistake(
        _("“{text}” is not an amount.").format(text=text.strip()[:40]),
        remedy=_("Write digits only, like {like}.").format(like=like),
    )

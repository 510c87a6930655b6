"""How sums of money are written and read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from call_records.book.shapes import Money
from telephony.errors import PeerMistake
from web.wording import _

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


def money(amount: Decimal | None, currency: str | None) -> str:
    """`120 000 ₽`; hundredths only where there are any. Empty when unknown."""
    if amount is None:
        return ""
    written = f"{amount:,.2f}".replace(",", THIN).removesuffix(".00")
    return f"{written}{FIRM}{SYMBOLS.get(currency, currency)}" if currency else written


def sums(several: Iterable[Money]) -> str:
    """`120 000 ₽ + 300 €`: one sum for each currency."""
    return " + ".join(money(one.amount, one.currency) for one in several)


def read_amount(text: str) -> Decimal | None:
    """What somebody typed: `120 000`, `120000,50`, `1.200,50 €`. Empty is no amount. Raises PeerMistake."""
    kept = re.sub(r"[^\d.,\-]", "", text)
    if not re.search(r"\d", kept):
        if text.strip():
            raise _no_amount()
        return None
    cents = re.search(r"[.,](\d{1,2})$", kept)
    whole = re.sub(r"[.,]", "", kept[: cents.start()] if cents else kept)
    try:
        return Decimal(f"{whole or '0'}.{cents.group(1) if cents else '0'}")
    except InvalidOperation:
        raise _no_amount() from None


def _no_amount() -> PeerMistake:
    return PeerMistake(_("This is no amount."), remedy=_("Write digits, like 120 000 or 99,50."))

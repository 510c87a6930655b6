"""Which currency deals are counted in: what an administrator set, else that of the country whose numbers are at home."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.tables import office
from call_records.crm.writes import Home
from telephony.errors import PeerMistake

CURRENCY_KEY = "currency"
"""Of the office's values; three letters of ISO 4217."""

OTHERWISE = "EUR"
_EURO = "AT BE CY DE EE ES FI FR GR HR IE IT LT LU LV ME MT NL PT SI SK XK"
CURRENCIES: dict[str, str] = {
    **dict.fromkeys(_EURO.split(), "EUR"),
    "AE": "AED",
    "AM": "AMD",
    "AU": "AUD",
    "AZ": "AZN",
    "BG": "EUR",  # since 1 January 2026
    "BR": "BRL",
    "BY": "BYN",
    "CA": "CAD",
    "CH": "CHF",
    "CN": "CNY",
    "CZ": "CZK",
    "DK": "DKK",
    "GB": "GBP",
    "GE": "GEL",
    "HU": "HUF",
    "IL": "ILS",
    "IN": "INR",
    "JP": "JPY",
    "KG": "KGS",
    "KZ": "KZT",
    "MD": "MDL",
    "MX": "MXN",
    "NO": "NOK",
    "PL": "PLN",
    "RO": "RON",
    "RS": "RSD",
    "RU": "RUB",
    "SE": "SEK",
    "TJ": "TJS",
    "TR": "TRY",
    "UA": "UAH",
    "US": "USD",
    "UZ": "UZS",
}
"""Country of the office's numbers (ISO 3166) → its currency (ISO 4217)."""

AMOUNT_END = Decimal(10) ** 12  # what the column holds before its two decimals


async def office_currency(connection: AsyncConnection, home: Home) -> str:
    """What a new deal is counted in."""
    chosen = await connection.scalar(select(office.c.value).where(office.c.key == CURRENCY_KEY))
    return chosen if isinstance(chosen, str) and chosen else CURRENCIES.get(home.region, OTHERWISE)


def checked_amount(amount: Decimal | None) -> Decimal | None:
    """The amount with two decimals. Raises PeerMistake for what no deal is worth."""
    if amount is None:
        return None
    if not amount.is_finite() or not 0 <= amount < AMOUNT_END:
        raise PeerMistake("This amount cannot be kept.", remedy="Write a sum between 0 and 999 999 999 999.")
    return amount.quantize(Decimal("0.01"))

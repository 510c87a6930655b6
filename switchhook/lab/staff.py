"""The people of the simulated office. All invented."""

from __future__ import annotations

STAFF = {
    "101": "Anna Belova",
    "102": "Boris Volkov",
    "103": "Vera Gromova",
    "104": "Grigory Denisov",
    "105": "Dina Egorova",
    "106": "Egor Zhukov",
    "107": "Galina Orlova",
    "108": "Zoya Ilyina",
    "109": "Ivan Petrov",
    "110": "Kira Lebedeva",
}
"""Extension → name, as the handsets' caller names in `asterisk-config/office/pjsip.conf` are made from it."""

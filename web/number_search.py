"""Searching for somebody who sees numbers masked: by a whole number or by a name, never digit by digit.

Whoever may search by a few digits reads a masked number out in fifty questions. So for such a view a text is a name
(its digits are left out of the search), or one whole number, of which so many may be tried in a while.
"""

from __future__ import annotations

import unicodedata

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from call_records.types import Account
from telephony.numbers.phone_text_parser import written
from web.auth.access import Viewer
from web.auth.sign_in_limits import TooManyTries
from web.languages.messages import N_
from web.site import Site

FEWEST_WHOLE = 7  # digits; the shortest numbers of whole countries
ALWAYS_WHOLE = 10  # digits, which is as much as is compared anywhere
WHOLE_SEARCHES = RateLimitItemPerMinute(
    60, 10
)  # a callback a minute; guessing numbers would take ten thousand years
TEXT_MOST = 200  # characters that are looked at
OTHERWISE_REGION = "RU"  # as forms read numbers where no region is set

_searches = MovingWindowRateLimiter(MemoryStorage())
"""Per process: several web processes allow several times as much, which is as far from enough."""

NO_NUMBER = "0" * ALWAYS_WHOLE
"""Nobody's: a search that may not be made finds nothing, rather than everything."""
WHOLE_ONLY = N_("Your account sees numbers masked: search by a whole number, or by a name.")


def text_to_search(site: Site, viewer: Viewer, text: str) -> str:
    """What may be looked for in names and numbers; the text itself, unless numbers are masked for the viewer.

    Raises TooManyTries when whole numbers were tried too often.
    """
    if not viewer.view.numbers_masked:
        return text
    plain = unicodedata.normalize("NFKC", text[:TEXT_MOST])
    if is_whole_number(plain, site.settings.region):
        _count(viewer.account)
        return text
    return " ".join(word for word in plain.split() if not any(char.isdigit() for char in word))


def number_to_search(site: Site, viewer: Viewer, number: str | None) -> str | None:
    """The number to look for; None where there is none, or only a part of one for a view that masks them."""
    if number is None or not viewer.view.numbers_masked:
        return number
    plain = unicodedata.normalize("NFKC", number[:TEXT_MOST])
    if not is_whole_number(plain, site.settings.region):
        return None
    _count(viewer.account)
    return number


def count_number_tries(viewer: Viewer, tries: int) -> None:
    """So many whole numbers were asked for at once. Raises TooManyTries when that were too many."""
    if viewer.view.numbers_masked:
        for _nth in range(tries):
            _count(viewer.account)


def is_whole_number(text: str, region: str | None) -> bool:
    """Whether it is one number from its first digit to its last, and nothing else."""
    digits = sum(char.isdigit() for char in text)
    if digits < FEWEST_WHOLE or any(char.isalpha() for char in text):
        return False
    if digits >= ALWAYS_WHOLE:
        return True
    found = written(text, region or OTHERWISE_REGION)
    # Seven digits are a number in one country and the end of one in another: only E.164 says that it is whole.
    return len(found) == 1 and (found[0].key or "").startswith("+")


def _count(account: Account) -> None:
    if not _searches.hit(WHOLE_SEARCHES, "whole numbers", str(account.id)):
        raise TooManyTries

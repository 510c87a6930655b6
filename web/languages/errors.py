"""What an error says, in the language of the request: its sentence is looked up, then its values are put in."""

from __future__ import annotations

from telephony.errors import SwitchhookError
from web.languages.messages import gettext


def translate_error(error: SwitchhookError) -> str:
    """What went wrong."""
    return error.fill(gettext(error.message))


def translate_remedy(error: SwitchhookError) -> str | None:
    """What can be done about it."""
    return error.fill(gettext(error.remedy_message)) if error.remedy_message else None


def translate_sentence(error: SwitchhookError) -> str:
    """Both, for places that show one text."""
    return f"{translate_error(error)} {translate_remedy(error) or ''}".strip()

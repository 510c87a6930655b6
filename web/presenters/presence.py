"""What a phone is doing, in a word."""

from __future__ import annotations

from collections.abc import Mapping

from telephony.presence import PhoneState
from web.presenters.labels import _

STATE_WORDS: Mapping[PhoneState, str] = {
    PhoneState.RINGING: _("Ringing"),
    PhoneState.BUSY: _("On the phone"),
    PhoneState.ON_HOLD: _("On hold"),
    PhoneState.DO_NOT_DISTURB: _("Do not disturb"),
    PhoneState.FREE: _("Free"),
    PhoneState.UNREACHABLE: _("Phone is off"),
    PhoneState.UNKNOWN: "",
}

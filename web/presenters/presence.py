"""What a phone is doing, in a word."""

from __future__ import annotations

from telephony.presence import PhoneState
from web.languages.messages import N_, Phrases

STATE_WORDS: Phrases[PhoneState] = Phrases(
    {
        PhoneState.RINGING: N_("Ringing"),
        PhoneState.BUSY: N_("On the phone"),
        PhoneState.ON_HOLD: N_("On hold"),
        PhoneState.DO_NOT_DISTURB: N_("Do not disturb"),
        PhoneState.FREE: N_("Free"),
        PhoneState.UNREACHABLE: N_("Phone is off"),
        PhoneState.UNKNOWN: "",
    }
)

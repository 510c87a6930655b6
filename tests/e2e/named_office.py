"""An Asterisk whose phones are called as its own documentation recommends: by name and by hardware address, with hints."""

from __future__ import annotations

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.pbx.config import CONFIG_FILES

ALICE, BOB, BOB_SOFT, WORKSHOP = "alice", "bob", "bob-soft", "001122334455"
EXTENSION_OF = {ALICE: "171", BOB: "172", BOB_SOFT: "172", WORKSHOP: "173"}
DIRECT, GROUP, QUEUE, OWNER_FIRST = "74951003001", "74951003002", "74951003003", "74951003004"

PHONE = """
[{name}](handset)
auth = {name}
aors = {name}
{callerid}
[{name}](handset-auth)
username = {name}
password = {password}
[{name}](handset-aor)
"""

HINTS = """
[from-staff](+)
exten = 171,hint,PJSIP/alice
exten = 172,hint,PJSIP/bob&PJSIP/bob-soft&Custom:DND172,CustomPresence:172
exten = 173,hint,PJSIP/001122334455
; A lamp for the whole room is nobody's extension.
exten = 670,hint,PJSIP/alice&PJSIP/001122334455
"""

DIALPLAN = f"""
[from-staff](+)
exten = 171,1,Dial(PJSIP/alice,20,tTkK)
 same = n,Hangup()
exten = 172,1,Dial(PJSIP/bob&PJSIP/bob-soft,20,tTkK)
 same = n,Hangup()
exten = 173,1,Dial(PJSIP/001122334455,20,tTkK)
 same = n,Hangup()
[from-trunk]
exten = {DIRECT},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Dial(PJSIP/alice,20,tkb(switchhook-display^s^1))
 same = n,Hangup()
exten = {GROUP},1,Dial(PJSIP/bob&PJSIP/bob-soft&PJSIP/001122334455,20,tk)
 same = n,Hangup()
exten = {QUEUE},1,Answer()
 same = n,Queue(named,tk,,,30)
 same = n,Hangup()
exten = {OWNER_FIRST},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Gosub(switchhook-owner,s,1(tk))
 same = n,Hangup()
"""

QUEUES = """
[named](queue)
strategy = ringall
timeout = 15
member => PJSIP/alice,0,Alice,PJSIP/alice
member => PJSIP/001122334455,0,Workshop,PJSIP/001122334455
"""


def named_office(install: AsteriskInstall, *, hints: bool = True) -> PrivateAsterisk:
    """Not started yet. Bob's caller ID is set as people set it; the others' are what their phones say."""
    callerids = {BOB: 'callerid = "Bob" <172>', BOB_SOFT: 'callerid = "Bob" <172>'}
    phones = "".join(
        PHONE.format(
            name=name, password=PrivateAsterisk.password_of(name), callerid=callerids.get(name, "; none")
        )
        for name in EXTENSION_OF
    )
    names = (CONFIG_FILES / "plain" / "extensions_switchhook_names.conf").read_text(encoding="utf-8")
    return PrivateAsterisk(
        install,
        additions={
            "pjsip.conf": phones,
            "extensions.conf": (HINTS if hints else "") + DIALPLAN + names,
            "queues.conf": QUEUES,
        },
    )

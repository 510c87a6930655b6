"""The numbers of every advisory lock, so that no two of ours are the same.

A lock of PostgreSQL is a number of 64 bits that all processes on a database share. Where one lock is enough, the number
is the lock. Where there is one for each thing (a call, a phone number), the number is the seed of a hash of its key
(`hashtextextended(key, seed)`), so that a call and a phone number written alike do not wait for each other. Editing of a
recording alone takes 63 bits of the recording's id as they are. A clash of two hashes only makes two wait.
"""

from __future__ import annotations

from typing import Final

# seeds: one lock for each key
CALLS: Final = 7
NUMBERS: Final = 11  # phone numbers of contacts
FLOOD: Final = 19  # our own numbers, while is counted how many leads they made
SIGN_IN_TRIES: Final = 5369676

# locks
MERGES: Final = 17  # all merges take turns: a person's click each, some milliseconds long
IMPORTS: Final = 23
WORKING_HOURS: Final = 29
STAGE_MOVES: Final = 31
MISSED_CLOCK: Final = 0x6D69_7373  # "miss": of several processes one looks at the clock at a time
FIRST_ACCOUNT: Final = 0x4669_7273_74  # "First": two browsers at the first-run page take turns
UPGRADE: Final = 0x5377_6974_6368  # "Switch": two processes that start at once

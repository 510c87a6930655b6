"""What PostgreSQL says when something is wrong, turned into our errors with the remedy beside them.

Chosen by SQLSTATE, not by message, so that the language of the server does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from telephony.errors import NeedsPerson, OurMistake, SwitchhookError, TryLater

_AWAY = ("The database does not answer.", "Check that PostgreSQL runs and that [database] url names it.")
_SLOW = (
    "The database took too long to answer.",
    "Look at its load and its disk; the request can be repeated.",
)
_AGAIN = ("Two writers met in the database.", "Nothing to do: the same request is repeated.")

TROUBLES: tuple[tuple[str, type[SwitchhookError], str, str], ...] = (
    ("08", TryLater, *_AWAY),
    ("57P", TryLater, "The database is restarting.", "Wait; nothing is lost meanwhile."),
    ("57014", TryLater, *_SLOW),
    ("55P03", TryLater, *_SLOW),
    ("40", TryLater, *_AGAIN),
    (
        "53100",
        TryLater,
        "The database's disk is full.",
        "Free space on it or add some; nothing is lost meanwhile.",
    ),
    (
        "53300",
        TryLater,
        "The database has no connection left.",
        "Raise max_connections or stop other programs.",
    ),
    ("53", TryLater, "The database is short of memory or disk.", "Look at the machine it runs on."),
    ("58", TryLater, "The database cannot read or write its files.", "Look at its log and its disk."),
    (
        "28",
        NeedsPerson,
        "The database refuses our name or password.",
        "Correct them in [database] url; @, : and / in a password are written %40, %3A and %2F.",
    ),
    (
        "3D000",
        NeedsPerson,
        "The database named in [database] url does not exist.",
        "Create it: createdb -O USER NAME (docs/reference/database.md).",
    ),
    ("42501", NeedsPerson, "The database does not give us the right to do this.", "Make our role its owner."),
    ("25006", NeedsPerson, "The database is read-only.", "Point [database] url at the primary server."),
    ("42", NeedsPerson, "The database's tables are not those of this release.", "Run `switchhook migrate`."),
)
"""SQLSTATE or its beginning → whose move it is, what to say, the remedy. First match wins."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Inside it, trouble with the database leaves as TryLater, NeedsPerson or OurMistake, the cause kept."""
    try:
        yield
    except SwitchhookError:
        raise
    except PoolTimeout as cause:
        raise TryLater(_SLOW[0], remedy=_SLOW[1]) from cause
    except (asyncpg.InterfaceError, InterfaceError) as cause:
        raise _misuse_or_away(cause) from cause
    except (OSError, TimeoutError) as cause:
        raise TryLater(_AWAY[0], remedy=_AWAY[1]) from cause
    except (SQLAlchemyError, asyncpg.PostgresError) as cause:
        raise _translated(cause) from cause


def sqlstate(error: BaseException) -> str | None:
    """The five characters PostgreSQL gave, wherever the drivers keep them; None when it never came to that."""
    seen: BaseException | None = error
    while seen is not None:
        told = getattr(seen, "sqlstate", None)
        if isinstance(told, str):
            return told
        seen = getattr(seen, "orig", None) or seen.__cause__
    return None


def _misuse_or_away(error: Exception) -> SwitchhookError:
    """asyncpg uses one class for a closed connection and for a value it cannot encode; the latter is a ValueError."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ValueError):
            return OurMistake("The database could not be given a value it was sent.")
        seen = getattr(seen, "orig", None) or seen.__cause__
    return TryLater(_AWAY[0], remedy=_AWAY[1])


def _translated(error: Exception) -> SwitchhookError:
    state = sqlstate(error)
    if state is None:
        gone = isinstance(error, DBAPIError) and error.connection_invalidated
        away = gone or isinstance(
            getattr(error, "orig", None), OSError | TimeoutError | asyncpg.InterfaceError
        )
        if away:
            return TryLater(_AWAY[0], remedy=_AWAY[1])
        return OurMistake(f"The database could not be used: {type(error).__name__}.")
    for beginning, kind, message, remedy in TROUBLES:
        if state.startswith(beginning):
            return kind(message, remedy=remedy)
    return OurMistake(f"The database did not accept what we sent it (SQLSTATE {state}).")

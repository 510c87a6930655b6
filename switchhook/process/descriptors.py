"""How many files and connections this process may have open, and how they are shared out.

The web server gets what is left after a reserve for those that must never go without: the links to the PBX, the journal,
its spool, recordings in work.
"""

from __future__ import annotations

import resource

import structlog

from web.http.connections import ConnectionLimits

log = structlog.get_logger(__name__)

WANTED = 65_536  # as packaging/switchhook.service has it; a container's limit of a billion makes some libraries slow
RESERVED_LEAST = 128  # a service at work with one PBX has some 60 open, forty of them to its database
RESERVED_SHARE = 4  # one in four, for more PBXes and recordings in work
CONNECTIONS_MOST = 4_096  # each holds some 50 kB; ten windows for each of 400 people
CONNECTIONS_LEAST = 32


def raise_descriptor_limit() -> int:
    """Raise the soft limit as far as the hard one lets us, and say what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        log.info("descriptor_limit_raised", before=soft, after=wanted)
        return wanted
    return WANTED if soft == resource.RLIM_INFINITY else soft


def share_of_web(limit: int) -> ConnectionLimits:
    """The connections that the web server may hold where the process may have `limit` descriptors."""
    reserved = max(RESERVED_LEAST, limit // RESERVED_SHARE)
    most = max(CONNECTIONS_LEAST, min(CONNECTIONS_MOST, limit - reserved))
    return ConnectionLimits(most=most, most_per_address=max(CONNECTIONS_LEAST, most // 4))

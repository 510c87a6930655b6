"""Where an error page leads on to: the list that the missing or refused thing belongs to, if this viewer may open it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from telephony.staff import Role
from web.auth.access import ADMINISTRATORS, ANYONE_SIGNED_IN, SUPERVISORS, Viewer, may_list_recordings
from web.languages.messages import N_


@dataclass(frozen=True, slots=True)
class WayOn:
    """A link out of an error."""

    href: str
    text: str
    """In English; the page translates it."""
    roles: frozenset[Role] = ANYONE_SIGNED_IN


_LIVE = WayOn("/live", N_("Go to Live"))
_SIGN_IN = WayOn("/sign-in", N_("Sign in"))

_LISTS: tuple[tuple[str, WayOn], ...] = (
    ("/calls", WayOn("/calls", N_("Go to Calls"))),
    ("/missed", WayOn("/missed", N_("Go to Missed calls"))),
    ("/people/import", WayOn("/people/import", N_("Go to Import"), SUPERVISORS)),
    ("/people", WayOn("/people", N_("Go to People"))),
    ("/deals", WayOn("/deals", N_("Go to Deals"))),
    ("/recordings", WayOn("/recordings", N_("Go to Recordings"))),
    ("/review", WayOn("/review", N_("Go to Review"), SUPERVISORS)),
    ("/feedback", WayOn("/feedback", N_("Go to Feedback"), frozenset({Role.MANAGER}))),
    ("/staff", WayOn("/staff", N_("Go to Staff"), ADMINISTRATORS)),
    ("/accounts", WayOn("/accounts", N_("Go to Accounts"), ADMINISTRATORS)),
    ("/rules", WayOn("/rules", N_("Go to Lead rules"), ADMINISTRATORS)),
    ("/pipelines", WayOn("/pipelines", N_("Go to Pipelines"), ADMINISTRATORS)),
    ("/sources", WayOn("/sources", N_("Go to Sources"), ADMINISTRATORS)),
    ("/audit", WayOn("/audit", N_("Go to Audit"), ADMINISTRATORS)),
    ("/settings", WayOn("/settings", N_("Go to My settings"))),
)
"""The longer address before the shorter one it begins with."""


def find_way_on(path: str, viewer: Viewer | None) -> WayOn:
    """The nearest list to go on from; Live where there is none, signing in for nobody signed in."""
    if viewer is None:
        return _SIGN_IN
    return next((way for way in _ways(path) if _is_open(way, viewer)), _LIVE)


def _ways(path: str) -> Iterable[WayOn]:
    return (way for prefix, way in _LISTS if path == prefix or path.startswith(f"{prefix}/"))


def _is_open(way: WayOn, viewer: Viewer) -> bool:
    if way.href == "/recordings" and not may_list_recordings(viewer.account):
        return False
    return viewer.account.role in way.roles

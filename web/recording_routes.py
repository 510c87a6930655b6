"""The pages and the list of recordings, rules, audit and shared links, in the order in which they are asked."""

from __future__ import annotations

from web.api import recording_list
from web.pages import audit, listen, recording_rules, recordings

ROUTERS = (
    recording_rules.router,  # /recordings/rules before /recordings/{recording_id}
    recordings.router,
    listen.router,
    audit.router,
    recording_list.router,
)

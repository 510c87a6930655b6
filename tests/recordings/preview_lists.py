"""`python -m tests.recordings.preview_lists [FOLDER]`: the list, the exceptions, one recording, the rules, the audit log
and a shared link of a fictional office, as pictures in the usual sizes.

Needs a PostgreSQL to be found on this machine, as the tests do.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from playwright.async_api import Browser, Page, async_playwright
from sqlalchemy import update

from call_records.database import RecordsStore, open_records
from call_records.postgres import EmbeddedPostgres
from call_records.recordings.settings import AudioSettings
from call_records.recordings.shapes import RetentionRule
from call_records.recordings.tables import recordings
from telephony.facts import CallFacts, Direction
from telephony.recordings import AuditAction, HealthFault, HearScope, RecordingState
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import change
from tests.recordings.recording_builder import arrival, outcome
from tests.recordings.sounds import a_short_call
from tests.web import office
from tests.web.fakes import CHEAP, FakeLive, cheap_passwords
from tests.web.preview import CHROMIUM, FLAGS, SIZES
from web.access import token_hash
from web.app import create_app
from web.server import serve
from web.settings import WebSettings

LOOKS = (("light", "ltr"), ("dark", "ltr"), ("light", "rtl"))
TOKEN = "p" * 43
NAMES = ("Fictional Garden Ltd", None, "Imagined Bakery", None, "Nowhere Travel", "Dream Tiles", "Żółta Łódź")

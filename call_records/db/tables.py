"""The tables, as SQLAlchemy Core sees them. `migrations/` makes them; a test holds the two together.

A call is one row: its facts as JSON, and beside them the few columns the list is searched by. Rows that belong to a
call (aliases, trace, outbox, notes) carry its id without a foreign key: they may be known before the call itself
(a note typed on a live card) and move when two calls turn out to be one.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP

metadata = MetaData()
MOMENT = TIMESTAMP(timezone=True)
_NOW = text("now()")

call_revisions = Sequence("call_revisions", metadata=metadata)

calls = Table(
    "calls",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("pbx", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("disposition", Text),
    Column("state", Text, nullable=False),
    Column("started_at", MOMENT, nullable=False),
    Column("answered_at", MOMENT),
    Column("ended_at", MOMENT),
    Column("caller_number", Text),
    Column("did", Text),
    # The number outside: E.164, or what the PBX said. Its digits reversed find "ends with"; the last ten find it whole.
    Column("outside_number", Text),
    Column("outside_last10", Text),
    Column("outside_reversed", Text),
    # Last ten digits of every further outside party (a transfer to a mobile).
    Column("other_last10", ARRAY(Text), nullable=False),
    Column("parties", ARRAY(Text), nullable=False),
    Column("facts", JSONB, nullable=False),
    # What the caller pressed after the call, 1 to 5.
    Column("rating", Integer),
    # Arrival of the newest raw message behind the facts (our clock): older news never overwrites newer.
    Column("told_until", Float),
    Column("revision", BigInteger, nullable=False, server_default=text("nextval('call_revisions')")),
    # The revision that was taken into the book; see call_records.crm.call_worker.
    Column("booked", BigInteger),
    Index("calls_by_time", text("started_at DESC"), text("id DESC")),
    Index("calls_by_pbx", "pbx", text("started_at DESC")),
    Index("calls_by_direction", "direction", text("started_at DESC"), text("id DESC")),
    Index("calls_by_disposition", "disposition", text("started_at DESC"), text("id DESC")),
    Index(
        "calls_by_direction_and_disposition",
        "direction",
        "disposition",
        text("started_at DESC"),
        text("id DESC"),
    ),
    Index(
        "calls_by_own_number",
        "started_at",
        "did",
        postgresql_where=text("direction = 'inbound' AND did IS NOT NULL"),
    ),
    Index("calls_by_outside", "outside_last10", text("started_at DESC"), text("id DESC")),
    Index(
        "calls_by_last_digits", "outside_reversed", postgresql_ops={"outside_reversed": "text_pattern_ops"}
    ),
    Index("calls_by_parties", "parties", postgresql_using="gin"),
    Index("calls_by_other", "other_last10", postgresql_using="gin"),
    Index("calls_by_rating", "rating", text("started_at DESC"), postgresql_where=text("rating IS NOT NULL")),
    Index(
        "calls_by_queue",
        text("(facts #>> '{queue,name}')"),
        text("started_at DESC"),
        text("id DESC"),
        postgresql_where=text("(facts #>> '{queue,name}') IS NOT NULL"),
    ),
    Index("calls_to_book", "revision", postgresql_where=text("booked IS DISTINCT FROM revision")),
    Index("calls_unfinished", "pbx", postgresql_where=text("state <> 'ended'")),
)

call_aliases = Table(
    "call_aliases",
    metadata,
    Column("pbx", Text, nullable=False),
    Column("uniqueid", Text, nullable=False),
    Column("call_id", Uuid, nullable=False),
    PrimaryKeyConstraint("pbx", "uniqueid"),
    Index("call_aliases_by_call", "call_id"),
)

call_redirects = Table(
    "call_redirects",
    metadata,
    Column("old_id", Uuid, primary_key=True),
    Column("new_id", Uuid, nullable=False),
    Index("call_redirects_by_new", "new_id"),
)

call_trace = Table(
    "call_trace",
    metadata,
    Column("call_id", Uuid, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("line", JSONB, nullable=False),
    Column("at", MOMENT, nullable=False),
    PrimaryKeyConstraint("call_id", "ordinal"),
    UniqueConstraint("call_id", "digest", name="call_trace_once"),
    Index("call_trace_by_age", "at", postgresql_using="brin"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("call_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("party", Text),
    Column("happened_at", MOMENT, nullable=False),
    Column("owed_at", MOMENT, nullable=False, server_default=_NOW),
    Column("state", Text, nullable=False, server_default="owed"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", MOMENT, nullable=False, server_default=_NOW),
    Column("reason", Text),
    UniqueConstraint("call_id", "kind", "key", name="outbox_once"),
    Index("outbox_by_age", "owed_at"),
    Index("outbox_due", "due_at", "id", postgresql_where=text("state <> 'done'")),
    Index("outbox_lane", "call_id", "id", postgresql_where=text("state <> 'done'")),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("login", Text, nullable=False),
    # Whose account it is: somebody with a name, a team and handsets.
    Column(
        "person_id",
        Uuid,
        ForeignKey("people.id", ondelete="RESTRICT", name="accounts_person_id_fkey"),
        unique=True,
    ),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("extensions", ARRAY(Text), nullable=False),
    Column("pop", Text, nullable=False),
    Column("alerts", ARRAY(Text), nullable=False, server_default=text("'{notify}'")),
    # A tag as in HTML (`pt-BR`). NULL: as the browser says.
    Column("language", Text),
    # NULL: what `telephony.recordings` says for the role.
    Column("team", Text),
    Column("hears", Text),
    Column("recording_rights", ARRAY(Text)),
    Column("password_hash", Text, nullable=False),
    # Made by an administrator, who has seen it: whoever signs in with it chooses another one first.
    Column("password_temporary", Boolean, nullable=False, server_default=text("false")),
    Column("active", Boolean, nullable=False),
    # Counts what administrators decided: a form that was shown before the newest decision changes nothing.
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Index("accounts_login", text("lower(login)"), unique=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Column("seen_at", MOMENT, nullable=False, server_default=_NOW),
    Column("expires_at", MOMENT, nullable=False),
    Column("browser", Text, nullable=False),
    Index("sessions_by_account", "account_id"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Column("used_at", MOMENT),
    # NULL: made before there were scopes, opens everything that tokens open.
    Column("scopes", ARRAY(Text)),
    # NULL: never.
    Column("expires_at", MOMENT),
    Index("tokens_by_account", "account_id"),
)

sign_in_tries = Table(
    "sign_in_tries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # A digest: people type passwords into the field for the name, and addresses are nobody's business later.
    Column("bucket", LargeBinary, nullable=False),
    Column("at", MOMENT, nullable=False, server_default=text("clock_timestamp()")),
    Index("sign_in_tries_by_bucket", "bucket", "at"),
    Index("sign_in_tries_by_age", "at"),
)

form_answers = Table(
    "form_answers",
    metadata,
    # A digest of the form's id, its address and the session; the answer is for nobody else.
    Column("form", LargeBinary, primary_key=True),
    # Where it led; NULL while it is being carried out.
    Column("location", Text),
    Column("at", MOMENT, nullable=False, server_default=text("clock_timestamp()")),
    Index("form_answers_by_age", "at"),
)

recent_changes = Table(
    "recent_changes",
    metadata,
    # A person, a company or a deal.
    Column("thing", Uuid, primary_key=True),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("at", MOMENT, nullable=False, server_default=text("clock_timestamp()")),
    Index("recent_changes_by_age", "at"),
    Index("recent_changes_by_account", "account_id"),
)

people = Table(
    "people",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("team", Text),
    Column("email", Text),
    # Their id in the CRM, where they have one.
    Column("crm_user", Text),
    # account, hand, csv, pbx
    Column("origin", Text, nullable=False, server_default="hand"),
    Column("left_at", MOMENT),
)

extensions = Table(
    "extensions",
    metadata,
    Column("extension", Text, primary_key=True),
    # NULL: found in the PBX, nobody was named for it yet.
    Column("person_id", Uuid, ForeignKey("people.id", ondelete="CASCADE")),
    Column("pbx", Text),
    # As the PBX calls it.
    Column("label", Text),
    Column("seen_at", MOMENT),
    Column("gone_at", MOMENT),
    Index("extensions_by_person", "person_id"),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("pbx", Text, nullable=False),
    # PJSIP/alice, or alice where the technology was not told.
    Column("endpoint", Text, nullable=False),
    # telephony.endpoint_directory.EndpointSource
    Column("source", Text, nullable=False),
    # NULL: a trunk; of an undecided one: nobody knows.
    Column("extension", Text),
    Column("seen_at", MOMENT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("pbx", "endpoint", "source"),
)

notes = Table(
    "notes",
    metadata,
    Column("call_id", Uuid, nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("text", Text, nullable=False),
    Column("updated_at", MOMENT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("call_id", "account_id"),
)

pbx_links = Table(
    "pbx_links",
    metadata,
    Column("pbx", Text, primary_key=True),
    Column("connected", Boolean, nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("lag_seconds", Float, nullable=False),
    Column("problem", Text),
    Column("told_at", MOMENT, nullable=False, server_default=_NOW),
)

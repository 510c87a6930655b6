"""The call journal, its outbox, and who may look at it.

Plain SQL on purpose: this is what was released, whatever the models become later.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE SEQUENCE call_revisions;

CREATE TABLE calls (
    id uuid PRIMARY KEY,
    pbx text NOT NULL,
    direction text NOT NULL,
    disposition text,
    state text NOT NULL,
    started_at timestamptz NOT NULL,
    answered_at timestamptz,
    ended_at timestamptz,
    caller_number text,
    did text,
    outside_number text,
    outside_last10 text,
    outside_reversed text,
    other_last10 text[] NOT NULL,
    parties text[] NOT NULL,
    facts jsonb NOT NULL,
    told_until double precision,
    revision bigint NOT NULL DEFAULT nextval('call_revisions')
);
CREATE INDEX calls_by_time ON calls (started_at DESC, id DESC);
CREATE INDEX calls_by_direction ON calls (direction, started_at DESC, id DESC);
CREATE INDEX calls_by_disposition ON calls (disposition, started_at DESC, id DESC);
CREATE INDEX calls_by_outside ON calls (outside_last10, started_at DESC, id DESC);
CREATE INDEX calls_by_last_digits ON calls (outside_reversed text_pattern_ops);
CREATE INDEX calls_by_parties ON calls USING gin (parties);
CREATE INDEX calls_by_other ON calls USING gin (other_last10);
CREATE INDEX calls_unfinished ON calls (pbx) WHERE state <> 'ended';

CREATE TABLE call_aliases (
    pbx text NOT NULL,
    uniqueid text NOT NULL,
    call_id uuid NOT NULL,
    PRIMARY KEY (pbx, uniqueid)
);
CREATE INDEX call_aliases_by_call ON call_aliases (call_id);

CREATE TABLE call_redirects (old_id uuid PRIMARY KEY, new_id uuid NOT NULL);
CREATE INDEX call_redirects_by_new ON call_redirects (new_id);

CREATE TABLE call_trace (
    call_id uuid NOT NULL,
    ordinal integer NOT NULL,
    digest bytea NOT NULL,
    line jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (call_id, ordinal),
    CONSTRAINT call_trace_once UNIQUE (call_id, digest)
);
CREATE INDEX call_trace_by_age ON call_trace USING brin (at);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    call_id uuid NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    party text,
    happened_at timestamptz NOT NULL,
    owed_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'owed',
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    reason text,
    CONSTRAINT outbox_once UNIQUE (call_id, kind, key)
);
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE state <> 'done';
CREATE INDEX outbox_lane ON outbox (call_id, id) WHERE state <> 'done';

CREATE TABLE accounts (
    id uuid PRIMARY KEY,
    login text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    extensions text[] NOT NULL,
    pop text NOT NULL,
    password_hash text NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX accounts_login ON accounts (lower(login));

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    browser text NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account_id);

CREATE TABLE tokens (
    id uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz
);
CREATE INDEX tokens_by_account ON tokens (account_id);

CREATE TABLE people (id uuid PRIMARY KEY, name text NOT NULL, team text);
CREATE TABLE extensions (
    extension text PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES people (id) ON DELETE CASCADE
);
CREATE INDEX extensions_by_person ON extensions (person_id);

CREATE TABLE notes (
    call_id uuid NOT NULL,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    text text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (call_id, account_id)
);

CREATE TABLE pbx_links (
    pbx text PRIMARY KEY,
    connected boolean NOT NULL,
    since timestamptz NOT NULL,
    lag_seconds double precision NOT NULL,
    problem text,
    told_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    """Not offered: going back would lose calls. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)

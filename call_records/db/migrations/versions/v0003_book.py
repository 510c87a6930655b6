"""The book: contacts, companies, leads, deals, calls owed; and staff as people, with or without an account.

Plain SQL on purpose: this is what was released, whatever the models become later.

Calls that were kept before are not taken into the book by the lead rules, or the first start after the update would
make a lead of every caller of the last years. They are filed when somebody enters a contact with their number.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE EXTENSION IF NOT EXISTS pg_trgm;

ALTER TABLE people ADD COLUMN email text;
ALTER TABLE people ADD COLUMN crm_user text;
ALTER TABLE people ADD COLUMN origin text DEFAULT 'hand' NOT NULL;
ALTER TABLE people ADD COLUMN left_at timestamptz;

ALTER TABLE extensions ALTER COLUMN person_id DROP NOT NULL;
ALTER TABLE extensions ADD COLUMN pbx text;
ALTER TABLE extensions ADD COLUMN label text;
ALTER TABLE extensions ADD COLUMN seen_at timestamptz;
ALTER TABLE extensions ADD COLUMN gone_at timestamptz;

ALTER TABLE accounts ADD COLUMN person_id uuid UNIQUE REFERENCES people (id) ON DELETE RESTRICT;
INSERT INTO people (id, name, team, origin) SELECT id, name, team, 'account' FROM accounts;
UPDATE accounts SET person_id = id;
INSERT INTO extensions (extension, person_id)
    SELECT DISTINCT ON (phone) phone, a.id FROM accounts a, unnest(a.extensions) AS phone
    ORDER BY phone, a.active DESC, a.created_at
    ON CONFLICT (extension) DO UPDATE SET person_id = excluded.person_id;

ALTER TABLE calls ADD COLUMN booked bigint;
UPDATE calls SET booked = revision;
CREATE INDEX calls_to_book ON calls (revision) WHERE booked IS DISTINCT FROM revision;

CREATE TABLE campaigns (
    id uuid NOT NULL,
    name text NOT NULL,
    dids text[] DEFAULT '{}' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (id)
);

CREATE TABLE imports (
    id uuid NOT NULL,
    file_name text NOT NULL,
    source text NOT NULL,
    state text NOT NULL,
    mapping jsonb NOT NULL,
    counts jsonb DEFAULT '{}' NOT NULL,
    problems jsonb DEFAULT '[]' NOT NULL,
    data bytea,
    done integer DEFAULT 0 NOT NULL,
    rows integer DEFAULT 0 NOT NULL,
    worked_at timestamptz,
    account_id uuid,
    at timestamptz DEFAULT now() NOT NULL,
    undone_at timestamptz,
    PRIMARY KEY (id),
    FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE TABLE clients (
    id uuid NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    company_id uuid,
    position text,
    owner_id uuid,
    emails text[] DEFAULT '{}' NOT NULL,
    tags text[] DEFAULT '{}' NOT NULL,
    fields jsonb DEFAULT '{}' NOT NULL,
    state text,
    source text NOT NULL,
    campaign_id uuid,
    import_id uuid,
    became_id uuid,
    merged_into uuid,
    removed_at timestamptz,
    spoken_at timestamptz,
    own jsonb,
    search text NOT NULL,
    created_by uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    version integer DEFAULT '1' NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT clients_kind CHECK (kind IN ('contact', 'company', 'lead')),
    FOREIGN KEY(company_id) REFERENCES clients (id) ON DELETE SET NULL,
    FOREIGN KEY(owner_id) REFERENCES people (id) ON DELETE SET NULL,
    FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE SET NULL,
    FOREIGN KEY(import_id) REFERENCES imports (id) ON DELETE SET NULL,
    FOREIGN KEY(became_id) REFERENCES clients (id) ON DELETE SET NULL,
    FOREIGN KEY(merged_into) REFERENCES clients (id) ON DELETE SET NULL,
    FOREIGN KEY(created_by) REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE INDEX clients_by_became ON clients (became_id) WHERE became_id IS NOT NULL;
CREATE INDEX clients_by_change ON clients (kind, updated_at DESC, id DESC)
    WHERE merged_into IS NULL AND removed_at IS NULL;
CREATE INDEX clients_by_company ON clients (company_id) WHERE company_id IS NOT NULL;
CREATE INDEX clients_by_import ON clients (import_id) WHERE import_id IS NOT NULL;
CREATE INDEX clients_by_name ON clients (kind, lower(name), id)
    WHERE merged_into IS NULL AND removed_at IS NULL;
CREATE INDEX clients_by_owner ON clients (owner_id, kind, updated_at DESC)
    WHERE merged_into IS NULL AND removed_at IS NULL;
CREATE INDEX clients_by_email ON clients USING gin (emails) WITH (fastupdate = off);
CREATE INDEX clients_by_state ON clients (state, updated_at DESC, id DESC)
    WHERE state IS NOT NULL AND merged_into IS NULL AND removed_at IS NULL;
CREATE INDEX clients_by_survivor ON clients (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX clients_by_tags ON clients USING gin (tags);
CREATE INDEX clients_made_by_calls ON clients (created_at DESC) WHERE kind = 'lead' AND source = 'call';
CREATE INDEX clients_tagged ON clients (updated_at DESC)
    WHERE tags <> '{}' AND merged_into IS NULL AND removed_at IS NULL;
CREATE INDEX clients_search ON clients USING gin (search gin_trgm_ops);

CREATE TABLE import_changes (
    import_id uuid NOT NULL,
    row integer NOT NULL,
    client_id uuid NOT NULL,
    added jsonb NOT NULL,
    PRIMARY KEY (import_id, row),
    FOREIGN KEY(import_id) REFERENCES imports (id) ON DELETE CASCADE,
    FOREIGN KEY(client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE INDEX import_changes_by_client ON import_changes (client_id);

CREATE TABLE client_phones (
    id bigint GENERATED ALWAYS AS IDENTITY,
    client_id uuid NOT NULL,
    place integer NOT NULL,
    raw text NOT NULL,
    key text,
    last10 text,
    reversed text,
    extension text,
    label text,
    PRIMARY KEY (id),
    FOREIGN KEY(client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE INDEX client_phones_by_client ON client_phones (client_id, place);
CREATE INDEX client_phones_by_key ON client_phones (key);
CREATE INDEX client_phones_by_last10 ON client_phones (last10);
CREATE INDEX client_phones_by_last_digits ON client_phones (reversed text_pattern_ops);

CREATE TABLE client_merges (
    id uuid NOT NULL,
    survivor_id uuid NOT NULL,
    absorbed_id uuid NOT NULL,
    moved jsonb NOT NULL,
    account_id uuid,
    at timestamptz DEFAULT now() NOT NULL,
    undone_at timestamptz,
    PRIMARY KEY (id),
    FOREIGN KEY(survivor_id) REFERENCES clients (id) ON DELETE CASCADE,
    FOREIGN KEY(absorbed_id) REFERENCES clients (id) ON DELETE CASCADE,
    FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE INDEX client_merges_by_absorbed ON client_merges (absorbed_id) WHERE undone_at IS NULL;
CREATE INDEX client_merges_by_survivor ON client_merges (survivor_id, at DESC);

CREATE TABLE number_lessons (
    key text NOT NULL,
    client_id uuid NOT NULL,
    verdict text NOT NULL,
    account_id uuid,
    at timestamptz DEFAULT now() NOT NULL,
    PRIMARY KEY (key, client_id),
    FOREIGN KEY(client_id) REFERENCES clients (id) ON DELETE CASCADE,
    FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE UNIQUE INDEX number_lessons_choice ON number_lessons (key) WHERE verdict = 'is';

CREATE TABLE pipelines (
    id uuid NOT NULL,
    name text NOT NULL,
    place integer NOT NULL,
    archived_at timestamptz,
    PRIMARY KEY (id)
);

CREATE TABLE stages (
    id uuid NOT NULL,
    pipeline_id uuid NOT NULL,
    name text NOT NULL,
    place integer NOT NULL,
    ends text DEFAULT 'open' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(pipeline_id) REFERENCES pipelines (id) ON DELETE CASCADE
);
CREATE INDEX stages_by_pipeline ON stages (pipeline_id, place);

CREATE TABLE deals (
    id uuid NOT NULL,
    title text NOT NULL,
    contact_id uuid,
    company_id uuid,
    pipeline_id uuid NOT NULL,
    stage_id uuid NOT NULL,
    state text NOT NULL,
    amount numeric(14, 2),
    currency text NOT NULL,
    owner_id uuid,
    tags text[] DEFAULT '{}' NOT NULL,
    fields jsonb DEFAULT '{}' NOT NULL,
    source text NOT NULL,
    campaign_id uuid,
    import_id uuid,
    place double precision NOT NULL,
    spoken_at timestamptz,
    stage_since timestamptz DEFAULT now() NOT NULL,
    created_by uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    closed_at timestamptz,
    removed_at timestamptz,
    version integer DEFAULT '1' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(contact_id) REFERENCES clients (id) ON DELETE SET NULL,
    FOREIGN KEY(company_id) REFERENCES clients (id) ON DELETE SET NULL,
    FOREIGN KEY(pipeline_id) REFERENCES pipelines (id),
    FOREIGN KEY(stage_id) REFERENCES stages (id),
    FOREIGN KEY(owner_id) REFERENCES people (id) ON DELETE SET NULL,
    FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE SET NULL,
    FOREIGN KEY(import_id) REFERENCES imports (id) ON DELETE SET NULL,
    FOREIGN KEY(created_by) REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE INDEX deals_by_company ON deals (company_id, state);
CREATE INDEX deals_by_contact ON deals (contact_id, state);
CREATE INDEX deals_by_import ON deals (import_id) WHERE import_id IS NOT NULL;
CREATE INDEX deals_by_owner ON deals (owner_id, state);
CREATE INDEX deals_by_stage ON deals (stage_id, place, id) WHERE removed_at IS NULL;

CREATE TABLE tasks (
    id uuid NOT NULL,
    text text NOT NULL,
    due_at timestamptz,
    client_id uuid,
    deal_id uuid,
    call_id uuid,
    owner_id uuid,
    created_by uuid,
    created_at timestamptz DEFAULT now() NOT NULL,
    done_at timestamptz,
    done_by uuid,
    PRIMARY KEY (id),
    FOREIGN KEY(client_id) REFERENCES clients (id) ON DELETE CASCADE,
    FOREIGN KEY(deal_id) REFERENCES deals (id) ON DELETE CASCADE,
    FOREIGN KEY(owner_id) REFERENCES people (id) ON DELETE SET NULL,
    FOREIGN KEY(created_by) REFERENCES accounts (id) ON DELETE SET NULL,
    FOREIGN KEY(done_by) REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE INDEX tasks_by_client ON tasks (client_id, due_at);
CREATE INDEX tasks_by_deal ON tasks (deal_id, due_at);
CREATE INDEX tasks_by_owner ON tasks (owner_id, due_at) WHERE done_at IS NULL;

CREATE TABLE timeline (
    id uuid NOT NULL,
    client_id uuid,
    deal_id uuid,
    kind text NOT NULL,
    at timestamptz NOT NULL,
    call_id uuid,
    task_id uuid,
    account_id uuid,
    text text,
    data jsonb DEFAULT '{}' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(client_id) REFERENCES clients (id) ON DELETE CASCADE,
    FOREIGN KEY(deal_id) REFERENCES deals (id) ON DELETE SET NULL,
    FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE INDEX timeline_by_client ON timeline (client_id, at DESC, id DESC);
CREATE INDEX timeline_by_deal ON timeline (deal_id, at DESC, id DESC) WHERE deal_id IS NOT NULL;
CREATE INDEX timeline_by_task ON timeline (task_id) WHERE task_id IS NOT NULL;
CREATE UNIQUE INDEX timeline_calls ON timeline (call_id) WHERE kind = 'call';

CREATE TABLE lead_rules (
    id uuid NOT NULL,
    place integer NOT NULL,
    did text,
    outcome text,
    known text,
    making text NOT NULL,
    pipeline_id uuid,
    stage_id uuid,
    owner text NOT NULL,
    owner_id uuid,
    team text,
    task text,
    task_minutes integer,
    PRIMARY KEY (id),
    FOREIGN KEY(pipeline_id) REFERENCES pipelines (id) ON DELETE SET NULL,
    FOREIGN KEY(stage_id) REFERENCES stages (id) ON DELETE SET NULL,
    FOREIGN KEY(owner_id) REFERENCES people (id) ON DELETE SET NULL
);

CREATE TABLE call_rulings (
    call_id uuid NOT NULL,
    key text NOT NULL,
    did text,
    at timestamptz NOT NULL,
    outcome text NOT NULL,
    known text NOT NULL,
    refusal text,
    line jsonb,
    made text NOT NULL,
    client_id uuid,
    deal_id uuid,
    task_id uuid,
    owner_id uuid,
    PRIMARY KEY (call_id),
    FOREIGN KEY(client_id) REFERENCES clients (id) ON DELETE SET NULL,
    FOREIGN KEY(deal_id) REFERENCES deals (id) ON DELETE SET NULL,
    FOREIGN KEY(task_id) REFERENCES tasks (id) ON DELETE SET NULL,
    FOREIGN KEY(owner_id) REFERENCES people (id) ON DELETE SET NULL
);
CREATE INDEX call_rulings_by_line ON call_rulings (did, at) WHERE made <> 'nothing';
CREATE INDEX call_rulings_flooded ON call_rulings (at) WHERE refusal = 'flood';

CREATE TABLE blocklist (
    pattern text NOT NULL,
    reason text NOT NULL,
    account_id uuid,
    at timestamptz DEFAULT now() NOT NULL,
    calls integer DEFAULT '0' NOT NULL,
    last_at timestamptz,
    PRIMARY KEY (pattern),
    FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE TABLE missed (
    id uuid NOT NULL,
    key text NOT NULL,
    number text,
    client_id uuid,
    state text NOT NULL,
    owner_id uuid,
    team text,
    owner_why text,
    did text,
    times integer NOT NULL,
    first_at timestamptz NOT NULL,
    owed_since timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    last_call_id uuid NOT NULL,
    due_at timestamptz,
    reminded_at timestamptz,
    escalated_at timestamptz,
    claimed_at timestamptz,
    claimed_by uuid,
    tried integer DEFAULT '0' NOT NULL,
    tried_at timestamptz,
    tried_extension text,
    closed_at timestamptz,
    closed_call_id uuid,
    closed_extension text,
    closed_account_id uuid,
    closed_how text,
    reason text,
    reason_text text,
    version integer DEFAULT '1' NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(client_id) REFERENCES clients (id) ON DELETE SET NULL,
    FOREIGN KEY(owner_id) REFERENCES people (id) ON DELETE SET NULL,
    FOREIGN KEY(claimed_by) REFERENCES accounts (id) ON DELETE SET NULL,
    FOREIGN KEY(closed_account_id) REFERENCES accounts (id) ON DELETE SET NULL
);
CREATE INDEX missed_by_close ON missed (closed_at DESC) WHERE closed_at IS NOT NULL;
CREATE INDEX missed_by_closing_call ON missed (closed_call_id) WHERE closed_call_id IS NOT NULL;
CREATE INDEX missed_by_debt ON missed (first_at) WHERE state IN ('new', 'claimed');
CREATE INDEX missed_by_key ON missed (key, last_at DESC);
CREATE INDEX missed_by_last_call ON missed (last_call_id);
CREATE INDEX missed_by_owner ON missed (owner_id);
CREATE UNIQUE INDEX missed_open ON missed (key) WHERE state IN ('new', 'claimed');

CREATE TABLE missed_calls (
    call_id uuid NOT NULL,
    missed_id uuid NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (call_id),
    FOREIGN KEY(missed_id) REFERENCES missed (id) ON DELETE CASCADE
);
CREATE INDEX missed_calls_by_entry ON missed_calls (missed_id, at DESC);

CREATE TABLE missed_acts (
    id uuid NOT NULL,
    key text NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    account_id uuid,
    person_id uuid,
    reason text,
    reason_text text,
    PRIMARY KEY (id),
    FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL,
    FOREIGN KEY(person_id) REFERENCES people (id) ON DELETE SET NULL
);
CREATE INDEX missed_acts_by_key ON missed_acts (key, at);

CREATE TABLE web_forms (
    id uuid NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    secret text,
    mapping jsonb DEFAULT '{}' NOT NULL,
    origins text[] DEFAULT '{}' NOT NULL,
    campaign_id uuid,
    active boolean DEFAULT true NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    counts jsonb DEFAULT '{}' NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (token_hash),
    FOREIGN KEY(campaign_id) REFERENCES campaigns (id) ON DELETE SET NULL
);

CREATE TABLE form_posts (
    form_id uuid NOT NULL,
    digest bytea NOT NULL,
    client_id uuid,
    at timestamptz DEFAULT now() NOT NULL,
    PRIMARY KEY (form_id, digest),
    FOREIGN KEY(form_id) REFERENCES web_forms (id) ON DELETE CASCADE
);

CREATE TABLE office (
    key text NOT NULL,
    value jsonb NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    account_id uuid,
    PRIMARY KEY (key),
    FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL
);

INSERT INTO pipelines (id, name, place) VALUES ('00000000-0000-4000-8000-000000000001', 'Sales', 0);
INSERT INTO stages (id, pipeline_id, name, place, ends)
    SELECT ('00000000-0000-4000-8000-00000000001' || place)::uuid, '00000000-0000-4000-8000-000000000001',
           name, place, ends
    FROM (VALUES ('New', 0, 'open'), ('In talks', 1, 'open'), ('Offer made', 2, 'open'), ('Won', 3, 'won'),
                 ('Lost', 4, 'lost')) AS first (name, place, ends);
INSERT INTO lead_rules (id, place, outcome, known, making, owner) VALUES
    (gen_random_uuid(), 0, 'inbound_answered', 'unknown', 'lead', 'answered_by'),
    (gen_random_uuid(), 1, 'missed', 'unknown', 'lead', 'first_rung'),
    (gen_random_uuid(), 2, 'abandoned', 'unknown', 'lead', 'nobody'),
    (gen_random_uuid(), 3, 'form', 'unknown', 'lead', 'nobody')
"""


def upgrade() -> None:
    """Make the tables, what a new office begins with, and a person for every account."""
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Not offered: going back would lose the book. Restore a backup instead."""
    raise NotImplementedError(downgrade.__doc__)

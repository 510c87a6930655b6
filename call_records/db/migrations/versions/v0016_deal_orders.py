"""Orders of the deals list that joined a million clients or looked at every task to show fifty lines; sums of columns.

What an order needs of another table stands on the deal itself, kept right by triggers, so that whatever writes a client or a
task need not know of it.
"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    for statement in (*_CLIENT_NAME, *_NEXT_TASK, *_INDEXES):
        op.execute(statement)


_CLIENT_NAME = (
    "ALTER TABLE deals ADD COLUMN client_name text",
    """
    CREATE FUNCTION deal_client_name(contact uuid, company uuid) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT lower(coalesce((SELECT name FROM clients WHERE id = contact), (SELECT name FROM clients WHERE id = company)))
    $$
    """,
    """
    CREATE OR REPLACE FUNCTION keep_deal_client_search() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.client_search := deal_client_search(NEW.contact_id, NEW.company_id);
        NEW.client_name := deal_client_name(NEW.contact_id, NEW.company_id);
        RETURN NEW;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION pass_client_search_on() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE deals SET client_search = deal_client_search(contact_id, company_id),
            client_name = deal_client_name(contact_id, company_id) WHERE contact_id = NEW.id;
        UPDATE deals SET client_search = deal_client_search(contact_id, company_id),
            client_name = deal_client_name(contact_id, company_id) WHERE company_id = NEW.id;
        RETURN NULL;
    END $$
    """,
    "DROP TRIGGER clients_search_of_deals ON clients",
    """
    CREATE TRIGGER clients_search_of_deals AFTER UPDATE OF search, name ON clients
    FOR EACH ROW WHEN (OLD.search IS DISTINCT FROM NEW.search OR OLD.name IS DISTINCT FROM NEW.name)
    EXECUTE FUNCTION pass_client_search_on()
    """,
    "UPDATE deals SET client_name = deal_client_name(contact_id, company_id)",
)
_NEXT_TASK = (
    "ALTER TABLE deals ADD COLUMN next_due_at timestamptz",
    """
    CREATE FUNCTION keep_next_due_of_deals() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE deals SET next_due_at = (SELECT min(due_at) FROM tasks WHERE deal_id = deals.id AND done_at IS NULL)
        WHERE id IN (CASE WHEN TG_OP <> 'INSERT' THEN OLD.deal_id END, CASE WHEN TG_OP <> 'DELETE' THEN NEW.deal_id END);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER tasks_next_of_deals AFTER INSERT OR DELETE OR UPDATE OF due_at, done_at, deal_id ON tasks
    FOR EACH ROW EXECUTE FUNCTION keep_next_due_of_deals()
    """,
    """
    UPDATE deals SET next_due_at = next.due_at
    FROM (SELECT deal_id, min(due_at) AS due_at FROM tasks WHERE done_at IS NULL GROUP BY deal_id) AS next
    WHERE next.deal_id = deals.id
    """,
)
_INDEXES = (
    # Empty at the end in both directions, so each direction has an index of its own.
    "CREATE INDEX deals_by_client_name ON deals (client_name, id) WHERE removed_at IS NULL",
    "CREATE INDEX deals_by_client_name_down ON deals (client_name DESC NULLS LAST, id) WHERE removed_at IS NULL",
    "CREATE INDEX deals_by_next_due ON deals (next_due_at, id) WHERE removed_at IS NULL",
    "CREATE INDEX deals_by_next_due_down ON deals (next_due_at DESC NULLS LAST, id) WHERE removed_at IS NULL",
    # The sums over a column, read from the index alone: a deal's row is wide.
    """
    CREATE INDEX deals_sums ON deals (stage_id)
    INCLUDE (currency, amount, state, closed_at, owner_id, pipeline_id) WHERE removed_at IS NULL
    """,
)


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError

"""Indexes for offices with a million calls: pages that read a quarter of the journal to show fifty lines of it."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    # Direction and disposition together: an internal call is hardly ever missed, and the list was walked to its end for it.
    op.execute("""
        CREATE INDEX calls_by_direction_and_disposition
        ON calls (direction, disposition, started_at DESC, id DESC)
    """)
    # Calls of each of our numbers are counted for three months at each view of the rules, without reading one of them.
    op.execute("""
        CREATE INDEX calls_by_own_number ON calls (started_at, did) WHERE direction = 'inbound' AND did IS NOT NULL
    """)
    # The tags that are offered are read from the index alone.
    op.execute("DROP INDEX clients_tagged")
    op.execute("""
        CREATE INDEX clients_tagged ON clients (updated_at DESC) INCLUDE (tags)
        WHERE tags <> '{}' AND merged_into IS NULL AND removed_at IS NULL
    """)
    # Duties that are done, or that nobody was there for, are looked for by their age when they are forgotten.
    op.execute("CREATE INDEX outbox_by_age ON outbox (owed_at)")
    for statement in _SEARCH_OF_DEALS:
        op.execute(statement)


_SEARCH_OF_DEALS = (
    # What a deal's contact and company are found by, beside its title: a search over a hundred thousand deals joined a
    # million clients. Kept by triggers, so that whatever writes a client or a deal need not know of it.
    "ALTER TABLE deals ADD COLUMN client_search text NOT NULL DEFAULT ''",
    """
    CREATE FUNCTION deal_client_search(contact uuid, company uuid) RETURNS text LANGUAGE sql STABLE AS $$
        SELECT coalesce((SELECT search FROM clients WHERE id = contact), '') || E'\n'
            || coalesce((SELECT search FROM clients WHERE id = company), '')
    $$
    """,
    """
    CREATE FUNCTION keep_deal_client_search() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.client_search := deal_client_search(NEW.contact_id, NEW.company_id);
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER deals_client_search BEFORE INSERT OR UPDATE OF contact_id, company_id ON deals
    FOR EACH ROW EXECUTE FUNCTION keep_deal_client_search()
    """,
    """
    CREATE FUNCTION pass_client_search_on() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE deals SET client_search = deal_client_search(contact_id, company_id) WHERE contact_id = NEW.id;
        UPDATE deals SET client_search = deal_client_search(contact_id, company_id) WHERE company_id = NEW.id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER clients_search_of_deals AFTER UPDATE OF search ON clients
    FOR EACH ROW WHEN (OLD.search IS DISTINCT FROM NEW.search) EXECUTE FUNCTION pass_client_search_on()
    """,
    "UPDATE deals SET client_search = deal_client_search(contact_id, company_id)",
    "CREATE INDEX deals_by_title ON deals USING gin (lower(title) gin_trgm_ops)",
    "CREATE INDEX deals_by_client_search ON deals USING gin (client_search gin_trgm_ops)",
)


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError

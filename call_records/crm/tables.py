"""The tables of the book, as SQLAlchemy Core sees them. `migrations/` makes them; a test holds the two together.

Contacts, companies and leads are rows of one table: they are searched, matched, merged and told alike. Whatever happened
with one of them is a row of `timeline` and never moves: a merged or converted entry keeps its own rows, and the survivor's
page reads those of the whole family, so that undoing a merge is forgetting a pointer.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from call_records.db.tables import MOMENT, metadata

_NOW = text("now()")
_NONE = text("'{}'")
_LIVE = text("merged_into IS NULL AND removed_at IS NULL")


def _owner() -> Column[object]:
    """A person of ours, with or without an account."""
    return Column("owner_id", Uuid, ForeignKey("people.id", ondelete="SET NULL"))


def _client(name: str, *, nullable: bool = True, gone: str = "CASCADE") -> Column[object]:
    return Column(name, Uuid, ForeignKey("clients.id", ondelete=gone), nullable=nullable)


campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    # The numbers of ours that were printed for it, E.164.
    Column("dids", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Column("ended_at", MOMENT),
)

imports = Table(
    "imports",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("file_name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("mapping", JSONB, nullable=False),
    Column("counts", JSONB, nullable=False, server_default=_NONE),
    # [{row, problem}], the first thousand.
    Column("problems", JSONB, nullable=False, server_default=text("'[]'")),
    # The file, until the import is done or a day old.
    Column("data", LargeBinary),
    # Rows that are done, of how many: a killed import goes on from there.
    Column("done", Integer, nullable=False, server_default="0"),
    Column("rows", Integer, nullable=False, server_default="0"),
    # When it last got further: one that has stood still was killed.
    Column("worked_at", MOMENT),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("at", MOMENT, nullable=False, server_default=_NOW),
    Column("undone_at", MOMENT),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    _client("company_id", gone="SET NULL"),
    Column("position", Text),
    _owner(),
    Column("emails", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("tags", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("fields", JSONB, nullable=False, server_default=_NONE),
    # Of a lead: telephony.contacts.LeadState. NULL for the others.
    Column("state", Text),
    # call, form, import, hand, api
    Column("source", Text, nullable=False),
    Column("campaign_id", Uuid, ForeignKey("campaigns.id", ondelete="SET NULL")),
    Column("import_id", Uuid, ForeignKey("imports.id", ondelete="SET NULL")),
    # Of a converted lead: the contact it became.
    _client("became_id", gone="SET NULL"),
    _client("merged_into", gone="SET NULL"),
    Column("removed_at", MOMENT),
    # Last conversation with one of ours.
    Column("spoken_at", MOMENT),
    # What is its own of e-mails, tags, fields, company, position and owner, while the columns show those of entries merged
    # into it besides. NULL: nobody was merged into it. See contacts/merge_tree.py.
    Column("own", JSONB),
    # Name, company, e-mails, tags and digits of the numbers of the whole family, as transliteration.py spells them: what a
    # typed word is looked for in.
    Column("search", Text, nullable=False),
    Column("created_by", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Column("updated_at", MOMENT, nullable=False, server_default=_NOW),
    Column("version", Integer, nullable=False, server_default="1"),
    CheckConstraint("kind IN ('contact', 'company', 'lead')", name="clients_kind"),
    Index("clients_search", "search", postgresql_using="gin", postgresql_ops={"search": "gin_trgm_ops"}),
    Index("clients_by_name", "kind", text("lower(name)"), "id", postgresql_where=_LIVE),
    Index("clients_by_change", "kind", text("updated_at DESC"), text("id DESC"), postgresql_where=_LIVE),
    Index("clients_by_owner", "owner_id", "kind", text("updated_at DESC"), postgresql_where=_LIVE),
    Index(
        "clients_by_state",
        "state",
        text("updated_at DESC"),
        text("id DESC"),
        postgresql_where=text("state IS NOT NULL AND merged_into IS NULL AND removed_at IS NULL"),
    ),
    Index(
        "clients_tagged",
        text("updated_at DESC"),
        postgresql_include=["tags"],
        postgresql_where=text("tags <> '{}' AND merged_into IS NULL AND removed_at IS NULL"),
    ),
    # Without a list of pending entries: an import asks for five hundred addresses at once, each of which would be
    # compared with all of that list (measured 0.6 s).
    Index("clients_by_email", "emails", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
    Index("clients_by_tags", "tags", postgresql_using="gin"),
    Index("clients_by_company", "company_id", postgresql_where=text("company_id IS NOT NULL")),
    Index("clients_by_survivor", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    Index("clients_by_became", "became_id", postgresql_where=text("became_id IS NOT NULL")),
    Index("clients_by_import", "import_id", postgresql_where=text("import_id IS NOT NULL")),
    Index(
        "clients_made_by_calls",
        text("created_at DESC"),
        postgresql_where=text("kind = 'lead' AND source = 'call'"),
    ),
)

import_changes = Table(
    "import_changes",
    metadata,
    # What an import added to an entry that was there before, so that it can be taken away again.
    Column("import_id", Uuid, ForeignKey("imports.id", ondelete="CASCADE"), nullable=False),
    # Of the file.
    Column("row", Integer, nullable=False),
    _client("client_id", nullable=False),
    Column("added", JSONB, nullable=False),
    PrimaryKeyConstraint("import_id", "row"),
    Index("import_changes_by_client", "client_id"),
)

client_phones = Table(
    "client_phones",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _client("client_id", nullable=False),
    Column("place", Integer, nullable=False),
    # As it was written; never corrected.
    Column("raw", Text, nullable=False),
    # What it is known by: E.164, or the digits of a short or foreign number as they are. NULL: no number at all.
    Column("key", Text),
    # Of a whole number.
    Column("last10", Text),
    # The key's digits from the end: finds "ends with".
    Column("reversed", Text),
    # Their own extension behind it, from "ext. 12".
    Column("extension", Text),
    Column("label", Text),
    Index("client_phones_by_client", "client_id", "place"),
    Index("client_phones_by_key", "key"),
    Index("client_phones_by_last10", "last10"),
    Index("client_phones_by_last_digits", "reversed", postgresql_ops={"reversed": "text_pattern_ops"}),
)

client_merges = Table(
    "client_merges",
    metadata,
    Column("id", Uuid, primary_key=True),
    _client("survivor_id", nullable=False),
    _client("absorbed_id", nullable=False),
    # What pointed to the absorbed one and was turned to the survivor: {"deals.contact_id": [ids]}.
    Column("moved", JSONB, nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("at", MOMENT, nullable=False, server_default=_NOW),
    Column("undone_at", MOMENT),
    Index("client_merges_by_survivor", "survivor_id", text("at DESC")),
    Index("client_merges_by_absorbed", "absorbed_id", postgresql_where=text("undone_at IS NULL")),
)

distinct_clients = Table(
    "distinct_clients",
    metadata,
    # Both ways round, so that either is looked up by its own id. A merged entry keeps its rows, for when it is undone.
    _client("client_id", nullable=False),
    _client("other_id", nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("at", MOMENT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("client_id", "other_id"),
    Index("distinct_clients_by_other", "other_id"),
)

number_lessons = Table(
    "number_lessons",
    metadata,
    # As client_phones.key.
    Column("key", Text, nullable=False),
    _client("client_id", nullable=False),
    # is: this number is this client. is_not: it never is, whatever the book says.
    Column("verdict", Text, nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("at", MOMENT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("key", "client_id"),
    Index("number_lessons_choice", "key", unique=True, postgresql_where=text("verdict = 'is'")),
)

pipelines = Table(
    "pipelines",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("place", Integer, nullable=False),
    Column("archived_at", MOMENT),
)

stages = Table(
    "stages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("pipeline_id", Uuid, ForeignKey("pipelines.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("place", Integer, nullable=False),
    # open, won, lost
    Column("ends", Text, nullable=False, server_default="open"),
    Index("stages_by_pipeline", "pipeline_id", "place"),
)

_NOT_REMOVED = text("removed_at IS NULL")
deals = Table(
    "deals",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("title", Text, nullable=False),
    _client("contact_id", gone="SET NULL"),
    _client("company_id", gone="SET NULL"),
    Column("pipeline_id", Uuid, ForeignKey("pipelines.id"), nullable=False),
    Column("stage_id", Uuid, ForeignKey("stages.id"), nullable=False),
    # The stage's own `ends`: open, won, lost.
    Column("state", Text, nullable=False),
    Column("amount", Numeric(14, 2)),
    Column("currency", Text, nullable=False),
    _owner(),
    Column("tags", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("fields", JSONB, nullable=False, server_default=_NONE),
    Column("source", Text, nullable=False),
    Column("campaign_id", Uuid, ForeignKey("campaigns.id", ondelete="SET NULL")),
    Column("import_id", Uuid, ForeignKey("imports.id", ondelete="SET NULL")),
    # Order within its stage, top first; between two others there is always room.
    Column("place", Float, nullable=False),
    # What its contact and company are found by, for one search over all deals; a trigger of the database keeps it right.
    Column("client_search", Text, nullable=False, server_default=""),
    # What the list is ordered by: its client's name in small letters, and when its next task is due; by triggers as well.
    Column("client_name", Text),
    Column("next_due_at", MOMENT),
    Column("spoken_at", MOMENT),
    Column("stage_since", MOMENT, nullable=False, server_default=_NOW),
    Column("created_by", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Column("updated_at", MOMENT, nullable=False, server_default=_NOW),
    Column("closed_at", MOMENT),
    Column("removed_at", MOMENT),
    Column("version", Integer, nullable=False, server_default="1"),
    Index("deals_by_stage", "stage_id", "place", "id", postgresql_where=text("removed_at IS NULL")),
    Index("deals_by_contact", "contact_id", "state"),
    Index("deals_by_company", "company_id", "state"),
    Index("deals_by_owner", "owner_id", "state"),
    Index(
        "deals_by_client_search",
        "client_search",
        postgresql_using="gin",
        postgresql_ops={"client_search": "gin_trgm_ops"},
    ),
    # The deals lost last, whose reasons are offered for the next one.
    Index("deals_lost", text("closed_at DESC"), postgresql_where=text("state = 'lost'")),
    Index("deals_by_import", "import_id", postgresql_where=text("import_id IS NOT NULL")),
    Index("deals_by_client_name", "client_name", "id", postgresql_where=_NOT_REMOVED),
    Index(
        "deals_by_client_name_down",
        text("client_name DESC NULLS LAST"),
        "id",
        postgresql_where=_NOT_REMOVED,
    ),
    Index("deals_by_next_due", "next_due_at", "id", postgresql_where=_NOT_REMOVED),
    Index("deals_by_next_due_down", text("next_due_at DESC NULLS LAST"), "id", postgresql_where=_NOT_REMOVED),
    Index(
        "deals_sums",
        "stage_id",
        postgresql_include=["currency", "amount", "state", "closed_at", "owner_id", "pipeline_id"],
        postgresql_where=_NOT_REMOVED,
    ),
)
Index(
    "deals_by_title",
    func.lower(deals.c.title).label("lower_title"),
    postgresql_using="gin",
    postgresql_ops={"lower_title": "gin_trgm_ops"},
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("text", Text, nullable=False),
    Column("due_at", MOMENT),
    _client("client_id"),
    Column("deal_id", Uuid, ForeignKey("deals.id", ondelete="CASCADE")),
    Column("call_id", Uuid),
    _owner(),
    Column("created_by", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Column("done_at", MOMENT),
    Column("done_by", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Index("tasks_by_client", "client_id", "due_at"),
    Index("tasks_by_deal", "deal_id", "due_at"),
    Index("tasks_by_owner", "owner_id", "due_at", postgresql_where=text("done_at IS NULL")),
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", Uuid, primary_key=True),
    # Whose; NULL: a call that a person said belongs to nobody.
    _client("client_id"),
    Column("deal_id", Uuid, ForeignKey("deals.id", ondelete="SET NULL")),
    # call, note, task, made, changed, stage, converted, merged, owner, form
    Column("kind", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    Column("call_id", Uuid),
    Column("task_id", Uuid, ForeignKey("tasks.id", ondelete="CASCADE")),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("text", Text),
    # Of a call: why it is here (rule, field, written, asked, others, by_hand). Of a change: from and to.
    Column("data", JSONB, nullable=False, server_default=_NONE),
    Index("timeline_by_client", "client_id", text("at DESC"), text("id DESC")),
    Index(
        "timeline_by_deal",
        "deal_id",
        text("at DESC"),
        text("id DESC"),
        postgresql_where=text("deal_id IS NOT NULL"),
    ),
    # A call is on one timeline.
    Index("timeline_calls", "call_id", unique=True, postgresql_where=text("kind = 'call'")),
    Index("timeline_by_task", "task_id", postgresql_where=text("task_id IS NOT NULL")),
)

lead_rules = Table(
    "lead_rules",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("did", Text),
    Column("outcome", Text),
    Column("known", Text),
    Column("making", Text, nullable=False),
    Column("pipeline_id", Uuid, ForeignKey("pipelines.id", ondelete="SET NULL")),
    Column("stage_id", Uuid, ForeignKey("stages.id", ondelete="SET NULL")),
    Column("owner", Text, nullable=False),
    _owner(),
    Column("team", Text),
    Column("task", Text),
    Column("task_minutes", Integer),
)

call_rulings = Table(
    "call_rulings",
    metadata,
    # What the lead rules said of a call, once for its outcome: nothing is made twice however often it is told again.
    Column("call_id", Uuid, primary_key=True),
    # The number it is about, as client_phones.key, and our line.
    Column("key", Text, nullable=False),
    Column("did", Text),
    # When the call began: so many new entries within ten minutes are a flood.
    Column("at", MOMENT, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("known", Text, nullable=False),
    # telephony.lead_rules.Refusal; NULL: a line of the table decided.
    Column("refusal", Text),
    # The line as it was then.
    Column("line", JSONB),
    # telephony.lead_rules.Making
    Column("made", Text, nullable=False),
    _client("client_id", gone="SET NULL"),
    Column("deal_id", Uuid, ForeignKey("deals.id", ondelete="SET NULL")),
    Column("task_id", Uuid, ForeignKey("tasks.id", ondelete="SET NULL")),
    # To whom it was given.
    _owner(),
    Index("call_rulings_by_line", "did", "at", postgresql_where=text("made <> 'nothing'")),
    Index("call_rulings_flooded", "at", postgresql_where=text("refusal = 'flood'")),
)

blocklist = Table(
    "blocklist",
    metadata,
    # As client_phones.key; a trailing * stands for any further digits.
    Column("pattern", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("at", MOMENT, nullable=False, server_default=_NOW),
    Column("calls", Integer, nullable=False, server_default="0"),
    Column("last_at", MOMENT),
)

missed = Table(
    "missed",
    metadata,
    Column("id", Uuid, primary_key=True),
    # As client_phones.key; of a withheld number the call's own id: nobody can tell two such callers apart.
    Column("key", Text, nullable=False),
    Column("number", Text),
    _client("client_id", gone="SET NULL"),
    Column("state", Text, nullable=False),
    _owner(),
    Column("team", Text),
    # Why it is theirs: owner_of_contact, last_rung, team, claimed, given.
    Column("owner_why", Text),
    Column("did", Text),
    Column("times", Integer, nullable=False),
    Column("first_at", MOMENT, nullable=False),
    # From when the deadline counts: the first missed call, or when somebody reopened it.
    Column("owed_since", MOMENT, nullable=False),
    Column("last_at", MOMENT, nullable=False),
    Column("last_call_id", Uuid, nullable=False),
    Column("due_at", MOMENT),
    Column("reminded_at", MOMENT),
    Column("escalated_at", MOMENT),
    Column("claimed_at", MOMENT),
    Column("claimed_by", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    # Calls of ours that nobody answered.
    Column("tried", Integer, nullable=False, server_default="0"),
    Column("tried_at", MOMENT),
    Column("tried_extension", Text),
    Column("closed_at", MOMENT),
    # By which call, and which of our extensions talked; or which account gave up, and why.
    Column("closed_call_id", Uuid),
    Column("closed_extension", Text),
    Column("closed_account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("closed_how", Text),
    Column("reason", Text),
    Column("reason_text", Text),
    Column("version", Integer, nullable=False, server_default="1"),
    Index(
        "missed_open",
        "key",
        unique=True,
        postgresql_where=text("state IN ('new', 'claimed')"),
    ),
    Index("missed_by_debt", "first_at", postgresql_where=text("state IN ('new', 'claimed')")),
    Index("missed_by_close", text("closed_at DESC"), postgresql_where=text("closed_at IS NOT NULL")),
    Index("missed_by_key", "key", text("last_at DESC")),
    Index("missed_by_owner", "owner_id"),
    # A call that turns out to be another one finds what it was part of.
    Index("missed_by_last_call", "last_call_id"),
    Index("missed_by_closing_call", "closed_call_id", postgresql_where=text("closed_call_id IS NOT NULL")),
)

missed_calls = Table(
    "missed_calls",
    metadata,
    # A call is missed once, whatever is told of it again.
    Column("call_id", Uuid, primary_key=True),
    Column("missed_id", Uuid, ForeignKey("missed.id", ondelete="CASCADE"), nullable=False),
    Column("at", MOMENT, nullable=False),
    Index("missed_calls_by_entry", "missed_id", text("at DESC")),
)

missed_acts = Table(
    "missed_acts",
    metadata,
    # What people did with an entry. Entries are told from calls and acts together, in the order of their times.
    Column("id", Uuid, primary_key=True),
    # As missed.key.
    Column("key", Text, nullable=False),
    Column("at", MOMENT, nullable=False),
    # telephony.missed_calls.Kind: claimed, given, released, gave_up, reopened
    Column("kind", Text, nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("person_id", Uuid, ForeignKey("people.id", ondelete="SET NULL")),
    Column("reason", Text),
    Column("reason_text", Text),
    Index("missed_acts_by_key", "key", "at"),
)

web_forms = Table(
    "web_forms",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    # Signs requests of the site's own server; NULL where only the token is used.
    Column("secret", Text),
    # Name of the form's field to ours.
    Column("mapping", JSONB, nullable=False, server_default=_NONE),
    Column("origins", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("campaign_id", Uuid, ForeignKey("campaigns.id", ondelete="SET NULL")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    Column("counts", JSONB, nullable=False, server_default=_NONE),
)

form_posts = Table(
    "form_posts",
    metadata,
    Column("form_id", Uuid, ForeignKey("web_forms.id", ondelete="CASCADE"), nullable=False),
    # Of what was sent, or the sender's own id for it: sent twice is taken once.
    Column("digest", LargeBinary, nullable=False),
    Column("client_id", Uuid),
    Column("at", MOMENT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("form_id", "digest"),
)

office = Table(
    "office",
    metadata,
    # working_hours, missed_rules, currency, fields, …: one JSON value each.
    Column("key", Text, primary_key=True),
    Column("value", JSONB, nullable=False),
    Column("updated_at", MOMENT, nullable=False, server_default=_NOW),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
)

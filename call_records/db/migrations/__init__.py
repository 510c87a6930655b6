"""How the tables came to be, step by step. Run by `call_records.db.schema.upgrade`, never by hand."""

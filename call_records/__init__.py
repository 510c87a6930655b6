"""Everything that is kept: journal, outbox, accounts, notes. The only package that speaks SQL."""

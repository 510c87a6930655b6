"""Lead rules, the filing of calls, the blocklist, campaigns, and their pages."""

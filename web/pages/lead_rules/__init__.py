"""Lead rules, and where callers come from: campaigns and web forms."""

"""Reading: one file per page."""

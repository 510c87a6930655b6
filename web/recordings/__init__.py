"""Who may hear a recording, and what is written down of it, for pages, API and links alike."""

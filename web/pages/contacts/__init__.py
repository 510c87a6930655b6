"""People: the list, one entry, its form and its dialogs."""

"""From "the files are here" to "it can be played"."""

"""How things are shown: facts in, words and figures out. What a viewer may not see never gets out of here."""

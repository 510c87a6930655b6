"""What a call or a web form makes of its caller: the rules, the blocklist, the campaigns."""

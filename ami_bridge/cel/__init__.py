"""Asterisk's channel event log (CEL) and its call detail records (CDR): read, and told in the same signals as AMI."""

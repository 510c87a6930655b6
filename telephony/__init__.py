"""What a call is. Signals in, call facts out.

Pure: the standard library and `phonenumbers` only. No clock, no network, no logging, no environment:
feed it the same trace twice and it tells the same story twice.
"""

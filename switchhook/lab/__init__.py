"""A private Asterisk, SIP phones and a simulated office: for the demo, for tests, never for a real PBX.

Everything here runs on loopback, unprivileged, on free ports, in directories of its own, and ends with its owner.
"""

"""Switchhook: sits beside an Asterisk PBX, observes, and tells the truth about every call.

This package is the assembly: settings, command line, and the one place that sees all the others.
"""

__version__ = "0.1.0"

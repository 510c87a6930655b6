"""Asterisk, seen over AMI: intake, translation into signals, snapshots, actions, captures.

The only package that spells Asterisk's own words (`Linkedid`, `BridgeEnter`, ...).
"""

"""The CRM: contacts, companies, leads, deals, their timeline, and the calls that are owed. One folder for each feature.

`tables.py` is what is kept, `types.py` what is handed out, `writes.py` the few writes that several features share,
`call_worker.py` the way a call takes from the journal into the CRM, exactly once. Imports run one way:
missed_calls, imports, web_forms → timeline → lead_rules → contacts → deals → what lies here; `steps.py` is above them all.
"""

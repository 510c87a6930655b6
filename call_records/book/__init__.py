"""The book: contacts, companies, leads, deals, their timeline, and the calls that are owed. A small CRM of our own.

`tables.py` is what is kept, `shapes.py` what is handed out, `rows.py` the few writes that several rooms share, `worker.py`
the way a call takes from the journal into the book, exactly once.
"""

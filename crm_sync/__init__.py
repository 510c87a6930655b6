"""CRM sync: every call reaches every connected CRM exactly once, or a person sees why not.

The way of a call: the journal adds deliveries to the outbox, one lane per call and connection (`lanes`). The
dispatcher claims a lane, an adapter turns its next operation into requests (`adapters`), the client sends them within
the CRM's budget (`client`, `http`), and what came of it decides the delivery's next state (`delivery`).

Pure, without I/O and clock: states, outcomes, operations, delivery, lanes, retry, budget, breaker, exchange, classify
and the adapters. With I/O: http, tokens, client, dispatcher. Storage is behind `ports`.
"""

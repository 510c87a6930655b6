"""From observations to call facts: one pure fold, the same every time it is told.

The client is the outside party, or in an internal call the extension that called; everybody else's talk is the time they
and the client could hear each other. What a consultation said before its transfer completed is not the client's talk.

`call` sets the `scene` from `parties` and `talk`; each other module reads the scene and tells one part: who called
and who was `answering`, the `states` of now, `legs`, `transfers`, `waits`, `recordings`, and the `ending`. What it reads is
in `observations`, what it tells in `facts`.
"""

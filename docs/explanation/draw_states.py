"""Draws docs/explanation/call-states.svg: the states of a call from the code's own table, the moves from real calls.

    python -m docs.explanation.draw_states

The meaning of each state is the table `STATES` in telephony/call_facts/states.py; an arrow is drawn for every move that a
call in tests/captures made. A test draws it again and compares.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from pathlib import Path

from ami_bridge.capture.capture import read_capture
from ami_bridge.interpreter import Interpreter
from ami_bridge.quarantine import LinkSession, judge
from telephony.call_facts.facts import State
from telephony.call_facts.states import STATES
from telephony.numbers.numbers import Numbering
from telephony.state.signals import LinkLost
from telephony.state.tracker import Tracker

ROOT = Path(__file__).resolve().parents[2]
PICTURE = Path(__file__).with_name("call-states.svg")
WIDTH, HEIGHT = 980, 560
PLACES = {
    State.RINGING: (20, 230),
    State.QUEUED: (20, 30),
    State.TALKING: (390, 230),
    State.HELD: (390, 30),
    State.PARKED: (20, 440),
    State.VOICEMAIL: (760, 440),
    State.UNVERIFIED: (390, 440),
    State.ENDED: (760, 230),
}
BOX = (200, 92)


def moves_of_captures() -> Counter[tuple[State, State]]:
    """How often a call of the captures went from one state into another."""
    moves: Counter[tuple[State, State]] = Counter()
    for directory in sorted((ROOT / "tests" / "captures").glob("*/*")):
        links = sorted(directory.glob("ami*.jsonl.gz"))
        _follow(links, moves)
    return moves


def _follow(links: list[Path], moves: Counter[tuple[State, State]]) -> None:
    tracker, interpreter = Tracker(Numbering()), Interpreter()
    last: dict[object, State] = {}

    def note() -> None:
        for change in tracker.drain():
            before, now = last.get(change.facts.id), change.facts.state
            if before is not None and before is not now:
                moves[before, now] += 1
            last[change.facts.id] = now

    for number, link in enumerate(links):
        if number:
            tracker.feed(LinkLost(tracker.now))
            note()
        session = LinkSession()
        for message in read_capture(link):
            verdict = judge(message, session)
            if verdict.usable:
                for signal in interpreter.message(verdict.message):
                    tracker.feed(signal)
                note()


def draw() -> str:
    """The picture as SVG; it takes its colours from the reader's light or dark theme."""
    meanings: dict[State, list[str]] = {}
    for state, meaning, _ in STATES:
        meanings.setdefault(state, []).append(meaning)
    parts = [_arrow(one, other) for one, other in sorted(moves_of_captures())]
    parts += [_box(state, meanings[state]) for state in PLACES]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="The states of a call and the moves between them">\n'
        "<style>text{font:14px system-ui,sans-serif;fill:#1d2733}.m{font-size:11px;fill:#566373}"
        "rect{fill:#fff;stroke:#7a8899}path{stroke:#7a8899;fill:none}"
        "@media(prefers-color-scheme:dark){text{fill:#e6ebf0}.m{fill:#9fb0c0}rect{fill:#1b222a}}</style>\n"
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" style="fill:#7a8899"/></marker></defs>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _box(state: State, meanings: list[str]) -> str:
    x, y = PLACES[state]
    lines = [line for meaning in meanings for line in _wrapped(meaning)]
    texts = "".join(
        f'<text class="m" x="{x + BOX[0] / 2}" y="{y + 44 + 14 * row}" text-anchor="middle">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    return (
        f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="6"/>'
        f'<text x="{x + BOX[0] / 2}" y="{y + 24}" text-anchor="middle">{state.value}</text>{texts}'
    )


def _wrapped(meaning: str, width: int = 30) -> list[str]:
    lines = [""]
    for word in meaning.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _arrow(one: State, other: State) -> str:
    """From edge to edge, bowed to one side so that the way back is another line."""
    (x1, y1), (x2, y2) = _middle(one), _middle(other)
    dx, dy = x2 - x1, y2 - y1
    length = (dx * dx + dy * dy) ** 0.5
    nx, ny = -dy / length, dx / length
    start, end = _edge(x1, y1, dx, dy), _edge(x2, y2, -dx, -dy)
    bow = 18
    shift = 7
    sx, sy = start[0] + nx * shift, start[1] + ny * shift
    ex, ey = end[0] + nx * shift, end[1] + ny * shift
    cx, cy = (sx + ex) / 2 + nx * bow, (sy + ey) / 2 + ny * bow
    return f'<path d="M{sx:.0f} {sy:.0f} Q{cx:.0f} {cy:.0f} {ex:.0f} {ey:.0f}" marker-end="url(#a)"/>'


def _middle(state: State) -> tuple[float, float]:
    x, y = PLACES[state]
    return x + BOX[0] / 2, y + BOX[1] / 2


def _edge(x: float, y: float, dx: float, dy: float) -> tuple[float, float]:
    """Where the line from the middle of a box leaves it."""
    scale = min(
        (BOX[0] / 2 + 4) / abs(dx) if dx else float("inf"), (BOX[1] / 2 + 4) / abs(dy) if dy else float("inf")
    )
    return x + dx * scale, y + dy * scale


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")

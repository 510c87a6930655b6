"""How one telling of a call differs from another, in words that a person reads: one line, no data structures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TEXT_MOST = 120  # characters of one value

Json = Mapping[str, Any]

PHRASES: Mapping[str, str] = {
    "did": "number called",
    "answered_by": "answered by",
    "final_party": "last party",
    "ended_by": "ended by",
    "missed_by": "missed by",
    "talk_seconds": "talk",
    "hold_seconds": "hold",
    "ring_seconds": "ringing",
    "wait_seconds": "wait",
    "hangup_cause": "hang-up cause",
    "consultation_of": "consultation of",
}
"""Fields whose names are not words."""

COUNTED = frozenset({"legs", "transfers", "holds", "parked", "recorded", "recordings"})
"""Lists of which it is enough to say that they are otherwise, and of what they are."""


def differences(before: Json, after: Json) -> tuple[str, ...]:
    """What is told otherwise: `direction inbound → outbound`, `alice → 101`."""
    renamed = dict(_renamed(before, after))
    told = [f"{old} → {new}" for old, new in renamed.items()]
    for name in after:
        old, new = before.get(name), after[name]
        if old == new:
            continue
        if _replace(old, renamed) == new:
            continue  # the other name is all the difference
        told.append(f"{PHRASES.get(name, name.replace('_', ' '))} {_change(name, old, new)}")
    return tuple(told)


def _renamed(before: Json, after: Json) -> Iterator[tuple[str, str]]:
    """Parties that are called otherwise now: legs of the same role that began to ring in the same moment."""
    for old, new in zip(before.get("legs") or (), after.get("legs") or (), strict=False):
        same = all(old.get(key) == new.get(key) for key in ("role", "rang_at", "ended_at"))
        if same and old["party"] != new["party"]:
            yield str(old["party"]), str(new["party"])


def _replace(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return renamed.get(value, value)
    if isinstance(value, Mapping):
        return {key: _replace(inner, renamed) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(inner, renamed) for inner in value]
    return value


def _change(name: str, old: Any, new: Any) -> str:
    if name in COUNTED:
        if _listed(old) != _listed(new):
            return f"{_listed(old)} → {_listed(new)}"
        return _cut("; ".join(_within(old, new))) or f"told otherwise ({_listed(new)})"
    return f"{_text(old)} → {_text(new)}"


def _within(before: Any, after: Any) -> Iterator[str]:
    """What changed of those that are the same ones as before: `101 outside → extension`."""
    for old, new in zip(before or (), after or (), strict=False):
        if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
            continue
        changed = [
            f"{_text(old.get(key))} → {_text(new[key])}"
            for key in new
            if old.get(key) != new[key] and not isinstance(new[key], list | tuple | Mapping)
        ]
        if changed:
            yield f"{new.get('party') or new.get('to') or ''} {', '.join(changed)}".strip()


def _listed(values: Any) -> str:
    """Parties or files of a list, or how many there are."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        return "none"
    names = [one if isinstance(one, str) else one.get("party") or one.get("to") for one in values]
    return _cut(", ".join(map(str, names))) if all(names) else f"{len(values)}"


def _text(value: Any) -> str:
    if value is None or value == [] or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.2f} s"
    if isinstance(value, Mapping):
        named = value.get("number") or value.get("name") or value.get("raw")
        return _cut(str(named)) if named else "another"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _cut(", ".join(_text(one) for one in value))
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MOST else text[: TEXT_MOST - 1] + "…"

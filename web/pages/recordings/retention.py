"""The office's rules for recordings: who must say why, how long sound is kept, which links may live. Administrators only.

Nothing is saved unseen: the form is first shown again with what it would remove tonight, and where that is anything,
the number is typed before it is saved, because sound that was removed never comes back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from call_records.recordings.retention.retention import retention_version
from call_records.recordings.types import RetentionRule
from telephony.call_facts.facts import Direction
from telephony.edit_version import check_edit_version
from telephony.errors import ChangedMeanwhile
from telephony.numbers.extension_rule import ExtensionRule
from telephony.recordings import AuditAction, RecordingPolicy
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.forms.extensions import extension_rule, problem_sentence
from web.forms.field_problems import FieldProblem
from web.languages.catalogues import ENGLISH
from web.languages.errors import translate_sentence
from web.languages.messages import _, speaking
from web.presenters.labels import DIRECTION_WORDS
from web.presenters.recordings import days_words
from web.recordings.permissions import note_use
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

RULES_MOST = 40  # more than anybody can read as one list
FIELDS_MOST = 600  # fields of the form: eight a rule, and the policy's
TEXT_MOST = 200  # characters of one field
DAYS_MOST = 36_500  # a hundred years
LINK_DAYS_MOST = 365  # a link that lives longer is an account without a password
COLUMNS = ("id", "direction", "number", "extension", "tag", "shorter", "days", "note")
_NUMBER = re.compile(r"\+[0-9]{3,15}\*?")

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Draft:
    """The form as it was filled in, and what it means; `problems` say what cannot be understood."""

    policy_row: Row
    rows: tuple[Row, ...]
    policy: RecordingPolicy
    rules: tuple[RetentionRule, ...]
    problems: tuple[FieldProblem, ...]

    @property
    def mark(self) -> str:
        """Changes with every choice: what was previewed is what is saved."""
        rules = [_rule_facts(rule) for rule in self.rules]
        return hashlib.sha256(json.dumps([asdict(self.policy), rules]).encode()).hexdigest()[:32]


@router.get("/recordings/rules")
async def rules(request: Request, viewer: Administrator) -> Response:
    """What holds now."""
    retention = site_of(request).records.retention
    policy, kept = await retention.policy(), await retention.rules()
    said = _("Saved. The rules hold from tonight on.") if request.query_params.get("saved") else None
    seen = retention_version(policy, kept)
    return _page(request, viewer, _policy_row(policy), [_row(rule) for rule in kept], said=said, seen=seen)


@router.post("/recordings/rules")
async def change(request: Request, viewer: Administrator) -> Response:
    """One of the form's buttons: move, take out, add, preview, save."""
    site = site_of(request)
    told = await _form(request)
    policy_row, rows = _told_policy(told), _told_rows(told)
    act, _dash, which = told.get("do", "preview").partition("-")
    seen = told.get("seen", "")
    if act in ("up", "down", "drop", "add"):
        return _page(request, viewer, policy_row, _rearranged(rows, act, which), seen=seen)
    draft = understand(policy_row, rows, await extension_rule(site))
    if draft.problems:
        return _page(request, viewer, policy_row, rows, problems=draft.problems, status=400, seen=seen)
    count = await site.records.retention.would_remove(draft.rules, draft.policy.keep_days)
    previewed = act == "save" and told.get("previewed") == f"{draft.mark}:{count}"
    if previewed and (count == 0 or told.get("typed", "").strip() == str(count)):
        try:
            await _save(site, request, viewer, draft, seen or None)
        except ChangedMeanwhile as changed:
            said = translate_sentence(changed)
            return _page(request, viewer, policy_row, rows, problem=said, status=409, seen=seen)
        return RedirectResponse("/recordings/rules?saved=yes", 303)
    unsure = FieldProblem("typed", _("Please type the number of recordings that will be removed."))
    problems = (unsure,) if previewed else ()
    return _page(request, viewer, policy_row, rows, draft=draft, count=count, problems=problems, seen=seen)


async def _save(site: Site, request: Request, viewer: Viewer, draft: Draft, seen: str | None) -> None:
    retention = site.records.retention
    policy, rules = await retention.policy(), await retention.rules()
    check_edit_version(retention_version(policy, rules), seen)  # before it is written down as done
    details = {
        "before": _told_in_words(policy, rules),
        "after": _told_in_words(draft.policy, draft.rules),
    }
    await note_use(site, request, viewer, AuditAction.RULES_CHANGED, None, details=details)
    await retention.set_all(draft.policy, draft.rules, seen=seen)


def _page(
    request: Request,
    viewer: Viewer,
    policy_row: Row,
    rows: Sequence[Row],
    *,
    seen: str,
    draft: Draft | None = None,
    count: int | None = None,
    said: str | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    status: int = 200,
) -> Response:
    return site_of(request).renderer.page(
        request,
        viewer,
        "recordings/retention.html",
        status=status,
        tab="rules",
        policy=policy_row,
        rows=rows,
        seen=seen,
        directions=Direction,
        count=count,
        previewed=f"{draft.mark}:{count}" if draft else "",
        sentences=[rule_words(rule) for rule in draft.rules] if draft else [],
        rest=days_words(draft.policy.keep_days) if draft else "",
        full=len(rows) >= RULES_MOST,
        said=said,
        problem=problem,
        problems=problems,
    )


# -- the form --


async def _form(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=FIELDS_MOST)
    return {
        name: value.replace("\0", "").strip()[:TEXT_MOST]
        for name, value in form.multi_items()
        if isinstance(value, str)
    }


def _told_policy(told: Mapping[str, str]) -> Row:
    return {name: told.get(name, "") for name in ("reason", "keep", "destroy", "links", "pbx")}


def _told_rows(told: Mapping[str, str]) -> list[Row]:
    """The rows of the table, in its order; one without any field is not there."""
    rows = [{name: told.get(f"rule-{n}-{name}", "") for name in COLUMNS} for n in range(RULES_MOST)]
    return [row for n, row in enumerate(rows) if f"rule-{n}-days" in told]


def _rearranged(rows: list[Row], act: str, which: str) -> list[Row]:
    if act == "add":
        return rows if len(rows) >= RULES_MOST else [*rows, dict.fromkeys(COLUMNS, "")]
    at = int(which) if which.isdecimal() and len(which) < 4 else -1
    if not 0 <= at < len(rows):
        return rows
    row = rows.pop(at)
    if act != "drop":
        rows.insert(max(0, at + (-1 if act == "up" else 1)), row)
    return rows


def _policy_row(policy: RecordingPolicy) -> Row:
    return {
        "reason": "yes" if policy.reason_required else "",
        "keep": _text(policy.keep_days),
        "destroy": "yes" if policy.destroy_redacted_original else "",
        "links": str(policy.link_days_most),
        "pbx": _text(policy.remove_at_pbx_after_days),
    }


def _row(rule: RetentionRule) -> Row:
    shorter = rule.shorter_than_seconds
    return {
        "id": str(rule.id),
        "direction": rule.direction or "",
        "number": rule.number or "",
        "extension": rule.extension or "",
        "tag": rule.tag or "",
        "shorter": "" if shorter is None else f"{shorter:g}",
        "days": _text(rule.keep_days),
        "note": rule.note,
    }


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


# -- what it means --


def understand(policy_row: Row, rows: Sequence[Row], extensions: ExtensionRule) -> Draft:
    """The form's meaning; empty days are for ever, an empty condition is any."""
    problems: list[FieldProblem] = []
    policy = RecordingPolicy(
        reason_required=policy_row["reason"] == "yes",
        keep_days=_days("keep", policy_row["keep"], problems),
        destroy_redacted_original=policy_row["destroy"] == "yes",
        link_days_most=_link_days(policy_row["links"], problems),
        remove_at_pbx_after_days=_days("pbx", policy_row["pbx"], problems),
    )
    rules = tuple(_rule(at, row, problems, extensions) for at, row in enumerate(rows))
    return Draft(dict(policy_row), tuple(rows), policy, rules, tuple(problems))


def _rule(at: int, row: Row, problems: list[FieldProblem], extensions: ExtensionRule) -> RetentionRule:
    here = f"rule-{at}"
    number = re.sub(r"[\s()-]", "", row["number"])
    if number and not _NUMBER.fullmatch(number):
        said = _("Write the number with its country code, like +79160000012 or +7916*.")
        problems.append(FieldProblem(f"{here}-number", said))
    if row["extension"] and (problem := extensions.problem_with(row["extension"])) is not None:
        problems.append(FieldProblem(f"{here}-extension", problem_sentence(problem)))
    return RetentionRule(
        id=_id(row["id"]),
        position=at,
        direction=Direction(row["direction"]) if row["direction"] in list(Direction) else None,
        number=number or None,
        extension=row["extension"] or None,
        tag=" ".join(row["tag"].split()).casefold() or None,
        shorter_than_seconds=_seconds(f"{here}-shorter", row["shorter"], problems),
        keep_days=_days(f"{here}-days", row["days"], problems),
        note=row["note"],
    )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return uuid4()


def _days(name: str, text: str, problems: list[FieldProblem]) -> int | None:
    if not text:
        return None
    if text.isdecimal() and len(text) < 6 and int(text) <= DAYS_MOST:
        return int(text)
    said = (
        _("At most {most} days; leave it empty to keep for ever.").format(
            most=f"{DAYS_MOST:,}".replace(",", "\u202f")
        )
        if text.isdecimal()
        else _("“{text}” is not a whole number of days; leave it empty to keep for ever.").format(
            text=text[:40]
        )
    )
    problems.append(FieldProblem(name, said))
    return None


def _link_days(text: str, problems: list[FieldProblem]) -> int:
    if text.isdecimal() and len(text) < 4 and 1 <= int(text) <= LINK_DAYS_MOST:
        return int(text)
    problems.append(FieldProblem("links", _("Links expire after 1 to 365 days.")))
    return RecordingPolicy().link_days_most


def _seconds(name: str, text: str, problems: list[FieldProblem]) -> float | None:
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,2})?", text) and float(text) > 0:
        return float(text)
    said = _("“{text}” is not a number of seconds; write one like 10 or 2.5.").format(text=text[:40])
    problems.append(FieldProblem(name, said))
    return None


# -- in words --


def rule_words(rule: RetentionRule) -> str:
    """`Incoming, number +7916*, shorter than 10 s: 30 days`."""
    conditions = [
        DIRECTION_WORDS[rule.direction] if rule.direction else "",
        _("number {number}").format(number=rule.number) if rule.number else "",
        _("extension {number}").format(number=rule.extension) if rule.extension else "",
        _("tag {tag}").format(tag=rule.tag) if rule.tag else "",
        _("shorter than {n} s").format(n=f"{rule.shorter_than_seconds:g}")
        if rule.shorter_than_seconds
        else "",
    ]
    said = ", ".join(part for part in conditions if part) or _("Every recording")
    return _("{calls}: {days}").format(calls=said, days=days_words(rule.keep_days))


def _told_in_words(policy: RecordingPolicy, rules: Sequence[RetentionRule]) -> dict[str, Any]:
    """As the audit log keeps it: readable in ten years."""
    return {
        "reason required": policy.reason_required,
        "keep days": "for ever" if policy.keep_days is None else policy.keep_days,
        "destroy covered originals": policy.destroy_redacted_original,
        "link days at most": policy.link_days_most,
        "remove at the phone system after days": policy.remove_at_pbx_after_days,
        "rules": _in_english(sorted(rules, key=lambda rule: rule.position)),
    }


def _in_english(rules: Sequence[RetentionRule]) -> list[str]:
    """The log is kept in one language, whoever made the change."""
    with speaking(ENGLISH):
        return [rule_words(rule) for rule in rules]


def _rule_facts(rule: RetentionRule) -> list[Any]:
    """Everything but the id, which a new rule gets anew each time it is read."""
    return [
        rule.position,
        rule.direction,
        rule.number,
        rule.extension,
        rule.tag,
        rule.shorter_than_seconds,
        rule.keep_days,
        rule.note,
    ]

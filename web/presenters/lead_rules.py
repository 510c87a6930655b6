"""Lead rules in words: the lines of the table as they are read, and the answer to "what would happen if …"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from call_records.crm.lead_rules.types import WhatIf
from telephony.contacts import MatchRule
from telephony.lead_rules import Known, LeadRule, Making, Outcome, OwnerRule, Refusal
from web.languages.messages import N_, Phrases, _, ngettext
from web.presenters.masking import View, show_name

OUTCOME_WORDS: Phrases[Outcome | None] = Phrases(
    {
        Outcome.INBOUND_ANSWERED: N_("A call to us is answered"),
        Outcome.MISSED: N_("A call to us is missed"),
        Outcome.ABANDONED: N_("A caller gives up in a queue or menu, or reaches voicemail"),
        Outcome.OUTBOUND_ANSWERED: N_("We call, and they answer"),
        Outcome.OUTBOUND_UNANSWERED: N_("We call, and nobody answers"),
        Outcome.FORM: N_("A form on the web site is sent"),
        None: N_("Whatever happens"),
    }
)
KNOWN_WORDS: Phrases[Known | None] = Phrases(
    {
        Known.UNKNOWN: N_("Unknown number"),
        Known.KNOWN: N_("Known"),
        Known.KNOWN_WITHOUT_OPEN_DEAL: N_("Known, no open deal"),
        None: N_("Anybody"),
    }
)
MAKING_WORDS: Phrases[Making] = Phrases(
    {
        Making.NOTHING: N_("Nothing is made"),
        Making.CONTACT: N_("A contact"),
        Making.LEAD: N_("A lead"),
        Making.DEAL: N_("A deal, if none is open"),
    }
)
OWNER_WORDS: Phrases[OwnerRule] = Phrases(
    {
        OwnerRule.ANSWERED_BY: N_("who answered"),
        OwnerRule.FIRST_RUNG: N_("whose phone rang first"),
        OwnerRule.OWNER_OF_CONTACT: N_("the contact's owner"),
        OwnerRule.TEAM_ROTA: N_("a team in turn"),
        OwnerRule.NAMED: N_("a colleague"),
        OwnerRule.NOBODY: N_("nobody yet"),
    }
)
REFUSAL_WORDS: Phrases[Refusal] = Phrases(
    {
        Refusal.NOBODY: N_("There is no number to make anything of."),
        Refusal.SHORT: N_("It is a short number or a code: nothing is ever made of those."),
        Refusal.BLOCKED: N_("The number is blocked."),
        Refusal.FLOOD: N_(
            "Too many unknown callers on this line just now: until it calms down, nothing is made."
        ),
        Refusal.SEVERAL: N_("Several people have this number alike. Somebody has to say who it is first."),
        Refusal.NO_LINE: N_("No line of the table fits, so nothing is made."),
    }
)
MATCH_WORDS: Phrases[MatchRule] = Phrases(
    {
        MatchRule.CHOSEN: N_("somebody said that this number is theirs"),
        MatchRule.ONLY: N_("the only entry with this number"),
        MatchRule.OPEN_DEAL: N_("the only one with this number who has an open deal"),
        MatchRule.LAST_SPOKEN: N_("of several with this number, the one spoken to last"),
        MatchRule.LAST_DIGITS: N_("the only entry whose number ends in the same ten digits"),
        MatchRule.BY_HAND: N_("put there by hand"),
    }
)


@dataclass(frozen=True, slots=True)
class RuleNames:
    """What lines of the table point to, by name."""

    people: Mapping[UUID, str]
    stages: Mapping[UUID, str]
    """`Sales: New`."""
    pipelines: Mapping[UUID, str]


def then_words(rule: LeadRule, names: RuleNames) -> str:
    """`A lead for who answered. Task “Call back”, 30 working minutes.`"""
    made = MAKING_WORDS[rule.making]
    if rule.making is Making.DEAL:
        where = names.stages.get(rule.stage_id) if rule.stage_id else None
        where = where or (names.pipelines.get(rule.pipeline_id) if rule.pipeline_id else None)
        made = _("A deal in {where}, if none is open").format(where=where) if where else made
    if rule.making is not Making.NOTHING:
        made = _("{made}, for {owner}").format(made=made, owner=owner_words(rule, names))
    if rule.task is None:
        return f"{made}."
    task = _("Task “{task}”").format(task=rule.task)
    if rule.making is Making.NOTHING:
        task = _("{task} for {owner}").format(task=task, owner=owner_words(rule, names))
    if rule.task_minutes is not None:
        task = _("{task}, within {time}").format(task=task, time=minutes_words(rule.task_minutes))
    return f"{made}. {task}."


def owner_words(rule: LeadRule, names: RuleNames) -> str:
    """`who answered`, `Anna Belova`, `team Sales in turn`."""
    if rule.owner is OwnerRule.NAMED:
        named = names.people.get(rule.owner_id) if rule.owner_id else None
        return named or _("somebody who has left (so nobody)")
    if rule.owner is OwnerRule.TEAM_ROTA:
        return _("team {team} in turn").format(team=rule.team)
    return OWNER_WORDS[rule.owner]


def minutes_words(minutes: int) -> str:
    """`30 working minutes`, `2 working hours`."""
    if minutes and minutes % 60 == 0:
        hours = minutes // 60
        return ngettext("1 working hour", "{n} working hours", hours).format(n=hours)
    return ngettext("1 working minute", "{n} working minutes", minutes).format(n=minutes)


def who_words(told: WhatIf, view: View) -> str:
    """Who that would be, and why."""
    if told.match.chosen is not None and told.match.rule is not None:
        name = show_name(told.entry or told.match.chosen.name, view)
        why = MATCH_WORDS[told.match.rule]
        field = told.match.chosen.field
        return f"{name}: {why}" + (f" ({field})." if field else ".")
    if told.match.others:
        names = ", ".join(show_name(one.name, view) for one in told.match.others[:5])
        return _("Several have this number: {names}.").format(names=names)
    return _("Nobody in the book has this number.")


def made_words(told: WhatIf, view: View) -> str:
    """What would be made, and whose it would be."""
    verdict = told.verdict
    if verdict.refusal is not None:
        return _("Nothing would be made.")
    owner = told.owner or _("nobody yet")
    known = told.entry is not None
    if verdict.making is Making.DEAL:
        deal = _("A deal would be opened in {stage}, for {owner}.").format(stage=told.stage, owner=owner)
        contact = _("A contact would be entered.")
        return deal if known else f"{contact} {deal}"
    if verdict.making is Making.NOTHING:
        if known and told.entry is not None and verdict.line and verdict.line.making is not Making.NOTHING:
            name = show_name(told.entry, view)
            return _("Nothing would be made: {name} is in the book already.").format(name=name)
        return _("Nothing would be made.")
    kind = _("A lead") if verdict.making is Making.LEAD else _("A contact")
    return _("{kind} would be entered, for {owner}.").format(kind=kind, owner=owner)


def place_words(told: WhatIf, view: View) -> str:
    """Where the call itself would be found."""
    if told.entry is not None:
        return _("The call would be on the timeline of {name}.").format(name=show_name(told.entry, view))
    if told.verdict.making is not Making.NOTHING:
        return _("The call would be on the timeline of the new entry.")
    return _("The call would be in the list of calls, and on nobody's timeline.")


def task_words(told: WhatIf, due: str | None) -> str | None:
    """The task, whose and until when; None when there would be none."""
    verdict = told.verdict
    if verdict.task is None:
        return None
    owner = told.owner or _("nobody yet")
    said = _("Task “{task}” for {owner}").format(task=verdict.task, owner=owner)
    return f"{said}, " + _("due {when}.").format(when=due) if due else f"{said}."


def line_number(told: WhatIf, rules: list[LeadRule]) -> int | None:
    """Which line of the table decided, counted from one."""
    line = told.verdict.line
    ids = [one.id for one in rules]
    return ids.index(line.id) + 1 if line is not None and line.id in ids else None

"""Extensions that people write into forms: the one rule of `telephony.numbers.extension_rule`, with what the PBXes have."""

from __future__ import annotations

import re

from telephony.endpoint_directory import directory_of
from telephony.numbers.extension_rule import ExtensionFault, ExtensionProblem, ExtensionRule, rule_of
from web.languages.messages import N_, Phrases
from web.site import Site

TEXT_MOST = 80  # characters of a mistake that are shown again

SENTENCES = Phrases(
    {
        ExtensionFault.NOT_ONE: N_(
            "“{text}” is not an extension: write two to eight digits, or an extension that the phone system has."
        ),
        ExtensionFault.TRUNK: N_("“{text}” is a trunk of the phone system, not an extension."),
        ExtensionFault.PHONE_OF_ANOTHER: N_("“{text}” is a phone of extension {instead}: write {instead}."),
    }
)


async def extension_rule(site: Site) -> ExtensionRule:
    """What is an extension, as the PBXes are known at this moment."""
    known = await site.records.endpoints.list_all()
    numberings = [
        one.with_directory(directory_of(known.get(one.pbx, ()), one.directory.phones))
        for one in site.settings.numberings
    ]
    seen = {phone.extension for phone in await site.records.staff.phones() if phone.gone_at is None}
    return rule_of(numberings, seen)


def read_extensions(text: str, rule: ExtensionRule) -> tuple[tuple[str, ...], str | None]:
    """`101, 102` as a tuple, and what is wrong with it."""
    parts = tuple(dict.fromkeys(part for part in re.split(r"[\s,;]+", text) if part))
    problem = rule.first_problem(parts)
    return parts, problem_sentence(problem) if problem else None


def problem_sentence(problem: ExtensionProblem) -> str:
    """What is wrong, for a page."""
    return SENTENCES[problem.fault].format(text=problem.text[:TEXT_MOST], instead=problem.instead)

"""The rules of the queue, as sentences with numbers in them, and what each would have picked last week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

from telephony.edit_version import edit_version
from telephony.errors import ChangedMeanwhile, PeerMistake
from telephony.recordings import AuditAction
from telephony.reviews import ReviewRule, ReviewRuleKind
from web.auth.access import SUPERVISORS, Viewer, address_of, browser_name, guard
from web.languages.errors import translate_sentence
from web.languages.messages import _, ngettext
from web.pages.reviews.queue import told
from web.presenters.reviews import UNIT_WORDS, sentence
from web.site import site_of

router = APIRouter(include_in_schema=False)
Supervisor = Annotated[Viewer, Depends(guard(SUPERVISORS))]


@router.get("/review/rules")
async def rules(request: Request, viewer: Supervisor) -> Response:
    """Every rule, on or off."""
    return await _page(request, viewer)


@router.post("/review/rules/{kind}")
async def change(request: Request, kind: ReviewRuleKind, viewer: Supervisor) -> Response:
    """Switch a rule on or off, change its numbers."""
    site = site_of(request)
    given = await told(request)
    rule = ReviewRule(kind, given.get("active") == "yes", {})
    try:
        rule = ReviewRule(kind, rule.active, rule.shape.checked(given))
    except PeerMistake as mistake:
        return await _page(request, viewer, problem=translate_sentence(mistake), wrong=(kind, given))
    await site.records.audit.write(
        AuditAction.RULES_CHANGED,
        who=viewer.account.login,
        account_id=viewer.account.id,
        address=address_of(request),
        browser=browser_name(request.headers.get("user-agent", "")),
        details={"what": "review", "kind": kind.value, "active": rule.active, "choices": dict(rule.choices)},
    )
    try:
        await site.records.reviews.rules.change(rule, by=viewer.account.login, seen=given.get("seen"))
    except ChangedMeanwhile as changed:
        return await _page(request, viewer, problem=translate_sentence(changed))
    return RedirectResponse(f"/review/rules?saved={kind}", 303)


@router.get("/review/rules/{kind}/preview")
async def preview(request: Request, kind: ReviewRuleKind, _viewer: Supervisor) -> Response:
    """A sentence: how many of last week's conversations this rule would pick with these numbers."""
    rule = ReviewRule(kind, True, {})
    try:
        rule = ReviewRule(kind, True, rule.shape.checked(request.query_params))
    except PeerMistake as mistake:
        return PlainTextResponse(translate_sentence(mistake))
    seen = await site_of(request).records.reviews.picks.would_pick(rule)
    if not seen.conversations:
        return PlainTextResponse(_("There were no conversations in the last seven days."))
    said = ngettext(
        "Of {all} conversation in the last seven days it would pick {some}.",
        "Of {all} conversations in the last seven days it would pick {some}.",
        seen.conversations,
    ).format(all=seen.conversations, some=seen.picked)
    if seen.parts > seen.picked:
        more = _("That is {n} to hear: in a conversation that was handed over, each colleague.")
        said = f"{said} {more.format(n=seen.parts)}"
    return PlainTextResponse(said)


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    problem: str | None = None,
    wrong: tuple[ReviewRuleKind, Mapping[str, str]] | None = None,
) -> Response:
    site = site_of(request)
    found = await site.records.reviews.rules.all()
    saved = request.query_params.get("saved")
    return site.renderer.page(
        request,
        viewer,
        "reviews/rules.html",
        status=400 if problem else 200,
        rules=[(rule, sentence(rule.kind), _shown(rule, wrong)) for rule in found],
        edit_version=edit_version,
        units=UNIT_WORDS,
        problem=problem,
        wrong=wrong[0] if wrong else None,
        said=_("Saved. It counts for calls from now on.") if saved in set(ReviewRuleKind) else None,
    )


def _shown(rule: ReviewRule, wrong: tuple[ReviewRuleKind, Mapping[str, str]] | None) -> Mapping[str, object]:
    """The numbers in the fields: what somebody typed when it was not right, else what holds."""
    return wrong[1] if wrong and wrong[0] is rule.kind else rule.choices

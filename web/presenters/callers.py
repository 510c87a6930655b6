"""Who calls and why we think so, in words, and as the card is told it. What a view may not see never gets here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from telephony.call_facts.facts import iso
from telephony.contacts import ClientKind, MatchRule
from web.callers import Identity, Known
from web.languages.messages import N_, Phrases, _, ngettext
from web.presenters.contacts import KIND_WORDS, mask_in
from web.presenters.labels import ClientName, display_number
from web.presenters.masking import View
from web.presenters.money import money

RULE_WORDS: Phrases[MatchRule] = Phrases(
    {
        MatchRule.CHOSEN: N_("Somebody chose {name} for this number."),
        MatchRule.ONLY: N_("Only {name} has this number."),
        MatchRule.OPEN_DEAL: N_("Several have this number; only with {name} a deal is open."),
        MatchRule.LAST_SPOKEN: N_(
            "Several have this number; {name} was spoken to last. This is not certain."
        ),
        MatchRule.LAST_DIGITS: N_(
            "Nobody has exactly this number; {name}’s ends in the same ten digits. This is not certain."
        ),
        MatchRule.BY_HAND: N_("A person put this call here."),
    }
)


def show_identity(identity: Identity, view: View) -> Identity:
    """As this view may see it: numbers hidden wherever they stand, in the names of nameless leads too."""
    if not view.numbers_masked:
        return identity
    deal = identity.deal
    return replace(
        identity,
        asked=mask_in(identity.asked),
        written=mask_in(identity.written),
        client=_hidden(identity.client) if identity.client else None,
        deal=replace(deal, title=mask_in(deal.title)) if deal else None,
        others=tuple(_hidden(one) for one in identity.others),
    )


def _hidden(one: Known) -> Known:
    return replace(one, name=mask_in(one.name), company=mask_in(one.company) if one.company else None)


def client_name(identity: Identity | None, view: View) -> ClientName | None:
    """How lists and stories name the client of a call; None where the book does not know."""
    if identity is None or identity.client is None:
        return None
    return named_client(identity.client, view)


def named_client(one: Known, view: View) -> ClientName:
    """The entry's name and page. Of an entry that is only a number there is no name but that."""
    if view.numbers_masked:
        one = _hidden(one)
    name = one.name if any(char.isalpha() for char in one.name) else None
    return ClientName(name, f"/people/{one.id}", one.company)


def why(identity: Identity, region: str | None = None) -> list[str]:
    """Why this client, in sentences: the rule, the field, the number as it is written, who else has it."""
    told = []
    client = identity.client
    if client is not None and identity.made:
        told.append(_("The number was nobody’s; the lead rules made this entry."))
    elif client is not None and identity.rule is not None:
        told.append(RULE_WORDS[identity.rule].format(name=display(client, region)))
    elif identity.by_hand:
        told.append(_("A person said that this call is nobody’s of ours."))
    elif identity.several:
        told.append(
            ngettext(
                "{n} has this number and fits.", "{n} have this number and fit alike.", len(identity.others)
            ).format(n=len(identity.others))
        )
    if identity.written and not identity.made and identity.rule is not MatchRule.BY_HAND:
        field = f" ({identity.field})" if identity.field else ""
        told.append(_("In the book: {number}{field}.").format(number=identity.written, field=field))
    if client is not None and identity.others:
        names = ", ".join(display(one, region) for one in identity.others)
        told.append(_("Others with this number: {names}.").format(names=names))
    return told


def display(one: Known, region: str | None = None) -> str:
    """The name; of an entry that is only a number, that number in national spacing."""
    return one.name if any(char.isalpha() for char in one.name) else display_number(one.name, region)


def told_identity(call_id: UUID, identity: Identity, view: View, region: str | None) -> dict[str, Any]:
    """The card's part about the client."""
    seen = show_identity(identity, view)
    client, deal = seen.client, seen.deal
    return {
        "call_id": str(call_id),
        "client": _told_client(client, region) if client else None,
        "deal": {
            "title": deal.title,
            "href": f"/deals/{deal.id}",
            "state": " · ".join(filter(None, (deal.stage, money(deal.amount, deal.currency, region)))),
        }
        if deal
        else None,
        "why": why(seen, region),
        "unsure": seen.rule in (MatchRule.LAST_SPOKEN, MatchRule.LAST_DIGITS),
        "others": [_told_other(one, region) for one in seen.others],
        "choose": identity.several,
        "save": identity.unknown
        or (identity.nameless and client is not None and client.kind is ClientKind.LEAD),
        "nobody": identity.by_hand and client is None,
    }


def _told_client(client: Known, region: str | None) -> dict[str, Any]:
    return {
        "id": str(client.id),
        "name": display(client, region),
        "href": f"/people/{client.id}",
        "company": client.company,
        "kind": KIND_WORDS[client.kind] if client.kind is not ClientKind.CONTACT else None,
    }


def _told_other(one: Known, region: str | None) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "name": display(one, region),
        "company": one.company,
        "kind": KIND_WORDS[one.kind] if one.kind is not ClientKind.CONTACT else None,
        "spoken_at": iso(one.spoken_at) if one.spoken_at else None,
        "deals": one.open_deals,
    }

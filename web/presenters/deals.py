"""How deals and tasks are said: what is next, since when it is silent. And what of it a viewer may see.

A deal that a lead rule made may be called after a number; where numbers are hidden from somebody, they are hidden there
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo

from call_records.crm.types import Deal, Task
from web.forms.date_fields import Toward, read_date, read_hour
from web.languages.messages import _, ngettext
from web.presenters.contacts import say
from web.presenters.labels import day
from web.presenters.masking import View
from web.presenters.money import money

DAY_ENDS = time(23, 59)
"""When a task is due of which only the day was said."""


def show_deal(deal: Deal, view: View) -> Deal:
    """The deal without what this view may not see."""
    if not view.numbers_masked:
        return deal
    return replace(
        deal,
        title=say(deal.title, view),
        contact=deal.contact and say(deal.contact, view),
        company=deal.company and say(deal.company, view),
        next_task=deal.next_task and show_task(deal.next_task, view),
        fields={name: say(value, view) for name, value in deal.fields.items()},
    )


def show_task(task: Task, view: View) -> Task:
    """The task without what this view may not see."""
    if not view.numbers_masked:
        return task
    return replace(
        task,
        text=say(task.text, view),
        client=task.client and say(task.client, view),
        deal=task.deal and say(task.deal, view),
    )


@dataclass(frozen=True, slots=True)
class Due:
    """When a task is due, in words. `state` is overdue, today or later; None without a date or when it is done."""

    word: str
    state: str | None


def due_of(task: Task, zone: tzinfo, now: datetime) -> Due:
    """`Overdue since 20 Nov`, `Today 14:00`, `Tomorrow`, `25 Nov 09:30`."""
    if task.done_at is not None:
        return Due(_("Done {day}").format(day=day(task.done_at, zone, now)), None)
    if task.due_at is None:
        return Due("", None)
    same = task.due_at.astimezone(zone).date() == now.astimezone(zone).date()
    if task.due_at < now:
        since = task.due_at.astimezone(zone).strftime("%H:%M") if same else day(task.due_at, zone, now)
        return Due(_("Overdue since {when}").format(when=since), "overdue")
    return Due(due_word(task.due_at, zone, now), "today" if same else "later")


def due_word(due_at: datetime, zone: tzinfo, now: datetime) -> str:
    """The day, and the hour where one was said."""
    local, today = due_at.astimezone(zone), now.astimezone(zone).date()
    tomorrow = local.date() == today + timedelta(days=1)
    said = _("Tomorrow") if tomorrow else day(due_at, zone, now)
    hour = local.time().replace(second=0, microsecond=0)
    return said if hour == DAY_ENDS else f"{said} {hour:%H:%M}"


def read_due(
    date_told: str, time_told: str, zone: tzinfo, region: str | None = None, *, today: date | None = None
) -> datetime | None:
    """From the two fields of a form; without an hour it is due when the day ends. Raises PeerMistake."""
    if not date_told.strip():
        return None
    on = read_date(date_told, region, today=today, toward=Toward.AHEAD)
    at = read_hour(time_told) if time_told.strip() else DAY_ENDS
    return datetime.combine(on, at, tzinfo=zone)


def silent_days(deal: Deal, now: datetime) -> int:
    """For how many whole days nothing happened with an open deal."""
    if deal.silent_since is None or deal.state != "open":
        return 0
    return max(0, (now - deal.silent_since).days)


def silent_word(days: int) -> str:
    """`Silent 12 days`; empty on the first day."""
    if not days:
        return ""
    return ngettext("Silent 1 day", "Silent {n} days", days).format(n=days)


def since_word(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """`since today`, `since 8 Nov`: how long it stands where it is."""
    near = {0: _("since today"), 1: _("since yesterday")}
    days = (now.astimezone(zone).date() - moment.astimezone(zone).date()).days
    return near.get(days) or _("since {day}").format(day=day(moment, zone, now))


@dataclass(frozen=True, slots=True)
class Card:
    """A deal as the board and the list show it."""

    deal: Deal
    amount: str
    due: Due | None
    """Of the next task; None without one."""
    silent: str


def card_of(deal: Deal, view: View, zone: tzinfo, now: datetime, region: str | None = None) -> Card:
    """What stands on a card."""
    shown = show_deal(deal, view)
    return Card(
        deal=shown,
        amount=money(deal.amount, deal.currency, region),
        due=due_of(shown.next_task, zone, now) if shown.next_task else None,
        silent=silent_word(silent_days(deal, now)),
    )


def cards_of(
    deals: Sequence[Deal], view: View, zone: tzinfo, now: datetime, region: str | None = None
) -> list[Card]:
    """Several."""
    return [card_of(deal, view, zone, now, region) for deal in deals]

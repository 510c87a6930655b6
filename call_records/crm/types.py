"""What the book hands out and takes in: plain frozen values, no SQL. Pages and tests are written against these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from telephony.contacts import ClientKind, LeadState, Match
from telephony.edit_version import edit_version
from telephony.errors import PeerMistake
from telephony.languages.phrases import N_


@dataclass(frozen=True, slots=True)
class ClientPhone:
    """A number as somebody wrote it, and what it is known by."""

    raw: str
    key: str | None
    """E.164, or the digits of a short or foreign number as they are; None when it is no number at all."""
    extension: str | None = None
    """Their own, from "ext. 12"."""
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A contact, a company or a lead."""

    id: UUID
    kind: ClientKind
    name: str
    phones: tuple[ClientPhone, ...]
    emails: tuple[str, ...]
    company_id: UUID | None
    company: str | None
    position: str | None
    owner_id: UUID | None
    owner: str | None
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    state: LeadState | None
    source: str
    campaign: str | None
    became_id: UUID | None
    spoken_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    removed_at: datetime | None = None
    open_deals: int = 0


@dataclass(frozen=True, slots=True)
class NewClient:
    """An entry that is to be made. Phones are given as they were written; one text may hold several numbers."""

    kind: ClientKind
    name: str
    phones: tuple[str, ...] = ()
    labels: tuple[str | None, ...] = ()
    """Of the phones, in the same order; may be shorter."""
    emails: tuple[str, ...] = ()
    company_id: UUID | None = None
    position: str | None = None
    owner_id: UUID | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    source: str = "hand"
    """call, form, import, hand, api"""
    campaign_id: UUID | None = None
    import_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """Which entries to list; None means any."""

    kind: ClientKind | None = None
    text: str | None = None
    """Words, in any order and anywhere in name, company, e-mail or tag; or any spelling of a number."""
    owner_id: UUID | None = None
    tag: str | None = None
    state: LeadState | None = None
    """None: any, but no converted leads, who are found as what they became."""
    company_id: UUID | None = None
    by_name: bool = False
    """In order of names; else what changed last comes first."""


@dataclass(frozen=True, slots=True)
class ClientPage:
    """One page of a list; `more` is passed back as `cursor`; None at the end."""

    clients: tuple[Client, ...]
    more: str | None


@dataclass(frozen=True, slots=True)
class Conversion:
    """What becomes of a lead: a contact always; a company and a deal when they are named."""

    name: str
    company: str | None = None
    """Name; an existing company of that name is taken."""
    deal: str | None = None
    """Title."""
    stage_id: UUID | None = None
    amount: Decimal | None = None
    into: UUID | None = None
    """An existing contact instead of a new one."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a lead became."""

    contact_id: UUID
    company_id: UUID | None
    deal_id: UUID | None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened. `facts` of a call are read separately, by `call_id`."""

    id: UUID
    kind: str
    """call, note, task, made, changed, stage, converted, merged, owner, form"""
    at: datetime
    client_id: UUID | None
    client: str | None
    """Name, for a company's page, where entries of several contacts stand together."""
    deal_id: UUID | None
    deal: str | None
    call_id: UUID | None
    task_id: UUID | None
    author: str | None
    account_id: UUID | None
    text: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """Newest first; `older` is passed back as `cursor`."""

    entries: tuple[TimelineEntry, ...]
    older: str | None


@dataclass(frozen=True, slots=True)
class CallPlace:
    """Where a call is in the book."""

    client_id: UUID | None
    name: str | None
    kind: ClientKind | None
    company: str | None
    deal_id: UUID | None
    deal: str | None
    stage: str | None
    amount: Decimal | None
    currency: str | None
    data: Mapping[str, Any]
    """Why it is there: rule, field, written, asked, others, by_hand."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A column of the board. `ends` is open, won or lost."""

    id: UUID
    pipeline_id: UUID
    name: str
    place: int
    ends: str

    @property
    def edit_version(self) -> str:
        """Of what a person changes in it."""
        return edit_version((self.name, self.ends))


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A way deals go."""

    id: UUID
    name: str
    place: int
    stages: tuple[Stage, ...]
    archived_at: datetime | None = None
    """No longer offered; its closed deals are kept and found."""


@dataclass(frozen=True, slots=True)
class Deal:
    """Money that is talked about."""

    id: UUID
    title: str
    contact_id: UUID | None
    contact: str | None
    company_id: UUID | None
    company: str | None
    pipeline_id: UUID
    stage_id: UUID
    stage: str
    state: str
    amount: Decimal | None
    currency: str
    owner_id: UUID | None
    owner: str | None
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    source: str
    place: float
    spoken_at: datetime | None
    stage_since: datetime
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    version: int
    next_task: Task | None = None
    """Of its open tasks the one that is due first."""
    pipeline: str = ""
    silent_since: datetime | None = None
    """When anything last happened with it: a conversation, an entry of its timeline."""
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Money:
    """A sum of deals; those without an amount count as nothing."""

    amount: Decimal
    currency: str
    """ISO 4217"""


@dataclass(frozen=True, slots=True)
class DealFilter:
    """Which deals to show; None means any."""

    owner_id: UUID | None = None
    unowned: bool = False
    """Only those that are nobody's."""
    text: str | None = None
    """Words, in any order and anywhere in the title or in what its contact and company are found by."""


@dataclass(frozen=True, slots=True)
class Column:
    """A stage with its deals as far as they are shown. Of a closed stage: those closed lately, the last first."""

    stage: Stage
    count: int
    """All of them, shown or not."""
    sums: tuple[Money, ...]
    """Of all of them, one for each currency."""
    deals: tuple[Deal, ...]


@dataclass(frozen=True, slots=True)
class DealPage:
    """One page of the list."""

    deals: tuple[Deal, ...]
    count: int
    """On all pages."""
    sums: tuple[Money, ...]
    """On all pages, one for each currency."""


class MovedMeanwhile(PeerMistake):
    """Somebody else moved this deal meanwhile."""

    def __init__(self, deal: Deal, who: str | None) -> None:
        super().__init__(
            N_("{who} moved this deal to “{stage}” meanwhile.")
            if who
            else N_("Somebody else moved this deal to “{stage}” meanwhile."),
            remedy=N_("It was left there. Move it again if you still want to."),
            values={"who": who, "stage": deal.stage},
        )
        self.deal = deal
        """As it is now."""


@dataclass(frozen=True, slots=True)
class NewDeal:
    """A deal that is to be made. Without a stage: the first one of the first pipeline."""

    title: str
    contact_id: UUID | None = None
    company_id: UUID | None = None
    stage_id: UUID | None = None
    amount: Decimal | None = None
    owner_id: UUID | None = None
    source: str = "hand"
    campaign_id: UUID | None = None
    import_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do, for a person of ours."""

    id: UUID
    text: str
    due_at: datetime | None
    client_id: UUID | None
    deal_id: UUID | None
    call_id: UUID | None
    owner_id: UUID | None
    owner: str | None
    created_at: datetime
    done_at: datetime | None
    client: str | None = None
    """Name."""
    deal: str | None = None
    """Title."""

    @property
    def edit_version(self) -> str:
        """Of what a person changes in it."""
        return edit_version((self.text, self.due_at, self.owner_id))


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task that is to be made."""

    text: str
    due_at: datetime | None = None
    client_id: UUID | None = None
    deal_id: UUID | None = None
    call_id: UUID | None = None
    owner_id: UUID | None = None


class Book(Protocol):
    """Contacts, companies and leads. `by` is the account that does it; None for the service itself."""

    async def one(self, client_id: UUID) -> Client | None:
        """The entry, or the one it was merged into; removed ones too."""

    async def several(self, ids: Sequence[UUID]) -> Mapping[UUID, Client]: ...
    async def page(
        self, wanted: ClientFilter, *, limit: int = 50, cursor: str | None = None
    ) -> ClientPage: ...
    async def tags(self) -> Sequence[str]: ...
    async def add(self, new: NewClient, *, by: UUID | None) -> Client: ...
    async def change(self, client: Client, *, by: UUID | None) -> Client:
        """Store its fields and phones. Raises PeerMistake when somebody else changed it since `client.version`."""

    async def remove(self, client_id: UUID, *, by: UUID | None) -> None: ...
    async def restore(self, client_id: UUID, *, by: UUID | None) -> None: ...
    async def duplicates_of(self, client_id: UUID) -> Sequence[Client]:
        """Entries that share a number, an e-mail or the very name, likeliest first."""

    async def keep_apart(self, client_id: UUID, other_id: UUID, *, by: UUID | None) -> None:
        """They are two: neither is suggested as a duplicate of the other any more. Raises PeerMistake for an unknown one."""

    async def allow_again(self, client_id: UUID, other_id: UUID) -> None:
        """Take that back."""

    async def merge(self, survivor_id: UUID, absorbed_id: UUID, *, by: UUID | None) -> UUID:
        """The absorbed one's numbers, deals and history are the survivor's from now on. Returns the id for undoing."""

    async def undo_merge(self, merge_id: UUID, *, by: UUID | None) -> None: ...
    async def convert(self, lead_id: UUID, into: Conversion, *, by: UUID | None) -> Converted:
        """In one step, all or nothing. Raises PeerMistake when it is converted already."""

    async def undo_convert(self, contact_id: UUID, *, by: UUID | None) -> UUID | None:
        """The lead that became this contact is open again, the contact removed. None: it came of no single lead."""

    async def reject(self, lead_id: UUID, *, reason: str, by: UUID | None) -> None: ...
    async def reopen(self, lead_id: UUID, *, by: UUID | None) -> None: ...


class Timelines(Protocol):
    """What happened with a client or a deal."""

    async def of_client(self, client_id: UUID, *, limit: int = 30, cursor: str | None = None) -> TimelinePage:
        """Its own entries and those of entries merged or converted into it; of a company also of its contacts."""

    async def of_deal(self, deal_id: UUID, *, limit: int = 30, cursor: str | None = None) -> TimelinePage: ...
    async def add_note(
        self, *, client_id: UUID | None, deal_id: UUID | None, text: str, by: UUID
    ) -> TimelineEntry: ...
    async def change_note(self, entry_id: UUID, *, text: str, by: UUID) -> None:
        """An empty text removes it. Only one's own; else PeerMistake."""

    async def places(self, call_ids: Sequence[UUID]) -> Mapping[UUID, CallPlace]:
        """Where these calls are; those on no timeline are left out."""

    async def move_call(
        self, call_id: UUID, *, client_id: UUID | None, deal_id: UUID | None, by: UUID
    ) -> None:
        """By hand; no rule moves it afterwards. Both None: it belongs to nobody."""


class Deals(Protocol):
    """Deals and where they stand. `by` is the account that does it; None for the service itself."""

    async def pipelines(self, *, archived: bool = False) -> Sequence[Pipeline]:
        """In their order, each with its stages in theirs; archived ones last, and only when asked for."""

    async def one(self, deal_id: UUID) -> Deal | None:
        """Removed ones too."""

    async def of_client(self, client_id: UUID, *, limit: int = 500) -> Sequence[Deal]:
        """Its deals, those of entries merged into it, and a company's contacts' too; open ones first."""

    async def add(self, new: NewDeal, *, by: UUID | None) -> Deal:
        """On top of its stage. Raises PeerMistake for a title or an amount that cannot be kept."""

    async def change(self, deal: Deal, *, by: UUID | None) -> Deal:
        """Store title, client, amount, currency, owner, tags and fields. Raises PeerMistake when somebody else changed
        it since `deal.version`. Moving a deal is no such change.
        """

    async def move(
        self,
        deal_id: UUID,
        *,
        stage_id: UUID,
        before: UUID | None,
        by: UUID | None,
        expected: UUID | None = None,
    ) -> Deal:
        """To a stage, above the deal `before` (None, or gone meanwhile: at the end).

        `expected` is the stage it was taken from: when it stands elsewhere by now, MovedMeanwhile says where and who
        moved it, and nothing is changed.
        """

    async def loss_reason(self, deal_id: UUID) -> str:
        """Why it was lost; empty where nobody said so, and of one that is not lost."""

    async def set_loss_reason(self, deal_id: UUID, reason: str) -> None:
        """Say why it was lost. Raises PeerMistake for a deal that is not."""

    async def loss_reasons(self) -> Sequence[str]:
        """What was said most often of the deals lost last."""

    async def remove(self, deal_id: UUID, *, by: UUID | None) -> None: ...
    async def restore(self, deal_id: UUID) -> None: ...

    async def board(self, pipeline_id: UUID, wanted: DealFilter, *, limit: int = 100) -> Sequence[Column]:
        """Every stage of the pipeline with the first `limit` of its deals."""

    async def more_of(self, stage_id: UUID, wanted: DealFilter, *, skip: int, limit: int = 100) -> Column:
        """What comes after the first `skip` deals of a stage."""

    async def page(
        self,
        pipeline_id: UUID | None,
        wanted: DealFilter,
        *,
        state: str | None = "open",
        sort: str = "silent",
        down: bool = False,
        skip: int = 0,
        limit: int = 50,
    ) -> DealPage:
        """The list. `sort` is one of call_records.crm.deals.queries.SORTS; `state` None means open, won and lost."""

    async def list_ids(
        self,
        pipeline_id: UUID | None,
        wanted: DealFilter,
        *,
        state: str | None = "open",
        sort: str = "silent",
        down: bool = False,
        of_board: bool = False,
    ) -> Sequence[UUID]:
        """The ids of the whole list in its order; `of_board`: of closed deals only those that the board shows."""

    async def several(self, ids: Sequence[UUID]) -> Sequence[Deal]:
        """These deals, in this order; one that is gone is left out."""


class Pipelines(Protocol):
    """What stages deals go through. Every refusal is a PeerMistake that says what to do."""

    async def counts(self) -> Mapping[UUID, int]:
        """How many deals stand in each stage; stages without any are left out."""

    async def add(self, name: str) -> UUID:
        """With a first stage, one for won and one for lost."""

    async def rename(self, pipeline_id: UUID, name: str, *, instead_of: str | None = None) -> None: ...
    async def order(self, ids: Sequence[UUID]) -> None: ...
    async def archive(self, pipeline_id: UUID, *, archived: bool) -> None:
        """Not while deals are open in it, and never the last one."""

    async def add_stage(self, pipeline_id: UUID, name: str, *, ends: str = "open") -> UUID:
        """Behind the last one that ends alike."""

    async def change_stage(self, stage_id: UUID, *, name: str, ends: str, seen: str | None = None) -> None:
        """Its deals are won, lost or open as it says. One open stage stays in each pipeline."""

    async def order_stages(self, pipeline_id: UUID, ids: Sequence[UUID]) -> None: ...
    async def remove_stage(self, stage_id: UUID, *, into: UUID | None, by: UUID | None) -> None:
        """Its deals go to the stage `into`, which must be named when there are any."""


class Tasks(Protocol):
    """Things to do. `by` is the account that does it."""

    async def one(self, task_id: UUID) -> Task | None: ...
    async def add(self, new: NewTask, *, by: UUID | None) -> Task:
        """A task of a deal is also its contact's (or company's)."""

    async def of_client(self, client_id: UUID, *, limit: int = 500) -> Sequence[Task]:
        """At most so many open ones, by what is due first; then the last done. With those of merged entries."""

    async def of_deal(self, deal_id: UUID) -> Sequence[Task]: ...
    async def open_of(
        self, owner_id: UUID, *, until: datetime | None = None, limit: int = 50
    ) -> Sequence[Task]:
        """What a person has to do, overdue first; with `until` only what is due before it."""

    async def change(self, task: Task, *, by: UUID, seen: str | None = None) -> Task:
        """Store text, due date and owner. Raises ChangedMeanwhile unless its edit version is still `seen`."""

    async def done(self, task_id: UUID, *, done: bool, by: UUID) -> Task: ...


class Matching(Protocol):
    """Whose number is this?"""

    async def match(self, number: str) -> Match:
        """One indexed query. `number` is E.164 or as it came in."""

    async def teach(self, number: str, *, client_id: UUID, right: bool, by: UUID) -> None:
        """This number is (or is not) this client's; remembered for the next call."""


class BookNews(Protocol):
    """What is being changed, by anybody."""

    async def follow(self, hear: Callable[[str, UUID | None], None]) -> None:
        """Call `hear(what, which)` for each change; what is client, call, deal, missed, or `all` without a which: anything
        may have changed. Runs until cancelled.
        """


class Office(Protocol):
    """What is set for the whole office on its pages: one JSON value for each key."""

    async def get(self, key: str) -> Any | None: ...
    async def put(self, key: str, value: Any, *, by: UUID | None) -> None: ...

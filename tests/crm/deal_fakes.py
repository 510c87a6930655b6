"""Deals, pipelines and tasks of an office that has none: for tests of who may open what. The rest is tested on the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from call_records.crm.types import DealPage
from telephony.errors import PeerMistake


class FakeDeals:
    """No deal, no pipeline."""

    async def pipelines(self, *, archived: bool = False) -> Sequence[Any]:
        del archived
        return ()

    async def one(self, deal_id: UUID) -> None:
        del deal_id

    async def of_client(self, client_id: UUID, *, limit: int = 500) -> Sequence[Any]:
        del client_id, limit
        return ()

    async def page(self, *_asked: Any, **_more: Any) -> DealPage:
        return DealPage((), 0, ())

    async def list_ids(self, *_asked: Any, **_more: Any) -> Sequence[UUID]:
        return ()

    several = list_ids

    async def board(self, *_asked: Any, **_more: Any) -> Sequence[Any]:
        return ()

    async def loss_reason(self, deal_id: UUID) -> str:
        del deal_id
        return ""

    async def loss_reasons(self) -> Sequence[str]:
        return ()

    async def _missing(self, *_asked: Any, **_more: Any) -> Any:
        raise PeerMistake("There is no such deal any more.")

    add = change = move = remove = restore = more_of = set_loss_reason = _missing


class FakePipelines:
    """Nothing to look after."""

    async def counts(self) -> Mapping[UUID, int]:
        return {}

    async def _nothing(self, *_asked: Any, **_more: Any) -> Any:
        raise PeerMistake("There is no such pipeline any more.")

    add = rename = order = archive = add_stage = change_stage = order_stages = remove_stage = _nothing


class FakeTasks:
    """Nothing to do."""

    async def one(self, task_id: UUID) -> None:
        del task_id

    async def _none(self, *_asked: Any, **_more: Any) -> Sequence[Any]:
        return ()

    of_client = of_deal = open_of = _none

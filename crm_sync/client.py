"""One connection: runs an adapter's plans within budget and breakers, with credentials, and judges what came of it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn

from crm_sync.adapters.base import ConnectionSettings, CrmAdapter
from crm_sync.breaker import BreakerBoard
from crm_sync.budget import PRIORITIES, Budget, Priority
from crm_sync.exchange import (
    MASKED_CREDENTIALS,
    Answer,
    Credentials,
    Effect,
    Plan,
    Request,
    RequestFailed,
    T,
    TransportFailure,
    UnexpectedAnswer,
    Verdict,
)
from crm_sync.operations import DeliveryContext, Operation, OperationKind, get_phone_tail
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from crm_sync.ports import Clock, CredentialStore, NumberLocks, Transport
from crm_sync.retry import add_seconds
from crm_sync.tokens import TokenKeeper
from telephony.errors import NeedsPerson, SwitchhookError

LONGEST_BUDGET_WAIT_SECONDS = 20.0  # longer, and the lane is given back instead of being held
OPERATION_SECONDS = 240.0  # all requests of one operation; below the lane's lease
CREATES_PEOPLE = frozenset({OperationKind.CREATE_LEAD, OperationKind.CLOSE_CALL, OperationKind.OPEN_CALL})
"""Operations that may create somebody for a number, so one at a time per number."""


@dataclass(slots=True)
class Progress:
    """What the requests of one plan have done so far."""

    has_written: bool = False
    """A write was executed, or may have been."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What an operation would send: nothing was written."""

    requests: tuple[dict[str, Any], ...]
    """In order, secrets masked; the last one is the write, unless the plan ended before."""
    ending: str = ""
    """How it would end without a write."""


@dataclass(slots=True)
class CrmClient:
    """The client of one connection."""

    settings: ConnectionSettings
    adapter: CrmAdapter
    transport: Transport
    credentials: CredentialStore
    locks: NumberLocks
    clock: Clock
    breakers: BreakerBoard = field(default_factory=BreakerBoard)
    budget: Budget = field(init=False)
    tokens: TokenKeeper = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(self.adapter.capabilities.rate)
        self.tokens = TokenKeeper(self.settings.name, self.credentials, self._renew)

    async def deliver(self, operation: Operation, context: DeliveryContext) -> WriteResult:
        """Execute it. Never raises for what the CRM does."""
        if not self.adapter.capabilities.can_execute(operation.kind):
            return WriteResult(Outcome.SKIPPED, f"This connection has no {operation.kind}")
        progress = Progress()
        try:
            async with asyncio.timeout(OPERATION_SECONDS), AsyncExitStack() as stack:
                phone = operation.call.phone
                if phone and operation.kind in CREATES_PEOPLE:
                    tail = get_phone_tail(phone)
                    await stack.enter_async_context(self.locks.hold_number(self.settings.name, tail))
                plan = self.adapter.write(operation, context)
                return await self.run_plan(plan, get_priority(operation), progress)
        except RequestFailed as refused:
            return build_write_result(refused.verdict, progress)
        except SwitchhookError as failed:
            return build_write_result(Verdict(Outcome.NOT_SENT, str(failed)), progress)
        except TimeoutError:
            return build_write_result(Verdict(Outcome.NOT_SENT, "It took too long"), progress)
        except Exception as error:  # whatever a CRM's answer breaks, it delays nobody else's calls
            return build_write_result(Verdict(Outcome.NOT_SENT, describe_mistake(error)), progress)

    async def probe(self, operation: Operation, context: DeliveryContext) -> ProbeResult:
        """Look for it. Never raises for what the CRM does."""
        try:
            async with asyncio.timeout(OPERATION_SECONDS):
                return await self.run_plan(self.adapter.probe(operation, context), get_priority(operation))
        except RequestFailed as refused:
            return ProbeResult(Presence.UNCLEAR, refused.verdict.detail, retry_at=refused.verdict.retry_at)
        except SwitchhookError as failed:
            return ProbeResult(Presence.UNCLEAR, str(failed))
        except TimeoutError:
            return ProbeResult(Presence.UNCLEAR, "It took too long")
        except Exception as error:  # as above
            return ProbeResult(Presence.UNCLEAR, describe_mistake(error))

    async def preview(self, operation: Operation, context: DeliveryContext) -> Preview:
        """The exact requests (dry run): what only reads is executed, the write is shown. Raises RequestFailed."""
        if not self.adapter.capabilities.can_execute(operation.kind):
            return Preview((), f"This connection has no {operation.kind}")
        plan, shown = self.adapter.write(operation, context), []
        try:
            request = next(plan)
            while True:
                shown.append(self._show(request))
                if request.effect is Effect.WRITE:
                    plan.close()
                    return Preview(tuple(shown))
                request = plan.send(await self._request(request, Priority.INTERACTIVE, Progress()))
        except StopIteration as finished:
            result: WriteResult = finished.value
            return Preview(tuple(shown), result.detail or str(result.outcome))

    async def run_plan(self, plan: Plan[T], priority: Priority, progress: Progress | None = None) -> T:
        """Send what the plan yields until it returns. Raises RequestFailed, UnexpectedAnswer."""
        progress = progress or Progress()
        try:
            request = next(plan)
            while True:
                try:
                    answer = await self._request(request, priority, progress)
                except RequestFailed as failed:
                    request = plan.throw(failed)
                else:
                    request = plan.send(answer)
        except StopIteration as finished:
            value: T = finished.value
            return value
        finally:
            plan.close()

    def _show(self, request: Request) -> dict[str, Any]:
        return self.adapter.authorize(request, MASKED_CREDENTIALS, self.clock.now()).describe()

    def reset(self) -> None:
        """A person has changed something: try at once, with what is stored now."""
        self.breakers = BreakerBoard()
        self.tokens.forget_credentials()

    async def close(self) -> None:
        """Store what a renewal brings, before the process ends."""
        await self.tokens.close()

    async def _request(self, request: Request, priority: Priority, progress: Progress) -> Answer:
        credentials = await self._get_credentials(request)
        verdict = await self._exchange(request, credentials, priority, progress)
        if verdict.is_token_expired:
            credentials = await self._renew_for(request, credentials, verdict)
            verdict = await self._exchange(request, credentials, priority, progress)
        self._record_verdict(request, verdict)
        if verdict.outcome is not Outcome.DONE:
            raise RequestFailed(request, verdict)
        return Answer(verdict.data)

    async def _exchange(
        self, request: Request, credentials: Credentials, priority: Priority, progress: Progress
    ) -> Verdict:
        """One request and what its answer means; every failure of the transport is a verdict too."""
        await self._await_turn(request, priority)
        authorized = self.adapter.authorize(request, credentials, self.clock.now())
        is_write = request.effect is Effect.WRITE
        had_written = progress.has_written
        progress.has_written = had_written or is_write
        try:
            response = await self.transport.send_request(authorized)
            verdict = self.adapter.classify(request, response, self.clock.now())
            if verdict.outcome is Outcome.UNKNOWN:
                self.breakers.record_method_failure(self.clock.now(), request.method, verdict.detail)
        except TransportFailure as failure:
            self.breakers.record_transport_failure(self.clock.now(), request.method, str(failure))
            verdict = judge_failure(failure)
        if verdict.outcome is Outcome.UNKNOWN and not is_write:
            verdict = replace(verdict, outcome=Outcome.NOT_SENT)
        if verdict.outcome not in (Outcome.DONE, Outcome.UNKNOWN):
            progress.has_written = had_written
        return replace(verdict, detail=credentials.mask_in(verdict.detail))

    async def _await_turn(self, request: Request, priority: Priority) -> None:
        """Until budget and breaker allow it. Raises RequestFailed when that takes too long."""
        # The budget first: a breaker counts a request that it lets pass as its trial.
        while (wait := self.budget.take(priority, self.clock.now(), request.method)) > 0:
            if wait > LONGEST_BUDGET_WAIT_SECONDS:
                retry_at = add_seconds(self.clock.now(), wait)
                refuse_request(request, Outcome.THROTTLED, "The CRM's limit is used up", retry_at)
            await self.clock.sleep(wait)
        blocked_until = self.breakers.begin_request(self.clock.now(), request.method)
        if blocked_until is not None:
            reason = self.breakers.get_reason(request.method)
            refuse_request(request, Outcome.NOT_SENT, f"The CRM cannot be reached: {reason}", blocked_until)

    def _record_verdict(self, request: Request, verdict: Verdict) -> None:
        method = request.method
        match verdict.outcome:
            case Outcome.NEEDS_ADMIN:
                self._record_refusal(verdict.detail, method if verdict.is_about_method else None)
            case Outcome.DONE | Outcome.REJECTED | Outcome.DUPLICATE | Outcome.SKIPPED | Outcome.THROTTLED:
                self.breakers.record_answer(method)
            case Outcome.NOT_SENT | Outcome.UNKNOWN:
                pass  # recorded where it happened
        if verdict.retry_at is not None and verdict.outcome in (Outcome.DONE, Outcome.THROTTLED):
            about_method = verdict.is_about_method or verdict.outcome is Outcome.DONE
            self.budget.block(verdict.retry_at, method if about_method else None)

    def _record_refusal(self, reason: str, method: str | None = None) -> None:
        self.breakers.record_refusal(self.clock.now(), method, reason)
        if method is None:
            self.tokens.forget_credentials()

    async def _get_credentials(self, request: Request) -> Credentials:
        try:
            return await self.tokens.get_credentials()
        except NeedsPerson as missing:
            self._record_refusal(str(missing))
            refuse_request(request, Outcome.NEEDS_ADMIN, str(missing))

    async def _renew_for(self, request: Request, stale: Credentials, verdict: Verdict) -> Credentials:
        """Fresh credentials: the answer was a refusal, so nothing was executed. Raises RequestFailed."""
        try:
            return await self.tokens.renew_credentials(stale)
        except NeedsPerson as refused:
            self._record_refusal(str(refused))
            detail = stale.mask_in(f"{verdict.detail}. {refused}")
            refuse_request(request, Outcome.NEEDS_ADMIN, detail)
        except SwitchhookError as failed:
            refuse_request(request, Outcome.NOT_SENT, stale.mask_in(f"The token was not renewed: {failed}"))

    async def _renew(self, credentials: Credentials) -> Credentials:
        request = self.adapter.build_renewal(credentials)
        if request is None:
            raise NeedsPerson("The key is not accepted any more.", remedy="Enter a new key.")
        try:
            response = await self.transport.send_request(request)
            renewed = self.adapter.read_renewal(response, credentials, self.clock.now())
        except (TransportFailure, UnexpectedAnswer) as lost:
            spent = not isinstance(lost, TransportFailure) or lost.may_be_executed
            if spent and not self.adapter.capabilities.is_renewal_repeatable:
                raise NeedsPerson(
                    "The answer to a token renewal was lost, and the old token is spent.",
                    remedy="Connect the CRM again.",
                ) from lost
            raise
        return replace(renewed, revision=credentials.revision + 1)


def judge_failure(failure: TransportFailure) -> Verdict:
    """A failure of the transport as a verdict."""
    if failure.needs_person:
        return Verdict(Outcome.NEEDS_ADMIN, str(failure))
    return Verdict(Outcome.UNKNOWN if failure.may_be_executed else Outcome.NOT_SENT, str(failure))


def build_write_result(verdict: Verdict, progress: Progress) -> WriteResult:
    """What a failed plan means for its operation: once a write may have been executed, nobody knows."""
    outcome = Outcome.UNKNOWN if progress.has_written else verdict.outcome
    return WriteResult(outcome, verdict.detail, retry_at=verdict.retry_at)


def describe_mistake(error: Exception) -> str:
    """For the page; its text may be the CRM's and is left out."""
    return (
        f"The CRM's answer could not be worked with ({type(error).__name__}): please report it with a dry run"
    )


def get_priority(operation: Operation) -> Priority:
    """What goes first when the budget is short."""
    return Priority.BACKFILL if operation.call.is_backfill else PRIORITIES[operation.kind]


def refuse_request(
    request: Request, outcome: Outcome, detail: str, retry_at: datetime | None = None
) -> NoReturn:
    """The request did not leave."""
    raise RequestFailed(request, Verdict(outcome, detail, retry_at=retry_at))

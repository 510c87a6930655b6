"""The bench of the conformance kit: one connection to one peer, with everything between them, on a virtual clock.

Nothing here asks the adapter what it did: calls and recordings are counted at the peer.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from crm_sync.adapters import ADAPTERS
from crm_sync.adapters.base import CrmAdapter, RecordingTransfer
from crm_sync.client import CrmClient
from crm_sync.delivery import Delivery
from crm_sync.dispatcher import Dispatcher
from crm_sync.exchange import Request
from crm_sync.operations import CallLog, Operation, OperationKind
from crm_sync.states import DeliveryState
from tests.crm_sync.call_builder import make_operation
from tests.crm_sync.faults import Fault, FaultyTransport, Killed
from tests.crm_sync.memory import MemoryCredentialStore, MemoryDeliveryStore, MemoryNumberLocks, VirtualClock
from tests.crm_sync.peers import PEERS
from tests.crm_sync.peers.base import FakePeer

CALL_OPERATIONS = (OperationKind.OPEN_CALL, OperationKind.CLOSE_CALL, OperationKind.ATTACH_RECORDING)


@dataclass
class Bench:
    """One connection."""

    peer: FakePeer
    clock: VirtualClock
    transport: FaultyTransport
    credentials: MemoryCredentialStore
    store: MemoryDeliveryStore
    adapter: CrmAdapter
    client: CrmClient = field(init=False)
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A new process: nothing is left in memory but what was stored; the dead one's lease still runs."""
        self.store.is_cut_off = False
        self.transport.when_killed = self.cut_off
        self.client = self.make_client()
        self.dispatcher = Dispatcher(self.client, self.store, random.Random(7).random)

    def cut_off(self) -> None:
        """The process dies: it does not give its lane back."""
        self.store.is_cut_off = True

    def make_client(self) -> CrmClient:
        """Of another process, with the same stores."""
        locks = MemoryNumberLocks()
        return CrmClient(
            self.peer.settings, self.adapter, self.transport, self.credentials, locks, self.clock
        )

    async def add_call(self, call: CallLog, *kinds: OperationKind) -> None:
        """As the journal does: what this CRM can do, in order."""
        wanted = [kind for kind in kinds or CALL_OPERATIONS if self.adapter.capabilities.can_execute(kind)]
        now = self.clock.now()
        await self.store.add_deliveries(
            [
                Delivery("crm", make_operation(kind, call), call.leg * 10 + i, created_at=now, due_at=now)
                for i, kind in enumerate(wanted)
            ]
        )

    async def drain(self, steps: int = 3000) -> None:
        """Until nothing is due any more, whatever happens to the process meanwhile."""
        for _ in range(steps):
            try:
                if await self.dispatcher.work_once():
                    continue
            except Killed:
                self.start()
                continue
            next_at = self.store.find_next_due()
            if next_at is None:
                self.transport.finish_late()
                return
            breaker = self.client.breakers.connection
            if not breaker.is_passable(self.clock.now()) and breaker.retry_at is not None:
                next_at = max(next_at, breaker.retry_at)
            self.clock.advance_to(max(next_at, self.clock.now() + timedelta(milliseconds=1)))
        raise AssertionError(
            f"never at rest: {[d for d in self.store.list_deliveries() if not d.settled_at]}"
        )

    def list_unsent(self) -> list[Delivery]:
        """What did not arrive."""
        return [d for d in self.store.list_deliveries() if d.state is not DeliveryState.SENT]

    @property
    def has_recordings(self) -> bool:
        """Whether recordings reach this CRM at all."""
        return self.adapter.capabilities.recording is not RecordingTransfer.NONE


def make_bench(name: str, next_fault: Callable[[Request], Fault] | None = None) -> Bench:
    """A healthy peer, unless faults are given."""
    clock = VirtualClock()
    peer = PEERS[name](clock)
    transport = FaultyTransport(peer, clock)
    if next_fault is not None:
        transport.next_fault = next_fault
    adapter = ADAPTERS[peer.settings.kind](peer.settings)
    stored = MemoryCredentialStore(crm=peer.credentials)
    return Bench(peer, clock, transport, stored, MemoryDeliveryStore(), adapter)


def call_key(call: CallLog) -> str:
    """As CRMs store it."""
    return Operation(OperationKind.CLOSE_CALL, call).call_key

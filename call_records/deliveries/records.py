"""All that is kept of deliveries, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.deliveries.connections import ConnectionTable
from call_records.deliveries.credentials import CredentialTable
from call_records.deliveries.holds import HoldTable
from call_records.deliveries.lanes import LaneTable
from call_records.deliveries.planning import PlanningTable


@dataclass(slots=True)
class DeliveryRecords:
    """Of one database."""

    engine: AsyncEngine
    connections: ConnectionTable = field(init=False)
    credentials: CredentialTable = field(init=False)
    holds: HoldTable = field(init=False)
    lanes: LaneTable = field(init=False)
    planning: PlanningTable = field(init=False)

    def __post_init__(self) -> None:
        self.connections = ConnectionTable(self.engine)
        self.credentials = CredentialTable(self.engine)
        self.holds = HoldTable(self.engine)
        self.lanes = LaneTable(self.engine)
        self.planning = PlanningTable(self.engine)

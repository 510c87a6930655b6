"""What /metrics tells of CRM sync."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from switchhook.crm.sync import WORKING, CrmSync


class CrmMeters(Collector):
    """Read from what the service saved last; nothing is asked when somebody looks."""

    def __init__(self, sync: CrmSync) -> None:
        self._sync = sync

    def collect(self) -> Iterator[Metric]:
        """Everything, as it was a moment ago."""
        up = GaugeMetricFamily("switchhook_crm_working", "1 while calls are delivered", labels=["connection"])
        waiting = GaugeMetricFamily(
            "switchhook_crm_waiting", "Deliveries on their way", labels=["connection"]
        )
        failed = GaugeMetricFamily(
            "switchhook_crm_failed", "Deliveries that need a person's decision", labels=["connection"]
        )
        last = GaugeMetricFamily(
            "switchhook_crm_last_success_seconds",
            "When the last one arrived (Unix time)",
            labels=["connection"],
        )
        for status in self._sync.statuses:
            name = [status.name]
            up.add_metric(name, float(status.state == WORKING))
            waiting.add_metric(name, status.waiting)
            failed.add_metric(name, status.failed)
            if status.last_success_at is not None:
                last.add_metric(name, status.last_success_at.timestamp())
        yield from (up, waiting, failed, last)
        yield CounterMetricFamily(
            "switchhook_crm_mistakes", "Parts of CRM sync that broke: a mistake of ours", self._sync.mistakes
        )
        yield CounterMetricFamily(
            "switchhook_crm_unplanned",
            "Calls that could not be planned: a mistake of ours",
            self._sync.store.deliveries.planning.failures,
        )

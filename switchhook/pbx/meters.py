"""What the bridge side counts, read when somebody asks: nothing is counted twice and nothing in the hot path waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ami_bridge.observer import Observer
from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.recordings.ingest.intake import Intake
from switchhook.pbx.monitor import Bridge

PER_PBX: tuple[tuple[str, str, str], ...] = (
    ("switchhook_ami_events", "counter", "AMI messages read and believed"),
    ("switchhook_ami_logins", "counter", "Logins to the manager interface"),
    ("switchhook_ami_losses", "counter", "Links that were lost"),
    ("switchhook_ami_overflows", "counter", "Links dropped because Switchhook could not keep up"),
    ("switchhook_ami_quarantined", "counter", "Blocks put aside as malformed or forged"),
    ("switchhook_messages_indigestible", "counter", "Messages that broke the teller: a mistake of ours"),
    ("switchhook_calls_swept", "counter", "Calls told or corrected from CEL by the sweep"),
    ("switchhook_cel_failures", "counter", "Readings of the channel event log that failed"),
    ("switchhook_ami_connected", "gauge", "1 while the link is up"),
    ("switchhook_ami_lag_seconds", "gauge", "How far behind the PBX's news are"),
    ("switchhook_ami_queue_items", "gauge", "Items read from the PBX that are not worked through yet"),
    ("switchhook_ami_clock_skew_seconds", "gauge", "The PBX's clock minus ours"),
    ("switchhook_ami_clock_steps", "counter", "Times the PBX's clock or ours was set while we watched"),
    ("switchhook_ami_blind", "gauge", "Kinds of events that the PBX certainly does not send us"),
    ("switchhook_ami_snapshots_again", "counter", "Snapshots within a link, because something was in doubt"),
    ("switchhook_calls_tracked", "gauge", "Calls that have not ended"),
)
"""Name, kind and meaning of what is told per PBX."""


def _of_bridge(bridge: Bridge) -> Mapping[str, float]:
    observer = bridge.feed
    if not isinstance(observer, Observer):
        return {}  # recorded calls: nothing is read from a PBX
    counters = observer.counters
    link = observer.link_state()
    return {
        "switchhook_ami_events": counters.observed,
        "switchhook_ami_logins": counters.logins,
        "switchhook_ami_losses": counters.losses,
        "switchhook_ami_overflows": counters.overflows,
        "switchhook_ami_quarantined": sum(observer.quarantine.counts.values()),
        "switchhook_messages_indigestible": bridge.indigestible,
        "switchhook_calls_swept": bridge.swept,
        "switchhook_cel_failures": bridge.cel_failures,
        "switchhook_ami_connected": float(link.connected),
        "switchhook_ami_lag_seconds": link.lag_seconds,
        "switchhook_ami_queue_items": observer.queued,
        "switchhook_ami_clock_skew_seconds": observer.pbx_clock.skew_seconds,
        "switchhook_ami_clock_steps": observer.pbx_clock.steps_seen,
        "switchhook_ami_blind": len(observer.comparison.missing),
        "switchhook_ami_snapshots_again": counters.snapshots_asked_again,
        "switchhook_calls_tracked": len(bridge.teller.tracker.live()),
    }


class ServiceMeters(Collector):
    """Registered with the pages' registry, so that /metrics tells it."""

    def __init__(
        self,
        bridges: Mapping[str, Bridge],
        spool: SpoolingJournal | None,
        board: LiveBoard,
        intake: Intake | None = None,
    ) -> None:
        self._bridges = bridges
        self._spool = spool
        self._board = board
        self._intake = intake

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        values = {pbx: _of_bridge(bridge) for pbx, bridge in self._bridges.items()}
        for name, kind, meaning in PER_PBX:
            family = _family(kind)(name, meaning, labels=["pbx"])
            for pbx, of_pbx in values.items():
                family.add_metric([pbx], of_pbx[name])
            yield family
        yield GaugeMetricFamily("switchhook_calls_live", "Calls on the live page", len(self._board.calls()))
        if self._spool is not None:
            yield from _of_spool(self._spool)
        if self._intake is not None:
            yield from _of_intake(self._intake)


def _family(kind: str) -> Any:  # two classes of one shape and no common type
    return CounterMetricFamily if kind == "counter" else GaugeMetricFamily


def _of_spool(spool: SpoolingJournal) -> Iterator[Metric]:
    state = spool.state()
    yield GaugeMetricFamily("switchhook_spool_waiting", "Changes the journal has not taken", state.waiting)
    yield GaugeMetricFamily(
        "switchhook_spool_oldest_seconds", "How long the first of them has waited", state.oldest_seconds
    )
    yield CounterMetricFamily(
        "switchhook_spool_lost", "Changes given up for want of room", state.lost_changes
    )
    yield CounterMetricFamily("switchhook_spool_rejected", "Changes the journal refused", state.rejected)


OF_THIS_MOMENT = frozenset({"waiting", "left_alone", "unreadable"})
"""What the intake counts that may fall again."""


def _of_intake(intake: Intake) -> Iterator[Metric]:
    fates = CounterMetricFamily(
        "switchhook_recordings_fates", "What became of recordings taken in", labels=["fate"]
    )
    now = GaugeMetricFamily(
        "switchhook_recordings_spool", "Recordings in the spool directories now", labels=["state"]
    )
    for name, value in asdict(intake.counts()).items():
        (now if name in OF_THIS_MOMENT else fates).add_metric([name], value)
    yield from (fates, now)

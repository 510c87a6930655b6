"""What the web part counts. The registry is passed in, so that a test or a second application has its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class WebMetrics:
    """Counters of the web part; names begin with `switchhook_web_`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.streams = Gauge("switchhook_web_live_streams", "Live streams open now", registry=self.registry)
        self.changes = Counter(
            "switchhook_web_live_changes", "Changes passed on to live streams", registry=self.registry
        )
        self.dropped = Counter(
            "switchhook_web_live_dropped",
            "Live streams dropped because their reader was too slow",
            registry=self.registry,
        )
        self.fan_out = Histogram(
            "switchhook_web_fan_out_seconds",
            "Time to hand one change to every live stream",
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
            registry=self.registry,
        )
        self.sign_ins = Counter(
            "switchhook_web_sign_ins", "Sign-ins by result", ["result"], registry=self.registry
        )

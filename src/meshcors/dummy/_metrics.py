"""The pod's numbers as Prometheus metrics; this needs prometheus-client (extra ``dummy``).

Labels are bounded: reasons and results, never an origin, a path or a header of a request.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from meshcors.dummy import _counters as counted
from meshcors.dummy._state import PodState

# Counters: name, help, the label and the slot of each of its values.
_COUNTERS: Final = (
    ("meshcors_preflights", "Preflights by the browser's verdict.", "reason", counted.PREFLIGHTS),
    (
        "meshcors_requests",
        "Real requests that no route sent to a service.",
        "reason",
        counted.REQUESTS,
    ),
    ("meshcors_config_reloads", "Reloads of the configuration.", "result", counted.RELOADS),
)
# The buckets that are shown, in bits: from 2**9 ns, about half a microsecond, to about 0.5 s.
_SHOWN_BUCKETS: Final = range(9, 30)


def render(state: PodState, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, for a request's `accept` field."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(state))
    ProcessCollector(registry=registry)
    try:
        encode, content_type = choose_encoder(accept)
    except Exception:
        # It does not expect every `accept` that a client may send.
        encode, content_type = choose_encoder("")
    return encode(registry), content_type


class _Numbers(Collector):
    def __init__(self, state: PodState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; called by the registry."""
        count = self._state.counters.total
        for name, what, label, slots in _COUNTERS:
            counter = CounterMetricFamily(name, what, labels=[label])
            for label_value, total in self._state.counters.totals(slots).items():
                counter.add_metric([label_value], total)
            yield counter
        left_out = "Refused requests without a log line."
        yield CounterMetricFamily(
            "meshcors_refusals_left_out_of_log", left_out, count(counted.LEFT_OUT)
        )
        yield self._preflight_seconds()
        good = "Whether the configuration was good when it was last read."
        since = "When a good configuration was last read."
        for name, what, value in (
            ("ready", "Whether new connections are accepted.", self._state.is_ready),
            ("config_last_reload_successful", good, not count(counted.FAILED_AT)),
            ("config_last_reload_success_timestamp_seconds", since, count(counted.READ_AT)),
        ):
            yield GaugeMetricFamily(f"meshcors_{name}", what, value)
        fingerprint = self._state.configuration.fingerprint
        yield _info("meshcors_policy_info", "The active configuration.", hash=fingerprint)
        build = {"version": version("meshcors"), "python": platform.python_version()}
        yield _info("meshcors_build_info", "The version of meshcors and of Python.", **build)

    def _preflight_seconds(self) -> Metric:
        slots = range(counted.HISTOGRAM, counted.HISTOGRAM + counted.BUCKETS)
        counts = list(accumulate(map(self._state.counters.total, slots)))
        shown = [(repr(2**n / 1e9), counts[n]) for n in _SHOWN_BUCKETS]
        return HistogramMetricFamily(
            "meshcors_preflight_seconds",
            "Time that the pod takes to decide on a preflight.",
            buckets=[*shown, ("+Inf", counts[-1])],
            sum_value=self._state.counters.total(counted.NANOSECONDS) / 1e9,
        )


def _info(name: str, what: str, **labels: str) -> Metric:
    """Return a gauge that is always 1; its labels carry the information."""
    gauge = GaugeMetricFamily(name, what, labels=list(labels))
    gauge.add_metric(list(labels.values()), 1)
    return gauge

"""The pod's numbers as Prometheus metrics; they need prometheus-client (extra ``dummy``).

Labels are bounded: reasons and results, never an origin, a path or a header of a request.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import Any, Final

from meshcors.dummy._counters import (
    BUCKETS,
    HISTOGRAM,
    LEFT_OUT,
    NANOSECONDS,
    PREFLIGHTS,
    RELOADS,
    REQUESTS,
)
from meshcors.dummy._state import PodState

# Counters: name, help, the label and the slot of each of its values.
_COUNTERS: Final = (
    ("meshcors_preflights", "Preflights by the browser's verdict.", "reason", PREFLIGHTS),
    ("meshcors_requests", "Real requests that no route sent to a service.", "reason", REQUESTS),
    ("meshcors_config_reloads", "Reloads of the configuration.", "result", RELOADS),
)
# The buckets that are shown, in bits: from 2**9 ns, about half a microsecond, to about 0.5 s.
_SHOWN_BUCKETS: Final = range(9, 30)


class MetricsMissingError(Exception):
    """prometheus-client is not installed; the text says what to install."""


class Metrics:
    """Makes the page of metrics from a pod's `state`, each time it is asked for."""

    def __init__(self, state: PodState) -> None:
        self._state = state

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their content type, for a request's `accept` field.

        Raises `MetricsMissingError`.
        """
        # Imported late: it takes memory, which a pod that nobody scrapes can do without.
        try:
            from prometheus_client.exposition import choose_encoder
        except ModuleNotFoundError:
            hint = "metrics need prometheus-client: python -m pip install 'meshcors[dummy]'"
            raise MetricsMissingError(hint) from None
        try:
            encode, content_type = choose_encoder(accept)
        except Exception:
            # It does not expect every `accept` that a client may send.
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type

    @cached_property
    def _registry(self) -> Any:
        from prometheus_client import CollectorRegistry, ProcessCollector

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return registry

    def collect(self) -> Iterator[Any]:
        """Yield the metrics; called by the registry."""
        yield from self._counters()
        yield self._preflight_seconds()
        yield _gauge(
            "meshcors_ready", "Whether new connections are accepted.", self._state.is_ready
        )
        fingerprint = self._state.configuration.fingerprint
        yield _info("meshcors_policy_info", "The active configuration.", hash=fingerprint)
        import platform
        from importlib.metadata import version

        build = {"version": version("meshcors"), "python": platform.python_version()}
        yield _info("meshcors_build_info", "The version of meshcors and of Python.", **build)

    def _counters(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily

        counters = self._state.counters
        for name, what, label, slots in _COUNTERS:
            counter = CounterMetricFamily(name, what, labels=[label])
            for value, total in counters.totals(slots).items():
                counter.add_metric([value], total)
            yield counter
        yield CounterMetricFamily(
            "meshcors_refusals_left_out_of_log",
            "Refused requests without a log line.",
            value=counters.total(LEFT_OUT),
        )

    def _preflight_seconds(self) -> Any:
        from prometheus_client.core import HistogramMetricFamily

        counters = self._state.counters
        counts = list(accumulate(counters.total(HISTOGRAM + n) for n in range(BUCKETS)))
        return HistogramMetricFamily(
            "meshcors_preflight_seconds",
            "Time that the pod takes to decide on a preflight.",
            buckets=[
                *((repr(2**n / 1e9), counts[n]) for n in _SHOWN_BUCKETS),
                ("+Inf", counts[-1]),
            ],
            sum_value=counters.total(NANOSECONDS) / 1e9,
        )


def _gauge(name: str, what: str, value: float) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, what, value=value)


def _info(name: str, what: str, **labels: str) -> Any:
    """Return a gauge that is always 1; its labels carry the information."""
    from prometheus_client.core import GaugeMetricFamily

    gauge = GaugeMetricFamily(name, what, labels=list(labels))
    gauge.add_metric(list(labels.values()), 1)
    return gauge

"""The pod's numbers as Prometheus reads them; the exposition needs the extra ``dummy``.

Labels are bounded: reasons and results, never an origin, a path or a header of a request.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import version
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
from meshcors.dummy._live import Live

# The smallest bucket that is shown: 2**12 ns, some 4 microseconds; the largest, some 0.5 s.
_SHOWN: Final = range(12, 30)


class MetricsMissingError(Exception):
    """prometheus-client is not there; the text says what to install."""


class Metrics:
    """Makes the page of metrics from the numbers of `live`, when it is asked for."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics and their content type, for a request's `accept` field.

        Raises `MetricsMissingError`.
        """
        # Imported late: it takes memory that a pod nobody scrapes can do without.
        try:
            from prometheus_client.exposition import choose_encoder
        except ModuleNotFoundError:
            hint = "metrics need prometheus-client: python -m pip install 'meshcors[dummy]'"
            raise MetricsMissingError(hint) from None
        encode, content_type = choose_encoder(accept)
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
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        live, board = self._live, self._live.board
        for name, what, label, slots in (
            (
                "meshcors_preflights",
                "Preflights by what a browser makes of them.",
                "reason",
                PREFLIGHTS,
            ),
            ("meshcors_requests", "Real requests that found no service.", "reason", REQUESTS),
            ("meshcors_config_reloads", "Reloads of the configuration.", "result", RELOADS),
        ):
            counter = CounterMetricFamily(name, what, labels=[label])
            for value, total in board.totals(slots).items():
                counter.add_metric([value], total)
            yield counter

        counts = list(accumulate(board.total(HISTOGRAM + n) for n in range(BUCKETS)))
        yield HistogramMetricFamily(
            "meshcors_preflight_seconds",
            "Time from a preflight's head to its answer's last byte, in the pod.",
            buckets=[
                *((repr(2**n / 1e9), counts[n]) for n in _SHOWN),
                ("+Inf", counts[-1]),
            ],
            sum_value=board.total(NANOSECONDS) / 1e9,
        )
        yield CounterMetricFamily(
            "meshcors_refusals_left_out_of_log",
            "Refusals without a log line of their own.",
            value=board.total(LEFT_OUT),
        )
        ready = GaugeMetricFamily("meshcors_ready", "Whether new connections are welcome.")
        ready.add_metric([], live.is_ready)
        yield ready
        policy = GaugeMetricFamily(
            "meshcors_policy_info", "The configuration that serves.", labels=["hash"]
        )
        policy.add_metric([live.configuration.fingerprint], 1)
        yield policy
        build = GaugeMetricFamily(
            "meshcors_build_info", "The software that serves.", labels=["version", "python"]
        )
        build.add_metric([version("meshcors"), platform.python_version()], 1)
        yield build

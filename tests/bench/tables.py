"""What a benchmark has found, as plain data: nothing here measures, prints or draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True)
class Figure:
    """The median of several rounds, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        found = list(values)
        if len(found) == 1:
            found *= 2
        low, _, high = quantiles(found, n=4, method="inclusive")
        return cls(median(found), low, high)

    @property
    def is_noise(self) -> bool:
        """Tell whether a quartile is below zero: nothing takes so little, so it is the noise."""
        return self.low < 0


@dataclass(frozen=True)
class Row:
    """One thing that was measured; `bound` is the most that its ratio, or else its value, may be.

    Rows of one `group` have one unit and are compared with each other.
    """

    name: str
    value: Figure
    unit: str
    ratio: Figure | None = None
    bound: float | None = None
    group: str = ""

    @property
    def bounded(self) -> Figure:
        """Return the figure that the bound is for."""
        return self.ratio or self.value


@dataclass(frozen=True)
class Table:
    """The rows of one comparison.

    The rows whose names begin with `ours` are those of meshcors; `ratio` says what the ratios are.
    """

    key: str
    title: str
    value: str
    ratio: str
    rows: Sequence[Row]
    ours: str = ""
    notes: Sequence[str] = ()

    def is_ours(self, row: Row) -> bool:
        return bool(self.ours) and row.name.startswith(self.ours)

    def ahead(self) -> Iterator[tuple[Row, float]]:
        """Yield the rows that took less than a row of meshcors, and the ratio of that to them.

        It is the row's own, unless the table's ratios are others; then it is that of the medians.
        Of what is too close to measure, nobody can say that it took less.
        """
        for row in self.rows:
            of_group = [each for each in self.rows if each.group == row.group]
            ours = [each.value.median for each in of_group if self.is_ours(each)]
            if not ours or self.is_ours(row) or row.value.is_noise:
                continue
            if row.ratio and self.ratio.endswith("/ it"):
                times = 0 if row.ratio.is_noise else row.ratio.median
            else:
                times = max(ours) / row.value.median
            if times > 1:
                yield row, times


@dataclass(frozen=True)
class Report:
    """The tables of one run, the machine, and the versions of what was compared."""

    machine: str
    versions: str
    tables: Sequence[Table]


def as_json(report: Report) -> dict[str, Any]:
    return asdict(report)


def from_json(found: dict[str, Any]) -> Report:
    tables = [
        Table(**{**table, "rows": [_row(row) for row in table["rows"]]})
        for table in found["tables"]
    ]
    return Report(found["machine"], found["versions"], tables)


def _row(found: dict[str, Any]) -> Row:
    ratio = found["ratio"] and Figure(**found["ratio"])
    return Row(**{**found, "value": Figure(**found["value"]), "ratio": ratio})

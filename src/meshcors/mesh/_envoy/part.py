"""One object of a configuration, read field by field: what is not understood becomes a doubt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._envoy.json_objects import JsonObject
from meshcors.mesh._routing.doubts import Doubt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshcors._policy.place import Place
    from meshcors.mesh._envoy.json_objects import Source

# What Envoy's admin page and istioctl write in the place of a secret.
REDACTED: Final = "[redacted]"
_DENOMINATORS: Final[dict[str, int]] = {
    "HUNDRED": 100,
    "TEN_THOUSAND": 10_000,
    "MILLION": 1_000_000,
}


@dataclass(frozen=True, eq=False)
class Part:
    """An object of a configuration with its path; parts of one scope share their ``doubts``."""

    data: JsonObject
    path: str
    source: Source
    doubts: list[Doubt] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """The place of the object's first character."""
        return self.source.place(self.data)

    def scope(self) -> Part:
        """Return the same object with doubts of its own."""
        return Part(self.data, self.path, self.source)

    def doubt(self, name: str, reason: str) -> None:
        """Note that a field is not understood."""
        before, mark, after = self._inner(name).partition("virtual_hosts[")
        path = f"{mark}{after}" if mark else before
        self.doubts.append(Doubt(self.place, path or "the configuration", reason))

    def has(self, name: str) -> bool:
        """Tell whether a field is set."""
        return self.data.get(name) is not None

    def only(self, known: Iterable[str]) -> None:
        """Doubt every field that is not ``known``."""
        for name in self.data.keys() - set(known):
            if self.data[name] is not None:
                self.doubt(name, "is not modelled")

    def child(self, name: str) -> Part | None:
        """Return the object in a field; None if there is none."""
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, JsonObject):
            return Part(value, self._inner(name), self.source, self.doubts)
        self.doubt(name, "must be an object")
        return None

    def children(self, name: str) -> Iterator[Part]:
        """Yield the objects of a list."""
        for at, value in enumerate(self._list(name)):
            if isinstance(value, JsonObject):
                path = f"{self._inner(name)}[{at}]"
                yield Part(value, path, self.source, self.doubts)
            else:
                self.doubt(f"{name}[{at}]", "must be an object")

    def texts(self, name: str) -> list[str]:
        """Read a list of strings."""
        found = self._list(name)
        texts = [value for value in found if isinstance(value, str) and value != REDACTED]
        if len(texts) < len(found):
            self.doubt(name, "is not a list of readable strings")
        return texts

    def text(self, name: str) -> str:
        """Read a string; empty if it is not set."""
        value = self.data.get(name)
        if isinstance(value, str) and value != REDACTED:
            return value
        if value is not None:
            self.doubt(name, "is redacted" if value == REDACTED else "must be a string")
        return ""

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read a boolean."""
        value = self.data.get(name)
        if isinstance(value, bool):
            return value
        if value is not None:
            self.doubt(name, "must be true or false")
        return default

    def number(self, name: str, default: int = 0) -> int:
        """Read a whole number, which protobuf's JSON may have in quotes."""
        value = self.data.get(name)
        if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if value is not None:
            self.doubt(name, "must be a whole number")
        return default

    def choice(self, name: str, values: tuple[str, ...]) -> str:
        """Read an enum, which protobuf's JSON may have as a number; the default is the first."""
        value = self.data.get(name)
        if value is None:
            return values[0]
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(values):
            return values[value]
        if isinstance(value, str) and value in values:
            return value
        self.doubt(name, "has a value that is not modelled")
        return values[0]

    def fraction(self, name: str) -> float | None:
        """Read a RuntimeFractionalPercent: its default value, from 0 to 1; None if not set."""
        outer = self.child(name)
        if outer is None:
            return None
        percent = outer.child("default_value")
        if percent is None:
            outer.doubt("default_value", "is not set: the runtime decides")
            return 1.0
        whole = _DENOMINATORS[percent.choice("denominator", tuple(_DENOMINATORS))]
        return max(0.0, min(1.0, percent.number("numerator") / whole))

    def type_name(self) -> str:
        """Return the last part of ``@type``, such as ``CorsPolicy``."""
        value: Any = self.data.get("@type")
        return value.rpartition(".")[2] if isinstance(value, str) else ""

    def _list(self, name: str) -> list[Any]:
        value = self.data.get(name)
        if isinstance(value, list):
            return value
        if value is not None:
            self.doubt(name, "must be a list")
        return []

    def _inner(self, name: str) -> str:
        return ".".join(filter(None, (self.path, name)))

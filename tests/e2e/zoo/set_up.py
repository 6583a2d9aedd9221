"""What a set-up of the zoo is."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Verdict: TypeAlias = Literal["works", "blocked", "unknown"]
UI = "https://ui.example"
KEY = "model-api-key: xyz"
JSON = "content-type: application/json"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A page's call; ``headers`` are those that the script sets."""

    method: str = "POST"
    path: str = "/v1/predict"
    headers: tuple[str, ...] = (JSON, KEY)
    credentials: bool = False
    data: str = "{}"
    scheme: str = "http"
    host: str = "127.0.0.1"
    origin: str = UI
    options: tuple[str, ...] = ()

    @property
    def secrets(self) -> list[str]:
        """What no output may show: values of headers, without their schemes."""
        values = [each.partition(": ")[2].rpartition(" ")[2] for each in self.headers]
        return [value for value in values if value != "application/json" and len(value) > 2]

    def arguments(self, port: int) -> list[str]:
        """The words of doctor's command line for this call."""
        words = [f"{self.scheme}://{self.host}:{port}{self.path}", "--origin", self.origin]
        words += [option.format(port=port) for option in self.options]
        words += ["--method", self.method]
        for header in self.headers:
            words += ["--header", header]
        if self.credentials:
            words.append("--credentials")
        if self.data and self.method != "GET":
            words += ["--data", self.data]
        return words


GET = Call(method="GET", path="/v1/models", headers=(KEY,))
LOGGED_IN = Call(credentials=True)


@dataclass(frozen=True)
class Change:
    """A line of configuration: ``new`` is what doctor prints, in the place of ``old``."""

    old: str
    new: str

    def apply(self, config: str) -> str:
        """Return the configuration with the change."""
        assert self.old in config, f"{self.old}\n{config}"
        return config.replace(self.old, self.new)


@dataclass(frozen=True)
class Insert:
    """A line of configuration: ``new`` is what doctor prints.

    It goes before the line that begins with ``before``, with ``begin`` and ``end`` around it where
    the language wants them.
    """

    new: str
    before: str
    begin: str = ""
    end: str = ""

    def apply(self, config: str) -> str:
        """Return the configuration with the line; it must have exactly one such place."""
        places = re.findall(f"^ *(?={re.escape(self.before)})", config, re.MULTILINE)
        assert len(places) == 1, f"{len(places)} times: {self.before}\n{config}"
        (indent,) = places
        old = f"{indent}{self.before}"
        return config.replace(old, f"{indent}{self.begin}{self.new}{self.end}\n{old}")


@dataclass(frozen=True)
class Command:
    """A command that doctor prints, for the documents in ``FILE``; it writes them anew.

    ``more`` is what the command itself asks for.
    """

    new: str
    more: tuple[str, ...] = ()

    def words(self, file: str) -> list[str]:
        """Its arguments for documents in ``file``."""
        return [file if word == "FILE" else word for word in shlex.split(self.new)[1:]]


@dataclass(frozen=True)
class InService:
    """A line for the app of a service: ``new`` is what doctor prints, around the ``service``.

    ``name`` is that of the service with the line.
    """

    new: str
    service: str
    name: str

    def apply(self, config: str) -> str:
        """Return documents that route to the service with the line."""
        return Change(f"host: {self.service},", f"host: {self.name},").apply(config)


@dataclass(frozen=True)
class PodFlags:
    """Flags for the pod: ``new`` is what doctor prints, and ``name`` the pod that has them too."""

    new: str
    name: str

    def apply(self, config: str) -> str:
        """Return documents that route to the pod with the flags."""
        return Change("host: meshcors-dummy,", f"host: {self.name},").apply(config)


@dataclass(frozen=True)
class Option:
    """An option of doctor itself, which makes it look past a fault that it cannot repair."""

    new: str


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """A configuration, a page's call, and what doctor must say.

    ``layer`` is that of the findings, and in a healthy set-up the one that answers the preflight.
    ``codes`` are all errors and warnings, and the notes that must be there. ``fix`` is None where
    no line of configuration is the fix.
    """

    name: str
    config: str
    layer: str
    codes: frozenset[str] = field(default_factory=frozenset)
    verdict: Verdict = "blocked"
    call: Call = field(default_factory=Call)
    fix: Change | Insert | Command | InService | PodFlags | Option | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether doctor must find nothing."""
        return not self.codes

    @property
    def id(self) -> str:
        """The name, as a part of a test's id."""
        return re.sub(r"[^a-z0-9*]+", "-", self.name.lower()).strip("-")


def codes(*names: str) -> frozenset[str]:
    return frozenset(names)


def fixed(name: str) -> str:
    """The name of a set-up after its fix."""
    return f"{name}, fixed"


def filled(config: str, values: Mapping[str, object]) -> str:
    """Put values in the places of ``@name@``."""
    return re.sub("@([a-z_]+)@", lambda found: str(values[found[1]]), config)


def by_name(set_ups: Sequence[SetUp]) -> dict[str, str]:
    """The configuration of each set-up by its name, without and with its change of a line."""
    texts: dict[str, str] = {}
    for each in set_ups:
        assert each.name not in texts, each.name
        texts[each.name] = each.config
        if isinstance(each.fix, Change | Insert | InService | PodFlags):
            texts[fixed(each.name)] = each.fix.apply(each.config)
    return texts

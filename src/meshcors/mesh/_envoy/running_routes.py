"""Route configurations and the listeners that use them, in one file or in several, to documents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from meshcors._policy.place import Place
from meshcors.mesh._documents.problems import DocumentProblem
from meshcors.mesh._envoy.connections import SCOPES, read_managers
from meshcors.mesh._envoy.json_objects import JsonObject
from meshcors.mesh._envoy.route_tables import TableReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshcors.mesh._envoy.connections import Manager
    from meshcors.mesh._envoy.part import Part
    from meshcors.mesh._routing.running import RunningRoutes

_BOOTSTRAP: Final = "bootstrap"
_STATIC: Final = "static_route_configs"
_ROUTES: Final = "istioctl proxy-config routes POD -o json"
_DUMP: Final = "kubectl exec POD -- pilot-agent request GET config_dump"


@dataclass
class EnvoyFile:
    """What one file holds. A file that ``is_json`` has no comments."""

    file: str
    is_json: bool
    is_static: bool
    configs: list[Part] = field(default_factory=list)
    listeners: list[Part] = field(default_factory=list)

    @cached_property
    def managers(self) -> list[Manager]:
        """The connection managers of the listeners."""
        return [each for listener in _once(self.listeners) for each in read_managers(listener)]

    @cached_property
    def by_name(self) -> dict[str, Part]:
        """The route configurations by name; what the proxy itself serves comes last."""
        found: dict[str, Part] = {}
        for config in sorted(self.configs, key=lambda each: _STATIC in each.path):
            found.setdefault(config.scope().text("name"), config)
        return found

    @cached_property
    def wanted(self) -> dict[str, list[Manager]]:
        """The managers whose routes are in no route configuration of this file, by its name."""
        found: dict[str, list[Manager]] = {}
        for each in self.managers:
            if each.route_config is None and each.route_name not in {"", *self.by_name}:
                found.setdefault(each.route_name, []).append(each)
        return found


def running_routes(
    files: Sequence[EnvoyFile],
) -> tuple[list[RunningRoutes], list[DocumentProblem]]:
    """Return the routes of files as documents, and a problem for each file that adds nothing.

    A listener and the routes that it names may be in two files, as ``istioctl proxy-config`` prints
    them.
    """
    documents: list[RunningRoutes] = []
    problems: list[DocumentProblem] = []
    for each in files:
        others = [other for other in files if other is not each]
        documents += _documents(each, others)
        if problem := _problem(each, others):
            problems.append(problem)
    return documents, problems


def _problem(file: EnvoyFile, others: Sequence[EnvoyFile]) -> DocumentProblem | None:
    """Say why a file has none of the gateway's routes; None if it has, or belongs to one."""
    has_own = any(each.route_config is not None for each in file.managers)
    if file.configs or (has_own and (file.is_static or not file.wanted)):
        return None
    elsewhere = {name for other in others for name in other.by_name}
    if not file.listeners:
        message = "this Envoy configuration has no routes"
        hint = "leave it out" if elsewhere else f"pass the routes too: {_DUMP}"
    elif not elsewhere:
        message, hint = "this file has listeners only", f"pass the routes too: {_ROUTES}"
    elif file.wanted and elsewhere.isdisjoint(file.wanted):
        named = ", ".join(file.wanted)
        message = f"no file has the routes that these listeners name: {named}"
        hint = f"pass the routes of the same pod: {_ROUTES}"
    else:
        return None
    return DocumentProblem(Place(file.file, 1, 1), "no_routes", "", message, hint)


def _documents(file: EnvoyFile, others: Sequence[EnvoyFile]) -> Iterator[RunningRoutes]:
    """Yield a document for each use of a route configuration, and for those without a listener."""
    own = {manager.route_name for manager in file.managers}
    lent = [
        manager
        for other in others
        for name, managers in other.wanted.items()
        if name in file.by_name and name not in own
        for manager in managers
    ]
    # in the order in which browsers come: through TLS first
    managers = sorted([*file.managers, *lent], key=lambda each: not each.connection.is_encrypted)
    # what the proxy itself serves, such as its metrics, comes last
    configs = sorted(file.configs, key=lambda each: _STATIC in each.path)
    inline = [manager.route_config for manager in managers if manager.route_config is not None]
    taken: set[str] = set()
    used: set[int] = {id(each.data) for each in configs if _is_copy(each, inline)}
    found: list[RunningRoutes] = []
    for config, manager in _uses(managers, file.by_name):
        used.add(id(config.data))
        name = _name(config, manager, taken)
        found.append(TableReader(config, name, len(found), manager).read())
    for config in configs:
        if id(config.data) not in used:
            name = _name(config, None, taken)
            found.append(TableReader(config, name, len(found), None).read())
    return (replace(each, is_static=file.is_static) for each in found)


def _uses(managers: list[Manager], by_name: Mapping[str, Part]) -> list[tuple[Part, Manager]]:
    """Return each route configuration with the manager that uses it.

    The filter chains of one listener mostly repeat each other: those that differ only in their
    server names are one.
    """
    found: list[tuple[Part, Manager]] = []
    named = {manager.route_name for manager in managers}
    for manager in managers:
        config = manager.route_config or by_name.get(manager.route_name)
        if config is None:
            scoped = [each for name, each in by_name.items() if name not in named]
            found += [(each, manager) for each in scoped if manager.part.has(SCOPES)]
            continue
        for at, (other, first) in enumerate(found):
            same = config.data is other.data or config.data == other.data
            if same and (both := first.together(manager)) is not None:
                found[at] = (other, both)
                break
        else:
            found.append((config, manager))
    return found


def _once(listeners: list[Part]) -> Iterator[Part]:
    """Leave out the listeners of the bootstrap that the dump has again."""
    seen: list[JsonObject] = []
    for listener in sorted(listeners, key=lambda each: _BOOTSTRAP in each.path):
        plain = JsonObject(listener.data)
        plain.pop("@type", None)
        if plain not in seen:
            seen.append(plain)
            yield listener


def _is_copy(config: Part, inline: list[Part]) -> bool:
    """Tell whether a dump lists here the routes that a listener holds itself."""
    plain = {name: value for name, value in config.data.items() if name != "@type"}
    return any(plain == {k: v for k, v in each.data.items() if k != "@type"} for each in inline)


def _name(config: Part, manager: Manager | None, taken: set[str]) -> str:
    """Return the name of a gateway: the configuration's, with the listener where it is taken."""
    listener = manager.connection.name if manager else ""
    base = config.scope().text("name") or listener or "routes"
    name = base
    if name in taken and listener:
        name = f"{base}@{listener}"
    number = 2
    while name in taken:
        name, number = f"{base}#{number}", number + 1
    taken.add(name)
    return name

"""A file of an Envoy's configuration, recognised by its content, to documents.

It reads the admin page's ``/config_dump`` (also a part of it), what ``istioctl proxy-config`` and
``egctl config`` print as JSON or YAML, and a static configuration. Both spellings of protobuf's
JSON are accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from meshcors.mesh._documents.problems import DocumentError, DocumentProblem, Place
from meshcors.mesh._envoy.connections import SCOPES, read_managers
from meshcors.mesh._envoy.json_objects import JsonObject, Source, read_json, read_yaml
from meshcors.mesh._envoy.part import Part
from meshcors.mesh._envoy.route_tables import TableReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshcors.mesh._envoy.connections import Manager
    from meshcors.mesh._routing.running import RunningRoutes

_MARK: Final = re.compile(
    r"\b(virtual_hosts|virtualHosts|static_resources|staticResources|filter_chains|filterChains"
    r"|defaultFilterChain|default_filter_chain|envoy\.admin\.v3)\b"
)
# Not {{ of a template, nor a list in YAML's own style.
_JSON: Final = re.compile(r"[\ufeff\s]*(\{\s*[\"}]|\[\s*[{\]])")
_DEEPEST: Final = 8
# Not what the gateway runs now.
_NOT_RUNNING: Final = frozenset(
    ("warming_state", "draining_state", "error_state", "clusters", "secrets", "endpoints")
)
_BOOTSTRAP: Final = "bootstrap"
_STATIC: Final = "static_route_configs"


@dataclass(frozen=True, slots=True)
class EnvoyFile:
    """What one file holds: its routes as documents, and why there are none.

    A file that ``is_json`` has no comments.
    """

    documents: tuple[RunningRoutes, ...]
    problems: tuple[DocumentProblem, ...]
    is_json: bool


@dataclass(slots=True)
class _Found:
    configs: list[Part]
    listeners: list[Part]


def read_envoy(text: str, file: str = "<text>") -> EnvoyFile | None:
    """Read an Envoy's configuration; None if the text is something else.

    ``DocumentError`` is raised if it looks like one, but is no readable JSON.
    """
    if not _MARK.search(text):
        return None
    source = Source(text, file)
    is_json = _JSON.match(text) is not None
    if not is_json and not _is_envoy_yaml(text):
        return None
    roots = [read_json(source)] if is_json else _yaml_roots(source)
    if any(map(_is_object_of_kubernetes, roots)) or not any(map(_is_envoy, roots)):
        return None
    found = _Found([], [])
    for root in roots:
        _search(root, "", source, found, 0)
    static = any(isinstance(root, JsonObject) and "static_resources" in root for root in roots)
    documents = tuple(replace(each, is_static=static) for each in _documents(found))
    if documents:
        return EnvoyFile(documents, (), is_json)
    message = "this Envoy configuration has no routes"
    hint = "dump the routes too: curl localhost:15000/config_dump"
    problem = DocumentProblem(Place(file, 1, 1), "no_routes", "", message, hint)
    return EnvoyFile((), (problem,), is_json)


def _yaml_roots(source: Source) -> list[Any]:
    try:
        return read_yaml(source)
    except DocumentError:
        return []  # reading it as Kubernetes' objects says what is wrong


def _is_envoy_yaml(text: str) -> bool:
    """Tell whether a YAML text looks like one: its objects have no apiVersion at their top."""
    return not re.search(r"^(- )?['\"]?apiVersion['\"]?\s*:", text, re.MULTILINE)


def _is_object_of_kubernetes(root: Any) -> bool:
    return isinstance(root, JsonObject) and "kind" in root and "api_version" in root


def _is_envoy(root: Any, depth: int = 0) -> bool:
    """Tell whether a value holds anything of an Envoy's configuration near its top."""
    if depth > 4:
        return False
    if isinstance(root, list):
        return any(_is_envoy(item, depth + 1) for item in root[:3])
    if not isinstance(root, JsonObject):
        return False
    kind = root.get("@type")
    typed = isinstance(kind, str) and "envoy." in kind
    own = {"virtual_hosts", "static_resources", "filter_chains", "default_filter_chain"}
    if typed or root.keys() & own:
        return True
    return any(_is_envoy(value, depth + 1) for value in root.values())


def _search(value: Any, path: str, source: Source, found: _Found, depth: int) -> None:
    """Find the route configurations and listeners in a value, wherever its shape has them."""
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for at, item in enumerate(value):
            _search(item, f"{path}[{at}]", source, found, depth + 1)
    elif isinstance(value, JsonObject):
        if isinstance(value.get("virtual_hosts"), list) or "vhds" in value:
            found.configs.append(Part(value, path, source))
        elif "filter_chains" in value or "default_filter_chain" in value or "api_listener" in value:
            found.listeners.append(Part(value, path, source))
        else:
            for name, inner in value.items():
                if name not in _NOT_RUNNING:
                    where = f"{path}.{name}" if path else name
                    _search(inner, where, source, found, depth + 1)


def _documents(found: _Found) -> Iterator[RunningRoutes]:
    """Yield a document for each use of a route configuration, and for those without a listener."""
    managers = [each for listener in _once(found.listeners) for each in read_managers(listener)]
    # in the order in which browsers come: through TLS first
    managers.sort(key=lambda manager: not manager.connection.is_encrypted)
    # what the proxy itself serves, such as its metrics, comes last
    configs = sorted(found.configs, key=lambda each: _STATIC in each.path)
    by_name: dict[str, Part] = {}
    for config in configs:
        by_name.setdefault(config.scope().text("name"), config)
    inline = [manager.route_config for manager in managers if manager.route_config is not None]
    taken: set[str] = set()
    used: set[int] = {id(each.data) for each in configs if _is_copy(each, inline)}
    for config, manager in _uses(managers, by_name):
        used.add(id(config.data))
        yield TableReader(config, _name(config, manager, taken), len(taken), manager).read()
    for config in configs:
        if id(config.data) not in used:
            yield TableReader(config, _name(config, None, taken), len(taken), None).read()


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

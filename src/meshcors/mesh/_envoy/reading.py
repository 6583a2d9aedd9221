"""A file of an Envoy's configuration, recognised by its content.

It reads the admin page's ``/config_dump`` (also a part of it), what ``istioctl proxy-config`` and
``egctl config`` print as JSON or YAML, and a static configuration. Both spellings of protobuf's
JSON are accepted.
"""

from __future__ import annotations

import re
from typing import Any, Final

from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._envoy.json_objects import JsonObject, Source, read_json, read_yaml
from meshcors.mesh._envoy.part import Part
from meshcors.mesh._envoy.running_routes import EnvoyFile

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


def read_envoy(text: str, file: str = "<text>") -> EnvoyFile | None:
    """Read an Envoy's configuration for `running_routes`; None if the text is something else.

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
    is_static = any(isinstance(root, JsonObject) and "static_resources" in root for root in roots)
    found = EnvoyFile(file, is_json=is_json, is_static=is_static)
    for root in roots:
        _search(root, "", source, found, 0)
    return found


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


def _search(value: Any, path: str, source: Source, found: EnvoyFile, depth: int) -> None:
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

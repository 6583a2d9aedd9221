"""Options as other CORS libraries call them, and what to write here instead.

Starlette's, flask-cors's, django-cors-headers's and asgi-cors's, where their names are not ours. In
Python's words; `meshcors.config._spelling.respell` says them in those of other sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from meshcors._policy.origins import written_regex

_PLACES: Final[Mapping[str, str]] = {
    # flask-cors
    "origins": "allow_origins",
    "methods": "allow_methods",
    "headers": "allow_headers",
    "supports_credentials": "allow_credentials",
    # django-cors-headers
    "allowed_origins": "allow_origins",
    "origin_whitelist": "allow_origins",
    "preflight_max_age": "max_age",
    **{
        name: name
        for name in (
            *("allow_origins", "allow_methods", "allow_headers", "expose_headers"),
            *("allow_credentials", "max_age", "allow_private_network"),
        )
    },
    # asgi-cors
    "host_wildcards": "allow_origins",
}
_ADVICE: Final[Mapping[str, str]] = {
    "send_wildcard": "leave it out: an origin * in allow_origins is answered with *",
    "vary_header": "leave it out: Vary is sent wherever an answer depends on the request",
    "automatic_options": "leave it out: preflights are answered, other OPTIONS requests go on",
    "intercept_exceptions": "leave it out: errors get their headers too",
    "always_send": "leave it out: headers are sent where an answer needs them",
    "allow_all": "write an origin * into allow_origins",
    "allow_all_origins": "write an origin * into allow_origins",
    "origin_allow_all": "write an origin * into allow_origins",
    "callback": "a policy is data: write patterns, or a meshcors.Regex, into allow_origins",
}
_REGEXES: Final = frozenset(
    {"allow_origin_regex", "allowed_origin_regexes", "origin_regex_whitelist"}
)
_RESOURCES: Final = frozenset({"resources", "urls_regex", "path_prefix"})
# The parts of a key, as other sources have them.
_KEY_PARTS: Final = frozenset({"key_header", "key_name", "key_values", "key_exempt_paths"})
KEY_HINT: Final = 'write key=HeaderKey("model-api-key", values=[...])'
_PATH: Final = re.compile(r"\^?(/[\w/-]*)")


def hint(name: str, value: object, allowed: object = ()) -> str | None:
    """Return what to write for the option `name` with this `value`; None where it is unknown.

    `allowed` are the origins that were given beside it.
    """
    name = _plain(name)
    if name in _PLACES:
        return f"unknown; here it is {_PLACES[name]}"
    if name in _ADVICE:
        return _ADVICE[name]
    if name in _REGEXES:
        return _regex_hint(value, allowed)
    if name in _RESOURCES:
        return _resources_hint(value)
    if name in _KEY_PARTS:
        return KEY_HINT
    if name == "hosts":
        return _hosts_hint(value)
    return None


def means_origins(name: str, value: object) -> bool:
    """Tell whether the option `name` of another library says which origins are allowed."""
    told = hint(name, value) or ""
    names_origins = "allow_origins" in told and not told.startswith("leave")
    return names_origins or _plain(name) == "resources"


def _plain(name: str) -> str:
    return name.lower().removeprefix("cors_")


def _regex_hint(value: object, allowed: object) -> str:
    values = list(value) if isinstance(value, list | tuple) else [value]
    regexes = [written for written in map(written_regex, values) if written]
    if not regexes:
        return "write a meshcors.Regex into allow_origins"
    beside = (
        [json.dumps(origin) for origin in allowed if isinstance(origin, str)]
        if isinstance(allowed, list | tuple)
        else []
    )
    return f"write allow_origins=[{', '.join([*beside, *regexes])}], with meshcors.Regex"


def _resources_hint(value: object) -> str:
    paths = list(value) if isinstance(value, Mapping | list | tuple) else [value]
    found = next((_PATH.match(path) for path in paths if isinstance(path, str)), None)
    prefix = (found[1].rstrip("/") if found else "") or "/api"
    rules = f'rules=[Rule(Policy(...), path_prefix="{prefix}")], with meshcors.Rule'
    return f"policies by path are rules: write {rules}"


def _hosts_hint(value: object) -> str:
    """Return what to write for the hosts of a rule, or for asgi-cors's, which are origins."""
    hosts = list(value) if isinstance(value, list | tuple) else [value]
    if any(isinstance(host, str) and (host == "*" or "://" in host) for host in hosts):
        return "unknown; here it is allow_origins"
    rules = 'rules=[Rule(Policy(...), hosts=["api.example.com"])], with meshcors.Rule'
    return f"policies by host are rules: write {rules}"

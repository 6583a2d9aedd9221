"""Options of other CORS libraries, and what to write here instead.

Those of Starlette, flask-cors, django-cors-headers and asgi-cors. The hints use Python's names;
`meshcors.config._respelling` translates them for other sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from meshcors._policy.regex import written_regex

_NAMES: Final[Mapping[str, str]] = {
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
    "send_wildcard": "leave it out: the origin * in allow_origins is answered with *",
    "vary_header": "leave it out: Vary is sent wherever an answer depends on the request",
    "automatic_options": "leave it out: preflights are answered, other OPTIONS reach the app",
    "intercept_exceptions": "leave it out: errors get CORS headers too",
    "always_send": "leave it out: CORS headers are sent wherever an answer needs them",
    "allow_all": "write the origin * into allow_origins",
    "allow_all_origins": "write the origin * into allow_origins",
    "origin_allow_all": "write the origin * into allow_origins",
    "callback": "a policy is data: write patterns, or a meshcors.Regex, into allow_origins",
}
# What would limit real requests: no library has it, and people expect it of a policy or a rule.
METHOD_LIMITS: Final = frozenset({"limit_methods", "only_methods", "deny_methods"})
NO_METHOD_LIMIT: Final = "no policy limits methods: the app's routes do, with 405; see docs/faq.md"
_REGEXES: Final = frozenset(
    {"allow_origin_regex", "allowed_origin_regexes", "origin_regex_whitelist"}
)
_RESOURCES: Final = frozenset({"resources", "urls_regex", "path_prefix"})
# The parts of a key, as other sources name them.
_KEY_PARTS: Final = frozenset({"key_header", "key_name", "key_values", "key_exempt_paths"})
KEY_HINT: Final = 'write key=HeaderKey("model-api-key", values=[...])'
_PATH: Final = re.compile(r"\^?(/[\w/-]*)")


def option_hint(name: str, value: object, allowed: object = ()) -> str | None:
    """Return what to write for the option `name` with this `value`; None if no library has it.

    `allowed` are the origins that were given as well.
    """
    name = _plain(name)
    if name in _NAMES:
        return f"unknown; here it is called {_NAMES[name]}"
    if name in _ADVICE:
        return _ADVICE[name]
    if name in METHOD_LIMITS:
        return NO_METHOD_LIMIT
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
    """Return whether the option `name` of another library says which origins are allowed."""
    text = option_hint(name, value) or ""
    names_origins = "allow_origins" in text and not text.startswith("leave")
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
    """Return what to write for a rule's hosts, or for asgi-cors's ``hosts``, which are origins."""
    hosts = list(value) if isinstance(value, list | tuple) else [value]
    if any(isinstance(host, str) and (host == "*" or "://" in host) for host in hosts):
        return "unknown; here it is called allow_origins"
    rules = 'rules=[Rule(Policy(...), hosts=["api.example.com"])], with meshcors.Rule'
    return f"policies by host are rules: write {rules}"

"""django-cors-headers: the ``CORS_...`` settings of a settings module."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from meshcors.config._foreign.python_literals import Pattern
from meshcors.config._foreign.python_options import Options
from meshcors.config._foreign.said import DJANGO, ForeignPolicy

if TYPE_CHECKING:
    from meshcors.config._foreign.python_file import PythonFile
    from meshcors.config._foreign.said import Field, Reading

# Each setting under its names, the current one first.
_ORIGINS: Final = ("CORS_ALLOWED_ORIGINS", "CORS_ORIGIN_WHITELIST")
_REGEXES: Final = ("CORS_ALLOWED_ORIGIN_REGEXES", "CORS_ORIGIN_REGEX_WHITELIST")
_EVERY: Final = ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL")
_URLS: Final = "CORS_URLS_REGEX"
_FIELDS: Final[dict[str, Field]] = {
    "CORS_ALLOW_METHODS": "allowMethods",
    "CORS_ALLOW_HEADERS": "allowHeaders",
    "CORS_EXPOSE_HEADERS": "exposeHeaders",
    "CORS_ALLOW_CREDENTIALS": "allowCredentials",
    "CORS_PREFLIGHT_MAX_AGE": "maxAge",
    "CORS_ALLOW_PRIVATE_NETWORK": "allowPrivateNetwork",
}
SETTINGS: Final = frozenset({*_ORIGINS, *_REGEXES, *_EVERY, _URLS, *_FIELDS})
_DEFAULTS: Final[dict[str, object]] = {
    "CORS_ALLOW_METHODS": ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"),
    "CORS_ALLOW_HEADERS": (
        *("accept", "authorization", "content-type", "user-agent", "x-csrftoken"),
        "x-requested-with",
    ),
    "CORS_PREFLIGHT_MAX_AGE": 86400,
}
_EVERY_PATH: Final = frozenset({"^.*$", ".*", "^.*", "^/.*$", "^/.*", "^/", "", "^"})
_PREFIX: Final = re.compile(r"\^?(/[\w-]+(?:/[\w-]+)*)(/\.\*|/|\.\*)?\$?")


def read_django_settings(reading: Reading, file: PythonFile) -> bool:
    """Read the settings of a module; return whether it has any."""
    named = [name for name in file.bindings if name in SETTINGS]
    if not named:
        return False
    options = Options(reading, file)
    # A setting is found by its name, so one that cannot be known has to be read, too.
    nodes = {name: _node(file, name) for name in named}

    def first(names: tuple[str, ...]) -> tuple[str, ast.expr] | None:
        return next(((name, nodes[name]) for name in names if name in nodes), None)

    everything = first(_EVERY)
    if everything and options.value(*everything, "write True or False here") is True:
        options.put("allowOrigins", ("*",), *everything)
    elif not (everything and reading.problems):
        if origins := first(_ORIGINS):
            options.whole_origins("allowOrigins", *origins, "CORS_ALLOW_ALL_ORIGINS = True")
        if regexes := first(_REGEXES):
            options.regexes(*regexes, at_start=True)
    for name, node in nodes.items():
        if name in _FIELDS:
            options.add(_FIELDS[name], name, node)
    for name, value in _DEFAULTS.items():
        options.default(_FIELDS[name], value, name, file.tree)
    for line in file.stars:
        options.note(file.tree, f"line {line} imports *: the settings of that file are not read")
    prefix = _prefix(options, nodes[_URLS]) if _URLS in nodes else "/"
    place = file.place(nodes[named[0]])
    if prefix is not None:
        reading.policies.append(ForeignPolicy(DJANGO, place, options.found, path_prefix=prefix))
    return True


def _node(file: PythonFile, name: str) -> ast.expr:
    """Return an expression that stands for a setting, wherever it is set."""
    bound = file.bindings[name]
    first = bound[0]
    # Reading the name says whether there is one value, and it is certain.
    return ast.copy_location(ast.Name(name, ast.Load()), first)


def _prefix(options: Options, node: ast.expr) -> str | None:
    given = options.value(_URLS, node, 'write it here, such as r"^/api/.*$"')
    text = given.text if isinstance(given, Pattern) else given
    if not isinstance(text, str):
        return None
    if text in _EVERY_PATH:
        return "/"
    found = _PREFIX.fullmatch(text)
    if found is None or (found[2] in (None, "/") and text.endswith("$")):
        hint = "write the beginning of the paths, such as ^/api/.*$"
        options.refuse(_URLS, node, f"{text} is not a prefix of paths", hint)
        return None
    if found[2] not in ("/", "/.*"):
        options.note(
            node,
            f"{_URLS}: {text} also matches {found[1]}x; the policy covers whole segments:"
            f" {found[1]} and below",
        )
    return found[1]

"""flask-cors: ``CORS(app, ...)`` with its resources, and ``@cross_origin``."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from meshcors.config._foreign.patterns import any_case
from meshcors.config._foreign.python_literals import Pattern
from meshcors.config._foreign.python_options import Options, keywords_of, read_keywords
from meshcors.config._foreign.said import FLASK, ForeignOption, ForeignPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcors.config._foreign.python_file import PythonFile
    from meshcors.config._foreign.said import Field, Reading

_FIELDS: Final[dict[str, Field]] = {
    "origins": "allowOrigins",
    "methods": "allowMethods",
    "allow_headers": "allowHeaders",
    "expose_headers": "exposeHeaders",
    "supports_credentials": "allowCredentials",
    "max_age": "maxAge",
    "allow_private_network": "allowPrivateNetwork",
}
_NO_EFFECT: Final = frozenset(
    {"send_wildcard", "vary_header", "automatic_options", "intercept_exceptions", "always_send"}
)
_ALL_METHODS: Final = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")
# The texts that flask-cors takes for regular expressions.
_REGEX: Final = re.compile(r"[*\\\]?$^\[()]")
# A path, and what means "and everything below" in the expressions that people write.
_PREFIX: Final = re.compile(r"\^?(/(?:[\w-]+(?:/[\w-]+)*)?)(/?\*|/?\.[*+]|/)?\$?")
_ROUTES: Final = frozenset({"route", "get", "post", "put", "patch", "delete"})


def read_flask_cors(
    reading: Reading, file: PythonFile, call: ast.Call, made: ast.Call | None = None
) -> None:
    """Read ``CORS(app, ...)``, or ``init_app(app, ...)`` of an object that `made` has made."""
    options = Options(reading, file)
    given = _settings(options, file)
    if made is not None:
        given |= keywords_of(options, made, ("app",))
    given |= keywords_of(options, call, ("app",))
    given.pop("app", None)
    resources = given.pop("resources", None)
    if resources is None:
        _add(reading, file, call, _options(reading, file, given, call), "/")
        return
    read = options.value("resources", resources, 'write them here, such as {"/api/*": {...}}')
    if isinstance(read, str | Pattern):
        read = (read,)
    if isinstance(read, tuple):
        read = dict.fromkeys(read)
    if not isinstance(read, dict):
        return
    own = _options(reading, file, given, call)
    inner = _values(resources)
    prefixes = {each: _prefix(options, resources, each) for each in read}
    # The most specific resource decides in flask-cors, the first rule here.
    for each in sorted(read, key=lambda path: -len(prefixes[path] or "")):
        prefix = prefixes[each]
        if prefix is not None:
            found = dict(own)
            if read[each] is not None:
                found |= _raw(reading, file, each, read[each], inner.get(str(each), resources))
            _add(reading, file, resources, found, prefix)


def read_cross_origin(
    reading: Reading,
    file: PythonFile,
    call: ast.Call | None,
    view: ast.FunctionDef | ast.AsyncFunctionDef,
) -> None:
    """Read ``@cross_origin(...)``; `call` is None for one without arguments."""
    options = Options(reading, file)
    node = call or view
    given = _settings(options, file) | (keywords_of(options, call) if call else {})
    paths = [path for each in view.decorator_list for path in _route(options, file, each)]
    if not paths:
        hint = "write a rule with the view's path: pathPrefix: /api"
        options.refuse("cross_origin", node, "no route with a path that a rule can have", hint)
    found = _options(reading, file, given, node)
    for path in paths:
        if path != "/":
            options.note(node, f"the policy covers what is below {path}, too")
        _add(reading, file, node, found, path)


def _settings(options: Options, file: PythonFile) -> dict[str, ast.expr]:
    """Return what a file sets as ``app.config["CORS_..."]``, by keyword."""
    found: dict[str, ast.expr] = {}
    for name, nodes in file.configured.items():
        # CORS_HEADERS belongs to versions of long ago, has no effect, and is in many files.
        if not name.startswith("CORS_") or name == "CORS_HEADERS":
            continue
        line = file.decided.get(id(nodes[0]))
        if len(nodes) > 1 or line is not None or not isinstance(nodes[0], ast.Assign):
            reason = f"depends on line {line}" if line else "set or changed more than once"
            options.refuse(name, nodes[-1], reason, "set it once, or write the keyword")
        else:
            found[name.removeprefix("CORS_").lower()] = nodes[0].value
    return found


def _options(
    reading: Reading, file: PythonFile, given: Mapping[str, ast.expr], node: ast.AST
) -> dict[Field, ForeignOption]:
    options = Options(reading, file)
    read_keywords(options, given, _FIELDS, {}, _NO_EFFECT)
    options.default("allowOrigins", ("*",), "origins", node)
    options.default("allowMethods", _ALL_METHODS, "methods", node)
    options.default("allowHeaders", ("*",), "allow_headers", node)
    for name, option in options.found.items():
        options.found[name] = _plain(options, name, option, node)
    return options.found


def _raw(
    reading: Reading, file: PythonFile, path: object, given: object, node: ast.AST
) -> dict[Field, ForeignOption]:
    """Return the options of one resource, which are values already."""
    options = Options(reading, file)
    if not isinstance(given, dict):
        options.refuse(f"resources {path}", node, "not a mapping", 'write {"origins": [...]}')
        return {}
    for keyword, value in given.items():
        if keyword in _FIELDS and value is not None:
            options.put(_FIELDS[keyword], value, keyword, node)
        elif keyword not in _FIELDS and keyword not in _NO_EFFECT:
            options.refuse(str(keyword), node, "unknown", "leave it out")
    for name, option in options.found.items():
        options.found[name] = _plain(options, name, option, node)
    return options.found


def _plain(options: Options, name: Field, option: ForeignOption, node: ast.AST) -> ForeignOption:
    """Return an option with what flask-cors makes of it: texts are lists, and may be patterns."""
    value = option.value
    if name == "maxAge":
        digits = isinstance(value, str) and value.isascii() and value.isdecimal()
        kept: object = int(str(value)[:20]) if digits else value
    elif name in ("allowCredentials", "allowPrivateNetwork"):
        kept = value
    else:
        items = value if isinstance(value, list) else [value]
        if name != "allowOrigins" and not isinstance(value, list) and isinstance(value, str):
            items = [each.strip() for each in value.split(",")]
        convert = _origin if name == "allowOrigins" else _name if name == "allowHeaders" else None
        kept = [convert(options, option.keyword, each, node) if convert else each for each in items]
        if name == "allowMethods" and "*" in items:
            options.refuse(option.keyword, node, "* is no method", "write the methods")
    return ForeignOption(kept, option.keyword, option.place, option.given)


def _origin(options: Options, keyword: str, given: object, node: ast.AST) -> object:
    if given in ("*", ".*") or (isinstance(given, Pattern) and given.text in (".*", "^.*$")):
        return "*"
    text = given.text if isinstance(given, Pattern) else given
    if not isinstance(text, str) or not (isinstance(given, Pattern) or _REGEX.search(text)):
        return given
    options.note(
        node,
        f"{keyword}: {text} is a regular expression to flask-cors, and matches the beginning of an"
        " origin; the policy's matches the whole origin",
    )
    return {"regex": any_case(text)}


def _name(options: Options, keyword: str, given: object, node: ast.AST) -> object:
    text = given.text if isinstance(given, Pattern) else given
    if text in ("*", ".*"):
        return "*"
    if isinstance(given, Pattern) or (isinstance(text, str) and _REGEX.search(text)):
        shown = f"{text} is a regular expression"
        options.refuse(keyword, node, shown, "write the names of the headers")
    return text


def _prefix(options: Options, node: ast.AST, given: object) -> str | None:
    """Return the prefix for a resource; None, and a problem, if there is none."""
    text = given.text if isinstance(given, Pattern) else given
    if text in ("*", "/*", ".*", "/.*", r"\/*") or (text == "/" and isinstance(given, Pattern)):
        return "/"
    found = _PREFIX.fullmatch(text) if isinstance(text, str) else None
    is_regex = isinstance(given, Pattern) or _REGEX.search(str(text)) is not None
    if found is None or not is_regex or (found[2] in (None, "/") and found[0].endswith("$")):
        hint = "write a path and /*, such as /api/*"
        options.refuse("resources", node, f"{text} is not a prefix of paths", hint)
        return None
    if found[1] != "/":
        written = f"resources: {text} matches the beginning of a path, such as {found[1]}x"
        options.note(node, f"{written}; the policy covers whole segments: {found[1]} and below")
    return found[1]


def _route(options: Options, file: PythonFile, decorator: ast.expr) -> list[str]:
    match decorator:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=app), attr=name), args=[path, *_]) if (
            name in _ROUTES
        ):
            made = file.assigned(app)
            known = isinstance(made, ast.Call) and file.qualified(made.func).endswith("Flask")
            text = options.value("route", path, "write the path here")
            if known and isinstance(text, str) and "<" not in text:
                return [text]
            return []
        case _:
            return []


def _values(resources: ast.expr) -> dict[str, ast.expr]:
    """Return where the options of each resource are written."""
    if not isinstance(resources, ast.Dict):
        return {}
    return {
        key.value: value
        for key, value in zip(resources.keys, resources.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _add(
    reading: Reading,
    file: PythonFile,
    node: ast.AST,
    options: Mapping[Field, ForeignOption],
    prefix: str,
) -> None:
    origins = options.get("allowOrigins")
    if file.configured_elsewhere and origins is not None and not origins.given:
        message = f"line {file.configured_elsewhere} may set CORS_ORIGINS, which is not read"
        reading.refuse(file.place(node), "origins", message, "write origins=[...] here")
    policy = ForeignPolicy(FLASK, file.place(node), options, path_prefix=prefix)
    reading.policies.append(policy)

"""CORSMiddleware (Starlette and FastAPI), Litestar's CORSConfig, and asgi-cors."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from meshcors.config._foreign.python_options import Options, keywords_of, read_keywords
from meshcors.config._foreign.said import ASGI_CORS, LITESTAR, STARLETTE, ForeignPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcors.config._foreign.python_file import PythonFile
    from meshcors.config._foreign.said import Field, Reading

_FIELDS: Final[dict[str, Field]] = {
    "allow_origins": "allowOrigins",
    "allow_methods": "allowMethods",
    "allow_headers": "allowHeaders",
    "expose_headers": "exposeHeaders",
    "allow_credentials": "allowCredentials",
    "max_age": "maxAge",
    "allow_private_network": "allowPrivateNetwork",
}
# In the order of their parameters.
_STARLETTE: Final = (
    *("allow_origins", "allow_methods", "allow_headers", "allow_credentials"),
    *("allow_origin_regex", "allow_private_network", "expose_headers", "max_age"),
)
_LITESTAR: Final = (
    *("allow_origins", "allow_methods", "allow_headers", "allow_credentials"),
    *("allow_origin_regex", "expose_headers", "max_age"),
)
_ASGI_CORS: Final = (
    *("allow_all", "hosts", "host_wildcards", "callback", "headers", "methods", "max_age"),
)


def read_starlette(reading: Reading, file: PythonFile, call: ast.Call, skip: int) -> None:
    """Read the call that makes a CORSMiddleware, without its first `skip` arguments."""
    options = Options(reading, file)
    given = keywords_of(options, call, _STARLETTE, skip)
    given.pop("app", None)
    given.pop("middleware_class", None)
    read_keywords(options, given, _FIELDS, {"allow_origin_regex": _regex(options)})
    options.default("allowMethods", ("GET",), "allow_methods", call)
    options.default("maxAge", 600, "max_age", call)
    reading.policies.append(ForeignPolicy(STARLETTE, file.place(call), options.found))


def read_litestar(reading: Reading, file: PythonFile, call: ast.Call) -> None:
    """Read a call of CORSConfig."""
    options = Options(reading, file)
    given = keywords_of(options, call, _LITESTAR)
    fields: dict[str, Field] = {name: field for name, field in _FIELDS.items() if name in _LITESTAR}
    read_keywords(options, given, fields, {"allow_origin_regex": _regex(options)})
    if "allow_origins" not in given:
        options.put("allowOrigins", ("*",), "allow_origins", call, given=False)
    for name in ("allow_methods", "allow_headers"):
        options.default(_FIELDS[name], ("*",), name, call)
    options.default("maxAge", 600, "max_age", call)
    reading.policies.append(ForeignPolicy(LITESTAR, file.place(call), options.found))


def read_asgi_cors(reading: Reading, file: PythonFile, call: ast.Call, skip: int) -> None:
    """Read a call of asgi_cors, without its first `skip` arguments."""
    options = Options(reading, file)
    given = keywords_of(options, call, _ASGI_CORS, skip)
    given.pop("app", None)

    def every_origin(keyword: str, node: ast.expr) -> None:
        if options.value(keyword, node, "write True or False here") is True:
            options.put("allowOrigins", ("*",), keyword, node)

    def callback(keyword: str, node: ast.expr) -> None:
        if not (isinstance(node, ast.Constant) and node.value is None):
            hint = "a policy is data: write the origins that it accepts as hosts or host_wildcards"
            options.refuse(keyword, node, "a function decides here", hint)

    fields: dict[str, Field] = {
        "host_wildcards": "allowOrigins",
        "headers": "allowHeaders",
        "methods": "allowMethods",
        "max_age": "maxAge",
    }

    def hosts(keyword: str, node: ast.expr) -> None:
        options.whole_origins("allowOrigins", keyword, node, "allow_all=True or host_wildcards")

    others = {"allow_all": every_origin, "callback": callback, "hosts": hosts}
    read_keywords(options, given, fields, others)
    reading.policies.append(ForeignPolicy(ASGI_CORS, file.place(call), options.found))


def _regex(options: Options) -> Callable[[str, ast.expr], None]:
    def read(keyword: str, node: ast.expr) -> None:
        if not (isinstance(node, ast.Constant) and node.value is None):
            options.regexes(keyword, node, at_start=False)

    return read

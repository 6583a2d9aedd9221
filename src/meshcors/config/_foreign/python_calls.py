"""Finds what a Python file says about CORS, whichever library it says it to."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from meshcors._policy.place import Place
from meshcors.config._foreign.asgi_calls import read_asgi_cors, read_litestar, read_starlette
from meshcors.config._foreign.django_settings import read_django_settings
from meshcors.config._foreign.flask_cors_calls import read_cross_origin, read_flask_cors
from meshcors.config._foreign.python_file import NotPythonError, PythonFile
from meshcors.config._foreign.said import MOST_POLICIES

if TYPE_CHECKING:
    from meshcors.config._foreign.said import Reading

# What adds middleware to an app.
_ADDERS: Final = frozenset({"add_middleware", "Middleware", "partial"})
# The names that mean CORS, and the packages that they come from.
_HOMES: Final = {
    "CORSMiddleware": ("starlette", "fastapi"),
    "CORSConfig": ("litestar",),
    "CORS": ("flask_cors",),
    "cross_origin": ("flask_cors",),
    "asgi_cors": ("asgi_cors",),
}


def read_python(reading: Reading, text: str, name: str) -> None:
    """Read the text of a Python file."""
    try:
        file = PythonFile.parse(text, name)
    except NotPythonError as error:
        place = Place(name, error.line, 1)
        reading.refuse(place, "", error.reason, "name a file that Python can read")
        return
    policies = len(reading.policies)
    before = policies + len(reading.problems)
    for node in file.nodes:
        if len(reading.policies) + len(reading.problems) > MOST_POLICIES:
            break
        if isinstance(node, ast.Call):
            _read_call(reading, file, node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _read_view(reading, file, node)
    if len(reading.policies) + len(reading.problems) > before:
        # The decorator of a view counts before the app's own CORS(...).
        reading.policies[policies:] = sorted(
            reading.policies[policies:], key=lambda policy: -len(policy.path_prefix)
        )
        return
    if not read_django_settings(reading, file):
        hint = (
            "name the file with add_middleware(CORSMiddleware, ...), CORS(app, ...),"
            " CORSConfig(...), asgi_cors(...) or the CORS_ settings"
        )
        reading.said_nothing(name, "says nothing about CORS that can be read", hint)


def _read_view(
    reading: Reading, file: PythonFile, view: ast.FunctionDef | ast.AsyncFunctionDef
) -> None:
    # The innermost one sets the headers first, and the others leave them alone.
    for each in reversed(view.decorator_list):
        call = each if isinstance(each, ast.Call) else None
        if _meaning(file, call.func if call else each) == "cross_origin":
            read_cross_origin(reading, file, call, view)
            return


def _read_call(reading: Reading, file: PythonFile, call: ast.Call) -> None:
    meaning = _meaning(file, call.func)
    inner = _meaning(file, call.args[0]) if call.args else ""
    for each in call.keywords:
        # the parameters' names in Starlette's add_middleware and Middleware
        if each.arg in ("middleware_class", "cls") and _meaning(file, each.value):
            inner = _meaning(file, each.value)
    before = len(reading.policies) + len(reading.problems)
    adds = file.qualified(call.func).rpartition(".")[2] in _ADDERS
    if meaning == "CORSMiddleware" or (inner == "CORSMiddleware" and adds):
        read_starlette(reading, file, call, 1)
    elif meaning == "CORSConfig":
        read_litestar(reading, file, call)
    elif meaning == "asgi_cors":
        read_asgi_cors(reading, file, call, 1)
    elif meaning == "CORS" and _is_whole(file, call):
        read_flask_cors(reading, file, call)
    elif isinstance(call.func, ast.Attribute) and call.func.attr == "init_app":
        made = _made(file, call.func.value)
        if made is not None:
            read_flask_cors(reading, file, call, made)
    if len(reading.policies) + len(reading.problems) == before:
        return
    if _is_part(file, call):
        hint = "write a rule with its path: pathPrefix: /api"
        reading.refuse(file.place(call), "", "it covers a part of the app only", hint)
    if (line := file.decided.get(id(call))) is not None:
        reading.note(f"{file.place(call)}: depends on line {line}; the policy does not")


def _meaning(file: PythonFile, node: ast.expr) -> str:
    """Return which of the names with a meaning an expression is; "" for none of them."""
    home, _, last = file.qualified(node).rpartition(".")
    packages = _HOMES.get(last)
    if packages is None:
        return ""
    if home.partition(".")[0] in packages or (not home and last not in file.bindings):
        return last
    return ""


def _is_part(file: PythonFile, call: ast.Call) -> bool:
    """Tell whether a call is about what another app has below one of its paths."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    about = [each for each in (owner, *call.args[:1]) if isinstance(each, ast.Name)]
    about += [each.value for each in call.keywords if isinstance(each.value, ast.Name)]
    made = [file.assigned(name) for name in file.mounted_names]
    return (
        id(call) in file.mounted
        or any(each is call for each in made)
        or any(_is_blueprint(file, each) or each.id in file.mounted_names for each in about)
    )


def _is_blueprint(file: PythonFile, node: ast.Name) -> bool:
    made = file.assigned(node.id)
    return isinstance(made, ast.Call) and file.qualified(made.func).endswith("Blueprint")


def _is_whole(file: PythonFile, call: ast.Call) -> bool:
    """Tell whether a ``CORS(...)`` has its app, rather than getting it by ``init_app``."""
    return bool(call.args) or any(each.arg in ("app", None) for each in call.keywords)


def _made(file: PythonFile, node: ast.expr) -> ast.Call | None:
    """Return the ``CORS(...)`` that a name stands for."""
    if isinstance(node, ast.Call) and _meaning(file, node.func) == "CORS":
        return node
    value = file.assigned(node.id) if isinstance(node, ast.Name) else None
    if isinstance(value, ast.Call) and _meaning(file, value.func) == "CORS":
        return value
    return None

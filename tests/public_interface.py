"""The public interface as a page: every public module, its names, signatures and docstrings.

``tests/test_public_interface.py`` compares ``docs/api.md`` with it, or writes it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import meshcors

SOURCES = Path(meshcors.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "api.md"
# Commands: they are run, and have nothing to import.
COMMANDS = ("meshcors.__main__", "meshcors.dummy", "meshcors.dummy.__main__")
MARK = "<!-- Below: WRITE_PAGES=1 pytest tests/test_public_interface.py -->\n"


def public_modules() -> list[ModuleType]:
    """Every module whose dotted path has no segment that begins with an underscore."""
    found = (module.name for module in pkgutil.walk_packages(meshcors.__path__, "meshcors."))
    names = ["meshcors", *(name for name in found if "._" not in name)]
    return [importlib.import_module(name) for name in names if name not in COMMANDS]


def page() -> str:
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    made = "".join(f"\n{section}" for section in map(_section, public_modules()))
    return head + MARK + made + _types_in(made)


def _types_in(text: str) -> str:
    """The types that signatures and members name and that no public module exports."""
    exported = {name for module in public_modules() for name in module.__all__}
    code = re.findall(r"^```python\n(.*?)^```|^- `(.*?)`:", text, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"(?<![\w\".])[A-Z]\w+(?=[\s|,)\[\]]|$)", "\n".join(map("".join, code))))
    described = {name: _described(name) for name in sorted(named - exported)}
    lines = [f"- `{name}`: {text}\n" for name, text in described.items() if text is not None]
    return (
        "\n## Types in signatures\n\nThey are here to be read; import none of them.\n\n"
        + "".join(lines)
    )


def _described(name: str) -> str | None:
    """What a class of the package says of itself, or what an alias stands for."""
    for node in _definitions():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _as_markdown(
                " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
            )
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name and node.value:
            return f"`{_one_line(node.value)}`"
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return f"`{_one_line(node.value)}`"
    return None


def _one_line(value: ast.expr) -> str:
    text = ast.unparse(value).strip("'")
    return text if len(text) <= 200 else f"{text[:200].rpartition(',')[0]}, ...]"


@cache
def _definitions() -> list[ast.stmt]:
    sources = sorted(SOURCES.rglob("*.py"))
    return [
        node for source in sources for node in ast.parse(source.read_text(encoding="utf-8")).body
    ]


def _section(module: ModuleType) -> str:
    lines = [f"## {module.__name__}", "", _text(module), ""]
    if module is meshcors:
        lines += ["`meshcors.__version__` is the installed version, a string.", ""]
    for name in sorted(set(module.__all__) - {"__version__"}, key=str.lower):
        lines += _entry(module, name)
    return "\n".join(lines).rstrip() + "\n"


def _entry(module: ModuleType, name: str) -> Iterator[str]:
    found = getattr(module, name)
    whole = f"{module.__name__}.{name}"
    home = _defined_in(module, name, found)
    if home is not None:
        yield f"- `{name}` is [`{home}.{name}`](#{_anchor(f'{home}.{name}')})."
        yield ""
        return
    yield f"### {whole}"
    yield ""
    if inspect.isclass(found) or inspect.isfunction(found):
        if signatures := _signatures(name, found):
            yield from ("```python", *signatures, "```", "")
        yield _text(found)
        yield ""
        if inspect.isclass(found):
            yield from _members(found)
    else:
        yield f"`{_value(name)}`"
        yield ""


def _defined_in(module: ModuleType, name: str, found: Any) -> str | None:
    """The package's face, where a name is on it too: each is described once."""
    if module is not meshcors and name in meshcors.__all__ and found is getattr(meshcors, name):
        return "meshcors"
    return None


def _signatures(name: str, found: Any) -> list[str]:
    overloads = typing.get_overloads(found) if inspect.isfunction(found) else []
    made = []
    for each in overloads or [found]:
        try:
            signature = inspect.signature(each)
        except ValueError:  # an exception without a constructor of its own
            continue
        parameters = [_parameter(each) for each in signature.parameters.values()]
        parameters = _with_marks(list(signature.parameters.values()), parameters)
        returned = "" if inspect.isclass(found) else _returned(signature)
        line = f"{name}({', '.join(parameters)}){returned}"
        if len(line) > 88:
            inside = "".join(f"    {parameter},\n" for parameter in parameters)
            line = f"{name}(\n{inside}){returned}"
        made.append(line)
    return made


def _with_marks(given: list[inspect.Parameter], texts: list[str]) -> list[str]:
    made: list[str] = []
    starred = False
    for parameter, text in zip(given, texts, strict=True):
        if parameter.kind is parameter.VAR_POSITIONAL:
            starred = True
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            made.append("*")
            starred = True
        made.append(text)
    return made


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        default = parameter.default
        shown = "..." if _is_a_stand_in(default) else repr(default).replace("'", '"')
        text += f" = {shown}" if ":" in text else f"={shown}"
    return text


def _is_a_stand_in(default: Any) -> bool:
    return not isinstance(default, str | int | float | bool | tuple | frozenset | type(None))


def _returned(signature: inspect.Signature) -> str:
    annotation = signature.return_annotation
    return "" if annotation is signature.empty else f" -> {_type(annotation)}"


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = text.strip("\"'")
    return re.sub(r"\b(?:meshcors(?:\._\w+|\.\w+)*|asgi_adapter|wsgi_adapter)\.(?=[A-Z])", "", text)


def _members(found: type) -> Iterator[str]:
    for name, member in vars(found).items():
        if name.startswith("_") and name != "__call__":
            continue
        if isinstance(member, classmethod | staticmethod):
            member = member.__func__
        if isinstance(member, property | cached_property):
            yield f"- `{name}`: {_first_paragraph(member)}"
        elif inspect.isfunction(member) and member.__doc__:
            signature = inspect.signature(member)
            parameters = list(signature.parameters.values())[1:]
            texts = _with_marks(parameters, [_parameter(each) for each in parameters])
            call = f"{name}({', '.join(texts)}){_returned(signature)}"
            yield f"- `{call}`: {_first_paragraph(member)}"
    yield ""


def _first_paragraph(member: Any) -> str:
    text = inspect.getdoc(member) or ""
    return _as_markdown(" ".join(text.partition("\n\n")[0].split()))


def _text(found: Any) -> str:
    # a word for pytest, which is for nobody else
    text = (inspect.getdoc(found) or "").partition("\n\nPYTEST_DONT_REWRITE")[0]
    return _as_markdown(text)


def _as_markdown(text: str) -> str:
    return re.sub(r"::$", ":", text.replace("``", "`"), flags=re.MULTILINE)


def _value(name: str) -> str:
    """What a constant or an alias is set to, as its source has it."""
    for node in _definitions():
        if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.target) == name:
            return ast.unparse(node.value).strip("'")
    raise LookupError(name)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")

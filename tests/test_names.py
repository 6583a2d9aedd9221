"""One name, one thing: no two classes of the package have the same name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import meshcors

PACKAGE = Path(meshcors.__file__).parent
# The middleware has one name for both interfaces.
SHARED = {"MeshCORS"}


def test_no_class_name_is_defined_twice() -> None:
    defined: defaultdict[str, list[str]] = defaultdict(list)
    for source in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                defined[node.name].append(source.relative_to(PACKAGE).as_posix())
    twice = {name: files for name, files in defined.items() if len(files) > 1}
    assert twice.keys() == SHARED, twice


def test_the_default_ports_are_written_once() -> None:
    ports = {80, 443, "80", "443", b":80", b":443"}
    written = [
        source.relative_to(PACKAGE).as_posix()
        for source in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in ports
    ]
    # And in a public signature, where the page on the interface shows it.
    assert written == ["_policy/web_ports.py"] * 2 + ["mesh/envoy.py"]


def test_the_configuration_shows_its_public_names_and_no_others() -> None:
    import meshcors.config

    shown = {name for name in dir(meshcors.config) if not name.startswith("_")}
    assert shown == set(meshcors.config.__all__)

"""docs/mesh.md is true, and `meshcors.mesh` documents every name that it exports."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from meshcors import mesh
from meshcors.mesh import envoy

PAGE = Path(__file__).parents[1] / "docs" / "mesh.md"


def test_the_pages_code_runs() -> None:
    """The Python blocks of the page run one after the other, in one namespace."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == 2
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), namespace)
    assert namespace["answer"].kind == "forward"


@pytest.mark.parametrize("name", mesh.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    exported = getattr(mesh, name)
    assert inspect.getdoc(exported)
    assert re.search(rf"`{name}(\.\w+)?`", inspect.getdoc(mesh) or ""), "the module names it"
    for member, value in vars(exported).items() if inspect.isclass(exported) else ():
        if not member.startswith("_") and callable(getattr(value, "__func__", value)):
            assert inspect.getdoc(value), f"{name}.{member}"


def test_the_bootstrap_is_documented() -> None:
    for parameter in inspect.signature(envoy.bootstrap).parameters:
        assert f"``{parameter}``" in (envoy.bootstrap.__doc__ or "")


@pytest.mark.parametrize("name", ["Answer", "Problem", "Request", "Step"])
def test_names_that_mean_something_else_elsewhere_are_gone(name: str) -> None:
    assert not hasattr(mesh, name)

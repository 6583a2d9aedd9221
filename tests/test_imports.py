"""What importing costs: no framework, no server; and that it is the installed package we test."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

import meshcors

FRAMEWORKS = {
    "aiohttp",
    "click",
    "django",
    "fastapi",
    "flask",
    "httpcore",
    "httpx",
    "litestar",
    "starlette",
    "werkzeug",
}
SERVERS = {"gunicorn", "httptools", "uvicorn", "uvloop", "wsgiref.simple_server"}
# Read where they are needed, by whoever has the extra that brings them.
EXTRAS = {
    "certifi",
    "envoy",
    "h2",
    "opentelemetry",
    "prometheus_client",
    "publicsuffixlist",
    "re2",
    "ruamel.yaml",
}

# Imported where its extra has been found to be there, or by an app of its framework.
OF_AN_EXTRA = {
    *(
        "meshcors.dummy._metrics",
        "meshcors.observers.opentelemetry",
        "meshcors.testing._connecting",
    ),
    *("meshcors.aiohttp", "meshcors.django"),
}

ALL_MODULES = f"""
import importlib, pkgutil, meshcors
for module in pkgutil.walk_packages(meshcors.__path__, "meshcors."):
    if not module.name.endswith("__main__") and module.name not in {OF_AN_EXTRA}:
        importlib.import_module(module.name)
"""


def python(code: str) -> str:
    """What a new interpreter prints for `code`, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout


def imported_by(module: str) -> set[str]:
    return set(json.loads(python(f"import json, sys, {module}; print(json.dumps([*sys.modules]))")))


@pytest.mark.parametrize(
    "module",
    [
        "meshcors.asgi",
        "meshcors.engine",
        "meshcors.wsgi",
        "meshcors.starlette",
        "meshcors.flask",
        "meshcors.wrap",
        "meshcors.observers",
        "meshcors._policy.rules",
        "meshcors.browser",
        "meshcors.mesh",
        "meshcors.testing",
    ],
)
def test_importing_it_imports_no_framework_no_server_and_nothing_of_an_extra(module: str) -> None:
    assert imported_by(module) & (FRAMEWORKS | SERVERS | EXTRAS) == set()


def test_a_framework_that_is_imported_is_seen_by_these_tests() -> None:
    assert imported_by("starlette.applications") & FRAMEWORKS == {"starlette"}


def test_importing_every_name_of_the_package_imports_neither_of_its_models() -> None:
    code = "import json, sys; from meshcors import *; print(json.dumps([*sys.modules]))"
    loaded = json.loads(python(code))
    assert not any(name.startswith(("meshcors.browser", "meshcors.mesh")) for name in loaded)


def test_importing_the_package_alone_imports_nothing_of_it() -> None:
    """The pod's first instant, in which it cannot be told to end yet, is as short as that."""
    assert {name for name in imported_by("meshcors") if name.startswith("meshcors")} == {"meshcors"}


def test_modules_that_were_always_imported_with_the_package_are_still_found_in_it() -> None:
    python("import meshcors; [meshcors.asgi, meshcors.config, meshcors.wrap, meshcors.wsgi]")


def test_every_module_can_be_imported_on_a_plain_install() -> None:
    python(ALL_MODULES)


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in meshcors.__all__:
        assert getattr(meshcors, name).__doc__
        assert name in dir(meshcors)


def test_what_is_tested_is_what_is_installed() -> None:
    installed = distribution("meshcors")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        expected = Path(__file__).parent.parent / "src"
    else:
        expected = Path(sysconfig.get_path("purelib"))
    assert Path(meshcors.__file__).samefile(expected / "meshcors" / "__init__.py")


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert Path(meshcors.__file__).with_name("py.typed").is_file()

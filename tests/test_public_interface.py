"""What is public: it is in ``__all__``, documented, and on the page; the rest has an underscore."""

from __future__ import annotations

import inspect
from types import ModuleType

import pytest

from tests import written_pages
from tests.public_interface import PAGE, page, public_modules

MODULES = public_modules()
# Faces of a package: what is not in ``__all__`` has an underscore, or is a module of its own.
FACES = [module for module in MODULES if hasattr(module, "__path__")]


def names(modules: list[ModuleType]) -> list[str]:
    return [module.__name__ for module in modules]


def test_the_page_is_what_the_code_says() -> None:
    written_pages.check(PAGE, page())


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_every_public_name_is_documented(module: ModuleType) -> None:
    assert module.__doc__
    for name in module.__all__:
        found = getattr(module, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert inspect.getdoc(found), name


@pytest.mark.parametrize("module", FACES, ids=names(FACES))
def test_a_package_shows_public_names_and_modules_only(module: ModuleType) -> None:
    others = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and name not in module.__all__ and not inspect.ismodule(value)
    }
    assert others == set()

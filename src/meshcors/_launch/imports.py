"""Calls a function with a module once it is imported, before anything can take a name from it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from typing import Any, Final


class ImportWatch:
    """A finder for `sys.meta_path`: it lets the others find a module, and calls `hook` after it.

    `hook` is called with the module. What it raises is raised by the import.
    """

    def __init__(self, names: Iterable[str], hook: Callable[[Any], None]) -> None:
        self._names: Final = frozenset(names)
        self._hook = hook
        self._looking_for: set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec that the other finders have for `name`, if it is watched."""
        if name not in self._names or name in self._looking_for:
            return None
        # Another finder may do as this one does, and ask all of them.
        self._looking_for.add(name)
        try:
            spec = self._found_by_others(name, path, target)
        finally:
            self._looking_for.discard(name)
        if spec is not None and spec.loader is not None:
            # It passes on whatever the loader has, which a type cannot say.
            spec.loader = _HookedLoader(spec.loader, self._hook)  # type: ignore[assignment]
        return spec

    def _found_by_others(self, name: str, path: Any, target: Any) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None


class _HookedLoader:
    """The loader of a watched module; the module itself gets to see only its own."""

    def __init__(self, loader: Any, hook: Callable[[Any], None]) -> None:
        self._loader = loader
        self._hook = hook

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._hook(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

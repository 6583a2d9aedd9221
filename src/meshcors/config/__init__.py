"""Policies from ``MESHCORS_*`` variables and from YAML, JSON and TOML files, and back."""

import typing as _typing

if _typing.TYPE_CHECKING:
    from meshcors.config._loading import from_environment, from_file, rules_from_file
    from meshcors.config._writing import to_document, to_environment
else:
    # Only on demand: most apps pass a policy, and reading files takes a third of the import.

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from meshcors.config import _loading, _writing

        return getattr(_writing if name.startswith("to_") else _loading, name)

    def __dir__() -> list[str]:
        return [*__all__]


__all__ = [
    "from_environment",
    "from_file",
    "rules_from_file",
    "to_document",
    "to_environment",
]

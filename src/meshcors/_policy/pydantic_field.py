"""Pydantic fields accept instances only, never data to make them from.

Pydantic would fill a dataclass from a dict without calling its `__init__`, which checks the data.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class PydanticField:
    """A base of classes whose instances can be fields of pydantic models; errors show no data."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> dict[str, Any]:
        """Return the schema of an instance check (pydantic's `GetCoreSchemaHandler` protocol)."""
        # Only pydantic calls this, so it is installed then. It is not a dependency.
        core: Any = import_module("pydantic_core")

        def check(given: object) -> object:
            if isinstance(given, cls):
                return given
            hint = f"pass a meshcors.{cls.__name__}: it cannot be made from data here"
            problem = core.PydanticCustomError("is_instance_of", hint)
            # Pydantic's own instance check would show the data, which may contain key values.
            details = [{"type": problem, "input": type(given)}]
            raise core.ValidationError.from_exception_data(cls.__name__, details)

        schema: dict[str, Any] = core.core_schema.no_info_plain_validator_function(check)
        return schema

"""A field of a pydantic model takes what was made and checked, and never data to make it from.

pydantic would fill a dataclass from a dict without calling its `__init__`, and so unchecked.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class PydanticField:
    """What is a field of a pydantic model as an instance alone; no error shows what was given."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> dict[str, Any]:
        """Return the schema of an instance check (pydantic's `GetCoreSchemaHandler` protocol)."""
        # pydantic calls this, so that it is there; it is no dependency, and has types of its own.
        core: Any = import_module("pydantic_core")

        def check(given: object) -> object:
            if isinstance(given, cls):
                return given
            hint = f"pass a meshcors.{cls.__name__}: it is not made from data here"
            problem = core.PydanticCustomError("is_instance_of", hint)
            # pydantic's own instance check would show the data, which may have key values in it.
            details = [{"type": problem, "input": type(given)}]
            raise core.ValidationError.from_exception_data(cls.__name__, details)

        schema: dict[str, Any] = core.core_schema.no_info_plain_validator_function(check)
        return schema

"""A policy written elsewhere: in ``MESHCORS_*`` variables, or in a YAML, JSON or TOML file."""

from meshcors.config._loading import from_environment, from_file, rules_from_file
from meshcors.config._writing import to_document, to_environment

__all__ = [
    "from_environment",
    "from_file",
    "rules_from_file",
    "to_document",
    "to_environment",
]

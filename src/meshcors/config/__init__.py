"""Policies from ``MESHCORS_*`` variables and from YAML, JSON and TOML files, and back."""

from meshcors.config._loading import from_environment, from_file, rules_from_file
from meshcors.config._writing import to_document, to_environment

__all__ = [
    "from_environment",
    "from_file",
    "rules_from_file",
    "to_document",
    "to_environment",
]

"""The old import path of `meshcors.Regex`; new code writes ``from meshcors import Regex``."""

from meshcors._policy.origins import Regex

__all__ = ["Regex"]

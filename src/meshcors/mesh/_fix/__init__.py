"""Fix VirtualServices: add the rule that browsers' preflights need, and close open origins.

`fix` and `separate` are pure: a text goes in, a text comes out.
"""

from __future__ import annotations

from meshcors.mesh._fix.in_place import fix
from meshcors.mesh._fix.options import FixOptions, FixResult, Responder
from meshcors.mesh._fix.second_document import separate

__all__ = ["FixOptions", "FixResult", "Responder", "fix", "separate"]

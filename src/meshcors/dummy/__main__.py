"""``python -m meshcors.dummy``."""

from meshcors.dummy._command import run

run()

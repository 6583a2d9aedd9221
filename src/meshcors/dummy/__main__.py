"""``python -m meshcors.dummy``."""

from meshcors.dummy.command import run

run()

"""``python -m meshcors.dummy``."""

from meshcors.dummy.command import main

main(prog_name="python -m meshcors.dummy")

"""``python -m meshcors.dummy``."""

from meshcors.dummy import end_on_sigterm

end_on_sigterm()

from meshcors.dummy._command import run  # noqa: E402 - see end_on_sigterm

run()

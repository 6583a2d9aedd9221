"""The reasons why a file is not fixed, each one a `DocumentError`."""

from __future__ import annotations

from meshcors.mesh._documents.problems import DocumentError, DocumentProblem, Place


def cannot_fix(
    place: Place, message: str, hint: str = "write the rule for preflights by hand"
) -> DocumentError:
    """Return the error for a file that can only be changed by hand."""
    return _error(place, "cannot_fix", message, hint)


def origins_needed(place: Place, message: str) -> DocumentError:
    """Return the error that asks for origins."""
    hint = "name the pages' origins: --allow-origin https://ui.example"
    return _error(place, "origins_needed", message, hint)


def nothing_to_read(file: str, *, has_routes: bool) -> DocumentError:
    """Return the error for a file without a VirtualService; ``has_routes`` if it has HTTPRoutes."""
    message = "no VirtualService in this file"
    if has_routes:
        message += "; HTTPRoutes are read only by lint and explain"
    return _error(Place(file, 1, 1), "no_routes", message, "pass the file that has one")


def running_configuration(file: str) -> DocumentError:
    """Return the error for what an Envoy runs, which a control plane has made of documents."""
    message = "this is the configuration of an Envoy, which fix does not change"
    hint = "change the VirtualService or HTTPRoute that it comes from"
    return _error(Place(file, 1, 1), "running", message, hint)


def _error(place: Place, code: str, message: str, hint: str) -> DocumentError:
    return DocumentError([DocumentProblem(place, code, "", message, hint)])

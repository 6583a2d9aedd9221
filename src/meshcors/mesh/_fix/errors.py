"""The reasons why a file is not fixed, each one a `DocumentError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshcors._policy.place import Place
from meshcors.mesh._documents.problems import DocumentError, DocumentProblem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshcors.mesh._analysis.comparison import HarmedCall
    from meshcors.mesh._analysis.lost_calls import LostCalls
    from meshcors.mesh._documents.model import VirtualService


def cannot_fix(
    place: Place, message: str, hint: str = "write the rule for preflights by hand"
) -> DocumentError:
    """Return the error for a file that can only be changed by hand."""
    return _error(place, "cannot_fix", message, hint)


def origins_needed(place: Place, message: str) -> DocumentError:
    """Return the error that asks for origins."""
    hint = "name the pages' origins: --allow-origin https://ui.example"
    return _error(place, "origins_needed", message, hint)


def would_harm(harmed: HarmedCall) -> DocumentError:
    """Return the error for rules that would harm a call of somebody else."""
    answer = harmed.exchange.answer
    what = "block" if harmed.is_blocked else "take over"
    message = f"a rule for preflights would {what} {harmed}, which {answer.rule} answers today"
    return cannot_fix(answer.place or Place("", 1, 1), message)


def would_stay_blocked(lost: LostCalls) -> DocumentError:
    """Return the error for a call that new rules would leave blocked."""
    taker = lost.answer.rule
    reason = f"{taker} would still take" if taker else "no rule would take"
    return cannot_fix(lost.calls.route.place, f"{reason} its preflights")


def nothing_to_read(file: str) -> DocumentError:
    """Return the error for a file without a document to fix."""
    message = "no VirtualService and no HTTPRoute in this file"
    return _error(Place(file, 1, 1), "no_routes", message, "pass the file that has one")


def refuse_running(documents: Iterable[VirtualService]) -> None:
    """Raise ``DocumentError`` for what an Envoy runs, which a control plane has made of others."""
    for document in documents:
        if document.kind == "RouteConfiguration":
            message = "this is the configuration of an Envoy, which fix does not change"
            hint = "change the VirtualService or HTTPRoute that it comes from"
            raise _error(Place(document.place.file, 1, 1), "running", message, hint)


def listed(items: Iterable[object]) -> str:
    """Return a few items as part of a sentence; of many, the first three and how many more."""
    texts = [str(each) for each in items]
    if len(texts) > 4:
        texts = [*texts[:3], f"{len(texts) - 3} more"]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _error(place: Place, code: str, message: str, hint: str) -> DocumentError:
    return DocumentError([DocumentProblem(place, code, "", message, hint)])

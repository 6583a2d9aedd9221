"""Where the answers differ from what a policy says (``--config``). Pure.

Only what a browser acts upon is compared: the grant, credentials, and what is listed beyond what
needs no permission.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from meshcors import browser
from meshcors._decision.simulation import simulate
from meshcors._doctor.consultation import ACAC, ACAO
from meshcors._doctor.rules import FoundFault, fault
from meshcors._policy.headers import SAFELISTED_METHODS, SAFELISTED_REQUEST_HEADERS

if TYPE_CHECKING:
    from collections.abc import Set

    from meshcors._decision.simulation import Decider
    from meshcors._doctor.consultation import Consultation, TriedRequest

_LISTS: Final = (
    ("access-control-allow-methods", SAFELISTED_METHODS),
    ("access-control-allow-headers", frozenset(SAFELISTED_REQUEST_HEADERS)),
)
_ACMA: Final = "access-control-max-age"
_NONE: Final = "nothing"


def against_the_policy(consultation: Consultation, decider: Decider) -> Iterator[FoundFault]:
    """Yield every answer that is not what the policy of `decider` gives."""
    for tried in consultation.tried:
        if tried.exchange is None or tried.response is None or tried.name == "no_origin":
            continue
        expected = expected_answer(decider, tried)
        differences = list(_differences(tried, expected, tried.response))
        if differences:
            value = consultation.quote("; ".join(differences))
            yield fault("policy_differs", consultation, tried, value=value)


def expected_answer(decider: Decider, tried: TriedRequest) -> browser.Response:
    """Return what the policy answers to a request; an app without fields of its own says 200."""
    if tried.exchange is None:
        return browser.Response(200)
    parts = urlsplit(tried.exchange.url)
    sent = [line for line in tried.exchange.sent if line[0] != "host"]
    fields = [("host", parts.netloc), *sent]
    path = unquote(parts.path, errors="replace")
    status, headers, _ = simulate(decider, tried.exchange.method, path, fields)
    return browser.Response(status, headers)


def _differences(
    tried: TriedRequest, expected: browser.Response, got: browser.Response
) -> Iterator[str]:
    for name in (ACAO, ACAC):
        wanted, found = expected.get(name), got.get(name)
        if wanted != found:
            yield _difference(name, wanted, found)
    is_preflight = tried.exchange is not None and tried.exchange.method == "OPTIONS"
    if not is_preflight or got.get(ACAO) is None or expected.get(ACAO) is None:
        return
    for name, safelisted in _LISTS:
        needed, listed = _listed(expected, name, safelisted), _listed(got, name, safelisted)
        if needed != listed:
            yield _difference(name, ", ".join(sorted(needed)), ", ".join(sorted(listed)))
    if expected.get(_ACMA) != got.get(_ACMA):
        yield _difference(_ACMA, expected.get(_ACMA), got.get(_ACMA))


def _listed(response: browser.Response, name: str, safelisted: Set[str]) -> set[str]:
    """Return what a list allows beyond what needs no permission, names in lower case."""
    elements = response.elements(name)
    if name.endswith("headers"):
        elements = [each.lower() for each in elements]
    return {each for each in elements if each not in safelisted} - {"OPTIONS"}


def _difference(name: str, wanted: str | None, found: str | None) -> str:
    return f"{name} is {found or _NONE} and should be {wanted or _NONE}"

"""What every rule yields, and the words that messages and fixes are filled with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from meshcors._doctor.findings import FINDING_KINDS, DoctorFinding
from meshcors._doctor.fixes import fix_for
from meshcors._doctor.grants import WantedGrant
from meshcors._doctor.seen_answer import redirect_target
from meshcors.browser._request_response import unsafe_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshcors._doctor.consultation import Consultation, TriedRequest
    from meshcors._doctor.findings import FindingCode, Severity
    from meshcors._doctor.layer_names import Layer


@dataclass(frozen=True, slots=True)
class FoundFault:
    """What a rule found: a code, the layer at fault, words for its message, and its severity.

    `severity` is that of the code if it is empty.
    """

    code: FindingCode
    layer: Layer
    words: Mapping[str, str] = field(default_factory=dict[str, str])
    severity: Severity | None = None


def fault(
    code: FindingCode,
    consultation: Consultation,
    tried: TriedRequest,
    severity: Severity | None = None,
    **words: str,
) -> FoundFault:
    """Return a fault in the answer to `tried`, with the words that its messages may use."""
    exchange, quote = tried.exchange, consultation.quote
    found: dict[str, str] = {"status": "nothing", "failure": "", "target": "", "what": _what(tried)}
    if exchange is not None:
        found["failure"] = quote.failure(exchange)
        if exchange.response is not None:
            found["status"] = str(exchange.response.status)
            target = redirect_target(exchange)
            found["target"] = "a URL that is none" if target is None else quote.url(target.geturl())
    return FoundFault(code, consultation.layer(tried).layer, {**found, **words}, severity)


_WHAT: Final = {
    "preflight": "the preflight",
    "redirect_preflight": "the preflight after the redirect",
    "call": "the call",
    "redirect_call": "the call after the redirect",
    "wrong_key": "a call with a wrong key",
    "no_key": "a call without a key",
}


def _what(tried: TriedRequest) -> str:
    return _WHAT.get(tried.name, f"a request of {tried.request.origin}")


def wanted_grant(consultation: Consultation) -> WantedGrant:
    """Return what the call needs."""
    request = consultation.request
    url = request.url.partition("?")[0]
    return WantedGrant(
        request.origin,
        url,
        request.method,
        tuple(unsafe_names(request)),
        request.credentials == "include",
        consultation.key,
    )


def as_finding(consultation: Consultation, found: FoundFault) -> DoctorFinding:
    """Return the finding with its message and its fix."""
    request = consultation.request
    want = wanted_grant(consultation)
    words = {
        "origin": request.origin,
        "host": urlsplit(request.url).netloc,
        "method": request.method,
        "key": consultation.key or "key",
        "field": "",
        "value": "",
        "why": "",
        "missing": "",
        "missing_quoted": "",
        "missing_flags": "",
        **found.words,
    }
    kind = FINDING_KINDS[found.code]
    return DoctorFinding(
        found.code,
        found.layer,
        found.severity or kind.severity,
        kind.message.format_map(words),
        fix_for(found.code, found.layer, want, words),
    )

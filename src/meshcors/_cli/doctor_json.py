"""The doctor's report as JSON; docs/doctor.md describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshcors._doctor.consultation import Consultation, TriedRequest
    from meshcors._doctor.diagnosis import Diagnosis


def as_report(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the report as plain data."""
    consultation = diagnosis.consultation
    request = consultation.request
    return {
        "url": consultation.quote.own_url(request.url),
        "origin": request.origin,
        "verdict": diagnosis.verdict,
        "browsers": {
            engine: {
                "works": verdict.works,
                "console": verdict.console,
                "max_age": verdict.max_age,
            }
            for engine, verdict in diagnosis.engines.items()
        },
        "requests": [_request(consultation, tried) for tried in consultation.tried],
        "findings": [
            {
                "code": finding.code,
                "layer": finding.layer,
                "severity": finding.severity,
                "message": finding.message,
                "fix": finding.fix,
            }
            for finding in diagnosis.findings
        ],
    }


def _request(consultation: Consultation, tried: TriedRequest) -> dict[str, Any]:
    exchange, answered = tried.exchange, consultation.layer(tried)
    return {
        "name": tried.name,
        "method": tried.request.method if exchange is None else exchange.method,
        "origin": "" if tried.name == "no_origin" else tried.request.origin,
        "status": None if tried.response is None else tried.response.status,
        "http": "" if exchange is None else exchange.http_version,
        "layer": "" if exchange is None else answered.layer,
        "evidence": [] if exchange is None else list(answered.evidence),
        "error": f"not sent: {tried.why_not}"
        if exchange is None
        else consultation.quote.failure(exchange),
    }

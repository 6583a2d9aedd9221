"""``meshcors fix`` on HTTPRoutes: what is written, where, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from meshcors.mesh import read_documents
from meshcors.mesh._analysis.origin_match import origin_match
from meshcors.mesh._documents.model import StringMatch, VirtualService
from meshcors.mesh._documents.problems import Place
from meshcors.mesh._fix.http_route_data import cors_origin

PLACE = Place("a.yaml", 1, 1)
ORIGINS = ["https://ui.example", "https://*.ui.example", "http://localhost:3000", "https://*", "*"]


def route(rules: str, namespace: str = "web") -> VirtualService:
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        f"metadata: {{name: model, namespace: {namespace}}}\n"
        f"spec:\n  parentRefs: [{{name: public}}]\n  rules: {rules}\n"
    )
    (document,) = read_documents(text, "a.yaml")
    return document


@pytest.mark.parametrize("origin", ORIGINS)
def test_an_origin_is_written_as_it_was_read(origin: str) -> None:
    cors = f"{{type: CORS, cors: {{allowOrigins: ['{origin}']}}}}"
    (rule,) = route(f"[{{filters: [{cors}], backendRefs: [{{name: a, port: 80}}]}}]").http
    assert rule.cors_policy is not None
    assert [cors_origin(each) for each in rule.cors_policy.allow_origins] == [origin]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("https://ui.example", "https://ui.example"),
        ("https://*.ui.example", "https://*.ui.example"),
        ("https://*.ui.example:8443", "https://*.ui.example:8443"),
        ("*", "*"),
        # The API has no pattern for ports, no regular expressions, and no null.
        ("http://localhost:*", None),
        ("regex:https://(a|b).example", None),
    ],
)
def test_an_origin_of_the_options_is_written_as_the_api_spells_it(
    given: str, written: str | None
) -> None:
    kind, value = origin_match(given)
    match = StringMatch("regex" if kind == "regex" else "exact", value, PLACE)
    assert cors_origin(match) == written

"""The bootstrap: what reaches Envoy of the documents, and how Envoy spells it."""

from __future__ import annotations

import json
from typing import Any

from meshcors.mesh import Gateway
from meshcors.mesh.envoy import bootstrap
from tests.mesh_cases import ALLOW, CASES, route, to, vs


def made(text: str, upstreams: dict[str, int | str] | None = None, **more: Any) -> dict[str, Any]:
    """The static resources of a bootstrap with one listener."""
    config = bootstrap({"main": Gateway.from_yaml(text)}, upstreams or {}, **more)
    resources: dict[str, Any] = json.loads(json.dumps(config))["static_resources"]
    return resources


def manager(text: str, **more: Any) -> dict[str, Any]:
    """The connection manager of the only listener."""
    (listener,) = made(text, **more)["listeners"]
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def first_route(text: str) -> dict[str, Any]:
    """The first route of the first host."""
    found: dict[str, Any] = manager(text)["route_config"]["virtual_hosts"][0]["routes"][0]
    return found


def test_every_case_has_a_bootstrap() -> None:
    gateways = {case.id: Gateway.from_yaml(case.text) for case in CASES}
    config = bootstrap(gateways, {})
    assert len(config["static_resources"]["listeners"]) == len(CASES)


def test_destinations_become_clusters_and_a_missing_one_has_no_endpoint() -> None:
    text = vs(f"{{match: [{{uri: {{exact: /a}}}}], {to()}}}\n{{{to('two', 8000)}}}")
    clusters = {
        it["name"]: it["load_assignment"] for it in made(text, {"two:8000": 4711})["clusters"]
    }
    assert clusters.keys() == {"outbound|80||one", "outbound|8000||two"}
    assert clusters["outbound|80||one"]["endpoints"] == [{"lb_endpoints": []}]
    assert "4711" in json.dumps(clusters["outbound|8000||two"])


def test_filters_are_cors_then_router_and_the_log_is_asked_for() -> None:
    names = [each["name"] for each in manager(vs(f"{{{to()}}}"))["http_filters"]]
    assert names == ["envoy.filters.http.cors", "envoy.filters.http.router"]
    assert "access_log" not in manager(vs(f"{{{to()}}}"))
    assert "%ROUTE_NAME%" in json.dumps(manager(vs(f"{{{to()}}}"), log_format="%ROUTE_NAME%"))


def test_a_log_in_json_more_filters_and_other_machines_are_what_was_asked_for() -> None:
    lua = {"name": "lua"}
    asked = manager(
        vs(f"{{{to()}}}"), log_format={"rule": "%ROUTE_NAME%"}, http_filters={"main": [lua]}
    )
    assert [each["name"] for each in asked["http_filters"]][:2] == [
        "lua",
        "envoy.filters.http.cors",
    ]
    (log,) = asked["access_log"]
    assert log["typed_config"]["log_format"] == {"json_format": {"rule": "%ROUTE_NAME%"}}
    (cluster,) = made(vs(f"{{{to()}}}"), {"one:80": "[::1]:4711"})["clusters"]
    assert '"address": "::1", "port_value": 4711' in json.dumps(cluster)


def test_on_port_443_requests_are_https() -> None:
    overwrite = {"scheme_to_overwrite": "https"}
    assert manager(vs(f"{{{to()}}}"), port=443)["scheme_header_transformation"] == overwrite
    assert "scheme_header_transformation" not in manager(vs(f"{{{to()}}}"), port=80)


def test_a_policy_is_the_routes_own_and_says_what_istio_says() -> None:
    policy = first_route(vs(f"{{corsPolicy: {{{ALLOW}, maxAge: 24h}}, {to()}}}"))
    assert policy["typed_per_filter_config"] == {
        "envoy.filters.http.cors": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
            "allow_origin_string_match": [{"exact": "https://ui.example"}],
            "allow_methods": "",
            "allow_headers": "",
            "expose_headers": "",
            "max_age": "86400",
            "forward_not_matching_preflights": True,
            "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        }
    }


def test_request_headers_are_set_added_and_removed_and_the_host_rewritten() -> None:
    found = first_route(
        vs(
            "{route: [{destination: {host: a}, headers: {request: {add: {b: c, Host: in.test}}}}], "
            "headers: {request: {set: {a: b}, remove: [d]}}}"
        )
    )
    assert found["request_headers_to_add"] == [
        {"header": {"key": "a", "value": "b"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
        {"header": {"key": "b", "value": "c"}, "append_action": "APPEND_IF_EXISTS_OR_ADD"},
    ]
    assert found["request_headers_to_remove"] == ["d"]
    assert found["route"]["host_rewrite_literal"] == "in.test"


def test_inverted_conditions_take_a_missing_header_for_empty_except_present() -> None:
    text = vs(f"{{match: [{{withoutHeaders: {{b: {{}}, a: {{prefix: x}}}}}}], {to()}}}")
    assert first_route(text)["match"]["headers"] == [
        {
            "name": "a",
            "string_match": {"prefix": "x"},
            "invert_match": True,
            "treat_missing_header_as_empty": True,
        },
        {"name": "b", "present_match": True, "invert_match": True},
    ]


def test_claims_are_matched_in_the_metadata_of_a_verified_token() -> None:
    text = vs(f"{{match: [{{headers: {{'@request.auth.claims.a.b': {{exact: c}}}}}}], {to()}}}")
    assert first_route(text)["match"]["dynamic_metadata"] == [
        {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "payload"}, {"key": "a"}, {"key": "b"}],
            "value": {"string_match": {"exact": "c"}},
            "invert": False,
        }
    ]


def test_an_http_routes_missing_service_is_a_500() -> None:
    found = first_route(route("{backendRefs: [{name: one, port: 80}]}"))
    assert found["route"]["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"


def test_weights_are_those_above_zero() -> None:
    text = vs("{route: [{destination: {host: a}, weight: 9}, {destination: {host: b}}]}")
    assert first_route(text)["route"]["weighted_clusters"] == {
        "clusters": [{"name": "outbound|80||a", "weight": 9}]
    }

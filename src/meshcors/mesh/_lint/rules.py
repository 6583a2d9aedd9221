"""The table of lint rules, in the order of their ids. An id is never reused."""

from __future__ import annotations

from typing import Final

from meshcors.mesh._lint import (
    curl_tests,
    lists,
    origin_lists,
    origins,
    other_objects,
    routing,
    strayed,
    taken_calls,
    unanswered,
    unreached,
)
from meshcors.mesh._lint.finding import LintRule

WOULD_NOT_LOAD: Final = LintRule(
    "MC000", "error", "would-not-load", "Kubernetes, Istio or Envoy would refuse this"
)
BAD_REGEX: Final = LintRule("MC006", "error", "bad-regex", "a regex that RE2 refuses")

RULES: Final = (
    WOULD_NOT_LOAD,
    LintRule(
        "MC001", "error", "lost-preflight",
        "a corsPolicy that no preflight reaches", routing.lost_preflights,
    ),
    LintRule(
        "MC002", "warning", "strayed-preflight",
        "a corsPolicy whose preflights another rule answers", strayed.strayed_preflights,
    ),
    LintRule(
        "MC003", "error", "policy-without-service",
        "a corsPolicy next to redirect or directResponse", routing.policy_without_service,
    ),
    LintRule(
        "MC004", "error", "star-with-credentials",
        "any origin, with credentials", origins.star_with_credentials,
    ),
    LintRule(
        "MC005", "error", "origin-never-sent",
        "an origin that no browser sends", origins.never_sent,
    ),
    BAD_REGEX,
    LintRule(
        "MC007", "warning", "bare-dot",
        "a regex with a dot that matches any character", origins.bare_dots,
    ),
    LintRule(
        "MC008", "error", "partial-regex",
        "a regex for only a part of an origin", origins.partial_regexes,
    ),
    LintRule(
        "MC009", "error", "stranger-regex",
        "a regex that matches strangers' origins", origins.stranger_regexes,
    ),
    LintRule("MC010", "error", "prefix-origin", "a prefix of origins", origins.prefixes),
    LintRule(
        "MC011", "warning", "unmatched-preflights",
        "preflights of refused origins left to the service", routing.unmatched_preflights,
    ),
    LintRule(
        "MC012", "note", "hollow-curl-test",
        "a curl command that is meant to be a preflight but is not one",
        curl_tests.hollow_curl_tests,
    ),
    LintRule(
        "MC013", "error", "routing-header-missing",
        "an allowHeaders without the header that picks the service",
        routing.routing_header_missing,
    ),
    LintRule(
        "MC014", "note", "names-without-effect",
        "names in the lists that have no effect", lists.names_without_effect,
        summary="names without effect in {} lists",
    ),
    LintRule(
        "MC015", "note", "long-max-age",
        "a maxAge longer than browsers keep an answer", lists.long_max_age,
        summary="a long maxAge in {} policies",
    ),
    LintRule(
        "MC016", "error", "dead-preflight-rule",
        "a rule for preflights behind one that takes them", routing.dead_preflight_rules,
    ),
    LintRule(
        "MC017", "warning", "swallowed-options",
        "a rule for preflights that takes every OPTIONS request", routing.swallowed_options,
    ),
    LintRule(
        "MC018", "warning", "two-owners",
        "CORS headers in header operations", routing.two_owners,
    ),
    LintRule(
        "MC019", "warning", "authorization-in-front",
        "authorization that stops preflights", other_objects.authorization_in_front,
    ),
    LintRule(
        "MC020", "warning", "inference-pool",
        "a corsPolicy on a rule to an InferencePool", other_objects.pool_with_policy,
    ),
    LintRule(
        "MC021", "warning", "owned-elsewhere",
        "CORS in a VirtualService that a controller writes", other_objects.owned_by_a_controller,
    ),
    LintRule("MC022", "error", "null-origin", "the origin null", origins.null_origin),
    LintRule(
        "MC023", "warning", "insecure-origin",
        "an http origin, with credentials", origins.insecure_origins,
    ),
    LintRule("MC024", "warning", "literal-star", "a * among other names", lists.literal_stars),
    LintRule(
        "MC025", "error", "no-origins", "a corsPolicy without origins", origin_lists.no_origins
    ),
    LintRule(
        "MC026", "warning", "unanswered-preflight",
        "routing by header whose preflights nothing answers", unanswered.unanswered_preflights,
    ),
    LintRule(
        "MC027", "warning", "unreached-policy",
        "a corsPolicy on a rule that no request reaches", unreached.unreached_policies,
    ),
    LintRule(
        "MC028", "warning", "replaced-origins",
        "an allowOrigin next to allowOrigins", origin_lists.replaced_origins,
    ),
    LintRule(
        "MC029", "warning", "own-origin",
        "a corsPolicy that allows only its own host", origin_lists.own_origins,
    ),
    LintRule(
        "MC030", "warning", "taken-preflights",
        "a rule for preflights that takes those of another corsPolicy", strayed.taken_preflights,
    ),
    LintRule(
        "MC031", "warning", "taken-calls",
        "a rule that takes the calls of another document", taken_calls.taken_calls,
    ),
)  # fmt: skip

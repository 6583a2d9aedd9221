"""Rules as documents of the mesh: VirtualServices and HTTPRoutes that lead preflights to the pod.

Plain data in, plain data out, in a fixed order. The documents leave the services' own routes to
others: theirs stand beside these, for the same host and gateway.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

from meshcors._policy.headers import SAFELISTED_REQUEST_HEADERS
from meshcors._policy.origins import Regex
from meshcors._policy.policy import Policy
from meshcors._policy.rules import Rule, RuleSet
from meshcors.mesh._analysis.origin_match import origin_match

Document: TypeAlias = dict[str, Any]
Responder: TypeAlias = Literal["pod", "both"]

_REQUEST_METHOD: Final = "access-control-request-method"


def virtual_services(
    rules: RuleSet, *, name: str, gateway: str, pod: tuple[str, int], way: Responder
) -> list[Document]:
    """Return the VirtualServices (networking.istio.io/v1) of `rules`, one for each set of hosts.

    They bear `name`, numbered where there are several, are bound to `gateway`, and route
    preflights, and what no other rule of the host takes, to `pod` (host and port). With the way
    "both" the preflights' rules have a corsPolicy, so that Envoy answers allowed origins itself.
    """
    documents: list[Document] = []
    for hosts, covering in _by_hosts(rules):
        http: list[Document] = []
        for rule in covering:
            preflight: Document = {
                "name": f"preflight{_number(covering, rule)}",
                "match": [
                    {
                        "method": {"exact": "OPTIONS"},
                        "headers": {_REQUEST_METHOD: {}},
                        **path,
                    }
                    for path in _istio_paths(rule)
                ],
            }
            if way == "both":
                preflight["corsPolicy"] = cors_policy(rule.policy)
            http.append({**preflight, "route": [_istio_destination(pod)]})
        for rule in covering:
            paths = [path for path in _istio_paths(rule) if path]
            match = {"match": paths} if paths else {}
            unmatched = f"unmatched{_number(covering, rule)}"
            http.append({"name": unmatched, **match, "route": [_istio_destination(pod)]})
        documents.append(
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": name},
                "spec": {"hosts": hosts, "gateways": [gateway], "http": http},
            }
        )
    return _numbered(documents)


def http_routes(rules: RuleSet, *, name: str, gateway: str, pod: tuple[str, int]) -> list[Document]:
    """Return the HTTPRoutes (gateway.networking.k8s.io/v1) of `rules`; see `virtual_services`."""
    documents: list[Document] = []
    for hosts, covering in _by_hosts(rules):
        preflights: list[Document] = []
        unmatched: list[Document] = []
        backend = {"backendRefs": [{"name": pod[0], "port": pod[1]}]}
        for rule in covering:
            path = {"path": {"type": "PathPrefix", "value": rule.path_prefix}}
            # "Present", in the words of the Gateway API.
            asks = {"type": "RegularExpression", "name": _REQUEST_METHOD, "value": ".+"}
            preflights.append(
                {"matches": [{**path, "method": "OPTIONS", "headers": [asks]}], **backend}
            )
            unmatched.append({"matches": [path], **backend})
        hostnames = {} if hosts == ["*"] else {"hostnames": hosts}
        documents.append(
            {
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": {"name": name},
                "spec": {
                    "parentRefs": [{"name": gateway}],
                    **hostnames,
                    "rules": [*preflights, *unmatched],
                },
            }
        )
    return _numbered(documents)


def cors_policy(policy: Policy) -> Document:
    """Return `policy` as Istio's corsPolicy.

    Envoy checks less than meshcors: no method, no header, and it says no Vary. What allows
    everything here is written out for it: the key's name and the safelisted names too.
    """
    names = [*policy.allow_headers, *([policy.key.name] if policy.key else [])]
    made: Document = {
        "allowOrigins": [_string_match(origin) for origin in policy.allow_origins],
        "allowMethods": list(policy.allow_methods),
        "allowHeaders": list(dict.fromkeys([*names, *SAFELISTED_REQUEST_HEADERS])),
        "exposeHeaders": list(policy.expose_headers),
        "allowCredentials": policy.allow_credentials,
        "maxAge": None if policy.max_age is None else f"{policy.max_age}s",
        "unmatchedPreflights": "FORWARD",
    }
    return {name: value for name, value in made.items() if value not in ([], False, None)}


def _string_match(origin: str | Regex) -> dict[str, str]:
    kind, value = origin_match(str(origin))
    return {kind: value}


def _by_hosts(rules: RuleSet) -> Iterator[tuple[list[str], list[Rule]]]:
    """Yield hosts with the rules that cover them, in order.

    Envoy looks at one entry of hosts only, the nearest: it must hold the rules of all others that
    cover these hosts too.
    """
    hosts = dict.fromkeys(host for rule in rules.rules for host in rule.hosts or ("*",))
    grouped: dict[tuple[int, ...], list[str]] = {}
    for host in hosts:
        covering = tuple(
            number for number, rule in enumerate(rules.rules) if _covers(rule.hosts, host)
        )
        grouped.setdefault(covering, []).append(host)
    for numbers, group in grouped.items():
        # Istio refuses a host beside a wildcard that covers it.
        apart = [
            host for host in group if not any(_covers((it,), host) for it in group if it != host)
        ]
        yield apart, [rules.rules[number] for number in numbers]


def _covers(hosts: tuple[str, ...], host: str) -> bool:
    return not hosts or any(
        each in (host, "*") or (each.startswith("*.") and host.endswith(each[1:])) for each in hosts
    )


def _istio_paths(rule: Rule) -> list[Document]:
    """Return the conditions for the paths that a rule covers: Istio's prefixes know no segments."""
    prefix = rule.path_prefix
    if prefix == "/":
        return [{}]
    return [{"uri": {"exact": prefix}}, {"uri": {"prefix": f"{prefix}/"}}]


def _istio_destination(pod: tuple[str, int]) -> Document:
    return {"destination": {"host": pod[0], "port": {"number": pod[1]}}}


def _number(covering: list[Rule], rule: Rule) -> str:
    return "" if len(covering) == 1 else f"-{covering.index(rule) + 1}"


def _numbered(documents: list[Document]) -> list[Document]:
    if len(documents) > 1:
        for number, document in enumerate(documents, start=1):
            document["metadata"]["name"] += f"-{number}"
    return documents

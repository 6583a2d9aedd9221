"""The filters that Istio makes of the objects that stand in front of routes.

Of each object, only what the zoo uses is translated. Sources: Istio's
``pilot/pkg/security/authz/builder/builder.go`` and ``pilot/pkg/security/authn/policy_applier.go``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TYPES = "type.googleapis.com/envoy.extensions.filters.http"
# The cluster of an ext_authz provider.
PROVIDER = "ext_authz"


def filters(config: str) -> list[Any]:
    """The filters that stand in front of the routes, as Istio makes them of these objects."""
    found: list[Any] = []
    for document in YAML(typ="safe").load_all(config):
        kind, spec = document["kind"], document["spec"]
        if kind == "AuthorizationPolicy" and spec["action"] == "CUSTOM":
            found += _ext_authz(spec)
        elif kind == "AuthorizationPolicy":
            found.append(_filter("rbac", "RBAC", {"rules": _rules(spec["rules"], spec["action"])}))
        elif kind == "RequestAuthentication":
            found.append(_jwt(spec["jwtRules"]))
        elif kind == "EnvoyFilter":
            found += [each["patch"]["value"] for each in spec["configPatches"]]
    return found


def _filter(name: str, message: str, config: dict[str, Any]) -> dict[str, Any]:
    kind = f"{_TYPES}.{name}.v3.{message}"
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": kind, **config}}


def _rules(rules: Sequence[Any], action: str = "ALLOW", prefix: str = "rule") -> dict[str, Any]:
    policies = {
        f"{prefix}-{at}": {
            "permissions": [each for to in rule.get("to", ()) for each in _operation(**to)]
            or [{"any": True}],
            "principals": [_condition(**when) for when in rule.get("when", ())] or [{"any": True}],
        }
        for at, rule in enumerate(rules)
    }
    return {"action": action, "policies": policies}


def _operation(operation: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """All fields must match; ``notMethods`` and a list of methods, or a path's prefix."""
    wanted: list[dict[str, Any]] = []
    for field, values in operation.items():
        if field == "paths":
            paths = [{"url_path": {"path": {"prefix": each.rstrip("*")}}} for each in values]
            wanted.append({"or_rules": {"rules": paths}})
        else:
            methods = [
                {"header": {"name": ":method", "string_match": {"exact": each}}} for each in values
            ]
            any_of = {"or_rules": {"rules": methods}}
            wanted.append({"not_rule": any_of} if field == "notMethods" else any_of)
    return [{"and_rules": {"rules": wanted}}]


def _condition(key: str, values: Sequence[str]) -> dict[str, Any]:
    name = key.removeprefix("request.headers[").removesuffix("]")
    matched = [{"header": {"name": name, "string_match": {"exact": each}}} for each in values]
    return {"or_ids": {"ids": matched}}


def _jwt(rules: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Istio lets a call without a token pass, and preflights."""
    providers = {
        f"origins-{at}": {"issuer": each["issuer"], "local_jwks": {"inline_string": each["jwks"]}}
        for at, each in enumerate(rules)
    }
    wanted = [{"provider_name": name} for name in providers]
    requires = {"requires_any": {"requirements": [*wanted, {"allow_missing": {}}]}}
    config = {
        "providers": providers,
        "rules": [{"match": {"prefix": "/"}, "requires": requires}],
        "bypass_cors_preflight": True,
    }
    return _filter("jwt_authn", "JwtAuthentication", config)


def _ext_authz(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An RBAC filter notes which rule takes the request; the provider is asked if one does."""
    noted = {
        "shadow_rules": _rules(spec["rules"], "DENY", "istio-ext-authz"),
        "shadow_rules_stat_prefix": "istio_ext_authz_",
    }
    asked = {
        "http_service": {
            "server_uri": {"uri": "http://denies", "cluster": PROVIDER, "timeout": "5s"},
            "authorization_request": {
                "allowed_headers": {"patterns": [{"exact": "authorization"}]}
            },
            # otherwise all that the provider said reaches the page, as if a service had said it
            "authorization_response": {
                "allowed_client_headers": {"patterns": [{"exact": "www-authenticate"}]}
            },
        },
        "filter_enabled_metadata": {
            "filter": "envoy.filters.http.rbac",
            "path": [{"key": "istio_ext_authz_shadow_effective_policy_id"}],
            "value": {"string_match": {"prefix": "istio-ext-authz"}},
        },
    }
    return [_filter("rbac", "RBAC", noted), _filter("ext_authz", "ExtAuthz", asked)]

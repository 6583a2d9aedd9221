"""A real Envoy with every fault that VirtualServices can have, one listener for each."""

from __future__ import annotations

import base64
import hmac
import io
import json
import tempfile
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshcors import _cli as cli
from meshcors.mesh import Gateway
from meshcors.mesh.envoy import bootstrap
from tests.e2e.envoy import running_envoy
from tests.e2e.zoo.istio_filters import PROVIDER, filters
from tests.e2e.zoo.set_up import (
    JSON,
    KEY,
    LOGGED_IN,
    Call,
    Change,
    Command,
    Insert,
    InService,
    PodFlags,
    SetUp,
    by_name,
    codes,
    fixed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The services that the documents name, by the upstreams of the Python apps; `gone` is not there,
# and `meshcors-dummy` is the pod.
_SERVICES = ("bare", "starred", "twice", "good", "denies")
_SECRET = b"no secret"
_KEYS = '{"keys": [{"kty": "oct", "alg": "HS256", "k": "bm8gc2VjcmV0"}]}'


def _token() -> str:
    """A token that the key has signed."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"iss": "https://login.example"}]
    text = ".".join(_base64(json.dumps(each).encode()) for each in parts)
    return f"{text}.{_base64(hmac.digest(_SECRET, text.encode(), 'sha256'))}"


def _base64(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _service(rules: str, more: str = "") -> str:
    """A VirtualService with these rules, and objects beside it."""
    return f"""apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: model, namespace: models}}
spec:
  hosts: ["*"]
  gateways: [ingress/public]
  http:
{rules.strip(chr(10))}
{more}"""


def _to(name: str) -> str:
    return f"    route: [{{destination: {{host: {name}, port: {{number: 80}}}}}}]"


_WITH_POLICY = f"""
  - corsPolicy:
      allowOrigins: [{{exact: https://ui.example}}]
      allowMethods: [POST, PUT]
      allowHeaders: [content-type, model-api-key]
      maxAge: 600s
      unmatchedPreflights: IGNORE
{_to("bare")}
"""
_FOR_TOKENS = Change("model-api-key]", "authorization]").apply(_WITH_POLICY)
_BY_KEY = '    match: [{headers: {model-api-key: {exact: "xyz"}}}]'
_ORIGINAL = f"""
  - corsPolicy:
      allowCredentials: true
      allowHeaders: [authorization, content-type, accept, origin, user-agent, model-api-key]
      allowMethods: [POST, GET, PUT, DELETE, OPTIONS]
      allowOrigins: [{{exact: "*"}}]
      maxAge: 24h
{_BY_KEY}
{_to("bare")}
"""


def _policy(old: str, new: str) -> str:
    return _service(Change(old, new).apply(_WITH_POLICY))


def _with(change: tuple[str, str], then: tuple[str, str]) -> str:
    return Change(*then).apply(_policy(*change))


# What Kubernetes notes of an object that a controller makes.
_OF_KSERVE = (
    "ownerReferences: [{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, name: model,"
    ' uid: "7", controller: true}]'
)
_FOR_CACHES = "headers: {response: {set: {cache-control: max-age=60}}}"
_PREFLIGHTS = "match: [{method: {exact: OPTIONS}, headers: {access-control-request-method: {}}}]"
_ALLOW_UI = 'allowOrigins: [{exact: "https://ui.example"}]'
_ORIGIN = "{exact: https://ui.example}"
_CREDENTIALS = ("maxAge: 600s", "maxAge: 600s\n      allowCredentials: true")
_AUTHORIZATION = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-with-the-key, namespace: ingress}
spec:
  action: ALLOW
  rules:
  - when: [{key: "request.headers[model-api-key]", values: [xyz]}]
"""
_TOKENS = """---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: ingress}
spec:
  jwtRules: [{issuer: https://login.example, jwks: '@keys@'}]
""".replace("@keys@", _KEYS)
_TOKENS_OF_ALL = """---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: tokens, namespace: ingress}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.jwt_authn
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
          providers:
            login: {issuer: https://login.example, local_jwks: {inline_string: '@keys@'}}
          rules: [{match: {prefix: /}, requires: {provider_name: login}}]
""".replace("@keys@", _KEYS)
_ASKS_OTHERS = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask-first, namespace: ingress}
spec:
  action: CUSTOM
  provider: {name: denies}
  rules:
  - to:
    - operation:
        paths: [/v1/*]
"""
# As `fix --with pod` writes it, and the pod for who has no key or a wrong one.
_WITH_POD = f"""
  - match:
    - method: {{exact: OPTIONS}}
      headers: {{access-control-request-method: {{}}}}
    route: [{{destination: {{host: meshcors-dummy, port: {{number: 8080}}}}}}]
{_BY_KEY.replace("    match", "  - match")}
{_to("good")}
  - route: [{{destination: {{host: meshcors-dummy, port: {{number: 8080}}}}}}]
"""
_AUTHORIZATION_OF_OTHERS = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-to-read, namespace: ingress}
spec:
  action: DENY
  rules:
  - to:
    - operation:
        methods: [OPTIONS, DELETE]
"""
_FIX = Command("meshcors fix FILE --with pod --allow-origin https://ui.example")

_COVERED = InService(
    'MeshCORS(app, allow_origins=["https://ui.example"], allow_headers=["model-api-key"],'
    " max_age=600)",
    service="bare",
    name="bare-covered",
)
_NULL = '[{exact: https://ui.example}, {exact: "null"}]'

ENVOY = (
    SetUp(
        name="routed by the key, no corsPolicy",
        config=_service(
            f"  - match: [{{headers: {{model-api-key: {{exact: xyz}}}}}}]\n{_to('good')}"
        ),
        layer="envoy_no_route",
        codes=codes("preflight_not_routed"),
        fix=_FIX,
    ),
    SetUp(
        name="corsPolicy only on the rule of the key",
        config=_service(_ORIGINAL),
        call=LOGGED_IN,
        layer="envoy_no_route",
        codes=codes("preflight_not_routed"),
        fix=_FIX,
    ),
    SetUp(
        name="an HTTPRoute that routes by the key",
        config="""apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: model, namespace: models}
spec:
  parentRefs: [{name: public}]
  rules:
  - matches: [{headers: [{name: model-api-key, value: xyz}]}]
    backendRefs: [{name: good, port: 80}]
""",
        layer="envoy_no_route",
        codes=codes("preflight_not_routed"),
        fix=_FIX,
    ),
    SetUp(
        name="corsPolicy on a rule with directResponse",
        config=_service(
            _WITH_POLICY.replace(_to("bare"), "    directResponse: {status: 200}").replace(
                "  - cors", "  - match: [{method: {exact: OPTIONS}}]\n    cors"
            )
            + _WITH_POLICY
        ),
        layer="envoy_direct_response",
        codes=codes("preflight_unanswered"),
        fix=_FIX,
    ),
    SetUp(
        name="corsPolicy on a rule with redirect",
        config=_service(_WITH_POLICY.replace(_to("bare"), "    redirect: {scheme: https}")),
        layer="envoy_direct_response",
        codes=codes("preflight_redirected"),
    ),
    SetUp(
        name='exact "*" with credentials',
        config=_with((_ORIGIN, '{exact: "*"}'), _CREDENTIALS),
        call=LOGGED_IN,
        verdict="works",
        layer="envoy_cors",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Change('allowOrigins: [{exact: "*"}]', _ALLOW_UI),
    ),
    SetUp(
        name='regex ".*" with credentials',
        config=_with((_ORIGIN, '{regex: ".*"}'), _CREDENTIALS),
        call=LOGGED_IN,
        verdict="works",
        layer="envoy_cors",
        codes=codes("stranger_echoed_with_credentials"),
        fix=Change('allowOrigins: [{regex: ".*"}]', _ALLOW_UI),
    ),
    SetUp(
        name="null among the origins",
        config=_policy(f"[{_ORIGIN}]", _NULL),
        verdict="works",
        layer="envoy_cors",
        codes=codes("null_allowed"),
    ),
    SetUp(
        name="exact without a scheme",
        config=_policy(_ORIGIN, "{exact: ui.example}"),
        layer="envoy_cors",
        codes=codes("origin_not_allowed"),
        fix=Change("allowOrigins: [{exact: ui.example}]", _ALLOW_UI),
    ),
    SetUp(
        name="exact without a scheme, refused preflights forwarded",
        config=_with((_ORIGIN, "{exact: ui.example}"), ("      unmatchedPreflights: IGNORE\n", "")),
        layer="app",
        codes=codes("preflight_unanswered"),
        fix=_COVERED,
    ),
    SetUp(
        name="a regex for a part of the origin, and Envoy matches all of it",
        config=_policy(_ORIGIN, "{regex: ui.example}"),
        layer="envoy_cors",
        codes=codes("origin_not_allowed"),
        fix=Change("allowOrigins: [{regex: ui.example}]", _ALLOW_UI),
    ),
    SetUp(
        name="a regex whose dot is not escaped",
        config=_policy(_ORIGIN, "{regex: https://app.ui.example}"),
        call=Call(origin="https://app.ui.example"),
        verdict="works",
        layer="envoy_cors",
        codes=codes("look_alike_allowed"),
        fix=Change("[{regex: https://app.ui.example}]", '[{exact: "https://app.ui.example"}]'),
    ),
    SetUp(
        name="the prefix of an origin",
        config=_policy(_ORIGIN, "{prefix: https://ui.example}"),
        verdict="works",
        layer="envoy_cors",
        codes=codes("look_alike_allowed"),
        fix=Change("allowOrigins: [{prefix: https://ui.example}]", _ALLOW_UI),
    ),
    SetUp(
        name="refused preflights forwarded to an app that says *",
        config=_with((_to("bare"), _to("starred")), ("      unmatchedPreflights: IGNORE\n", "")),
        call=Call(method="GET", path="/v1/models", headers=()),
        verdict="works",
        layer="app",
        codes=codes("stranger_allowed"),
        fix=InService(
            'MeshCORS(app, allow_origins=["https://ui.example"], max_age=600)',
            service="starred",
            name="starred-covered",
        ),
    ),
    SetUp(
        name="allowHeaders without the key",
        config=_policy("[content-type, model-api-key]", "[content-type]"),
        layer="envoy_cors",
        codes=codes("header_not_allowed"),
        fix=Change("allowHeaders: [content-type]", "allowHeaders: [content-type, model-api-key]"),
    ),
    SetUp(
        name="allowMethods without the method",
        config=_policy("[POST, PUT]", "[POST]"),
        call=Call(method="PUT"),
        layer="envoy_cors",
        codes=codes("method_not_allowed"),
        fix=Change("allowMethods: [POST]", "allowMethods: [PUT]"),
    ),
    SetUp(
        name="allowMethods with * beside a name, and a call with credentials",
        config=_with(("[POST, PUT]", '[GET, "*"]'), _CREDENTIALS),
        call=Call(method="PUT", credentials=True),
        layer="envoy_cors",
        codes=codes("method_not_allowed"),
        fix=Change('allowMethods: [GET, "*"]', "allowMethods: [PUT]"),
    ),
    SetUp(
        name="a maxAge that no browser keeps to",
        config=_policy("maxAge: 600s", "maxAge: 48h"),
        verdict="works",
        layer="envoy_cors",
        codes=codes("max_age_capped"),
    ),
    SetUp(
        name="an answer that caches keep, and no Vary of the corsPolicy",
        config=_policy("number: 80}}", f"number: 80}}}}, {_FOR_CACHES}"),
        call=Call(method="GET", path="/v1/models", headers=()),
        verdict="works",
        layer="app",
        codes=codes("vary_missing"),
        fix=Insert("headers: {response: {add: {vary: Origin}}}", before="route:"),
    ),
    SetUp(
        name="no allowCredentials",
        config=_service(_WITH_POLICY),
        call=LOGGED_IN,
        layer="envoy_cors",
        codes=codes("credentials_not_allowed"),
        fix=Insert("allowCredentials: true", before="maxAge"),
    ),
    SetUp(
        name="a wrong key gets a 404 that no page can read",
        config=_service(
            _WITH_POLICY.replace("  - cors", "  - match: [{method: {exact: OPTIONS}}]\n    cors")
            + _WITH_POLICY.replace("  - cors", f"  -{_BY_KEY[3:]}\n    cors")
            + "\n  # no other rule"
        ),
        verdict="works",
        layer="envoy_no_route",
        codes=codes("key_missing_unreadable", "grant_missing_on_error"),
        fix=Insert(
            "- route: [{destination: {host: meshcors-dummy, port: {number: 8080}}}]",
            before="# no other rule",
        ),
    ),
    SetUp(
        name="an OPTIONS rule behind a catch-all",
        config=_service(
            f"  - name: all\n{_to('bare')}"
            + _WITH_POLICY.replace("  - cors", "  - match: [{method: {exact: OPTIONS}}]\n    cors")
        ),
        layer="app",
        codes=codes("preflight_unanswered"),
        fix=_COVERED,
    ),
    SetUp(
        name="the rule and the app both add the field",
        config=_service(
            "  - headers: {response: {add: {access-control-allow-origin: https://ui.example}}}\n"
            + _to("good")
        ),
        layer="meshcors",
        codes=codes("two_owners"),
    ),
    SetUp(
        name="the app sends the field twice, in lines that Envoy joins",
        config=_service(f"  - name: all\n{_to('twice')}"),
        call=Call(method="GET", path="/v1/models", headers=()),
        layer="app",
        codes=codes("two_owners"),
    ),
    SetUp(
        name="an OPTIONS rule that takes the page's own OPTIONS calls too",
        config=_service(
            Change("headers: {access-control-request-method: {}}", "# and no more").apply(_WITH_POD)
        ),
        call=Call(method="OPTIONS", headers=(KEY,), data=""),
        verdict="works",
        layer="pod",
        codes=codes("options_taken"),
        fix=Insert("headers: {access-control-request-method: {}}", before="# and no more"),
    ),
    SetUp(
        name="routed by the key, in a VirtualService that KServe writes",
        config=_service(
            f"  - match: [{{headers: {{model-api-key: {{exact: xyz}}}}}}]\n{_to('good')}"
        ).replace("namespace: models}", f"namespace: models, {_OF_KSERVE}}}"),
        layer="envoy_no_route",
        codes=codes("preflight_not_routed"),
        fix=replace(_FIX, more=("--separate",)),
    ),
    SetUp(
        name="an HTTPRoute's rule with a CORS filter and without a backend",
        config="""apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: model, namespace: models}
spec:
  parentRefs: [{name: public}]
  rules:
  - matches: [{method: OPTIONS}]
    filters: [{type: CORS, cors: {allowOrigins: ["https://ui.example"], allowHeaders: ["*"]}}]
  - matches: [{headers: [{name: model-api-key, value: xyz}]}]
    backendRefs: [{name: good, port: 80}]
""",
        layer="envoy_direct_response",
        codes=codes("preflight_error_status"),
        fix=_FIX,
    ),
    SetUp(
        name="RBAC denies the method of preflights",
        config=_service(_WITH_POLICY, _AUTHORIZATION_OF_OTHERS),
        layer="envoy_rbac",
        codes=codes("preflight_denied_by_auth"),
        fix=Insert("notMethods: [OPTIONS]", before="methods: [OPTIONS, DELETE]"),
    ),
    SetUp(
        name="RBAC refuses the call",
        config=_service(
            _WITH_POLICY,
            Change("values: [xyz]", "values: [abc]").apply(_AUTHORIZATION)
            + "  - to: [{operation: {methods: [OPTIONS]}}]\n",
        ),
        layer="envoy_rbac",
        codes=codes("grant_missing_on_error"),
    ),
    SetUp(
        name="RBAC in front of preflights",
        config=_service(_WITH_POLICY, _AUTHORIZATION),
        layer="envoy_rbac",
        codes=codes("preflight_denied_by_auth"),
        fix=Insert("to: [{operation: {methods: [OPTIONS]}}]", before="- when", begin="- "),
    ),
    SetUp(
        name="a token wanted from preflights",
        config=_service(_FOR_TOKENS, _TOKENS_OF_ALL),
        call=Call(headers=(JSON, f"authorization: Bearer {_token()}")),
        layer="envoy_jwt",
        codes=codes("preflight_denied_by_auth"),
        fix=Insert("bypass_cors_preflight: true", before="providers:"),
    ),
    SetUp(
        name="a token that is not accepted",
        config=_service(_FOR_TOKENS, _TOKENS),
        call=Call(headers=(JSON, "authorization: Bearer nothing")),
        layer="envoy_jwt",
        codes=codes("grant_missing_on_error"),
    ),
    SetUp(
        name="ext_authz in front of preflights",
        config=_service(_FOR_TOKENS, _ASKS_OTHERS),
        call=Call(headers=(JSON, "authorization: Bearer t")),
        layer="envoy_ext_authz",
        codes=codes("preflight_denied_by_auth"),
        fix=Insert("notMethods: [OPTIONS]", before="paths"),
    ),
    SetUp(
        name="a destination that does not exist",
        config=_policy("host: bare", "host: gone"),
        verdict="works",
        layer="envoy_no_upstream",
        codes=codes("no_upstream"),
    ),
    SetUp(
        name="a destination that does not exist, no corsPolicy",
        config=_service(f"  - name: all\n{_to('gone')}"),
        layer="envoy_no_upstream",
        codes=codes("no_upstream"),
    ),
    SetUp(
        name="the pod lacks the origin",
        config=_service(Change("host: good", "host: starred").apply(_WITH_POD)),
        call=Call(method="GET", path="/v1/models", headers=(KEY,), origin="https://other.example"),
        layer="pod",
        codes=codes("origin_not_allowed"),
        fix=PodFlags(
            "--allow-origin https://other.example --key-header model-api-key", name="other-pod"
        ),
    ),
    SetUp(
        name="the pod and MeshCORS behind the gateway",
        config=_service(_WITH_POD),
        verdict="works",
        layer="pod",
    ),
    SetUp(
        name="corsPolicy and the service's own MeshCORS",
        config=_service(Change("host: bare", "host: good").apply(_WITH_POLICY)),
        verdict="works",
        layer="envoy_cors",
    ),
    SetUp(
        name="corsPolicy alone, with credentials",
        config=_policy(*_CREDENTIALS),
        call=LOGGED_IN,
        verdict="works",
        layer="envoy_cors",
    ),
    SetUp(
        name="corsPolicy alone, with names that have no effect",
        config=_policy(
            "[content-type, model-api-key]",
            "[content-type, model-api-key, origin, user-agent, host, cookie]",
        ).replace("[POST, PUT]", "[POST, PUT, OPTIONS]"),
        verdict="works",
        layer="envoy_cors",
    ),
    SetUp(
        name="corsPolicy on the pod's rule, and no pod",
        config=_service(
            _WITH_POLICY.replace("  - cors", f"  - {_PREFLIGHTS}\n    cors").replace("bare", "gone")
            + "  - name: all\n"
            + _to("good")
        ),
        verdict="works",
        layer="envoy_cors",
    ),
    SetUp(
        name="a token that is accepted, which no preflight has",
        config=_service(_FOR_TOKENS, _TOKENS),
        call=Call(headers=(JSON, f"authorization: Bearer {_token()}")),
        verdict="works",
        layer="envoy_cors",
    ),
    SetUp(
        name="corsPolicy alone, well set",
        config=_service(_WITH_POLICY),
        verdict="works",
        layer="envoy_cors",
    ),
)


@contextmanager
def running(upstreams: Mapping[str, int], pods: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Start Envoy; yield the port of each set-up."""
    texts = by_name(ENVOY) | {
        fixed(each.name): after_command(each.config, each.fix)
        for each in ENVOY
        if isinstance(each.fix, Command)
    }
    names = {f"listener-{at}": name for at, name in enumerate(texts)}
    gateways = {each: Gateway.from_yaml(texts[name]) for each, name in names.items()}
    covered = [each.fix.name for each in ENVOY if isinstance(each.fix, InService)]
    services = {f"{name}:80": upstreams[name] for name in (*_SERVICES, *covered)}
    services |= {f"{name}:8080": port for name, port in pods.items()}
    config = bootstrap(gateways, services)
    for listener in config["static_resources"]["listeners"]:
        (http,) = listener["filter_chains"][0]["filters"]
        guards = filters(texts[names[listener["name"]]])
        http["typed_config"]["http_filters"][:0] = guards
    config["static_resources"]["clusters"].append(_asked(upstreams["denies"]))
    with running_envoy(config) as envoy:
        yield {name: envoy.ports[each] for each, name in names.items()}


def after_command(config: str, command: Command) -> str:
    """The documents as the command writes them."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "model.yaml")
        path.write_text(config, encoding="utf-8")
        words = [*command.words(str(path)), *command.more, "--write"]
        output = io.StringIO()
        with redirect_stderr(output), redirect_stdout(output):
            code = cli.run(words)
        assert code == 0, output.getvalue()
        return "---\n".join(each.read_text() for each in sorted(Path(directory).glob("*.yaml")))


def _asked(port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": PROVIDER,
        "type": "STATIC",
        "load_assignment": {"cluster_name": PROVIDER, "endpoints": endpoints},
    }

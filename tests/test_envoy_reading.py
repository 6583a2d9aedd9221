"""What an Envoy runs, read from every form in which people have it; unknown things are named."""

from __future__ import annotations

import copy
import json
import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshcors import _cli as cli
from meshcors.mesh import Gateway, GatewayRequest
from meshcors.mesh._analysis.mesh_documents import read_mesh
from meshcors.mesh._documents.problems import DocumentError
from meshcors.mesh._envoy.json_objects import Source, read_json
from meshcors.mesh._envoy.reading import read_envoy
from meshcors.mesh._envoy.running_routes import running_routes
from tests import envoy_generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshcors.mesh import GatewayAnswer
    from meshcors.mesh._routing.running import RunningRoutes

Json = dict[str, Any]

DATA = Path(__file__).parent / "data" / "envoy"
FILES = sorted(path.name for path in DATA.iterdir())
CORS = "envoy.filters.http.cors"
TYPES = "type.googleapis.com/envoy.extensions.filters"
UI = "https://ui.example"
POLICY: Json = {
    "@type": f"{TYPES}.http.cors.v3.CorsPolicy",
    "allow_origin_string_match": [{"exact": UI}],
    "allow_methods": "POST",
}
ROUTE: Json = {
    "name": "r",
    "match": {"prefix": "/"},
    "route": {"cluster": "one"},
    "typed_per_filter_config": {CORS: POLICY},
}


def config(*routes: Json, **fields: Any) -> Json:
    """A RouteConfiguration with one virtual host for every host."""
    return {
        "name": "main",
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": list(routes)}],
        **fields,
    }


def http_filter(kind: str, **fields: Any) -> Json:
    kinds = {"cors": "cors.v3.Cors", "router": "router.v3.Router", "rbac": "rbac.v3.RBAC"}
    names = kinds | {"ext_authz": "ext_authz.v3.ExtAuthz", "lua": "lua.v3.Lua"}
    names |= {"jwt_authn": "jwt_authn.v3.JwtAuthentication", "fault": "fault.v3.HTTPFault"}
    own = {"@type": f"{TYPES}.http.{names[kind]}", **fields}
    return {"name": f"envoy.filters.http.{kind}", "typed_config": own}


def listener(routes: Json, *filters: Json, **manager: Any) -> Json:
    """A listener with these routes and filters, and the router."""
    made = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        **routes,
        "http_filters": [*filters, http_filter("router")],
        **manager,
    }
    return {
        "name": "web",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": made}]}],
    }


def static(*filters: Json, routes: Json | None = None, **manager: Any) -> Json:
    """A static configuration."""
    inline = {"route_config": routes or config(ROUTE)}
    return {"static_resources": {"listeners": [listener(inline, *filters, **manager)]}}


def camel_case(value: Any) -> Any:
    """The same value as protobuf's own JSON spells it."""
    if isinstance(value, list):
        return [camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name if "." in name else re.sub("_(.)", lambda found: found[1].upper(), name): camel_case(
            inner
        )
        for name, inner in value.items()
    }


def read(value: Any) -> tuple[RunningRoutes, ...]:
    """The documents of a configuration that is read."""
    found = read_envoy(json.dumps(value, indent=1), "envoy.json")
    assert found is not None
    documents, problems = running_routes([found])
    assert not problems
    return tuple(documents)


def ask(value: Any, method: str = "GET", path: str = "/", **headers: str) -> GatewayAnswer:
    """What the first gateway of a configuration answers."""
    pairs = [(name.replace("_", "-"), text) for name, text in headers.items()]
    gateway = Gateway.of(read(value))
    return gateway.handle(GatewayRequest(method, "api.example", path, pairs))


def preflight(value: Any) -> GatewayAnswer:
    return ask(value, "OPTIONS", origin=UI, access_control_request_method="POST")


ADMIN = "type.googleapis.com/envoy.admin.v3"
DYNAMIC: Json = {"version_info": "1", "route_config": config(ROUTE)}
DUMP: Json = {"@type": f"{ADMIN}.RoutesConfigDump", "dynamic_route_configs": [DYNAMIC]}
SHAPES = {
    "config_dump": {"configs": [DUMP]},
    "resource=dynamic_route_configs": {
        "configs": [{"@type": f"{ADMIN}.RoutesConfigDump.DynamicRouteConfig", **DYNAMIC}]
    },
    "mask=dynamic_route_configs": {
        "configs": [{"@type": f"{ADMIN}.RoutesConfigDump", "dynamic_route_configs": [DYNAMIC]}, {}]
    },
    "istioctl proxy-config routes": [config(ROUTE)],
    "istioctl proxy-config listeners": [
        listener({"route_config": config(ROUTE)}, http_filter("cors"))
    ],
    "egctl config envoy-proxy route": {"ns": {"pod": DUMP}},
    "egctl config envoy-proxy all": {"ns": {"pod": {"configs": [DUMP]}}},
    "a RouteConfiguration": config(ROUTE),
    "static": static(http_filter("cors")),
    "listener and routes": {
        "configs": [
            {
                "@type": f"{ADMIN}.ListenersConfigDump",
                "dynamic_listeners": [
                    {
                        "name": "web",
                        "active_state": {
                            "listener": listener(
                                {"rds": {"route_config_name": "main"}}, http_filter("cors")
                            )
                        },
                    }
                ],
            },
            DUMP,
        ]
    },
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spelling", ["snake_case", "camelCase"])
def test_every_form_is_recognised_by_its_content(shape: str, spelling: str) -> None:
    value = SHAPES[shape] if spelling == "snake_case" else camel_case(SHAPES[shape])
    (document,) = read(value)
    answer = preflight(value)
    assert (document.name, answer.kind, answer.rule) == ("main", "cors", "r")
    assert ("access-control-allow-methods", "POST") in answer.headers
    assert not answer.doubts


@pytest.mark.parametrize("shape", SHAPES)
def test_yaml_is_read_like_json(shape: str) -> None:
    # JSON is YAML: only the first character tells that this is not JSON alone
    text = "# what the gateway runs\n" + json.dumps(SHAPES[shape], indent=1)
    found = read_envoy(text)
    assert found is not None
    assert [document.name for document in running_routes([found])[0]] == ["main"]


@pytest.mark.parametrize(
    "text",
    [
        '{"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "spec": '
        '{"virtual_hosts": []}}',
        "apiVersion: v1\nkind: ConfigMap\ndata: {envoy.yaml: 'static_resources: {}'}\n",
        '{"name": "a package", "files": []}',
        "{{ if .Values.x }}\nstatic_resources:\n{{ end }}\n",
        "",
        "[]",
        "virtual_hosts",
    ],
)
def test_something_else_is_not_taken_for_one(text: str) -> None:
    assert read_envoy(text) is None


def test_what_the_proxy_itself_serves_comes_last() -> None:
    own = {"name": "", "virtual_hosts": [{"domains": ["*"], "routes": []}]}
    dump = {**DUMP, "static_route_configs": [{"route_config": own}]}
    assert [each.name for each in read({"configs": [dump]})] == ["main", "routes"]


def test_a_listener_that_the_bootstrap_repeats_counts_once() -> None:
    bootstrap = static(http_filter("cors"))
    again = bootstrap["static_resources"]["listeners"][0]
    dump = {
        "configs": [
            {"@type": f"{ADMIN}.BootstrapConfigDump", "bootstrap": bootstrap},
            {
                "@type": f"{ADMIN}.ListenersConfigDump",
                "static_listeners": [{"listener": {"@type": "Listener", **again}}],
            },
            {
                "@type": f"{ADMIN}.RoutesConfigDump",
                "static_route_configs": [{"route_config": {"@type": "R", **config(ROUTE)}}],
            },
        ]
    }
    assert [each.name for each in read(dump)] == ["main"]


def test_places_are_those_of_the_text() -> None:
    for name in FILES:
        text = (DATA / name).read_text(encoding="utf-8")
        found = read_envoy(text, name)
        assert found is not None
        lines = text.splitlines()
        for document in running_routes([found])[0]:
            for rule in document.http:
                for place in (rule.place, rule.cors_policy.place if rule.cors_policy else None):
                    if place is not None:
                        at = lines[place.line - 1][place.column - 1 :]
                        assert at.startswith(("{", "match:", '"@type"')), (name, place)


UNKNOWN_MATCHES: list[tuple[Json, str]] = [
    ({"prefix": "/", "filter_state": [{"key": "k"}]}, "match.filter_state"),
    ({"prefix": "/", "tls_context": {"presented": True}}, "match.tls_context"),
    ({"prefix": "/", "cookies": [{"name": "k"}]}, "match.cookies"),
    ({"prefix": "/", "from_the_future": 1}, "match.from_the_future"),
    ({}, "match"),
    ({"safe_regex": {"regex": "("}}, "match.safe_regex.regex"),
    ({"path_match_policy": {"name": "x", "typed_config": {}}}, "match.path_match_policy"),
    (
        {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 30}}},
        "match.runtime_fraction",
    ),
    (
        {"prefix": "/", "dynamic_metadata": [{"filter": "mine", "path": [{"key": "k"}]}]},
        "match.dynamic_metadata[0]",
    ),
    (
        {"prefix": "/", "headers": [{"name": "k", "string_match": {"exact": "[redacted]"}}]},
        "match.headers[0].string_match.exact",
    ),
    (
        {"prefix": "/", "headers": [{"name": "k", "string_match": {"custom": {}}}]},
        "match.headers[0].string_match",
    ),
    ({"prefix": "/", "headers": "k"}, "match.headers"),
    (
        {"prefix": "/", "headers": [{"name": "k", "string_match": {"suffix": "x" * 2000}}]},
        "match.headers[0].string_match.suffix",
    ),
    ({"prefix": 1}, "match.prefix"),
    ({"path": "[redacted]"}, "match.path"),
    ({"prefix": "/", "query_parameters": [1]}, "match.query_parameters[0]"),
]


@pytest.mark.parametrize(("match", "field"), UNKNOWN_MATCHES, ids=lambda it: str(it)[:40])
def test_a_condition_that_is_not_known_is_named_and_not_guessed(match: Json, field: str) -> None:
    answer = preflight([config({"match": match, "route": {"cluster": "a"}}, ROUTE)])
    assert answer.kind == "unknown"
    assert f"virtual_hosts[0].routes[0].{field}" in [doubt.path for doubt in answer.doubts]
    assert not answer.trail[-1].matched
    assert not answer.trail[-1].is_certain
    assert answer.doubts[0].place.line > 1


@pytest.mark.parametrize(("match", "field"), UNKNOWN_MATCHES, ids=lambda it: str(it)[:40])
def test_it_is_certain_where_a_known_condition_fails(match: Json, field: str) -> None:
    other = {**match, "headers": [{"name": "x-none", "string_match": {"exact": "1"}}]}
    if field == "match.headers":
        other["filter_state"] = []
    answer = preflight([config({"match": other, "route": {"cluster": "a"}}, ROUTE)])
    assert (answer.kind, answer.rule) == ("cors", "r")


def changed(**fields: Any) -> Json:
    """The policy's route with other fields in its policy."""
    return {**ROUTE, "typed_per_filter_config": {CORS: {**POLICY, **fields}}}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (config(ROUTE, vhds={}), "may bring virtual hosts"),
        (config(ROUTE, vhost_header="x"), "vhost_header"),
        (config({**ROUTE, "from_the_future": {}}), "from_the_future"),
        (config(changed(allow_methods="[redacted]")), "allow_methods"),
        (config(changed(from_the_future=1)), "from_the_future"),
        (config(changed(allow_origin_string_match=[{"custom": {}}])), "is a condition"),
        (config(changed(filter_enabled={"default_value": {"numerator": 1}})), "1.00%"),
        (
            config({**ROUTE, "route": {"cluster": "a", "from_the_future": 1}}),
            "route.from_the_future",
        ),
        (
            config(
                {
                    **ROUTE,
                    "response_headers_to_add": [
                        {"header": {"key": "Access-Control-Allow-Origin", "value": "%REQ(origin)%"}}
                    ],
                }
            ),
            "is computed by Envoy",
        ),
        (
            config(
                {
                    **ROUTE,
                    "route": {
                        "weighted_clusters": {
                            "clusters": [
                                {
                                    "name": "a",
                                    "weight": 1,
                                    "typed_per_filter_config": {CORS: POLICY},
                                }
                            ]
                        }
                    },
                }
            ),
            "has a policy for this cluster alone",
        ),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_what_else_is_not_known_makes_the_answer_doubtful(value: Json, said: str) -> None:
    answer = preflight([value])
    assert any(said in str(doubt) for doubt in answer.doubts)


@pytest.mark.parametrize("field", [{"matcher": {"matcher_tree": {}}}, {"require_tls": "???"}])
def test_a_virtual_host_that_is_not_known_answers_nothing_for_certain(field: Json) -> None:
    value = config(ROUTE)
    value["virtual_hosts"][0] |= field
    answer = preflight([value])
    assert answer.doubts


def test_an_action_that_is_not_known() -> None:
    answer = preflight([config({"match": {"prefix": "/"}, "filter_action": {}})])
    assert answer.kind == "unknown"
    assert "filter_action" in str(answer.doubts)


DENY = {"rules": {"action": "DENY"}}


@pytest.mark.parametrize(
    ("filters", "doubted"),
    [
        (["cors"], []),
        (["ext_authz", "cors"], ["envoy.filters.http.ext_authz"]),
        (["cors", "ext_authz"], []),
        (["lua", "cors"], ["envoy.filters.http.lua"]),
        (["rbac", "cors"], []),
        (["fault", "cors"], []),
    ],
)
def test_the_order_of_filters_decides_about_preflights(
    filters: list[str], doubted: list[str]
) -> None:
    answer = preflight(static(*map(http_filter, filters)))
    assert answer.kind == "cors"
    assert [doubt.path for doubt in answer.doubts] == doubted


@pytest.mark.parametrize(
    ("front", "doubted"),
    [
        (http_filter("rbac", **DENY), True),
        (http_filter("fault", abort={"http_status": 503}), True),
        (http_filter("jwt_authn", bypass_cors_preflight=True), False),
        (http_filter("jwt_authn"), True),
        ({**http_filter("ext_authz"), "disabled": True}, False),
        ({"name": "mine", "config_discovery": {}}, True),
    ],
)
def test_a_filter_in_front_may_stop_preflights(front: Json, doubted: bool) -> None:
    answer = preflight(static(front, http_filter("cors")))
    assert bool(answer.doubts) == doubted


@pytest.mark.parametrize(
    ("own", "doubted"),
    [
        ({"@type": "ExtAuthzPerRoute", "disabled": True}, False),
        ({"@type": "envoy.config.route.v3.FilterConfig", "disabled": True}, False),
        ({"@type": "ExtAuthzPerRoute", "check_settings": {}}, True),
    ],
)
def test_a_route_can_switch_a_filter_off(own: Json, doubted: bool) -> None:
    configs = {CORS: POLICY, "envoy.filters.http.ext_authz": own}
    route = {**ROUTE, "typed_per_filter_config": configs}
    value = static(http_filter("ext_authz"), http_filter("cors"), routes=config(route))
    assert bool(preflight(value).doubts) == doubted


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (static(), "web has no cors filter"),
        (
            static(
                http_filter("cors"),
                routes=config(changed(filter_enabled={"default_value": {"numerator": 0}})),
            ),
            "filter_enabled switches it off",
        ),
        (static({**http_filter("cors"), "disabled": True}), None),
    ],
)
def test_lint_finds_a_policy_that_no_filter_reads(
    value: Json, said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(value))
    cli.run(["lint", str(path), "--select", "MC001"])
    printed = capsys.readouterr().out
    # a policy on the route switches a disabled filter on
    assert (said in printed) if said else ("no problems" in printed)


def test_lint_names_the_filter_in_front_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "envoy.json"
    value = static(http_filter("ext_authz"), http_filter("cors"), routes=config(ROUTE, ROUTE))
    path.write_text(json.dumps(value, indent=1))
    assert cli.run(["lint", str(path), "--select", "MC019"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("envoy.filters.http.ext_authz is in front") == 1


@pytest.mark.parametrize("name", FILES)
def test_fix_refuses_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = DATA / name
    before = path.read_bytes()
    assert cli.run(["fix", str(path), "--write"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "change the VirtualService or HTTPRoute that it comes from" in printed.err
    assert path.read_bytes() == before


def test_explain_follows_a_call_through_what_the_gateway_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    args = ["explain", str(DATA / "routes.json"), "--origin", UI, "--method", "POST"]
    assert cli.run([*args, "--header", "model-api-key: xyz"]) == 1
    printed = capsys.readouterr().out
    assert "No rule matches: the gateway answers 404" in printed
    assert "meshcors fix does it in the VirtualService or HTTPRoute" in printed
    assert '"xyz"' not in printed


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/x", "match.filter_state"),
        ("/x", "envoy.filters.http.ext_authz"),
    ],
)
def test_explain_says_what_a_verdict_hangs_on(
    path: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    origin = "https://ui.example.com"
    args = ["explain", str(DATA / "config_dump.json"), "--origin", origin, "--path", path]
    assert cli.run([*args, "--header", "content-type: application/json", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["verdict"] == "depends"
    assert cli.run([*args, "--header", "content-type: application/json"]) == 0
    printed = capsys.readouterr().out
    assert (
        f"Not certain: {said}" in printed
        or f"Not certain: virtual_hosts[0].routes[0].{said}" in printed
    )


def test_explain_goes_to_the_route_configuration_that_has_the_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = config(ROUTE), config(ROUTE)
    first["virtual_hosts"][0]["domains"], first["name"] = ["a.example"], "first"
    second["virtual_hosts"][0]["domains"], second["name"] = ["b.example"], "second"
    path = tmp_path / "routes.json"
    path.write_text(json.dumps([first, second]))
    cli.run(["explain", str(path), "--origin", UI, "--method", "PUT", "--host", "b.example"])
    assert "does not list PUT in allowMethods" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"static_resources": ', "1:22"),
        ('{"static_resources": {"a" 1}}', "1:23"),
        ('{"static_resources": [1,\n 2 3]}', "2:4"),
        ('{"static_resources": "\\ud800"}', "1:22"),
        ('{"static_resources": 1} 2', "1:25"),
        ('{"static_resources": 1e}', "1:22"),
    ],
)
def test_a_broken_file_has_a_place(text: str, place: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read_envoy(text, "x.json")
    (problem,) = caught.value.problems
    assert str(problem.place) == f"x.json:{place}"


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(DocumentError, match="nested too deeply"):
        read_envoy('{"static_resources": ' + "[" * 100_000)


def test_json_is_read_as_the_standard_library_reads_it() -> None:
    for name in ("config_dump.json", "routes.json"):
        text = (DATA / name).read_text(encoding="utf-8").replace("ClustersConfig", "OtherConfig")
        value = read_json(Source(text, name))
        assert camel_case(value) == camel_case(json.loads(text))


def test_a_file_that_cannot_be_read_does_not_hide_the_others() -> None:
    good = (DATA / "routes.json").read_text(encoding="utf-8")
    mesh = read_mesh({"bad.json": '{"static_resources": ', "good.json": good})
    assert [problem.place.file for problem in mesh.problems] == ["bad.json"]
    assert [document.name for document in mesh.documents] == ["http.8080"]


BROKEN: list[Any] = [
    None, True, 1, -1, 1.5, "", "[redacted]", "x", [], {}, [{}], {"a": 1}, [None], 10**30, "\ud800"
]  # fmt: skip
RENAMED = ["newField", "vhds", "matcher", "filter_state", "kind", "@type", "name", "disabled"]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, (*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from paths(inner, (*path, at))


def mutated(rng: random.Random, value: Any) -> str:
    """The text of a configuration with a few things missing, renamed or of another type."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 2, 4])):
        path = rng.choice(list(paths(value)))
        inner = value
        for step in path[:-1]:
            inner = inner[step]
        kind = rng.random()
        if not path:
            continue
        if kind < 0.25:
            del inner[path[-1]]
        elif kind < 0.7 or not isinstance(inner, dict):
            inner[path[-1]] = copy.deepcopy(rng.choice(BROKEN))
        else:
            inner[rng.choice(RENAMED)] = inner.pop(path[-1])
    text = json.dumps(value, indent=1)
    if rng.random() < 0.15:
        at = rng.randrange(len(text))
        text = (
            text[:at] + rng.choice(["", "}", '"', "x", ",", "\0"]) + text[at + rng.choice([0, 5]) :]
        )
    return text


@pytest.mark.parametrize("seed", range(4))
def test_no_input_ends_in_a_traceback(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(seed)
    managers = {"g": envoy_generator.manager(rng, "g", "x")}
    bases = [json.loads((DATA / name).read_text()) for name in FILES if name.endswith("json")]
    bases.append(envoy_generator.bootstrap(managers, {"one": 1, "two": 2, "three": 3}))
    path = tmp_path / "mutated.json"
    for _ in range(25):
        path.write_text(mutated(rng, rng.choice(bases)))
        for verb in ("lint", "routes", "explain", "fix"):
            extra = ["--origin", UI, "--header", "k: v"] if verb == "explain" else []
            assert cli.run([verb, str(path), *extra]) in {0, 1, 2}
    assert "Traceback" not in "".join(capsys.readouterr())


def test_public_dumps_are_read() -> None:
    """Every file below the directory ENVOY_DUMPS, such as a checkout of a control plane."""
    directory = os.environ.get("ENVOY_DUMPS")
    if not directory:
        pytest.skip("set ENVOY_DUMPS to a directory with config dumps")
    read_count = 0
    for path in sorted(Path(directory).rglob("*")):
        if path.suffix not in {".json", ".yaml", ".yml"} or not path.is_file():
            continue
        try:
            found = read_envoy(path.read_text(encoding="utf-8", errors="replace"), str(path))
        except DocumentError:
            continue  # a template, say: it has its place and its reason
        for document in running_routes([found])[0] if found else ():
            read_count += 1
            gateway = Gateway.of((document,))
            for host in document.running_hosts:
                name = host.domain.replace("*", "a")
                gateway.handle(GatewayRequest("OPTIONS", name, "/")).trail  # noqa: B018 computed
    assert read_count


def https(names: list[str], routes: str) -> Json:
    """A filter chain with TLS for server names."""
    made = listener({"rds": {"route_config_name": routes}}, http_filter("cors"))
    (chain,) = made["filter_chains"]
    match = {"server_names": names} if names else {}
    return {**chain, "filter_chain_match": match, "transport_socket": {"name": "tls"}}


def two_hosts() -> Json:
    """A gateway with TLS for two hosts, and a redirect to it without TLS."""
    plain = listener({"rds": {"route_config_name": "plain"}}, http_filter("cors"))
    encrypted = listener({}) | {
        "name": "tls",
        "filter_chains": [https(["a.example"], "a"), https(["*.b.example"], "b")],
    }
    redirect = {"match": {"prefix": "/"}, "redirect": {"https_redirect": True}}
    tables = {"plain": redirect, "a": ROUTE, "b": {**ROUTE, "name": "rb"}}
    dynamic = [{"route_config": {**config(route), "name": name}} for name, route in tables.items()]
    listeners = [{"active_state": {"listener": each}} for each in (plain, encrypted)]
    return {
        "configs": [
            {"@type": f"{ADMIN}.ListenersConfigDump", "dynamic_listeners": listeners},
            {"@type": f"{ADMIN}.RoutesConfigDump", "dynamic_route_configs": dynamic},
        ]
    }


@pytest.mark.parametrize(
    ("host", "scheme", "name"),
    [
        ("a.example", "https", "a"),
        ("x.b.example", "https", "b"),
        ("a.example", "http", "plain"),
        ("x.b.example:8443", "https", "b"),
    ],
)
def test_the_gateway_is_the_one_whose_listener_gets_the_call(
    host: str, scheme: str, name: str
) -> None:
    gateway = Gateway.of(read(two_hosts()))
    assert gateway.serving(host, scheme).name == name


def test_chains_that_differ_only_in_their_names_are_one() -> None:
    value = two_hosts()
    chains = value["configs"][0]["dynamic_listeners"][1]["active_state"]["listener"]
    chains["filter_chains"].append(https(["c.example"], "a"))
    names = {each.name: each.connection.server_names for each in read(value)}
    assert names == {"a": ("a.example", "c.example"), "b": ("*.b.example",), "plain": ()}


@pytest.mark.parametrize("field", ["auto_host_rewrite", "host_rewrite_header"])
def test_a_rewrite_that_is_not_modelled_leaves_the_host_open(field: str) -> None:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "a", field: True}}
    answer = ask([config(route)])
    assert (answer.kind, answer.forwarded_host(), answer.forwarded_path) == ("forward", None, None)


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("config", "source"),
    [
        ("/apis/networking.istio.io/v1/namespaces/cheetah/virtual-service/model",
         "VirtualService cheetah/model"),
        ("/apis/networking.istio.io/v1alpha3/namespaces/a/virtual-service/b.c",
         "VirtualService a/b.c"),
        ("/apis/networking.istio.io/v1/namespaces/a/virtual-service/b~istio-autogenerated-k8s", ""),
        ("/apis/networking.istio.io/v1/namespaces/a/virtual-service/istio-autogenerated-b", ""),
        ("/apis/networking.istio.io/v1/namespaces/a/virtual-service/b\x1b", ""),
        (["a"], ""),
        (None, ""),
    ],
)  # fmt: skip
def test_a_finding_names_the_route_and_the_document_that_it_comes_from(
    indent: int | None,
    config: Any,
    source: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In a dump of one line, a place tells nothing."""
    routes = json.loads((DATA / "routes.json").read_text())
    (one,) = routes
    route = one["virtualHosts"][0]["routes"][0]
    route["metadata"] = {"filterMetadata": {"istio": {"config": config}}}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(routes, indent=indent))
    assert cli.run(["lint", str(path)]) == 1
    *lines, _, _ = capsys.readouterr().out.splitlines()
    assert {line.split(" ")[2] for line in lines} == {"MC001", "MC004", "MC014", "MC015"}
    for line in lines:
        assert ": RouteConfiguration http.8080, virtual host *, route model: " in line
        assert line.endswith(f", in {source or 'the document that this comes from'}")


@pytest.mark.parametrize("verb", ["lint", "explain", "routes"])
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("name", FILES)
def test_no_key_is_printed(
    verb: str, form: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [verb, str(DATA / name), "--format", form]
    if verb == "explain":
        args += ["--origin", UI, "--header", "model-api-key: s3cret", "--path", "/?key=s3cret"]
    cli.run(args)
    printed = "".join(capsys.readouterr())
    assert "s3cret" not in printed
    assert "xyz" not in printed


@pytest.mark.parametrize(
    ("manager", "request_", "doubted"),
    [
        ({"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"}, {"path": "/a%2Fb"}, True),
        (
            {"path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT"},
            {"path": "/a?b=%2F"},
            False,
        ),
        ({"path_with_escaped_slashes_action": "KEEP_UNCHANGED"}, {"path": "/a%2Fb"}, False),
        (
            {"common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"}},
            {"headers": [("x_key", "1")]},
            True,
        ),
        ({"local_reply_config": {}}, {}, False),
        ({"local_reply_config": {}}, {"path": "/none"}, True),
        ({"early_header_mutation_extensions": [{}]}, {}, True),
    ],
)
def test_what_the_connection_manager_changes_is_named(
    manager: Json, request_: Json, doubted: bool
) -> None:
    route = {**ROUTE, "match": {"safe_regex": {"regex": "/|/a.*"}}}
    gateway = Gateway.of(read(static(http_filter("cors"), routes=config(route), **manager)))
    asked = {"path": "/", "headers": (), **request_}
    answer = gateway.handle(GatewayRequest("GET", "a.example", asked["path"], asked["headers"]))
    assert bool(answer.doubts) == doubted


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("api.example.com", "api.example.com"),
        ("API.example.com", "api.example.com"),
        ("x.example.com", "*.example.com"),
        ("api.test", "api.*"),
        ("api.other.example.com", "*.example.com"),
        ("example.com", "*"),
        ("api.example.com:8080", "api.example.com:8080"),
        ("api.example.com:9090", "api.*"),
    ],
)
def test_a_host_is_searched_as_envoy_does(host: str, domain: str) -> None:
    domains = ["*", "api.*", "*.example.com", "api.example.com", "api.example.com:8080"]
    hosts = [{"name": each, "domains": [each], "routes": []} for each in domains]
    gateway = Gateway.of(read([{"name": "main", "virtual_hosts": hosts}]))
    found = gateway.virtual_host(host)
    assert found is not None
    assert found.domain == domain


def test_scoped_routes_are_listed_and_never_certain() -> None:
    scoped = listener({"scoped_routes": {"name": "scopes"}}, http_filter("cors"))
    active = {"active_state": {"listener": scoped}}
    dump = {"@type": f"{ADMIN}.ListenersConfigDump", "dynamic_listeners": [active]}
    answer = preflight({"configs": [dump, DUMP]})
    assert answer.kind == "cors"
    assert [doubt.path for doubt in answer.doubts] == ["scoped_routes"]


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("1", True),
        ("5", True),
        ("+5", True),
        ("6", False),
        ("0", False),
        ("5x", False),
        ("", False),
    ],
)
def test_a_range_is_without_its_end(value: str, matches: bool) -> None:
    bounds = {"name": "x-n", "range_match": {"start": 1, "end": "6"}}
    answer = ask(config({**ROUTE, "match": {"prefix": "/", "headers": [bounds]}}), x_n=value)
    assert (answer.rule == "r") == matches


@pytest.mark.parametrize(("disabled", "age"), [(False, "7"), (True, None)])
def test_a_policy_inherits_field_by_field_unless_the_level_is_off(
    disabled: bool, age: str | None
) -> None:
    kind = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
    outer = {"@type": kind, "disabled": disabled, "config": {**POLICY, "max_age": "7"}}
    answer = preflight(config(ROUTE, typed_per_filter_config={CORS: outer}))
    assert dict(answer.headers).get("access-control-max-age") == age


@pytest.mark.parametrize(
    "host",
    [
        {"name": "all", "domains": ["*"], "routes": [1]},
        {"name": "all", "domains": ["*"], "routes": [], "from_the_future": {}},
        {"name": "all", "domains": ["[redacted]"], "routes": [ROUTE]},
        1,
    ],
)
def test_a_404_is_not_certain_where_routes_cannot_be_read(host: Any) -> None:
    answer = preflight([{"name": "main", "virtual_hosts": [host]}])
    assert answer.kind in {"unknown", "no_route"}
    assert answer.doubts


@pytest.mark.parametrize("substitution", [r"\2", r"\x", "\\"])
def test_a_substitution_without_its_group_is_named(substitution: str) -> None:
    rewrite = {"pattern": {"regex": "/(a)"}, "substitution": substitution}
    answer = ask(
        [config({"match": {"prefix": "/"}, "redirect": {"regex_rewrite": rewrite}})], path="/a"
    )
    assert "regex_rewrite.substitution" in str(answer.doubts)


@pytest.mark.parametrize("origin", [{"custom": {}}, {"safe_regex": {"regex": "("}}, 1])
def test_lint_does_not_judge_origins_that_are_not_known(
    origin: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "routes.json"
    value = changed(allow_origin_string_match=[origin], allow_credentials=True)
    path.write_text(json.dumps([config(value)]))
    assert cli.run(["lint", str(path)]) == 0
    assert "no problems found" in capsys.readouterr().out

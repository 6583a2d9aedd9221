"""The lab's pure parts: names, calls, what documents become, what the models say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcors import HeaderKey, Policy, RuleSet
from meshcors._lab.calls import CallWishes, LabCall, calls_of, stranger_among
from meshcors._lab.case import CASE_FILE, CASE_ORIGIN, case_text
from meshcors._lab.envoy_config import Upstreams, destination_of, lab_bootstrap
from meshcors._lab.names import LocalOrigins, local_host
from meshcors._lab.policy import MOST_POLICY_BYTES, of_service, read_policy_text
from meshcors._lab.scene import Scene, scene_of
from meshcors._lab.services import ModelService
from meshcors._lab.settings import SIDES, LabError, LabSettings
from meshcors._lab.story import SideStory
from meshcors._lab.traffic import Traffic, read_line
from meshcors._lab.watch import FileWatch
from meshcors._policy.errors import PolicyError
from meshcors.mesh import Gateway
from meshcors.mesh._analysis.mesh_documents import read_mesh

DATA = Path(__file__).parent / "data"
MODEL = "model-deploy-01j46dj4ah5abd1zz8pc21vkg9:8000"


def data(name: str) -> str:
    return (DATA / f"virtualservice_{name}.yaml").read_text()


def scene(text: str, **settings: Any) -> Scene:
    return scene_of(read_mesh({"model.yaml": text}), LabSettings(**settings))


def virtual_service(*rules: str, hosts: str = '["*"]') -> str:
    listed = "".join(f"  - {rule}\n" for rule in rules)
    return (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
        "metadata: {name: it, namespace: here}\n"
        f"spec:\n  hosts: {hosts}\n  gateways: [public]\n  http:\n{listed}"
    )


ROUTE = "route: [{destination: {host: model, port: {number: 8000}}}]"


# ---- Names


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("api.example.com", "api.example.com.localhost"),
        ("API.example.com", "api.example.com.localhost"),
        ("some_api.example", "some_api.example.localhost"),
        ("app.localhost", "app.localhost.localhost"),
        ("192.0.2.1", "192.0.2.1.localhost"),
        ("[::1]", None),
        ("a..b", None),
        ("", None),
        ("x" * 64, None),
        (".".join(["x" * 62] * 4), None),
    ],
)
def test_a_host_is_its_own_name_below_localhost(host: str, local: str | None) -> None:
    assert local_host(host) == local


@pytest.mark.parametrize(
    ("origins", "local"),
    [
        (["https://ui.example"], ["http://ui.example.localhost:8"]),
        (["http://ui.example"], ["http://ui.example.http.localhost:8"]),
        (["http://localhost:3000"], ["http://localhost.http-3000.localhost:8"]),
        (["https://ui.example:8443"], ["http://ui.example.https-8443.localhost:8"]),
        (["https://[::1]"], ["http://---1-.localhost:8"]),
        # both would have the same name
        (
            ["https://a_b.example", "https://a-b.example"],
            ["http://a-b.example.localhost:8", "http://origin-0.localhost:8"],
        ),
        ([f"https://{'.'.join(['x' * 62] * 4)}"], ["http://origin-0.localhost:8"]),
    ],
)
def test_an_origin_has_a_name_of_the_page_server(origins: list[str], local: list[str]) -> None:
    assert list(LocalOrigins.of(origins, 8).by_real.values()) == local


ORIGINS = st.from_regex(r"https?://[a-z0-9_.-]{1,80}(:[1-9][0-9]{0,3})?", fullmatch=True)


@given(st.lists(ORIGINS, max_size=5))
def test_no_two_origins_share_a_name(origins: list[str]) -> None:
    try:
        named = LocalOrigins.of(origins, 8).by_real
    except ValueError:
        return  # not all of them are origins
    assert len(set(named.values())) == len(named) == len(set(origins))
    for local in named.values():
        assert re.fullmatch(r"http://[a-z0-9.-]{1,253}\.localhost:8", local)


def test_nothing_but_plain_bytes_gets_into_the_filter() -> None:
    evil = "https://\"] = os.exit() --\\\n'é"
    text = LocalOrigins({evil: "http://x.localhost:8"}).filter_text()
    tables = text.splitlines()[:2]
    for table in tables:
        assert re.fullmatch(
            r'local [A-Z]+ = \{ \["([a-z0-9]|\\\d{3})*"\] = "([a-z0-9]|\\\d{3})*" \}', table
        )
    (written,) = re.findall(r'\["(.*?)"\]', tables[0])
    numbers = re.sub(r"\\(\d{3})|(.)", lambda it: (it[1] and chr(int(it[1]))) or it[2], written)
    assert numbers.encode("latin-1").decode() == evil


# ---- Calls


def calls(text: str, **wishes: Any) -> list[LabCall]:
    known: dict[str, Any] = {
        "origin": CASE_ORIGIN,
        "is_pod": lambda label: label.startswith("meshcors-dummy:"),
        "is_real": lambda _: False,
        "most_rules": 12,
    }
    return list(calls_of(Gateway.from_yaml(text), 443, CallWishes(**(known | wishes))).calls)


def test_the_calls_of_the_case() -> None:
    made = calls(case_text())
    assert [(call.id, call.is_meant) for call in made] == [
        ("right-key", True),
        ("wrong-key", False),
        ("no-key", False),
        ("stream", True),
        ("server-error", True),
        ("with-credentials", True),
        ("foreign-origin", False),
    ]
    first = made[0]
    assert (first.request.method, first.host, first.target) == ("POST", "api.example.com", "/")
    assert dict(first.request.headers) == {
        "model-api-key": "xyz",
        "content-type": "application/json",
    }
    assert first.keys == ("model-api-key",)
    assert first.service == MODEL
    assert "model-api-key" not in dict(made[2].request.headers)
    assert made[3].target == "/?answer=stream"
    assert made[-1].request.origin == "https://stranger.example"


def test_no_repr_shows_a_key() -> None:
    assert "xyz" not in repr(calls(case_text()))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # picked by the path alone, and no policy: whether a page may call is the service's affair
        (f"{{match: [{{uri: {{prefix: /v1}}}}], {ROUTE}}}", {"call": False}),
        # any value will do: no key is wrong
        (
            f"{{match: [{{headers: {{x-key: {{}}}}}}], {ROUTE}}}",
            {"right-key": True, "no-key": False},
        ),
        ("{match: [{uri: {prefix: /v1}}], redirect: {uri: /v2}}", {}),
        ("{match: [{headers: {cookie: {exact: a}}}], " + ROUTE + "}", {}),
        (
            "{route: [{destination: {host: meshcors-dummy, port: {number: 8080}}}]}",
            {},
        ),
    ],
)
def test_the_calls_of_a_rule(rule: str, expected: dict[str, bool]) -> None:
    made = {call.id: call.is_meant for call in calls(virtual_service(rule))}
    others = {"stream", "server-error", "with-credentials", "foreign-origin"}
    assert {name: meant for name, meant in made.items() if name not in others} == expected


def test_a_policy_without_json_gets_none() -> None:
    policy = "corsPolicy: {allowOrigins: [{exact: https://a.example}], allowHeaders: [x-key]}"
    rule = f"{{match: [{{headers: {{x-key: {{exact: k}}}}}}], {policy}, {ROUTE}}}"
    first = calls(virtual_service(rule))[0]
    assert first.is_meant
    assert first.request.origin == "https://a.example"
    assert [name for name, _ in first.request.headers] == ["x-key"]


def test_a_real_service_is_not_asked_to_fail() -> None:
    made = {call.id for call in calls(case_text(), is_real=lambda label: label == MODEL)}
    assert not made & {"stream", "server-error"}


def test_rules_beyond_the_bound_are_counted() -> None:
    rules = [f"{{match: [{{headers: {{x-key: {{exact: k{it}}}}}}}], {ROUTE}}}" for it in range(5)]
    gateway = Gateway.from_yaml(virtual_service(*rules))
    wishes = CallWishes(CASE_ORIGIN, lambda _: False, lambda _: False, 3)
    made = calls_of(gateway, 443, wishes)
    assert made.rules_left_out == 2
    assert len({call.rule for call in made.calls}) == 3
    assert len({call.id for call in made.calls}) == len(made.calls)


def test_the_stranger_is_nobody_that_is_named() -> None:
    assert stranger_among(["https://ui.example"]) == "https://stranger.example"
    known = [f"https://{name}.example" for name in ("stranger", "foreign", "other", "stranger-0")]
    assert stranger_among(known) == "https://stranger-1.example"


# ---- The policy


def test_a_service_has_the_pods_policy_and_its_own_key() -> None:
    made = scene(case_text())
    source = read_policy_text(made.policy)
    assert isinstance(source, Policy)
    own = of_service(source, made.after, 443, MODEL)
    assert isinstance(own, Policy)
    assert own.allow_origins == source.allow_origins
    assert own.key is not None
    assert own.key.values is not None
    assert "xyz" in own.key.values
    assert "abc" not in own.key.values


@pytest.mark.parametrize(
    ("rules", "has_key", "values"),
    [
        (["{headers: {x-key: {exact: a}}}", "{headers: {x-key: {exact: b}}}"], True, ("a", "b")),
        (["{headers: {x-key: {exact: a}}}", "{headers: {x-key: {prefix: b}}}"], True, None),
        (["{headers: {x-key: {}}}"], True, None),
        # no client can send it
        (['{headers: {x-key: {exact: "a,b"}}}'], True, None),
        (["{headers: {x-key: {exact: a}}}", "{uri: {prefix: /open}}"], False, None),
    ],
)
def test_the_key_of_a_service_is_what_its_rules_ask_for(
    rules: list[str], has_key: bool, values: tuple[str, ...] | None
) -> None:
    gateway = Gateway.from_yaml(
        virtual_service(*(f"{{match: [{rule}], {ROUTE}}}" for rule in rules))
    )
    source = read_policy_text(
        "{corsPolicy: {allowOrigins: [https://a.example]}, key: {header: x-key}}"
    )
    own = of_service(source, gateway, 443, "model:8000")
    assert isinstance(own, Policy)
    assert (own.key is not None) == has_key
    found = own.key.values if own.key else None
    assert (found is None) == (values is None)
    assert all(value in (found or ()) for value in values or ())


def test_rules_get_keys_too() -> None:
    text = "{rules: [{hosts: [a.example], corsPolicy: {allowOrigins: [https://u.example]}}]}"
    own = of_service(read_policy_text(text), Gateway.from_yaml(case_text()), 443, MODEL)
    assert isinstance(own, RuleSet)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("corsPolicy: {allowOrigin: 1}", "did you mean allowOrigins"),
        ("corsPolicy: [", "policy: line"),
        ("", "policy"),
        ("x" * (MOST_POLICY_BYTES + 1), "64 KiB"),
    ],
)
def test_a_wrong_policy_is_one_line(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy_text(text)
    assert said in str(caught.value.problems[0])
    assert "\n" not in str(caught.value.problems[0])


# ---- What documents become


def test_the_case_before_and_after() -> None:
    made = scene(case_text())
    assert (made.origin, made.stranger) == (CASE_ORIGIN, "https://stranger.example")
    assert made.services == (MODEL,)
    assert made.pods == {"meshcors-dummy:8080"}
    assert json.loads(made.policy)["corsPolicy"]["allowOrigins"] == [CASE_ORIGIN]
    assert made.has_middleware("after")
    assert not made.has_middleware("before")
    assert "the lab allows https://ui.example" in made.notes[0]


def test_documents_with_a_pod_need_no_fix() -> None:
    made = scene(data("with_pod"))
    assert "nothing to change" in made.change
    assert made.has_middleware("before")
    assert json.loads(made.policy)["key"] == {"header": "model-api-key"}
    assert "--config" in made.notes[0]


def test_a_policy_of_the_command_line_is_the_pods() -> None:
    policy = "corsPolicy: {allowOrigins: [https://a.example]}"
    assert scene(data("with_pod"), policy=policy).policy == policy


def test_what_an_envoy_runs_is_refused() -> None:
    running = {
        "static_resources": {},
        "name": "x",
        "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": []}],
    }
    with pytest.raises(LabError, match="the configuration of an Envoy"):
        scene(json.dumps(running))


def owned(text: str) -> str:
    owner = "{apiVersion: serving.kserve.io/v1beta1, kind: InferenceService, name: m, uid: u}"
    metadata = "metadata: {name: model, namespace: cheetah}"
    assert metadata in text
    return text.replace(metadata, f"{metadata[:-1]}, ownerReferences: [{owner}]}}")


def test_what_a_controller_writes_gets_a_second_document() -> None:
    made = scene(owned(data("before")))
    assert "With the second document" in made.change
    assert made.pods
    assert len(made.after.documents) == len(made.before.documents) + 1


def test_what_fix_refuses_is_said() -> None:
    policies = [
        f"corsPolicy: {{allowOrigins: [{{exact: https://{name}.example}}]{more}}}"
        for name, more in (("a", ", allowCredentials: true"), ("b", ""))
    ]
    rules = [
        f"{{match: [{{headers: {{x-key: {{exact: {at}}}}}}}], {policy}, {ROUTE}}}"
        for at, policy in zip("ab", policies, strict=True)
    ]
    made = scene(virtual_service(*rules))
    assert "cannot change them" in made.change
    assert made.after.documents == made.before.documents
    assert made.policy == ""


def test_what_stands_in_front_of_a_real_gateway_is_named() -> None:
    guard = (
        "\n---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: closed, namespace: cheetah}\nspec: {}\n"
    )
    assert "without AuthorizationPolicy cheetah/closed" in scene(case_text() + guard).notes[-1]


def test_without_its_last_rule_nothing_answers_a_missing_key() -> None:
    made = scene(case_text(), unmatched=False)
    story = SideStory(made, "after", read_policy_text(made.policy))
    found = {call.id: story.explain(call)["received"][-1]["status"] for call in made.calls}
    assert (found["right-key"], found["no-key"]) == (200, 404)


def test_the_page_has_an_origin_that_is_allowed() -> None:
    policy = "corsPolicy: {allowOrigins: ['https://*.b.example', https://a.example]}"
    assert scene(data("with_pod"), policy=policy).origin == "https://a.example"
    rules = f"rules: [{{{policy}}}]"
    assert scene(data("with_pod"), policy=rules).origin == "https://a.example"
    assert scene(data("with_pod"), policy=policy, origin="https://c.b.example").origin.startswith(
        "https://c."
    )


def test_a_service_that_nothing_leads_to_is_refused() -> None:
    with pytest.raises(LabError, match=r"--service modle: no rule leads there: .*did you mean"):
        scene(virtual_service(f"{{{ROUTE}}}"), services={"modle": ("127.0.0.1", 1)}).check()
    scene(virtual_service(f"{{{ROUTE}}}"), services={"model": ("127.0.0.1", 1)}).check()


def test_destinations_have_a_bound() -> None:
    made = scene(virtual_service(f"{{{ROUTE}}}"))
    replace(made, services=tuple(f"m{it}:80" for it in range(1000))).check()
    with pytest.raises(LabError, match="more than 1000 destinations"):
        replace(made, services=tuple(f"m{it}:80" for it in range(1001))).check()


def test_a_check_leaves_no_rule_out() -> None:
    rules = [f"{{match: [{{headers: {{key: {{exact: k{it}}}}}}}], {ROUTE}}}" for it in range(1001)]
    mesh = read_mesh({"many.yaml": virtual_service(*rules)})
    made = scene_of(mesh, LabSettings(), checking=True)
    assert len({call.rule for call in made.calls}) == 1001
    assert not [note for note in made.notes if "more rules" in note]


def test_no_service_is_said_to_run_the_policy_of_a_pod_that_does_not_run() -> None:
    pod = "route: [{destination: {host: meshcors-dummy, port: {number: 8080}}}]"
    made = scene(virtual_service(f"{{{pod}}}"))
    assert made.policy == ""
    assert [note for note in made.notes if "no pod runs" in note]
    assert not [note for note in made.notes if "middleware" in note]


def test_rules_of_another_port_alone_run_there() -> None:
    rule = f"{{match: [{{port: 8443}}], {ROUTE}}}"
    assert scene(virtual_service(rule)).port == 8443


# ---- What Envoy runs


def test_each_side_has_its_own_clusters() -> None:
    made = scene(case_text())
    upstreams = Upstreams({MODEL: ("127.0.0.1", 1)}, {MODEL: ("models.example", 2)})
    config = lab_bootstrap(made, upstreams, LocalOrigins({}), "log")["static_resources"]
    assert [listener["name"] for listener in config["listeners"]] == ["before", "after"]
    clusters = {cluster["name"]: cluster for cluster in config["clusters"]}
    name = "outbound|8000||model-deploy-01j46dj4ah5abd1zz8pc21vkg9"
    assert clusters[f"before {name}"]["type"] == "STATIC"
    assert clusters[f"after {name}"]["type"] == "LOGICAL_DNS"
    assert destination_of(f"before {name}") == MODEL
    text = json.dumps(config["listeners"])
    assert set(re.findall(r'"cluster": "([^"%]+)"', text)) == clusters.keys()


def test_weighted_destinations_have_their_clusters_too() -> None:
    route = "route: [{destination: {host: a}, weight: 1}, {destination: {host: b}, weight: 2}]"
    made = scene(virtual_service(f"{{{route}}}"))
    config = lab_bootstrap(made, Upstreams({}, {}), LocalOrigins({}), "log")["static_resources"]
    names = {cluster["name"] for cluster in config["clusters"]}
    assert set(re.findall(r'"name": "((?:before|after) [^"]+)"', json.dumps(config))) == names


# ---- What the models say

SAID = {
    "before": {
        "right-key": ("blocked", [404]),
        "wrong-key": ("blocked", [404]),
        "no-key": ("blocked", [404]),
        "stream": ("blocked", [404]),
        "server-error": ("blocked", [404]),
        "with-credentials": ("blocked", [404]),
        "foreign-origin": ("blocked", [404]),
    },
    "after": {
        "right-key": ("allowed", [204, 200]),
        "wrong-key": ("allowed", [204, 404]),
        "no-key": ("allowed", [204, 401]),
        "stream": ("allowed", [204, 200]),
        "server-error": ("allowed", [204, 500]),
        "with-credentials": ("allowed", [204, 200]),
        "foreign-origin": ("blocked", [403]),
    },
}


@pytest.mark.parametrize("side", ["before", "after"])
def test_what_the_models_say_of_the_case(side: Any) -> None:
    made = scene(case_text())
    story = SideStory(made, side, read_policy_text(made.policy))
    found = {call.id: story.explain(call) for call in made.calls}
    assert {
        name: (each["verdict"]["outcome"], [it["status"] for it in each["received"]])
        for name, each in found.items()
    } == SAID[side]
    for each in found.values():
        assert len(each["sent"]) == len(each["received"])
        assert each["verdict"]["allowed"] == (each["verdict"]["outcome"] == "allowed")
        assert each["svg"].startswith("<svg")
        assert "xyz" not in json.dumps(each["steps"])


def test_why_a_call_fails_is_said_in_words() -> None:
    made = scene(case_text())
    policy = read_policy_text(made.policy)
    why = {
        (call.id, side): SideStory(made, side, policy).explain(call)["why"]
        for call in made.calls
        for side in SIDES
    }
    assert why["right-key", "before"].startswith("a preflight names model-api-key but does not")
    assert why["right-key", "after"] == ""
    assert "does not allow https://stranger.example" in why["foreign-origin", "after"]
    assert why["no-key", "after"]
    assert not any("xyz" in each for each in why.values())
    # a service without the middleware has no policy that could refuse the call
    made = scene(virtual_service(ROUTE))
    found = SideStory(made, "before", None).explain(made.calls[0])
    assert found["why"].endswith("answers, without CORS headers")


def test_a_service_that_takes_any_key_is_no_matter_for_a_warning() -> None:
    open_key = Policy(allow_origins=["https://ui.example"], key=HeaderKey("model-api-key"))
    ModelService("model:8000").use(open_key)


def test_a_preflight_that_strays_to_a_service_fails_there_as_its_call_would() -> None:
    made = scene(data("neighbours"))
    (call,) = [each for each in made.calls if each.id == "server-error"]
    found = SideStory(made, "before", None).explain(call)
    assert [each["status"] for each in found["received"]] == [500]


def test_another_policy_changes_what_the_models_say() -> None:
    made = scene(case_text())
    policy = read_policy_text(made.policy.replace("ui.example", "else.example"))
    found = SideStory(made, "after", policy).explain(made.calls[0])
    assert found["verdict"]["outcome"] == "blocked"
    assert found["verdict"]["step"] == "preflight"


def test_what_a_real_service_answers_is_not_known() -> None:
    made = scene(case_text(), services={MODEL: ("127.0.0.1", 1)})
    found = SideStory(made, "after", read_policy_text(made.policy)).explain(made.calls[0])
    # its rule's corsPolicy allows the origin, whatever it answers
    assert found["verdict"]["outcome"] == "allowed"
    assert found["received"][1]["status"] is None
    made = scene(data("before"), services={MODEL: ("127.0.0.1", 1)})
    found = SideStory(made, "after", read_policy_text(made.policy)).explain(made.calls[0])
    assert found["verdict"]["outcome"] == "depends"
    assert not found["verdict"]["allowed"]


# ---- What Envoy has logged

LINE = {
    "side": "after",
    "status": 204,
    "rule": "here/it http[0]",
    "flags": "-",
    "cluster": "after outbound|8080||meshcors-dummy",
    "lab": {
        "method": "OPTIONS",
        "host": "api.example",
        "path": "/v1?answer=stream&lab=after-1-x",
        "port": "1",
        "sent": [["origin", "https://ui.example"], ["x-request-id", "1"], ["x-envoy-a", "2"]],
        "received": [["vary", "Origin"]],
    },
}


def test_a_line_of_the_access_log() -> None:
    assert read_line(json.dumps(LINE).encode()) == (
        "after-1-x",
        {
            "side": "after",
            "method": "OPTIONS",
            "host": "api.example",
            "path": "/v1?answer=stream&lab=after-1-x",
            "sent": [["origin", "https://ui.example"]],
            "status": 204,
            "received": [["vary", "Origin"]],
            "rule": "here/it http[0]",
            "flags": "",
            "upstream": "meshcors-dummy:8080",
        },
    )


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"{", b"null", json.dumps({**LINE, "lab": None}).encode(),
     json.dumps({**LINE, "lab": {**LINE["lab"], "path": "/v1"}}).encode()],  # type: ignore[dict-item]
)  # fmt: skip
def test_any_other_line_is_left_out(line: bytes) -> None:
    assert read_line(line) is None


def test_an_answer_without_fields_has_none() -> None:
    for kept in ({**LINE["lab"], "received": {}}, {**LINE["lab"], "received": []}):  # type: ignore[dict-item]
        found = read_line(json.dumps({**LINE, "lab": kept}).encode())
        assert found is not None
        assert found[1]["received"] == []


def test_the_log_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "log"
    traffic = Traffic(path)
    assert traffic.of("after-1-x") == []
    line = json.dumps(LINE).encode() + b"\n"
    with path.open("ab") as log:
        log.write(line + line[:20])
        log.flush()
        assert len(traffic.of("after-1-x")) == 1
        log.write(line[20:])
        log.flush()
        assert len(traffic.of("after-1-x")) == 2
        assert traffic.of("another") == []


def test_a_large_log_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshcors._lab.traffic._LARGEST_FILE", 1000)
    assert len(json.dumps(LINE)) < 500
    path = tmp_path / "log"
    traffic = Traffic(path)
    line = json.dumps(LINE).encode() + b"\n"
    for number in range(1, 8):
        with path.open("ab") as log:
            log.write(line)
        assert len(traffic.of("after-1-x")) == number
        assert path.stat().st_size < 2000


def test_more_than_can_be_read_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshcors._lab.traffic._LARGEST_FILE", 1000)
    path = tmp_path / "log"
    traffic = Traffic(path)
    line = json.dumps(LINE).encode() + b"\n"
    path.write_bytes(line * 3 + line[:20])
    assert len(traffic.of("after-1-x")) == 2, "two lines and more are a thousand bytes"
    with path.open("ab") as log:
        log.write(line * 20)
    assert len(traffic.of("after-1-x")) == 2
    assert path.stat().st_size == 0
    with path.open("ab") as log:
        log.write(line[20:] + line)
    assert len(traffic.of("after-1-x")) == 3


# ---- Files


def test_a_change_is_told_once_it_is_at_rest(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.yaml", tmp_path / "folder"
    folder.mkdir()
    file.write_text("1")
    watch = FileWatch([str(file), str(folder)])
    assert not watch.has_changed()
    for change in (
        lambda: file.write_text("22"),
        lambda: (folder / "new.yaml").write_text("x"),
        lambda: (folder / "new.yaml").unlink(),
        file.unlink,
    ):
        change()
        assert [watch.has_changed() for _ in range(3)] == [False, True, False]


def test_the_example_is_called_by_its_name() -> None:
    made = scene_of(read_mesh({CASE_FILE: case_text()}), LabSettings())
    assert made.notes[0].startswith(f"{CASE_FILE}:")

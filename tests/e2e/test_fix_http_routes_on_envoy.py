"""Generated HTTPRoutes, fixed in every mode: what a real Envoy does before and after.

Envoy and the model agree about every sample call and its preflight. No call is worse off, and every
lost preflight is answered.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Any

from meshcors import browser
from meshcors.mesh import DocumentError, Gateway
from meshcors.mesh._analysis.lost_calls import lost_calls
from meshcors.mesh._analysis.mesh_documents import MeshDocuments, read_mesh
from meshcors.mesh._analysis.sample_calls import HostCalls, PageRequest, SampleCalls
from meshcors.mesh._fix import FixOptions, Responder, fix
from tests.e2e.mesh_wire import Case, expect, observe
from tests.http_route_generator import http_routes

DOCUMENTS = 16
POD = "meshcors-dummy:8080"
# The answer of every service, which a browser accepts.
ANSWER = (("access-control-allow-origin", "*"), ("access-control-allow-headers", "*"))


class Lost(Enum):
    """Whether a call's preflight is lost: that of the call itself, or of another with the same."""

    NO = "no"
    ITSELF = "itself"
    SHARED = "shared"


@dataclass(frozen=True)
class Fixed:
    """A file that was fixed, and the calls to compare."""

    responder: Responder
    before: Gateway
    after: Gateway
    # Whether the call is lost, or has the preflight of one that is.
    calls: list[tuple[SampleCalls, PageRequest, Lost]]


def fixed(source: str, responder: Responder, counts: Counter[str]) -> Fixed | None:
    before = read_mesh({"a.yaml": source})
    lost = [(each.calls, asked) for each in lost_calls(before) for asked in each.requests]
    own = {(each.route.rule, *key(each, asked)) for each, asked in lost}
    # A pod allows content-type too: the calls with it go where those without go.
    more = [with_json(asked) for _, asked in lost] if responder != "mesh" else []
    shared = {key(each, asked) for each, asked in lost}
    shared |= {key(each, asked) for (each, _), asked in zip(lost, more, strict=False)}

    def state(calls: SampleCalls, asked: PageRequest) -> Lost:
        if (calls.route.rule, *key(calls, asked)) in own:
            return Lost.ITSELF
        return Lost.SHARED if key(calls, asked) in shared else Lost.NO

    options = FixOptions(responder, origins=(("exact", "https://ui.example"),))
    try:
        result = fix(source, "a.yaml", options)
    except DocumentError as error:
        counts["refused"] += 1
        counts["lines"] += str(error).count("\n")
        return None
    if not result.blocked:
        counts["nothing to fix"] += 1
        return None
    counts["fixed"] += 1
    gateways = [Gateway.of(mesh.documents) for mesh in (before, result.after)]
    calls = [
        (each, asked, state(each, asked))
        for each in samples(before)
        for asked in (*each.own[:3], *each.others[:3])
    ]
    counts["lost"] += sum(lost is Lost.ITSELF for _, _, lost in calls)
    return Fixed(responder, *gateways, calls)


def samples(mesh: MeshDocuments) -> list[SampleCalls]:
    found = []
    for gateway, port, host in mesh.hosts:
        found += list(HostCalls(gateway, port, host.domain).of_rules())
    return found


def key(calls: SampleCalls, asked: PageRequest) -> tuple[object, ...]:
    return calls.call.host, calls.call.path, asked


def with_json(asked: PageRequest) -> PageRequest:
    return asked._replace(names=tuple(sorted({*asked.names, "content-type"})))


def cases(name: str, made: Fixed) -> list[Case]:
    """A preflight and a request for each call."""
    found = []
    for calls, asked, _ in made.calls:
        preflight = calls.preflight(asked)
        headers = tuple(preflight.headers)
        path = preflight.path
        found.append(Case(name, "OPTIONS", preflight.host, path, headers, ANSWER))
        request = (*calls.call.headers, ("origin", asked.origin))
        found.append(Case(name, asked.method, preflight.host, path, tuple(request), ANSWER))
    return found


def test_no_call_is_worse_off_and_every_lost_one_is_repaired() -> None:
    rng, counts = random.Random(7), Counter[str]()
    made: dict[str, Fixed] = {}
    for at in range(DOCUMENTS):
        source = "\n---\n".join(map(json.dumps, http_routes(rng)))
        for responder in ("pod", "mesh", "both"):
            found = fixed(source, responder, counts)
            if found is not None:
                made[f"{at}-{responder}"] = found
    gateways = {
        f"{name}-{when}": gateway
        for name, each in made.items()
        for when, gateway in (("before", each.before), ("after", each.after))
    }
    sent = [
        case
        for name, each in made.items()
        for when in ("before", "after")
        for case in cases(f"{name}-{when}", each)
    ]
    destinations = sorted(
        {
            label
            for case in sent
            for label, _ in gateways[case.gateway].handle(case.request).destinations
        }
    )
    seen = asyncio.run(observe(gateways, destinations, sent))
    for case, result in zip(sent, seen, strict=True):
        assert result == expect(gateways[case.gateway], case, result["destination"]), case
    results = iter(seen)
    for name, each in made.items():
        before = [(next(results), next(results)) for _ in each.calls]
        after = [(next(results), next(results)) for _ in each.calls]
        for (calls, asked, lost), old, new in zip(each.calls, before, after, strict=True):
            compare(name, each, calls, asked, lost, old, new, counts)
    counts["requests"] = len(sent)
    print(dict(counts))
    assert counts["lines"] == 0
    assert min(counts["fixed"], counts["lost"], counts["kept"]) > 20


def compare(
    name: str,
    made: Fixed,
    calls: SampleCalls,
    asked: PageRequest,
    lost: Lost,
    old: tuple[dict[str, Any], dict[str, Any]],
    new: tuple[dict[str, Any], dict[str, Any]],
    counts: Counter[str],
) -> None:
    """What Envoy did with a call's preflight and request, before and after."""
    where = (name, calls.call, asked)
    old_request, new_request = old[1], new[1]
    if old_request["rule"] is not None:
        kept = ("destination", "status", "headers", "path", "host")
        assert [old_request[it] for it in kept] == [new_request[it] for it in kept], where
    old_preflight, new_preflight = old[0], new[0]
    if lost is Lost.ITSELF:
        answered = new_preflight["destination"] == POD or new_preflight["status"] == 200
        assert answered, where
        counts["repaired"] += 1
        # A rule without a CORS filter does not say whom Envoy should allow.
        if made.responder != "pod" and calls.route.source.cors_policy is not None:
            assert allows(calls, asked, new_preflight), where
    elif allows(calls, asked, old_preflight):
        assert allows(calls, asked, new_preflight), where
        if lost is Lost.NO:
            assert old_preflight["destination"] == new_preflight["destination"], where
            counts["kept"] += 1


def allows(calls: SampleCalls, asked: PageRequest, preflight: dict[str, Any]) -> bool:
    """Whether a browser takes the answer to a preflight for a permission."""
    try:
        request = calls.browser_request(asked, calls.credentials[0])
    except ValueError:
        return False  # no script can make it
    response = browser.Response(preflight["status"], preflight["headers"])
    return browser.judge_preflight(request, response).allowed

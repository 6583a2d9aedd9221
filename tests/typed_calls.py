"""Calls of the public interface, right and wrong: test_types.py reads off what checkers say.

Never run. A line that a type checker must refuse ends in ``# refused``.
"""

from __future__ import annotations

from datetime import timedelta

from starlette.applications import Starlette

import meshcors.mesh
from meshcors import (
    HeaderKey,
    MeshCORS,
    Policy,
    PolicyError,
    PolicyFile,
    Regex,
    ReplaceablePolicy,
    Rule,
    RuleSet,
    __version__,
)

ORIGINS = ["https://ui.example"]
policy = Policy(allow_origins=ORIGINS)
Policy(allow_origins=("https://ui.example", Regex("https://a")), allow_methods={"PUT"})
Policy(allow_origins=[Regex("https://a")], max_age=timedelta(minutes=10), key=HeaderKey("x-key"))
Policy(allow_origins=dict.fromkeys(ORIGINS), allow_headers=frozenset({"x-a"}), max_age=None)
Policy()  # refused
Policy(ORIGINS)  # refused
Policy(allow_origins="https://ui.example")  # refused
Policy(allow_origins=ORIGINS, allow_method=["PUT"])  # refused
Policy(allow_origins=ORIGINS, allow_methods="PUT")  # refused
Policy(allow_origins=ORIGINS, allow_headers="x-a")  # refused
Policy(allow_origins=ORIGINS, max_age="10m")  # refused
Policy(allow_origins=[b"https://ui.example"])  # refused
policy.max_age = 5  # refused

HeaderKey("x-key", ["a"], exempt_paths=["/healthz"])
HeaderKey("x-key", "a")  # refused
HeaderKey("x-key", exempt_paths="/healthz")  # refused
HeaderKey()  # refused

RuleSet([Rule(policy, hosts=["api.example.com"], path_prefix="/v1")], uncovered="refuse")
Rule(policy, hosts="api.example.com")  # refused
Rule(ORIGINS)  # refused
RuleSet([policy])  # refused
RuleSet([Rule(policy)], uncovered="no")  # refused

app = Starlette()
app.add_middleware(MeshCORS, policy=policy)
app.add_middleware(MeshCORS, allow_origins=ORIGINS, max_age=600)
MeshCORS(app)
MeshCORS(app, allow_origins=ORIGINS)
MeshCORS(app, allow_origin=ORIGINS)  # refused
MeshCORS(app, allow_origins="https://ui.example")  # refused

replaceable = ReplaceablePolicy([Rule(policy)])
replaceable.replace(policy)
replaceable.replace(RuleSet([Rule(policy)]))
app.add_middleware(MeshCORS, policy=replaceable)
MeshCORS(app, PolicyFile("policy.yaml", interval=10))
ReplaceablePolicy(ORIGINS)  # refused
replaceable.replace([policy])  # refused
MeshCORS(app, rules=replaceable)  # refused
replaceable.current = policy  # refused

version: str = __version__


def codes(error: PolicyError) -> None:
    for problem in error.problems:
        if problem.code == "no_origins":
            print(problem.hint)
        if problem.code == "no_origin":  # refused
            print(problem.hint)


def handle(request: meshcors.mesh.GatewayRequest) -> meshcors.mesh.GatewayAnswer:
    """The names of the mesh are types."""
    return meshcors.mesh.Gateway.from_yaml("").handle(request)


nothing = meshcors.mesh.Anser  # refused

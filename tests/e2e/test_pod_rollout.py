"""What pages notice when pods die, hang, reload or are replaced behind a real Envoy: nothing.

The gateway has what the manifests say. Beside it stand the same routes without any such setting, so
that the faults are seen to be faults.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.e2e.envoy import running_envoy
from tests.e2e.rollout import POLICY, WAYS, Cluster, Load, configuration

NOTHING_IS_NOTICED = ("HTTPRoute and retries", "Envoy Gateway", "VirtualService")
# How long Kubernetes takes until every gateway knows that a pod is no longer ready.
NOTICED = 0.6


async def rolling_update(cluster: Cluster) -> None:
    """Each pod is replaced as the Deployment does it: one more first, then one less."""
    for old in list(cluster.pods):
        new = await cluster.start_pod()
        cluster.announce([*cluster.pods, new])
        await asyncio.sleep(0.3)
        old.send(signal.SIGTERM)
        await asyncio.sleep(NOTICED)
        cluster.announce([pod for pod in cluster.pods if pod is not old])
        assert await old.ended() == 0


async def killed(cluster: Cluster) -> None:
    """One is killed, and the kubelet starts it again after a second."""
    pod = cluster.pods[0]
    await asyncio.sleep(0.3)
    pod.send(signal.SIGKILL)
    assert await pod.ended() == -signal.SIGKILL
    await asyncio.sleep(1)
    await pod.start()
    await asyncio.sleep(0.5)


async def stopped(cluster: Cluster) -> None:
    """One hangs, and answers again after a while."""
    pod = cluster.pods[0]
    await asyncio.sleep(0.3)
    pod.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(3)
    finally:
        pod.send(signal.SIGCONT)
    await asyncio.sleep(0.3)


async def reloading(cluster: Cluster) -> None:
    """Both take up one file after the other, good and bad ones in turn."""
    for number in range(3):
        cluster.policy.write_text("rules: [" if number % 2 else POLICY + f"# {number}\n")
        for pod in cluster.pods:
            pod.send(signal.SIGHUP)
        await asyncio.sleep(0.6)
    cluster.policy.write_text(POLICY)


FAULTS: dict[str, Callable[[Cluster], Awaitable[None]]] = {
    "rolling update": rolling_update,
    "kill -9, back after 1 s": killed,
    "SIGSTOP for 3 s": stopped,
    "both reload, good and bad": reloading,
}


async def simulate(cluster: Cluster, ports: dict[str, int]) -> dict[str, dict[str, Counter[str]]]:
    """The answers by fault and by the way to route."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for fault, happen in FAULTS.items():
        # New ones each time: what Envoy thinks of the others is over.
        cluster.stop()
        cluster.announce([await cluster.start_pod(), await cluster.start_pod()])
        await asyncio.sleep(0.3)
        loads = {way: Load(ports[way]) for way in WAYS}
        for load in loads.values():
            load.start()
        await happen(cluster)
        found[fault] = {way: await load.end() for way, load in loads.items()}
    return found


def failed(counts: Counter[str]) -> int:
    return counts.total() - counts["204"]


def test_pages_notice_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Cluster(tmp_path)
    try:
        with running_envoy(configuration(cluster.endpoints)) as envoy:
            found = asyncio.run(simulate(cluster, dict(envoy.ports)))
    finally:
        cluster.stop()
    with capsys.disabled():
        print("\nfailed of all preflights:")
        for fault, ways in found.items():
            shown = (f"{way} {failed(it)} of {it.total():,}" for way, it in ways.items())
            print(f"  {fault}: {'; '.join(shown)}")
    for fault, ways in found.items():
        for way in NOTHING_IS_NOTICED:
            assert ways[way].total() > 200, fault
            assert dict(ways[way] - Counter({"204": 10**9})) == {}, (fault, way)
    # Without the settings the same faults are felt.
    assert failed(found["kill -9, back after 1 s"]["nothing set"])
    assert failed(found["SIGSTOP for 3 s"]["nothing set"])
